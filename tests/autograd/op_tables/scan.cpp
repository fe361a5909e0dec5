#include "autograd/op_table.h"

namespace tapedeck::test {

void add_scan(Table& t) {
  for (const int dim : {0, 1, -1}) {
    const std::string tail = " " + std::to_string(dim);
    t.add("cumsum" + tail, {{2, 3, 4}}, [=](Args x) { return cumsum(x[0], dim); });
    t.add("cumprod" + tail, {{2, 3, 4}}, [=](Args x) { return cumprod(x[0], dim); });
    t.add("cummax" + tail, {{2, 3, 4}}, [=](Args x) { return cummax(x[0], dim).values; });
    t.add("cummin" + tail, {{2, 3, 4}}, [=](Args x) { return cummin(x[0], dim).values; });
    t.add("cummax places" + tail, {{2, 3, 4}},
          [=](Args x) { return x[0] * (cast(cummax(x[0], dim).indices, DType::f64) + 1); });
    t.add("cummin places" + tail, {{2, 3, 4}},
          [=](Args x) { return x[0] * (cast(cummin(x[0], dim).indices, DType::f64) + 1); });
    t.add("logcumsumexp" + tail, {{2, 3, 4}}, [=](Args x) { return logcumsumexp(x[0], dim); });
    for (const int zeros : {1, 2})
      t.add("cumprod" + tail + " zeros " + std::to_string(zeros), {{2, 3, 4}},
            [=](Args x) { return cumprod(with_zeros(x[0], zeros, 5), dim); });
  }
  t.add("cumsum long", {{40}}, [](Args x) { return cumsum(x[0], 0); });
  t.add(
      "cumprod long", {{20}}, [](Args x) { return cumprod(x[0], 0); }, 0.5, 1.6);
  t.add(
      "logcumsumexp far", {{20}}, [](Args x) { return logcumsumexp(x[0] * 20, 0); }, -1, 1, true, 1e-13);
  t.add("cummax of ties", {{3, 4}}, [](Args x) { return cummax(cat({x[0], x[0] * 1, x[0]}, 1), 1).values; });
  t.add("scans 0-d", {{}}, [](Args x) {
    return cumsum(x[0], 0) + cumprod(x[0], -1) * 2 + cummax(x[0], 0).values + cummin(x[0], 0).values +
           logcumsumexp(x[0], 0);
  });
  t.add("cumsum empty", {{0, 3}}, [](Args x) { return cumsum(x[0], 0); });
  t.add("cumprod empty", {{3, 0}}, [](Args x) { return cumprod(x[0], 1); });
}

}  // namespace tapedeck::test
