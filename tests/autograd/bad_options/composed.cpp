#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_composed(BadCalls& t) {
  t.unary({{"exp2", exp2}}, true);
  t.unary({{"logit", [](const Tensor& x) { return logit(x); }}, {"glu", [](const Tensor& x) { return glu(x); }}}, true);
  t.reals("logit", {-0.25, 0.75, kNan}, [](In g, double eps) { logit(g.m, eps); });
  t.missing("threshold", [](In g) { threshold(g.none, 0, 0); });
  t.dtype("threshold", {"0.5", "i64"}, [](In g) { threshold(g.whole, 0.5, 0); });
  t.binary({{"xlogy", xlogy}, {"isclose", [](const Tensor& a, const Tensor& b) { return isclose(a, b); }}});
  t.dtype("xlogy", {"i64"}, [](In g) { xlogy(g.whole, g.whole); });
  t.reals("isclose", {-1, kNan}, [](In g, double r) { isclose(g.m, g.m, r); });
  t.reals("isclose", {-1, kNan}, [](In g, double a) { isclose(g.m, g.m, 0, a); });
  t.dims("glu", 3, [](In g, int d) { glu(g.x, d); });
  t.shape("glu", {"[2,5,4]"}, [](In g) { glu(g.x, 1); });
  t.missing("softmin", [](In g) { softmin(g.none, 0); });
  t.dims("softmin", 2, [](In g, int d) { softmin(g.m, d); });
  t.missing("diff", [](In g) { diff(g.none); });
  t.values("diff", {-1, -kHuge}, [](In g, std::int64_t n) { diff(g.m, n); });
  t.dims("diff", 2, [](In g, int d) { diff(g.m, 1, d); });
  t.missing("trace", [](In g) { trace(g.none); });
  t.shape("trace", {"[6]"}, [](In g) { trace(g.v); });
  t.missing("tensordot", [](In g) { tensordot(g.none, g.m); });
  t.missing("tensordot lists", [](In g) { tensordot(g.m, g.none, {0}, {0}); });
  t.shape("tensordot", {"[3,4]", "[4,4]"}, [](In g) { tensordot(g.m, g.square, 2); });
  for (const int n : {-1, 3, 1'000'000}) t.shape("tensordot", {word(n)}, [n](In g) { tensordot(g.m, g.m, n); });
  t.shape("tensordot lists", {"[3,4]", "[4,4]"}, [](In g) { tensordot(g.m, g.square, {0}, {0}); });
  t.shape("tensordot lists", {"[3,4]"}, [](In g) { tensordot(g.m, g.m, {0, 1}, {0}); });
  t.value("tensordot lists", {"twice"}, [](In g) { tensordot(g.m, g.m, {0, -2}, {0, 1}); });
  t.dims("tensordot lists", 2, [](In g, int d) { tensordot(g.m, g.m, {d}, {0}); });
  t.shapes("fftfreq", {0, -1}, [](In, std::int64_t n) { fftfreq(n); });
  t.shapes("rfftfreq", {0, -1}, [](In, std::int64_t n) { rfftfreq(n); });
  t.reals("fftfreq", {0, kNan, kInfinity}, [](In, double d) { fftfreq(4, d); });
  t.reals("rfftfreq", {0, kNan, kInfinity}, [](In, double d) { rfftfreq(4, d); });
  t.dtype("fftfreq", {"i64"}, [](In) { fftfreq(4, 1, {DType::i64}); });
  t.dtype("rfftfreq", {"i64"}, [](In) { rfftfreq(4, 1, {DType::i64}); });
}

}  // namespace tapedeck::test
