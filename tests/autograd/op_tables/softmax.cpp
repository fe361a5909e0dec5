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
    t.add("cross_entropy" + tail, {{2, 3, 5}}, [=](Args x) {
      return cross_entropy(x[0], i64({0, 4, 2, 2, -1, 1}, {2, 3}), {.ignore_index = -1, .reduction = r});
    });
    t.add("mse_loss" + tail, {{2, 3}, {2, 3}}, [=](Args x) { return mse_loss(x[0], x[1], r); });
  }
}

}  // namespace tapedeck::test
