// Pooling and interpolation: rows of channels are compared, added or picked in a fixed order. Plain loops are also the
// fast variant here: the inner ones run along the channels.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/interpolate.h>
#include <tapedeck/kernels/pool.h>

#include <cstring>
#include <limits>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

using std::int64_t;

constexpr int64_t kBlock = 256;  // channels worked on at a time

// A [batch, height, width, channels] or [batch, time, channels] view by row and column.
template <class T>
struct Plane {
  T* data;
  int64_t batch, batch_stride, height = 1, height_stride = 0, width, width_stride;
  explicit Plane(const TensorView& v)
      : data(v.ptr<T>()),
        batch(v.sizes[0]),
        batch_stride(v.strides[0]),
        width(v.sizes[v.rank - 2]),
        width_stride(v.strides[v.rank - 2]) {
    if (v.rank == 4) height = v.sizes[1], height_stride = v.strides[1];
  }
  int64_t rows() const { return batch * height * width; }
  T* row(int64_t b, int64_t h, int64_t w) const {
    return data + b * batch_stride + h * height_stride + w * width_stride;
  }
  // f(b, h, w) for rows [begin, end).
  template <class F>
  void each(int64_t begin, int64_t end, F&& f) const {
    if (begin >= end) return;
    int64_t w = begin % width, h = begin / width % height, b = begin / width / height;
    for (int64_t r = begin; r < end; ++r) {
      f(b, h, w);
      if (++w < width) continue;
      w = 0;
      if (++h == height) h = 0, ++b;
    }
  }
};

// Rows of n channels. best = the larger of both, and turn = `now` (when asked for) where `from` is taken.
template <class T, class Turn>
void take_larger(const T* __restrict from, T* __restrict best, Turn* __restrict turn, Turn now, int64_t n) {
  const auto larger = [](T v, T than) { return (v > than) | (v != v); };
  if (turn)
    for (int64_t c = 0; c < n; ++c) turn[c] = larger(from[c], best[c]) ? now : turn[c];
  for (int64_t c = 0; c < n; ++c) best[c] = larger(from[c], best[c]) ? from[c] : best[c];
}
template <class T>
void add_scaled(const T* __restrict from, double weight, bool first, double* __restrict total, int64_t n) {
  if (first)  // a sum of nothing would lose the sign of zero
    for (int64_t c = 0; c < n; ++c) total[c] = weight * from[c];
  else
    for (int64_t c = 0; c < n; ++c) total[c] += weight * from[c];
}
template <class T>
void mix_two(const T* __restrict a, double of_a, const T* __restrict b, double of_b, T* __restrict to, int64_t n) {
  for (int64_t c = 0; c < n; ++c) to[c] = static_cast<T>(of_a * a[c] + of_b * b[c]);
}

template <class T>
void max_rows(const MaxPoolArgs& a) {
  using Turn = std::conditional_t<sizeof(T) == 4, std::int32_t, int64_t>;  // as wide as T, so that lanes match
  const Plane<const T> x(a.x);
  const Plane<T> y(a.y);
  const int64_t channels = a.y.sizes[a.y.rank - 1];
  const PoolDim &dh = a.shape.dims[0], &dw = a.shape.dims[1];
  parallel_for(y.rows(), row_grain(channels, 1 + dh.kernel * dw.kernel), [&](int64_t begin, int64_t end) {
    T best[kBlock];
    Turn turn[kBlock];
    y.each(begin, end, [&](int64_t b, int64_t oh, int64_t ow) {
      const PoolDim::Range h = dh.window(oh), w = dw.window(ow);
      T* to = y.row(b, oh, ow);
      for (int64_t c0 = 0; c0 < channels; c0 += kBlock) {
        const int64_t n = std::min(kBlock, channels - c0);
        std::fill_n(best, n, -std::numeric_limits<T>::infinity());
        if (a.index) std::fill_n(turn, n, Turn(0));
        Turn now = 0;
        for (int64_t i = 0; i < h.count; ++i)
          for (int64_t j = 0; j < w.count; ++j, ++now) {
            const T* from = x.row(b, h.first + i * dh.dilation, w.first + j * dw.dilation) + c0;
            take_larger(from, best, a.index ? turn : nullptr, now, n);
          }
        std::copy_n(best, n, to + c0);
        if (!a.index) continue;
        int64_t* index = Plane<int64_t>(a.index).row(b, oh, ow) + c0;
        for (int64_t c = 0; c < n; ++c) {
          const int64_t i = w.count == 0 ? 0 : turn[c] / w.count, j = turn[c] - i * w.count;
          index[c] = now == 0 ? -1 : (h.first + i * dh.dilation) * x.width + w.first + j * dw.dilation;
        }
      }
    });
  });
}

template <class T>
void max_gradient(const MaxPoolGradArgs& a) {
  const Plane<const T> gy(a.gy);
  const Plane<const int64_t> index(a.index);
  const Plane<T> gx(a.gx);
  const int64_t channels = a.gx.sizes[a.gx.rank - 1];
  const PoolDim &dh = a.shape.dims[0], &dw = a.shape.dims[1];
  parallel_for(gx.rows(), row_grain(channels, 4), [&](int64_t begin, int64_t end) {
    double total[kBlock];
    gx.each(begin, end, [&](int64_t b, int64_t ph, int64_t pw) {
      const PoolDim::Range h = dh.outputs_of(ph), w = dw.outputs_of(pw);
      const int64_t place = ph * gx.width + pw;
      T* to = gx.row(b, ph, pw);
      for (int64_t c0 = 0; c0 < channels; c0 += kBlock) {
        const int64_t n = std::min(kBlock, channels - c0);
        std::fill_n(total, n, 0.0);
        for (int64_t i = h.first; i < h.first + h.count; ++i)
          for (int64_t j = w.first; j < w.first + w.count; ++j) {
            const T* g = gy.row(b, i, j) + c0;
            const int64_t* at = index.row(b, i, j) + c0;
            for (int64_t c = 0; c < n; ++c) total[c] += at[c] == place ? static_cast<double>(g[c]) : 0.0;
          }
        for (int64_t c = 0; c < n; ++c) to[c0 + c] = static_cast<T>(total[c]);
      }
    });
  });
}

template <class T>
void gather(const MaxPoolGatherArgs& a) {
  const Plane<const T> x(a.x);
  const Plane<const int64_t> index(a.index);
  const Plane<T> y(a.y);
  const int64_t channels = a.y.sizes[a.y.rank - 1];
  parallel_for(y.rows(), row_grain(channels, 4), [&](int64_t begin, int64_t end) {
    y.each(begin, end, [&](int64_t b, int64_t h, int64_t w) {
      const int64_t* at = index.row(b, h, w);
      T* to = y.row(b, h, w);
      for (int64_t c = 0; c < channels; ++c) to[c] = at[c] < 0 ? T(0) : x.row(b, at[c] / x.width, at[c] % x.width)[c];
    });
  });
}

template <class T>
void mix(const InterpolateArgs& a) {
  const int64_t outputs = a.y.sizes[1], inputs = a.x.sizes[1], channels = a.y.sizes[2];
  const int64_t terms = a.last[outputs / 2] - a.first[outputs / 2];
  parallel_for(a.y.sizes[0] * outputs, row_grain(channels, 1 + terms), [&](int64_t begin, int64_t end) {
    double total[kBlock];
    for (int64_t r = begin; r < end; ++r) {
      const int64_t o = r % outputs, j0 = a.first[o], j1 = a.last[o];
      const double divisor = a.divisor ? a.divisor[o] : 1;
      const auto weight = [&](int64_t j) { return a.weight ? a.weight[j] : 1; };
      const T* x = a.x.ptr<const T>() + r / outputs * inputs * channels;
      const auto row = [&](int64_t j) { return x + (a.index ? a.index[j] : j) * channels; };
      T* y = a.y.ptr<T>() + r * channels;
      if (j1 <= j0) {
        std::fill_n(y, channels, T(0));
        continue;
      }
      if (j1 == j0 + 1 && weight(j0) == 1 && divisor == 1) {
        std::copy_n(row(j0), channels, y);
        continue;
      }
      if (j1 == j0 + 2 && divisor == 1) {
        mix_two(row(j0), weight(j0), row(j0 + 1), weight(j0 + 1), y, channels);
        continue;
      }
      for (int64_t c0 = 0; c0 < channels; c0 += kBlock) {
        const int64_t n = std::min(kBlock, channels - c0);
        for (int64_t j = j0; j < j1; ++j) add_scaled(row(j) + c0, weight(j), j == j0, total, n);
        if (sizeof(T) == 4)  // the quotient in double is rounded once more: a product is as good
          for (int64_t c = 0; c < n; ++c) y[c0 + c] = static_cast<T>(total[c] * (1 / divisor));
        else
          for (int64_t c = 0; c < n; ++c) y[c0 + c] = static_cast<T>(total[c] / divisor);
      }
    }
  });
}

template <class Args>
const char* supports_real(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
template <class Args>
using Kernel = void (*)(const Args&);
template <class Args, Kernel<Args> f32, Kernel<Args> f64>
void add(KernelSlot<Args>& slot) {
  slot.add(
      DeviceType::cpu, "ref", [](const Args& a) { a.dtype() == DType::f32 ? f32(a) : f64(a); }, supports_real<Args>);
}

}  // namespace

void add_ref_pool() {
  add<MaxPoolArgs, max_rows<float>, max_rows<double>>(max_pool);
  add<MaxPoolGradArgs, max_gradient<float>, max_gradient<double>>(max_pool_backward);
  add<MaxPoolGatherArgs, gather<float>, gather<double>>(max_pool_gather);
  add<InterpolateArgs, mix<float>, mix<double>>(interpolate);
}

}  // namespace tapedeck::kernels
