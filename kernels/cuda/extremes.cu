// The largest and smallest, and where they stand. NaN is more extreme than any number, and the first of equals counts.
#include <tapedeck/kernels/cuda/fold.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/kernels/reduce.h>

#include <limits>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

template <class C>
C before_all(bool largest) {  // what every element replaces, or equals
  using Limits = std::numeric_limits<C>;
  if constexpr (Limits::has_infinity)
    return largest ? -Limits::infinity() : Limits::infinity();
  else
    return largest ? Limits::lowest() : Limits::max();
}

template <class T>
struct Extreme {
  using In = T;
  using Out = T;
  using State = Compute<T>;
  bool largest;
  State first = before_all<State>(largest);
  __device__ State none() const { return first; }
  __device__ void take(State& s, State v, std::int64_t) const { s = join(s, v); }
  __device__ State join(State a, State b) const { return b != b || (largest ? b > a : b < a) ? b : a; }
  __device__ Out result(State s) const { return store<T>(s); }
};

template <class C>
struct Placed {
  C value;
  std::int64_t place;  // -1: none
};
template <class T>
struct ArgExtreme {
  using In = T;
  using Out = std::int64_t;
  using State = Placed<Compute<T>>;
  bool largest;
  __device__ State none() const { return {0, -1}; }
  __device__ bool beats(Compute<T> a, Compute<T> b) const { return a != a ? b == b : (largest ? a > b : a < b); }
  __device__ void take(State& s, Compute<T> v, std::int64_t i) const {
    if (s.place < 0 || beats(v, s.value)) s = {v, i};  // a later equal does not count
  }
  __device__ State join(const State& a, const State& b) const {
    if (a.place < 0 || b.place < 0) return a.place < 0 ? b : a;
    if (beats(a.value, b.value)) return a;
    if (beats(b.value, a.value)) return b;
    return a.place < b.place ? a : b;
  }
  __device__ Out result(const State& s) const { return s.place; }
};

template <bool largest>
void reduce_extreme(const ReduceArgs& a) {
  each_fold_type(a.dtype(), [&](auto zero) { fold(Extreme<decltype(zero)>{largest}, a.x, a.y, a.dims); });
}
template <bool largest>
void place_of_extreme(const ArgArgs& a) {
  each_fold_type(a.dtype(), [&](auto zero) { fold(ArgExtreme<decltype(zero)>{largest}, a.x, a.y, 1u << a.dim); });
}

// Smallest and largest of indices.
struct Interval {
  std::int64_t low, high;
};
struct Span {
  using In = std::int64_t;
  using Out = Interval;
  using State = Interval;
  __device__ State none() const { return {INT64_MAX, INT64_MIN}; }
  __device__ void take(State& s, std::int64_t v, std::int64_t) const { s = join(s, {v, v}); }
  __device__ State join(const State& a, const State& b) const {
    return {a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
  }
  __device__ Out result(const State& s) const { return s; }
};
void range_of_indices(const IndexRangeArgs& a) {
  a.out[0] = a.out[1] = 0;
  if (a.index.numel() == 0) return;
  const Scratch range(a.index.device, sizeof(Interval));
  TensorView y = a.index;
  y.data = range.as<void>();
  for (int d = 0; d < y.rank; ++d) y.sizes[d] = 1;
  fold(Span(), a.index, y, (1u << a.index.rank) - 1u);
  download(a.index.device, a.out, range.as<void>(), sizeof(Interval));
}

}  // namespace

void add_extremes() {
  constexpr DeviceType cuda = DeviceType::cuda;
  amax.add(cuda, "cuda", reduce_extreme<true>);
  amin.add(cuda, "cuda", reduce_extreme<false>);
  argmax.add(cuda, "cuda", place_of_extreme<true>);
  argmin.add(cuda, "cuda", place_of_extreme<false>);
  index_range.add(cuda, "cuda", range_of_indices);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
