// Sums at repeated indices, and windows added back. Every element of the result collects its terms in the order of
// their positions, in double (integers wrap) and rounded once: the same bits on any number of threads. Plain loops are
// also the fast variant.
#include <tapedeck/kernels/cpu/half.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/lines.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/index.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

template <class T>
using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, double>;

template <class T>
Sum<T> load(T v) {
  if constexpr (kHalf<T>)
    return v.to_float();
  else
    return static_cast<Sum<T>>(v);
}
template <class T>
T store(Sum<T> v) {
  if constexpr (kHalf<T>)
    return round_half<T>(v);
  else
    return static_cast<T>(v);
}
// beta * old + alpha * total; with beta 0 the old value may be anything.
template <class T>
T combined(T old, Sum<T> total, double alpha, double beta) {
  const auto factor = [](double f) {
    return std::is_integral_v<T> ? static_cast<Sum<T>>(static_cast<std::int64_t>(f)) : static_cast<Sum<T>>(f);
  };
  if (alpha != 1) total *= factor(alpha);
  return store<T>(beta == 0 ? total : (beta == 1 ? load(old) : factor(beta) * load(old)) + total);
}

const char* supports_numbers(DType t) { return t != DType::boolean ? nullptr : "sums need numbers, not bools"; }

template <class F>
void with_numbers(DType t, F&& f) {
  visit(t, [&](auto zero) {
    if constexpr (!std::is_same_v<decltype(zero), bool>) f(zero);
  });
}

constexpr std::int64_t kBlock = 256;

// Line by line: one line's sums stand in a workspace, so that the source is read once in order.
template <class T>
void add_lines(const ScatterAddArgs& a, double alpha) {
  const std::int64_t count = a.source.sizes[a.dim], length = a.y.sizes[a.dim];
  const std::int64_t source_step = a.source.strides[a.dim], index_step = a.index.strides[a.dim],
                     y_step = a.y.strides[a.dim];
  const Walk<3> beside({at_first(a.source, a.dim), at_first(a.index, a.dim), at_first(a.y, a.dim)});
  const bool by_rows = beside.inner() > 1 && beside.strides[2][beside.rank - 1] < y_step;
  // Lines that lie side by side in memory are taken together, as many as fit a cache.
  const std::int64_t most = by_rows ? std::clamp<std::int64_t>(kGrain / std::max<std::int64_t>(length, 1), 1, 64) : 1;
  const std::int64_t grain = std::max(row_grain(count + length), most);
  parallel_for(beside.numel, grain, [&](std::int64_t begin, std::int64_t end) {
    auto* total = static_cast<Sum<T>*>(workspace(static_cast<std::size_t>(most * length) * sizeof(Sum<T>)));
    beside.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      for (std::int64_t i0 = 0; i0 < n; i0 += most) {
        const std::int64_t lines = std::min(most, n - i0);
        const T* x = reinterpret_cast<const T*>(at[0]) + i0 * s[0];
        const std::int64_t* which = reinterpret_cast<const std::int64_t*>(at[1]) + i0 * s[1];
        T* y = reinterpret_cast<T*>(at[2]) + i0 * s[2];
        std::fill_n(total, length * lines, Sum<T>{});
        for (std::int64_t k = 0; k < count; ++k)
          for (std::int64_t i = 0; i < lines; ++i)
            total[which[i * s[1] + k * index_step] * lines + i] += load(x[i * s[0] + k * source_step]);
        for (std::int64_t v = 0; v < length; ++v)
          for (std::int64_t i = 0; i < lines; ++i) {
            T& o = y[i * s[2] + v * y_step];
            o = combined(o, total[v * lines + i], alpha, a.beta);
          }
      }
    });
  });
}

// One index for whole rows: positions are grouped by a stable counting sort, and each row of y is summed alone; row
// `padding` gets nothing.
template <class T>
void add_rows(const IndexAddArgs& a, std::int64_t padding = -1) {
  const std::int64_t count = a.index.sizes[0], length = a.y.sizes[a.dim];
  auto* first =
      static_cast<std::int64_t*>(workspace(static_cast<std::size_t>(length + 1 + count) * sizeof(std::int64_t)));
  std::int64_t* order = first + length + 1;
  const auto index = [&](std::int64_t n) { return a.index.ptr<const std::int64_t>()[n * a.index.strides[0]]; };
  std::fill_n(first, length + 1, 0);
  for (std::int64_t n = 0; n < count; ++n) ++first[index(n) + 1];
  for (std::int64_t v = 0; v < length; ++v) first[v + 1] += first[v];
  for (std::int64_t n = 0; n < count; ++n) order[first[index(n)]++] = n;  // first[v] becomes the end of v's group
  const std::int64_t source_step = a.source.strides[a.dim], y_step = a.y.strides[a.dim];
  const Walk<2> beside({at_first(a.source, a.dim), at_first(a.y, a.dim)});
  const std::int64_t blocks = (beside.numel + kBlock - 1) / kBlock;
  const std::int64_t cost = std::min(beside.numel, kBlock) * (1 + count / std::max<std::int64_t>(1, length));
  parallel_for(length * blocks, row_grain(cost), [&](std::int64_t begin, std::int64_t end) {
    Sum<T> total[kBlock];
    for (std::int64_t u = begin; u < end; ++u) {
      const std::int64_t v = u / blocks, b = u % blocks * kBlock;
      const std::int64_t to = first[v], from = v == padding ? to : v == 0 ? 0 : first[v - 1];
      if (from == to && a.beta == 1) continue;
      beside.rows(b, std::min(b + kBlock, beside.numel), [&](const auto& at, const auto& s, std::int64_t n) {
        T* y = reinterpret_cast<T*>(at[1]) + v * y_step;
        std::fill_n(total, n, Sum<T>{});
        for (std::int64_t k = from; k < to; ++k) {
          const T* x = reinterpret_cast<const T*>(at[0]) + order[k] * source_step;
          if (s[0] == 1) {  // the compiler makes vectors of this one
            for (std::int64_t i = 0; i < n; ++i) total[i] += load(x[i]);
          } else {
            for (std::int64_t i = 0; i < n; ++i) total[i] += load(x[i * s[0]]);
          }
        }
        for (std::int64_t i = 0; i < n; ++i) y[i * s[1]] = combined(y[i * s[1]], total[i], a.alpha, a.beta);
      });
    }
  });
}

template <class T>
void add_at(const IndexAddArgs& a) {
  // Where elements lie closest along dim, it is lines that are read in order: their index is the same for all.
  bool along = true;
  for (int d = 0; d < a.y.rank; ++d)
    along = along && (d == a.dim || a.y.sizes[d] == 1 || a.y.strides[d] > a.y.strides[a.dim]);
  if (!along) return add_rows<T>(a);
  TensorView index = a.source;
  index.data = a.index.data, index.dtype = DType::i64;
  for (int d = 0; d < index.rank; ++d) index.strides[d] = d == a.dim ? a.index.strides[0] : 0;
  add_lines<T>({a.source, index, a.y, a.dim, a.beta}, a.alpha);
}

// Each element of gx collects from the windows that hold it, in the order of s.
template <class T>
void fold(const FoldArgs& a) {
  const int rank = a.gx.rank;
  const std::int64_t windows = a.gy.sizes[a.dim], size = a.gy.sizes[rank], length = a.gx.sizes[a.dim];
  const std::int64_t window_step = a.gy.strides[a.dim], inner_step = a.gy.strides[rank], out_step = a.gx.strides[a.dim];
  const std::int64_t span = (size - 1) * a.dilation + 1;  // of a window
  TensorView first = a.gy;                                // window 0, element 0: the other dimensions are gx's
  first.rank = rank;
  const Walk<2> lines({first, a.gx}, ~(1u << a.dim));
  parallel_for(lines.numel, row_grain(length * (1 + span / a.step)), [&](std::int64_t begin, std::int64_t end) {
    lines.rows(begin, end, [&](const auto& at, const auto& st, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) {
        const T* g = reinterpret_cast<const T*>(at[0]) + i * st[0];
        T* out = reinterpret_cast<T*>(at[1]) + i * st[1];
        for (std::int64_t t = 0; t < length; ++t) {
          const std::int64_t s0 = t < span ? 0 : (t - span) / a.step + 1, s1 = std::min(windows - 1, t / a.step);
          Sum<T> total{};
          for (std::int64_t s = s0; s <= s1; ++s) {
            const std::int64_t offset = t - s * a.step;
            if (a.dilation == 1 || offset % a.dilation == 0)
              total += load(g[s * window_step + offset / a.dilation * inner_step]);
          }
          out[t * out_step] = store<T>(total);
        }
      }
    });
  });
}

}  // namespace

void add_ref_index_sums() {
  constexpr DeviceType cpu = DeviceType::cpu;
  index_add.add(
      cpu, "ref", [](const IndexAddArgs& a) { with_numbers(a.dtype(), [&](auto zero) { add_at<decltype(zero)>(a); }); },
      [](const IndexAddArgs& a) { return supports_numbers(a.dtype()); });
  scatter_add.add(
      cpu, "ref",
      [](const ScatterAddArgs& a) { with_numbers(a.dtype(), [&](auto zero) { add_lines<decltype(zero)>(a, 1); }); },
      [](const ScatterAddArgs& a) { return supports_numbers(a.dtype()); });
  embedding_backward.add(
      cpu, "ref",
      [](const EmbeddingGradArgs& a) {
        with_numbers(a.dtype(), [&](auto zero) {
          add_rows<decltype(zero)>({a.gy, a.index, a.gtable, 0, 1, a.beta}, a.padding);
        });
      },
      [](const EmbeddingGradArgs& a) { return supports_numbers(a.dtype()); });
  unfold_backward.add(
      cpu, "ref", [](const FoldArgs& a) { with_numbers(a.dtype(), [&](auto zero) { fold<decltype(zero)>(a); }); },
      [](const FoldArgs& a) { return supports_numbers(a.dtype()); });
}

}  // namespace tapedeck::kernels
