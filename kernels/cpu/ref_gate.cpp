// Reference gated activation: tanh and sigmoid rounded to the element type, then multiplied, as the three ops would.
#include <tapedeck/kernels/common/elementwise_math.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/elementwise.h>

namespace tapedeck::kernels {
namespace {

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
template <class T>
T tanh_of(T x) {
  return static_cast<T>(math::Tanh::value<double>(x, 0, 0));
}
template <class T>
T sigmoid_of(T x) {
  return static_cast<T>(math::Sigmoid::value<double>(x, 0, 0));
}

template <class T>
void forward(const GateArgs& a) {
  const std::int64_t channels = a.y.sizes[a.y.rank - 1];
  // The walk over the outer dimensions looks at strides only, so that views of 2C and of C channels go together.
  const Walk<3> walk({a.x, a.c ? a.c : a.x, a.y}, outer_dims(a.y));
  parallel_for(walk.numel, row_grain(channels, 4), [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      const T *x = reinterpret_cast<const T*>(at[0]), *c = reinterpret_cast<const T*>(at[1]);
      T* y = reinterpret_cast<T*>(at[2]);
      for (std::int64_t r = 0; r < n; ++r, x += s[0], c += s[1], y += s[2])
        for (std::int64_t i = 0; i < channels; ++i) {
          const T u = a.c ? x[i] + c[i] : x[i], v = a.c ? x[i + channels] + c[i + channels] : x[i + channels];
          y[i] = tanh_of(u) * sigmoid_of(v);
        }
    });
  });
}

template <class T>
void backward(const GateGradArgs& a) {
  const std::int64_t channels = a.gy.sizes[a.gy.rank - 1];
  const Walk<4> walk({a.x, a.c ? a.c : a.x, a.gx, a.gy}, outer_dims(a.gy));
  parallel_for(walk.numel, row_grain(channels, 4), [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      const T *x = reinterpret_cast<const T*>(at[0]), *c = reinterpret_cast<const T*>(at[1]);
      T* gx = reinterpret_cast<T*>(at[2]);
      const T* gy = reinterpret_cast<const T*>(at[3]);
      const std::int64_t gy_step = a.gy.strides[a.gy.rank - 1];
      for (std::int64_t r = 0; r < n; ++r, x += s[0], c += s[1], gx += s[2], gy += s[3])
        for (std::int64_t i = 0; i < channels; ++i) {
          const T u = a.c ? x[i] + c[i] : x[i], v = a.c ? x[i + channels] + c[i + channels] : x[i + channels];
          const double g = gy[i * gy_step], t = tanh_of(u), z = sigmoid_of(v);
          gx[i] = static_cast<T>(math::Tanh::grad<double>(g * z, u, t, 0, 0));
          gx[i + channels] = static_cast<T>(math::Sigmoid::grad<double>(g * t, v, z, 0, 0));
        }
    });
  });
}

void gate(const GateArgs& a) { a.dtype() == DType::f32 ? forward<float>(a) : forward<double>(a); }
void gate_backward(const GateGradArgs& a) { a.dtype() == DType::f32 ? backward<float>(a) : backward<double>(a); }

}  // namespace

void add_ref_gate() {
  gated_activation.add(DeviceType::cpu, "ref", gate, supports<GateArgs>);
  gated_activation_backward.add(DeviceType::cpu, "ref", gate_backward, supports<GateGradArgs>);
}

}  // namespace tapedeck::kernels
