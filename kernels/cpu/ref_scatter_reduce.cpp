// Products and extremes of what meets at a place. A line of results stands in a workspace, so that the source is read
// once in order; plain loops are also the fast variant.
#include <tapedeck/kernels/cpu/half.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/lines.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/index.h>

#include <type_traits>

namespace tapedeck::kernels {
namespace {

template <class T>
using Wide = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;

template <class T>
Wide<T> load(T v) {
  if constexpr (kHalf<T>)
    return v.to_float();
  else
    return static_cast<Wide<T>>(v);
}
template <class T>
T store(Wide<T> v) {
  if constexpr (kHalf<T>)
    return round_half<T>(v);
  else
    return static_cast<T>(v);
}

template <Meet op, class W>
W meet(W a, W b) {
  if constexpr (op == Meet::prod) {
    if constexpr (std::is_integral_v<W>)
      return static_cast<W>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));  // wraps
    else
      return a * b;
  } else {
    if (a != a) return a;
    return b != b || (op == Meet::amax ? b > a : b < a) ? b : a;
  }
}

template <Meet op, class T>
void lines(const ScatterReduceArgs& a) {
  using W = Wide<T>;
  const std::int64_t count = a.source.sizes[a.dim], length = a.y.sizes[a.dim];
  const std::int64_t source_step = a.source.strides[a.dim], index_step = a.index.strides[a.dim],
                     y_step = a.y.strides[a.dim];
  const Walk<3> beside({at_first(a.source, a.dim), at_first(a.index, a.dim), at_first(a.y, a.dim)});
  parallel_for(beside.numel, row_grain(count + length), [&](std::int64_t begin, std::int64_t end) {
    auto* line = static_cast<W*>(workspace(static_cast<std::size_t>(length) * sizeof(W)));
    beside.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) {
        const T* x = reinterpret_cast<const T*>(at[0]) + i * s[0];
        const std::int64_t* which = reinterpret_cast<const std::int64_t*>(at[1]) + i * s[1];
        T* y = reinterpret_cast<T*>(at[2]) + i * s[2];
        for (std::int64_t v = 0; v < length; ++v) line[v] = load(y[v * y_step]);
        for (std::int64_t k = 0; k < count; ++k) {
          W& v = line[which[k * index_step]];
          v = meet<op, W>(v, load(x[k * source_step]));
        }
        for (std::int64_t v = 0; v < length; ++v) y[v * y_step] = store<T>(line[v]);
      }
    });
  });
}

void scatter_elements(const ScatterReduceArgs& a) {
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, bool>) {
      if (a.op == Meet::prod) return lines<Meet::prod, T>(a);
      a.op == Meet::amax ? lines<Meet::amax, T>(a) : lines<Meet::amin, T>(a);
    }
  });
}

}  // namespace

void add_ref_scatter_reduce() {
  scatter_reduce.add(DeviceType::cpu, "ref", scatter_elements, [](const ScatterReduceArgs& a) {
    return a.dtype() == DType::boolean ? "needs numbers, not bools" : nullptr;
  });
}

}  // namespace tapedeck::kernels
