// Moves by index along one dimension: no arithmetic, so one loop per element size. Plain loops are also the fast
// variant. Lines along the dimension are independent of each other; within one, writes go in the order of positions.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/lines.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/index.h>

#include <cstring>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

// Calls f with an unsigned integer of the size of an element.
template <class F>
void with_size(DType t, F&& f) {
  switch (size_of(t)) {
    case 1:
      return f(std::uint8_t{});
    case 2:
      return f(std::uint16_t{});
    case 4:
      return f(std::uint32_t{});
    default:
      return f(std::uint64_t{});
  }
}

const std::int64_t* indices(const TensorView& v) { return v.ptr<const std::int64_t>(); }

template <class T>
void move_row(T* to, std::int64_t to_step, const T* from, std::int64_t from_step, std::int64_t n) {
  if (to_step == 1 && from_step == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
  } else {
    for (std::int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
  }
}

// to[..., put(k), ...] = from[..., take(k), ...] for all k in [0, count), in that order where `ordered`. Where the
// elements of `to` lie closer beside dim than along it, rows are moved whole.
template <class T, class Put, class Take>
void move_along(const TensorView& from, const TensorView& to, int dim, std::int64_t count, bool ordered, Put put,
                Take take) {
  const std::int64_t from_step = from.strides[dim], to_step = to.strides[dim];
  const Walk<2> beside({at_first(from, dim), at_first(to, dim)});
  const bool by_rows = beside.inner() > 1 && beside.strides[1][beside.rank - 1] < to_step;
  const auto part = [&](std::int64_t k0, std::int64_t k1, std::int64_t begin, std::int64_t end) {
    beside.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      const T* x = reinterpret_cast<const T*>(at[0]);
      T* y = reinterpret_cast<T*>(at[1]);
      if (by_rows) {
        for (std::int64_t k = k0; k < k1; ++k) move_row(y + put(k) * to_step, s[1], x + take(k) * from_step, s[0], n);
      } else {
        for (std::int64_t i = 0; i < n; ++i)
          for (std::int64_t k = k0; k < k1; ++k) y[i * s[1] + put(k) * to_step] = x[i * s[0] + take(k) * from_step];
      }
    });
  };
  if (by_rows && !ordered) {
    parallel_for(count, row_grain(beside.numel),
                 [&](std::int64_t begin, std::int64_t end) { part(begin, end, 0, beside.numel); });
  } else {
    parallel_for(beside.numel, std::max<std::int64_t>(row_grain(count), by_rows ? 64 : 1),
                 [&](std::int64_t begin, std::int64_t end) { part(0, count, begin, end); });
  }
}

void select(const IndexSelectArgs& a) {
  with_size(a.dtype(), [&](auto zero) {
    const auto at = [i = indices(a.index), s = a.index.strides[0]](std::int64_t n) { return i[n * s]; };
    move_along<decltype(zero)>(
        a.x, a.y, a.dim, a.index.sizes[0], false, [](std::int64_t n) { return n; }, at);
  });
}

void copy_at(const IndexCopyArgs& a) {
  with_size(a.dtype(), [&](auto zero) {
    const auto at = [i = indices(a.index), s = a.index.strides[0]](std::int64_t n) { return i[n * s]; };
    move_along<decltype(zero)>(a.source, a.y, a.dim, a.index.sizes[0], true, at, [](std::int64_t n) { return n; });
  });
}

// f(x, y, i): an element of a line of `own`, the line of `other` beside it and the index for that element; all lines on
// all threads, each in the order of its elements.
template <class T, class F>
void each_line(const TensorView& own, const TensorView& index, const TensorView& other, int dim, F f) {
  const std::int64_t count = index.sizes[dim], step = own.strides[dim], index_step = index.strides[dim];
  const Walk<3> beside({at_first(own, dim), at_first(index, dim), at_first(other, dim)});
  const bool by_rows = beside.inner() > 1 && beside.strides[0][beside.rank - 1] < step;
  parallel_for(beside.numel, std::max<std::int64_t>(row_grain(count, 2), by_rows ? 16 : 1),
               [&](std::int64_t begin, std::int64_t end) {
                 beside.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
                   T *x = reinterpret_cast<T*>(at[0]), *y = reinterpret_cast<T*>(at[2]);
                   const std::int64_t* which = reinterpret_cast<const std::int64_t*>(at[1]);
                   const auto visit_one = [&](std::int64_t i, std::int64_t k) {
                     f(x[i * s[0] + k * step], y + i * s[2], which[i * s[1] + k * index_step]);
                   };
                   if (by_rows) {
                     for (std::int64_t k = 0; k < count; ++k)
                       for (std::int64_t i = 0; i < n; ++i) visit_one(i, k);
                   } else {
                     for (std::int64_t i = 0; i < n; ++i)
                       for (std::int64_t k = 0; k < count; ++k) visit_one(i, k);
                   }
                 });
               });
}

void gather_lines(const GatherArgs& a) {
  with_size(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_line<T>(a.y, a.index, a.x, a.dim,
                 [step = a.x.strides[a.dim]](T& y, const T* line, std::int64_t i) { y = line[i * step]; });
  });
}

void scatter_lines(const ScatterArgs& a) {
  with_size(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_line<T>(a.source, a.index, a.y, a.dim,
                 [step = a.y.strides[a.dim]](const T& x, T* line, std::int64_t i) { line[i * step] = x; });
  });
}

void triangle_rows(const TriangleArgs& a) {
  with_size(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int r = a.x.rank;
    const std::int64_t rows = a.x.sizes[r - 2], columns = a.x.sizes[r - 1];
    const std::int64_t xs = a.x.strides[r - 1], ys = a.y.strides[r - 1];
    const std::int64_t x_row = a.x.strides[r - 2], y_row = a.y.strides[r - 2];
    const Walk<2> matrices({at_first(at_first(a.x, r - 1), r - 2), at_first(at_first(a.y, r - 1), r - 2)});
    parallel_for(matrices.numel * rows, row_grain(columns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t at = begin; at < end; ++at) {
        const std::int64_t row = at % rows;
        matrices.rows(at / rows, at / rows + 1, [&](const auto& p, const auto&, std::int64_t) {
          const T* x = reinterpret_cast<const T*>(p[0]) + row * x_row;
          T* y = reinterpret_cast<T*>(p[1]) + row * y_row;
          // Where the zeros begin or end. The diagonal may be any number: it is brought near before it is added to.
          const std::int64_t diagonal = std::clamp(a.diagonal, -rows, columns);
          const std::int64_t cut = std::clamp<std::int64_t>(row + diagonal + (a.upper ? 0 : 1), 0, columns);
          const auto clear = [&](std::int64_t from, std::int64_t to) {
            for (std::int64_t c = from; c < to; ++c) y[c * ys] = T{};
          };
          if (a.upper) {
            clear(0, cut);
            move_row(y + cut * ys, ys, x + cut * xs, xs, columns - cut);
          } else {
            move_row(y, ys, x, xs, cut);
            clear(cut, columns);
          }
        });
      }
    });
  });
}

template <class T>
bool is_zero(T v) {
  if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>)
    return (v.bits & 0x7fff) == 0;
  else
    return v == T{};
}

void find_nonzero(const NonzeroArgs& a) {
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::int64_t at[8] = {}, found = 0;
    const T* x = a.x.ptr<const T>();
    for (std::int64_t n = a.x.numel(); n > 0; --n) {
      if (!is_zero(*x)) {
        if (a.y.given())
          for (int d = 0; d < a.x.rank; ++d)
            a.y.ptr<std::int64_t>()[found * a.y.strides[0] + d * a.y.strides[1]] = at[d];
        ++found;
      }
      for (int d = a.x.rank - 1; d >= 0; --d) {
        x += a.x.strides[d];
        if (++at[d] < a.x.sizes[d]) break;
        x -= a.x.sizes[d] * a.x.strides[d];
        at[d] = 0;
      }
    }
    *a.count = found;
  });
}

}  // namespace

void add_ref_index_moves() {
  constexpr DeviceType cpu = DeviceType::cpu;
  index_select.add(cpu, "ref", select);
  index_copy.add(cpu, "ref", copy_at);
  gather.add(cpu, "ref", gather_lines);
  scatter.add(cpu, "ref", scatter_lines);
  triangle.add(cpu, "ref", triangle_rows);
  nonzero.add(cpu, "ref", find_nonzero);
}

}  // namespace tapedeck::kernels
