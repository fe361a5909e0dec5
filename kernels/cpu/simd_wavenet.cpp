// A layer of WaveNet in f32: matrix products (simd_gemm.h) on blocks of rows that stay in the second-level cache from
// the taps to the skips, and back. A block's rows are consecutive in [batch, time], across sequences.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/tap_rows.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/kernels/wavenet.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_wavenet.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>

HWY_BEFORE_NAMESPACE();
#define TD_MATH_NAMESPACE HWY_NAMESPACE
#include <tapedeck/kernels/common/elementwise_math.h>

namespace tapedeck::kernels::HWY_NAMESPACE {

// f(i, load, store) for the vectors of n elements, the last one masked.
template <class Fn>
HWY_INLINE void each_place(std::int64_t n, const Fn& f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    f(
        i, [](const float* p) HWY_ATTR { return load(p); }, [](F v, float* p) HWY_ATTR { store(v, p); });
  if (const std::int64_t rest = n - i; rest > 0)
    f(
        i, [=](const float* p) HWY_ATTR { return load_first(p, rest); },
        [=](F v, float* p) HWY_ATTR { store_first(v, p, rest); });
}

// gates [rows, 2C]: u -> tanh of the first half, sigmoid of the second; c [rows, C]: their product.
void wavenet_gate(float* gates, float* c, std::int64_t rows, std::int64_t channels) {
  for (; rows > 0; --rows, gates += 2 * channels, c += channels)
    each_place(channels, [=](std::int64_t i, auto load_n, auto store_n) HWY_ATTR {
      const F t = Tanh::value(load_n(gates + i), F(0), F(0));
      const F s = Sigmoid::value(load_n(gates + channels + i), F(0), F(0));
      store_n(t, gates + i), store_n(s, gates + channels + i), store_n(t * s, c + i);
    });
}
// gu [rows, 2C] from gc [rows, C] and the gates; c as above.
void wavenet_gate_backward(const float* gc, const float* gates, float* gu, float* c, std::int64_t rows,
                           std::int64_t channels) {
  for (; rows > 0; --rows, gc += channels, gates += 2 * channels, gu += 2 * channels, c += channels)
    each_place(channels, [=](std::int64_t i, auto load_n, auto store_n) HWY_ATTR {
      const F g = load_n(gc + i), t = load_n(gates + i), s = load_n(gates + channels + i);
      store_n(Tanh::grad(g * s, t, t, F(0), F(0)), gu + i);
      store_n(Sigmoid::grad(g * t, s, s, F(0), F(0)), gu + channels + i);
      store_n(t * s, c + i);
    });
}
void wavenet_gated(const float* gates, float* c, std::int64_t rows, std::int64_t channels) {
  for (; rows > 0; --rows, gates += 2 * channels, c += channels)
    each_place(channels, [=](std::int64_t i, auto load_n, auto store_n)
                             HWY_ATTR { store_n(load_n(gates + i) * load_n(gates + channels + i), c + i); });
}

// acc[j] += x[r * stride + j] for the rows in order, kVectors vectors of columns at a time; returns the next column.
template <int kVectors>
HWY_INLINE std::int64_t add_columns(double* acc, const float* x, std::int64_t stride, std::int64_t rows, std::int64_t j,
                                    std::int64_t n) {
  for (; j + kVectors * kLanes <= n; j += kVectors * kLanes) {
    D sum[2 * kVectors];
    HWY_UNROLL(8)
    for (int k = 0; k < 2 * kVectors; ++k) sum[k] = D(hn::LoadU(DD(), acc + j + k * kLanes / 2));
    const float* from = x + j;
    for (std::int64_t r = 0; r < rows; ++r, from += stride) {
      HWY_UNROLL(4)
      for (int k = 0; k < kVectors; ++k) {
        const F v = load(from + k * kLanes);
        sum[2 * k] = sum[2 * k] + lower(v), sum[2 * k + 1] = sum[2 * k + 1] + upper(v);
      }
    }
    HWY_UNROLL(8)
    for (int k = 0; k < 2 * kVectors; ++k) hn::StoreU(sum[k].v, DD(), acc + j + k * kLanes / 2);
  }
  return j;
}
void wavenet_add_columns(double* acc, const float* x, std::int64_t stride, std::int64_t rows, std::int64_t n) {
  std::int64_t j = add_columns<4>(acc, x, stride, rows, 0, n);
  j = add_columns<2>(acc, x, stride, rows, j, n);
  j = add_columns<1>(acc, x, stride, rows, j, n);
  for (; j < n; ++j) {
    double sum = acc[j];
    for (std::int64_t r = 0; r < rows; ++r) sum += static_cast<double>(x[r * stride + j]);
    acc[j] = sum;
  }
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

using simd::Gemm;
using simd::Space;
using simd::TapRows;
using simd::Taps;
using simd::Window;
using std::int64_t;

// Rows of a block, of each thread: a multiple of a tile's, and of the chunks in which weights sum.
constexpr int64_t kForwardRows = 416, kBackwardRows = 512;

struct Sizes {
  int64_t batch, steps, before;  // before: steps of x in front of those that the residual path adds
  int64_t in, channels, skips, keep, taps;
  int64_t rows() const { return batch * steps; }
};

// f(first row, rows, sequence, first step) for the rows [r0, r1), cut where sequences end, or where no tensor tells
// them apart not at all.
template <class F>
void each_piece(const Sizes& s, bool joined, int64_t r0, int64_t r1, F&& f) {
  const int64_t line = joined ? s.rows() : s.steps;
  for (int64_t r = r0; r < r1;) {
    const int64_t n = std::min(r1 - r, line - r % line);
    f(r, n, r / line, r % line);
    r += n;
  }
}

int tasks_for(double flops) { return flops < 4e6 ? 1 : num_threads(); }
int64_t share(int64_t n, int64_t task, int64_t tasks) { return n * task / tasks; }

// Divides a block of scratch.
class Room {
 public:
  template <class T>
  T* take(int64_t n) {
    T* const at = reinterpret_cast<T*>(base_ + used_);
    used_ += (static_cast<std::size_t>(n) * sizeof(T) + 63) / 64 * 64;
    return at;
  }
  void open() { base_ = static_cast<char*>(workspace(used_, 1)), used_ = 0; }

 private:
  char* base_ = nullptr;
  std::size_t used_ = 0;
};

const float* data(const TensorView& v) { return v ? v.ptr<const float>() : nullptr; }

Gemm product(int64_t m, int64_t n, int64_t k, const simd::Matrix& a, const simd::Matrix& b, float* y, int64_t y_row) {
  Gemm g;
  g.m = m, g.n = n, g.k = k, g.a = a, g.b = b, g.y = y, g.y_row = y_row, g.undivided = true;
  return g;
}
simd::Matrix rows_of(const float* data, int64_t row) { return {data, row, 1, 0, nullptr}; }
simd::Matrix columns_of(const float* data, int64_t row) { return {data, 1, row, 0, nullptr}; }
simd::Matrix gathered(const simd::Source& source) { return {nullptr, 0, 0, 0, &source}; }

// ---- forward --------------------------------------------------------------------------------------------------------

void forward(const WaveNetLayerArgs& a) {
  const Sizes s{a.gates.sizes[0],
                a.gates.sizes[1],
                a.x.sizes[1] - a.gates.sizes[1],
                a.x.sizes[2],
                a.gates.sizes[2] / 2,
                a.skips ? a.skips.sizes[2] : 0,
                a.skips ? a.skips.sizes[1] : a.gates.sizes[1],
                a.weight.sizes[2]};
  const int64_t wide = 2 * s.channels, rows = s.rows();
  if (rows == 0) return;
  const int64_t outputs = s.in * s.taps * wide + s.channels * ((a.residual ? s.in : 0) + s.skips);
  const int tasks = tasks_for(2.0 * static_cast<double>(rows * outputs));
  float *weight, *residual, *skip, *blocks;
  Room room;
  for (const bool opened : {false, true}) {
    if (opened) room.open();
    weight = room.take<float>(s.taps * s.in * wide);
    residual = room.take<float>(s.channels * s.in), skip = room.take<float>(s.channels * s.skips);
    blocks = room.take<float>(tasks * kForwardRows * s.channels);
  }
  const auto pack = [](const TensorView& w, float* to) {
    simd::pack_taps(data(w), Taps(w), w.sizes[1], w.strides[1], w.sizes[0], w.strides[0], to);
  };
  pack(a.weight, weight);
  if (a.residual) pack(a.residual, residual);
  if (a.skips) pack(a.skip, skip);
  ConvShape shape;
  shape.dilation[2] = a.shape.dilation, shape.pad[2] = a.shape.pad_left;
  const Window window = simd::window_of(Space(a.x, 0), Space(a.gates, 0), Taps(a.weight), shape);
  const bool joined =
      s.before == 0 && s.keep == s.steps && (s.batch == 1 || a.x.strides[0] == s.steps * a.x.strides[1]);
  const auto gate = use_avx512() ? N_AVX3::wavenet_gate : N_AVX2::wavenet_gate;

  const auto block = [&](int64_t r0, int64_t r1, float* c) {
    const TapRows taps(window, s.in, r0);
    float* const gates = a.gates.ptr<float>() + r0 * wide;
    Gemm g = product(r1 - r0, wide, s.taps * s.in, gathered(taps), rows_of(weight, wide), gates, wide);
    if (a.bias) g.bias = data(a.bias), g.bias_stride = a.bias.strides[0];
    simd::gemm(g);
    if (!a.residual) c = a.out.ptr<float>() + r0 * s.channels;
    gate(gates, c, r1 - r0, s.channels);
    each_piece(s, joined, r0, r1, [&](int64_t r, int64_t n, int64_t sequence, int64_t step) {
      if (a.residual) {
        Gemm to_out = product(n, s.in, s.channels, rows_of(c + (r - r0) * s.channels, s.channels),
                              rows_of(residual, s.in), a.out.ptr<float>() + r * s.in, s.in);
        if (a.residual_bias) to_out.bias = data(a.residual_bias), to_out.bias_stride = a.residual_bias.strides[0];
        to_out.addend = data(a.x) + sequence * a.x.strides[0] + (s.before + step) * a.x.strides[1];
        to_out.addend_row = a.x.strides[1];
        simd::gemm(to_out);
      }
      const int64_t without = std::clamp<int64_t>(s.steps - s.keep - step, 0, n);
      if (!a.skips || without == n) return;
      const int64_t at = (joined ? step : sequence * s.keep + step - (s.steps - s.keep)) + without;
      Gemm to_skips =
          product(n - without, s.skips, s.channels, rows_of(c + (r + without - r0) * s.channels, s.channels),
                  rows_of(skip, s.skips), a.skips.ptr<float>() + at * s.skips, s.skips);
      if (a.skip_bias) to_skips.bias = data(a.skip_bias), to_skips.bias_stride = a.skip_bias.strides[0];
      if (a.sum) to_skips.addend = data(a.sum) + at * s.skips, to_skips.addend_row = s.skips;
      simd::gemm(to_skips);
    });
  };
  parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task)
      for (int64_t r = share(rows, task, tasks), last = share(rows, task + 1, tasks); r < last; r += kForwardRows)
        block(r, std::min(last, r + kForwardRows), blocks + task * kForwardRows * s.channels);
  });
}

// ---- backward -------------------------------------------------------------------------------------------------------

// The sum of columns as reduce.h's `sum` has it: in double, in chunks of 1024 rows that are added in order.
struct ColumnSum {
  double *chunk = nullptr, *total = nullptr;
  void start(int64_t n) { std::fill_n(chunk, n, 0.0); }
  // Takes columns [j0, j1) of rows [r0, r1), which lie at x.
  void add(const float* x, int64_t stride, int64_t r0, int64_t r1, int64_t j0, int64_t j1) {
    const auto add_columns = use_avx512() ? N_AVX3::wavenet_add_columns : N_AVX2::wavenet_add_columns;
    for (int64_t r = r0; r < r1;) {
      const int64_t end = std::min(r1, (r / kChunk + 1) * kChunk);
      if (r != 0 && r % kChunk == 0) close(r, j0, j1);
      add_columns(chunk + j0, x + (r - r0) * stride + j0, stride, end - r, j1 - j0);
      r = end;
    }
  }
  void finish(int64_t rows, const TensorView& to) {
    close(rows, 0, to.sizes[0]);
    for (int64_t j = 0; j < to.sizes[0]; ++j) to.ptr<float>()[j] = static_cast<float>(total[j]);
  }

 private:
  static constexpr int64_t kChunk = 1024;
  void close(int64_t r, int64_t j0, int64_t j1) {  // the chunk that ends in front of row r
    for (int64_t j = j0; j < j1; ++j) total[j] = r <= kChunk ? chunk[j] : total[j] + chunk[j], chunk[j] = 0;
  }
};

class Backward {
 public:
  explicit Backward(const WaveNetLayerGradArgs& a)
      : a_(a),
        s_{a.gates.sizes[0],
           a.gates.sizes[1],
           a.x.sizes[1] - a.gates.sizes[1],
           a.x.sizes[2],
           a.gates.sizes[2] / 2,
           a.gskips ? a.gskips.sizes[2] : 0,
           a.gskips ? a.gskips.sizes[1] : a.gates.sizes[1],
           a.weight.sizes[2]},
        wide_(2 * s_.channels),
        out_(a.residual ? s_.in : s_.channels),
        taps_(a.weight),
        window_(window_of_u()),
        x_window_(window_of_x()),
        joined_(s_.before == 0 && s_.keep == s_.steps) {
    const int64_t weights = s_.in * s_.taps * wide_ + s_.channels * ((a.residual ? s_.in : 0) + s_.skips);
    tasks_ = tasks_for(4.0 * static_cast<double>(s_.rows() * weights));
    wave_ = kBackwardRows * tasks_;
    const int64_t in = s_.in, c = s_.channels;
    for (const bool opened : {false, true}) {
      if (opened) room_.open();
      c_ = room_.take<float>(buffers() * wave_ * c), gc_ = room_.take<float>(wave_ * c);
      packed_ = room_.take<float>(a.gx ? s_.taps * wide_ * in : 0);
      gweight_ = room_.take<float>(a.gweight ? wide_ * s_.taps * in : 0);
      const auto sum_of = [&](const TensorView& to, ColumnSum& sum) {
        const int64_t n = to ? to.sizes[0] : 0;
        sum.chunk = room_.take<double>(n), sum.total = room_.take<double>(n);
        if (opened) sum.start(n);
      };
      sum_of(a.gbias, bias_), sum_of(a.gresidual_bias, residual_bias_), sum_of(a.gskip_bias, skip_bias_);
    }
    if (a.gx) simd::pack_taps(data(a.weight), taps_, wide_, a.weight.strides[0], in, a.weight.strides[1], packed_);
  }

  void run() {
    const int64_t rows = s_.rows();
    each_task([&](int64_t task) { gates(0, task); });
    for (int64_t r0 = 0, r1; r0 < rows; r0 = r1) {
      r1 = std::min(rows, r0 + wave_);
      const int64_t ready = ready_behind(r1);
      each_task([&](int64_t task) {
        weights_of_u(r0, r1, task);
        weights_of_out(r0, r1, task);
        if (joined_) weights_of_skips(r0, r1, task);
        input(done_ + share(ready - done_, task, tasks_), done_ + share(ready - done_, task + 1, tasks_));
        gates(r1, task);  // of the next wave: threads meet once in each
      });
      done_ = ready;
    }
    if (!joined_ && (a_.gskip || a_.gskip_bias)) {
      const int64_t kept = s_.batch * s_.keep;
      for (int64_t r0 = 0; r0 < kept; r0 += wave_) {
        const int64_t r1 = std::min(kept, r0 + wave_);
        gated_of_skips(r0, r1);
        each_task([&](int64_t task) { weights_of_skips(r0, r1, task); });
      }
    }
    finish();
  }

 private:
  template <class F>
  void each_task(F&& f) {
    parallel_for(tasks_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) f(task);
    });
  }
  ConvShape shape() const {
    ConvShape shape;
    shape.dilation[2] = a_.shape.dilation, shape.pad[2] = a_.shape.pad_left;
    return shape;
  }
  Window window_of_x() const { return simd::window_of(Space(a_.x, 0), Space(a_.gates, 0), taps_, shape()); }
  // The taps of u's gradient that meet a step of x.
  Window window_of_u() const {
    const Space gu(a_.gu, 0), x(a_.x, 0);
    Window w(gu, x.size);
    w.taps[2] = s_.taps, w.tap_step[2] = -a_.shape.dilation, w.first[2] = a_.shape.pad_left;
    return w;
  }
  // Rows of gx, from 0 on, all of whose taps lie in front of row r of gu.
  int64_t ready_behind(int64_t r) const {
    const int64_t length = s_.steps + s_.before, step = r % s_.steps;
    return r / s_.steps * length + std::max<int64_t>(0, step - a_.shape.pad_left);
  }
  int64_t skip_row(int64_t sequence, int64_t step) const {
    return joined_ ? step : sequence * s_.keep + step - (s_.steps - s_.keep);
  }

  float* c_of(int64_t wave) const { return c_ + wave / wave_ % buffers() * wave_ * s_.channels; }
  // One task has read c of a wave when it comes to the next.
  int64_t buffers() const { return std::min<int64_t>(tasks_, 2); }

  // A task's share of gc, gu and c of the wave that begins in row `wave`.
  void gates(int64_t wave, int64_t task) {
    const int64_t all = std::clamp<int64_t>(s_.rows() - wave, 0, wave_);
    const int64_t r0 = wave + share(all, task, tasks_), r1 = wave + share(all, task + 1, tasks_);
    if (r0 == r1) return;
    const int64_t c = s_.channels;
    float* const gc = gc_ + (r0 - wave) * c;
    const bool from_out = a_.gout.given();
    if (from_out && a_.residual) {
      simd::gemm(
          product(r1 - r0, c, out_, rows_of(data(a_.gout) + r0 * out_, out_), rows_of(data(a_.residual), c), gc, c));
    } else if (from_out) {
      std::copy_n(data(a_.gout) + r0 * c, (r1 - r0) * c, gc);
    }
    if (!from_out && !(joined_ && a_.gskips)) std::fill_n(gc, (r1 - r0) * c, 0.0f);
    if (a_.gskips)
      each_piece(s_, joined_, r0, r1, [&](int64_t r, int64_t n, int64_t sequence, int64_t step) {
        const int64_t without = std::clamp<int64_t>(s_.steps - s_.keep - step, 0, n);
        if (without == n) return;
        Gemm g = product(n - without, c, s_.skips,
                         rows_of(data(a_.gskips) + skip_row(sequence, step + without) * s_.skips, s_.skips),
                         rows_of(data(a_.skip), c), gc + (r + without - r0) * c, c);
        g.add_to_y = from_out || !joined_;
        const int64_t row = r + without, x_row = s_.before + step + without;
        g.soon[0] = {data(a_.gates) + row * wide_, wide_, wide_};
        g.soon[1] = {data(a_.x) + sequence * a_.x.strides[0] + x_row * a_.x.strides[1], a_.x.strides[1], s_.in};
        simd::gemm(g);
      });
    const auto gate = use_avx512() ? N_AVX3::wavenet_gate_backward : N_AVX2::wavenet_gate_backward;
    gate(gc, data(a_.gates) + r0 * wide_, a_.gu.ptr<float>() + r0 * wide_, c_of(wave) + (r0 - wave) * c, r1 - r0, c);
  }

  // A task's share of the gradients of weights that `from` [rows, n] and the matrix b [rows, columns] give, and of the
  // sum of `from`.
  void weights(const float* from, int64_t n, const simd::Matrix& b, int64_t columns, int64_t r0, int64_t r1,
               int64_t task, float* to, const TensorView& bias, ColumnSum& sum) {
    const int64_t j0 = share(n, task, tasks_), j1 = share(n, task + 1, tasks_);
    if (to && j0 < j1) {
      Gemm g = product(j1 - j0, columns, r1 - r0, columns_of(from + j0, n), b, to + j0 * columns, columns);
      g.continues = r0 != 0;
      simd::gemm(g);
    }
    if (bias) sum.add(from, n, r0, r1, j0, j1);
  }
  void weights_of_u(int64_t r0, int64_t r1, int64_t task) {
    const TapRows taps(x_window_, s_.in, r0);
    weights(data(a_.gu) + r0 * wide_, wide_, gathered(taps), s_.taps * s_.in, r0, r1, task,
            a_.gweight ? gweight_ : nullptr, a_.gbias, bias_);
  }
  void weights_of_out(int64_t r0, int64_t r1, int64_t task) {
    if (a_.gout && a_.residual)
      weights(data(a_.gout) + r0 * out_, out_, rows_of(c_of(r0), s_.channels), s_.channels, r0, r1, task,
              const_cast<float*>(data(a_.gresidual)), a_.gresidual_bias, residual_bias_);
  }
  void weights_of_skips(int64_t r0, int64_t r1, int64_t task) {
    if (a_.gskips)
      weights(data(a_.gskips) + r0 * s_.skips, s_.skips, rows_of(c_of(r0), s_.channels), s_.channels, r0, r1, task,
              const_cast<float*>(data(a_.gskip)), a_.gskip_bias, skip_bias_);
  }
  // c of the rows [r0, r1) of those that have skips.
  void gated_of_skips(int64_t r0, int64_t r1) {
    const auto gated = use_avx512() ? N_AVX3::wavenet_gated : N_AVX2::wavenet_gated;
    for (int64_t r = r0; r < r1;) {
      const int64_t step = r % s_.keep, n = std::min(r1 - r, s_.keep - step);
      const int64_t row = r / s_.keep * s_.steps + s_.steps - s_.keep + step;
      gated(data(a_.gates) + row * wide_, c_of(r0) + (r - r0) * s_.channels, n, s_.channels);
      r += n;
    }
  }

  // Rows [r0, r1) of gx: from u, then from the residual path.
  void input(int64_t r0, int64_t r1) {
    if (!a_.gx) return;
    const Sizes of_x{s_.batch, s_.steps + s_.before, 0, s_.in, s_.channels, s_.skips, s_.keep, s_.taps};
    const bool passed = a_.gout && a_.residual;
    const auto piece = [&](int64_t r, int64_t n, const float* addend) {
      const TapRows taps(window_, wide_, r);
      Gemm g = product(n, s_.in, s_.taps * wide_, gathered(taps), rows_of(packed_, s_.in),
                       a_.gx.ptr<float>() + r * s_.in, s_.in);
      g.addend = addend, g.addend_row = s_.in;
      simd::gemm(g);
    };
    if (r0 < r1 && (!passed || s_.before == 0))
      return piece(r0, r1 - r0, passed ? data(a_.gout) + r0 * s_.in : nullptr);
    each_piece(of_x, false, r0, r1, [&](int64_t r, int64_t n, int64_t sequence, int64_t step) {
      const int64_t without = std::clamp<int64_t>(s_.before - step, 0, n);
      if (without > 0) piece(r, without, nullptr);
      const int64_t row = sequence * s_.steps + step + without - s_.before;
      if (without < n) piece(r + without, n - without, data(a_.gout) + row * s_.in);
    });
  }

  void finish() {
    const int64_t in = s_.in;
    if (s_.rows() == 0) {
      std::fill_n(gweight_, a_.gweight ? a_.gweight.numel() : 0, 0.0f);
      for (const TensorView& g : {a_.gresidual, a_.gskip}) std::fill_n(g.ptr<float>(), g ? g.numel() : 0, 0.0f);
    }
    for (int64_t o = 0; a_.gweight && o < wide_; ++o)
      for (int64_t tap = 0; tap < s_.taps; ++tap)
        for (int64_t i = 0; i < in; ++i)
          a_.gweight.ptr<float>()[(o * in + i) * s_.taps + tap] = gweight_[(o * s_.taps + tap) * in + i];
    if (a_.gbias) bias_.finish(s_.rows(), a_.gbias);
    if (a_.gresidual_bias) residual_bias_.finish(s_.rows(), a_.gresidual_bias);
    if (a_.gskip_bias) skip_bias_.finish(s_.batch * s_.keep, a_.gskip_bias);
  }

  const WaveNetLayerGradArgs& a_;
  const Sizes s_;
  const int64_t wide_, out_;  // channels of u and of out
  const Taps taps_;
  const Window window_, x_window_;
  const bool joined_;  // every tensor's rows are the same steps
  int64_t tasks_ = 1, wave_ = 0, done_ = 0;
  Room room_;
  float *c_ = nullptr, *gc_ = nullptr, *packed_ = nullptr, *gweight_ = nullptr;
  ColumnSum bias_, residual_bias_, skip_bias_;
};

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 ? nullptr : "dtype is not f32";
}

}  // namespace

void add_simd_wavenet() {
  wavenet_layer.add(DeviceType::cpu, "simd", forward, supports);
  wavenet_layer_backward.add(
      DeviceType::cpu, "simd", [](const WaveNetLayerGradArgs& a) { Backward(a).run(); }, supports);
}

}  // namespace tapedeck::kernels
#endif
