// Pooling. Averages are sparse linear maps along each dimension in turn; the largest are picked with their places.
#include <tapedeck/autograd/linear_map.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/pool.h>

#include <algorithm>

namespace tapedeck {
namespace {

using kernels::PoolDim;
using std::int64_t;

// The windows of N spatial dimensions, outermost first, and what an average divides by.
template <int N>
struct Windows {
  PoolDim dims[N];
};

template <int N>
void check_input(const char* op, const Tensor& x) {
  detail::check_real(op, x);
  TD_CHECK(x.dim() == N + 2, ShapeError, op, ": x must be [batch, ", N == 1 ? "time" : "height, width", ", channels]",
           arg("x", x));
  for (int d = 1; d <= N; ++d)
    TD_CHECK(x.size(d) >= 1, ShapeError, op, ": dimension ", d, " has no places", arg("x", x));
}

template <int N>
Windows<N> fixed(const char* op, const Tensor& x, PerDim<N> kernel, PerDim<N> stride, PerDim<N> padding,
                 PerDim<N> dilation, bool ceil_mode) {
  check_input<N>(op, x);
  constexpr int64_t most = int64_t{1} << 40;  // so that no sum of positions overflows
  Windows<N> out;
  for (int d = 0; d < N; ++d) {
    const int64_t size = x.size(1 + d), k = kernel[d], pad = padding[d], step = stride[d] == 0 ? k : stride[d];
    TD_CHECK(k >= 1 && step >= 1 && dilation[d] >= 1, ValueError, op,
             ": kernel_size, stride and dilation must be >= 1; got ", k, ", ", step, ", ", dilation[d]);
    TD_CHECK(size <= most && step <= most && k <= most / dilation[d], ValueError, op,
             ": sizes, stride, and kernel_size times dilation, must be at most 2^40; got ", size, ", ", step, ", and ",
             k, " times ", dilation[d], arg("x", x));
    TD_CHECK(pad >= 0 && pad <= k / 2, ValueError, op, ": padding must be from 0 to half of kernel_size ", k, ", got ",
             pad);
    const int64_t room = size + 2 * pad - (k - 1) * dilation[d] - 1;
    const int64_t more = ceil_mode ? step - 1 : 0;  // a window may begin up to there before it ends outside
    TD_CHECK(room + more >= 0, ShapeError, op, ": the window spans ", (k - 1) * dilation[d] + 1,
             " places but dimension ", 1 + d, " has ", size + 2 * pad, arg("x", x));
    int64_t outputs = (room + more) / step + 1;
    if (ceil_mode && (outputs - 1) * step >= size + pad) --outputs;  // the last window starts inside
    out.dims[d] = {size, outputs, k, step, pad, dilation[d]};
  }
  return out;
}

template <int N>
Windows<N> adaptive(const char* op, const Tensor& x, PerDim<N> output) {
  check_input<N>(op, x);
  Windows<N> out;
  for (int d = 0; d < N; ++d) {
    TD_CHECK(output[d] >= 1 && output[d] <= (int64_t{1} << 40), ValueError, op, ": output_size must be >= 1, got ",
             output[d]);
    out.dims[d] = {.size = x.size(1 + d), .outputs = output[d], .adaptive = true};
  }
  return out;
}

// ---- averages -------------------------------------------------------------------------------------------------------
template <int N>
Tensor average(const char* op, const Tensor& x, const Windows<N>& windows, bool count_pad, int64_t divisor) {
  std::vector<detail::LinearMap> maps;
  for (int d = 0; d < N; ++d) {
    const PoolDim& p = windows.dims[d];
    detail::LinearMap& map = maps.emplace_back(op, p.size, p.outputs, 0);
    for (int64_t o = 0; o < p.outputs; ++o) {
      const auto w = p.window(o);
      map.first.push_back(w.first), map.last.push_back(w.first + w.count);
      const int64_t count = p.adaptive || !count_pad ? w.count : std::min(p.kernel, p.size + 2 * p.pad - o * p.stride);
      map.divisor.push_back(static_cast<double>(divisor == 0 ? count : d == 0 ? divisor : 1));
    }
  }
  return detail::apply_all(op, x, std::move(maps));
}

template <int N>
Tensor average(const char* op, const Tensor& x, PerDim<N> kernel, const AvgPoolOptions<N>& o) {
  TD_CHECK(o.divisor_override >= 0, ValueError, op, ": divisor_override must be > 0, got ", o.divisor_override);
  return average(op, x, fixed(op, x, kernel, o.stride, o.padding, PerDim<N>(1), o.ceil_mode), o.count_include_pad,
                 o.divisor_override);
}

// ---- the largest ----------------------------------------------------------------------------------------------------
Tensor gathered(const Tensor& x, const Tensor& index, const kernels::PoolShape& shape);

// The gradient of the largest: gy added up at its places in `shape`.
Tensor scattered(const Tensor& gy, const Tensor& index, const kernels::PoolShape& windows, const Shape& shape) {
  const Tensor gx = empty(shape, gy.options());
  if (gy.numel() > 0)  // no channels may still have windows without end
    kernels::max_pool_backward(gy.device(), {detail::rows_contiguous(gy), detail::rows_contiguous(index), gx, windows});
  record("max_pool_backward", gx, {&gy}, [index = save(index, "indices"), windows](const Tensor& ggx, Grads& g) {
    g.give(0, gathered(ggx, index.get(), windows));
  });
  return gx;
}

Tensor gathered(const Tensor& x, const Tensor& index, const kernels::PoolShape& windows) {
  const Tensor y = empty(index.sizes(), x.options());
  if (y.numel() > 0)
    kernels::max_pool_gather(x.device(), {detail::rows_contiguous(x), detail::rows_contiguous(index), y});
  record("max_pool_gather", y, {&x}, [index = save(index, "indices"), windows](const Tensor& gy, Grads& g) {
    g.give(0, scattered(gy, index.get(), windows, g.shape(0)));
  });
  return y;
}

template <int N>
ValuesIndices largest(const char* op, const Tensor& x, const Windows<N>& windows, bool with_indices) {
  Shape shape = x.sizes();
  kernels::PoolShape pool;
  for (int d = 0; d < N; ++d) {
    const PoolDim& p = windows.dims[d];
    shape[1 + d] = p.outputs;
    pool.dims[2 - N + d] = p;
    // A dilated window may step over a short input.
    for (int64_t o = 0; p.dilation > 1 && o < p.outputs; ++o)
      TD_CHECK(p.window(o).count > 0, ShapeError, op, ": window ", o, " of dimension ", 1 + d,
               " sees padding only; use less padding or dilation", arg("x", x));
  }
  ValuesIndices y{detail::empty_for(op, shape, x.options()), {}};
  if (with_indices || is_recorded(x)) y.indices = detail::empty_for(op, shape, {DType::i64, x.device()});
  if (y.values.numel() > 0)
    detail::composed(op, [&] {
      kernels::max_pool(x.device(), {detail::rows_contiguous(x), y.values, y.indices, pool});
    });
  record(op, y.values, {&x}, [index = save(y.indices, "indices"), pool](const Tensor& gy, Grads& g) {
    g.give(0, scattered(gy, index.get(), pool, g.shape(0)));
  });
  return y;
}

template <int N>
ValuesIndices largest(const char* op, const Tensor& x, PerDim<N> kernel, const MaxPoolOptions<N>& o,
                      bool with_indices) {
  return largest(op, x, fixed(op, x, kernel, o.stride, o.padding, o.dilation, o.ceil_mode), with_indices);
}

}  // namespace

Tensor max_pool1d(const Tensor& x, PerDim<1> kernel_size, MaxPool1dOptions options) {
  return largest("max_pool1d", x, kernel_size, options, false).values;
}
Tensor max_pool2d(const Tensor& x, PerDim<2> kernel_size, MaxPool2dOptions options) {
  return largest("max_pool2d", x, kernel_size, options, false).values;
}
ValuesIndices max_pool1d_with_indices(const Tensor& x, PerDim<1> kernel_size, MaxPool1dOptions options) {
  return largest("max_pool1d_with_indices", x, kernel_size, options, true);
}
ValuesIndices max_pool2d_with_indices(const Tensor& x, PerDim<2> kernel_size, MaxPool2dOptions options) {
  return largest("max_pool2d_with_indices", x, kernel_size, options, true);
}
Tensor avg_pool1d(const Tensor& x, PerDim<1> kernel_size, AvgPool1dOptions options) {
  return average("avg_pool1d", x, kernel_size, options);
}
Tensor avg_pool2d(const Tensor& x, PerDim<2> kernel_size, AvgPool2dOptions options) {
  return average("avg_pool2d", x, kernel_size, options);
}
Tensor adaptive_max_pool1d(const Tensor& x, PerDim<1> output_size) {
  return largest("adaptive_max_pool1d", x, adaptive("adaptive_max_pool1d", x, output_size), false).values;
}
Tensor adaptive_max_pool2d(const Tensor& x, PerDim<2> output_size) {
  return largest("adaptive_max_pool2d", x, adaptive("adaptive_max_pool2d", x, output_size), false).values;
}
ValuesIndices adaptive_max_pool1d_with_indices(const Tensor& x, PerDim<1> output_size) {
  constexpr const char* op = "adaptive_max_pool1d_with_indices";
  return largest(op, x, adaptive(op, x, output_size), true);
}
ValuesIndices adaptive_max_pool2d_with_indices(const Tensor& x, PerDim<2> output_size) {
  constexpr const char* op = "adaptive_max_pool2d_with_indices";
  return largest(op, x, adaptive(op, x, output_size), true);
}
Tensor adaptive_avg_pool1d(const Tensor& x, PerDim<1> output_size) {
  return average("adaptive_avg_pool1d", x, adaptive("adaptive_avg_pool1d", x, output_size), false, 0);
}
Tensor adaptive_avg_pool2d(const Tensor& x, PerDim<2> output_size) {
  return average("adaptive_avg_pool2d", x, adaptive("adaptive_avg_pool2d", x, output_size), false, 0);
}

}  // namespace tapedeck
