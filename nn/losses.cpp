#include <tapedeck/nn/layers/types.h>
#include <tapedeck/nn/losses.h>

namespace tapedeck::nn {
namespace {

Tensor row(const std::vector<double>& values) { return tensor(values, {static_cast<std::int64_t>(values.size())}); }

}  // namespace

// Weights are buffers under PyTorch's names, so that its state dicts fit.
CrossEntropyLoss::CrossEntropyLoss(CrossEntropyLossConfig given) : Loss(std::move(given)) {
  if (!config().weight.empty()) weight = buffer_of("weight", row(config().weight));
}
NLLLoss::NLLLoss(NLLLossConfig given) : Loss(std::move(given)) {
  if (!config().weight.empty()) weight = buffer_of("weight", row(config().weight));
}
BCELoss::BCELoss(BCELossConfig given) : Loss(std::move(given)) {
  if (!config().weight.empty()) weight = buffer_of("weight", row(config().weight));
}
BCEWithLogitsLoss::BCEWithLogitsLoss(BCEWithLogitsLossConfig given) : Loss(std::move(given)) {
  if (!config().weight.empty()) weight = buffer_of("weight", row(config().weight));
  if (!config().pos_weight.empty()) pos_weight = buffer_of("pos_weight", row(config().pos_weight));
}
MultiMarginLoss::MultiMarginLoss(MultiMarginLossConfig given) : Loss(std::move(given)) {
  if (!config().weight.empty()) weight = buffer_of("weight", row(config().weight));
}
MultiLabelSoftMarginLoss::MultiLabelSoftMarginLoss(MultiLabelSoftMarginLossConfig given) : Loss(std::move(given)) {
  if (!config().weight.empty()) weight = buffer_of("weight", row(config().weight));
}

// Losses of each element or row, to see that they do not mix.
std::vector<ModuleType> loss_types() {
  constexpr Reduction each = Reduction::none;
  const Sample x = reals({2, 3, 4}), y = reals({2, 3, 4}, -0.9, 0.8), chances = reals({2, 3, 4}, 0.05, 0.95);
  const Sample row = reals({2, 3}), other = reals({2, 3}, -0.9, 0.8), classes = codes({2, 3}, 4);
  const Sample alike{{2, 3}, DType::f32, 1, 1}, unlike{{2, 3}, DType::f32, -1, -1};  // targets of 1 and of -1
  const Sample steps{{2}, DType::i64, 6, 6}, labels{{2}, DType::i64, 2, 2};          // the lengths of CTCLoss
  const std::string pair = "x [...], target [...] -> [...]", rows = "x [..., classes], target [...] -> [...]";
  const std::string both = "x [..., classes], target [..., classes] -> [...]",
                    mixture = "x [..., parameters], y [...] -> [...]";
  return {
      module_type<CrossEntropyLoss>({.reduction = each}, rows, {x, classes}),
      module_type<NLLLoss>({.reduction = each}, rows, {x, classes}),
      module_type<MSELoss>({.reduction = each}, pair, {x, y}),
      module_type<L1Loss>({.reduction = each}, pair, {x, y}),
      module_type<SmoothL1Loss>({.reduction = each}, pair, {x, y}),
      module_type<HuberLoss>({.reduction = each}, pair, {x, y}),
      module_type<BCELoss>({.reduction = each}, pair, {chances, reals({2, 3, 4}, 0, 1)}),
      module_type<BCEWithLogitsLoss>({.reduction = each}, pair, {x, reals({2, 3, 4}, 0, 1)}),
      module_type<KLDivLoss>({.reduction = KLReduction::none}, pair, {x, chances}),
      module_type<GaussianNLLLoss>({.reduction = each}, "x [...], target [...], var [...] -> [...]",
                                   {x, y, reals({2, 3, 4}, 0.3, 2)}),
      module_type<PoissonNLLLoss>({.reduction = each}, pair, {reals({2, 3, 4}, 0.2, 3), reals({2, 3, 4}, 0, 9)}),
      module_type<SoftMarginLoss>({.reduction = each}, pair, {row, unlike}),
      module_type<HingeEmbeddingLoss>({.reduction = each}, pair, {row, unlike}),
      module_type<MarginRankingLoss>({.reduction = each}, "x1 [...], x2 [...], target [...] -> [...]",
                                     {row, other, alike}),
      module_type<MultiMarginLoss>({.reduction = each}, rows, {x, classes}),
      module_type<MultiLabelMarginLoss>({.reduction = each}, both, {x, codes({2, 3, 4}, 4)}),
      module_type<MultiLabelSoftMarginLoss>({.reduction = each}, both, {x, reals({2, 3, 4}, 0, 1)}),
      module_type<CosineEmbeddingLoss>({.reduction = each},
                                       "x1 [..., channels], x2 [..., channels], target [...] -> [...]", {x, y, alike}),
      module_type<TripletMarginLoss>(
          {.reduction = each}, "anchor [..., channels], positive [..., channels], negative [..., channels] -> [...]",
          {x, y, reals({2, 3, 4}, -0.5, 1)}),
      module_type<CTCLoss>({.blank = 4, .reduction = each},
                           "log_probs [batch, time, classes], targets [batch, labels], input_lengths [batch], "
                           "target_lengths [batch] -> [batch]",
                           {reals({2, 6, 5}, -3, -0.5), codes({2, 2}, 4), steps, labels}),
      module_type<DiscretizedMixLogisticLoss>({.classes = 16, .reduction = each}, mixture, {reals({2, 3, 6}), other}),
      module_type<MixGaussianLoss>({.reduction = each}, mixture, {reals({2, 3, 6}), other}),
  };
}

}  // namespace tapedeck::nn
