// Shape ops. Views share the storage; the gradient of a view that shows a part is added at that part.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/tensor/detail_views.h>

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

// The adjoint of unfold: windows added back into `shape`.
Tensor fold(const Tensor& windows, const Shape& shape, int dim, std::int64_t step) {
  const Tensor y = empty(shape, windows.options());
  kernels::unfold_backward(y.device(), {windows, y, dim, step});
  record("fold", y, {&windows},
         [dim, size = windows.size(-1), step](const Tensor& gy, Grads& g) { g.give(0, unfold(gy, dim, size, step)); });
  return y;
}

void record_reshape(const char* op, const Tensor& x, const Tensor& y) {
  record(op, y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, reshape(gy, g.shape(0))); });
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  detail::check_defined("reshape", "x", x);
  Tensor y = detail::try_reshape(x, shape);
  if (!y.defined()) y = detail::try_reshape(detail::packed(x), shape);
  record_reshape("reshape", x, y);
  return y;
}

Tensor flatten(const Tensor& x, int start, int end) {
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

Tensor squeeze(const Tensor& x, int dim) {
  detail::check_defined("squeeze", "x", x);
  const Tensor y = detail::squeeze(x, dim);
  record_reshape("squeeze", x, y);
  return y;
}

Tensor unsqueeze(const Tensor& x, int dim) {
  detail::check_defined("unsqueeze", "x", x);
  const Tensor y = detail::unsqueeze(x, dim);
  record_reshape("unsqueeze", x, y);
  return y;
}

Tensor expand(const Tensor& x, const Shape& shape) {
  detail::check_defined("expand", "x", x);
  const Tensor y = detail::expand(x, shape);
  record("expand", y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, sum_to(gy, g.shape(0))); });
  return y;
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

Tensor unfold(const Tensor& x, int dim, std::int64_t size, std::int64_t step) {
  detail::check_defined("unfold", "x", x);
  const Tensor y = detail::unfold(x, dim, size, step);
  dim = normalize_dim("unfold", dim, x.dim());
  record("unfold", y, {&x}, [dim, step](const Tensor& gy, Grads& g) { g.give(0, fold(gy, g.shape(0), dim, step)); });
  return y;
}

std::vector<Tensor> split(const Tensor& x, const std::vector<std::int64_t>& sizes, int dim) {
  detail::check_defined("split", "x", x);
  dim = normalize_dim("split", dim, x.dim());
  std::int64_t total = 0;
  for (const std::int64_t size : sizes) {
    TD_CHECK(size >= 0, ShapeError, "split: sizes must be >= 0, got ", size);
    total += size;
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
}

std::vector<Tensor> split(const Tensor& x, std::int64_t size, int dim) {
  detail::check_defined("split", "x", x);
  TD_CHECK(size >= 1, ValueError, "split: the size must be >= 1, got ", size);
  const std::int64_t n = x.size(dim);
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(n / size), size);
  if (n % size != 0 || n == 0) sizes.push_back(n % size);
  return split(x, sizes, dim);
}

std::vector<Tensor> chunk(const Tensor& x, std::int64_t chunks, int dim) {
  detail::check_defined("chunk", "x", x);
  TD_CHECK(chunks >= 1, ValueError, "chunk: needs at least one chunk, got ", chunks);
  if (x.size(dim) == 0) return split(x, std::vector<std::int64_t>(static_cast<std::size_t>(chunks)), dim);
  return split(x, (x.size(dim) + chunks - 1) / chunks, dim);
}

Tensor cat(const std::vector<Tensor>& parts, int dim) {
  TD_CHECK(!parts.empty(), ValueError, "cat: needs at least one tensor");
  detail::check_defined("cat", "part 0", parts[0]);
  dim = normalize_dim("cat", dim, parts[0].dim());
  Shape shape = parts[0].sizes();
  shape[dim] = 0;
  for (const Tensor& part : parts) {
    detail::check_same("cat", "part 0", parts[0], "part", part);
    Shape expected = shape;
    if (part.dim() == shape.rank()) expected[dim] = part.sizes()[dim];
    TD_CHECK(part.sizes() == expected, ShapeError, "cat: parts may differ in dimension ", dim, " only",
             arg("part 0", parts[0]), arg("part", part));
    shape[dim] += part.sizes()[dim];
  }
  const Tensor y = empty(shape, parts[0].options());
  std::vector<const Tensor*> inputs;
  std::int64_t at = 0;
  for (const Tensor& part : parts) {
    copy_into(detail::narrow(y, dim, at, part.sizes()[dim]), part);
    at += part.sizes()[dim];
    inputs.push_back(&part);
  }
  const Tensor* outputs[] = {&y};
  std::vector<std::int64_t> sizes;
  for (const Tensor& part : parts) sizes.push_back(part.sizes()[dim]);
  record("cat", outputs, inputs, [dim, sizes = std::move(sizes)](const Tensor& gy, Grads& g) {
    std::int64_t start = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (g.wants(static_cast<int>(i))) g.give(static_cast<int>(i), narrow(gy, dim, start, sizes[i]));
      start += sizes[i];
    }
  });
  return y;
}

Tensor stack(const std::vector<Tensor>& parts, int dim) {
  TD_CHECK(!parts.empty(), ValueError, "stack: needs at least one tensor");
  std::vector<Tensor> raised;
  for (const Tensor& part : parts) {
    detail::check_defined("stack", "a part", part);
    TD_CHECK(part.sizes() == parts[0].sizes(), ShapeError, "stack: parts must have one shape", arg("part 0", parts[0]),
             arg("part", part));
    raised.push_back(unsqueeze(part, dim));
  }
  return cat(raised, normalize_dim("stack", dim, parts[0].dim() + 1));
}

Tensor contiguous(const Tensor& x) {
  detail::check_defined("contiguous", "x", x);
  return x.is_contiguous() ? x : clone(x);
}

Tensor clone(const Tensor& x) {
  detail::check_defined("clone", "x", x);
  const Tensor y = empty_like(x);
  copy_into(y, x);
  record("clone", y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, gy); });
  return y;
}

Tensor detach(const Tensor& x) {
  detail::check_defined("detach", "x", x);
  return detail::as_strided(x, x.sizes(), x.strides(), x.impl()->offset);
}

Tensor cast(const Tensor& x, DType dtype) {
  detail::check_defined("cast", "x", x);
  if (x.dtype() == dtype) return x;
  const Tensor y = empty(x.sizes(), {dtype, x.device()});
  copy_into(y, x);
  if (!is_real(dtype)) return y;  // integers have no gradient
  record("cast", y, {&x}, [from = x.dtype()](const Tensor& gy, Grads& g) { g.give(0, cast(gy, from)); });
  return y;
}

}  // namespace tapedeck
