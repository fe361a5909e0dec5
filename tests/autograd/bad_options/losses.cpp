// The softmax family, losses, mixtures.
#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_losses(BadCalls& t) {
  t.dims("softmax", 3, [](In g, int d) { softmax(g.x, d); });
  t.dims("log_softmax", 3, [](In g, int d) { log_softmax(g.x, d); });
  t.dims("gumbel_softmax", 3, [](In g, int d) { gumbel_softmax(g.x, 1, false, d); });
  t.reals("gumbel_softmax", {0, -1, kNan}, [](In g, double tau) { gumbel_softmax(g.m, tau); });
  t.dtype("softmax", {"i64"}, [](In g) { softmax(g.whole, 0); });
  t.dtype("log_softmax", {"i64"}, [](In g) { log_softmax(g.whole, 0); });

  t.reals("cross_entropy", {-0.1, 1.5, kNan},
          [](In g, double s) { cross_entropy(g.m, g.places, {.label_smoothing = s}); });
  t.value("cross_entropy", {"target 7", "[0, 4)"}, [](In g) { cross_entropy(g.m, g.far); });
  t.value("cross_entropy", {"target -1", "[0, 4)"}, [](In g) { cross_entropy(g.m, g.places - 1); });
  t.shape("cross_entropy", {"[3]"}, [](In g) { cross_entropy(g.x, g.places); });
  t.shape("cross_entropy", {"[6]", "4"}, [](In g) { cross_entropy(g.m, g.places, {.weight = detach(g.v)}); });
  t.value("cross_entropy", {"batchmean"},
          [](In g) { cross_entropy(g.m, g.places, {.reduction = Reduction::batchmean}); });
  t.value("nll_loss", {"target 7", "[0, 4)"}, [](In g) { nll_loss(g.m, g.far); });
  t.value("nll_loss", {"target 7"}, [](In g) { nll_loss(g.m, g.far, {}, 1); });
  t.shape("nll_loss", {"[6]", "4"}, [](In g) { nll_loss(g.m, g.places, detach(g.v)); });

  // Two tensors and a reduction.
  using Loss = std::function<void(const Tensor&, const Tensor&, Reduction)>;
  using X = const Tensor&;
  for (const auto& [op, f] : std::vector<std::pair<const char*, Loss>>{
           {"mse_loss", [](X x, X y, Reduction r) { mse_loss(x, y, r); }},
           {"l1_loss", [](X x, X y, Reduction r) { l1_loss(x, y, r); }},
           {"smooth_l1_loss", [](X x, X y, Reduction r) { smooth_l1_loss(x, y, r); }},
           {"huber_loss", [](X x, X y, Reduction r) { huber_loss(x, y, r); }},
           {"binary_cross_entropy", [](X x, X y, Reduction r) { binary_cross_entropy(x, y, {}, r); }},
           {"binary_cross_entropy_with_logits",
            [](X x, X y, Reduction r) { binary_cross_entropy_with_logits(x, y, {}, r); }},
           {"gaussian_nll_loss", [](X x, X y, Reduction r) { gaussian_nll_loss(x, y, x, false, 1e-6, r); }},
           {"poisson_nll_loss", [](X x, X y, Reduction r) { poisson_nll_loss(x, y, true, false, 1e-8, r); }},
           {"soft_margin_loss", [](X x, X y, Reduction r) { soft_margin_loss(x, y, r); }},
           {"hinge_embedding_loss", [](X x, X y, Reduction r) { hinge_embedding_loss(x, y, 1, r); }},
           {"multilabel_soft_margin_loss", [](X x, X y, Reduction r) { multilabel_soft_margin_loss(x, y, {}, r); }}}) {
    t.missing(op, [f = f](In g) { f(g.none, g.m, Reduction::mean); });
    t.missing(op, [f = f](In g) { f(g.m, g.none, Reduction::mean); });
    t.shape(op, {"[3,4]", "[2,5,4]"}, [f = f](In g) { f(g.m, g.x, Reduction::mean); });
    t.dtype(op, {"i64"}, [f = f](In g) { f(g.m, g.whole, Reduction::mean); });
    t.value(op, {"batchmean"}, [f = f](In g) { f(g.m, g.m, Reduction::batchmean); });
    t.device(op, [f = f](In g) { f(g.m, g.away, Reduction::mean); });
  }
  t.shape("kl_div", {"[3,4]", "[2,5,4]"}, [](In g) { kl_div(g.m, g.x); });
  t.dtype("kl_div", {"i64"}, [](In g) { kl_div(g.m, g.whole); });
  t.reals("smooth_l1_loss", {-1, kNan}, [](In g, double b) { smooth_l1_loss(g.m, g.m, Reduction::mean, b); });
  t.reals("huber_loss", {0, -1, kNan}, [](In g, double d) { huber_loss(g.m, g.m, Reduction::mean, d); });
  t.value("binary_cross_entropy", {"[0, 1]"}, [](In g) { binary_cross_entropy(detach(g.m) * 3, g.m); });
  t.shape("binary_cross_entropy", {"[3,4]", "[2,5,4]"}, [](In g) { binary_cross_entropy(g.m, g.m, detach(g.x)); });
  t.shape("binary_cross_entropy_with_logits", {"[3,4]", "[2,5,4]"},
          [](In g) { binary_cross_entropy_with_logits(g.m, g.m, {}, Reduction::mean, detach(g.x)); });
  t.reals("gaussian_nll_loss", {0, -1, kNan}, [](In g, double e) { gaussian_nll_loss(g.m, g.m, g.m, false, e); });
  t.value("gaussian_nll_loss", {"-0."}, [](In g) { gaussian_nll_loss(g.m, g.m, detach(g.m) - 1); });
  t.shape("gaussian_nll_loss", {"[3,4]", "[6]"}, [](In g) { gaussian_nll_loss(g.m, g.m, g.v); });
  t.reals("poisson_nll_loss", {-1, kNan}, [](In g, double e) { poisson_nll_loss(g.m, g.m, false, false, e); });
  t.shape("margin_ranking_loss", {"[3,4]", "[2,5,4]"}, [](In g) { margin_ranking_loss(g.m, g.x, g.m); });
  t.missing("margin_ranking_loss", [](In g) { margin_ranking_loss(g.m, g.m, g.none); });

  t.reals("multi_margin_loss", {0, 3, 1.5, kNan}, [](In g, double p) { multi_margin_loss(g.m, g.places, p); });
  t.value("multi_margin_loss", {"index 7", "[0, 4)"}, [](In g) { multi_margin_loss(g.m, g.far); });
  t.shape("multi_margin_loss", {"[6]", "4"}, [](In g) { multi_margin_loss(g.m, g.places, 1, 1, detach(g.v)); });
  t.shape("cosine_embedding_loss", {"[3,4]", "[6]"}, [](In g) { cosine_embedding_loss(g.m, g.m, g.v); });
  t.reals("triplet_margin_loss", {-1, kNan}, [](In g, double p) { triplet_margin_loss(g.m, g.m, g.m, 1, p); });
  t.shape("triplet_margin_loss", {"[3,4]", "[2,5,4]"}, [](In g) { triplet_margin_loss(g.m, g.m, g.x); });

  // log_probs [3, 4] of one sequence: 3 steps, 4 classes.
  const auto only = [](std::int64_t n) { return tensor(std::vector{n}, {1}); };
  t.values("ctc_loss", {-1, 4, kHuge},
           [=](In g, std::int64_t blank) { ctc_loss(g.m, g.places, only(3), only(3), blank); });
  t.value("ctc_loss", {"label 7", "[0, 4)"}, [=](In g) { ctc_loss(g.m, g.far, only(3), only(3), 3); });
  t.value("ctc_loss", {"label 0", "blank 0"}, [=](In g) { ctc_loss(g.m, g.places, only(3), only(3)); });
  t.values("ctc_loss", {-1, 4, kHuge}, [=](In g, std::int64_t n) { ctc_loss(g.m, g.places, only(n), only(3), 3); });
  t.values("ctc_loss", {-1, 4, kHuge}, [=](In g, std::int64_t n) { ctc_loss(g.m, g.places, only(3), only(n), 3); });
  t.shape("ctc_loss", {"[3]", "1"}, [=](In g) { ctc_loss(g.m, g.places, g.places, only(3), 3); });

  const auto mixture = [](In g) { return detail::narrow(g.v, 0, 0, 6); };
  const auto y = [](In g) { return detail::try_reshape(detail::narrow(g.v, 0, 0, 1), {}); };
  t.values("discretized_mix_logistic_loss", {1, 0, -3},
           [=](In g, std::int64_t n) { discretized_mix_logistic_loss(mixture(g), y(g), n); });
  t.reals("discretized_mix_logistic_loss", {kNan, kInfinity, -301},
          [=](In g, double s) { discretized_mix_logistic_loss(mixture(g), y(g), 256, s); });
  t.shape("discretized_mix_logistic_loss", {"[3,4]"}, [](In g) { discretized_mix_logistic_loss(g.m, g.v); });
  t.reals("mix_gaussian_loss", {kNan, kInfinity, 301}, [=](In g, double s) { mix_gaussian_loss(mixture(g), y(g), s); });
  t.shape("mix_gaussian_loss", {"[6]", "[3,4]"}, [](In g) { mix_gaussian_loss(g.v, g.m); });
  t.reals("sample_from_discretized_mix_logistic", {-1, kNan, kInfinity},
          [](In g, double s) { sample_from_discretized_mix_logistic(g.v, -7, s); });
  t.reals("sample_from_discretized_mix_logistic", {kNan, -1e9},
          [](In g, double s) { sample_from_discretized_mix_logistic(g.v, s); });
  t.reals("sample_from_mix_gaussian", {-1, kNan, kInfinity},
          [](In g, double s) { sample_from_mix_gaussian(g.v, -7, s); });
  t.shape("sample_from_mix_gaussian", {"[3,4]"}, [](In g) { sample_from_mix_gaussian(g.m); });
}

}  // namespace tapedeck::test
