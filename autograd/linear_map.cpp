#include <tapedeck/autograd/linear_map.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/kernels/interpolate.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>
#include <numeric>

namespace tapedeck::detail {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

LinearMap::LinearMap(const char* op, std::int64_t input_count, std::int64_t output_count, std::int64_t terms)
    : inputs(input_count) {
  // The allocator refuses what the machine does not have; a vector that grows would not.
  empty_for(op, {output_count, 2 + 2 * terms}, {DType::f64});
  first.reserve(at(output_count)), last.reserve(at(output_count));
  index.reserve(at(output_count * terms)), weight.reserve(at(output_count * terms));
}

void LinearMap::end_output() {
  first.push_back(last.empty() ? 0 : last.back());
  last.push_back(static_cast<std::int64_t>(index.size()));
}

bool LinearMap::identity() const {
  bool same = outputs() == inputs;
  for (std::int64_t o = 0; same && o < inputs; ++o) {
    const std::int64_t j = first[at(o)];
    same = last[at(o)] == j + 1 && (index.empty() ? j : index[at(j)]) == o;
    same = same && (weight.empty() || weight[at(j)] == 1) && (divisor.empty() || divisor[at(o)] == 1);
  }
  return same;
}

LinearMap LinearMap::transposed(const char* op) const {
  LinearMap t(op, outputs(), inputs, 0);
  if (index.empty()) {  // ranges of inputs per output: ranges of outputs per input
    std::int64_t low = 0, high = 0;
    for (std::int64_t i = 0; i < inputs; ++i) {
      while (low < outputs() && last[at(low)] <= i) ++low;
      while (high < outputs() && first[at(high)] <= i) ++high;
      t.first.push_back(low), t.last.push_back(std::max(low, high));
    }
    for (const double d : divisor) t.weight.push_back(1 / d);
    for (const double w : weight) t.divisor.push_back(1 / w);
    return t;
  }
  std::vector<std::int64_t> next(at(inputs) + 1);
  for (const std::int64_t i : index) ++next[at(i) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  t.first.assign(next.begin(), next.end() - 1), t.last.assign(next.begin() + 1, next.end());
  t.index.resize(index.size()), t.weight.resize(index.size());
  for (std::int64_t o = 0; o < outputs(); ++o)
    for (std::int64_t j = first[at(o)]; j < last[at(o)]; ++j) {
      const std::size_t to = at(next[at(index[at(j)])]++);
      t.index[to] = o, t.weight[to] = weight[at(j)];
    }
  return t;
}

Tensor apply(const char* op, const Tensor& x, int dim, std::shared_ptr<const LinearMap> map) {
  Shape shape = x.sizes();
  shape[dim] = map->outputs();
  const Tensor y = empty(shape, x.options());
  std::int64_t outer = 1, inner = 1;
  for (int d = 0; d < dim; ++d) outer *= shape[d];
  for (int d = dim + 1; d < x.dim(); ++d) inner *= shape[d];
  const auto given = [](const auto& v) { return v.empty() ? nullptr : v.data(); };
  if (y.numel() > 0)
    kernels::interpolate(x.device(), {try_reshape(packed(x), {outer, map->inputs, inner}),
                                      try_reshape(y, {outer, map->outputs(), inner}), map->first.data(),
                                      map->last.data(), given(map->index), given(map->weight), given(map->divisor)});
  record(op, y, {&x}, [op, dim, map](const Tensor& gy, Grads& g) {
    g.give(0, apply(op, gy, dim, std::make_shared<const LinearMap>(map->transposed(op))));
  });
  return y;
}

Tensor apply_all(const char* op, const Tensor& x, std::vector<LinearMap> maps) {
  std::vector<int> order(maps.size());
  std::iota(order.begin(), order.end(), 0);
  const auto growth = [&](int d) {
    const LinearMap& m = maps[at(d)];
    return static_cast<double>(m.outputs()) / static_cast<double>(m.inputs);
  };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return growth(a) < growth(b); });
  std::erase_if(order, [&](int d) { return maps.size() > 1 && maps[at(d)].identity(); });
  if (order.empty()) order.push_back(0);  // a copy
  return composed(op, [&] {
    Tensor y = x;
    for (const int d : order) y = apply(op, y, 1 + d, std::make_shared<const LinearMap>(std::move(maps[at(d)])));
    return y;
  });
}

}  // namespace tapedeck::detail
