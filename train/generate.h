// Sound from a trained network.
#pragma once
#include <tapedeck/nn/network.h>
#include <tapedeck/train/codec.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tapedeck::train {

struct GenerateOptions {
  std::int64_t samples = 0;  // of each stream
  std::int64_t streams = 1;
  double temperature = 1;  // 0 takes the likeliest code
  std::uint64_t seed = 0;
  DType weights = DType::f32;                            // or bf16: see Network::plan
  int threads = 1;                                       // of each step: see Network::plan
  std::function<void(std::int64_t done)> progress = {};  // now and then
  std::string name = "generate";                         // the network's, for errors
};

using Codes = std::vector<std::int64_t>;

// The codes of each stream, without the prompt. Stream i continues prompts[i % size]; one that is shorter than the
// receptive field is preceded by silence, and without prompts there is silence alone. Stream i draws from hash(seed, i)
// alone: it does not depend on how many streams there are. Error when the network predicts what is not finite, which is
// looked for now and then.
std::vector<Codes> generate(nn::Network& network, const Codec& codec, const std::vector<Codes>& prompts,
                            const GenerateOptions& options);

std::vector<Codes> rows_of(const Tensor& codes);  // i64 [rows, n] as prompts

}  // namespace tapedeck::train
