// Random fills and dropout. A thread makes the elements of one Philox counter.
#include <tapedeck/kernels/cuda/convert.h>
#include <tapedeck/kernels/cuda/draw.h>
#include <tapedeck/kernels/random.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr int kWords = 4;

// make(words, elements of x, elements of y) for each counter.
template <class T, class Make>
__global__ void draw_kernel(Make make, Rows rows, std::int64_t width, std::int64_t counters, bool wide, const T* x,
                            T* y) {
  const std::int64_t per_row = ceil_div(width, kWords), step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t n = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; n < counters; n += step) {
    std::int64_t row, group;
    if (counters <= 0x7fffffff) {  // division of 32 bits is several times cheaper
      row = static_cast<std::uint32_t>(n) / static_cast<std::uint32_t>(per_row);
      group = static_cast<std::uint32_t>(n) - static_cast<std::uint32_t>(row) * static_cast<std::uint32_t>(per_row);
    } else {
      row = n / per_row, group = n - row * per_row;
    }
    const Philox4 r = philox(rows.key, static_cast<std::uint64_t>(group), rows.id(row));
    const std::int64_t first = row * width + group * kWords, left = width - group * kWords;
    Pack<T, kWords> in{}, out;
    if constexpr (Make::kInput) {
      if (wide) {
        in = *reinterpret_cast<const Pack<T, kWords>*>(x + first);
      } else {
#pragma unroll
        for (int i = 0; i < kWords; ++i)
          if (i < left) in.v[i] = x[first + i];
      }
    }
    make(r.word, in.v, out.v);
    if (wide) {
      *reinterpret_cast<Pack<T, kWords>*>(y + first) = out;
    } else {
#pragma unroll
      for (int i = 0; i < kWords; ++i)
        if (i < left) y[first + i] = out.v[i];
    }
  }
}

template <class T, class Make>
void draw(const Make& make, const RandomStream& stream, const TensorView& y, const T* x = nullptr) {
  const std::int64_t rows = y.rank == 0 ? 1 : y.sizes[0], numel = y.numel(), width = rows == 0 ? 0 : numel / rows;
  if (numel == 0) return;
  const std::int64_t counters = rows * ceil_div(width, kWords);
  const std::size_t group = kWords * sizeof(T);
  const bool wide = width % kWords == 0 && aligned(y.data, group) && aligned(x, group);
  const DeviceRows ids(y.device, stream);
  launch(y.device, plan_items(counters), draw_kernel<T, Make>, make, ids.rows, width, counters, wide, x, y.ptr<T>());
}

template <class T>
struct Uniform {
  static constexpr bool kInput = false;
  double low, range;
  __device__ void operator()(const std::uint32_t* word, const T*, T* y) const {
#pragma unroll
    for (int i = 0; i < kWords; ++i) y[i] = convert<T>(low + range * static_cast<double>(uniform01(word[i])));
  }
};
// Box and Muller (1958): the words of elements 2k and 2k+1 give both.
template <class T>
struct Normal {
  static constexpr bool kInput = false;
  double mean, deviation;
  __device__ void operator()(const std::uint32_t* word, const T*, T* y) const {
#pragma unroll
    for (int i = 0; i < kWords; i += 2) {
      const double radius = sqrt(-2.0 * log((word[i] + 0.5) * 0x1p-32));
      double s, c;
      sincos(6.283185307179586477 * (word[i + 1] * 0x1p-32), &s, &c);
      y[i] = convert<T>(mean + deviation * (radius * c));
      y[i + 1] = convert<T>(mean + deviation * (radius * s));
    }
  }
};
template <class T>
struct Bernoulli {
  static constexpr bool kInput = false;
  double p;
  __device__ void operator()(const std::uint32_t* word, const T*, T* y) const {
#pragma unroll
    for (int i = 0; i < kWords; ++i) y[i] = convert<T>(static_cast<double>(uniform01(word[i])) < p);
  }
};
template <class T>
struct Dropout {
  static constexpr bool kInput = true;
  double p;
  Compute<T> scale;
  __device__ void operator()(const std::uint32_t* word, const T* x, T* y) const {
#pragma unroll
    for (int i = 0; i < kWords; ++i)
      y[i] = static_cast<double>(uniform01(word[i])) >= p ? store<T>(load(x[i]) * scale) : T{};
  }
};

template <class F>
void with_real(DType t, F&& f) {
  if (t == DType::f32) return f(float());
  if (t == DType::f64) return f(double());
  if (t == DType::bf16) return f(BFloat16());
  return f(Float16());
}
template <class Args>
const char* supports(const Args& a) {
  return is_real(a.dtype()) ? nullptr : "dtype is not real";
}

void uniform_fill(const RandomArgs& a) {
  with_real(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    draw<T>(Uniform<T>{a.low, a.high - a.low}, a.stream, a.y);
  });
}
void normal_fill(const RandomArgs& a) {
  with_real(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    draw<T>(Normal<T>{a.low, a.high}, a.stream, a.y);
  });
}
void bernoulli_fill(const RandomArgs& a) {
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    draw<T>(Bernoulli<T>{a.low}, a.stream, a.y);
  });
}
void dropout_elements(const DropoutArgs& a) {
  with_real(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const double scale = a.p < 1 ? 1 / (1 - a.p) : 0;
    draw<T>(Dropout<T>{a.p, static_cast<Compute<T>>(scale)}, a.stream, a.y, a.x.ptr<const T>());
  });
}

}  // namespace

void add_random() {
  uniform.add(DeviceType::cuda, "cuda", uniform_fill, supports<RandomArgs>);
  normal.add(DeviceType::cuda, "cuda", normal_fill, supports<RandomArgs>);
  bernoulli.add(DeviceType::cuda, "cuda", bernoulli_fill);
  dropout.add(DeviceType::cuda, "cuda", dropout_elements, supports<DropoutArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
