// Windows of a sequence and patches of images, and their adjoints, which add them back.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/tensor/detail_views.h>

namespace tapedeck {

Tensor unfold(const Tensor& x, int dim, std::int64_t size, std::int64_t step) {
  detail::check_defined("unfold", "x", x);
  const Tensor y = detail::composed("unfold", [&] { return detail::unfold(x, dim, size, step); });
  dim = normalize_dim("unfold", dim, x.dim());
  record("unfold", y, {&x},
         [dim, step](const Tensor& gy, Grads& g) { g.give(0, fold(gy, dim, g.shape(0)[dim], step)); });
  return y;
}

Tensor fold(const Tensor& windows, int dim, std::int64_t length, std::int64_t step) {
  const char* op = "fold";
  detail::check_defined(op, "windows", windows);
  TD_CHECK(windows.dtype() != DType::boolean, DTypeError, op, ": adds numbers, not bools; cast them first",
           arg("windows", windows));
  TD_CHECK(windows.dim() >= 2, ShapeError, op, ": needs windows in their order and what is in them",
           arg("windows", windows));
  dim = normalize_dim(op, dim, windows.dim() - 1);
  const std::int64_t size = windows.size(-1);
  TD_CHECK(size >= 1 && step >= 1, ValueError, op, ": size and step must be >= 1, got ", size, " and ", step);
  TD_CHECK(length >= size && windows.size(dim) == (length - size) / step + 1, ShapeError, op, ": a length of ", length,
           " does not have ", windows.size(dim), " windows of ", size, " every ", step, arg("windows", windows));
  Shape shape = windows.sizes();
  shape.erase(windows.dim() - 1);
  shape[dim] = length;
  const Tensor y = detail::empty_for(op, shape, windows.options());
  kernels::unfold_backward(y.device(), {windows, y, dim, std::min(step, length)});
  record(op, y, {&windows}, [dim, size, step](const Tensor& gy, Grads& g) { g.give(0, unfold(gy, dim, size, step)); });
  return y;
}

// ---- images ---------------------------------------------------------------------------------------------------------
namespace {

struct Grid {
  std::int64_t padded[2], count[2];  // height and width: with padding; of patches
};

Grid grid(const char* op, std::array<std::int64_t, 2> size, const FoldOptions& o) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  Grid g;
  for (std::size_t i = 0; i < 2; ++i) {
    for (const std::int64_t v : {o.kernel_size[i], o.dilation[i], o.stride[i]})
      TD_CHECK(v >= 1 && v < kMost, ValueError, op, ": kernel_size, dilation and stride must be 1 to 2^31 - 1, got ",
               o.kernel_size[i], ", ", o.dilation[i], " and ", o.stride[i]);
    TD_CHECK(o.padding[i] >= 0 && o.padding[i] < kMost, ValueError, op, ": padding must be 0 to 2^31 - 1, got ",
             o.padding[i]);
    TD_CHECK(size[i] >= 0 && size[i] < kMost, ShapeError, op, ": images of ", size[0], " x ", size[1],
             " are not possible");
    const std::int64_t span = (o.kernel_size[i] - 1) * o.dilation[i] + 1;
    g.padded[i] = size[i] + 2 * o.padding[i];
    TD_CHECK(span <= g.padded[i], ShapeError, op, ": a kernel of ", o.kernel_size[i], " (dilation ", o.dilation[i],
             ") is larger than an image of ", size[i], " with a padding of ", o.padding[i]);
    g.count[i] = (g.padded[i] - span) / o.stride[i] + 1;
  }
  return g;
}

// The inside of images with padding round it.
Tensor inside(const Tensor& x, std::array<std::int64_t, 2> size, const FoldOptions& o) {
  return detail::narrow(detail::narrow(x, 1, o.padding[0], size[0]), 2, o.padding[1], size[1]);
}

// Patches [B, L, C * area] as [B, rows, columns, C, kernel height, kernel width].
Shape patch_shape(std::int64_t batch, std::int64_t channels, const Grid& g, const FoldOptions& o) {
  return {batch, g.count[0], g.count[1], channels, o.kernel_size[0], o.kernel_size[1]};
}

}  // namespace

Tensor unfold(const Tensor& x, const FoldOptions& o) {
  const char* op = "unfold";
  detail::check_defined(op, "x", x);
  if (x.dim() == 3) return detail::composed(op, [&] { return squeeze(unfold(unsqueeze(x, 0), o), 0); });
  TD_CHECK(x.dim() == 4, ShapeError, op, ": x must be [batch, height, width, channels]", arg("x", x));
  const std::array<std::int64_t, 2> size{x.size(1), x.size(2)};
  const Grid g = grid(op, size, o);
  Tensor whole = x;
  if (o.padding[0] > 0 || o.padding[1] > 0) {
    const Shape room{x.size(0), g.padded[0], g.padded[1], x.size(3)};
    whole = detail::named(op, [&] { return zeros(room, x.options()); });
    kernels::copy(x.device(), {x, inside(whole, size, o)});
  }
  const Strides& s = whole.strides();
  const Shape shape = patch_shape(x.size(0), x.size(3), g, o);
  const Tensor windows = detail::as_strided(
      whole, shape, {s[0], s[1] * o.stride[0], s[2] * o.stride[1], s[3], s[1] * o.dilation[0], s[2] * o.dilation[1]},
      whole.impl()->offset);
  const Tensor patches = detail::empty_for(op, shape, x.options());
  kernels::copy(x.device(), {windows, patches});
  const Tensor y = detail::try_reshape(patches, {shape[0], shape[1] * shape[2], shape[3] * shape[4] * shape[5]});
  record(op, y, {&x}, [size, o](const Tensor& gy, Grads& grads) { grads.give(0, fold(gy, size, o)); });
  return y;
}

Tensor fold(const Tensor& patches, std::array<std::int64_t, 2> size, const FoldOptions& o) {
  const char* op = "fold";
  detail::check_defined(op, "patches", patches);
  if (patches.dim() == 2) return detail::composed(op, [&] { return squeeze(fold(unsqueeze(patches, 0), size, o), 0); });
  TD_CHECK(patches.dtype() != DType::boolean, DTypeError, op, ": adds numbers, not bools; cast them first",
           arg("patches", patches));
  TD_CHECK(patches.dim() == 3, ShapeError, op, ": patches must be [batch, patches, channels * kernel area]",
           arg("patches", patches));
  const Grid g = grid(op, size, o);
  std::int64_t area;
  TD_CHECK(!__builtin_mul_overflow(o.kernel_size[0], o.kernel_size[1], &area) && patches.size(2) % area == 0 &&
               patches.size(1) == g.count[0] * g.count[1],
           ShapeError, op, ": an image of ", size[0], " x ", size[1], " has ", g.count[0], " x ", g.count[1],
           " patches of ", o.kernel_size[0], " x ", o.kernel_size[1], " places", arg("patches", patches));
  const std::int64_t batch = patches.size(0), channels = patches.size(2) / area;
  const Tensor all = detail::try_reshape(detail::packed(patches), patch_shape(batch, channels, g, o));
  const Shape half{batch, g.count[0], g.padded[1], channels, o.kernel_size[0]};
  const Tensor columns = detail::empty_for(op, half, patches.options());
  kernels::unfold_backward(all.device(), {all, columns, 2, o.stride[1], o.dilation[1]});
  Tensor y = detail::empty_for(op, {batch, g.padded[0], g.padded[1], channels}, patches.options());
  kernels::unfold_backward(all.device(), {columns, y, 1, o.stride[0], o.dilation[0]});
  if (o.padding[0] > 0 || o.padding[1] > 0) {
    const Tensor part = inside(y, size, o);
    y = empty_like(part);
    kernels::copy(y.device(), {part, y});
  }
  record(op, y, {&patches}, [o](const Tensor& gy, Grads& grads) { grads.give(0, unfold(gy, o)); });
  return y;
}

}  // namespace tapedeck
