// Reductions, scans, sorting.
#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_reduce(BadCalls& t) {
  using List = std::vector<int>;
  using Reduce = std::function<void(const Tensor&, const List&)>;
  for (const auto& [op, f] : std::vector<std::pair<const char*, Reduce>>{
           {"sum", [](const Tensor&x, const List&d) { sum(x, d); }},
           {"mean", [](const Tensor&x, const List&d) { mean(x, d); }},
           {"amax", [](const Tensor&x, const List&d) { amax(x, d); }},
           {"amin", [](const Tensor&x, const List&d) { amin(x, d); }},
           {"var", [](const Tensor&x, const List&d) { var(x, d); }},
           {"std", [](const Tensor&x, const List&d) { tapedeck::std(x, d); }},
           {"var_mean", [](const Tensor&x, const List&d) { var_mean(x, d); }},
           {"std_mean", [](const Tensor&x, const List&d) { std_mean(x, d); }},
           {"norm", [](const Tensor&x, const List&d) { norm(x, 2, d); }},
           {"norm", [](const Tensor&x, const List&d) { norm(x, 3, d); }},
           {"logsumexp list", [](const Tensor&x, const List&d) { logsumexp(x, d); }},
           {"any", [](const Tensor&x, const List&d) { any(x, d); }},
           {"all", [](const Tensor&x, const List&d) { all(x, d); }},
           {"count_nonzero", [](const Tensor&x, const List&d) { count_nonzero(x, d); }}}) {
    t.missing(op, [f = f](In g) { f(g.none, {}); });
    t.dims(op, 3, [f = f](In g, int d) { f(g.x, {0, d}); });
    t.value(op, {"dimension -2"}, [f = f](In g) { f(g.x, {1, -2}); });
  }
  using Along = std::function<void(const Tensor&, int)>;
  for (const auto& [op, f] :
       std::vector<std::pair<const char*, Along>>{{"prod dim", [](const Tensor&x, int d) { prod(x, d); }},
                                                  {"max dim", [](const Tensor&x, int d) { max(x, d); }},
                                                  {"min dim", [](const Tensor&x, int d) { min(x, d); }},
                                                  {"argmax", [](const Tensor&x, int d) { argmax(x, d); }},
                                                  {"argmin", [](const Tensor&x, int d) { argmin(x, d); }},
                                                  {"logsumexp", [](const Tensor&x, int d) { logsumexp(x, d); }},
                                                  {"cumsum", [](const Tensor&x, int d) { cumsum(x, d); }},
                                                  {"cumprod", [](const Tensor&x, int d) { cumprod(x, d); }},
                                                  {"cummax", [](const Tensor&x, int d) { cummax(x, d); }},
                                                  {"cummin", [](const Tensor&x, int d) { cummin(x, d); }},
                                                  {"logcumsumexp", [](const Tensor&x, int d) { logcumsumexp(x, d); }},
                                                  {"sort", [](const Tensor&x, int d) { sort(x, d); }},
                                                  {"argsort", [](const Tensor&x, int d) { argsort(x, d); }},
                                                  {"topk", [](const Tensor&x, int d) { topk(x, 1, d); }},
                                                  {"median dim", [](const Tensor&x, int d) { median(x, d); }},
                                                  {"quantile", [](const Tensor&x, int d) { quantile(x, 0.5, d); }},
                                                  {"quantile list", [](const Tensor&x, int d) {
                                                     quantile(x, std::vector{0.5, 1.}, d);
                                                   }}}) {
    t.missing(op, [f = f](In g) { f(g.none, 0); });
    t.dims(op, 3, [f = f](In g, int d) { f(g.x, d); });
    t.dims(op, 1, [f = f](In, int d) { f(scalar(1), d); });
  }
  t.unary({{"prod", prod}, {"max", max}, {"min", min}, {"median", median}}, false);
  const auto nothing = [](In g) { return detail::narrow(g.x, 1, 0, 0); };
  using Choose = std::function<void(const Tensor&)>;
  for (const auto& [op, f] :
       std::vector<std::pair<const char*, Choose>>{{"amax", [](const Tensor& x) { amax(x, {1}); }},
                                                   {"amin", [](const Tensor& x) { amin(x); }},
                                                   {"max", [](const Tensor& x) { max(x); }},
                                                   {"min", [](const Tensor& x) { min(x); }},
                                                   {"max dim", [](const Tensor& x) { max(x, 1); }},
                                                   {"min dim", [](const Tensor& x) { min(x, -2); }},
                                                   {"argmax", [](const Tensor& x) { argmax(x); }},
                                                   {"argmin", [](const Tensor& x) { argmin(x, 1); }},
                                                   {"median", [](const Tensor& x) { median(x); }},
                                                   {"median dim", [](const Tensor& x) { median(x, 1); }},
                                                   {"quantile", [](const Tensor& x) { quantile(x, 0.5); }}})
    t.shape(op, {"nothing to choose from"}, [f = f, nothing](In g) { f(nothing(g)); });
  t.dtype("mean", {"i64"}, [](In g) { mean(g.whole); });
  t.dtype("var", {"i64"}, [](In g) { var(g.whole); });
  t.dtype("norm", {"i64"}, [](In g) { norm(g.whole); });
  t.value("norm", {"NaN"}, [](In g) { norm(g.m, kNan); });
  t.shape("sum_to", {"[3,4]", "[2,4]"}, [](In g) { sum_to(g.m, {2, 4}); });
  t.shape("sum_to", {"[3,4]", "[1,3,4]"}, [](In g) { sum_to(g.m, {1, 3, 4}); });
  t.shape("sum_to", {"[3,4]", "[-1,4]"}, [](In g) { sum_to(g.m, {-1, 4}); });

  t.values("topk", {-1, 5, kHuge}, [](In g, std::int64_t k) { topk(g.m, k); });
  t.values("topk", {0, 2}, [](In, std::int64_t k) { topk(scalar(1), k); });
  t.reals("quantile", {-0.5, 1.5, kNan, kInfinity}, [](In g, double q) { quantile(g.m, q); });
  t.reals("quantile list", {-0.5, 1.5, kNan}, [](In g, double q) { quantile(g.m, std::vector{0.5, q}); });
  t.value("quantile list", {"empty"}, [](In g) { quantile(g.m, std::vector<double>{}); });
  t.shape("searchsorted", {"[3,4]", "[2,5,4]"}, [](In g) { searchsorted(g.m, g.x); });
  t.dtype("searchsorted", {"f32", "i64"}, [](In g) { searchsorted(g.m, g.whole); });
  t.shape("bucketize", {"[3,4]"}, [](In g) { bucketize(g.v, g.m); });
  t.missing("bucketize", [](In g) { bucketize(g.none, g.v); });
  t.values("bincount", {-1, -kHuge}, [](In g, std::int64_t n) { bincount(g.places, {}, n); });
  t.shape("bincount", {std::to_string(kHuge)}, [](In g) { bincount(g.places, {}, kHuge); });
  t.value("bincount", {"-2"}, [](In g) { bincount(g.places - 2); });
  t.shape("bincount", {"[3]", "[6]"}, [](In g) { bincount(g.places, g.v); });
  t.values("histc", {0, -3}, [](In g, std::int64_t n) { histc(g.m, n); });
  t.shapes("histc", {kHuge}, [](In g, std::int64_t n) { histc(g.m, n); });
  for (const auto& [low, high] : {std::pair{2., 1.}, {kNan, 1.}, {0., kInfinity}})
    t.value("histc", {word(low), word(high)}, [=](In g) { histc(g.m, 4, low, high); });
}

}  // namespace tapedeck::test
