// Lookups and ordered scatters. Plain loops are also the fast variant here: they move bytes, or add in a fixed order.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/index.h>

#include <cstring>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

template <class Args>
const char* supports_real(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

void lookup(const EmbeddingArgs& a) {
  const std::int64_t width = a.table.sizes[1], bytes = static_cast<std::int64_t>(size_of(a.table.dtype));
  parallel_for(a.index.sizes[0], row_grain(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const std::int64_t row = a.index.ptr<const std::int64_t>()[n * a.index.strides[0]];
      const char* from = a.table.ptr<const char>() + row * a.table.strides[0] * bytes;
      char* to = a.y.ptr<char>() + n * a.y.strides[0] * bytes;
      if (a.y.strides[1] == 1 || width <= 1) {
        std::memcpy(to, from, static_cast<std::size_t>(width * bytes));
      } else {
        for (std::int64_t c = 0; c < width; ++c)
          std::memcpy(to + c * a.y.strides[1] * bytes, from + c * bytes, static_cast<std::size_t>(bytes));
      }
    }
  });
}

// Rows of gy are grouped by index with a stable counting sort, so that each row of the table is summed alone, in the
// order of n and in double.
template <class T>
void scatter(const EmbeddingGradArgs& a) {
  const std::int64_t count = a.index.sizes[0], rows = a.gtable.sizes[0], width = a.gtable.sizes[1];
  auto* first =
      static_cast<std::int64_t*>(workspace(static_cast<std::size_t>(rows + 1 + count) * sizeof(std::int64_t)));
  std::int64_t* order = first + rows + 1;
  const auto index = [&](std::int64_t n) { return a.index.ptr<const std::int64_t>()[n * a.index.strides[0]]; };
  std::fill_n(first, rows + 1, 0);
  for (std::int64_t n = 0; n < count; ++n) ++first[index(n) + 1];
  for (std::int64_t v = 0; v < rows; ++v) first[v + 1] += first[v];
  for (std::int64_t n = 0; n < count; ++n) order[first[index(n)]++] = n;  // first[v] becomes the end of v's group
  constexpr std::int64_t kBlock = 256;
  parallel_for(
      rows, row_grain(width * (1 + count / std::max<std::int64_t>(1, rows))),
      [&](std::int64_t begin, std::int64_t end) {
        double total[kBlock];
        for (std::int64_t v = begin; v < end; ++v)
          for (std::int64_t c0 = 0; c0 < width; c0 += kBlock) {
            const std::int64_t n = std::min(kBlock, width - c0);
            T* out = a.gtable.ptr<T>() + v * a.gtable.strides[0] + c0 * a.gtable.strides[1];
            std::fill_n(total, n, 0.0);
            for (std::int64_t k = v == 0 ? 0 : first[v - 1]; k < first[v]; ++k) {
              const T* g = a.gy.ptr<const T>() + order[k] * a.gy.strides[0] + c0 * a.gy.strides[1];
              for (std::int64_t c = 0; c < n; ++c) total[c] += g[c * a.gy.strides[1]];
            }
            for (std::int64_t c = 0; c < n; ++c) {
              T& o = out[c * a.gtable.strides[1]];
              o = static_cast<T>(a.beta == 0 ? total[c] : a.beta * o + total[c]);  // beta 0: the old value may be NaN
            }
          }
      });
}

template <class T>
T one() {
  if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>)
    return T::from(1.0f);
  else
    return T(1);
}
void one_hot_rows(const OneHotArgs& a) {
  visit(a.y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t classes = a.y.sizes[1];
    parallel_for(a.y.sizes[0], row_grain(classes), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        T* y = a.y.ptr<T>() + n * a.y.strides[0];
        for (std::int64_t c = 0; c < classes; ++c) y[c * a.y.strides[1]] = T{};
        const std::int64_t hot = a.index.ptr<const std::int64_t>()[n * a.index.strides[0]];
        if (hot >= 0 && hot < classes) y[hot * a.y.strides[1]] = one<T>();
      }
    });
  });
}

void range(const IndexRangeArgs& a) {
  std::int64_t low = 0, high = 0;
  bool any = false;
  Walk<1>({a.index}).rows([&](const auto& at, const auto& s, std::int64_t n) {
    const std::int64_t* x = reinterpret_cast<const std::int64_t*>(at[0]);
    if (!any) low = high = x[0], any = true;
    for (std::int64_t i = 0; i < n; ++i) low = std::min(low, x[i * s[0]]), high = std::max(high, x[i * s[0]]);
  });
  a.out[0] = low, a.out[1] = high;
}

// Each element of gx collects from the windows that hold it, in the order of s.
template <class T>
void fold(const FoldArgs& a) {
  const int rank = a.gx.rank;
  const std::int64_t windows = a.gy.sizes[a.dim], size = a.gy.sizes[rank], length = a.gx.sizes[a.dim];
  const std::int64_t window_step = a.gy.strides[a.dim], inner_step = a.gy.strides[rank], out_step = a.gx.strides[a.dim];
  TensorView first = a.gy;  // window 0, element 0: the other dimensions are gx's
  first.rank = rank;
  const Walk<2> lines({first, a.gx}, ~(1u << a.dim));
  parallel_for(lines.numel, row_grain(length * (1 + size / a.step)), [&](std::int64_t begin, std::int64_t end) {
    lines.rows(begin, end, [&](const auto& at, const auto& st, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) {
        const T* g = reinterpret_cast<const T*>(at[0]) + i * st[0];
        T* out = reinterpret_cast<T*>(at[1]) + i * st[1];
        for (std::int64_t t = 0; t < length; ++t) {
          const std::int64_t s0 = t < size ? 0 : (t - size) / a.step + 1, s1 = std::min(windows - 1, t / a.step);
          double total = 0;
          for (std::int64_t s = s0; s <= s1; ++s) total += g[s * window_step + (t - s * a.step) * inner_step];
          out[t * out_step] = static_cast<T>(total);
        }
      }
    });
  });
}

}  // namespace

void add_ref_index() {
  constexpr DeviceType cpu = DeviceType::cpu;
  embedding.add(cpu, "ref", lookup);
  embedding_backward.add(
      cpu, "ref", [](const EmbeddingGradArgs& a) { a.dtype() == DType::f32 ? scatter<float>(a) : scatter<double>(a); },
      supports_real<EmbeddingGradArgs>);
  one_hot.add(cpu, "ref", one_hot_rows);
  index_range.add(cpu, "ref", range);
  unfold_backward.add(
      cpu, "ref", [](const FoldArgs& a) { a.dtype() == DType::f32 ? fold<float>(a) : fold<double>(a); },
      supports_real<FoldArgs>);
}

}  // namespace tapedeck::kernels
