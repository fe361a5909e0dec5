// Sums, products and extremes of what meets at a place, and windows added back. A thread makes one element of the
// result from its terms in the order of positions, in double (integers wrap), rounded once. Few positions are searched
// by every thread; more are grouped by their place first, and long groups of whole rows are summed in pieces.
#include <tapedeck/kernels/cuda/grouping.h>
#include <tapedeck/kernels/cuda/index_lines.h>
#include <tapedeck/kernels/index.h>

#include <optional>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr std::int64_t kFew = 64;    // positions that are searched rather than sorted
constexpr std::int64_t kPiece = 64;  // positions of one piece of a long group

template <class T>
using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, double>;

// To 16 bits with one rounding: to float with rounding to odd before.
template <class T>
__device__ inline T round_half(double v) {
  float f = static_cast<float>(v);
  const double back = static_cast<double>(f);
  const unsigned bits = __float_as_uint(f);
  if (back != v && (bits & 1u) == 0 && (bits & 0x7fffffffu) < 0x7f800000u)
    f = __uint_as_float((v < 0 ? -v : v) > (back < 0 ? -back : back) ? bits | 1u : bits - 1u);
  return from_float<T>(f);
}
template <class T>
__device__ inline Sum<T> load_wide(T v) {
  if constexpr (kHalf<T>)
    return static_cast<double>(to_float(v));
  else
    return static_cast<Sum<T>>(v);
}
template <class T, class W>
__device__ inline T store_wide(W v) {
  if constexpr (kHalf<T>)
    return round_half<T>(v);
  else
    return static_cast<T>(v);
}

// What goes to a place. Grouped: positions order[begin[place]] … of the place with the number `place`. Else positions
// 0 … count - 1 of the line whose index starts at `line` are compared with `place`.
struct Terms {
  const unsigned *order = nullptr, *begin = nullptr, *end = nullptr;
  const std::int64_t* index = nullptr;
  std::int64_t count = 0, index_step = 0, source_step = 0, padding = -1;
};
template <class F>
__device__ inline void each_term(const Terms& t, std::int64_t place, std::int64_t line, F f) {
  if (place == t.padding) return;
  if (t.order != nullptr) {
    const unsigned to = t.end[place];
#pragma unroll 4
    for (unsigned i = t.begin[place]; i < to; ++i) f(t.order[i] * t.source_step);
  } else {
    for (std::int64_t k = 0; k < t.count; ++k)
      if (t.index[line + k * t.index_step] == place) f(k * t.source_step);
  }
}

// beta * y + alpha * sum; with beta 0 the old value may be anything.
template <class T>
struct Factors {
  Sum<T> alpha, beta;
};
template <class T>
Factors<T> factors(double alpha, double beta) {
  const auto one = [](double f) {
    return std::is_integral_v<T> ? static_cast<Sum<T>>(static_cast<std::int64_t>(f)) : static_cast<Sum<T>>(f);
  };
  return {one(alpha), one(beta)};
}

// Long groups of rows: partial[2 * chunk + slot, column] has the sum over one piece of kPiece sorted positions, slot 0
// for the group that holds its first one, slot 1 for that of its last.
__device__ inline bool is_long(unsigned begin, unsigned end) {
  return end > begin && begin / kPiece != (end - 1) / kPiece;
}
template <class T>
__global__ void pieces_kernel(Layout<2> columns, Terms t, const unsigned* keys, const T* source, Sum<T>* partial) {
  const std::int64_t chunks = (t.count + kPiece - 1) / kPiece, items = chunks * 2 * columns.numel;
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t item = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; item < items; item += stride) {
    const std::int64_t piece = item / columns.numel, chunk = piece / 2, first = chunk * kPiece;
    const std::int64_t last = first + kPiece < t.count ? first + kPiece : t.count;
    const unsigned key = keys[piece % 2 == 0 ? first : last - 1], begin = t.begin[key], end = t.end[key];
    if (!is_long(begin, end) || (piece % 2 == 1 && begin <= first) || key == t.padding) continue;
    std::int64_t at[2];
    columns.offsets(item % columns.numel, at);
    const T* const from = source + at[1];
    const std::int64_t to = end < last ? end : last;
    Sum<T> total{};
#pragma unroll 8
    for (std::int64_t i = begin > first ? begin : first; i < to; ++i)
      total += load_wide(from[t.order[i] * t.source_step]);
    partial[piece * columns.numel + at[0]] = total;
  }
}

// Offsets: of y, of the source at its line's first, the place, and the line's index (or the column of a partial sum).
template <class T>
__global__ void add_kernel(Layout<4> l, Terms t, Factors<T> by, const Sum<T>* partial, std::int64_t columns,
                           const T* source, T* y) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < l.numel; i += stride) {
    std::int64_t at[4];
    l.offsets(i, at);
    const T* const from = source + at[1];
    Sum<T> total{};
    if (partial != nullptr && at[2] != t.padding && is_long(t.begin[at[2]], t.end[at[2]])) {
      const std::int64_t begin = t.begin[at[2]], last = (t.end[at[2]] - 1) / kPiece;
      for (std::int64_t chunk = begin / kPiece; chunk <= last; ++chunk)
        total += partial[(2 * chunk + (begin > chunk * kPiece ? 1 : 0)) * columns + at[3]];
    } else {
      each_term(t, at[2], at[3], [&](std::int64_t k) { total += load_wide(from[k]); });
    }
    T& to = y[at[0]];
    if (by.alpha != Sum<T>(1)) total *= by.alpha;
    if (by.beta == Sum<T>(1))
      total = load_wide(to) + total;
    else if (by.beta != Sum<T>(0))
      total = by.beta * load_wide(to) + total;
    to = store_wide<T>(total);
  }
}

template <class T>
using Wide = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
template <class W>
__device__ inline W meet(Meet op, W a, W b) {
  if (op == Meet::prod) {
    if constexpr (std::is_integral_v<W>)
      return static_cast<W>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));  // wraps
    else
      return a * b;
  }
  if (a != a) return a;
  return b != b || (op == Meet::amax ? b > a : b < a) ? b : a;
}
template <class T>
__global__ void reduce_kernel(Layout<4> l, Terms t, Meet op, const T* source, T* y) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < l.numel; i += stride) {
    std::int64_t at[4];
    l.offsets(i, at);
    const T* const from = source + at[1];
    auto value = static_cast<Wide<T>>(load_wide(y[at[0]]));
    each_term(t, at[2], at[3],
              [&](std::int64_t k) { value = meet(op, value, static_cast<Wide<T>>(load_wide(from[k]))); });
    y[at[0]] = store_wide<T>(value);
  }
}

// Offsets: of the index, the line's number, the position.
__global__ void keys_kernel(Layout<3> l, const std::int64_t* index, unsigned* keys, unsigned* order) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < l.numel; i += stride) {
    std::int64_t at[3];
    l.offsets(i, at);
    keys[i] = static_cast<unsigned>(at[1] + index[at[0]]);
    order[i] = static_cast<unsigned>(at[2]);
  }
}

template <class F>
void with_numbers(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(float());
    case DType::f64:
      return f(double());
    case DType::bf16:
      return f(BFloat16());
    case DType::f16:
      return f(Float16());
    case DType::i64:
      return f(std::int64_t());
    case DType::i32:
      return f(std::int32_t());
    default:
      return f(std::uint8_t());
  }
}

// The terms of every place of y along dim. index in the shape of source.
struct Meeting {
  bool rows;  // one index for all lines
  Terms terms;
  TensorView place, line;  // y's shape: numbers of places, and where the line's index starts or the line's number
  std::optional<Grouping> groups;

  Meeting(const TensorView& source, const TensorView& index, const TensorView& y, int dim)
      : rows(same_for_lines(index, dim)) {
    const std::int64_t count = source.sizes[dim], length = y.sizes[dim], lines = lines_of(source, dim);
    terms.count = count, terms.source_step = source.strides[dim];
    if (count <= kFew) {
      terms.index = index.ptr<const std::int64_t>(), terms.index_step = index.strides[dim];
      place = along(y, dim, 1), line = y;
      for (int d = 0; d < y.rank; ++d) line.strides[d] = d == dim ? 0 : index.strides[d];
      return;
    }
    TensorView one = index, numbers = rows ? along(index, dim, 0) : line_numbers(index, dim, length);
    TensorView position = along(index, dim, 1);
    if (rows)
      for (TensorView* v : {&one, &numbers, &position})
        for (int d = 0; d < v->rank; ++d)
          if (d != dim) v->sizes[d] = 1;
    const Layout<3> l({one, numbers, position});
    const auto bytes = static_cast<std::size_t>(l.numel) * sizeof(unsigned);
    Scratch keys(y.device, bytes), order(y.device, bytes);
    launch(y.device, plan_items(l.numel), keys_kernel, l, index.ptr<const std::int64_t>(), keys.as<unsigned>(),
           order.as<unsigned>());
    groups.emplace(y.device, std::move(keys), std::move(order), l.numel, rows ? length : lines * length);
    terms.order = groups->order, terms.begin = groups->begin, terms.end = groups->end;
    line = line_numbers(y, dim, 1);
    place = rows ? along(y, dim, 1) : line_numbers(y, dim, length);
    place.strides[dim] = 1;
  }
};

// y = beta * y + alpha * sums; place `padding` gets no sum.
void add_terms(const TensorView& source, const TensorView& index, const TensorView& y, int dim, double alpha,
               double beta, std::int64_t padding = -1) {
  if (y.numel() == 0) return;
  Meeting m(source, index, y, dim);
  m.terms.padding = padding;
  TensorView first = at_line(source, dim);  // in the shape of y
  first.sizes[dim] = y.sizes[dim];
  const Layout<4> l({y, first, m.place, m.line});
  with_numbers(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const bool pieces = m.rows && m.groups;
    const std::int64_t columns = lines_of(y, dim), chunks = pieces ? ceil_div(m.terms.count, kPiece) : 0;
    const Scratch partial(y.device, static_cast<std::size_t>(2 * chunks * columns + 1) * sizeof(Sum<T>));
    if (pieces) {
      TensorView line = at_line(source, dim), number = m.line;
      line.sizes[dim] = number.sizes[dim] = 1;
      launch(y.device, plan_items(2 * chunks * columns), pieces_kernel<T>, Layout<2>({number, line}), m.terms,
             m.groups->keys, source.ptr<const T>(), partial.as<Sum<T>>());
    }
    launch(y.device, plan_items(l.numel), add_kernel<T>, l, m.terms, factors<T>(alpha, beta),
           pieces ? partial.as<const Sum<T>>() : nullptr, columns, source.ptr<const T>(), y.ptr<T>());
  });
}

void add_at(const IndexAddArgs& a) {
  add_terms(a.source, spread_index(a.index, a.source, a.dim), a.y, a.dim, a.alpha, a.beta);
}
void add_lines(const ScatterAddArgs& a) { add_terms(a.source, a.index, a.y, a.dim, 1, a.beta); }
void add_rows(const EmbeddingGradArgs& a) {
  add_terms(a.gy, spread_index(a.index, a.gy, 0), a.gtable, 0, 1, a.beta, a.padding);
}

void reduce_lines(const ScatterReduceArgs& a) {
  if (a.y.numel() == 0 || a.source.numel() == 0) return;
  const Meeting m(a.source, a.index, a.y, a.dim);
  TensorView first = at_line(a.source, a.dim);
  first.sizes[a.dim] = a.y.sizes[a.dim];
  const Layout<4> l({a.y, first, m.place, m.line});
  with_numbers(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(a.y.device, plan_items(l.numel), reduce_kernel<T>, l, m.terms, a.op, a.source.ptr<const T>(), a.y.ptr<T>());
  });
}

struct Windows {
  std::int64_t count, step, dilation, span, window_stride, inner_stride;
};
// Offsets: of gx, of gy at window 0 and element 0, the place along dim.
template <class T>
__global__ void fold_kernel(Layout<3> l, Windows w, const T* gy, T* gx) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < l.numel; i += stride) {
    std::int64_t at[3];
    l.offsets(i, at);
    const std::int64_t t = at[2], last = t / w.step < w.count - 1 ? t / w.step : w.count - 1;
    Sum<T> total{};
    for (std::int64_t s = t < w.span ? 0 : (t - w.span) / w.step + 1; s <= last; ++s) {
      const std::int64_t offset = t - s * w.step, k = w.dilation == 1 ? offset : offset / w.dilation;
      if (k * w.dilation == offset) total += load_wide(gy[at[1] + s * w.window_stride + k * w.inner_stride]);
    }
    gx[at[0]] = store_wide<T>(total);
  }
}
// Apart: inlined, its loops are too much for the compiler's search for what is not initialized.
[[gnu::noinline]] Layout<3> layout_of(const std::array<TensorView, 3>& views) { return Layout<3>(views); }
void fold(const FoldArgs& a) {
  const int rank = a.gx.rank;
  const Windows w{a.gy.sizes[a.dim], a.step, a.dilation, (a.gy.sizes[rank] - 1) * a.dilation + 1, a.gy.strides[a.dim],
                  a.gy.strides[rank]};
  TensorView first = at_line(a.gy, a.dim);
  first.rank = rank;
  const Layout<3> l = layout_of({a.gx, first, along(a.gx, a.dim, 1)});
  with_numbers(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(a.gx.device, plan_items(l.numel), fold_kernel<T>, l, w, a.gy.ptr<const T>(), a.gx.ptr<T>());
  });
}

const char* supports_numbers(DType t) { return t != DType::boolean ? nullptr : "sums need numbers, not bools"; }
// Places and positions are numbered in 32 bits.
const char* supports_meeting(const TensorView& source, const TensorView& index, const TensorView& y, int dim) {
  if (const char* why = supports_numbers(y.dtype)) return why;
  const std::int64_t lines = index.rank < source.rank || same_for_lines(index, dim) ? 1 : lines_of(source, dim);
  const std::int64_t most = std::max(source.sizes[dim], y.sizes[dim]);
  return most < 0xffffffff / std::max<std::int64_t>(lines, 1) ? nullptr : "more than 2^32 places or positions";
}

}  // namespace

void add_index_sums() {
  constexpr DeviceType cuda = DeviceType::cuda;
  index_add.add(cuda, "cuda", add_at,
                [](const IndexAddArgs& a) { return supports_meeting(a.source, a.index, a.y, a.dim); });
  scatter_add.add(cuda, "cuda", add_lines,
                  [](const ScatterAddArgs& a) { return supports_meeting(a.source, a.index, a.y, a.dim); });
  scatter_reduce.add(cuda, "cuda", reduce_lines,
                     [](const ScatterReduceArgs& a) { return supports_meeting(a.source, a.index, a.y, a.dim); });
  embedding_backward.add(cuda, "cuda", add_rows,
                         [](const EmbeddingGradArgs& a) { return supports_meeting(a.gy, a.index, a.gtable, 0); });
  unfold_backward.add(cuda, "cuda", fold, [](const FoldArgs& a) { return supports_numbers(a.dtype()); });
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
