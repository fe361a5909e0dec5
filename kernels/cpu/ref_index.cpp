// Lookups by index. Plain loops are also the fast variant here: they move bytes.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/index.h>

#include <cstring>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

void lookup(const EmbeddingArgs& a) {
  const std::int64_t width = a.table.sizes[1], bytes = static_cast<std::int64_t>(size_of(a.table.dtype));
  parallel_for(a.index.sizes[0], row_grain(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const std::int64_t row = a.index.ptr<const std::int64_t>()[n * a.index.strides[0]];
      const char* from = a.table.ptr<const char>() + row * a.table.strides[0] * bytes;
      char* to = a.y.ptr<char>() + n * a.y.strides[0] * bytes;
      if (a.y.strides[1] == 1) {
        std::memcpy(to, from, static_cast<std::size_t>(width * bytes));
      } else {
        for (std::int64_t c = 0; c < width; ++c)
          std::memcpy(to + c * a.y.strides[1] * bytes, from + c * bytes, static_cast<std::size_t>(bytes));
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

}  // namespace

void add_ref_index() {
  constexpr DeviceType cpu = DeviceType::cpu;
  embedding.add(cpu, "ref", lookup);
  one_hot.add(cpu, "ref", one_hot_rows);
  index_range.add(cpu, "ref", range);
}

}  // namespace tapedeck::kernels
