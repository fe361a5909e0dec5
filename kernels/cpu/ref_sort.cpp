// Sorting, selection, search and counting: also the fast variants. Elements become unsigned keys in the order that
// sort.h states, and equal keys are told apart by their place, so that there is one right answer.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/kernels/sort.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

// Unsigned numbers in the order of the elements: for reals the sign is flipped, or all bits of negative ones; every NaN
// is the largest, and -0 is 0.
template <class T>
std::uint64_t key_of(T v) {
  if constexpr (std::is_floating_point_v<T>) {
    using U = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    constexpr U sign = U(1) << (8 * sizeof(U) - 1);
    if (v != v) return static_cast<U>(~U(0));
    const U bits = std::bit_cast<U>(v == 0 ? T(0) : v);
    return static_cast<U>(bits & sign ? ~bits : bits | sign);
  } else if constexpr (std::is_signed_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<U>(static_cast<U>(v) ^ (U(1) << (8 * sizeof(U) - 1)));
  } else {
    return static_cast<std::uint64_t>(v);
  }
}
template <class T>
std::uint64_t key_of(T v, bool descending) {
  constexpr std::uint64_t all = ~std::uint64_t(0) >> (64 - 8 * sizeof(T));
  return descending ? ~key_of(v) & all : key_of(v);
}

struct Record {
  std::uint64_t key;
  std::int64_t place;
  bool operator<(const Record& o) const { return key != o.key ? key < o.key : place < o.place; }
};

// Sorts by key, keeping the order of equals: byte by byte from the lowest, into the other array and back; a byte that
// all keys share costs nothing. Returns the array with the result.
Record* radix_sort(Record* from, Record* to, std::int64_t n, int bytes) {
  for (int b = 0; b < bytes; ++b) {
    std::int64_t first[257] = {};
    const auto digit = [b](const Record& r) { return static_cast<std::size_t>(r.key >> (8 * b) & 255u); };
    for (std::int64_t i = 0; i < n; ++i) ++first[digit(from[i]) + 1];
    if (first[digit(from[0]) + 1] == n) continue;
    for (int d = 0; d < 256; ++d) first[d + 1] += first[d];
    for (std::int64_t i = 0; i < n; ++i) to[first[digit(from[i])]++] = from[i];
    std::swap(from, to);
  }
  return from;
}
Record* sorted(Record* records, Record* room, std::int64_t n, int bytes) {
  if (n > 128) return radix_sort(records, room, n, bytes);
  for (std::int64_t i = 1; i < n; ++i) {  // places ascend already
    const Record r = records[i];
    std::int64_t j = i;
    for (; j > 0 && r.key < records[j - 1].key; --j) records[j] = records[j - 1];
    records[j] = r;
  }
  return records;
}

// f(x, y) for each line along dim, on all threads: pointers to its first elements.
template <class T, class Args, class F>
void each_line(const Args& a, std::int64_t cost, F&& f) {
  const Walk<2> walk({a.x, a.y}, ~(1u << a.dim));
  parallel_for(walk.numel, row_grain(a.x.sizes[a.dim], cost), [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i)
        f(reinterpret_cast<const T*>(at[0]) + i * s[0], reinterpret_cast<std::int64_t*>(at[1]) + i * s[1]);
    });
  });
}

Record* records_for(std::int64_t n) {
  return static_cast<Record*>(workspace(static_cast<std::size_t>(n) * sizeof(Record)));
}
template <class T>
void fill_records(Record* records, const T* x, std::int64_t step, std::int64_t n, bool descending) {
  for (std::int64_t i = 0; i < n; ++i) records[i] = {key_of(x[i * step], descending), i};
}

template <class T>
void sort_lines(const SortArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim];
  if (n == 0) return;
  each_line<T>(a, 16, [&](const T* x, std::int64_t* y) {
    Record* records = records_for(2 * n);
    fill_records(records, x, a.x.strides[a.dim], n, a.descending);
    const Record* result = sorted(records, records + n, n, static_cast<int>(sizeof(T)));
    for (std::int64_t i = 0; i < n; ++i) y[i * a.y.strides[a.dim]] = result[i].place;
  });
}

template <class T>
void topk_lines(const SortArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim], k = a.y.sizes[a.dim];
  if (k == 0) return;
  each_line<T>(a, 8, [&](const T* x, std::int64_t* y) {
    const std::int64_t step = a.x.strides[a.dim];
    Record* records = records_for(n);
    if (k < n / 16) {  // a heap of the best so far, the last of them on top; a later equal is not better
      fill_records(records, x, step, k, a.descending);
      std::make_heap(records, records + k);
      for (std::int64_t i = k; i < n; ++i) {
        const Record r{key_of(x[i * step], a.descending), i};
        if (r.key >= records[0].key) continue;
        std::pop_heap(records, records + k);
        records[k - 1] = r;
        std::push_heap(records, records + k);
      }
    } else {
      fill_records(records, x, step, n, a.descending);
      if (k < n) std::nth_element(records, records + k - 1, records + n);
    }
    std::sort(records, records + k);
    for (std::int64_t i = 0; i < k; ++i) y[i * a.y.strides[a.dim]] = records[i].place;
  });
}

template <class T>
void select_lines(const SelectArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim], step = a.x.strides[a.dim];
  each_line<T>(a, 8, [&](const T* x, std::int64_t* y) {
    if (a.nan_wins)
      for (std::int64_t i = 0; i < n; ++i)
        if (x[i * step] != x[i * step]) return void(*y = i);
    Record* records = records_for(n);
    fill_records(records, x, step, n, false);
    std::nth_element(records, records + a.rank, records + n);
    *y = records[a.rank].place;
  });
}

// How many of row's n elements, step by step, `before` holds for: those in front of all others.
template <class T, class F>
std::int64_t partition_point(const T* row, std::int64_t step, std::int64_t n, F&& before) {
  std::int64_t low = 0;
  while (n > 0) {
    const std::int64_t half = n / 2;
    const bool right = before(row[(low + half) * step]);
    low = right ? low + half + 1 : low;
    n = right ? n - half - 1 : half;
  }
  return low;
}

template <class T>
void search_rows(const SearchArgs& a) {
  const std::int64_t rows = a.values.sizes[0], m = a.values.sizes[1], n = a.sorted.sizes[1], step = a.sorted.strides[1];
  parallel_for(rows * m, kGrain / 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t r = i / m, c = i % m;
      const T* row = a.sorted.ptr<const T>() + r * a.sorted.strides[0];
      const T v = a.values.ptr<const T>()[r * a.values.strides[0] + c * a.values.strides[1]];
      std::int64_t place = n;
      if (v == v)
        place = a.right ? partition_point(row, step, n, [v](T e) { return e <= v; })
                        : partition_point(row, step, n, [v](T e) { return e < v; });
      else if (!a.right)
        place = partition_point(row, step, n, [](T e) { return e == e; });
      a.y.ptr<std::int64_t>()[r * a.y.strides[0] + c * a.y.strides[1]] = place;
    }
  });
}

void count_integers(const BincountArgs& a) {
  const std::int64_t n = a.x.sizes[0], bins = a.y.sizes[0];
  const auto at = [&](std::int64_t i) { return a.x.ptr<const std::int64_t>()[i * a.x.strides[0]]; };
  const auto each = [&](auto* bin, const auto* weight, auto out) {
    std::fill_n(bin, bins, 0);
    for (std::int64_t i = 0; i < n; ++i) bin[at(i)] += weight ? weight[i * a.weights.strides[0]] : 1;
    using Out = decltype(out);
    for (std::int64_t b = 0; b < bins; ++b) a.y.ptr<Out>()[b * a.y.strides[0]] = static_cast<Out>(bin[b]);
  };
  void* room = workspace(static_cast<std::size_t>(bins) * 8);
  if (!a.weights.given())
    each(static_cast<std::int64_t*>(room), static_cast<const std::int64_t*>(nullptr), std::int64_t{});
  else if (a.weights.dtype == DType::f32)
    each(static_cast<double*>(room), a.weights.ptr<const float>(), float{});
  else
    each(static_cast<double*>(room), a.weights.ptr<const double>(), double{});
}

template <class T>
void histogram(const HistogramArgs& a) {
  const std::int64_t bins = a.y.sizes[0];
  auto* count = static_cast<std::int64_t*>(workspace(static_cast<std::size_t>(bins) * sizeof(std::int64_t)));
  std::fill_n(count, bins, 0);
  Walk<1>({a.x}).rows([&](const auto& at, const auto& s, std::int64_t n) {
    const T* x = reinterpret_cast<const T*>(at[0]);
    for (std::int64_t i = 0; i < n; ++i) {
      const double v = x[i * s[0]];
      if (!(v >= a.low && v <= a.high)) continue;
      const double part = (v - a.low) / (a.high - a.low) * static_cast<double>(bins);
      ++count[std::min(static_cast<std::int64_t>(part), bins - 1)];
    }
  });
  for (std::int64_t b = 0; b < bins; ++b) a.y.ptr<T>()[b * a.y.strides[0]] = static_cast<T>(count[b]);
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::bf16 || a.dtype() == DType::f16 ? "dtype is bf16 or f16" : nullptr;
}
const char* supports_real(const HistogramArgs& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
// Calls f with a zero of the element type.
template <class F>
void with_type(DType t, F&& f) {
  visit(t, [&](auto zero) {
    if constexpr (std::is_arithmetic_v<decltype(zero)>) f(zero);
  });
}

}  // namespace

void add_ref_sort() {
  constexpr DeviceType cpu = DeviceType::cpu;
#define TD_BY_TYPE(f) [](const auto& a) { with_type(a.dtype(), [&](auto zero) { f<decltype(zero)>(a); }); }
  sort.add(cpu, "ref", TD_BY_TYPE(sort_lines), supports<SortArgs>);
  topk.add(cpu, "ref", TD_BY_TYPE(topk_lines), supports<SortArgs>);
  select_rank.add(cpu, "ref", TD_BY_TYPE(select_lines), supports<SelectArgs>);
  searchsorted.add(cpu, "ref", TD_BY_TYPE(search_rows), supports<SearchArgs>);
#undef TD_BY_TYPE
  bincount.add(cpu, "ref", count_integers, supports<BincountArgs>);
  histc.add(
      cpu, "ref", [](const HistogramArgs& a) { a.dtype() == DType::f32 ? histogram<float>(a) : histogram<double>(a); },
      supports_real);
}

}  // namespace tapedeck::kernels
