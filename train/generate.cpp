#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/philox.h>
#include <tapedeck/tensor/random.h>
#include <tapedeck/train/generate.h>

#include <algorithm>

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
  std::vector<float> uniforms(streams);
  std::vector<std::int64_t> codes(streams);
  const std::uint64_t key = mix64(options.seed, hash64("generate"));
  constexpr std::int64_t report_every = 256;
  for (std::int64_t t = 0; t < options.samples; ++t) {
    for (std::size_t i = 0; i < streams; ++i) {
      uniforms[i] = uniform01(philox_word(key, i, static_cast<std::uint64_t>(t)));
    }
    plan->step(uniforms, options.temperature, codes);
    for (std::size_t i = 0; i < streams; ++i) out[i].push_back(codes[i]);
    if (options.progress && (t + 1) % report_every == 0) options.progress(t + 1);
  }
  return out;
}

}  // namespace tapedeck::train
