// Attention by panels, for f32, bf16 and f16: what its kernels share. A block has four warps, each with M times 16 rows
// (of queries, or of keys), whose scores and sums it holds in registers, as the matrix units lay them out. The other
// operands come through shared memory, in panels of rows. bf16 and f16: weights become at once the left operand of the
// next product, and the next panel is copied in the background. f32: each thread chains its products, and a warp's
// weights pass through shared memory of its own.
#pragma once
#include <tapedeck/kernels/cuda/attention_plan.h>
#include <tapedeck/kernels/cuda/attention_rows.h>
#include <tapedeck/kernels/cuda/tensor_core.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::panels {

using tiles::Rows;
using tiles::Sizes;
using namespace cores;

__device__ inline int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int warp() { return static_cast<int>(threadIdx.x) / kWarp; }
__device__ inline int least(int a, int b) { return a < b ? a : b; }

// Sizes of a head's steps: what the kernels count with.
struct Steps {
  int queries, keys;
  int ahead;  // query t sees the keys before t + ahead
  __device__ explicit Steps(const Sizes& s)
      : queries(static_cast<int>(s.queries)),
        keys(static_cast<int>(s.keys)),
        ahead(s.causal ? static_cast<int>(s.past < s.keys ? s.past : s.keys) + 1 : 1 << 28) {}
  __device__ int visible(int t) const { return least(t + ahead, keys); }  // how many keys query t sees
};

// What the rows that a thread holds see of a panel: row m, i of the queries the keys before `reach` (more for rows
// further down) and `end` …
struct KeysSeen {
  int reach, end;
  __device__ KeysSeen(int first_reach, int keys, int j0) : reach(first_reach + lane() / 4 - j0), end(keys - j0) {}
  __device__ int limit(int m, int i) const { return least(reach + 16 * m + i / 2 * 8, end); }
  __device__ bool row(int m, int i, int key) const { return key < limit(m, i); }
  __device__ bool score(int m, int n, int i) const { return 8 * n + i % 2 < limit(m, i) - lane() % 4 * 2; }
};
// … and, on their side, row m, i of the keys the queries from `from` on, which are before `end`.
struct QueriesSeen {
  int from, end;
  __device__ QueriesSeen(int first_from, int queries, int t) : from(first_from + lane() / 4 - t), end(queries - t) {}
  __device__ bool row(int m, int i, int query) const { return query >= from + 16 * m + i / 2 * 8 && query < end; }
  __device__ bool score(int m, int n, int i) const {
    const int shift = lane() % 4 * 2, query = 8 * n + i % 2;
    return query >= from + 16 * m + i / 2 * 8 - shift && query < end - shift;
  }
};

// Which tile of which head a block has. `heads` of the queries, or the groups of them that share keys.
struct Place {
  int tile, n, h;
  __device__ Place(int block, std::int64_t batch, std::int64_t heads) {
    const int each = static_cast<int>(heads), all = static_cast<int>(batch) * each, which = block % all;
    tile = block / all, n = which / each, h = which % each;
  }
};

// The sums of M times 16 rows and N times 8 columns.
template <int M, int N>
using Sums = float[M][N][4];
template <int M, int N>
__device__ inline void clear(Sums<M, N>& s) {
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) s[m][n][i] = 0;
}
// Of score i of fragment m of the warp's rows and eight n of the columns: its row and its column …
__device__ inline int row_of(int m, int i) { return 16 * m + i / 2 * 8 + lane() / 4; }
__device__ inline int column_of(int n, int i) { return 8 * n + lane() % 4 * 2 + i % 2; }
// … and the column where it is a sum over the other operand's rows: threads of f32 have four neighbours.
template <class T>
__device__ inline int sum_column_of(int n, int i) {
  return kHalf<T> ? column_of(n, i) : n / 2 * 16 + lane() % 4 * 4 + n % 2 * 2 + i % 2;
}

// Rows of D numbers in shared memory.
template <class T, int D>
struct Panel {
  static constexpr int kStep = panel_step(D, sizeof(T)) / sizeof(T);
  static constexpr int kBytes = panel_step(D, sizeof(T));
  // Asks for R rows of x, `step` numbers apart; zeros from row `there` on.
  template <int R>
  __device__ static void fetch(T* to, const T* x, std::int64_t step, int there) {
    constexpr int kWide = 16 / sizeof(T), kAcross = D / kWide;
    static_assert(R * kAcross % kPanelThreads == 0);
    const int thread = afresh(static_cast<int>(threadIdx.x));
    const Spot at = spot(to);
    step = afresh(step);
    if constexpr (kPanelThreads % kAcross == 0) {  // a thread stays in its columns
      constexpr int kRows = kPanelThreads / kAcross;
      const int r = thread / kAcross;
      const Spot mine = at + static_cast<Spot>(r * kBytes + thread % kAcross * 16);
      const T* from = x + r * step + thread % kAcross * kWide;
#pragma unroll
      for (int i = 0; i < R / kRows; ++i, from += kRows * step)
        copy_16(mine + static_cast<Spot>(i * kRows * kBytes), from, r + i * kRows < there);
    } else {
#pragma unroll
      for (int i = 0; i < R * kAcross / kPanelThreads; ++i) {
        const int k = thread + i * kPanelThreads, r = k / kAcross, c = k % kAcross;
        copy_16(at + static_cast<Spot>(r * kBytes + c * 16), x + r * step + c * kWide, r < there);
      }
    }
  }
  // Where this lane's row of four matrices starts: 16 rows and 16 columns of the left operand (or, turned, of the right
  // one, whose rows they are) …
  __device__ static Spot left(const T* rows) {
    return spot(rows) + static_cast<Spot>(lane() % 16 * kBytes + lane() / 16 * 16);
  }
  // … and 16 rows that are columns of the right operand.
  __device__ static Spot right(const T* rows) {
    return spot(rows) + static_cast<Spot>((lane() / 16 * 8 + lane() % 8) * kBytes + lane() / 8 % 2 * 16);
  }
};

// Before a panel after the first: it has come, and all are done with the one before. One stage: only now is it asked
// for.
template <int Stages, class Fetch>
__device__ __forceinline__ void panel_has_come(const Fetch& fetch) {
  if constexpr (Stages == 1) {
    __syncthreads();
    fetch();
  }
  wait_copies<0>();
  __syncthreads();
}

// Left operands of products of rows: fragments that are read once and kept …
template <class T, int D, int M>
struct Kept {
  unsigned v[M][D / 16][4];
  __device__ explicit Kept(const T* rows) {
    const Spot at = Panel<T, D>::left(rows);
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int k = 0; k < D / 16; ++k) load_matrices<false>(v[m][k], at + m * 16 * Panel<T, D>::kBytes + k * 32);
  }
  __device__ void get(unsigned (&a)[4], int m, int k) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) a[i] = v[m][k][i];
  }
};
// … or read each time.
template <class T, int D, int M>
struct Reread {
  Spot at;
  __device__ explicit Reread(const T* rows) : at(Panel<T, D>::left(rows)) {}
  __device__ void get(unsigned (&a)[4], int m, int k) const {
    load_matrices<false>(a, at + m * 16 * Panel<T, D>::kBytes + k * 32);
  }
};
template <int D, int M>
struct Reread<float, D, M> {
  const float* at;
  __device__ explicit Reread(const float* rows) : at(rows + lane() / 4 * Panel<float, D>::kStep) {}
};

__device__ inline Pack<float, 4> four_at(const float* p) { return *reinterpret_cast<const Pack<float, 4>*>(p); }

// Products of rows, on the matrix units and in threads.
template <class T, int D, int M, int N, class Left>
__device__ __forceinline__ void multiply_dots(Sums<M, N>& sums, const Left& left, const T* rows) {
  const Spot right = Panel<T, D>::right(rows);
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    unsigned a[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m) left.get(a[m], m, k);
#pragma unroll
    for (int n = 0; n < N; n += 2) {
      unsigned b[4];
      load_matrices<false>(b, right + n * 8 * Panel<T, D>::kBytes + k * 32);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply<T>(sums[m][n], a[m], b[0], b[1]);
        multiply<T>(sums[m][n + 1], a[m], b[2], b[3]);
      }
    }
  }
}
template <int D, int M, int N>
__device__ __forceinline__ void chain_dots(Sums<M, N>& sums, const Reread<float, D, M>& left, const float* rows) {
  constexpr int kStep = Panel<float, D>::kStep;
  const float* const columns = rows + lane() % 4 * 2 * kStep;
#pragma unroll 2
  for (int k = 0; k < D; k += 4) {
    Pack<float, 4> by[M][2];
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) by[m][half] = four_at(left.at + (16 * m + 8 * half) * kStep + k);
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const Pack<float, 4> right = four_at(columns + (8 * n + j) * kStep + k);
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int m = 0; m < M; ++m)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
              float& sum = sums[m][n][2 * half + j];
              sum = fmaf(by[m][half].v[i], right.v[i], sum);
            }
      }
  }
}

// sums += the products of the rows of `left` with 8 N rows of a panel.
template <class T, int D, int M, int N, class Left>
__device__ __forceinline__ void add_dots(Sums<M, N>& sums, const Left& left, const T* rows) {
  if constexpr (kHalf<T>)
    multiply_dots<T, D>(sums, left, rows);
  else
    chain_dots<D>(sums, left, rows);
}

// Infinities and NaN out of a pair, as zeros; odd: there were some.
template <class T>
__device__ inline unsigned finite_only(unsigned pair, bool& odd) {
  constexpr unsigned kLow = std::is_same_v<T, BFloat16> ? 0x7f80u : 0x7c00u, kHigh = kLow << 16;
  const unsigned low = (pair & kLow) == kLow ? 0xffffu : 0, high = (pair & kHigh) == kHigh ? 0xffff0000u : 0;
  odd = odd || (low | high) != 0;
  return pair & ~(low | high);
}

// Products with rows: on the matrix units, and in threads, which leave out what is not seen.
template <class T, int D, bool Edge, bool Weights, int M, int N, class Seen>
__device__ __forceinline__ void multiply_rows(Sums<M, D / 8>& sums, const Sums<M, N>& by, const T* rows,
                                              const Seen& seen) {
  const Spot turned = Panel<T, D>::left(rows);
  bool odd = false;
#pragma unroll
  for (int k = 0; k < N / 2; ++k) {
    unsigned a[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        a[m][i] = pair<T>(by[m][2 * k + i / 2][i % 2 * 2], by[m][2 * k + i / 2][i % 2 * 2 + 1]);
#pragma unroll
    for (int n = 0; n < D / 8; n += 2) {
      unsigned b[4];
      load_matrices<true>(b, turned + k * 16 * Panel<T, D>::kBytes + n * 16);
      if constexpr (Edge)
#pragma unroll
        for (int i = 0; i < 4; ++i) b[i] = finite_only<T>(b[i], odd);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply<T>(sums[m][n], a[m], b[0], b[1]);
        multiply<T>(sums[m][n + 1], a[m], b[2], b[3]);
      }
    }
  }
  if constexpr (Edge) {
    if (!__any_sync(kAllLanes, odd)) return;
#pragma unroll 1
    for (int row = 0; row < 8 * N; ++row)
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        __syncwarp();  // so that few are loaded at a time
#pragma unroll
        for (int m = 0; m < M; ++m)
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const float v = to_float(rows[row * Panel<T, D>::kStep + column_of(n, i)]), none = v - v;
            if (none != 0 && seen.row(m, i, row)) sums[m][n][i] += Weights ? v : none;
          }
      }
  }
}
template <int D, bool Edge, int M, int N, class Seen>
__device__ __forceinline__ void chain_rows(Sums<M, D / 8>& sums, const Sums<M, N>& by, const float* rows,
                                           const Seen& seen, float* spare) {
  constexpr int kStep = Panel<float, D>::kStep, kBack = kWeightStep / 4;
  static_assert(8 * N <= 32);
  __syncwarp();  // what was read from `spare` before has been read
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int i = 0; i < 4; i += 2)
        *reinterpret_cast<Pack<float, 2>*>(spare + row_of(m, i) * kBack + column_of(n, i)) = {by[m][n][i],
                                                                                              by[m][n][i + 1]};
  __syncwarp();
  const float *const mine = spare + lane() / 4 * kBack, *const columns = rows + lane() % 4 * 4;
#pragma unroll 1
  for (int j = 0; j < 8 * N; j += 4) {
    Pack<float, 4> left[M][2];
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) left[m][half] = four_at(mine + (16 * m + 8 * half) * kBack + j);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      Pack<float, 4> right[D / 16];
#pragma unroll
      for (int c = 0; c < D / 16; ++c) right[c] = four_at(columns + (j + k) * kStep + 16 * c);
#pragma unroll
      for (int m = 0; m < M; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          if (!Edge || seen.row(m, 2 * half, j + k))
#pragma unroll
            for (int c = 0; c < D / 16; ++c)
#pragma unroll
              for (int i = 0; i < 4; ++i) {
                float& sum = sums[m][2 * c + i / 2][2 * half + i % 2];
                sum = fmaf(left[m][half].v[k], right[c].v[i], sum);
              }
    }
  }
}

// sums += the product of `by` (rounded to T) and 8 N rows of a panel. Edge: not every row of `by` sees every row of the
// panel, seen.row(m, i, row) says which; what it does not see may be no number, and then has no part in its sums.
// Weights (Weights) are not negative: what is infinite adds itself. Else it comes with scores that are no numbers
// either, and makes NaN. f32: `spare` is shared memory of this warp, in rows of 36.
template <class T, int D, bool Edge, bool Weights, int M, int N, class Seen>
__device__ __forceinline__ void add_rows(Sums<M, D / 8>& sums, const Sums<M, N>& by, const T* rows, const Seen& seen,
                                         [[maybe_unused]] T* spare) {
  if constexpr (kHalf<T>)
    multiply_rows<T, D, Edge, Weights>(sums, by, rows, seen);
  else
    chain_rows<D, Edge>(sums, by, rows, seen, spare);
}

// Rows of the warp's sums, each by its factor (0: zeros), to `y` from row `first` to before `end`, through shared
// memory that is this warp's alone.
template <int D, int M, class T>
__device__ __forceinline__ void put_rows(const Sums<M, D / 8>& sums, const float (&factor)[M][2], T* mine,
                                         const Rows<T>& y, std::int64_t n, std::int64_t h, int first, int end) {
  constexpr int kStep = Panel<T, D>::kStep, kWide = 16 / sizeof(T), kAcross = D / kWide;
  __syncwarp();
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int c = 0; c < D / 8; ++c)
#pragma unroll
      for (int i = 0; i < 4; i += 2) {
        const float by = factor[m][i / 2], a = by == 0 ? 0 : sums[m][c][i] * by,
                    b = by == 0 ? 0 : sums[m][c][i + 1] * by;
        T* const to = mine + row_of(m, i) * kStep + sum_column_of<T>(c, i);
        if constexpr (kHalf<T>)
          *reinterpret_cast<unsigned*>(to) = pair<T>(a, b);
        else
          *reinterpret_cast<Pack<float, 2>*>(to) = {a, b};
      }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < M * 16 * kAcross / kWarp; ++i) {
    const int at = lane() + i * kWarp, r = at / kAcross, c = at % kAcross * kWide;
    if (first + r < end)
      *reinterpret_cast<Pack<T, kWide>*>(y.row(n, h, first + r) + c) =
          *reinterpret_cast<const Pack<T, kWide>*>(mine + r * kStep + c);
  }
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::panels
