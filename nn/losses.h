// Losses as modules, under PyTorch's names and options: what ops.h has as functions. Classes and rows are the last
// dimension; each gives a 0-d tensor, or with reduction "none" a number per element or row.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/module.h>

#include <vector>

namespace tapedeck {

constexpr auto names(Reduction*) {  // batchmean: KLDivLoss's alone
  return io::enum_names<Reduction>({{Reduction::none, "none"}, {Reduction::mean, "mean"}, {Reduction::sum, "sum"}});
}

namespace nn {

// A module without parameters that follows from its config, with a forward of several tensors.
template <class Self, class C>
class Loss : public Configured<C, Module>, public Callable<Self> {
 public:
  static constexpr const char* kind = "loss";
  explicit Loss(C config = {}) : Configured<C, Module>(std::move(config)) {}
};

namespace detail {
constexpr io::Meta kReduction{.help = "of the elements' losses: none, or their mean or sum"};
constexpr io::Meta kMargin{.min = -1e6, .max = 1e6, .help = "how far apart is far enough"};
constexpr io::Meta kScale{.min = -300, .max = 300, .help = "the smallest logarithm of a scale"};
constexpr io::Meta weights(const char* help) { return {.min = 0, .max = 1e9, .help = help}; }
}  // namespace detail

struct CrossEntropyLossConfig {
  std::vector<double> weight{};
  std::int64_t ignore_index = -100;
  double label_smoothing = 0;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "CrossEntropyLoss";
  static constexpr io::Doc doc{
      "-log softmax(x)[target] in nats, of logits x [..., C] and classes [...], or of logits and probabilities [..., "
      "C].",
      "Label smoothing: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016"};
  static constexpr void fields(auto&& f) {
    using C = CrossEntropyLossConfig;
    f("weight", &C::weight, detail::weights("of each class; empty: 1"));
    f("ignore_index", &C::ignore_index, io::Meta{.help = "targets that do not count"});
    f("label_smoothing", &C::label_smoothing,
      io::Meta{.min = 0, .max = 1, .help = "part of the target that is spread evenly over all classes"});
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class CrossEntropyLoss : public Loss<CrossEntropyLoss, CrossEntropyLossConfig> {
 public:
  explicit CrossEntropyLoss(CrossEntropyLossConfig config = {});
  Tensor forward(const Tensor& x, const Tensor& target) {
    const CrossEntropyLossConfig& c = config();
    return cross_entropy(x, target, {weight, c.ignore_index, c.reduction, c.label_smoothing});
  }
  Param weight;
};

struct NLLLossConfig {
  std::vector<double> weight{};
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "NLLLoss";
  static constexpr io::Doc doc{"-x[target], of logarithms of probabilities x [..., C] and classes [...]."};
  static constexpr void fields(auto&& f) {
    using C = NLLLossConfig;
    f("weight", &C::weight, detail::weights("of each class; empty: 1"));
    f("ignore_index", &C::ignore_index, io::Meta{.help = "targets that do not count"});
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class NLLLoss : public Loss<NLLLoss, NLLLossConfig> {
 public:
  explicit NLLLoss(NLLLossConfig config = {});
  Tensor forward(const Tensor& x, const Tensor& target) {
    const NLLLossConfig& c = config();
    return nll_loss(x, target, weight, c.ignore_index, c.reduction);
  }
  Param weight;
};

// ---- pairs: x and target have one shape
struct MSELossConfig {
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "MSELoss";
  static constexpr io::Doc doc{"(x - target)^2."};
  static constexpr void fields(auto&& f) {
    using C = MSELossConfig;
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class MSELoss : public Loss<MSELoss, MSELossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target) {
    const MSELossConfig& c = config();
    return mse_loss(x, target, c.reduction);
  }
};

struct L1LossConfig {
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "L1Loss";
  static constexpr io::Doc doc{"|x - target|."};
  static constexpr void fields(auto&& f) {
    using C = L1LossConfig;
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class L1Loss : public Loss<L1Loss, L1LossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target) {
    const L1LossConfig& c = config();
    return l1_loss(x, target, c.reduction);
  }
};

struct SmoothL1LossConfig {
  double beta = 1;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "SmoothL1Loss";
  static constexpr io::Doc doc{"(x - target)^2 / (2 beta) where |x - target| < beta, else |x - target| - beta / 2.",
                               "Girshick, Fast R-CNN, ICCV 2015"};
  static constexpr void fields(auto&& f) {
    using C = SmoothL1LossConfig;
    f("beta", &C::beta, io::Meta{.min = 0, .max = 1e6, .help = "where the parabola ends; 0: L1Loss"});
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class SmoothL1Loss : public Loss<SmoothL1Loss, SmoothL1LossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target) {
    const SmoothL1LossConfig& c = config();
    return smooth_l1_loss(x, target, c.reduction, c.beta);
  }
};

struct HuberLossConfig {
  double delta = 1;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "HuberLoss";
  static constexpr io::Doc doc{
      "(x - target)^2 / 2 where |x - target| < delta, else delta * (|x - target| - delta / 2).",
      "Huber, Robust Estimation of a Location Parameter, 1964"};
  static constexpr void fields(auto&& f) {
    using C = HuberLossConfig;
    f("delta", &C::delta, io::Meta{.min = 1e-12, .max = 1e6, .help = "where the parabola ends"});
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class HuberLoss : public Loss<HuberLoss, HuberLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target) {
    const HuberLossConfig& c = config();
    return huber_loss(x, target, c.reduction, c.delta);
  }
};

struct BCELossConfig {
  std::vector<double> weight{};
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "BCELoss";
  static constexpr io::Doc doc{
      "-(target log x + (1 - target) log(1 - x)) of probabilities x; the logarithms end at -100."};
  static constexpr void fields(auto&& f) {
    using C = BCELossConfig;
    f("weight", &C::weight, detail::weights("along the last dimension; empty: 1"));
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class BCELoss : public Loss<BCELoss, BCELossConfig> {
 public:
  explicit BCELoss(BCELossConfig config = {});
  Tensor forward(const Tensor& x, const Tensor& target) {
    const BCELossConfig& c = config();
    return binary_cross_entropy(x, target, weight, c.reduction);
  }
  Param weight;
};

struct BCEWithLogitsLossConfig {
  std::vector<double> weight{}, pos_weight{};
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "BCEWithLogitsLoss";
  static constexpr io::Doc doc{
      "-(pos_weight target log p + (1 - target) log(1 - p)) with p = sigmoid(x), without forming p."};
  static constexpr void fields(auto&& f) {
    using C = BCEWithLogitsLossConfig;
    f("weight", &C::weight, detail::weights("along the last dimension; empty: 1"));
    f("pos_weight", &C::pos_weight, detail::weights("of what is true, along the last dimension; empty: 1"));
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class BCEWithLogitsLoss : public Loss<BCEWithLogitsLoss, BCEWithLogitsLossConfig> {
 public:
  explicit BCEWithLogitsLoss(BCEWithLogitsLossConfig config = {});
  Tensor forward(const Tensor& x, const Tensor& target) {
    const BCEWithLogitsLossConfig& c = config();
    return binary_cross_entropy_with_logits(x, target, weight, c.reduction, pos_weight);
  }
  Param weight, pos_weight;
};

enum class KLReduction { none, mean, sum, batchmean };
constexpr auto names(KLReduction*) {
  return io::enum_names<KLReduction>({{KLReduction::none, "none"},
                                      {KLReduction::mean, "mean"},
                                      {KLReduction::sum, "sum"},
                                      {KLReduction::batchmean, "batchmean"}});
}
struct KLDivLossConfig {
  bool log_target = false;
  KLReduction reduction = KLReduction::mean;
  static constexpr const char* type_name = "KLDivLoss";
  static constexpr io::Doc doc{"target (log target - x), of logarithms of probabilities x.",
                               "Kullback & Leibler, On Information and Sufficiency, 1951"};
  static constexpr void fields(auto&& f) {
    using C = KLDivLossConfig;
    f("log_target", &C::log_target, io::Meta{.help = "the target holds logarithms too"});
    f("reduction", &C::reduction, io::Meta{.help = "also batchmean: the sum over the size of the first dimension"});
  }
};
class KLDivLoss : public Loss<KLDivLoss, KLDivLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target) {
    const KLDivLossConfig& c = config();
    return kl_div(x, target, static_cast<Reduction>(c.reduction), c.log_target);
  }
};

struct GaussianNLLLossConfig {
  bool full = false;
  double eps = 1e-6;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "GaussianNLLLoss";
  static constexpr io::Doc doc{
      "(log var + (x - target)^2 / var) / 2, of means x and variances var [...], or one for each row.",
      "Nix & Weigend, Estimating the Mean and Variance of the Target Probability Distribution, 1994"};
  static constexpr void fields(auto&& f) {
    using C = GaussianNLLLossConfig;
    f("full", &C::full, io::Meta{.help = "with the constant log(2 pi) / 2"});
    f("eps", &C::eps, io::Meta{.min = 0, .max = 1, .help = "the smallest variance", .log = true});
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class GaussianNLLLoss : public Loss<GaussianNLLLoss, GaussianNLLLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target, const Tensor& var) {
    const GaussianNLLLossConfig& c = config();
    return gaussian_nll_loss(x, target, var, c.full, c.eps, c.reduction);
  }
};

struct PoissonNLLLossConfig {
  bool log_input = true, full = false;
  double eps = 1e-8;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "PoissonNLLLoss";
  static constexpr io::Doc doc{
      "exp(x) - target x, of logarithms of rates x and counts; of rates: x - target log(x + eps)."};
  static constexpr void fields(auto&& f) {
    using C = PoissonNLLLossConfig;
    f("log_input", &C::log_input, io::Meta{.help = "x is the logarithm of the rate"});
    f("full", &C::full, io::Meta{.help = "with Stirling's approximation of log target!"});
    f("eps", &C::eps, io::Meta{.min = 0, .max = 1, .help = "added to a rate before its logarithm", .log = true});
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class PoissonNLLLoss : public Loss<PoissonNLLLoss, PoissonNLLLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target) {
    const PoissonNLLLossConfig& c = config();
    return poisson_nll_loss(x, target, c.log_input, c.full, c.eps, c.reduction);
  }
};

struct SoftMarginLossConfig {
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "SoftMarginLoss";
  static constexpr io::Doc doc{"log(1 + exp(-target x)), of scores x and targets 1 and -1."};
  static constexpr void fields(auto&& f) {
    using C = SoftMarginLossConfig;
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class SoftMarginLoss : public Loss<SoftMarginLoss, SoftMarginLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target) {
    const SoftMarginLossConfig& c = config();
    return soft_margin_loss(x, target, c.reduction);
  }
};

struct HingeEmbeddingLossConfig {
  double margin = 1;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "HingeEmbeddingLoss";
  static constexpr io::Doc doc{"x where target is 1, max(0, margin - x) where it is -1, of distances x."};
  static constexpr void fields(auto&& f) {
    using C = HingeEmbeddingLossConfig;
    f("margin", &C::margin, detail::kMargin);
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class HingeEmbeddingLoss : public Loss<HingeEmbeddingLoss, HingeEmbeddingLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target) {
    const HingeEmbeddingLossConfig& c = config();
    return hinge_embedding_loss(x, target, c.margin, c.reduction);
  }
};

struct MarginRankingLossConfig {
  double margin = 0;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "MarginRankingLoss";
  static constexpr io::Doc doc{"max(0, -target (x1 - x2) + margin), where target 1 wants x1 above x2 and -1 below."};
  static constexpr void fields(auto&& f) {
    using C = MarginRankingLossConfig;
    f("margin", &C::margin, detail::kMargin);
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class MarginRankingLoss : public Loss<MarginRankingLoss, MarginRankingLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x1, const Tensor& x2, const Tensor& target) {
    const MarginRankingLossConfig& c = config();
    return margin_ranking_loss(x1, x2, target, c.margin, c.reduction);
  }
};

// ---- rows: the last dimension is reduced
struct MultiMarginLossConfig {
  std::int64_t p = 1;
  double margin = 1;
  std::vector<double> weight{};
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "MultiMarginLoss";
  static constexpr io::Doc doc{
      "The sum over the other classes of max(0, margin - x[target] + x[i])^p, over C; of scores x [..., C] and classes "
      "[...].",
      "Weston & Watkins, Support Vector Machines for Multi-Class Pattern Recognition, 1999"};
  static constexpr void fields(auto&& f) {
    using C = MultiMarginLossConfig;
    f("p", &C::p, io::Meta{.min = 1, .max = 2, .help = "exponent"});
    f("margin", &C::margin, detail::kMargin);
    f("weight", &C::weight, detail::weights("of each class; empty: 1"));
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class MultiMarginLoss : public Loss<MultiMarginLoss, MultiMarginLossConfig> {
 public:
  explicit MultiMarginLoss(MultiMarginLossConfig config = {});
  Tensor forward(const Tensor& x, const Tensor& target) {
    const MultiMarginLossConfig& c = config();
    return multi_margin_loss(x, target, static_cast<double>(c.p), c.margin, weight, c.reduction);
  }
  Param weight;
};

struct MultiLabelMarginLossConfig {
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "MultiLabelMarginLoss";
  static constexpr io::Doc doc{
      "The sum over the row's classes j and all others i of max(0, 1 - x[j] + x[i]), over C; target [..., C] lists the "
      "classes, up to the first -1."};
  static constexpr void fields(auto&& f) {
    using C = MultiLabelMarginLossConfig;
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class MultiLabelMarginLoss : public Loss<MultiLabelMarginLoss, MultiLabelMarginLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& target) {
    const MultiLabelMarginLossConfig& c = config();
    return multilabel_margin_loss(x, target, c.reduction);
  }
};

struct MultiLabelSoftMarginLossConfig {
  std::vector<double> weight{};
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "MultiLabelSoftMarginLoss";
  static constexpr io::Doc doc{"The mean over the classes of -(target log sigmoid(x) + (1 - target) log sigmoid(-x))."};
  static constexpr void fields(auto&& f) {
    using C = MultiLabelSoftMarginLossConfig;
    f("weight", &C::weight, detail::weights("of each class; empty: 1"));
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class MultiLabelSoftMarginLoss : public Loss<MultiLabelSoftMarginLoss, MultiLabelSoftMarginLossConfig> {
 public:
  explicit MultiLabelSoftMarginLoss(MultiLabelSoftMarginLossConfig config = {});
  Tensor forward(const Tensor& x, const Tensor& target) {
    const MultiLabelSoftMarginLossConfig& c = config();
    return multilabel_soft_margin_loss(x, target, weight, c.reduction);
  }
  Param weight;
};

struct CosineEmbeddingLossConfig {
  double margin = 0;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "CosineEmbeddingLoss";
  static constexpr io::Doc doc{"1 - cos(x1, x2) where target is 1, max(0, cos(x1, x2) - margin) where it is -1."};
  static constexpr void fields(auto&& f) {
    using C = CosineEmbeddingLossConfig;
    f("margin", &C::margin, io::Meta{.min = -1, .max = 1, .help = "the cosine that unlike rows may have"});
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class CosineEmbeddingLoss : public Loss<CosineEmbeddingLoss, CosineEmbeddingLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x1, const Tensor& x2, const Tensor& target) {
    const CosineEmbeddingLossConfig& c = config();
    return cosine_embedding_loss(x1, x2, target, c.margin, c.reduction);
  }
};

struct TripletMarginLossConfig {
  double margin = 1, p = 2, eps = 1e-6;
  bool swap = false;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "TripletMarginLoss";
  static constexpr io::Doc doc{"max(0, |anchor - positive|_p - |anchor - negative|_p + margin).",
                               "Balntas et al., Learning Local Feature Descriptors with Triplets and Shallow "
                               "Convolutional Neural Networks, BMVC 2016"};
  static constexpr void fields(auto&& f) {
    using C = TripletMarginLossConfig;
    f("margin", &C::margin, detail::kMargin);
    f("p", &C::p, io::Meta{.min = 0, .max = 1e3, .help = "of the norm of differences"});
    f("eps", &C::eps, io::Meta{.min = 0, .max = 1, .help = "added to differences", .log = true});
    f("swap", &C::swap, io::Meta{.help = "the positive may stand for the anchor where it is nearer to the negative"});
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class TripletMarginLoss : public Loss<TripletMarginLoss, TripletMarginLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& anchor, const Tensor& positive, const Tensor& negative) {
    const TripletMarginLossConfig& c = config();
    return triplet_margin_loss(anchor, positive, negative, c.margin, c.p, c.eps, c.swap, c.reduction);
  }
};

struct CTCLossConfig {
  std::int64_t blank = 0;
  bool zero_infinity = false;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "CTCLoss";
  static constexpr io::Doc doc{
      "-log P of labels under all their alignments, of log-probabilities [N, T, C] and labels [N, S] with the lengths "
      "of both [N].",
      "Graves et al., Connectionist Temporal Classification, ICML 2006"};
  static constexpr void fields(auto&& f) {
    using C = CTCLossConfig;
    f("blank", &C::blank, io::Meta{.min = 0, .max = 1 << 24, .help = "the class that stands for nothing"});
    f("zero_infinity", &C::zero_infinity, io::Meta{.help = "rows too short for their labels count as 0"});
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class CTCLoss : public Loss<CTCLoss, CTCLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                 const Tensor& target_lengths) {
    const CTCLossConfig& c = config();
    return ctc_loss(log_probs, targets, input_lengths, target_lengths, c.blank, c.reduction, c.zero_infinity);
  }
};

// ---- mixtures: x [..., 3 K] holds logits, means and logarithms of scales
struct DiscretizedMixLogisticLossConfig {
  std::int64_t classes = 256;
  double log_scale_min = -32.23619130191664;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "DiscretizedMixLogisticLoss";
  static constexpr io::Doc doc{
      "-log P of the bin around y under a mixture of K logistic distributions x [..., 3 K]; y [...] in [-1, 1].",
      "Salimans et al., PixelCNN++, ICLR 2017"};
  static constexpr void fields(auto&& f) {
    using C = DiscretizedMixLogisticLossConfig;
    f("classes", &C::classes, io::Meta{.min = 2, .max = 1 << 24, .help = "bins of [-1, 1]"});
    f("log_scale_min", &C::log_scale_min, detail::kScale);
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class DiscretizedMixLogisticLoss : public Loss<DiscretizedMixLogisticLoss, DiscretizedMixLogisticLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& y) {
    const DiscretizedMixLogisticLossConfig& c = config();
    return discretized_mix_logistic_loss(x, y, c.classes, c.log_scale_min, c.reduction);
  }
};

struct MixGaussianLossConfig {
  double log_scale_min = -32.23619130191664;
  Reduction reduction = Reduction::mean;
  static constexpr const char* type_name = "MixGaussianLoss";
  static constexpr io::Doc doc{
      "-log of the density at y under a mixture of K normal distributions x [..., 3 K]; y [...].",
      "Bishop, Mixture Density Networks, 1994"};
  static constexpr void fields(auto&& f) {
    using C = MixGaussianLossConfig;
    f("log_scale_min", &C::log_scale_min, detail::kScale);
    f("reduction", &C::reduction, detail::kReduction);
  }
};
class MixGaussianLoss : public Loss<MixGaussianLoss, MixGaussianLossConfig> {
 public:
  using Loss::Loss;
  Tensor forward(const Tensor& x, const Tensor& y) {
    const MixGaussianLossConfig& c = config();
    return mix_gaussian_loss(x, y, c.log_scale_min, c.reduction);
  }
};

}  // namespace nn
}  // namespace tapedeck
