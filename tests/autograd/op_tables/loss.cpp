#include "autograd/op_table.h"

namespace tapedeck::test {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const Shape kPair{2, 3}, kRows{3, 4};

std::string tail(Reduction r) { return r == Reduction::none ? " none" : r == Reduction::mean ? " mean" : " sum"; }
Tensor signs() { return f64({1, -1, -1, 1, 1, -1}, kPair); }
Tensor row_signs() { return f64({1, -1, 1}, {3}); }

void add_pairs(Table& t, Reduction r) {
  const auto add = [&](const std::string& name, auto fn, double low = -1, double high = 1) {
    t.add(
        name + tail(r), {kPair, kPair}, [=](Args x) { return fn(x[0], x[1]); }, low, high);
  };
  const auto one = [&](const std::string& name, auto fn, double low = -1, double high = 1) {
    t.add(
        name + tail(r), {kPair}, [=](Args x) { return fn(x[0]); }, low, high);
  };
  using T = const Tensor&;
  const Tensor row = f64({0.5, 2, 3}, {3});
  add("mse_loss", [=](T x, T y) { return mse_loss(x, y, r); });
  add("l1_loss", [=](T x, T y) { return l1_loss(x, y, r); });
  for (const double beta : {0., 0.3, 1.})
    add("smooth_l1_loss " + std::to_string(beta).substr(0, 3), [=](T x, T y) { return smooth_l1_loss(x, y, r, beta); });
  for (const double delta : {0.3, 1.})
    add("huber_loss " + std::to_string(delta).substr(0, 3), [=](T x, T y) { return huber_loss(x, y, r, delta); });
  add(
      "binary_cross_entropy", [=](T x, T y) { return binary_cross_entropy(x, y, {}, r); }, 0.2, 0.8);
  add(
      "binary_cross_entropy weighted", [=](T x, T y) { return binary_cross_entropy(x, y, row, r); }, 0.2, 0.8);
  add(
      "binary_cross_entropy_with_logits", [=](T x, T y) { return binary_cross_entropy_with_logits(x, y, {}, r); }, -3,
      3);
  add("binary_cross_entropy_with_logits weighted",
      [=](T x, T y) { return binary_cross_entropy_with_logits(x, y, row, r); });
  add("binary_cross_entropy_with_logits pos_weight", [=](T x, T y) {
    return binary_cross_entropy_with_logits(x, y, row, r, f64({2, 0.5, 1}, {3}));
  });
  add(
      "kl_div", [=](T x, T y) { return kl_div(x, y, r); }, 0.1, 2);
  add("kl_div log_target", [=](T x, T y) { return kl_div(x, y, r, true); });
  one("kl_div with zeros", [=](T x) { return kl_div(x, f64({0, 0.5, 1, 0, 0.25, 2}, kPair), r); });
  for (const bool full : {false, true}) {
    const std::string which = full ? " full" : "";
    t.add(
        "gaussian_nll_loss" + which + tail(r), {kPair, kPair, kPair},
        [=](Args x) { return gaussian_nll_loss(x[0], x[1], x[2], full, 1e-6, r); }, 0.5, 2);
    add(
        "poisson_nll_loss" + which, [=](T x, T y) { return poisson_nll_loss(x, y, true, full, 1e-8, r); }, 0.2, 2.9);
    add(
        "poisson_nll_loss not log" + which, [=](T x, T y) { return poisson_nll_loss(x, y, false, full, 1e-8, r); }, 0.2,
        2.9);
  }
  t.add(
      "gaussian_nll_loss shared var" + tail(r), {kPair, kPair, {2}},
      [=](Args x) { return gaussian_nll_loss(x[0], x[1], x[2], false, 1e-6, r); }, 0.5, 2);
  one(
      "soft_margin_loss", [=](T x) { return soft_margin_loss(x, signs(), r); }, -3, 3);
  one(
      "hinge_embedding_loss", [=](T x) { return hinge_embedding_loss(x, signs(), 1, r); }, -3, 3);
  one("hinge_embedding_loss margin 0.3", [=](T x) { return hinge_embedding_loss(x, signs(), 0.3, r); });
  add("margin_ranking_loss", [=](T x, T y) { return margin_ranking_loss(x, y, signs(), 0, r); });
  add("margin_ranking_loss margin 0.5", [=](T x, T y) { return margin_ranking_loss(x, y, signs(), 0.5, r); });
}

void add_rows(Table& t, Reduction r) {
  const Tensor target = i64({3, 0, 2}, {3}), weight = f64({0.5, 2, 3, 1}, {4});
  for (const double p : {1., 2.}) {
    const std::string name = "multi_margin_loss p " + std::to_string(static_cast<int>(p));
    t.add(name + tail(r), {kRows}, [=](Args x) { return multi_margin_loss(x[0], target, p, 1, {}, r); });
    t.add(name + " weighted" + tail(r), {kRows},
          [=](Args x) { return multi_margin_loss(x[0], target, p, 0.4, weight, r); });
  }
  const Tensor labels = i64({3, 0, -1, 1, -1, 0, 0, 0, 2, 2, 1, 0}, kRows);
  t.add("multilabel_margin_loss" + tail(r), {kRows}, [=](Args x) { return multilabel_margin_loss(x[0], labels, r); });
  t.add("multilabel_soft_margin_loss" + tail(r), {kRows, kRows},
        [=](Args x) { return multilabel_soft_margin_loss(x[0], x[1], {}, r); });
  t.add("multilabel_soft_margin_loss weighted" + tail(r), {kRows, kRows},
        [=](Args x) { return multilabel_soft_margin_loss(x[0], x[1], weight, r); });
  for (const double margin : {0., -0.5})
    t.add("cosine_embedding_loss margin " + std::to_string(margin).substr(0, 4) + tail(r), {kRows, kRows},
          [=](Args x) { return cosine_embedding_loss(x[0], x[1], row_signs(), margin, r); });
  for (const double p : {1., 2., 3., kInf})
    for (const bool swap : {false, true})
      t.add("triplet_margin_loss p " + std::to_string(p).substr(0, 3) + (swap ? " swap" : "") + tail(r),
            {kRows, kRows, kRows},
            [=](Args x) {  // No ties of the largest distances.
              return triplet_margin_loss(exp(x[0]), x[1], exp(neg(x[2])), 0.5, p, 1e-6, swap, r);
            });
}

// Through log_softmax, as its gradient takes for granted.
void add_ctc(Table& t, Reduction r) {
  const Tensor padded = i64({1, 2, 2, 3, 1, 0, 2, 0, 0}, {3, 3}), packed = i64({1, 2, 2, 3, 1, 2}, {6});
  const Tensor steps = i64({6, 5, 3}, {3}), labels = i64({3, 2, 1}, {3});
  t.add(
      "ctc_loss" + tail(r), {{3, 6, 4}},
      [=](Args x) { return ctc_loss(log_softmax(x[0], -1), padded, steps, labels, 0, r); }, -1, 1, false, 1e-13);
  t.add(
      "ctc_loss packed" + tail(r), {{3, 6, 4}},
      [=](Args x) { return ctc_loss(log_softmax(x[0], -1), packed, steps, labels, 0, r); }, -1, 1, false, 1e-13);
  t.add(
      "ctc_loss blank 3, no labels" + tail(r), {{2, 4, 4}},
      [=](Args x) {
        return ctc_loss(log_softmax(x[0], -1), i64({0, 1, 2, 2}, {2, 2}), i64({4, 4}, {2}), i64({2, 0}, {2}), 3, r);
      },
      -3, 3, false, 1e-13);
  t.add(
      "ctc_loss zero_infinity" + tail(r), {{2, 3, 4}},
      [=](Args x) {
        return ctc_loss(log_softmax(x[0], -1), i64({1, 1, 2, 1, 2, 0}, {2, 3}), i64({3, 3}, {2}), i64({3, 2}, {2}), 0,
                        r, true);
      },
      -1, 1, false, 1e-13);
  t.add(
      "ctc_loss one recording" + tail(r), {{5, 4}},
      [=](Args x) {
        return ctc_loss(log_softmax(x[0], -1), i64({3, 3}, {2}), i64({5}, {}), i64({2}, {}), 0, r);
      },
      -1, 1, false, 1e-13);
}

void add_mixtures(Table& t, Reduction r) {
  for (const std::int64_t classes : {16, 256})
    t.add(
        "discretized_mix_logistic_loss " + std::to_string(classes) + tail(r), {{2, 3, 12}, {2, 3}},
        [=](Args x) { return discretized_mix_logistic_loss(x[0], x[1], classes, -7, r); }, -0.9, 0.9, false, 1e-12);
  t.add(
      "discretized_mix_logistic_loss edges and floor" + tail(r), {{2, 3, 6}},
      [=](Args x) {
        return discretized_mix_logistic_loss(x[0], f64({-1, 1, 0.2, -0.5, 1, -1}, {2, 3}), 16, -0.05, r);
      },
      -0.9, 0.9, false, 1e-12);
  t.add(
      "discretized_mix_logistic_loss one component" + tail(r), {{5, 3}, {5}},
      [=](Args x) { return discretized_mix_logistic_loss(x[0], x[1], 64, -7, r); }, -0.9, 0.9, false, 1e-12);
  t.add(
      "mix_gaussian_loss" + tail(r), {{2, 3, 12}, {2, 3}}, [=](Args x) { return mix_gaussian_loss(x[0], x[1], -7, r); },
      -1, 1, false, 1e-13);
  t.add(
      "mix_gaussian_loss floor" + tail(r), {{2, 6}, {2}},
      [=](Args x) { return mix_gaussian_loss(x[0], x[1], -0.05, r); }, -1, 1, false, 1e-13);
  t.add(
      "mix_gaussian_loss one component" + tail(r), {{3}, {}},
      [=](Args x) { return mix_gaussian_loss(x[0], x[1], -7, r); }, -1, 1, false, 1e-13);
}

}  // namespace

void add_loss(Table& t) {
  for (const auto r : {Reduction::none, Reduction::mean, Reduction::sum}) {
    add_pairs(t, r), add_rows(t, r), add_ctc(t, r), add_mixtures(t, r);
  }
  t.add(
      "kl_div batchmean", {kPair, kPair}, [](Args x) { return kl_div(x[0], x[1], Reduction::batchmean); }, 0.1, 2);
  t.add("kl_div log_target batchmean", {kPair, kPair},
        [](Args x) { return kl_div(x[0], x[1], Reduction::batchmean, true); });
}

}  // namespace tapedeck::test
