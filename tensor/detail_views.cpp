#include <tapedeck/tensor/detail_views.h>

#include <algorithm>

namespace tapedeck::detail {

Tensor as_strided(const Tensor& x, const Shape& shape, const Strides& strides, std::int64_t offset) {
  Storage* storage = x.impl()->storage;
  storage->retain();
  return make_tensor(storage, offset, shape, strides, x.dtype());
}

Tensor slice(const Tensor& x, int dim, std::int64_t start, std::int64_t end, std::int64_t step) {
  dim = normalize_dim("slice", dim, x.dim());
  TD_CHECK(step >= 1, ValueError, "slice: step must be >= 1, got ", step);
  const std::int64_t n = x.sizes()[dim];
  step = std::min(step, std::max<std::int64_t>(n, 1));  // beyond n every step takes one element
  if (start < 0) start += n;
  if (end < 0) end += n;
  start = std::clamp<std::int64_t>(start, 0, n);
  end = std::clamp<std::int64_t>(end, start, n);
  Shape shape = x.sizes();
  Strides strides = x.strides();
  shape[dim] = (end - start + step - 1) / step;
  strides[dim] *= step;
  return as_strided(x, shape, strides, x.impl()->offset + start * x.strides()[dim]);
}

Tensor narrow(const Tensor& x, int dim, std::int64_t start, std::int64_t length) {
  dim = normalize_dim("narrow", dim, x.dim());
  const std::int64_t n = x.sizes()[dim];
  TD_CHECK(start >= 0 && length >= 0 && start <= n && length <= n - start, ShapeError, "narrow: [", start, ", ", start,
           "+", length, ") is outside dimension ", dim, arg("x", x));
  return slice(x, dim, start, start + length);
}

Tensor select(const Tensor& x, int dim, std::int64_t index) {
  dim = normalize_dim("select", dim, x.dim());
  const std::int64_t n = x.sizes()[dim];
  TD_CHECK(index >= -n && index < n, ShapeError, "select: index ", index, " is outside dimension ", dim, arg("x", x));
  Shape shape = x.sizes();
  Strides strides = x.strides();
  shape.erase(dim);
  strides.erase(dim);
  return as_strided(x, shape, strides, x.impl()->offset + (index < 0 ? index + n : index) * x.strides()[dim]);
}

Tensor transpose(const Tensor& x, int a, int b) {
  a = normalize_dim("transpose", a, x.dim());
  b = normalize_dim("transpose", b, x.dim());
  Shape shape = x.sizes();
  Strides strides = x.strides();
  std::swap(shape[a], shape[b]);
  std::swap(strides[a], strides[b]);
  return as_strided(x, shape, strides, x.impl()->offset);
}

Tensor permute(const Tensor& x, std::span<const int> order) {
  TD_CHECK(static_cast<int>(order.size()) == x.dim(), ShapeError, "permute: ", order.size(), " dimensions given",
           arg("x", x));
  Shape shape = x.sizes();
  Strides strides = x.strides();
  unsigned seen = 0;
  for (int i = 0; i < x.dim(); ++i) {
    const int from = normalize_dim("permute", order[static_cast<std::size_t>(i)], x.dim());
    TD_CHECK(!(seen >> from & 1u), ValueError, "permute: dimension ", from, " is given twice", arg("x", x));
    seen |= 1u << from;
    shape[i] = x.sizes()[from];
    strides[i] = x.strides()[from];
  }
  return as_strided(x, shape, strides, x.impl()->offset);
}

Tensor unsqueeze(const Tensor& x, int dim) {
  dim = normalize_dim("unsqueeze", dim, x.dim() + 1);
  Shape shape = x.sizes();
  Strides strides = x.strides();
  const std::int64_t step = dim < x.dim() ? shape[dim] * strides[dim] : 1;
  shape.insert(dim, 1);
  strides.insert(dim, step);
  return as_strided(x, shape, strides, x.impl()->offset);
}

Tensor squeeze(const Tensor& x, int dim) {
  dim = normalize_dim("squeeze", dim, x.dim());
  TD_CHECK(x.sizes()[dim] == 1, ShapeError, "squeeze: dimension ", dim, " must have size 1", arg("x", x));
  return select(x, dim, 0);
}

Tensor expand(const Tensor& x, const Shape& shape) {
  TD_CHECK(shape.rank() >= x.dim(), ShapeError, "expand: ", to_string(shape), " has fewer dimensions than x",
           arg("x", x));
  Shape sizes = shape;
  Strides strides = shape;
  const int lead = shape.rank() - x.dim();
  for (int i = 0; i < shape.rank(); ++i) {
    const std::int64_t have = i < lead ? 1 : x.sizes()[i - lead];
    if (i >= lead && shape[i] == -1) sizes[i] = have;
    TD_CHECK(sizes[i] == have || (have == 1 && sizes[i] >= 0), ShapeError, "expand: size ", have, " of dimension ",
             i - lead, " cannot become ", shape[i], arg("x", x));
    strides[i] = i < lead || (have == 1 && sizes[i] != 1) ? 0 : x.strides()[i - lead];
  }
  checked_numel(sizes);
  return as_strided(x, sizes, strides, x.impl()->offset);
}

Tensor unfold(const Tensor& x, int dim, std::int64_t size, std::int64_t step) {
  dim = normalize_dim("unfold", dim, x.dim());
  TD_CHECK(size >= 1 && step >= 1, ValueError, "unfold: size and step must be >= 1, got ", size, " and ", step);
  TD_CHECK(size <= x.sizes()[dim], ShapeError, "unfold: windows of ", size, " do not fit dimension ", dim, arg("x", x));
  Shape shape = x.sizes();
  Strides strides = x.strides();
  strides.push(strides[dim]);
  shape.push(size);
  shape[dim] = (x.sizes()[dim] - size) / step + 1;
  checked_numel(shape);
  strides[dim] *= std::min(step, x.sizes()[dim]);  // one window when step is larger
  return as_strided(x, shape, strides, x.impl()->offset);
}

Shape infer_shape(const char* op, const Shape& shape, std::int64_t numel) {
  Shape known = shape;  // with 1 in the open place
  int open = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    TD_CHECK(shape[i] >= -1 && (shape[i] != -1 || open < 0), ShapeError, op, ": at most one size may be -1, got ",
             to_string(shape));
    if (shape[i] == -1) open = i, known[i] = 1;
  }
  const std::int64_t n = checked_numel(known);
  if (open >= 0 && n > 0) known[open] = numel / n;
  TD_CHECK((open < 0 || n > 0) && known.numel() == numel, ShapeError, op, ": ", numel, " elements do not fit ",
           to_string(shape));
  return known;
}

Tensor try_reshape(const Tensor& x, const Shape& wanted) {
  const Shape shape = infer_shape("reshape", wanted, x.numel());
  if (x.is_contiguous() || x.numel() == 0) return as_strided(x, shape, contiguous_strides(shape), x.impl()->offset);
  // Match groups of old and new dimensions with equal products; within a group the old ones must be evenly strided.
  Strides strides = shape;
  int i = 0, j = 0;
  while (j < shape.rank()) {
    if (shape[j] == 1) {
      strides[j++] = 1;
      continue;
    }
    while (x.sizes()[i] == 1) ++i;
    std::int64_t old_product = x.sizes()[i], new_product = shape[j];
    int old_end = i + 1, new_end = j + 1;
    while (old_product != new_product) {
      if (old_product < new_product)
        old_product *= x.sizes()[old_end++];
      else
        new_product *= shape[new_end++];
    }
    std::int64_t step = 0;
    for (int k = old_end - 1, inner = -1; k >= i; --k) {
      if (x.sizes()[k] == 1) continue;
      if (inner < 0)
        step = x.strides()[k];
      else if (x.strides()[k] != x.strides()[inner] * x.sizes()[inner])
        return {};
      inner = k;
    }
    for (int k = new_end - 1; k >= j; --k) {
      strides[k] = step;
      step *= shape[k];
    }
    i = old_end;
    j = new_end;
  }
  return as_strided(x, shape, strides, x.impl()->offset);
}

Tensor alias(const Tensor& owner, std::int64_t first_element, const Shape& shape) {
  TD_CHECK(owner.is_contiguous(), ShapeError, "alias: the owner must be contiguous", arg("owner", owner));
  const std::size_t item = size_of(owner.dtype());
  const auto start = static_cast<std::size_t>(owner.impl()->offset + first_element) * item;
  Storage* part = Storage::alias(owner.impl()->storage, start, static_cast<std::size_t>(checked_numel(shape)) * item);
  return make_tensor(part, 0, shape, contiguous_strides(shape), owner.dtype());
}

bool overlaps_itself(const Tensor& x) {
  if (x.numel() == 0 || x.is_contiguous()) return false;
  std::vector<std::pair<std::int64_t, std::int64_t>> dims;  // stride and size, the smallest stride first
  for (int d = 0; d < x.dim(); ++d)
    if (x.sizes()[d] > 1) dims.emplace_back(x.strides()[d], x.sizes()[d]);
  std::sort(dims.begin(), dims.end());
  std::int64_t last = 0;  // offset of the last element that the dimensions so far reach
  for (const auto& [stride, size] : dims) {
    if (stride <= last) return true;
    last += stride * (size - 1);
  }
  return false;
}

bool overlap(const Tensor& a, const Tensor& b) {
  const auto end = [](const Tensor& x) {
    std::int64_t last = 0;
    for (int d = 0; d < x.dim(); ++d) last += x.strides()[d] * (x.sizes()[d] - 1);
    return static_cast<char*>(x.data()) + (last + 1) * static_cast<std::int64_t>(size_of(x.dtype()));
  };
  return a.device() == b.device() && a.numel() > 0 && b.numel() > 0 && a.data() < end(b) && b.data() < end(a);
}

}  // namespace tapedeck::detail
