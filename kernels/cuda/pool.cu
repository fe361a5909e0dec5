// Pooling: a thread makes one element from its window, or one element of the gradient from the windows that hold it.
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/pool.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

// A [batch, height, width, channels] or [batch, time, channels] tensor by places.
struct Plane {
  std::int64_t batch, height = 1, width, channels, batch_stride, height_stride = 0, width_stride;
  explicit Plane(const TensorView& v)
      : batch(v.sizes[0]),
        width(v.sizes[v.rank - 2]),
        channels(v.sizes[v.rank - 1]),
        batch_stride(v.strides[0]),
        width_stride(v.strides[v.rank - 2]) {
    if (v.rank == 4) height = v.sizes[1], height_stride = v.strides[1];
  }
  std::int64_t numel() const { return batch * height * width * channels; }
  __device__ std::int64_t at(std::int64_t b, std::int64_t h, std::int64_t w) const {
    return b * batch_stride + h * height_stride + w * width_stride;
  }
};
struct Place {
  std::int64_t b, h, w, c;
};
template <class N>
__device__ inline Place place_of(const Plane& p, N i) {
  const N channels = static_cast<N>(p.channels), width = static_cast<N>(p.width), height = static_cast<N>(p.height);
  const N row = i / channels, column = row / width, b = column / height;
  return {static_cast<std::int64_t>(b), static_cast<std::int64_t>(column - b * height),
          static_cast<std::int64_t>(row - column * width), static_cast<std::int64_t>(i - row * channels)};
}
// f(place) for every element of p, on all threads.
template <class F>
__device__ inline void each_place(const Plane& p, std::int64_t numel, F f) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < numel; i += stride)
    f(numel <= 0x7fffffff ? place_of(p, static_cast<std::uint32_t>(i)) : place_of(p, i));
}

template <class T>
__global__ void max_kernel(Plane y, std::int64_t numel, Plane x, Plane index, PoolShape shape, const T* from, T* to,
                           std::int64_t* index_to) {
  each_place(y, numel, [&](const Place& p) {
    const PoolDim &dh = shape.dims[0], &dw = shape.dims[1];
    const PoolDim::Range h = dh.window(p.h), w = dw.window(p.w);
    T best = store<T>(-static_cast<Compute<T>>(INFINITY));
    std::int64_t where = h.count > 0 && w.count > 0 ? h.first * x.width + w.first : -1;
    for (std::int64_t i = 0; i < h.count; ++i)
      for (std::int64_t j = 0; j < w.count; ++j) {
        const std::int64_t row = h.first + i * dh.dilation, column = w.first + j * dw.dilation;
        const T v = from[x.at(p.b, row, column) + p.c];
        if (load(v) > load(best) || load(v) != load(v)) best = v, where = row * x.width + column;
      }
    to[y.at(p.b, p.h, p.w) + p.c] = best;
    if (index_to != nullptr) index_to[index.at(p.b, p.h, p.w) + p.c] = where;
  });
}

template <class T>
__global__ void max_gradient_kernel(Plane gx, std::int64_t numel, Plane gy, Plane index, PoolShape shape, const T* from,
                                    const std::int64_t* winners, T* to) {
  each_place(gx, numel, [&](const Place& p) {
    const PoolDim::Range h = shape.dims[0].outputs_of(p.h), w = shape.dims[1].outputs_of(p.w);
    const std::int64_t own = p.h * gx.width + p.w;
    std::conditional_t<kHalf<T>, float, double> total = 0;
    for (std::int64_t i = h.first; i < h.first + h.count; ++i)
      for (std::int64_t j = w.first; j < w.first + w.count; ++j)
        if (winners[index.at(p.b, i, j) + p.c] == own) total += load(from[gy.at(p.b, i, j) + p.c]);
    to[gx.at(p.b, p.h, p.w) + p.c] = store<T>(static_cast<Compute<T>>(total));
  });
}

template <class T>
__global__ void gather_kernel(Plane y, std::int64_t numel, Plane x, Plane index, const T* from,
                              const std::int64_t* winners, T* to) {
  each_place(y, numel, [&](const Place& p) {
    const std::int64_t at = winners[index.at(p.b, p.h, p.w) + p.c];
    to[y.at(p.b, p.h, p.w) + p.c] = at < 0 ? T{} : from[x.at(p.b, at / x.width, at % x.width) + p.c];
  });
}

void max_rows(const MaxPoolArgs& a) {
  const Plane y(a.y), index(a.index ? a.index : a.y);
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(a.y.device, plan_items(y.numel()), max_kernel<T>, y, y.numel(), Plane(a.x), index, a.shape,
           a.x.ptr<const T>(), a.y.ptr<T>(), a.index ? a.index.ptr<std::int64_t>() : nullptr);
  });
}
void max_gradient(const MaxPoolGradArgs& a) {
  const Plane gx(a.gx);
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(a.gx.device, plan_items(gx.numel()), max_gradient_kernel<T>, gx, gx.numel(), Plane(a.gy), Plane(a.index),
           a.shape, a.gy.ptr<const T>(), a.index.ptr<const std::int64_t>(), a.gx.ptr<T>());
  });
}
void gather_winners(const MaxPoolGatherArgs& a) {
  const Plane y(a.y);
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(a.y.device, plan_items(y.numel()), gather_kernel<T>, y, y.numel(), Plane(a.x), Plane(a.index),
           a.x.ptr<const T>(), a.index.ptr<const std::int64_t>(), a.y.ptr<T>());
  });
}

}  // namespace

void add_pool() {
  max_pool.add(DeviceType::cuda, "cuda", max_rows, takes_real<MaxPoolArgs>);
  max_pool_backward.add(DeviceType::cuda, "cuda", max_gradient, takes_real<MaxPoolGradArgs>);
  max_pool_gather.add(DeviceType::cuda, "cuda", gather_winners, takes_real<MaxPoolGatherArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
