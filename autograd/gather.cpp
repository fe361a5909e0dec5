// Reading and writing at indices. A repeated index adds in the order of positions, or leaves the last write.
#include <tapedeck/autograd/index_lines.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/tensor/detail_views.h>

namespace tapedeck {
namespace {

Tensor at_least_1d(const Tensor& x) { return x.dim() == 0 ? reshape(x, {1}) : x; }

Tensor copied(const Tensor& x) {
  const Tensor y = empty_like(x);
  kernels::copy(x.device(), {x, y});
  return y;
}

void check_device(const char* op, const char* name, const Tensor& other, const Tensor& x) {
  TD_CHECK(other.device() == x.device(), DeviceError, op, ": devices differ; move one with to()", arg("x", x),
           arg(name, other));
}

void check_numbers(const char* op, const Tensor& x) {
  TD_CHECK(x.dtype() != DType::boolean, DTypeError, op, ": adds numbers, not bools; cast them first", arg("x", x));
}

void check_value(const char* op, double value, const Tensor& x) {
  TD_CHECK(fits(value, x.dtype()), DTypeError, op, ": the value ", value, " does not fit", arg("x", x));
}

// ---- one index for whole rows ---------------------------------------------------------------------------------------
// The index of an op along dimension dim of x as [N]; checked.
Tensor row_index(const char* op, const Tensor& x, int dim, const Tensor& index) {
  detail::check_defined(op, "index", index);
  check_device(op, "index", index, x);
  detail::check_index(op, "index", index, x.size(dim));
  TD_CHECK(index.dim() <= 1, ShapeError, op, ": index must be 1-d", arg("index", index));
  return index.dim() == 0 ? detail::try_reshape(index, {1}) : index;
}

void check_rows(const char* op, const Tensor& x, int dim, const Tensor& index, const Tensor& source) {
  detail::check_same(op, "x", x, "source", source);
  Shape shape = x.sizes();
  shape[dim] = index.numel();
  TD_CHECK(source.sizes() == shape, ShapeError, op, ": source must have shape ", to_string(shape), arg("x", x),
           arg("index", index), arg("source", source));
}

// Positions 0, 1, … along dim, in a shape.
Tensor positions(const Shape& shape, int dim, Device device) {
  Shape line = shape;
  for (int d = 0; d < shape.rank(); ++d)
    if (d != dim) line[d] = 1;
  return detail::expand(detail::try_reshape(arange(0, shape[dim], 1, {DType::i64, device}), line), shape);
}

// Which of the writes at index (along dim, `size` places) stay: bool, for the gradient of what was written.
Tensor last_writes(const Tensor& index, int dim, std::int64_t size) {
  const Tensor at = positions(index.sizes(), dim, index.device());
  Shape shape = index.sizes();
  shape[dim] = size;
  const Tensor writer = empty(shape, index.options()), last = empty_like(at);
  kernels::scatter(index.device(), {at, index, writer, dim});
  kernels::gather(index.device(), {writer, index, last, dim});
  return eq(last, at);
}

Tensor none_like(const Tensor& x) { return zeros({}, x.options()); }

// A 1-d tensor along dim of a tensor of `rank` dimensions.
Tensor along(const Tensor& x, int dim, int rank) {
  Shape shape;
  for (int d = 0; d < rank; ++d) shape.push(d == dim ? x.numel() : 1);
  return reshape(x, shape);
}

// ---- one index per element of a line --------------------------------------------------------------------------------
// The part of x that the lines of index meet: as large as index but along dim.
template <class Narrow>
Tensor met_by(const Tensor& index, int dim, Tensor x, Narrow narrow) {
  for (int d = 0; d < index.dim(); ++d)
    if (d != dim && x.size(d) != index.size(d)) x = narrow(x, d, 0, index.size(d));
  return x;
}

}  // namespace

namespace detail {

int check_lines(const char* op, const Tensor& x, int dim, const Tensor& index) {
  detail::check_defined(op, "x", x);
  dim = normalize_dim(op, dim, x.dim());
  detail::check_defined(op, "index", index);
  check_device(op, "index", index, x);
  detail::check_index(op, "index", index, x.size(dim));
  bool fit = index.dim() == x.dim();
  for (int d = 0; fit && d < x.dim(); ++d) fit = d == dim || index.size(d) <= x.size(d);
  TD_CHECK(fit, ShapeError, op, ": index must have as many dimensions as x and, but in dimension ", dim,
           ", be at most as large", arg("x", x), arg("index", index));
  return dim;
}

Tensor source_part(const char* op, const Tensor& x, const Tensor& index, Tensor source) {
  detail::check_same(op, "x", x, "source", source);
  bool fit = source.dim() == index.dim();
  for (int d = 0; fit && d < index.dim(); ++d) fit = index.size(d) <= source.size(d);
  TD_CHECK(fit, ShapeError, op, ": source must be at least as large as index", arg("index", index),
           arg("source", source));
  for (int d = 0; d < index.dim(); ++d)
    if (source.size(d) != index.size(d)) source = tapedeck::narrow(source, d, 0, index.size(d));
  return source;
}

Tensor lines_met(const Tensor& index, int dim, const Tensor& x) { return met_by(index, dim, x, detail::narrow); }

Tensor check_rows(const char* op, const Tensor& x, int dim, const Tensor& index, const Tensor& source) {
  const Tensor at = row_index(op, x, dim, index);
  tapedeck::check_rows(op, x, dim, at, source);
  return at;
}

}  // namespace detail

namespace {

using detail::check_lines;
using detail::source_part;

Tensor scatter_checked(const Tensor& x, int dim, const Tensor& index, const Tensor& source) {
  const Tensor y = copied(x);
  kernels::scatter(x.device(), {source, index, met_by(index, dim, y, detail::narrow), dim});
  record("scatter", y, {&x, &source},
         [dim, index = save(index, "index"), size = x.size(dim)](const Tensor& gy, Grads& g) {
           if (g.wants(0)) g.give(0, scatter(gy, dim, index.get(), 0));
           if (g.wants(1))
             g.give(1, where(last_writes(index.get(), dim, size), gather(gy, dim, index.get()), none_like(gy)));
         });
  return y;
}

}  // namespace

Tensor index_select(const Tensor& x, int dim, const Tensor& index) {
  return detail::composed("index_select", [&] {
    const char* op = "index_select";
    detail::check_defined(op, "x", x);
    if (x.dim() == 0) {
      detail::check_defined(op, "index", index);
      TD_CHECK(index.numel() == 1, ShapeError, op, ": a 0-d tensor takes one index", arg("index", index));
      return reshape(index_select(at_least_1d(x), dim, index), {});
    }
    dim = normalize_dim(op, dim, x.dim());
    const Tensor at = row_index(op, x, dim, index);
    Shape shape = x.sizes();
    shape[dim] = at.numel();
    const Tensor y = empty(shape, x.options());
    kernels::index_select(x.device(), {x, at, y, dim});
    record(op, y, {&x}, [dim, at = save(at, "index")](const Tensor& gy, Grads& g) {
      if (g.graph()) return g.give(0, index_add(zeros(g.shape(0), gy.options()), dim, at.get(), gy));
      const auto [buffer, beta] = g.into(0);
      kernels::index_add(gy.device(), {gy, at.get(), buffer, dim, 1, beta});
    });
    return y;
  });
}

Tensor index_add(const Tensor& x, int dim, const Tensor& index, const Tensor& source, double alpha) {
  return detail::composed("index_add", [&] {
    const char* op = "index_add";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "source", source);
    if (x.dim() == 0) return reshape(index_add(at_least_1d(x), dim, index, at_least_1d(source), alpha), {});
    check_numbers(op, x);
    TD_CHECK(is_real(x.dtype()) || fits(alpha, DType::i64), DTypeError, op, ": alpha ", alpha, " does not fit",
             arg("x", x));
    dim = normalize_dim(op, dim, x.dim());
    const Tensor at = row_index(op, x, dim, index);
    check_rows(op, x, dim, at, source);
    const Tensor y = copied(x);
    kernels::index_add(x.device(), {source, at, y, dim, alpha, 1});
    record(op, y, {&x, &source}, [dim, at = save(at, "index"), alpha](const Tensor& gy, Grads& g) {
      if (g.wants(0)) g.give(0, gy);
      if (!g.wants(1)) return;
      const Tensor rows = index_select(gy, dim, at.get());
      g.give(1, alpha == 1 ? rows : rows * alpha);
    });
    return y;
  });
}

Tensor index_copy(const Tensor& x, int dim, const Tensor& index, const Tensor& source) {
  return detail::composed("index_copy", [&] {
    const char* op = "index_copy";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "source", source);
    if (x.dim() == 0) return reshape(index_copy(at_least_1d(x), dim, index, at_least_1d(source)), {});
    dim = normalize_dim(op, dim, x.dim());
    const Tensor at = row_index(op, x, dim, index);
    check_rows(op, x, dim, at, source);
    const Tensor y = copied(x);
    kernels::index_copy(x.device(), {source, at, y, dim});
    record(op, y, {&x, &source}, [dim, at = save(at, "index"), size = x.size(dim)](const Tensor& gy, Grads& g) {
      if (g.wants(0)) g.give(0, index_fill(gy, dim, at.get(), 0));
      if (!g.wants(1)) return;
      const Tensor stays = along(last_writes(at.get(), 0, size), dim, gy.dim());
      g.give(1, where(stays, index_select(gy, dim, at.get()), none_like(gy)));
    });
    return y;
  });
}

Tensor gather(const Tensor& x, int dim, const Tensor& index) {
  return detail::composed("gather", [&] {
    const char* op = "gather";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "index", index);
    if (x.dim() == 0 || index.dim() == 0)
      return reshape(gather(at_least_1d(x), dim, at_least_1d(index)), index.sizes());
    dim = check_lines(op, x, dim, index);
    const Tensor part = met_by(index, dim, x, narrow);
    const Tensor y = empty(index.sizes(), x.options());
    kernels::gather(x.device(), {part, index, y, dim});
    record(op, y, {&part}, [dim, index = save(index, "index")](const Tensor& gy, Grads& g) {
      if (g.graph()) return g.give(0, scatter_add(zeros(g.shape(0), gy.options()), dim, index.get(), gy));
      const auto [buffer, beta] = g.into(0);
      kernels::scatter_add(gy.device(), {gy, index.get(), buffer, dim, beta});
    });
    return y;
  });
}

Tensor scatter(const Tensor& x, int dim, const Tensor& index, const Tensor& source) {
  return detail::composed("scatter", [&] {
    const char* op = "scatter";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "index", index);
    detail::check_defined(op, "source", source);
    if (x.dim() == 0) return reshape(scatter(at_least_1d(x), dim, at_least_1d(index), at_least_1d(source)), {});
    dim = check_lines(op, x, dim, index);
    return scatter_checked(x, dim, index, source_part(op, x, index, source));
  });
}

Tensor scatter(const Tensor& x, int dim, const Tensor& index, double value) {
  return detail::composed("scatter", [&] {
    const char* op = "scatter";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "index", index);
    check_value(op, value, x);
    if (x.dim() == 0) return reshape(scatter(at_least_1d(x), dim, at_least_1d(index), value), {});
    dim = check_lines(op, x, dim, index);
    return scatter_checked(x, dim, index, detail::expand(full({}, value, x.options()), index.sizes()));
  });
}

Tensor scatter_add(const Tensor& x, int dim, const Tensor& index, const Tensor& source) {
  return detail::composed("scatter_add", [&] {
    const char* op = "scatter_add";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "index", index);
    detail::check_defined(op, "source", source);
    if (x.dim() == 0) return reshape(scatter_add(at_least_1d(x), dim, at_least_1d(index), at_least_1d(source)), {});
    check_numbers(op, x);
    dim = check_lines(op, x, dim, index);
    const Tensor part = source_part(op, x, index, source);
    const Tensor y = copied(x);
    kernels::scatter_add(x.device(), {part, index, met_by(index, dim, y, detail::narrow), dim, 1});
    record(op, y, {&x, &part}, [dim, index = save(index, "index")](const Tensor& gy, Grads& g) {
      if (g.wants(0)) g.give(0, gy);
      if (g.wants(1)) g.give(1, gather(gy, dim, index.get()));
    });
    return y;
  });
}

Tensor take_along_dim(const Tensor& x, const Tensor& index, std::optional<int> dim) {
  return detail::composed("take_along_dim", [&] {
    const char* op = "take_along_dim";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "index", index);
    if (!dim) return gather(reshape(x, {x.numel()}), 0, reshape(index, {index.numel()}));
    TD_CHECK(index.dim() == x.dim(), ShapeError, op, ": index must have as many dimensions as x", arg("x", x),
             arg("index", index));
    const int d = normalize_dim(op, *dim, x.dim());
    Shape mine = x.sizes(), theirs = index.sizes();
    mine[d] = theirs[d] = 1;
    Shape shape = broadcast_shapes(op, mine, theirs);
    shape[d] = index.size(d);
    const Tensor lines = expand(index, shape);
    shape[d] = x.size(d);
    return gather(expand(x, shape), d, lines);
  });
}

// ---- masks ----------------------------------------------------------------------------------------------------------
namespace {

void check_mask(const char* op, const Tensor& x, const Tensor& mask) {
  detail::check_defined(op, "x", x);
  detail::check_defined(op, "mask", mask);
  TD_CHECK(mask.dtype() == DType::boolean, DTypeError, op, ": the mask must be bool", arg("mask", mask));
  check_device(op, "mask", mask, x);
}

}  // namespace

Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
  return detail::composed("masked_fill", [&] {
    const char* op = "masked_fill";
    check_mask(op, x, mask);
    detail::check_same(op, "x", x, "value", value);
    TD_CHECK(value.dim() == 0, ShapeError, op, ": the value must be 0-d; where() takes more", arg("value", value));
    broadcast_shapes(op, x.sizes(), mask.sizes());
    return where(mask, value, x);
  });
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
  return detail::composed("masked_fill", [&] {
    check_mask("masked_fill", x, mask);
    check_value("masked_fill", value, x);
    return masked_fill(x, mask, full({}, value, x.options()));
  });
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  return detail::composed("masked_select", [&] {
    const char* op = "masked_select";
    check_mask(op, x, mask);
    const Shape shape = broadcast_shapes(op, x.sizes(), mask.sizes());
    const Tensor all = reshape(expand(x, shape), {shape.numel()});
    const Tensor chosen = nonzero(reshape(expand(mask, shape), {shape.numel()}));
    return index_select(all, 0, reshape(chosen, {chosen.numel()}));
  });
}

Tensor nonzero(const Tensor& x) {
  detail::check_defined("nonzero", "x", x);
  std::int64_t count = 0;
  kernels::nonzero(x.device(), {x, {}, &count});
  const Tensor y = empty({count, x.dim()}, {DType::i64, x.device()});
  if (y.numel() > 0) kernels::nonzero(x.device(), {x, y, &count});
  return y;
}

// ---- x[i, j, …] -----------------------------------------------------------------------------------------------------
namespace {

// Where index() and index_put() reach: x with the indexed dimensions side by side from `first` on, merged to one.
struct Places {
  std::vector<int> order;  // of x's dimensions before merging; empty: as they are
  int first = 0;
  Shape merged;    // x's shape with the indexed dimensions as one
  Shape arranged;  // before merging
  Shape result;    // merged, with the shape of the indices in its place
  Tensor at;       // i64 [N]: places along the merged dimension
};

// Negative ones counted from the end.
Tensor wrapped(const char* op, const Tensor& index, std::int64_t size) {
  if (index.numel() == 0) return index;
  std::int64_t range[2];
  kernels::index_range(index.device(), {index, range});
  const std::int64_t bad = range[0] < -size ? range[0] : range[1];
  TD_CHECK(range[0] >= -size && range[1] < size, ValueError, op, ": index ", bad, " is outside [", -size, ", ", size,
           ")", arg("index", index));
  if (range[0] >= 0) return index;
  const Tensor zero = zeros({}, index.options());
  return where(lt(index, zero), index + static_cast<double>(size), index);
}

// One i64 tensor (or undefined) per dimension: masks become the indices of what they show.
std::vector<Tensor> one_per_dim(const char* op, const Tensor& x, const std::vector<Tensor>& indices) {
  std::vector<Tensor> each;
  for (const Tensor& t : indices) {
    const int d = static_cast<int>(each.size());
    if (t.defined() && t.dtype() == DType::boolean) {
      bool fit = t.dim() >= 1 && d + t.dim() <= x.dim();
      for (int k = 0; fit && k < t.dim(); ++k) fit = t.size(k) == x.size(d + k);
      TD_CHECK(fit, ShapeError, op, ": the mask does not fit x from dimension ", d, " on", arg("x", x), arg("mask", t));
      for (const Tensor& column : unbind(nonzero(t), 1)) each.push_back(column);
    } else {
      TD_CHECK(!t.defined() || t.dtype() == DType::i64, DTypeError, op, ": indices must be i64 or bool",
               arg("index", t));
      each.push_back(t);
    }
    TD_CHECK(static_cast<int>(each.size()) <= x.dim(), ShapeError, op, ": more indices than dimensions", arg("x", x));
    if (t.defined()) check_device(op, "index", t, x);
  }
  each.resize(static_cast<std::size_t>(x.dim()));
  return each;
}

// Places along several dimensions; none of `indices` defined: an empty order and an undefined `at`.
Places places(const char* op, const Tensor& x, const std::vector<Tensor>& indices) {
  detail::check_defined(op, "x", x);
  const std::vector<Tensor> each = one_per_dim(op, x, indices);
  std::vector<int> chosen, others;
  Places p;
  Shape spread;
  for (int d = 0; d < x.dim(); ++d) {
    const Tensor& t = each[static_cast<std::size_t>(d)];
    (t.defined() ? chosen : others).push_back(d);
    if (t.defined()) spread = broadcast_shapes(op, spread, t.sizes());
  }
  if (chosen.empty()) return p;
  const int count = static_cast<int>(chosen.size());
  p.first = chosen.front();
  p.arranged = x.sizes();
  if (chosen.back() - chosen.front() + 1 != count) {  // apart from each other: to the front
    p.first = 0;
    p.order = chosen;
    p.order.insert(p.order.end(), others.begin(), others.end());
    for (int d = 0; d < x.dim(); ++d) p.arranged[d] = x.sizes()[p.order[static_cast<std::size_t>(d)]];
  }
  Tensor at;
  std::int64_t size = 1;
  for (const int d : chosen) {
    const Tensor here = wrapped(op, each[static_cast<std::size_t>(d)], x.size(d));
    at = at.defined() ? at * static_cast<double>(x.size(d)) + here : here;
    size *= x.size(d);
  }
  p.at = reshape(expand(at, spread), {spread.numel()});
  for (int d = 0; d < x.dim(); ++d) {
    if (d >= p.first && d < p.first + count) continue;
    p.merged.push(p.arranged[d]);
  }
  p.result = p.merged;
  p.merged.insert(p.first, size);
  for (int d = 0; d < spread.rank(); ++d) p.result.insert(p.first + d, spread[d]);
  return p;
}

Tensor arranged(const Tensor& x, const Places& p) {
  return reshape(p.order.empty() ? x : permute(x, p.order), p.merged);
}

}  // namespace

Tensor index(const Tensor& x, const std::vector<Tensor>& indices) {
  return detail::composed("index", [&] {
    const Places p = places("index", x, indices);
    if (!p.at.defined()) return reshape(x, x.sizes());
    return reshape(index_select(arranged(x, p), p.first, p.at), p.result);
  });
}

Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values, bool accumulate) {
  return detail::composed("index_put", [&] {
    const char* op = "index_put";
    const Places p = places(op, x, indices);
    detail::check_same(op, "x", x, "values", values);
    if (accumulate) check_numbers(op, x);
    const Shape shape = p.at.defined() ? p.result : x.sizes();
    TD_CHECK(broadcast_shapes(op, shape, values.sizes()) == shape, ShapeError, op, ": values do not fit ",
             to_string(shape), arg("x", x), arg("values", values));
    const Tensor spread = expand(values, shape);
    if (!p.at.defined()) {  // everywhere
      if (!accumulate) return clone(spread);
      const Shape row{1, x.numel()};
      return reshape(index_add(reshape(x, row), 0, zeros({1}, {DType::i64, x.device()}), reshape(spread, row)),
                     x.sizes());
    }
    Shape rows = p.merged;
    rows[p.first] = p.at.numel();
    const Tensor base = arranged(x, p), source = reshape(spread, rows);
    const Tensor y = reshape(
        accumulate ? index_add(base, p.first, p.at, source) : index_copy(base, p.first, p.at, source), p.arranged);
    if (p.order.empty()) return y;
    std::vector<int> back(p.order.size());
    for (std::size_t d = 0; d < back.size(); ++d) back[static_cast<std::size_t>(p.order[d])] = static_cast<int>(d);
    return permute(y, back);
  });
}

Tensor index_fill(const Tensor& x, int dim, const Tensor& index, double value) {
  return detail::composed("index_fill", [&] {
    const char* op = "index_fill";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "index", index);
    check_value(op, value, x);
    if (x.dim() == 0) return reshape(index_fill(at_least_1d(x), dim, index, value), {});
    dim = normalize_dim(op, dim, x.dim());
    TD_CHECK(index.dtype() == DType::i64, DTypeError, op, ": index must be i64", arg("index", index));
    Shape shape = x.sizes();
    shape[dim] = index.numel();
    return index_copy(x, dim, wrapped(op, index, x.size(dim)), detail::expand(full({}, value, x.options()), shape));
  });
}

}  // namespace tapedeck
