#include "autograd/op_table.h"

namespace tapedeck::test {

void add_composed(Table& t) {
  t.unary("exp2", exp2);
  for (const int dim : {0, 1, -1})
    t.add("softmin " + std::to_string(dim), {{2, 3, 4}}, [dim](Args x) { return softmin(x[0], dim); });
  t.unary(
      "logit", [](const Tensor& x) { return logit(x); }, 0.3, 0.7);
  t.unary(
      "logit eps", [](const Tensor& x) { return logit(x, 0.3); }, 0.1, 0.9);
  t.unary("threshold", [](const Tensor& x) { return threshold(x, 0.2, -3); });
  t.binary("xlogy", xlogy, 0.2, 2);
  t.add("xlogy of 0", {{2, 3}, {2, 3}}, [](Args x) { return xlogy(with_zeros(x[0], 1, 3), x[1] + 2); });
  t.add("glu", {{2, 6}}, [](Args x) { return glu(x[0]); });
  t.add("glu middle", {{2, 4, 3}}, [](Args x) { return glu(x[0], 1); });
  t.add("glu empty", {{0, 2}}, [](Args x) { return glu(x[0], -1); });
  for (const int n : {0, 1, 2, 5}) {
    t.add("diff " + std::to_string(n), {{2, 5}}, [n](Args x) { return diff(x[0], n); });
    t.add("diff first " + std::to_string(n), {{4, 2, 3}}, [n](Args x) { return diff(x[0], n, 0); });
  }
  t.add("trace", {{3, 3}}, [](Args x) { return trace(x[0]); });
  t.add("trace wide", {{2, 4}}, [](Args x) { return trace(x[0]); });
  t.add("trace of another order", {{3, 3}}, [](Args x) { return trace(transpose(x[0], 0, 1) * x[0]); });
  t.add("tensordot", {{2, 3, 4}, {3, 4, 2}}, [](Args x) { return tensordot(x[0], x[1]); });
  t.add("tensordot none", {{2, 3}, {2}}, [](Args x) { return tensordot(x[0], x[1], 0); });
  t.add("tensordot lists", {{2, 3, 4}, {4, 5, 2}}, [](Args x) { return tensordot(x[0], x[1], {0, -1}, {2, 0}); });
  t.add("tensordot empty", {{2, 0}, {0, 3}}, [](Args x) { return tensordot(x[0], x[1], 1); });
  for (const std::int64_t n : {1, 6, 7}) {
    t.add("fftfreq " + std::to_string(n), {{n}}, [n](Args x) { return x[0] * fftfreq(n, 0.25, {DType::f64}); });
    t.add("rfftfreq " + std::to_string(n), {{n / 2 + 1}},
          [n](Args x) { return x[0] * rfftfreq(n, 0.25, {DType::f64}); });
  }
  t.add("isclose", {{2, 5}, {2, 5}},
        [](Args x) { return x[0] * (cast(isclose(x[0], x[1], 0.5, 0.1), DType::f64) + 1) + x[1]; });
}

}  // namespace tapedeck::test
