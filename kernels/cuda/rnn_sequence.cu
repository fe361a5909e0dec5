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
// What the block wrote before (seen behind a barrier) is there for those who look and see `step`.
__device__ inline void put_flag(unsigned* flag, unsigned step) {
#ifdef TAPEDECK_EMULATED
  __threadfence(), emulation::strong_store(flag, step);
#else
  asm volatile("st.release.gpu.u32 [%0], %1;" ::"l"(flag), "r"(step) : "memory");
#endif
}
__device__ inline unsigned look(const unsigned* flag) {
#ifdef TAPEDECK_EMULATED
  const unsigned v = emulation::strong_load(flag);
  __threadfence();
#else
  unsigned v;
  asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(v) : "l"(flag) : "memory");
#endif
  return v;
}
__device__ inline void raise(unsigned* flag, unsigned step) {
  __syncthreads();
  if (threadIdx.x == 0) put_flag(flag, step);
}
// Until all `count` flags have come to `step`.
__device__ inline void await(const unsigned* flags, int count, unsigned step) {
  constexpr int kPatience = 1 << 26;
  const int thread = static_cast<int>(threadIdx.x);
  for (int first = thread / kWarp * kWarp; first < count; first += kThreads) {
    const int at = first + thread % kWarp;
    const unsigned* const flag = flags + (at < count ? at : count - 1);
    for (int looks = 0; !__all_sync(kAllLanes, look(flag) >= step); ++looks)
      if (looks == kPatience) give_up();
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
  __host__ __device__ Steps(T* data, std::int64_t row, std::int64_t step) : data(data), row(row), step(step) {}
  __device__ T* at(int b, int t) const { return data + b * row + t * step; }
  __device__ Steps<const T> read() const { return {data, row, step}; }
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

// kPerUnit rows of weights to each of the block's units. Rows of shared memory are ordered so that threads with
// neighbouring tiles read neighbouring rows: row r of all tiles, then row r + 1; rows of x likewise.
template <class T, int kUnits, int kPerUnit>
struct Product {
  static constexpr int kPer = kUnits * kPerUnit, kUnroll = kPer < 16 ? 2 : 1;
  const Layer& s;
  const int thread, first_unit, first_row, unit_tiles, row_tiles, tiles, pitch, x_pitch, x_size, sums_pitch;
  float4* const weights;
  float* const bias;
  Pack<T, 4>* const x;  // kRing chunks
  float* const sums;    // where x was
  float acc[kPer][kTileRows];
  int item_unit[kItems], item_row[kItems];  // this thread's numbers of the state; row -1: none

  __device__ explicit Product(const Layer& layer)
      : s(layer),
        thread(static_cast<int>(threadIdx.x)),
        first_unit(static_cast<int>(blockIdx.x) % s.plan.blocks * s.plan.units),
        first_row(static_cast<int>(blockIdx.x) / s.plan.blocks * s.plan.rows),
        unit_tiles(s.plan.units / kUnits),
        row_tiles(s.plan.rows / kTileRows),
        tiles(unit_tiles * row_tiles),
        pitch(pitch_of(s.plan.fours)),
        x_pitch(pitch_of(s.plan.chunk)),
        x_size(s.plan.rows * x_pitch),
        sums_pitch(tiles * s.plan.slices | 1),
        weights(dynamic_shared<float4>()),
        bias(reinterpret_cast<float*>(weights + s.plan.units * kPerUnit * pitch)),
        x(reinterpret_cast<Pack<T, 4>*>(bias + s.plan.units * kPerUnit)),
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

  // weight(unit, g, term); zeros outside. Neighbouring threads have neighbouring terms, or units.
  template <bool kAlongUnits, class Weight>
  __device__ void take_weights(int terms, const Weight& weight) const {
    const int rows = s.plan.units * kPerUnit;
    for (int i = thread; i < rows * s.plan.fours; i += kThreads) {
      const int four = kAlongUnits ? i / rows : i % s.plan.fours, place = kAlongUnits ? i % rows : i / s.plan.fours;
      const int unit = place % s.plan.units, g = place / s.plan.units, row = g * kUnits + unit % kUnits;
      float v[4];
#pragma unroll
      for (int e = 0; e < 4; ++e)
        v[e] = first_unit + unit < s.width && 4 * four + e < terms ? weight(first_unit + unit, g, 4 * four + e) : 0.0f;
      weights[(row * unit_tiles + unit / kUnits) * pitch + four] = make_float4(v[0], v[1], v[2], v[3]);
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

  // Asks for chunk c of x, if there is one; zeros behind the last row and the last term.
  __device__ void fetch(const Steps<const T>& from, int t, int terms, bool wide, int c) const {
    const int first = c * s.plan.chunk, left = s.plan.fours - first, count = left < s.plan.chunk ? left : s.plan.chunk;
    for (int row = thread / kWarp; row < s.plan.rows && count > 0; row += kThreads / kWarp) {
      const int b = first_row + row;
      const bool there = b < s.batch;
      Pack<T, 4>* const to = x + c % kRing * x_size + (row % kTileRows * row_tiles + row / kTileRows) * x_pitch;
      const T* const line = from.at(there ? b : 0, t) + 4 * first;
      if (wide) {
        for (int k = thread % kWarp; k < count; k += kWarp) copy_four(to + k, line + 4 * k, there);
      } else {
        const int rest = there ? terms - 4 * first : 0;
        copy_one_by_one(to, line, rest < 4 * count ? rest : 4 * count, count);
      }
    }
    cores::close_copies();
  }
  __device__ static void copy_four(Pack<T, 4>* to, const T* from, bool there) {
    if constexpr (sizeof(T) == 4)
      cores::copy_16(cores::spot(to), from, there);
    else
      cores::copy_8(cores::spot(to), from, there);
  }
  // Rows whose numbers do not lie in aligned fours. Many loads are under way at a time.
  __device__ void copy_one_by_one(Pack<T, 4>* to, const T* line, int terms, int count) const {
    constexpr int kAtOnce = 4;
    for (int k0 = thread % kWarp; k0 < count; k0 += kAtOnce * kWarp) {
      T v[kAtOnce][4];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int term = 4 * (k0 + j * kWarp) + e;
          v[j][e] = term < terms ? line[term] : store<T>(0.0f);
        }
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j)
        if (k0 + j * kWarp < count) to[k0 + j * kWarp] = {v[j][0], v[j][1], v[j][2], v[j][3]};
    }
  }
  // Each slice has neighbouring terms.
  __device__ void add(int c) {
    if (thread >= tiles * s.plan.slices) return;
    const int first = c * s.plan.chunk, each = s.plan.chunk / s.plan.slices, tile = thread % tiles;
    const int begin = thread / tiles * each, left = s.plan.fours - first,
              end = begin + each < left ? begin + each : left;
    const float4* const w = weights + tile % unit_tiles * pitch + first;
    const Pack<T, 4>* const v = x + c % kRing * x_size + tile / unit_tiles * x_pitch;
#pragma unroll kUnroll
    for (int k = begin; k < end; ++k) {
      float a[kTileRows][4];
#pragma unroll
      for (int i = 0; i < kTileRows; ++i) {
        const Pack<T, 4> four = v[i * row_tiles * x_pitch + k];
#pragma unroll
        for (int e = 0; e < 4; ++e) a[i][e] = load(four.v[e]);
      }
#pragma unroll
      for (int r = 0; r < kPer; ++r) {
        const float4 b = w[r * unit_tiles * pitch + k];
#pragma unroll
        for (int i = 0; i < kTileRows; ++i) {
          acc[r][i] = fmaf(b.x, a[i][0], acc[r][i]), acc[r][i] = fmaf(b.y, a[i][1], acc[r][i]);
          acc[r][i] = fmaf(b.z, a[i][2], acc[r][i]), acc[r][i] = fmaf(b.w, a[i][3], acc[r][i]);
        }
      }
    }
  }
  // Of x at step t, when all blocks of the group have it.
  __device__ void make(const Steps<const T>& from, int t, int terms, bool wide) {
#pragma unroll
    for (int r = 0; r < kPer; ++r)
#pragma unroll
      for (int i = 0; i < kTileRows; ++i) acc[r][i] = 0;
#pragma unroll 1
    for (int c = 0; c < kRing - 1; ++c) fetch(from, t, terms, wide, c);
    for (int c = 0; c * s.plan.chunk < s.plan.fours; ++c) {
      cores::wait_copies<kRing - 2>();
      __syncthreads();  // and the chunk before has been multiplied, whose place the next one takes
      fetch(from, t, terms, wide, c + kRing - 1);
      add(c);
    }
    __syncthreads();
    if (thread < tiles * s.plan.slices) {
      float* const to = sums + thread;
#pragma unroll
      for (int r = 0; r < kPer; ++r)
#pragma unroll
        for (int i = 0; i < kTileRows; ++i) to[(r * kTileRows + i) * sums_pitch] = acc[r][i];
    }
    __syncthreads();
  }
  // What a unit's rows of weights make for a row of the batch. Two chains of additions each.
  __device__ void total(int unit, int row, float (&v)[kPerUnit]) const {
    const int of_gate = kUnits * kTileRows * sums_pitch, slices = s.plan.slices;
    const float* from = sums + (unit % kUnits * kTileRows + row % kTileRows) * sums_pitch +
                        row / kTileRows * unit_tiles + unit / kUnits;
    float odd[kPerUnit];
#pragma unroll
    for (int g = 0; g < kPerUnit; ++g) v[g] = odd[g] = 0;
    int slice = 0;
#pragma unroll 4
    for (; slice + 1 < slices; slice += 2, from += 2 * tiles)
#pragma unroll
      for (int g = 0; g < kPerUnit; ++g) v[g] += from[g * of_gate], odd[g] += from[g * of_gate + tiles];
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
    i[0] = h[0] = relu ? (y <= 0 ? 0.0f : gy) : gy * ((1 - y) * (1 + y));
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
  Product<T, kForwardUnits, kGates> p(s);
  p.template take_weights<false>(s.width, [&](int unit, int g, int k) { return f.weight.at(g * width + unit, k); });
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
    if (i > 0) await(p.flags(), s.plan.blocks, static_cast<unsigned>(i));
    p.make(i > 0 ? f.states.read() : f.h0, i > 0 ? s.time(i - 1) : 0, s.width, f.wide);
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
  Product<T, kBackwardUnits, 1> p(s);
  p.template take_weights<true>(kGates * s.width, [&](int unit, int, int k) { return f.weight.at(k, unit); });
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
    float of_input[kItems][kGates];
    p.each_item([&](int item, int unit, int row) {
      const Past<T, Cell>& was = past[item];
      float of_state[kGates] = {}, direct = gh[item];
#pragma unroll
      for (int g = 0; g < kGates; ++g) of_input[item][g] = 0;
      if (was.runs)  // a row that has ended hands its gradient on
        cell.slopes(gh[item] + was.gy, was.before, was.y, was.c_before, was.c, was.saved, of_input[item], of_state,
                    direct, gc[item]);
      gh[item] = direct;
      T* const to = f.dgh.at(p.first_row + row, t) + p.first_unit + unit;
#pragma unroll
      for (int g = 0; g < kGates; ++g) to[g * width] = store<T>(of_state[g]);
    });
    raise(p.own_flag(), turn);
    p.each_item([&](int item, int unit, int row) {  // what nobody waits for
      const int b = p.first_row + row, n = p.first_unit + unit;
      T* const to = f.dgi.at(b, t) + n;
#pragma unroll
      for (int g = 0; g < kGates && Cell::kGru; ++g) to[g * width] = store<T>(of_input[item][g]);
      if (i > 0) past[item].read(f, i - 1, b, n);
    });
    await(p.flags(), s.plan.blocks, turn);
    p.make(f.dgh.read(), t, kGates * s.width, f.wide);
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
  return {states.sizes[0],
          width,
          ceil_div(back ? gates : width, 4),
          back ? 1 : static_cast<int>(gates / width),
          back ? kBackwardUnits : kForwardUnits,
          static_cast<int>(size_of(states.dtype))};
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
