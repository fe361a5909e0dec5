#include <tapedeck/autograd/ops.h>
#include <tapedeck/train/autoregressive.h>

#include <algorithm>
#include <numbers>

namespace tapedeck::train {

Tensor window_loss(nn::Network& network, const CodeSet& codes, std::span<const io::Window> windows) {
  return network.loss(codes.batch(windows).to(network.device()));
}

Score score(nn::Network& network, const CodeSet& codes, std::span<const ScoredWindow> windows, std::int64_t batch) {
  const NoGrad constant;
  const bool training = network.training();
  network.eval();
  double nats = 0;
  Score result;
  for (std::size_t i = 0; i < windows.size(); i += static_cast<std::size_t>(batch)) {
    const auto some = windows.subspan(i, std::min(static_cast<std::size_t>(batch), windows.size() - i));
    const CodeSet::Pair pair = codes.pair(some);
    const Tensor logits = network(pair.inputs.to(network.device()));
    nats += cross_entropy(logits, pair.targets.to(network.device()), {.reduction = Reduction::sum}).item();
    for (const ScoredWindow& w : some) result.targets += w.targets;
  }
  network.train(training);
  result.bits = nats / (static_cast<double>(std::max<std::int64_t>(result.targets, 1)) * std::numbers::ln2);
  const CodeSet::BaselineBits baseline = codes.baseline_bits(windows);
  result.order0 = baseline.order0;
  result.order1 = baseline.order1;
  return result;
}

}  // namespace tapedeck::train
