#include <tapedeck/tensor/random.h>

namespace tapedeck {

constinit thread_local std::uint64_t detail::module_path = 0;

namespace {

thread_local RandomScope* scope = nullptr;
thread_local std::uint64_t global_seed = 0, global_draws = 0;

}  // namespace

std::uint64_t mix64(std::uint64_t a, std::uint64_t b) {  // splitmix64's finaliser over a combination of both
  std::uint64_t z = a * 0x9E3779B97F4A7C15u + b + 0x2545F4914F6CDD1Du;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

std::uint64_t hash64(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return mix64(h, text.size());
}

RandomScope::RandomScope(std::uint64_t seed, std::uint64_t step, std::vector<std::int64_t> row_ids)
    : outer_(scope), key_(mix64(mix64(0x7461706564656b00u, seed), step)), rows_(std::move(row_ids)) {
  scope = this;
}
RandomScope::~RandomScope() { scope = outer_; }

RandomStream next_stream(const char* op, std::int64_t rows) {
  const std::uint64_t place = mix64(detail::module_path, hash64(op));
  if (!scope) return {mix64(mix64(mix64(1, global_seed), place), global_draws++), {}};
  std::uint64_t* draws = nullptr;
  for (auto& [where, count] : scope->draws_)
    if (where == place) draws = &count;
  if (!draws) draws = &scope->draws_.emplace_back(place, 0).second;
  const bool matches = static_cast<std::int64_t>(scope->rows_.size()) == rows;
  return {mix64(mix64(scope->key_, place), (*draws)++),
          matches ? std::span<const std::int64_t>(scope->rows_) : std::span<const std::int64_t>{}};
}

RandomState RandomState::capture() {
  return {scope ? scope->draws_ : decltype(draws){}, detail::module_path, tapedeck::global_draws};
}
void RandomState::restore() const {
  if (scope) scope->draws_ = draws;
  detail::module_path = path;
  tapedeck::global_draws = global_draws;
}

void manual_seed(std::uint64_t seed) { global_seed = seed, global_draws = 0; }

}  // namespace tapedeck
