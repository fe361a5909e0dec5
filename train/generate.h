// Sound from a trained network.
#pragma once
#include <tapedeck/nn/network.h>
#include <tapedeck/train/codec.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace tapedeck::train {

struct GenerateOptions {
  std::int64_t samples = 0;  // of each stream
  std::int64_t streams = 1;
  double temperature = 1;  // 0 takes the likeliest code
  std::uint64_t seed = 0;
  std::function<void(std::int64_t done)> progress = {};  // now and then
};

// The codes of each stream, without the prompt. A prompt shorter than the receptive field is preceded by silence, and
// so is an empty one. Stream i draws from hash(seed, i) alone: it does not depend on how many streams there are.
std::vector<std::vector<std::int64_t>> generate(nn::Network& network, const Codec& codec,
                                                std::span<const std::int64_t> prompt, const GenerateOptions& options);

}  // namespace tapedeck::train
