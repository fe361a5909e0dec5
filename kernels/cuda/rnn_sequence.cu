// Recurrent layers by blocks that stay through all steps. Each block keeps its share of the weights in shared memory,
// and of each step makes its units of the state for its rows of the batch; a step waits for the others' share of the
// step before. That is one launch a layer instead of several a step (Diamos et al., "Persistent RNNs", 2016).
//
// A step of either way is one product with weights that stay: forward, the state before with the rows of the gates of a
// block's units; back, the gradients of all gates with the columns of these units. Each thread sums a tile of it over a
// slice of the terms; the slices are added in shared memory, always in the same order.
#include <tapedeck/kernels/common/rnn_math.h>
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/rnn_plan.h>
#include <tapedeck/kernels/cuda/tensor_core.h>
#include <tapedeck/kernels/rnn.h>

#include <cstdio>
#include <cstdlib>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace sequence {
namespace {

// ---- waiting for the other blocks -----------------------------------------------------------------------------------

// They run at the same time, so that no wait is long; a kernel whose flags were overwritten must not hang all the same.
__device__ inline void give_up() {
#ifdef TAPEDECK_EMULATED
  std::fputs("rnn_sequence: a block waited in vain for another one\n", stderr), std::abort();
#else
  __trap();
#endif
}
// What this block wrote is there for those who see its flag at `step`.
__device__ inline void raise(unsigned* flag, unsigned step) {
  __syncthreads();
  if (threadIdx.x != 0) return;
  __threadfence();
  *static_cast<volatile unsigned*>(flag) = step;
}
// Until all `count` flags have come to `step`.
__device__ inline void await(const unsigned* flags, int count, unsigned step) {
  constexpr int kPatience = 1 << 26;
  if (threadIdx.x < kWarp) {
    for (int first = 0; first < count; first += kWarp) {
      const int at = first + static_cast<int>(threadIdx.x);
      const volatile unsigned* const flag = flags + (at < count ? at : count - 1);
      for (int looks = 0; !__all_sync(kAllLanes, *flag >= step); ++looks)
        if (looks == kPatience) give_up();
    }
    __threadfence();
  }
  __syncthreads();
}

// ---- what lies where ------------------------------------------------------------------------------------------------

// [B, T, …] of any strides but the last, and [B, …] of which every step is the same.
template <class T>
struct Steps {
  T* data = nullptr;
  std::int64_t row = 0, step = 0;
  Steps() = default;
  explicit Steps(const TensorView& v)
      : data(v.given() ? v.ptr<T>() : nullptr), row(v.strides[0]), step(v.rank == 3 ? v.strides[1] : 0) {}
  __device__ T* at(int b, int t) const { return data + b * row + t * step; }
};

// What both ways know.
struct Layer {
  int batch, steps, width;
  bool reverse;
  Plan plan;
  unsigned* flags;  // of every block, zeros at first
  const bool* alive;
  std::int64_t alive_step, alive_row;
  __device__ int time(int i) const { return reverse ? steps - 1 - i : i; }
  __device__ bool runs(int b, int t) const { return !alive || alive[t * alive_step + b * alive_row]; }
};

// Weights [G H, H] with any strides.
template <class T>
struct Weights {
  const T* data;
  std::int64_t row, column;
  explicit Weights(const TensorView& v) : data(v.ptr<T>()), row(v.strides[0]), column(v.strides[1]) {}
  __device__ float at(std::int64_t r, std::int64_t c) const { return load(data[r * row + c * column]); }
};

// ---- the product of a step ------------------------------------------------------------------------------------------

// Of the block's kPer / kUnits rows of weights to each unit. Rows of shared memory are ordered so that threads with
// neighbouring tiles read neighbouring rows: row r of all tiles, then row r + 1.
template <int kUnits, int kPerUnit>
struct Product {
  static constexpr int kPer = kUnits * kPerUnit;
  const Layer& s;
  const int thread, first_unit, first_row, unit_tiles, tiles, slices, pitch, x_pitch;
  float4* const weights;
  float* const bias;
  float4* const x;
  float* const sums;  // where x was
  float acc[kPer][kTileRows];
  int item_unit[kItems], item_row[kItems];  // this thread's numbers of the state; row -1: none

  __device__ explicit Product(const Layer& layer)
      : s(layer),
        thread(static_cast<int>(threadIdx.x)),
        first_unit(static_cast<int>(blockIdx.x) % s.plan.blocks * s.plan.units),
        first_row(static_cast<int>(blockIdx.x) / s.plan.blocks * s.plan.rows),
        unit_tiles(s.plan.units / kUnits),
        tiles(unit_tiles * (s.plan.rows / kTileRows)),
        slices(s.plan.slices),
        pitch(pitch_of(s.plan.terms)),
        x_pitch(pitch_of(s.plan.chunk)),
        weights(dynamic_shared<float4>()),
        bias(reinterpret_cast<float*>(weights + s.plan.units * kPerUnit * pitch)),
        x(reinterpret_cast<float4*>(bias + s.plan.units * kPerUnit)),
        sums(reinterpret_cast<float*>(x)) {
#pragma unroll
    for (int item = 0; item < kItems; ++item) {
      const int at = thread + item * kThreads, unit = at % s.plan.units, row = at / s.plan.units;
      const bool mine = row < s.plan.rows && first_row + row < s.batch && first_unit + unit < s.width;
      item_unit[item] = unit, item_row[item] = mine ? row : -1;
    }
  }

  __device__ unsigned* flags() const { return s.flags + static_cast<int>(blockIdx.x) / s.plan.blocks * s.plan.blocks; }
  __device__ unsigned* own_flag() const { return s.flags + blockIdx.x; }

  // weight(unit, g, term); zeros outside.
  template <class Weight>
  __device__ void take_weights(int terms, const Weight& weight) const {
    for (int i = thread; i < s.plan.units * kPerUnit * pitch; i += kThreads) {
      const int row = i / pitch, term = i % pitch * 4, r = row / unit_tiles;
      const int unit = first_unit + row % unit_tiles * kUnits + r % kUnits;
      float v[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) v[e] = unit < s.width && term + e < terms ? weight(unit, r / kUnits, term + e) : 0.0f;
      weights[i] = make_float4(v[0], v[1], v[2], v[3]);
    }
  }
  template <class Bias>
  __device__ void take_bias(const Bias& of) const {  // of(unit, g)
    for (int i = thread; i < s.plan.units * kPerUnit; i += kThreads) {
      const int unit = first_unit + i % s.plan.units;
      bias[i] = unit < s.width ? of(unit, i / s.plan.units) : 0.0f;
    }
  }
  __device__ float bias_of(int unit, int g) const { return bias[g * s.plan.units + unit]; }

  // Terms 4 first … of x into shared memory. Rows of the batch are ordered as those of the weights.
  template <class T>
  __device__ void fetch(const Steps<T>& from, int t, int terms, bool wide, int first, int count) const {
    using Number = std::remove_const_t<T>;
    const int row_tiles = s.plan.rows / kTileRows;
    for (int row = thread / kWarp; row < s.plan.rows; row += kThreads / kWarp) {
      const int b = first_row + row;
      float4* const to = x + (row % kTileRows * row_tiles + row / kTileRows) * x_pitch;
      const Number* const line = from.at(b < s.batch ? b : 0, t);
      for (int k = thread % kWarp; k < count; k += kWarp) {
        const int term = 4 * (first + k), left = b < s.batch ? terms - term : 0;
        const Number* const four = line + (left > 0 ? term : 0);
        if (std::is_same_v<Number, float> && wide) {
          cores::copy_16(cores::spot(to + k), four, left > 0);
        } else if (left > 0) {
          const Pack<Number, 4> v = kernels::TD_CUDA_NAMESPACE::fetch<Number, 4>(four, 1, wide, left);
          to[k] = make_float4(load(v.v[0]), left > 1 ? load(v.v[1]) : 0, left > 2 ? load(v.v[2]) : 0,
                              left > 3 ? load(v.v[3]) : 0);
        } else {
          to[k] = make_float4(0, 0, 0, 0);
        }
      }
    }
    cores::close_copies();
    cores::wait_copies<0>();
  }
  __device__ void add(int first, int count) {
    if (thread >= tiles * slices) return;
    const int tile = thread % tiles, row_tiles = s.plan.rows / kTileRows;
    const float4* w = weights + tile % unit_tiles * pitch + first + thread / tiles;
    const float4* v = x + tile / unit_tiles * x_pitch + thread / tiles;
    for (int k = thread / tiles; k < count; k += slices, w += slices, v += slices) {
      float4 a[kTileRows];
#pragma unroll
      for (int i = 0; i < kTileRows; ++i) a[i] = v[i * row_tiles * x_pitch];
#pragma unroll
      for (int r = 0; r < kPer; ++r) {
        const float4 b = w[r * unit_tiles * pitch];
#pragma unroll
        for (int i = 0; i < kTileRows; ++i) {
          acc[r][i] = fmaf(b.x, a[i].x, acc[r][i]), acc[r][i] = fmaf(b.y, a[i].y, acc[r][i]);
          acc[r][i] = fmaf(b.z, a[i].z, acc[r][i]), acc[r][i] = fmaf(b.w, a[i].w, acc[r][i]);
        }
      }
    }
  }
  // Of x at step t, when all blocks of the group have it.
  template <class T>
  __device__ void make(const Steps<T>& from, int t, int terms, bool wide) {
#pragma unroll
    for (int r = 0; r < kPer; ++r)
#pragma unroll
      for (int i = 0; i < kTileRows; ++i) acc[r][i] = 0;
    for (int first = 0; first < s.plan.terms; first += s.plan.chunk) {
      const int count = s.plan.terms - first < s.plan.chunk ? s.plan.terms - first : s.plan.chunk;
      if (first > 0) __syncthreads();
      fetch(from, t, terms, wide, first, count);
      __syncthreads();
      add(first, count);
    }
    __syncthreads();
    if (thread < tiles * slices) {
      float* const to = sums + thread / tiles * (kPer * kTileRows * (tiles + 1)) + thread % tiles;
#pragma unroll
      for (int r = 0; r < kPer; ++r)
#pragma unroll
        for (int i = 0; i < kTileRows; ++i) to[(r * kTileRows + i) * (tiles + 1)] = acc[r][i];
    }
    __syncthreads();
  }
  // What a unit's rows of weights (first in the block's) make for a row of the batch. Two chains of additions each.
  __device__ void total(int unit, int row, float (&v)[kPerUnit]) const {
    const int step = kPer * kTileRows * (tiles + 1), of_gate = kUnits * kTileRows * (tiles + 1);
    const float* from = sums + (unit % kUnits * kTileRows + row % kTileRows) * (tiles + 1) +
                        row / kTileRows * unit_tiles + unit / kUnits;
    float odd[kPerUnit];
#pragma unroll
    for (int g = 0; g < kPerUnit; ++g) v[g] = odd[g] = 0;
    int slice = 0;
#pragma unroll 4
    for (; slice + 1 < slices; slice += 2, from += 2 * step)
#pragma unroll
      for (int g = 0; g < kPerUnit; ++g) v[g] += from[g * of_gate], odd[g] += from[g * of_gate + step];
#pragma unroll
    for (int g = 0; g < kPerUnit; ++g) v[g] += odd[g] + (slice < slices ? from[g * of_gate] : 0.0f);
  }
  // Calls f(item, unit of this block, row of this block) for this thread's numbers of the state.
  template <class F>
  __device__ void each_item(const F& f) const {
#pragma unroll
    for (int item = 0; item < kItems; ++item)
      if (item_row[item] >= 0) f(item, item_unit[item], item_row[item]);
  }
};

// ---- cells ----------------------------------------------------------------------------------------------------------
// `i` and `h`: the products with the input and with the state; s: what is saved.

struct Plain {
  static constexpr int kGates = 1, kSaved = 0;
  static constexpr bool kLstm = false, kGru = false;
  bool relu;
  __device__ void step(const float (&i)[1], const float (&h)[1], float&, float& y, float (&)[4]) const {
    const Float sum(i[0] + h[0]);
    y = relu ? (sum.v < 0 ? 0.0f : sum.v) : floats::tanh(sum).v;  // NaN stays
  }
  __device__ void slopes(float gy, float, float y, float, float, const float (&)[4], float (&i)[1], float (&h)[1],
                         float& direct, float&) const {
    i[0] = h[0] = relu ? (y > 0 ? gy : 0.0f) : gy * ((1 - y) * (1 + y));
    direct = 0;
  }
};
struct Gru {
  static constexpr int kGates = 3, kSaved = 4;
  static constexpr bool kLstm = false, kGru = true;
  __device__ void step(const float (&i)[3], const float (&h)[3], float&, float& y, float (&s)[4]) const {
    const auto r =
        math::gru_step<Float>(Float(i[0]), Float(i[1]), Float(i[2]), Float(h[0]), Float(h[1]), Float(h[2]), Float(y));
    s[0] = r.r.v, s[1] = r.z.v, s[2] = r.n.v, s[3] = h[2];
    y = r.y.v;
  }
  __device__ void slopes(float gy, float before, float, float, float, const float (&s)[4], float (&i)[3], float (&h)[3],
                         float& direct, float&) const {
    const auto d = math::gru_slopes<float>(gy, s[0], s[1], s[2], s[3], before);
    i[0] = h[0] = d.r, i[1] = h[1] = d.z, i[2] = d.n, h[2] = d.hn;
    direct = d.h;
  }
};
struct Lstm {
  static constexpr int kGates = 4, kSaved = 4;
  static constexpr bool kLstm = true, kGru = false;
  __device__ void step(const float (&i)[4], const float (&h)[4], float& c, float& y, float (&s)[4]) const {
    const auto r = math::lstm_step<Float>(Float(i[0] + h[0]), Float(i[1] + h[1]), Float(i[2] + h[2]),
                                          Float(i[3] + h[3]), Float(c));
    s[0] = r.i.v, s[1] = r.f.v, s[2] = r.g.v, s[3] = r.o.v;
    c = r.c.v, y = r.y.v;
  }
  __device__ void slopes(float gy, float, float, float c_before, float c, const float (&s)[4], float (&i)[4],
                         float (&h)[4], float& direct, float& gc) const {
    const auto d = math::lstm_slopes<Float>(Float(gy), Float(gc), Float(s[0]), Float(s[1]), Float(s[2]), Float(s[3]),
                                            Float(c_before), Float(c));
    i[0] = h[0] = d.i.v, i[1] = h[1] = d.f.v, i[2] = h[2] = d.g.v, i[3] = h[3] = d.o.v;
    direct = 0, gc = d.c.v;
  }
};

// ---- forward --------------------------------------------------------------------------------------------------------
constexpr int kForwardUnits = 4, kBackwardUnits = 8;

template <class T>
struct Forward {
  Layer s;
  Weights<T> weight;
  const T* bias;
  std::int64_t bias_step;
  bool wide;  // states and h0 may be read four numbers at a time
  Steps<const T> gi, h0, c0;
  Steps<T> y, states, c, saved;
};

template <class T, class Cell>
__global__ void __launch_bounds__(kThreads, 1) forward_kernel(Forward<T> f, Cell cell) {
  constexpr int kGates = Cell::kGates;
  const Layer& s = f.s;
  const std::int64_t width = s.width;
  Product<kForwardUnits, kGates> p(s);
  p.take_weights(s.width, [&](int unit, int g, int k) { return f.weight.at(g * width + unit, k); });
  p.take_bias([&](int unit, int g) { return f.bias ? load(f.bias[(g * width + unit) * f.bias_step]) : 0.0f; });
  float h[kItems], c[kItems];  // behind the step before
  p.each_item([&](int item, int unit, int row) {
    h[item] = load(f.h0.at(p.first_row + row, 0)[p.first_unit + unit]);
    c[item] = Cell::kLstm ? load(f.c0.at(p.first_row + row, 0)[p.first_unit + unit]) : 0.0f;
  });
  for (int i = 0; i < s.steps; ++i) {
    const int t = s.time(i);
    float input[kItems][kGates], saved[kItems][4];
    bool runs[kItems];
    p.each_item([&](int item, int unit, int row) {
      const T* const from = f.gi.at(p.first_row + row, t) + p.first_unit + unit;
#pragma unroll
      for (int g = 0; g < kGates; ++g) input[item][g] = load(from[g * width]);
      runs[item] = s.runs(p.first_row + row, t);
    });
    if (i == 0) {
      p.make(f.h0, 0, s.width, f.wide);
    } else {
      await(p.flags(), s.plan.blocks, static_cast<unsigned>(i));
      p.make(f.states, s.time(i - 1), s.width, f.wide);
    }
    p.each_item([&](int item, int unit, int row) {
      float state[kGates], next = h[item], cell_next = c[item];
      p.total(unit, row, state);
#pragma unroll
      for (int g = 0; g < kGates; ++g) state[g] += p.bias_of(unit, g);
      cell.step(input[item], state, cell_next, next, saved[item]);
      const T rounded = runs[item] ? store<T>(next) : store<T>(h[item]);
      f.states.at(p.first_row + row, t)[p.first_unit + unit] = rounded;
      h[item] = load(rounded);
      if (Cell::kLstm && runs[item]) c[item] = load(store<T>(cell_next));
    });
    raise(p.own_flag(), static_cast<unsigned>(i + 1));
    p.each_item([&](int item, int unit, int row) {  // what nobody waits for
      const int b = p.first_row + row, n = p.first_unit + unit;
      if (s.alive) f.y.at(b, t)[n] = runs[item] ? store<T>(h[item]) : store<T>(0.0f);
      if (Cell::kLstm) f.c.at(b, t)[n] = store<T>(c[item]);
#pragma unroll
      for (int k = 0; k < Cell::kSaved; ++k) f.saved.at(b, t)[k * width + n] = store<T>(saved[item][k]);
    });
  }
}

// ---- back -----------------------------------------------------------------------------------------------------------
template <class T>
struct Backward {
  Layer s;
  Weights<T> weight;
  bool wide;  // of dgh
  Steps<const T> h0, c0, states, c, saved, gy, gh_end, gc_end;
  Steps<T> dgi, dgh, dh0, dc0;
};

// What the gates of step i were, for one number of the state.
template <class T, class Cell>
struct Past {
  float saved[4] = {}, y = 0, before = 0, c = 0, c_before = 0, gy = 0;
  bool runs = false;
  __device__ void read(const Backward<T>& f, int i, int b, int n) {
    const Layer& s = f.s;
    const int t = s.time(i), earlier = i > 0 ? s.time(i - 1) : 0;
#pragma unroll
    for (int k = 0; k < Cell::kSaved; ++k)
      saved[k] = load(f.saved.at(b, t)[k * static_cast<std::int64_t>(s.width) + n]);
    if (Cell::kSaved == 0) y = load(f.states.at(b, t)[n]);
    if (Cell::kGru) before = load((i > 0 ? f.states.at(b, earlier) : f.h0.at(b, 0))[n]);
    if (Cell::kLstm) {
      c = load(f.c.at(b, t)[n]);
      c_before = load((i > 0 ? f.c.at(b, earlier) : f.c0.at(b, 0))[n]);
    }
    runs = s.runs(b, t);
    gy = f.gy.data && runs ? load(f.gy.at(b, t)[n]) : 0.0f;
  }
};

template <class T, class Cell>
__global__ void __launch_bounds__(kThreads, 1) backward_kernel(Backward<T> f, Cell cell) {
  constexpr int kGates = Cell::kGates;
  const Layer& s = f.s;
  const std::int64_t width = s.width;
  Product<kBackwardUnits, 1> p(s);
  p.take_weights(kGates * s.width, [&](int unit, int, int k) { return f.weight.at(k, unit); });
  float gh[kItems], gc[kItems];  // of the state behind the step
  Past<T, Cell> past[kItems];
  p.each_item([&](int item, int unit, int row) {
    const int b = p.first_row + row, n = p.first_unit + unit;
    gh[item] = f.gh_end.data ? load(f.gh_end.at(b, 0)[n]) : 0.0f;
    gc[item] = f.gc_end.data ? load(f.gc_end.at(b, 0)[n]) : 0.0f;
    past[item].read(f, s.steps - 1, b, n);
  });
  for (int i = s.steps - 1; i >= 0; --i) {
    const int t = s.time(i);
    const unsigned turn = static_cast<unsigned>(s.steps - i);
    p.each_item([&](int item, int unit, int row) {
      const Past<T, Cell>& was = past[item];
      float of_input[kGates] = {}, of_state[kGates] = {}, direct = gh[item];
      if (was.runs)  // a row that has ended hands its gradient on
        cell.slopes(gh[item] + was.gy, was.before, was.y, was.c_before, was.c, was.saved, of_input, of_state, direct,
                    gc[item]);
      gh[item] = direct;
      const int b = p.first_row + row, n = p.first_unit + unit;
      T *const to_input = f.dgi.at(b, t) + n, *const to_state = f.dgh.at(b, t) + n;
#pragma unroll
      for (int g = 0; g < kGates; ++g) {
        to_state[g * width] = store<T>(of_state[g]);
        if (Cell::kGru) to_input[g * width] = store<T>(of_input[g]);
      }
    });
    raise(p.own_flag(), turn);
    if (i > 0)
      p.each_item(
          [&](int item, int unit, int row) { past[item].read(f, i - 1, p.first_row + row, p.first_unit + unit); });
    await(p.flags(), s.plan.blocks, turn);
    p.make(f.dgh, t, kGates * s.width, f.wide);
    p.each_item([&](int item, int unit, int row) {
      float v[1];
      p.total(unit, row, v);
      gh[item] += v[0];
    });
  }
  p.each_item([&](int item, int unit, int row) {
    const int b = p.first_row + row, n = p.first_unit + unit;
    f.dh0.at(b, 0)[n] = store<T>(gh[item]);
    if (Cell::kLstm) f.dc0.at(b, 0)[n] = store<T>(gc[item]);
  });
}

// ---- on the host ----------------------------------------------------------------------------------------------------

Problem problem(const TensorView& states, const TensorView& weight, bool back) {  // states [B, T, H]
  const std::int64_t width = states.sizes[2], gates = weight.sizes[0];
  return {states.sizes[0], width, back ? gates : width, back ? 1 : static_cast<int>(gates / width),
          back ? kBackwardUnits : kForwardUnits};
}
Plan plan_of(const TensorView& states, const TensorView& weight, bool back) {
  const Limits& l = limits(states.device);
  // Beyond so many products to a block a step is long enough for the vendor's faster ones to be worth their launches.
  const std::int64_t most = states.dtype == DType::f32 ? 2 << 20 : 800 << 10;
  return plan(problem(states, weight, back), l.multiprocessors, l.shared_bytes, most);
}
const char* refuses(const TensorView& states, const TensorView& weight, bool back) {
  if (!is_real(states.dtype) || states.dtype == DType::f64) return "dtype is not f32, bf16 or f16";
  if (states.sizes[0] < 1) return "no rows";
  if (states.sizes[1] < 2) return "fewer than two steps";
  if (states.sizes[1] > 0x7fffffff || states.sizes[0] > 0x7fffffff) return "more than 2^31 rows or steps";
  if (plan_of(states, weight, back).units == 0) return "no blocks have room for the weights, or a step is large";
  return nullptr;
}

Layer layer_of(const TensorView& states, const TensorView& weight, const TensorView& alive, bool reverse, bool back) {
  Layer s{};
  s.batch = static_cast<int>(states.sizes[0]), s.steps = static_cast<int>(states.sizes[1]);
  s.width = static_cast<int>(states.sizes[2]), s.reverse = reverse;
  s.plan = plan_of(states, weight, back);
  if (alive.given()) s.alive = alive.ptr<bool>(), s.alive_step = alive.strides[0], s.alive_row = alive.strides[1];
  return s;
}
// Rows may be read four numbers at a time.
template <class T>
bool fours(const TensorView& v) {
  bool yes = aligned(v.ptr<T>(), 4 * sizeof(T)) && v.sizes[v.rank - 1] % 4 == 0;
  for (int d = 0; d + 1 < v.rank; ++d) yes = yes && v.strides[d] % 4 == 0;
  return yes;
}
template <class F, class Cell>
void start(Device d, F& f, void (*kernel)(F, Cell), const Cell& cell) {
  Launch l;
  const Plan& p = f.s.plan;
  l.grid[0] = static_cast<unsigned>(p.blocks * p.groups), l.block[0] = kThreads;
  l.shared = p.shared, l.cooperative = true;
  const std::size_t bytes = l.grid[0] * sizeof(unsigned);
  const Scratch flags(d, bytes);
  f.s.flags = flags.as<unsigned>();
  runtime(DeviceType::cuda).zero(d.index, f.s.flags, bytes);
  launch(d, l, kernel, f, cell);
}
template <class F>
void with_cell(RnnCell cell, F&& f) {
  if (cell == RnnCell::gru) return f(Gru{});
  if (cell == RnnCell::lstm) return f(Lstm{});
  f(Plain{cell == RnnCell::relu});
}
template <class F>
void with_type(DType t, F&& f) {
  if (t == DType::f32) return f(float());
  if (t == DType::bf16) return f(BFloat16());
  f(Float16());
}

void forward(const RnnSequenceArgs& a) {
  with_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using In = Steps<const T>;
    using Out = Steps<T>;
    Forward<T> f{layer_of(a.states, a.weight, a.alive, a.reverse, false),
                 Weights<T>(a.weight),
                 a.bias.given() ? a.bias.ptr<T>() : nullptr,
                 a.bias.given() ? a.bias.strides[0] : 0,
                 fours<T>(a.states) && fours<T>(a.h0),
                 In(a.gi),
                 In(a.h0),
                 In(a.c0),
                 Out(a.y),
                 Out(a.states),
                 Out(a.c),
                 Out(a.saved)};
    with_cell(a.cell,
              [&](const auto& cell) { start(a.gi.device, f, forward_kernel<T, std::decay_t<decltype(cell)>>, cell); });
  });
  *a.done = true;
}
void backward(const RnnSequenceGradArgs& a) {
  with_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using In = Steps<const T>;
    using Out = Steps<T>;
    Backward<T> f{layer_of(a.states, a.weight, a.alive, a.reverse, true),
                  Weights<T>(a.weight),
                  fours<T>(a.dgh),
                  In(a.h0),
                  In(a.c0),
                  In(a.states),
                  In(a.c),
                  In(a.saved),
                  In(a.gy),
                  In(a.gh_end),
                  In(a.gc_end),
                  Out(a.dgi),
                  Out(a.dgh),
                  Out(a.dh0),
                  Out(a.dc0)};
    with_cell(a.cell, [&](const auto& cell) {
      start(a.dgi.device, f, backward_kernel<T, std::decay_t<decltype(cell)>>, cell);
    });
  });
  *a.done = true;
}

}  // namespace
}  // namespace sequence

void add_rnn_sequence() {
  constexpr DeviceType cuda = DeviceType::cuda;
  rnn_sequence.add(
      cuda, "persistent", sequence::forward,
      [](const RnnSequenceArgs& a) { return sequence::refuses(a.states, a.weight, false); },
      "all steps in one launch, weights in shared memory");
  rnn_sequence_backward.add(cuda, "persistent", sequence::backward,
                            [](const RnnSequenceGradArgs& a) { return sequence::refuses(a.states, a.weight, true); });
  rnn_sequence.add(cuda, "steps", sequence_by_steps<RnnSequenceArgs>);
  rnn_sequence_backward.add(cuda, "steps", sequence_by_steps<RnnSequenceGradArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
