// Reference steps of recurrent cells: in double, rounded once.
#include <tapedeck/kernels/common/rnn_math.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/rnn.h>

namespace tapedeck::kernels {
namespace {

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

template <class T>
T* row(const TensorView& v, std::int64_t b) {
  return v.ptr<T>() + b * v.strides[0];
}

template <class F>
void each_row(const TensorView& y, F&& f) {  // f(b, channels)
  const std::int64_t channels = y.sizes[1];
  parallel_for(y.sizes[0], row_grain(channels, 16), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) f(b, channels);
  });
}

template <class T>
void gru(const GruGatesArgs& a) {
  each_row(a.y, [&](std::int64_t b, std::int64_t n) {
    const T *gi = row<const T>(a.gi, b), *gh = row<const T>(a.gh, b), *h = row<const T>(a.h, b);
    T *y = row<T>(a.y, b), *saved = row<T>(a.saved, b);
    for (std::int64_t k = 0; k < n; ++k) {
      const auto s = math::gru_step<double>(gi[k], gi[n + k], gi[2 * n + k], gh[k], gh[n + k], gh[2 * n + k], h[k]);
      saved[k] = static_cast<T>(s.r), saved[n + k] = static_cast<T>(s.z), saved[2 * n + k] = static_cast<T>(s.n);
      saved[3 * n + k] = gh[2 * n + k];
      y[k] = static_cast<T>(s.y);
    }
  });
}

template <class T>
void gru_backward(const GruGatesGradArgs& a) {
  each_row(a.gy, [&](std::int64_t b, std::int64_t n) {
    const T *gy = row<const T>(a.gy, b), *h = row<const T>(a.h, b), *s = row<const T>(a.saved, b);
    T *dgi = row<T>(a.dgi, b), *dgh = row<T>(a.dgh, b), *dh = row<T>(a.dh, b);
    for (std::int64_t k = 0; k < n; ++k) {
      const auto d = math::gru_slopes<double>(gy[k], s[k], s[n + k], s[2 * n + k], s[3 * n + k], h[k]);
      dgi[k] = dgh[k] = static_cast<T>(d.r), dgi[n + k] = dgh[n + k] = static_cast<T>(d.z);
      dgi[2 * n + k] = static_cast<T>(d.n), dgh[2 * n + k] = static_cast<T>(d.hn);
      dh[k] = static_cast<T>(a.beta != 0 ? dh[k] + d.h : d.h);
    }
  });
}

template <class T>
void lstm(const LstmGatesArgs& a) {
  each_row(a.y, [&](std::int64_t b, std::int64_t n) {
    const T *gi = row<const T>(a.gi, b), *gh = row<const T>(a.gh, b), *c = row<const T>(a.c, b);
    T *y = row<T>(a.y, b), *cy = row<T>(a.cy, b), *saved = row<T>(a.saved, b);
    for (std::int64_t k = 0; k < n; ++k) {
      const auto sum = [&](std::int64_t gate) { return static_cast<double>(gi[gate * n + k]) + gh[gate * n + k]; };
      const auto s = math::lstm_step<double>(sum(0), sum(1), sum(2), sum(3), c[k]);
      saved[k] = static_cast<T>(s.i), saved[n + k] = static_cast<T>(s.f);
      saved[2 * n + k] = static_cast<T>(s.g), saved[3 * n + k] = static_cast<T>(s.o);
      cy[k] = static_cast<T>(s.c), y[k] = static_cast<T>(s.y);
    }
  });
}

template <class T>
void lstm_backward(const LstmGatesGradArgs& a) {
  each_row(a.gy, [&](std::int64_t b, std::int64_t n) {
    const T *gy = row<const T>(a.gy, b), *gcy = row<const T>(a.gcy, b), *c = row<const T>(a.c, b);
    const T *cy = row<const T>(a.cy, b), *s = row<const T>(a.saved, b);
    T *dg = row<T>(a.dg, b), *dc = row<T>(a.dc, b);
    for (std::int64_t k = 0; k < n; ++k) {
      const auto d = math::lstm_slopes<double>(gy[k], gcy[k], s[k], s[n + k], s[2 * n + k], s[3 * n + k], c[k], cy[k]);
      dg[k] = static_cast<T>(d.i), dg[n + k] = static_cast<T>(d.f);
      dg[2 * n + k] = static_cast<T>(d.g), dg[3 * n + k] = static_cast<T>(d.o);
      dc[k] = static_cast<T>(d.c);
    }
  });
}

}  // namespace

void add_ref_rnn() {
#define TD_ADD(slot, Args, function) \
  slot.add(                          \
      DeviceType::cpu, "ref",        \
      [](const Args& a) { a.dtype() == DType::f32 ? function<float>(a) : function<double>(a); }, supports<Args>);
  TD_ADD(gru_gates, GruGatesArgs, gru)
  TD_ADD(gru_gates_backward, GruGatesGradArgs, gru_backward)
  TD_ADD(lstm_gates, LstmGatesArgs, lstm)
  TD_ADD(lstm_gates_backward, LstmGatesGradArgs, lstm_backward)
#undef TD_ADD
}

}  // namespace tapedeck::kernels
