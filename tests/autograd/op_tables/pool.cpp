#include "autograd/op_table.h"

namespace tapedeck::test {

void add_pool(Table& t) {
  const auto max1 = [&](const std::string& name, Shape x, std::int64_t k, MaxPool1dOptions o) {
    t.add("max_pool1d " + name, {x}, [=](Args a) { return max_pool1d(a[0], k, o); });
  };
  max1("plain", {2, 7, 2}, 2, {}), max1("stride", {1, 8, 3}, 3, {.stride = 2}), max1("one", {1, 3, 2}, 1, {});
  max1("ceil", {2, 6, 2}, 3, {.stride = 2, .padding = 1, .ceil_mode = true});
  max1("dilation", {1, 9, 2}, 3, {.stride = 1, .padding = 1, .dilation = 2});
  const auto max2 = [&](const std::string& name, Shape x, PerDim<2> k, MaxPool2dOptions o) {
    t.add("max_pool2d " + name, {x}, [=](Args a) { return max_pool2d(a[0], k, o); });
  };
  max2("plain", {1, 4, 5, 2}, 2, {}), max2("stride", {2, 5, 5, 1}, {3, 2}, {.stride = {1, 2}});
  max2("ceil", {1, 5, 6, 2}, {2, 3}, {.stride = {2, 2}, .padding = {1, 1}, .ceil_mode = true});
  max2("dilation", {1, 6, 5, 2}, {2, 3}, {.stride = 1, .padding = {1, 1}, .dilation = {3, 2}});
  t.add("max_pool2d values of both", {{1, 5, 4, 2}},
        [](Args a) { return max_pool2d_with_indices(a[0], 3, {.stride = 2, .padding = 1}).values; });

  // Values by their places in the plane.
  const auto placed = [](const ValuesIndices& y) { return y.values * (cast(y.indices, DType::f64) + 1); };
  for (const std::int64_t k : {1, 2, 3}) {
    const std::string size = " " + std::to_string(k);
    t.add("max_pool1d_with_indices" + size, {{2, 7, 2}}, [=](Args a) {
      return placed(max_pool1d_with_indices(a[0], k, {.stride = 2, .padding = k / 2, .ceil_mode = true}));
    });
    t.add("max_pool2d_with_indices" + size, {{1, 5, 6, 2}}, [=](Args a) {
      return placed(max_pool2d_with_indices(a[0], k, {.stride = {2, 1}, .padding = k / 2}));
    });
    t.add("adaptive_max_pool1d_with_indices" + size, {{2, 5, 2}},
          [=](Args a) { return placed(adaptive_max_pool1d_with_indices(a[0], k)); });
    t.add("adaptive_max_pool2d_with_indices" + size, {{1, 5, 7, 2}}, [=](Args a) {
      return placed(adaptive_max_pool2d_with_indices(a[0], {2, k}));
    });
  }

  const auto avg1 = [&](const std::string& name, Shape x, std::int64_t k, AvgPool1dOptions o) {
    t.add("avg_pool1d " + name, {x}, [=](Args a) { return avg_pool1d(a[0], k, o); });
  };
  avg1("plain", {2, 7, 2}, 2, {}), avg1("stride", {1, 8, 3}, 3, {.stride = 2});
  avg1("ceil", {2, 6, 2}, 3, {.stride = 2, .padding = 1, .ceil_mode = true});
  avg1("without padding", {2, 6, 2}, 4, {.stride = 3, .padding = 2, .ceil_mode = true, .count_include_pad = false});
  const auto avg2 = [&](const std::string& name, Shape x, PerDim<2> k, AvgPool2dOptions o) {
    t.add("avg_pool2d " + name, {x}, [=](Args a) { return avg_pool2d(a[0], k, o); });
  };
  avg2("plain", {1, 4, 5, 2}, 2, {}), avg2("stride", {2, 5, 5, 1}, {3, 2}, {.stride = {1, 2}});
  avg2("ceil", {1, 5, 6, 2}, {2, 3}, {.stride = {2, 2}, .padding = {1, 1}, .ceil_mode = true});
  avg2("without padding", {1, 4, 4, 2}, 3,
       {.stride = {2, 1}, .padding = 1, .ceil_mode = true, .count_include_pad = false});
  avg2("divisor", {1, 4, 4, 2}, {2, 3}, {.padding = {1, 1}, .divisor_override = 5});

  for (const std::int64_t n : {1, 3, 5, 8}) {
    const std::string size = " " + std::to_string(n);
    t.add("adaptive_max_pool1d" + size, {{2, 5, 2}}, [n](Args a) { return adaptive_max_pool1d(a[0], n); });
    t.add("adaptive_avg_pool1d" + size, {{2, 5, 2}}, [n](Args a) { return adaptive_avg_pool1d(a[0], n); });
    t.add("adaptive_max_pool2d" + size, {{1, 5, 7, 2}}, [n](Args a) { return adaptive_max_pool2d(a[0], {2, n}); });
    t.add("adaptive_avg_pool2d" + size, {{1, 5, 7, 2}}, [n](Args a) { return adaptive_avg_pool2d(a[0], {n, 3}); });
  }
}

}  // namespace tapedeck::test
