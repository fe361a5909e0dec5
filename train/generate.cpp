#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/philox.h>
#include <tapedeck/tensor/random.h>
#include <tapedeck/train/generate.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tapedeck::train {
namespace {

// [streams, n]: each stream's prompt with silence in front.
Tensor context(const std::vector<Codes>& prompts, std::int64_t streams, std::int64_t receptive_field,
               std::int64_t silence) {
  std::int64_t length = receptive_field;
  for (const Codes& prompt : prompts) length = std::max(length, std::ssize(prompt));
  const Tensor all = empty({streams, length}, {.dtype = DType::i64});
  std::int64_t* to = all.data<std::int64_t>();
  const Codes none;
  for (std::int64_t i = 0; i < streams; ++i) {
    const Codes& prompt = prompts.empty() ? none : prompts[static_cast<std::size_t>(i) % prompts.size()];
    to = std::fill_n(to, length - std::ssize(prompt), silence);
    to = std::copy(prompt.begin(), prompt.end(), to);
  }
  return all;
}

// Codes drawn from NaN or Inf are noise at full scale. A code may be ruled out by -Inf, not all of them.
void check_finite(const nn::GenerationPlan& plan, const std::string& name) {
  const std::span<const float> logits = plan.logits();
  const auto classes = static_cast<std::size_t>(plan.classes());
  for (std::size_t row = 0; row < logits.size(); row += classes) {
    float most = -std::numeric_limits<float>::infinity();
    for (const float x : logits.subspan(row, classes)) most = x > most || std::isnan(x) ? x : most;  // NaN stays
    TD_CHECK(std::isfinite(most), Error, name,
             ": the network predicts values that are not finite; take an earlier checkpoint");
  }
}

}  // namespace

std::vector<Codes> rows_of(const Tensor& codes) {
  std::vector<Codes> rows;
  for (std::int64_t i = 0; i < codes.size(0); ++i)
    rows.push_back(detail::select(codes, 0, i).to_vector<std::int64_t>());
  return rows;
}

std::vector<Codes> generate(nn::Network& network, const Codec& codec, const std::vector<Codes>& prompts,
                            const GenerateOptions& options) {
  TD_CHECK(options.samples >= 0 && options.streams >= 1 && options.temperature >= 0, ValueError,
           "generate: ", options.samples, " samples of ", options.streams, " streams at temperature ",
           options.temperature, " cannot be made");
  const auto plan = network.plan(options.streams, options.weights, options.threads);
  plan->prime(context(prompts, options.streams, network.receptive_field(), codec.silence()));
  const auto streams = static_cast<std::size_t>(options.streams);
  std::vector<Codes> out(streams);
  for (auto& stream : out) stream.reserve(static_cast<std::size_t>(options.samples));
  constexpr std::int64_t kAtOnce = 256;  // steps between reports
  std::vector<float> uniforms(streams * kAtOnce);
  std::vector<std::int64_t> codes(uniforms.size());
  const std::uint64_t key = mix64(options.seed, hash64("generate"));
  check_finite(*plan, options.name);
  for (std::int64_t t = 0; t < options.samples;) {
    const auto n = static_cast<std::size_t>(std::min(kAtOnce, options.samples - t));
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t i = 0; i < streams; ++i)
        uniforms[k * streams + i] = uniform01(philox_word(key, i, static_cast<std::uint64_t>(t) + k));
    plan->steps(std::span(uniforms).first(n * streams), options.temperature, std::span(codes).first(n * streams));
    for (std::size_t k = 0; k < n * streams; ++k) out[k % streams].push_back(codes[k]);
    t += static_cast<std::int64_t>(n);
    check_finite(*plan, options.name);
    if (options.progress && t % kAtOnce == 0) options.progress(t);
  }
  return out;
}

}  // namespace tapedeck::train
