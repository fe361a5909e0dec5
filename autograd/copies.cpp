// Shape ops that copy: joining, repeating, turning round, diagonals. No arithmetic but in the gradients of repeats.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>

namespace tapedeck {
namespace {

void copy_into(const Tensor& to, const Tensor& from) { kernels::copy(to.device(), {from, to}); }

std::int64_t times(const char* op, std::int64_t size, std::int64_t repeats) {
  std::int64_t n;
  TD_CHECK(repeats >= 0, ValueError, op, ": repeats must be >= 0, got ", repeats);
  TD_CHECK(!__builtin_mul_overflow(size, repeats, &n), ShapeError, op, ": ", size, " elements ", repeats,
           " times are too many");
  return n;
}

// The adjoint of repeat: the repetitions of each dimension are added. shape: before repeating, of the rank of repeats.
Tensor sum_repeats(Tensor x, const Shape& shape, const Shape& repeats) {
  Shape now = x.sizes();
  for (int d = 0; d < shape.rank(); ++d) {
    if (repeats[d] == 1) continue;
    std::int64_t outer = 1, inner = shape[d];
    for (int k = 0; k < d; ++k) outer *= now[k];
    for (int k = d + 1; k < now.rank(); ++k) inner *= now[k];
    x = sum(reshape(x, {outer, repeats[d], inner}), {1});
    now[d] = shape[d];
  }
  return x;
}

// 0, …, 0, 1, …, 1, …: each i < n as often as count(i) says.
template <class Count>
Tensor repeated_index(std::int64_t n, Device device, Count count) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    TD_CHECK(count(i) >= 0, ValueError, "repeat_interleave: repeats must be >= 0, got ", count(i));
    TD_CHECK(!__builtin_add_overflow(total, count(i), &total), ShapeError, "repeat_interleave: ", count(i),
             " more elements are too many");
  }
  const Tensor index = empty({total}, {DType::i64, kCpu});
  std::int64_t* to = index.data<std::int64_t>();
  for (std::int64_t i = 0; i < n; ++i) to = std::fill_n(to, count(i), i);
  return index.to(device);
}

}  // namespace

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
  return detail::composed("stack", [&] {
    TD_CHECK(!parts.empty(), ValueError, "stack: needs at least one tensor");
    std::vector<Tensor> raised;
    for (const Tensor& part : parts) {
      detail::check_defined("stack", "a part", part);
      TD_CHECK(part.sizes() == parts[0].sizes(), ShapeError, "stack: parts must have one shape",
               arg("part 0", parts[0]), arg("part", part));
      raised.push_back(unsqueeze(part, dim));
    }
    return cat(raised, normalize_dim("stack", dim, parts[0].dim() + 1));
  });
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

// ---- repeating ------------------------------------------------------------------------------------------------------
// One copy of x, then copies of what is there, twice as much each time.
Tensor repeat(const Tensor& x, const Shape& repeats) {
  const char* op = "repeat";
  detail::check_defined(op, "x", x);
  TD_CHECK(repeats.rank() >= x.dim(), ShapeError, op, ": needs a number for each dimension, got ", to_string(repeats),
           arg("x", x));
  Shape shape = repeats, out = repeats;
  const int lead = repeats.rank() - x.dim();
  for (int d = 0; d < repeats.rank(); ++d) {
    shape[d] = d < lead ? 1 : x.sizes()[d - lead];
    out[d] = times(op, shape[d], repeats[d]);
  }
  const Tensor y = detail::empty_for(op, out, x.options());
  if (y.numel() > 0) {
    const auto block = [&](int dims) {  // the part of y that has the sizes of x in its first `dims` dimensions
      Tensor part = y;
      for (int d = 0; d < dims; ++d) part = detail::narrow(part, d, 0, shape[d]);
      return part;
    };
    copy_into(block(shape.rank()), detail::expand(x, shape));
    for (int d = shape.rank() - 1; d >= 0; --d) {
      const Tensor part = block(d);
      for (std::int64_t done = shape[d]; done < out[d];) {
        const std::int64_t n = std::min(done, out[d] - done);
        copy_into(detail::narrow(part, d, done, n), detail::narrow(part, d, 0, n));
        done += n;
      }
    }
  }
  record(op, y, {&x}, [shape, repeats](const Tensor& gy, Grads& g) {
    g.give(0, reshape(sum_repeats(gy, shape, repeats), g.shape(0)));
  });
  return y;
}

Tensor tile(const Tensor& x, const Shape& repeats) {
  return detail::composed("tile", [&] {
    detail::check_defined("tile", "x", x);
    Shape all = repeats;
    while (all.rank() < x.dim()) all.insert(0, 1);
    return repeat(x, all);
  });
}

Tensor repeat_interleave(const Tensor& repeats) {
  const char* op = "repeat_interleave";
  detail::check_defined(op, "repeats", repeats);
  TD_CHECK(repeats.dtype() == DType::i64, DTypeError, op, ": repeats must be i64", arg("repeats", repeats));
  TD_CHECK(repeats.dim() == 1, ShapeError, op, ": repeats must be 1-d", arg("repeats", repeats));
  const auto counts = repeats.to_vector<std::int64_t>();
  const auto count = [&](std::int64_t i) { return counts[static_cast<std::size_t>(i)]; };
  return detail::composed(op, [&] { return repeated_index(repeats.size(0), repeats.device(), count); });
}

Tensor repeat_interleave(const Tensor& x, std::int64_t repeats, std::optional<int> dim) {
  return detail::composed("repeat_interleave", [&] {
    const char* op = "repeat_interleave";
    detail::check_defined(op, "x", x);
    if (!dim) return repeat_interleave(reshape(x, {x.numel()}), repeats, 0);
    TD_CHECK(repeats >= 0, ValueError, op, ": repeats must be >= 0, got ", repeats);
    const int d = normalize_dim(op, *dim, x.dim());
    return index_select(x, d, repeated_index(x.size(d), x.device(), [=](std::int64_t) { return repeats; }));
  });
}

Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int> dim) {
  return detail::composed("repeat_interleave", [&] {
    const char* op = "repeat_interleave";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "repeats", repeats);
    TD_CHECK(repeats.dtype() == DType::i64, DTypeError, op, ": repeats must be i64", arg("repeats", repeats));
    if (!dim) return repeat_interleave(reshape(x, {x.numel()}), repeats, 0);
    const int d = normalize_dim(op, *dim, x.dim());
    TD_CHECK(repeats.dim() <= 1 && (repeats.numel() == 1 || repeats.numel() == x.size(d)), ShapeError, op,
             ": repeats must have one element or one for each of dimension ", d, arg("x", x), arg("repeats", repeats));
    const auto counts = repeats.to_vector<std::int64_t>();
    const auto count = [&](std::int64_t i) { return counts[counts.size() == 1 ? 0 : static_cast<std::size_t>(i)]; };
    return index_select(x, d, repeated_index(x.size(d), x.device(), count));
  });
}

// ---- turning round --------------------------------------------------------------------------------------------------
// A copy from a view that runs backwards; no tensor ever has a negative stride.
Tensor flip(const Tensor& x, const std::vector<int>& dims) {
  const char* op = "flip";
  detail::check_defined(op, "x", x);
  const Tensor y = empty_like(x);
  TensorView back = x.view();
  unsigned seen = 0;
  for (const int dim : dims) {
    const int d = normalize_dim(op, dim, std::max(x.dim(), 1));
    TD_CHECK(!(seen >> d & 1u), ValueError, op, ": dimension ", d, " is given twice", arg("x", x));
    seen |= 1u << d;
    if (x.numel() == 0 || x.dim() == 0) continue;
    back.data =
        back.ptr<char>() + (back.sizes[d] - 1) * back.strides[d] * static_cast<std::int64_t>(size_of(x.dtype()));
    back.strides[d] = -back.strides[d];
  }
  kernels::copy(x.device(), {back, y});
  record(op, y, {&x}, [dims](const Tensor& gy, Grads& g) { g.give(0, flip(gy, dims)); });
  return y;
}

Tensor roll(const Tensor& x, const std::vector<std::int64_t>& shifts, const std::vector<int>& dims) {
  return detail::composed("roll", [&] {
    const char* op = "roll";
    detail::check_defined(op, "x", x);
    if (dims.empty()) {
      TD_CHECK(shifts.size() == 1, ValueError, op, ": ", shifts.size(), " shifts need as many dimensions", arg("x", x));
      return reshape(roll(reshape(x, {x.numel()}), shifts, {0}), x.sizes());
    }
    TD_CHECK(shifts.size() == dims.size(), ValueError, op, ": ", shifts.size(), " shifts do not fit ", dims.size(),
             " dimensions", arg("x", x));
    Tensor y = x;
    std::vector<std::int64_t> back;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      const int d = normalize_dim(op, dims[i], x.dim());
      const std::int64_t n = x.size(d), shift = n == 0 ? 0 : (shifts[i] % n + n) % n;
      const Tensor from = y;
      y = empty_like(x);
      copy_into(detail::narrow(y, d, 0, shift), detail::narrow(from, d, n - shift, shift));
      copy_into(detail::narrow(y, d, shift, n - shift), detail::narrow(from, d, 0, n - shift));
      back.push_back(n - shift);
    }
    record(op, y, {&x}, [back, dims](const Tensor& gy, Grads& g) { g.give(0, roll(gy, back, dims)); });
    return y;
  });
}

Tensor roll(const Tensor& x, std::int64_t shift, std::optional<int> dim) {
  return detail::composed("roll", [&] {
    return roll(x, std::vector<std::int64_t>{shift}, dim ? std::vector<int>{*dim} : std::vector<int>{});
  });
}

// ---- diagonals ------------------------------------------------------------------------------------------------------
Tensor diag_embed(const Tensor& x, std::int64_t offset, int dim1, int dim2) {
  const char* op = "diag_embed";
  detail::check_defined(op, "x", x);
  TD_CHECK(x.dim() >= 1 && x.dim() < kMaxRank, ShapeError, op, ": x needs a dimension to put on the diagonal and room ",
           "for one more", arg("x", x));
  const int row = normalize_dim(op, dim1, x.dim() + 1), column = normalize_dim(op, dim2, x.dim() + 1);
  TD_CHECK(row != column, ValueError, op, ": dimension ", row, " is given twice", arg("x", x));
  constexpr std::int64_t kFar = std::int64_t{1} << 59;  // beyond any size
  TD_CHECK(offset > -kFar && offset < kFar, ShapeError, op, ": a diagonal ", offset, " from the middle is too far",
           arg("x", x));
  const std::int64_t size = x.size(-1) + std::abs(offset);
  Shape shape = x.sizes();
  shape.erase(x.dim() - 1);
  for (const int d : {std::min(row, column), std::max(row, column)}) shape.insert(d, size);
  const Tensor y = detail::named(op, [&] { return zeros(shape, x.options()); });
  copy_into(diagonal(y, offset, row, column), x);
  record(op, y, {&x}, [=](const Tensor& gy, Grads& g) { g.give(0, diagonal(gy, offset, row, column)); });
  return y;
}

Tensor diag(const Tensor& x, std::int64_t diagonal_) {
  return detail::composed("diag", [&] {
    detail::check_defined("diag", "x", x);
    TD_CHECK(x.dim() == 1 || x.dim() == 2, ShapeError, "diag: x must be a vector or a matrix", arg("x", x));
    return x.dim() == 1 ? diag_embed(x, diagonal_) : clone(diagonal(x, diagonal_));
  });
}

namespace {

Tensor triangle(const char* op, const Tensor& x, std::int64_t diagonal, bool upper) {
  detail::check_defined(op, "x", x);
  TD_CHECK(x.dim() >= 2, ShapeError, op, ": x needs two dimensions at least", arg("x", x));
  const Tensor y = empty_like(x);
  kernels::triangle(x.device(), {x, y, diagonal, upper});
  record(op, y, {&x}, [=](const Tensor& gy, Grads& g) { g.give(0, triangle(op, gy, diagonal, upper)); });
  return y;
}

}  // namespace

Tensor tril(const Tensor& x, std::int64_t diagonal) { return triangle("tril", x, diagonal, false); }
Tensor triu(const Tensor& x, std::int64_t diagonal) { return triangle("triu", x, diagonal, true); }

}  // namespace tapedeck
