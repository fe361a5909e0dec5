// Gated activation in f32: the functors of tanh and sigmoid side by side, hence the bits of the composed ops.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/elementwise.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_gate.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>

HWY_BEFORE_NAMESPACE();
#define TD_MATH_NAMESPACE HWY_NAMESPACE
#include <tapedeck/kernels/common/elementwise_math.h>

namespace tapedeck::kernels::HWY_NAMESPACE {

HWY_INLINE F tanh_value(F x) { return Tanh::value(x, F(0), F(0)); }
HWY_INLINE F sigmoid_value(F x) { return Sigmoid::value(x, F(0), F(0)); }

// One row; c may be null.
void gate_row(const float* x, const float* c, float* y, std::int64_t channels) {
  if (c) {
    const float* const in[] = {x, x + channels, c, c + channels};
    each_vector<4>(in, y, channels,
                   [](const F(&v)[4]) HWY_ATTR { return tanh_value(v[0] + v[2]) * sigmoid_value(v[1] + v[3]); });
  } else {
    const float* const in[] = {x, x + channels};
    each_vector<2>(in, y, channels, [](const F(&v)[2]) HWY_ATTR { return tanh_value(v[0]) * sigmoid_value(v[1]); });
  }
}

HWY_INLINE F filter_grad(F g, F u, F v) {
  const F t = tanh_value(u);
  return Tanh::grad(g * sigmoid_value(v), u, t, F(0), F(0));
}
HWY_INLINE F gate_grad(F g, F u, F v) {
  const F s = sigmoid_value(v);
  return Sigmoid::grad(g * tanh_value(u), v, s, F(0), F(0));
}
void gate_grad_row(const float* gy, const float* x, const float* c, float* gx, std::int64_t channels) {
  const auto block = [=](std::int64_t i, auto load_n, auto store_n) HWY_ATTR {
    const F g = load_n(gy + i);
    F u = load_n(x + i), v = load_n(x + channels + i);
    if (c) u = u + load_n(c + i), v = v + load_n(c + channels + i);
    store_n(filter_grad(g, u, v), gx + i);
    store_n(gate_grad(g, u, v), gx + channels + i);
  };
  std::int64_t i = 0;
  for (; i + kLanes <= channels; i += kLanes)
    block(
        i, [](const float* p) HWY_ATTR { return load(p); }, [](F r, float* p) HWY_ATTR { store(r, p); });
  const std::int64_t rest = channels - i;
  if (rest)
    block(
        i, [=](const float* p) HWY_ATTR { return load_first(p, rest); },
        [=](F r, float* p) HWY_ATTR { store_first(r, p, rest); });
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

void gate(const GateArgs& a) {
  const auto row = use_avx512() ? N_AVX3::gate_row : N_AVX2::gate_row;
  const std::int64_t channels = a.y.sizes[a.y.rank - 1];
  const Walk<3> walk({a.x, a.c ? a.c : a.x, a.y}, outer_dims(a.y));
  parallel_for(walk.numel, row_grain(channels, 4), [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      const float *x = reinterpret_cast<const float*>(at[0]), *c = reinterpret_cast<const float*>(at[1]);
      float* y = reinterpret_cast<float*>(at[2]);
      for (std::int64_t r = 0; r < n; ++r) row(x + r * s[0], a.c ? c + r * s[1] : nullptr, y + r * s[2], channels);
    });
  });
}

void gate_backward(const GateGradArgs& a) {
  const auto row = use_avx512() ? N_AVX3::gate_grad_row : N_AVX2::gate_grad_row;
  const std::int64_t channels = a.gy.sizes[a.gy.rank - 1];
  const Walk<4> walk({a.x, a.c ? a.c : a.x, a.gx, a.gy}, outer_dims(a.gy));
  parallel_for(walk.numel, row_grain(channels, 8), [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      const float *x = reinterpret_cast<const float*>(at[0]), *c = reinterpret_cast<const float*>(at[1]);
      float* gx = reinterpret_cast<float*>(at[2]);
      const float* gy = reinterpret_cast<const float*>(at[3]);
      for (std::int64_t r = 0; r < n; ++r)
        row(gy + r * s[3], x + r * s[0], a.c ? c + r * s[1] : nullptr, gx + r * s[2], channels);
    });
  });
}

const char* supports(const GateArgs& a) { return a.dtype() == DType::f32 ? nullptr : "dtype is not f32"; }
const char* supports_backward(const GateGradArgs& a) {
  if (a.dtype() != DType::f32) return "dtype is not f32";
  const int last = a.gy.rank - 1;
  return a.gy.sizes[last] > 1 && a.gy.strides[last] != 1 ? "gy is not contiguous along its last dimension" : nullptr;
}

}  // namespace

void add_simd_gate() {
  gated_activation.add(DeviceType::cpu, "simd", gate, supports);
  gated_activation_backward.add(DeviceType::cpu, "simd", gate_backward, supports_backward);
}

}  // namespace tapedeck::kernels
#endif
