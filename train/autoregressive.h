// What is trained and scored: the next code, given those before.
#pragma once
#include <tapedeck/nn/network.h>
#include <tapedeck/train/code_set.h>

namespace tapedeck::train {

// Bits per predicted code of the network and of the two baselines on the same codes.
struct Score {
  double bits = 0, order0 = 0, order1 = 0;
  std::int64_t targets = 0;
};

// Mean negative log-likelihood of the windows, in nats: what a step minimises.
Tensor window_loss(nn::Network& network, const CodeSet& codes, std::span<const io::Window> windows);

// Scores the windows in batches of `batch` with the network in eval mode; it is left in the mode that it had.
Score score(nn::Network& network, const CodeSet& codes, std::span<const ScoredWindow> windows, std::int64_t batch);

}  // namespace tapedeck::train
