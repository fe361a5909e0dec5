// Rows along the last dimension, each held by a group of neighbouring threads: in their registers where it fits, so
// that one read and one write do, else walked again and again.
#pragma once
#include <tapedeck/kernels/cuda/map.h>
#include <tapedeck/kernels/cuda/reduce.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

inline constexpr int kRowThreads = 512;  // of one row, at most
template <class T>
inline constexpr int kHeld = sizeof(T) == 8 ? 8 : 16;  // elements that a thread holds

struct GroupPlan {
  Launch launch;
  int group = 1;      // threads of a row: a power of two, and the whole block where it is more than a warp
  bool held = false;  // or walked
};
// Rows of `width` elements, of which a thread holds at most `items`.
inline GroupPlan plan_groups(std::int64_t rows, std::int64_t width, int items) {
  GroupPlan p;
  const std::int64_t wanted = ceil_div(width, width <= kWarp * items ? 4 : items);
  const int most = width <= kWarp * items ? kWarp : kRowThreads;
  while (p.group < wanted && p.group < most) p.group *= 2;
  p.held = width <= std::int64_t{p.group} * items;
  int threads = std::max(kWarp, p.group);
  while (threads < 128 && threads < rows * p.group) threads *= 2;
  p.launch.block[0] = static_cast<unsigned>(threads);
  p.launch.grid[0] = static_cast<unsigned>(ceil_div(rows, threads / p.group));
  return p;
}

// Calls f with a zero of the element type.
template <class F>
void real_type(DType t, F&& f) {
  if (t == DType::f32) return f(float());
  if (t == DType::f64) return f(double());
  if (t == DType::bf16) return f(BFloat16());
  f(Float16());
}
template <class F>
void plain_type(DType t, F&& f) {  // all but bf16 and f16; a bool is the byte that it is
  if (t == DType::f32) return f(float());
  if (t == DType::f64) return f(double());
  if (t == DType::i64) return f(std::int64_t());
  if (t == DType::i32) return f(std::int32_t());
  f(std::uint8_t());
}
template <class Args>
const char* takes_real_type(const Args& a) {
  return is_real(a.dtype()) ? nullptr : "dtype is not real";
}

// Where a thread stands.
struct Member {
  std::int64_t row;
  int lane, group;
  __device__ explicit Member(int group)
      : row(std::int64_t{blockIdx.x} * (blockDim.x / group) + threadIdx.x / group),
        lane(static_cast<int>(threadIdx.x) % group),
        group(group) {}
};

// f(f(a, b), …) over the threads of each group, in all of them; f(a, b) is f(b, a). `spare`: shared memory of
// kRowThreads / kWarp elements. Every thread of the block must call it.
template <class T, class F>
__device__ inline T group_fold(T v, F f, int group, T* spare) {
  for (int step = (group < kWarp ? group : kWarp) / 2; step > 0; step /= 2) v = f(v, shuffle_xor(v, step));
  if (group <= kWarp) return v;
  __syncthreads();  // what was read from `spare` before has been read
  if (threadIdx.x % kWarp == 0) spare[threadIdx.x / kWarp] = v;
  __syncthreads();
  v = spare[0];
  for (int w = 1; w < group / kWarp; ++w) v = f(v, spare[w]);
  return v;
}

// A thread's elements of a row of n, at most H, `step` apart, V together at a time (then n is a multiple of V and step
// is 1). each(f): f(element, its place in the row); write(y, f): y[place] = f(element, place).
template <class T, int V, int H = kHeld<T>>
struct HeldRow {
  using Element = T;
  using C = Compute<T>;
  static constexpr int kHolds = H, kPacks = H / V;
  C v[H];
  int n, lane, group;

  __device__ HeldRow(const T* x, std::int64_t step, std::int64_t n, const Member& m)
      : n(static_cast<int>(n)), lane(m.lane), group(m.group) {
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const int at = place(p);
      Pack<T, V> pack{};
      if (at < n) pack = fetch<T, V>(x + at * step, step, V > 1);
      for (int i = 0; i < V; ++i) v[p * V + i] = load(pack.v[i]);
    }
  }
  __device__ int place(int p) const { return (p * group + lane) * V; }
  template <class F>
  __device__ void each(F f) const {
#pragma unroll
    for (int p = 0; p < kPacks; ++p)
      if (place(p) < n)
        for (int i = 0; i < V; ++i) f(v[p * V + i], place(p) + i);
  }
  template <class F>
  __device__ void write(T* y, F f) const {
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const int at = place(p);
      if (at >= n) continue;
      Pack<T, V> out;
      for (int i = 0; i < V; ++i) out.v[i] = store<T>(f(v[p * V + i], at + i));
      put_pack(y + at, out);
    }
  }
  // v times the elements of another row, which may be null: then as it is.
  __device__ void scale(const T* w) {
    if (!w) return;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      if (place(p) >= n) continue;
      const Pack<T, V> pack = fetch<T, V>(w + place(p), 1, V > 1);
      for (int i = 0; i < V; ++i) v[p * V + i] *= load(pack.v[i]);
    }
  }
  // y = f(v) w + b, with rows w and b that may be null.
  template <class F>
  __device__ void write_scaled(T* y, const T* w, const T* b, F f) const {
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const int at = place(p);
      if (at >= n) continue;
      Pack<T, V> scale{}, shift{}, out;
      if (w) scale = fetch<T, V>(w + at, 1, V > 1);
      if (b) shift = fetch<T, V>(b + at, 1, V > 1);
      for (int i = 0; i < V; ++i) {
        C r = f(v[p * V + i]);
        if (w) r *= load(scale.v[i]);
        if (b) r += load(shift.v[i]);
        out.v[i] = store<T>(r);
      }
      put_pack(y + at, out);
    }
  }
};
template <class T>
struct WalkedRow {
  using Element = T;
  using C = Compute<T>;
  static constexpr int kHolds = 0;
  const T* x;
  std::int64_t step, n;
  int lane, group;

  __device__ WalkedRow(const T* x, std::int64_t step, std::int64_t n, const Member& m)
      : x(x), step(step), n(n), lane(m.lane), group(m.group) {}
  template <class F>
  __device__ void each(F f) const {
#pragma unroll 4
    for (std::int64_t i = lane; i < n; i += group) f(load(x[i * step]), i);
  }
  template <class F>
  __device__ void write(T* y, F f) const {
#pragma unroll 4
    for (std::int64_t i = lane; i < n; i += group) y[i] = store<T>(f(load(x[i * step]), i));
  }
  template <class F>
  __device__ void write_scaled(T* y, const T* w, const T* b, F f) const {
    write(y, [&](C v, std::int64_t i) {
      const C r = w ? f(v) * load(w[i]) : f(v);
      return b ? r + load(b[i]) : r;
    });
  }
};

// Calls f with a null pointer to the kind of row that serves: `together`: all rows are contiguous, start at multiples
// of 16 bytes and are as long.
template <class T, class F>
void with_rows(const GroupPlan& p, bool together, F&& f) {
  constexpr int kWide = static_cast<int>(16 / sizeof(T));
  if (!p.held) return f(static_cast<WalkedRow<T>*>(nullptr));
  if (together) return f(static_cast<HeldRow<T, kWide>*>(nullptr));
  f(static_cast<HeldRow<T, 1>*>(nullptr));
}
// Whether rows of n elements of all operands are together in that sense.
template <class T, int N>
bool rows_together(const Layout<N>& rows, const std::array<const void*, N>& data, std::int64_t n) {
  constexpr std::int64_t kWide = 16 / sizeof(T);
  bool yes = n % kWide == 0;
  for (int k = 0; k < N; ++k) {
    yes = yes && aligned(data[k], 16);
    for (int d = 0; d < rows.rank; ++d) yes = yes && rows.strides[k][d] % kWide == 0;
  }
  return yes;
}
inline TensorView without_last(TensorView v) {
  if (v.rank > 0) v.sizes[v.rank - 1] = 1;
  return v;
}
inline std::int64_t last_size(const TensorView& v) { return v.rank == 0 ? 1 : v.sizes[v.rank - 1]; }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
