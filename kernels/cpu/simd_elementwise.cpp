// Elementwise f32 kernels on Highway: one loop per functor and target, chosen once at run time.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/stage.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/elementwise.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_elementwise.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_math-inl.h>

HWY_BEFORE_NAMESPACE();
#define TD_MATH_NAMESPACE HWY_NAMESPACE
#include <tapedeck/kernels/common/elementwise_math.h>
HWY_AFTER_NAMESPACE();

#include <tapedeck/kernels/cpu/simd_loops-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

template <class Fn>
void unary_loop(const float* const* in, float* y, std::int64_t n, float p, float q) {
  each_vector<1>(in, y, n, [=](const F(&x)[1]) HWY_ATTR {
    return in_width<Fn::kWide>(
        [=](auto v) HWY_ATTR {
          using T = decltype(v);
          return Fn::value(v, T(p), T(q));
        },
        x[0]);
  });
}
template <class Fn>
void grad_loop(const float* const* in, float* gx, std::int64_t n, float p, float q) {
  each_vector<3>(in, gx, n, [=](const F(&x)[3]) HWY_ATTR {
    return in_width<Fn::kWide>(
        [=](auto g, auto v, auto y) HWY_ATTR {
          using T = decltype(v);
          return Fn::grad(g, v, y, T(p), T(q));
        },
        x[0], x[1], x[2]);
  });
}
template <class Fn>
void binary_loop(const float* const* in, float* y, std::int64_t n, float, float) {
  each_vector<2>(in, y, n, [](const F(&x)[2]) HWY_ATTR {
    return in_width<Fn::kWide>([](auto a, auto b) HWY_ATTR { return Fn::value(a, b); }, x[0], x[1]);
  });
}
template <class Fn>
void ternary_loop(const float* const* in, float* y, std::int64_t n, float p, float) {
  each_vector<3>(in, y, n, [=](const F(&x)[3]) HWY_ATTR {
    return in_width<Fn::kWide>([=](auto a, auto b, auto c) HWY_ATTR { return Fn::value(a, b, c, decltype(a)(p)); },
                               x[0], x[1], x[2]);
  });
}

struct Loops {
#define TD_LOOP(name, Name)                      \
  static constexpr auto name = unary_loop<Name>; \
  static constexpr auto name##_backward = grad_loop<Name>;
  TD_UNARY_LIST(TD_LOOP)
#undef TD_LOOP
#define TD_LOOP(name, Name) static constexpr auto name = unary_loop<Name>;
  TD_MAP_LIST(TD_LOOP)
#undef TD_LOOP
#define TD_LOOP(name, Name) static constexpr auto name = binary_loop<Name>;
  TD_BINARY_LIST(TD_LOOP)
#undef TD_LOOP
#define TD_LOOP(name, Name) static constexpr auto name = ternary_loop<Name>;
  TD_TERNARY_LIST(TD_LOOP)
#undef TD_LOOP
};

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

using Loop = void (*)(const float* const*, float*, std::int64_t, float, float);

// The walk is one for all functions of N arguments; the loops differ. What the walk would hand over in one piece goes
// there directly: small tensors are most of the calls of a small network.
template <int N>
void run(Loop loop, const std::array<const TensorView*, N + 1>& views, std::int64_t cost, double p0, double p1) {
  const float p = static_cast<float>(p0), q = static_cast<float>(p1);
  const TensorView& y = *views[N];
  const std::int64_t numel = y.numel();
  if (numel <= kGrain / cost && y.contiguous()) {
    const float* in[N];
    bool same = numel > 0;
    for (int k = 0; k < N; ++k) {
      in[k] = static_cast<const float*>(views[k]->data);
      for (int d = 0; d < y.rank; ++d) same = same && views[k]->strides[d] == y.strides[d];
    }
    if (same) return loop(in, static_cast<float*>(y.data), numel, p, q);
  }
  std::array<TensorView, N + 1> copies;
  for (int k = 0; k <= N; ++k) copies[k] = *views[k];
  staged<N>(Walk<N + 1>(copies), cost,
            [=](const float* const* in, float* to, std::int64_t n) { loop(in, to, n, p, q); });
}

template <bool wide>
constexpr std::int64_t kCost = wide ? 8 : 2;

template <Loop avx2, Loop avx512, bool wide>
void unary(const UnaryArgs& a) {
  run<1>(use_avx512() ? avx512 : avx2, {&a.x, &a.y}, kCost<wide>, a.p0, a.p1);
}
template <Loop avx2, Loop avx512, bool wide>
void unary_backward(const UnaryGradArgs& a) {
  run<3>(use_avx512() ? avx512 : avx2, {&a.gy, &a.x, &a.y, &a.gx}, kCost<wide>, a.p0, a.p1);
}
template <Loop avx2, Loop avx512, bool wide>
void binary(const BinaryArgs& a) {
  run<2>(use_avx512() ? avx512 : avx2, {&a.a, &a.b, &a.y}, wide ? 8 : 1, 0, 0);
}
template <Loop avx2, Loop avx512, bool wide>
void ternary(const TernaryArgs& a) {
  run<3>(use_avx512() ? avx512 : avx2, {&a.a, &a.b, &a.c, &a.y}, kCost<wide>, a.p0, 0);
}
template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 ? nullptr : "dtype is not f32";
}

}  // namespace

void add_simd_elementwise() {
  constexpr DeviceType cpu = DeviceType::cpu;
#define TD_BOTH(name, Name) N_AVX2::Loops::name, N_AVX3::Loops::name, N_AVX2::Name::kWide
#define TD_ADD(name, Name)                                                \
  name.add(cpu, "simd", unary<TD_BOTH(name, Name)>, supports<UnaryArgs>); \
  name##_backward.add(cpu, "simd", unary_backward<TD_BOTH(name##_backward, Name)>, supports<UnaryGradArgs>);
  TD_UNARY_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "simd", unary<TD_BOTH(name, Name)>, supports<UnaryArgs>);
  TD_MAP_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "simd", binary<TD_BOTH(name, Name)>, supports<BinaryArgs>);
  TD_BINARY_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "simd", ternary<TD_BOTH(name, Name)>, supports<TernaryArgs>);
  TD_TERNARY_LIST(TD_ADD)
#undef TD_ADD
#undef TD_BOTH
}

}  // namespace tapedeck::kernels
#endif
