#include <cmath>
#include <limits>

#include "autograd/op_table.h"

namespace tapedeck::test {
namespace {

void add_products(Table& t) {
  for (const int zeros : {0, 1, 2}) {
    const std::string tail = zeros ? " " + std::to_string(zeros) + " zeros" : "";
    if (zeros < 2) t.add("prod" + tail, {{2, 3}}, [=](Args x) { return prod(with_zeros(x[0], zeros, 6)); });
    for (const int dim : {0, 1, -1})
      t.add("prod " + std::to_string(dim) + tail, {{2, 3, 4}},
            [=](Args x) { return prod(with_zeros(x[0], zeros, 7), dim, dim == 1); });
  }
  t.add("prod 0-d", {{}}, [](Args x) { return prod(x[0], -1) + prod(x[0]); });
  t.add("prod empty", {{0, 3}}, [](Args x) { return prod(x[0], 0); });
}

void add_extremes(Table& t) {
  t.add("max", {{2, 3, 4}}, [](Args x) { return max(x[0]); });
  t.add("min", {{2, 3, 4}}, [](Args x) { return min(x[0]); });
  t.add("max of ties", {{2, 3}}, [](Args x) { return max(cat({x[0], x[0] * 1}) * spread({4, 1}, 1, 1.001)); });
  for (const int dim : {0, 1, -1}) {
    const std::string tail = " " + std::to_string(dim);
    t.add("max" + tail, {{2, 3, 4}}, [=](Args x) { return max(x[0], dim, dim == 1).values; });
    t.add("min" + tail, {{2, 3, 4}}, [=](Args x) { return min(x[0], dim, dim == 1).values; });
    // Places, as factors.
    const auto factor = [](const Tensor& places) { return cast(places, DType::f64) + 1; };
    t.add("argmax" + tail, {{2, 3, 4}}, [=](Args x) { return sum(x[0], {dim}) * factor(argmax(x[0], dim)); });
    t.add("argmin" + tail, {{2, 3, 4}}, [=](Args x) { return sum(x[0], {dim}) * factor(argmin(x[0], dim)); });
  }
  t.add("max 0-d", {{}}, [](Args x) { return max(x[0], 0).values + min(x[0], -1).values; });
  t.add("argmax all", {{2, 3, 4}},
        [](Args x) { return sum(x[0]) * cast(argmax(x[0]), DType::f64) + sum(x[0]) * cast(argmin(x[0]), DType::f64); });
}

void add_norms(Table& t) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const auto& [p, name] : std::vector<std::pair<double, std::string>>{{0, "0"},
                                                                           {0.5, "0.5"},
                                                                           {1, "1"},
                                                                           {1.5, "1.5"},
                                                                           {2, "2"},
                                                                           {3, "3"},
                                                                           {-1, "-1"},
                                                                           {kInf, "inf"},
                                                                           {-kInf, "-inf"}})
    for (const auto& dims : std::vector<std::vector<int>>{{}, {1}, {0, -1}}) {
      std::string text = "norm " + name + " over";
      for (const int d : dims) text += " " + std::to_string(d);
      t.add(
          text, {{2, 3, 4}},
          [p = p, dims](Args x) {
            return norm(x[0] * f64({1, -1, -1, 1}, {4}), p, dims, dims.size() == 1);
          },
          1, 4, true, 1e-13);
    }
  for (const double p : {1., 2., 3.})
    t.add("norm of a row of zeros " + std::to_string(static_cast<int>(p)), {{2, 3}}, [p](Args x) {
      return norm(x[0] * f64({1, 0}, {2, 1}), p, {1});
    });
}

void add_moments(Table& t) {
  for (const auto& dims : std::vector<std::vector<int>>{{}, {0}, {-1}, {0, 2}}) {
    std::string tail;
    for (const int d : dims) tail += " " + std::to_string(d);
    t.add("std" + tail, {{2, 3, 4}}, [=](Args x) { return tapedeck::std(x[0], dims, dims.size() == 1); });
    t.add("var_mean" + tail, {{2, 3, 4}}, [=](Args x) {
      const VarMean m = var_mean(x[0], dims, false, false);
      return m.var * 2 + m.mean;
    });
    t.add("std_mean" + tail, {{2, 3, 4}}, [=](Args x) {
      const StdMean m = std_mean(x[0], dims, true);
      return m.std * 2 + m.mean;
    });
  }
  t.add("std of equals", {{2, 3}}, [](Args x) { return tapedeck::std(x[0] * 0 + 1, {1}); });
}

void add_counts(Table& t) {
  for (const auto& dims : std::vector<std::vector<int>>{{0}, {-1}, {0, 2}}) {
    std::string tail;
    for (const int d : dims) tail += " " + std::to_string(d);
    const auto positive = [](const Tensor& x) { return gt(x, f64({0}, {})); };
    const auto number = [](const Tensor& y) { return cast(y, DType::f64) + 1; };
    t.add("count_nonzero" + tail, {{2, 3, 4}},
          [=](Args x) { return sum(x[0], dims) * number(count_nonzero(positive(x[0]), dims)); });
    t.add("any" + tail, {{2, 3, 4}}, [=](Args x) { return sum(x[0], dims) * number(any(positive(x[0]), dims)); });
    t.add("all" + tail, {{2, 3, 4}}, [=](Args x) { return sum(x[0], dims) * number(all(positive(x[0]), dims)); });
  }
}

}  // namespace

void add_reduce(Table& t) {
  add_products(t);
  add_extremes(t);
  add_norms(t);
  add_moments(t);
  add_counts(t);
  for (const auto& dims : std::vector<std::vector<int>>{{}, {1}, {0, 2}, {-1, 1}})
    t.add("logsumexp over" + (dims.empty() ? std::string() : " " + std::to_string(dims[0])) +
              (dims.size() > 1 ? " " + std::to_string(dims[1]) : ""),
          {{2, 3, 4}}, [=](Args x) { return logsumexp(x[0], dims, dims.size() == 1); });
  for (const auto& dims : std::vector<std::vector<int>>{{}, {0}, {-1}, {0, 2}, {1}})
    for (const bool keep : {false, true}) {
      std::string tail = keep ? " keep" : "";
      for (const int d : dims) tail += " " + std::to_string(d);
      t.add("sum" + tail, {{2, 3, 4}}, [=](Args x) { return sum(x[0], dims, keep); });
      t.add("mean" + tail, {{2, 3, 4}}, [=](Args x) { return mean(x[0], dims, keep); });
      t.add("amax" + tail, {{2, 3, 4}}, [=](Args x) { return amax(x[0], dims, keep); });
      t.add("amin" + tail, {{2, 3, 4}}, [=](Args x) { return amin(x[0], dims, keep); });
      t.add("var" + tail, {{2, 3, 4}}, [=](Args x) { return var(x[0], dims, keep, !keep); });
    }
  const Tensor gone = cast(i64({0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0}, {3, 4}), DType::boolean);
  const auto holes = [gone](const Tensor& x) { return masked_fill(x, gone, std::nan("")); };
  for (const auto& dims : std::vector<std::vector<int>>{{}, {1}, {0, 2}}) {
    const std::string tail = dims.empty() ? "" : " " + std::to_string(dims[0]);
    t.add("nansum" + tail, {{2, 3, 4}}, [=](Args x) { return nansum(holes(x[0]), dims, dims.size() == 1); });
    t.add("nanmean" + tail, {{2, 3, 4}}, [=](Args x) { return nanmean(holes(x[0]), dims, dims.size() == 1); });
    t.add("var correction 2" + tail, {{2, 3, 4}}, [=](Args x) { return var(x[0], dims, false, 2); });
  }
  t.add("sum empty", {{0, 3}}, [](Args x) { return sum(x[0], {0}); });
  t.add("sum 0-d", {{}}, [](Args x) { return sum(x[0]); });
  t.add("sum_to last", {{2, 3, 4}}, [](Args x) { return sum_to(x[0], {4}); });
  t.add("sum_to 0-d", {{3, 2}}, [](Args x) { return sum_to(transpose(x[0], 0, 1), {}); });
  t.add("sum_to", {{2, 3, 4}}, [](Args x) { return sum_to(x[0], {3, 1}); });
}

}  // namespace tapedeck::test
