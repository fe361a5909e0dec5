#include "autograd/op_table.h"

namespace tapedeck::test {

void add_bounds(Table& t) {
  const std::vector<std::pair<const char*, std::vector<Shape>>> three{
      {"", {{2, 5}, {2, 5}, {2, 5}}}, {" row", {{3, 4}, {4}, {3, 1}}}, {" both ways", {{3, 1}, {4}, {}}}};
  for (const auto& [what, shapes] : three) {
    const std::string tail = what;
    const std::vector<Shape> two{shapes[0], shapes[1]};
    t.add("clamp tensors" + tail, shapes, [](Args x) { return clamp(x[0], x[1] - 0.4, x[2] + 0.4); });
    t.add("clamp low" + tail, two, [](Args x) { return clamp(x[0], x[1], {}); });
    t.add("clamp high" + tail, two, [](Args x) { return clamp(x[0], {}, x[1]); });
    t.add("clamp_min" + tail, two, [](Args x) { return clamp_min(clamp_min(x[0], -0.7), x[1] - 0.2); });
    t.add("clamp_max" + tail, two, [](Args x) { return clamp_max(clamp_max(x[0], 0.7), x[1] + 0.2); });
    t.add("max pair" + tail, two, [](Args x) { return max(x[0], x[1]); });
    t.add("min pair" + tail, two, [](Args x) { return min(x[0], x[1]); });
    t.add("add alpha" + tail, two, [](Args x) { return add(x[0], x[1], -2.5); });
    t.add("sub alpha" + tail, two, [](Args x) { return sub(x[0], x[1], 0.75); });
    t.add("div floor" + tail, two, [](Args x) { return div(x[0] * 7, x[1] - 2, Rounding::floor) * x[0]; });
    t.add("div trunc" + tail, two, [](Args x) { return div(x[0] * 7, x[1] - 2, Rounding::trunc) * x[0]; });
    t.add("logaddexp" + tail, two, [](Args x) { return logaddexp(x[0] * 3, x[1]); });
    t.add("pow base" + tail, two, [](Args x) { return pow(2.5, x[0]) * x[1]; });
  }
  const Tensor positive = gt(spread({3, 4}, -1, 1, 2), scalar(0, {DType::f64}));
  t.add("where right", {{3, 4}}, [=](Args x) { return where(positive, x[0], -2); });
  t.add("where left", {{4}}, [=](Args x) { return where(positive, 0.5, x[0]); });
  t.add("clamp crossing", {{2, 5}, {2, 5}}, [](Args x) { return clamp(x[0], x[1] + 0.5, x[1] - 0.5); });
}

}  // namespace tapedeck::test
