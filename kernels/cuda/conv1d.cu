// Convolutions over time: a channel at a time where every channel is a group, products whose rows are found in place
// where channels come in eights, taps as products of matrices by the vendor's library where there are many terms, and
// tiles of our own for everything else.
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/cuda/conv_tiles.h>
#include <tapedeck/kernels/cuda/conv_units.h>
#include <tapedeck/kernels/cuda/depthwise.h>
#include <tapedeck/kernels/cuda/elementwise.h>

#include <vector>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

// ---- tiles ----------------------------------------------------------------------------------------------------------
void forward(const Conv1dArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) { forward_tiles<decltype(zero), 1>(any_rank(a)); });
}
void input_grad(const Conv1dInputGradArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) { input_grad_tiles<decltype(zero), 1>(any_rank(a)); });
}
void weight_grad(const Conv1dWeightGradArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) { weight_grad_tiles<decltype(zero), 1>(any_rank(a)); });
}

// ---- products in place ----------------------------------------------------------------------------------------------
template <class T>
void forward_on_units(const Conv1dArgs& a) {
  const Scratch turned(a.y.device, static_cast<std::size_t>(a.w.numel()) * sizeof(T));
  turn_weight<1>(a.w, 1, WeightOrder::in_out, turned.as<void>());
  const Conv1dShape& s = a.shape;
  units::solve(a.y.device, units::TapsProblem<T>(a.x, a.w.sizes[2], s.dilation, s.stride, -s.pad_left, turned.as<T>(),
                                                 a.bias, a.y, a.beta));
}
// The places that meet the same taps at a time (Phases).
template <class T>
void input_grad_on_units(const Conv1dInputGradArgs& a) {
  const Phases phases(a.shape.stride, a.shape.dilation, a.shape.pad_left, a.gx.sizes[1], a.w.sizes[2]);
  const Scratch turned(a.gx.device, static_cast<std::size_t>(a.w.numel()) * sizeof(T));
  for (std::int64_t first = 0; first < phases.count; ++first) {
    const Phases::Phase now = phases.phase(first);
    TensorView w = a.w, gx = a.gx;
    w.sizes[2] = now.taps, w.strides[2] *= phases.tap_step;
    w.data = w.ptr<T>() + now.first_tap * a.w.strides[2];
    gx.sizes[1] = now.places, gx.strides[1] *= phases.stride;
    gx.data = gx.ptr<T>() + first * a.gx.strides[1];
    turn_weight<1>(w, 1, WeightOrder::out_in, turned.as<void>());
    units::solve(gx.device, units::TapsProblem<T>(a.gy, now.taps, -phases.dilation / phases.common, 1, now.start,
                                                  turned.as<T>(), a.bias, gx, a.beta));
  }
}
void forward_units(const Conv1dArgs& a) {
  units::each_type(a.dtype(), [&](auto zero) { forward_on_units<decltype(zero)>(a); });
}
void input_grad_units(const Conv1dInputGradArgs& a) {
  units::each_type(a.dtype(), [&](auto zero) { input_grad_on_units<decltype(zero)>(a); });
}
void weight_grad_units(const Conv1dWeightGradArgs& a) {
  units::each_type(a.dtype(), [&](auto zero) { units::weight_gradient<decltype(zero)>(a, {}); });
}
const char* units_take(const Conv1dArgs& a) { return units::takes(a.x, a.y, a.w, a.shape); }
const char* units_take(const Conv1dInputGradArgs& a) {
  return a.shape.stride > 16 ? "a stride of more than 16" : units::takes(a.gy, a.gx, a.w, a.shape);
}
const char* units_take(const Conv1dWeightGradArgs& a) { return units::takes(a.x, a.gy, a.gw, a.shape); }

// ---- taps by the vendor's library -----------------------------------------------------------------------------------
// y[b, t, :] = sum over taps of x[b, t * stride + shift, :] @ w[tap], where such a row is; then beta * y, then bias.
struct Tap {
  std::int64_t shift;
  const char* w;
};
struct TapProduct {
  TensorView x, y, bias;
  std::int64_t stride = 1;
  double beta = 0;
  GemmOperand w;  // of a tap: its data apart
  std::vector<Tap> taps;
};

struct Begin {  // y = y (when `add`) + bias (when given)
  bool biased, add;
  template <class T>
  __device__ T operator()(T bias, T y) const {
    Compute<T> v = add ? load(y) : Compute<T>(0);
    if (biased) v += load(bias);
    return store<T>(v);
  }
};
struct Finish {
  bool biased, add;
  template <class T>
  __device__ T operator()(float sum, T bias, T y) const {
    if (add) sum += load(y);
    if (biased) sum += load(bias);
    return store<T>(sum);
  }
};
TensorView over_rows(const TensorView& bias, const TensorView& y) {
  if (!bias.given()) return y;
  TensorView v = y;
  v.data = bias.data, v.strides[0] = v.strides[1] = 0, v.strides[2] = bias.strides[0];
  return v;
}

// The times [begin, end) whose row tap `shift` finds.
struct Range {
  std::int64_t begin, end;
};
Range reached(const TapProduct& p, std::int64_t shift) {
  const std::int64_t size = p.x.sizes[1], begin = shift >= 0 ? 0 : ceil_div(-shift, p.stride);
  const std::int64_t end = shift >= size ? 0 : (size - 1 - shift) / p.stride + 1;
  return {begin, std::max(begin, std::min(end, p.y.sizes[1]))};
}
Gemm tap_gemm(const TapProduct& p, const Tap& tap, Range r) {
  const auto bytes = static_cast<std::int64_t>(size_of(p.x.dtype)),
             y_bytes = static_cast<std::int64_t>(size_of(p.y.dtype));
  Gemm g;
  g.dtype = p.x.dtype, g.out = p.y.dtype;
  g.batch = p.y.sizes[0], g.m = r.end - r.begin, g.n = p.y.sizes[2], g.k = p.x.sizes[2];
  g.a.data = p.x.ptr<const char>() + (r.begin * p.stride + tap.shift) * p.x.strides[1] * bytes;
  g.a.pitch = p.stride * p.x.strides[1], g.a.batch = p.x.strides[0];
  g.b = p.w, g.b.data = tap.w;
  g.y = p.y.ptr<char>() + r.begin * p.y.strides[1] * y_bytes;
  g.y_pitch = p.y.strides[1], g.y_batch = p.y.strides[0];
  if (g.m == 1) g.m = std::exchange(g.batch, 1), g.a.pitch = g.a.batch, g.y_pitch = g.y_batch;
  if (g.m == 1) g.a.pitch = g.k, g.y_pitch = g.n;
  return g;
}

void run_taps(TapProduct p) {
  const bool halves = p.x.dtype == DType::bf16 || p.x.dtype == DType::f16;
  const Scratch sums(p.y.device, halves && p.taps.size() > 1 ? static_cast<std::size_t>(p.y.numel()) * 4 : 0);
  const TensorView y = p.y, bias = p.bias;
  const double beta = p.beta;
  const bool apart = halves && p.taps.size() > 1;
  if (apart) {  // their sums keep f32's digits until all taps are in
    p.y.data = sums.as<void>(), p.y.dtype = DType::f32;
    p.y.strides[0] = y.sizes[1] * y.sizes[2], p.y.strides[1] = y.sizes[2], p.y.strides[2] = 1;
    p.bias = {}, p.beta = 0;
  }
  // First a tap that reaches every row, if one does: it need not read y.
  for (std::size_t i = 1; i < p.taps.size(); ++i) {
    const Range r = reached(p, p.taps[i].shift);
    if (r.begin == 0 && r.end == p.y.sizes[1]) {
      std::swap(p.taps[0], p.taps[i]);
      break;
    }
  }
  const Range r0 = p.taps.empty() ? Range{0, 0} : reached(p, p.taps[0].shift);
  const bool lies = !p.bias || ((p.bias.strides[0] == 1 || p.y.sizes[2] == 1) && aligned(p.bias.data, 16));
  const bool whole = r0.begin == 0 && r0.end == p.y.sizes[1] && lies && !(p.bias && p.y.dtype == DType::f64);
  if (!whole && (p.bias || p.beta == 0)) {
    const Begin f{p.bias.given(), p.beta != 0};
    each_real_type(p.y.dtype, [&](auto zero) {
      using T = decltype(zero);
      map<T, T, T>(f, p.y, over_rows(p.bias, p.y), p.y);
    });
  }
  for (std::size_t i = 0; i < p.taps.size(); ++i) {
    const Range r = reached(p, p.taps[i].shift);
    if (r.begin == r.end) continue;
    Gemm g = tap_gemm(p, p.taps[i], r);
    g.beta = i == 0 && whole ? p.beta : 1;
    if (i == 0 && whole && p.bias) g.bias = p.bias.data;
    TD_CHECK(gemm(p.y.device, g), DeviceError, "conv1d: cuBLAS has no product of ", g.m, "x", g.k, " and ", g.k, "x",
             g.n, " ", name(g.dtype), "; TAPEDECK_KERNELS=own does without it");
  }
  if (!apart) return;
  const Finish f{bias.given(), beta != 0};
  const auto finish = [&](auto zero) {
    using T = decltype(zero);
    map<T, float, T, T>(f, y, p.y, over_rows(bias, y), y);
  };
  y.dtype == DType::bf16 ? finish(BFloat16()) : finish(Float16());
}

// w [O, I, K] tap by tap as matrices [I, O]: in place when one of both dimensions is contiguous, else turned.
struct TapWeights {
  Scratch turned;
  GemmOperand matrix;
  const char* data;
  std::int64_t step;  // bytes

  static bool in_place(const TensorView& w) {
    GemmOperand m;
    return gemm_operand(w.data, w.sizes[1], w.sizes[0], w.strides[1], w.strides[0], 0, &m) &&
           (w.sizes[2] == 1 || w.strides[2] % 8 == 0) && aligned(w.data, 16);
  }
  explicit TapWeights(const TensorView& w)
      : turned(w.device, in_place(w) ? 0 : static_cast<std::size_t>(w.numel()) * size_of(w.dtype)) {
    const auto bytes = static_cast<std::int64_t>(size_of(w.dtype));
    if (in_place(w)) {
      gemm_operand(w.data, w.sizes[1], w.sizes[0], w.strides[1], w.strides[0], 0, &matrix);
      data = w.ptr<const char>(), step = w.strides[2] * bytes;
      return;
    }
    turn_weight<1>(w, 1, WeightOrder::in_out, turned.as<void>());
    gemm_operand(turned.as<void>(), w.sizes[1], w.sizes[0], w.sizes[0], 1, 0, &matrix);
    data = turned.as<const char>(), step = w.sizes[0] * w.sizes[1] * bytes;
  }
};

void forward_taps(const Conv1dArgs& a) {
  if (a.y.numel() == 0) return;
  const TapWeights w(a.w);
  TapProduct p{a.x, a.y, a.bias, a.shape.stride, a.beta, w.matrix, {}};
  for (std::int64_t k = 0; k < a.w.sizes[2]; ++k)
    p.taps.push_back({k * a.shape.dilation - a.shape.pad_left, w.data + k * w.step});
  run_taps(std::move(p));
}

void input_grad_taps(const Conv1dInputGradArgs& a) {
  if (a.gx.numel() == 0) return;
  const TapWeights w(a.w);
  const Phases phases(a.shape.stride, a.shape.dilation, a.shape.pad_left, a.gx.sizes[1], a.w.sizes[2]);
  for (std::int64_t first = 0; first < phases.count; ++first) {
    const Phases::Phase now = phases.phase(first);
    TapProduct p{a.gy, a.gx, a.bias, 1, a.beta, w.matrix, {}};
    p.w.transposed = !p.w.transposed;
    p.y.data = a.gx.ptr<char>() + first * a.gx.strides[1] * static_cast<std::int64_t>(size_of(a.gx.dtype));
    p.y.sizes[1] = now.places, p.y.strides[1] = a.gx.strides[1] * phases.stride;
    for (std::int64_t k = 0; k < now.taps; ++k)
      p.taps.push_back(
          {now.start - k * (phases.dilation / phases.common), w.data + (now.first_tap + k * phases.tap_step) * w.step});
    run_taps(std::move(p));
  }
}

const char* taps_support(const TensorView& x, const TensorView& w, const TensorView& y, const Conv1dShape& s) {
  constexpr std::int64_t kMost = 0x7fffffff;
  if (!is_real(x.dtype)) return "dtype is not real";
  if (s.groups != 1) return "groups";
  if (w.numel() == 0 || x.numel() == 0) return "no terms";
  for (const TensorView* v : {&x, &y}) {
    const bool halves = v->dtype == DType::bf16 || v->dtype == DType::f16;
    if (v->strides[1] < v->sizes[2] || v->strides[0] < 0 || (v->sizes[0] > 1 && v->strides[0] < v->sizes[2]))
      return "rows overlap";
    if (v->strides[1] > kMost / s.stride || v->strides[0] > kMost || v->sizes[1] > kMost || v->sizes[0] > kMost)
      return "rows lie too far apart";
    if (halves && (v->strides[1] % 8 != 0 || v->strides[0] % 8 != 0 || v->sizes[2] % 8 != 0 || !aligned(v->data, 16)))
      return "rows of bf16 or f16 that are not aligned";
  }
  return nullptr;
}
const char* forward_taps_support(const Conv1dArgs& a) { return taps_support(a.x, a.w, a.y, a.shape); }
const char* input_grad_taps_support(const Conv1dInputGradArgs& a) {
  if (a.shape.stride > 16) return "a stride of more than 16";
  return taps_support(a.gy, a.w, a.gx, a.shape);
}

// ---- what the vendor's products are best at -------------------------------------------------------------------------
// One tap, which is a product as it stands; or so many terms that what is laid out between does not count.
const char* plain_product(const TensorView& x, const TensorView& w) {
  if (x.dtype == DType::f64) return "dtype is f64";
  const bool many = w.sizes[0] * w.sizes[1] * w.sizes[2] >= 1 << 20, short_forms = x.dtype != DType::f32;
  return (w.sizes[2] == 1 && (short_forms || w.sizes[1] > 128)) || many ? nullptr : "several taps of few channels";
}
const char* forward_product_support(const Conv1dArgs& a) {
  const char* why = plain_product(a.x, a.w);
  return why ? why : forward_taps_support(a);
}
const char* input_grad_product_support(const Conv1dInputGradArgs& a) {
  const char* why = plain_product(a.gy, a.w);
  return why ? why : input_grad_taps_support(a);
}
const char* weight_grad_product_support(const Conv1dWeightGradArgs& a) {
  if (a.gw.sizes[2] != 1 || a.shape.stride != 1 || a.shape.pad_left != 0) return "more than one tap, or other rows";
  if (const char* why = plain_product(a.x, a.gw)) return why;
  if (const char* why = units_take(a)) return why;
  for (const TensorView* v : {&a.x, &a.gy})
    if (v->sizes[1] != a.gy.sizes[1] || (v->sizes[0] > 1 && v->strides[0] != v->sizes[1] * v->strides[1]))
      return "sequences that do not follow each other";
  for (const TensorView* v : {&a.x, &a.gy})
    if (v->strides[1] < v->sizes[2] || v->strides[1] > 0x7fffffff) return "rows overlap";
  if (a.gw.strides[1] != 1 || a.gw.strides[0] < a.gw.sizes[1] || a.gw.strides[0] % 8 != 0 || !aligned(a.gw.data, 16))
    return "gw's rows are not contiguous";
  return nullptr;
}
void weight_grad_product(const Conv1dWeightGradArgs& a) {
  Gemm g;
  g.dtype = g.out = a.dtype();
  g.m = a.gy.sizes[2], g.k = a.gy.sizes[0] * a.gy.sizes[1], g.n = a.x.sizes[2];
  g.a = {a.gy.data, a.gy.strides[1], 0, true}, g.b = {a.x.data, a.x.strides[1], 0, false};
  g.y = a.gw.data, g.y_pitch = a.gw.strides[0], g.beta = a.beta;
  if (!gemm(a.gw.device, g)) weight_grad_units(a);
}

// ---- which one ------------------------------------------------------------------------------------------------------
const char* all_channels_apart(std::int64_t in, const TensorView& w, const Conv1dShape& s) {
  return s.groups == in && w.sizes[0] == in && w.sizes[1] == 1 ? nullptr : "not every channel is a group of its own";
}
template <class Args>
const char* real_and(const Args& a, const char* why) {
  return why ? why : takes_real(a);
}

}  // namespace

void add_conv1d() {
  constexpr DeviceType cuda = DeviceType::cuda;
  conv1d.add(cuda, "depthwise", depthwise,
             [](const Conv1dArgs& a) { return real_and(a, all_channels_apart(a.x.sizes[2], a.w, a.shape)); });
  constexpr auto kOnUnits = "rows read in place, bf16 and f16 on the matrix units";
  constexpr auto kPlain = "one tap, or very many terms: the vendor's products";
  conv1d.add(cuda, "product", forward_taps, forward_product_support, kPlain);
  conv1d.add(
      cuda, "units", forward_units, [](const Conv1dArgs& a) { return units_take(a); }, kOnUnits);
  conv1d.add(cuda, "fused", forward, [](const Conv1dArgs& a) { return real_and(a, few_terms(a.x, a.w)); });
  conv1d.add(cuda, "cublas", forward_taps, forward_taps_support, "a product of matrices for each tap");
  conv1d.add(cuda, "own", forward, takes_real<Conv1dArgs>, "tiles in shared memory, x read in place");
  conv1d_input_grad.add(cuda, "depthwise", depthwise_input_grad, [](const Conv1dInputGradArgs& a) {
    return real_and(a, all_channels_apart(a.gx.sizes[2], a.w, a.shape));
  });
  conv1d_input_grad.add(cuda, "product", input_grad_taps, input_grad_product_support, kPlain);
  conv1d_input_grad.add(
      cuda, "units", input_grad_units, [](const Conv1dInputGradArgs& a) { return units_take(a); }, kOnUnits);
  conv1d_input_grad.add(cuda, "fused", input_grad,
                        [](const Conv1dInputGradArgs& a) { return real_and(a, few_terms(a.gy, a.w)); });
  conv1d_input_grad.add(cuda, "cublas", input_grad_taps, input_grad_taps_support, "a product of matrices for each tap");
  conv1d_input_grad.add(cuda, "own", input_grad, takes_real<Conv1dInputGradArgs>,
                        "tiles in shared memory, gy read in place");
  conv1d_weight_grad.add(cuda, "depthwise", depthwise_weight_grad, [](const Conv1dWeightGradArgs& a) {
    return real_and(a, all_channels_apart(a.x.sizes[2], a.gw, a.shape));
  });
  conv1d_weight_grad.add(cuda, "product", weight_grad_product, weight_grad_product_support, "one tap: a product");
  conv1d_weight_grad.add(
      cuda, "units", weight_grad_units, [](const Conv1dWeightGradArgs& a) { return units_take(a); }, kOnUnits);
  conv1d_weight_grad.add(cuda, "own", weight_grad, takes_real<Conv1dWeightGradArgs>,
                         "tiles in shared memory, x and gy read in place");
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
