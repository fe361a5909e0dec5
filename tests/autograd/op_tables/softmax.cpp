#include "autograd/op_table.h"

namespace tapedeck::test {

void add_softmax(Table& t) {
  for (const int dim : {0, 1, -1}) {
    const std::string tail = " " + std::to_string(dim);
    t.add("softmax" + tail, {{2, 3, 4}}, [=](Args x) { return softmax(x[0], dim); });
    t.add("log_softmax" + tail, {{2, 3, 4}}, [=](Args x) { return log_softmax(x[0], dim); });
    t.add("logsumexp" + tail, {{2, 3, 4}}, [=](Args x) { return logsumexp(x[0], dim, dim == 1); });
  }
  for (const auto r : {Reduction::none, Reduction::mean, Reduction::sum}) {
    const std::string tail = r == Reduction::none ? " none" : r == Reduction::mean ? " mean" : " sum";
    const Tensor target = i64({0, 4, 2, 2, -1, 1}, {2, 3});
    const auto entropy = [&](const std::string& what, CrossEntropyOptions o) {
      o.ignore_index = -1, o.reduction = r;
      t.add("cross_entropy" + what + tail, {{2, 3, 5}}, [=](Args x) { return cross_entropy(x[0], target, o); });
    };
    const Tensor weight = f64({0.5, 2, 1, 0.25, 3}, {5});
    entropy("", {});
    entropy(" weighted", {.weight = weight});
    entropy(" smoothed", {.label_smoothing = 0.1});
    entropy(" weighted and smoothed", {.weight = weight, .label_smoothing = 0.3});
    t.add("cross_entropy soft" + tail, {{2, 3, 5}, {2, 3, 5}},
          [=](Args x) { return cross_entropy(x[0], softmax(x[1], -1), {.reduction = r}); });
    t.add("cross_entropy soft, weighted and smoothed" + tail, {{2, 3, 5}, {2, 3, 5}}, [=](Args x) {
      return cross_entropy(x[0], softmax(x[1], -1), {.weight = weight, .reduction = r, .label_smoothing = 0.2});
    });
    t.add("nll_loss" + tail, {{2, 3, 5}}, [=](Args x) { return nll_loss(x[0], target, {}, -1, r); });
    t.add("nll_loss weighted" + tail, {{2, 3, 5}}, [=](Args x) { return nll_loss(x[0], target, weight, -1, r); });
  }
}

}  // namespace tapedeck::test
