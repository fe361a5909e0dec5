// Views: they share the storage; the gradient of a view that shows a part is added at that part.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>

namespace tapedeck {
namespace {

void copy_into(const Tensor& to, const Tensor& from) { kernels::copy(to.device(), {from, to}); }

// The adjoint of a view that shows a part of `shape`: zeros with x there. Its own gradient is the view again.
template <class View>
Tensor place(const Tensor& x, const Shape& shape, View view) {
  const Tensor y = zeros(shape, x.options());
  copy_into(view(y), x);
  record("place", y, {&x}, [view](const Tensor& gy, Grads& g) { g.give(0, view(gy)); });
  return y;
}

// Records y = view(x), a part of x. view must be made of public ops.
template <class View>
Tensor record_part(const char* op, const Tensor& x, Tensor y, View view) {
  record(op, y, {&x}, [view](const Tensor& gy, Grads& g) {
    if (g.graph()) return g.give(0, place(gy, g.shape(0), view));
    const auto [buffer, beta] = g.into(0);
    const Tensor part = view(buffer);
    if (beta == 0) {
      kernels::fill(buffer.device(), {buffer, 0});
      copy_into(part, gy);
    } else {
      kernels::add(part.device(), {part, gy, part});
    }
  });
  return y;
}

void record_reshape(const char* op, const Tensor& x, const Tensor& y) {
  record(op, y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, reshape(gy, g.shape(0))); });
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  detail::check_defined("reshape", "x", x);
  Tensor y = detail::named("reshape", [&] { return detail::try_reshape(x, shape); });
  if (!y.defined()) y = detail::try_reshape(detail::packed(x), shape);
  record_reshape("reshape", x, y);
  return y;
}

Tensor flatten(const Tensor& x, int start, int end) {
  return detail::composed("flatten", [&] {
    detail::check_defined("flatten", "x", x);
    if (x.dim() == 0) return reshape(x, {1});
    start = normalize_dim("flatten", start, x.dim());
    end = normalize_dim("flatten", end, x.dim());
    TD_CHECK(start <= end, ShapeError, "flatten: dimension ", start, " is behind ", end, arg("x", x));
    Shape shape = x.sizes();
    for (int d = end; d > start; --d) {
      shape[d - 1] *= shape[d];
      shape.erase(d);
    }
    return reshape(x, shape);
  });
}

Tensor unflatten(const Tensor& x, int dim, const Shape& sizes) {
  return detail::composed("unflatten", [&] {
    const char* op = "unflatten";
    detail::check_defined(op, "x", x);
    dim = normalize_dim(op, dim, x.dim());
    TD_CHECK(sizes.rank() >= 1 && x.dim() - 1 + sizes.rank() <= kMaxRank, ShapeError, op, ": ", to_string(sizes),
             " must have a dimension at least, and no more than fit", arg("x", x));
    const Shape part = reshape(detail::expand(zeros({1}), {x.size(dim)}), sizes).sizes();  // -1 worked out
    Shape shape = x.sizes();
    shape.erase(dim);
    for (int d = 0; d < part.rank(); ++d) shape.insert(dim + d, part[d]);
    return reshape(x, shape);
  });
}

Tensor permute(const Tensor& x, const std::vector<int>& order) {
  detail::check_defined("permute", "x", x);
  const Tensor y = detail::permute(x, order);
  std::vector<int> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    back[static_cast<std::size_t>(normalize_dim("permute", order[i], x.dim()))] = static_cast<int>(i);
  record("permute", y, {&x}, [back](const Tensor& gy, Grads& g) { g.give(0, permute(gy, back)); });
  return y;
}

Tensor transpose(const Tensor& x, int a, int b) {
  detail::check_defined("transpose", "x", x);
  const Tensor y = detail::transpose(x, a, b);
  record("transpose", y, {&x}, [a, b](const Tensor& gy, Grads& g) { g.give(0, transpose(gy, a, b)); });
  return y;
}

Tensor movedim(const Tensor& x, const std::vector<int>& source, const std::vector<int>& destination) {
  return detail::composed("movedim", [&] {
    const char* op = "movedim";
    detail::check_defined(op, "x", x);
    TD_CHECK(source.size() == destination.size(), ValueError, op, ": ", source.size(), " dimensions cannot go to ",
             destination.size(), " places", arg("x", x));
    constexpr int kFree = -1;
    std::vector<int> order(static_cast<std::size_t>(x.dim()), kFree);
    unsigned moved = 0;
    for (std::size_t i = 0; i < source.size(); ++i) {
      const int from = normalize_dim(op, source[i], x.dim());
      int& place = order[static_cast<std::size_t>(normalize_dim(op, destination[i], x.dim()))];
      TD_CHECK(!(moved >> from & 1u) && place == kFree, ValueError, op, ": dimension ", source[i], " or place ",
               destination[i], " is given twice", arg("x", x));
      moved |= 1u << from;
      place = from;
    }
    int next = 0;  // the others keep their order
    for (int& place : order) {
      if (place != kFree) continue;
      while (moved >> next & 1u) ++next;
      place = next++;
    }
    return permute(x, order);
  });
}

Tensor movedim(const Tensor& x, int source, int destination) {
  return detail::composed("movedim",
                          [&] { return movedim(x, std::vector<int>{source}, std::vector<int>{destination}); });
}

Tensor squeeze(const Tensor& x, int dim) {
  detail::check_defined("squeeze", "x", x);
  dim = normalize_dim("squeeze", dim, std::max(x.dim(), 1));
  const bool one = x.dim() > 0 && x.size(dim) == 1;
  const Tensor y = one ? detail::squeeze(x, dim) : detail::as_strided(x, x.sizes(), x.strides(), x.impl()->offset);
  record_reshape("squeeze", x, y);
  return y;
}

Tensor squeeze(const Tensor& x) {
  detail::check_defined("squeeze", "x", x);
  Tensor y = detail::as_strided(x, x.sizes(), x.strides(), x.impl()->offset);
  for (int d = x.dim() - 1; d >= 0; --d)
    if (x.size(d) == 1) y = detail::squeeze(y, d);
  record_reshape("squeeze", x, y);
  return y;
}

Tensor unsqueeze(const Tensor& x, int dim) {
  detail::check_defined("unsqueeze", "x", x);
  const Tensor y = detail::composed("unsqueeze", [&] { return detail::unsqueeze(x, dim); });
  record_reshape("unsqueeze", x, y);
  return y;
}

Tensor expand(const Tensor& x, const Shape& shape) {
  detail::check_defined("expand", "x", x);
  const Tensor y = detail::named("expand", [&] { return detail::expand(x, shape); });
  record("expand", y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, sum_to(gy, g.shape(0))); });
  return y;
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  return detail::composed("broadcast_to", [&] { return expand(x, shape); });
}

Tensor slice(const Tensor& x, int dim, std::int64_t start, std::int64_t end, std::int64_t step) {
  detail::check_defined("slice", "x", x);
  return record_part("slice", x, detail::slice(x, dim, start, end, step),
                     [=](const Tensor& t) { return slice(t, dim, start, end, step); });
}

Tensor narrow(const Tensor& x, int dim, std::int64_t start, std::int64_t length) {
  detail::check_defined("narrow", "x", x);
  return record_part("narrow", x, detail::narrow(x, dim, start, length),
                     [=](const Tensor& t) { return narrow(t, dim, start, length); });
}

Tensor select(const Tensor& x, int dim, std::int64_t index) {
  detail::check_defined("select", "x", x);
  return record_part("select", x, detail::select(x, dim, index),
                     [=](const Tensor& t) { return select(t, dim, index); });
}

Tensor diagonal(const Tensor& x, std::int64_t offset, int dim1, int dim2) {
  const char* op = "diagonal";
  detail::check_defined(op, "x", x);
  const int row = normalize_dim(op, dim1, x.dim()), column = normalize_dim(op, dim2, x.dim());
  TD_CHECK(row != column, ValueError, op, ": dimension ", row, " is given twice", arg("x", x));
  offset = std::clamp(offset, -x.size(row), x.size(column));
  const std::int64_t below = std::max<std::int64_t>(-offset, 0), right = std::max<std::int64_t>(offset, 0);
  const std::int64_t length = std::min(x.size(row) - below, x.size(column) - right);
  Shape shape = x.sizes();
  Strides strides = x.strides();
  const std::int64_t start = length > 0 ? below * strides[row] + right * strides[column] : 0;
  const std::int64_t step = strides[row] + strides[column];
  for (const int d : {std::max(row, column), std::min(row, column)}) shape.erase(d), strides.erase(d);
  strides.push(step);
  shape.push(std::max<std::int64_t>(length, 0));
  return record_part(op, x, detail::as_strided(x, shape, strides, x.impl()->offset + start),
                     [=](const Tensor& t) { return diagonal(t, offset, row, column); });
}

std::vector<Tensor> unbind(const Tensor& x, int dim) {
  return detail::composed("unbind", [&] {
    detail::check_defined("unbind", "x", x);
    dim = normalize_dim("unbind", dim, x.dim());
    std::vector<Tensor> parts;
    for (std::int64_t i = 0; i < x.size(dim); ++i) parts.push_back(select(x, dim, i));
    return parts;
  });
}

std::vector<Tensor> split(const Tensor& x, const std::vector<std::int64_t>& sizes, int dim) {
  return detail::composed("split", [&] {
    detail::check_defined("split", "x", x);
    dim = normalize_dim("split", dim, x.dim());
    std::int64_t total = 0;
    for (const std::int64_t size : sizes) {
      TD_CHECK(size >= 0 && !__builtin_add_overflow(total, size, &total), ShapeError,
               "split: sizes must be >= 0 and add up to dimension ", dim, ", got ", size, arg("x", x));
    }
    TD_CHECK(total == x.size(dim), ShapeError, "split: the sizes add up to ", total, ", not to dimension ", dim,
             arg("x", x));
    std::vector<Tensor> parts;
    std::int64_t at = 0;
    for (const std::int64_t size : sizes) {
      parts.push_back(narrow(x, dim, at, size));
      at += size;
    }
    return parts;
  });
}

std::vector<Tensor> split(const Tensor& x, std::int64_t size, int dim) {
  return detail::composed("split", [&] {
    detail::check_defined("split", "x", x);
    TD_CHECK(size >= 1, ValueError, "split: the size must be >= 1, got ", size);
    const std::int64_t n = x.size(dim);
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(n / size), size);
    if (n % size != 0 || n == 0) sizes.push_back(n % size);
    return split(x, sizes, dim);
  });
}

std::vector<Tensor> chunk(const Tensor& x, std::int64_t chunks, int dim) {
  return detail::composed("chunk", [&] {
    detail::check_defined("chunk", "x", x);
    TD_CHECK(chunks >= 1, ValueError, "chunk: needs at least one chunk, got ", chunks);
    const std::int64_t n = x.size(dim);
    if (n > 0) return split(x, n / chunks + (n % chunks != 0), dim);
    TD_CHECK(chunks < 1 << 20, ValueError, "chunk: ", chunks, " parts of nothing are too many", arg("x", x));
    return split(x, std::vector<std::int64_t>(static_cast<std::size_t>(chunks)), dim);
  });
}

std::vector<Tensor> meshgrid(const std::vector<Tensor>& axes, Indexing indexing) {
  return detail::composed("meshgrid", [&] {
    const char* op = "meshgrid";
    TD_CHECK(!axes.empty(), ValueError, op, ": needs at least one tensor");
    Shape shape;
    for (const Tensor& axis : axes) {
      detail::check_same(op, "axis 0", axes[0], "axis", axis);
      TD_CHECK(axis.dim() <= 1, ShapeError, op, ": axes must be 1-d or 0-d", arg("axis", axis));
      shape.push(axis.numel());
    }
    std::vector<Tensor> grids;
    for (int d = 0; d < shape.rank(); ++d) {
      Shape line = shape;
      for (int other = 0; other < shape.rank(); ++other)
        if (other != d) line[other] = 1;
      const Tensor grid = expand(reshape(axes[static_cast<std::size_t>(d)], line), shape);
      grids.push_back(indexing == Indexing::xy && shape.rank() > 1 ? transpose(grid, 0, 1) : grid);
    }
    return grids;
  });
}

}  // namespace tapedeck
