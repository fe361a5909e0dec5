#include <tapedeck/tensor/philox.h>
#include <tapedeck/tensor/random.h>
#include <tapedeck/train/generate.h>

#include <algorithm>

namespace tapedeck::train {
namespace {

// [streams, n]: the prompt with silence in front, the same for each stream.
Tensor context(std::span<const std::int64_t> prompt, std::int64_t streams, std::int64_t receptive_field,
               std::int64_t silence) {
  const std::int64_t length = std::max(receptive_field, std::ssize(prompt));
  const Tensor all = empty({streams, length}, {.dtype = DType::i64});
  std::int64_t* to = all.data<std::int64_t>();
  for (std::int64_t i = 0; i < streams; ++i) {
    to = std::fill_n(to, length - std::ssize(prompt), silence);
    to = std::copy(prompt.begin(), prompt.end(), to);
  }
  return all;
}

}  // namespace

std::vector<std::vector<std::int64_t>> generate(nn::Network& network, const Codec& codec,
                                                std::span<const std::int64_t> prompt, const GenerateOptions& options) {
  TD_CHECK(options.samples >= 0 && options.streams >= 1 && options.temperature >= 0, ValueError,
           "generate: ", options.samples, " samples of ", options.streams, " streams at temperature ",
           options.temperature, " cannot be made");
  const auto plan = network.plan(options.streams);
  plan->prime(context(prompt, options.streams, network.receptive_field(), codec.silence()));
  const auto streams = static_cast<std::size_t>(options.streams);
  std::vector<std::vector<std::int64_t>> out(streams);
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
