// Softmax family, cross entropy and categorical sampling in f32. Exponentials in float, their sums in 16 lanes of
// double (in class order for sampling), so that a row's bits depend on that row alone.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/reduce.h>

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_softmax.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_lanes-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

HWY_INLINE double log_of(double x) { return hn::GetLane(log(D(x)).v); }

// NaN wins.
HWY_INLINE float row_max(const float* x, std::int64_t n) {
  Block m;
  for (int k = 0; k < kParts; ++k) m.part[k] = F(static_cast<double>(kLowest));
  each_block(x, n, kLowest, [&](const Block& b, std::int64_t, std::int64_t) HWY_ATTR {
    for (int k = 0; k < kParts; ++k) {
      const F v = b.part[k], best = m.part[k];
      m.part[k] = select(v > best, v, select(v == v, best, v));
    }
  });
  HWY_ALIGN float l[kBlock];
  store_block(m, l, kBlock);
  float best = l[0];
  for (const float v : l)
    if (v > best || v != v) best = v;
  return best;
}

// e[i] = exp(x[i] - m), when e is given; the sum of all.
HWY_INLINE double exponentials(const float* x, float m, float* e, std::int64_t n) {
  Lanes total(0);
  const F shift(static_cast<double>(m));
  each_block(x, n, kLowest, [&](const Block& b, std::int64_t i, std::int64_t count) HWY_ATTR {
    Block y;
    for (int k = 0; k < kParts; ++k) y.part[k] = exp(b.part[k] - shift);
    if (e) store_block(y, e + i, count);
    total.add(y);
  });
  return total.sum();
}

HWY_INLINE double row_sum(const float* x, std::int64_t n) {
  Lanes total(0);
  each_block(x, n, 0, [&](const Block& b, std::int64_t, std::int64_t) HWY_ATTR { total.add(b); });
  return total.sum();
}

HWY_INLINE void scale(float* y, std::int64_t n, double factor) {
  const F f(factor);
  each_vector<1>(&y, y, n, [=](const F(&v)[1]) HWY_ATTR { return v[0] * f; });
}

void softmax_row(const float* x, float* y, std::int64_t n) {
  const double total = exponentials(x, row_max(x, n), y, n);
  scale(y, n, 1 / total);
}
void log_softmax_row(const float* x, float* y, std::int64_t n) {
  const float m = row_max(x, n);
  const F shift(static_cast<double>(m)), log_total(log_of(exponentials(x, m, nullptr, n)));
  each_vector<1>(&x, y, n, [=](const F(&v)[1]) HWY_ATTR { return (v[0] - shift) - log_total; });
}
// Rows of -Inf give -Inf and a single +Inf gives +Inf, as the limit does.
void logsumexp_row(const float* x, float* y, std::int64_t n) {
  const float top = row_max(x, n), m = std::isinf(top) ? 0 : top;
  *y = static_cast<float>(m + log_of(exponentials(x, m, nullptr, n)));
}

// f(i, count, a, b) for the blocks of two rows side by side.
template <class Fn>
HWY_INLINE void each_block_pair(const float* a, const float* b, std::int64_t n, const Fn& f) {
  each_block(a, n, 0, [&](const Block& u, std::int64_t i, std::int64_t count) HWY_ATTR {
    each_block(b + i, count, 0, [&](const Block& v, std::int64_t, std::int64_t) HWY_ATTR { f(u, v); });
  });
}
void softmax_grad_row(const float* g, const float* y, float* gx, std::int64_t n) {
  Lanes dot(0);
  each_block_pair(g, y, n, [&](const Block& u, const Block& v) HWY_ATTR { dot.add_products(u, v); });
  const F total(dot.sum());
  const float* const in[] = {g, y};
  each_vector<2>(in, gx, n, [=](const F(&v)[2]) HWY_ATTR { return v[1] * (v[0] - total); });
}
void log_softmax_grad_row(const float* g, const float* y, float* gx, std::int64_t n) {
  const F total(row_sum(g, n));
  const float* const in[] = {g, y};
  each_vector<2>(in, gx, n, [=](const F(&v)[2]) HWY_ATTR { return fma(-exp(v[1]), total, v[0]); });
}

float cross_entropy_row(const float* x, std::int64_t target, std::int64_t n) {
  const float m = row_max(x, n);
  return static_cast<float>(log_of(exponentials(x, m, nullptr, n)) + (static_cast<double>(m) - x[target]));
}
// p - 1 at the target is minus the others' share, summed apart: nothing cancels.
void cross_entropy_grad_row(const float* x, std::int64_t target, float g, float* gx, std::int64_t n) {
  const double total = exponentials(x, row_max(x, n), gx, n);
  gx[target] = 0;
  const double others = row_sum(gx, n);
  scale(gx, n, g / total);
  gx[target] = static_cast<float>(-g * (others / total));
}

// cumulative: room for n doubles and n floats.
std::int64_t sample_row(const float* x, float u, float temperature, double* cumulative, std::int64_t n) {
  std::int64_t best = 0;
  if (temperature == 0) {
    for (std::int64_t j = 1; j < n; ++j)
      if (x[j] > x[best]) best = j;
    return best;
  }
  float* e = reinterpret_cast<float*>(cumulative + n);
  const F shift(static_cast<double>(row_max(x, n))), t(static_cast<double>(temperature));
  each_vector<1>(&x, e, n, [=](const F(&v)[1]) HWY_ATTR { return exp((v[0] - shift) / t); });
  double total = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    total += e[j];
    cumulative[j] = total;
    if (e[j] > 0) best = j;
  }
  const double bound = u * total;
  if (!(total > bound)) return best;
  return std::upper_bound(cumulative, cumulative + n, bound) - cumulative;
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

constexpr std::int64_t kCost = 4;  // of an element, in cheap ones
#define TD_TARGET(name) (use_avx512() ? N_AVX3::name : N_AVX2::name)

std::int64_t last_size(const TensorView& v) { return v.rank == 0 ? 1 : v.sizes[v.rank - 1]; }
bool last_contiguous(const TensorView& v) { return last_size(v) <= 1 || v.strides[v.rank - 1] == 1; }

// row(p…, n) for each row; the last view gives the outer shape.
template <int N, class Row>
void each_row(const std::array<TensorView, N>& views, std::int64_t length, Row row) {
  const Walk<N> walk(views, outer_dims(views[N - 1]));
  parallel_for(walk.numel, row_grain(length, kCost), [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      for (std::int64_t r = 0; r < n; ++r) {
        const auto p = [&](int k) { return reinterpret_cast<float*>(at[k]) + r * s[k]; };
        if constexpr (N == 2)
          row(p(0), p(1), length);
        else
          row(p(0), p(1), p(2), length);
      }
    });
  });
}
template <class F>
void each_index(std::int64_t n, std::int64_t length, F&& f) {
  parallel_for(n, row_grain(length, kCost), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i);
  });
}

void softmax_f32(const SoftmaxArgs& a) { each_row<2>({a.x, a.y}, last_size(a.x), TD_TARGET(softmax_row)); }
void log_softmax_f32(const SoftmaxArgs& a) { each_row<2>({a.x, a.y}, last_size(a.x), TD_TARGET(log_softmax_row)); }
void logsumexp_f32(const SoftmaxArgs& a) { each_row<2>({a.x, a.y}, last_size(a.x), TD_TARGET(logsumexp_row)); }
void softmax_backward_f32(const SoftmaxGradArgs& a) {
  each_row<3>({a.gy, a.y, a.gx}, last_size(a.y), TD_TARGET(softmax_grad_row));
}
void log_softmax_backward_f32(const SoftmaxGradArgs& a) {
  each_row<3>({a.gy, a.y, a.gx}, last_size(a.y), TD_TARGET(log_softmax_grad_row));
}

void cross_entropy_f32(const CrossEntropyArgs& a) {
  const auto row = TD_TARGET(cross_entropy_row);
  const std::int64_t n = a.x.sizes[1];
  each_index(a.x.sizes[0], n, [&](std::int64_t i) {
    const std::int64_t target = a.target.ptr<const std::int64_t>()[i * a.target.strides[0]];
    a.losses.ptr<float>()[i * a.losses.strides[0]] =
        target == a.ignore_index ? 0 : row(a.x.ptr<const float>() + i * a.x.strides[0], target, n);
  });
}
void cross_entropy_backward_f32(const CrossEntropyGradArgs& a) {
  const auto row = TD_TARGET(cross_entropy_grad_row);
  const std::int64_t n = a.x.sizes[1];
  each_index(a.x.sizes[0], n, [&](std::int64_t i) {
    const std::int64_t target = a.target.ptr<const std::int64_t>()[i * a.target.strides[0]];
    float* gx = a.gx.ptr<float>() + i * a.gx.strides[0];
    if (target == a.ignore_index)
      std::fill_n(gx, n, 0.0f);
    else
      row(a.x.ptr<const float>() + i * a.x.strides[0], target, a.g.ptr<const float>()[i * a.g.strides[0]], gx, n);
  });
}
void sample_f32(const SampleArgs& a) {
  const auto row = TD_TARGET(sample_row);
  const std::int64_t n = a.x.sizes[1];
  each_index(a.x.sizes[0], n, [&](std::int64_t i) {
    auto* room = static_cast<double*>(workspace(static_cast<std::size_t>(n) * (sizeof(double) + sizeof(float))));
    a.y.ptr<std::int64_t>()[i * a.y.strides[0]] =
        row(a.x.ptr<const float>() + i * a.x.strides[0], a.u.ptr<const float>()[i * a.u.strides[0]],
            static_cast<float>(a.temperature), room, n);
  });
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 ? nullptr : "dtype is not f32";
}
const char* supports_backward(const SoftmaxGradArgs& a) {
  if (a.dtype() != DType::f32) return "dtype is not f32";
  return last_contiguous(a.gy) ? nullptr : "gy is not contiguous along its last dimension";
}

}  // namespace

void add_simd_softmax() {
  constexpr DeviceType cpu = DeviceType::cpu;
  softmax.add(cpu, "simd", softmax_f32, supports<SoftmaxArgs>);
  log_softmax.add(cpu, "simd", log_softmax_f32, supports<SoftmaxArgs>);
  logsumexp.add(cpu, "simd", logsumexp_f32, supports<SoftmaxArgs>);
  softmax_backward.add(cpu, "simd", softmax_backward_f32, supports_backward);
  log_softmax_backward.add(cpu, "simd", log_softmax_backward_f32, supports_backward);
  cross_entropy.add(cpu, "simd", cross_entropy_f32, supports<CrossEntropyArgs>);
  cross_entropy_backward.add(cpu, "simd", cross_entropy_backward_f32, supports<CrossEntropyGradArgs>);
  sample_categorical.add(cpu, "simd", sample_f32, supports<SampleArgs>);
}

}  // namespace tapedeck::kernels
#endif
