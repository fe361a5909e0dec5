#include "autograd/op_table.h"

namespace tapedeck::test {

void add_sort(Table& t) {
  const auto factor = [](const Tensor& places) { return cast(places, DType::f64) + 1; };
  for (const int dim : {0, 1, -1})
    for (const bool down : {false, true}) {
      const std::string tail = " " + std::to_string(dim) + (down ? " down" : " up");
      t.add("sort" + tail, {{2, 3, 4}}, [=](Args x) { return sort(x[0], dim, down).values; });
      t.add("sort places" + tail, {{2, 3, 4}}, [=](Args x) { return x[0] * factor(sort(x[0], dim, down).indices); });
      t.add("argsort" + tail, {{2, 3, 4}}, [=](Args x) { return x[0] * factor(argsort(x[0], dim, down)); });
      t.add("topk" + tail, {{2, 3, 4}}, [=](Args x) {
        const ValuesIndices y = topk(x[0], 2, dim, down);
        return y.values * factor(y.indices);
      });
    }
  t.add("topk of all", {{7}}, [](Args x) { return topk(x[0], 7).values; });
  t.add("topk of none", {{3, 4}}, [](Args x) { return topk(x[0], 0, 0).values; });
  t.add("sort 0-d", {{}}, [](Args x) { return sort(x[0]).values + topk(x[0], 1).values; });
  t.add("sort empty", {{0, 3}}, [](Args x) { return sort(x[0], 0).values; });
  for (const std::int64_t n : {1, 6, 7})
    t.add("median of " + std::to_string(n), {{n}}, [](Args x) { return median(x[0]); });
  for (const int dim : {0, 1, -1})
    t.add("median " + std::to_string(dim), {{2, 3, 4}}, [=](Args x) {
      const ValuesIndices y = median(x[0], dim, dim == 1);
      return y.values * factor(y.indices);
    });
  for (const int dim : {0, 1, -1})
    t.add("kthvalue " + std::to_string(dim), {{2, 3, 4}}, [=](Args x) {
      const ValuesIndices y = kthvalue(x[0], 2, dim, dim == 1);
      return y.values * factor(y.indices);
    });
  t.add("searchsorted sorter", {{2, 3}}, [=](Args x) {
    const Tensor mixed = f64({0.5, -1, 0, 0.1, 0.9, -0.5, -0.2, 0.1}, {2, 4});
    return x[0] * factor(searchsorted(mixed, x[0], false, argsort(mixed)));
  });
  constexpr const char* names[] = {"linear", "lower", "higher", "midpoint", "nearest"};
  for (int m = 0; m < 5; ++m) {
    const auto mode = static_cast<QuantileMode>(m);
    const std::string tail = std::string(" ") + names[m];
    t.add("quantile" + tail, {{2, 3, 4}}, [=](Args x) { return quantile(x[0], 0.3, {}, false, mode); });
    t.add("quantile list" + tail, {{7, 4}}, [=](Args x) {
      return quantile(x[0], std::vector{0.0, 0.25, 0.45, 0.9, 1.0}, 0, true, mode);
    });
    t.add("quantile last" + tail, {{2, 3, 4}}, [=](Args x) { return quantile(x[0], 0.5, -1, false, mode); });
  }
  t.add("quantile of ties", {{3, 4}}, [](Args x) {
    return quantile(cat({x[0], x[0]}, 1), std::vector{0.2, 0.6}, 1, false);
  });
  for (const bool right : {false, true}) {
    const std::string tail = right ? " right" : " left";
    t.add("searchsorted" + tail, {{2, 3}}, [=](Args x) {
      return x[0] * factor(searchsorted(f64({-1, 0, 0, 0.5, -0.5, -0.2, 0.1, 0.9}, {2, 4}), x[0], right));
    });
    t.add("bucketize" + tail, {{2, 3, 4}}, [=](Args x) {
      return x[0] * factor(bucketize(x[0], f64({-0.5, 0, 0, 0.5}, {4}), right));
    });
    // Values that stand in the sequence.
    t.add("searchsorted equal" + tail, {{4}}, [=](Args x) {
      return x[0] * factor(searchsorted(f64({1, 2, 2, 3}, {4}), f64({1, 2, 3, 4}, {4}), right));
    });
  }
  t.add("bincount", {{5}}, [=](Args x) {
    return x[0] * cast(bincount(i64({1, 4, 1, 0, 4, 4}, {6})), DType::f64) +
           x[0] * bincount(i64({1, 0, 1, 0}, {4}), f64({0.5, 0.25, 2, -1}, {4}), 5);
  });
  t.add("histc", {{20}}, [](Args x) { return histc(x[0], 5) * sum(x[0]) + histc(x[0], 5, -0.5, 0.75) * sum(x[0]); });
}

}  // namespace tapedeck::test
