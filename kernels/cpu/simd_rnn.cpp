// Steps of recurrent cells in f32: the formulas of rnn_math.h on vectors, tails masked.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/rnn.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_rnn.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>

HWY_BEFORE_NAMESPACE();
#define TD_MATH_NAMESPACE HWY_NAMESPACE
#include <tapedeck/kernels/common/elementwise_math.h>
#define TD_CELL_NAMESPACE HWY_NAMESPACE
#include <tapedeck/kernels/common/rnn_math.h>

namespace tapedeck::kernels::HWY_NAMESPACE {

// step(i, load, store) for every vector of n channels; the last may be a part of one.
template <class Step>
HWY_INLINE void channels(std::int64_t n, const Step& step) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    step(
        i, [](const float* p) HWY_ATTR { return load(p); }, [](F r, float* p) HWY_ATTR { store(r, p); });
  if (const std::int64_t rest = n - i; rest)
    step(
        i, [=](const float* p) HWY_ATTR { return load_first(p, rest); },
        [=](F r, float* p) HWY_ATTR { store_first(r, p, rest); });
}

void gru_row(const float* gi, const float* gh, const float* h, float* y, float* saved, std::int64_t n) {
  channels(n, [=](std::int64_t k, auto get, auto put) HWY_ATTR {
    const F hn = get(gh + 2 * n + k);
    const auto s =
        gru_step(get(gi + k), get(gi + n + k), get(gi + 2 * n + k), get(gh + k), get(gh + n + k), hn, get(h + k));
    put(s.r, saved + k), put(s.z, saved + n + k), put(s.n, saved + 2 * n + k), put(hn, saved + 3 * n + k);
    put(s.y, y + k);
  });
}

void gru_grad_row(const float* gy, const float* h, const float* s, float* dgi, float* dgh, float* dh, std::int64_t n,
                  bool add) {
  channels(n, [=](std::int64_t k, auto get, auto put) HWY_ATTR {
    const auto d =
        gru_slopes(get(gy + k), get(s + k), get(s + n + k), get(s + 2 * n + k), get(s + 3 * n + k), get(h + k));
    put(d.r, dgi + k), put(d.z, dgi + n + k), put(d.n, dgi + 2 * n + k);
    put(d.r, dgh + k), put(d.z, dgh + n + k), put(d.hn, dgh + 2 * n + k);
    put(add ? get(dh + k) + d.h : d.h, dh + k);
  });
}

void lstm_row(const float* gi, const float* gh, const float* c, float* y, float* cy, float* saved, std::int64_t n) {
  channels(n, [=](std::int64_t k, auto get, auto put) HWY_ATTR {
    const auto s =
        lstm_step(get(gi + k) + get(gh + k), get(gi + n + k) + get(gh + n + k),
                  get(gi + 2 * n + k) + get(gh + 2 * n + k), get(gi + 3 * n + k) + get(gh + 3 * n + k), get(c + k));
    put(s.i, saved + k), put(s.f, saved + n + k), put(s.g, saved + 2 * n + k), put(s.o, saved + 3 * n + k);
    put(s.c, cy + k), put(s.y, y + k);
  });
}

void lstm_grad_row(const float* gy, const float* gcy, const float* c, const float* cy, const float* s, float* dg,
                   float* dc, std::int64_t n) {
  channels(n, [=](std::int64_t k, auto get, auto put) HWY_ATTR {
    const auto d = lstm_slopes(get(gy + k), get(gcy + k), get(s + k), get(s + n + k), get(s + 2 * n + k),
                               get(s + 3 * n + k), get(c + k), get(cy + k));
    put(d.i, dg + k), put(d.f, dg + n + k), put(d.g, dg + 2 * n + k), put(d.o, dg + 3 * n + k);
    put(d.c, dc + k);
  });
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 ? nullptr : "dtype is not f32";
}

float* row(const TensorView& v, std::int64_t b) { return v.ptr<float>() + b * v.strides[0]; }

template <class Row, class... V>
void each_row(Row f, const TensorView& shape, const V&... views) {
  const std::int64_t n = shape.sizes[1];
  parallel_for(shape.sizes[0], row_grain(n, 16), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) f(row(views, b)..., n);
  });
}

#define TD_TARGET(name) (use_avx512() ? N_AVX3::name : N_AVX2::name)
void gru(const GruGatesArgs& a) { each_row(TD_TARGET(gru_row), a.y, a.gi, a.gh, a.h, a.y, a.saved); }
void gru_backward(const GruGatesGradArgs& a) {
  const auto row = [f = TD_TARGET(gru_grad_row), add = a.beta != 0](auto... of) { f(of..., add); };
  each_row(row, a.gy, a.gy, a.h, a.saved, a.dgi, a.dgh, a.dh);
}
void lstm(const LstmGatesArgs& a) { each_row(TD_TARGET(lstm_row), a.y, a.gi, a.gh, a.c, a.y, a.cy, a.saved); }
void lstm_backward(const LstmGatesGradArgs& a) {
  each_row(TD_TARGET(lstm_grad_row), a.gy, a.gy, a.gcy, a.c, a.cy, a.saved, a.dg, a.dc);
}
#undef TD_TARGET

}  // namespace

void add_simd_rnn() {
  constexpr DeviceType cpu = DeviceType::cpu;
  gru_gates.add(cpu, "simd", gru, supports<GruGatesArgs>);
  gru_gates_backward.add(cpu, "simd", gru_backward, supports<GruGatesGradArgs>);
  lstm_gates.add(cpu, "simd", lstm, supports<LstmGatesArgs>);
  lstm_gates_backward.add(cpu, "simd", lstm_backward, supports<LstmGatesGradArgs>);
}

}  // namespace tapedeck::kernels
#endif
