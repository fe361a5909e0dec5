// Moves by index along one dimension: a thread moves one element, or 16 bytes of a row that share their index. Where
// writes meet, the last position wins: a first kernel finds it as a maximum, a second one writes it alone.
#include <tapedeck/kernels/cuda/grouping.h>
#include <tapedeck/kernels/cuda/index_lines.h>
#include <tapedeck/kernels/index.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

struct alignas(16) Bytes16 {
  std::uint64_t half[2];
};

// to[o0] = from[o1 + step * index[o2]]: the offsets of y, of x at its line's first, and of the index.
template <class T>
__global__ void select_kernel(Layout<3> l, T* to, const T* from, const std::int64_t* index, std::int64_t step) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < l.numel; i += stride) {
    std::int64_t at[3];
    l.offsets(i, at);
    to[at[0]] = from[at[1] + step * index[at[2]]];
  }
}

// Position k of a line is at[4]; the line's places are numbered from at[3] on; last, by place: 1 + the last position
// that goes there.
__global__ void find_last_kernel(Layout<5> l, const std::int64_t* index, unsigned* last) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < l.numel; i += stride) {
    std::int64_t at[5];
    l.offsets(i, at);
    atomicMax(last + at[3] + index[at[2]], static_cast<unsigned>(at[4] + 1));
  }
}
// to[o1 + step * index[o2]] = from[o0], by the last positions alone; without `last` no two meet.
template <class T>
__global__ void put_kernel(Layout<5> l, const T* from, T* to, const std::int64_t* index, std::int64_t step,
                           const unsigned* last) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < l.numel; i += stride) {
    std::int64_t at[5];
    l.offsets(i, at);
    const std::int64_t v = index[at[2]];
    if (last == nullptr || last[at[3] + v] == static_cast<unsigned>(at[4] + 1)) to[at[1] + step * v] = from[at[0]];
  }
}
// Counts in 16 bytes instead of elements where rows of the first two operands allow it: they lie together, are aligned,
// and the other operands stand still along them.
template <std::size_t N>
bool widen(Layout<static_cast<int>(N)>& l, const std::array<TensorView, N>& views, std::int64_t& step) {
  if (l.rank == 0) return false;
  const auto bytes = static_cast<std::int64_t>(size_of(views[0].dtype)), many = 16 / bytes;
  const int inner = l.rank - 1;
  bool fits = l.sizes[inner] % many == 0 && step % many == 0;
  for (std::size_t k = 0; k < N; ++k) {
    const bool moved = k < 2;
    fits = fits && l.strides[k][inner] == (moved ? 1 : 0) && (!moved || aligned(views[k].data, 16));
    for (int d = 0; moved && d < inner; ++d) fits = fits && l.strides[k][d] % many == 0;
  }
  if (!fits) return false;
  for (int k = 0; k < 2; ++k)
    for (int d = 0; d < inner; ++d) l.strides[k][d] /= many;
  l.sizes[inner] /= many, l.numel /= many, step /= many;
  return true;
}
// index in the shape of y.
void select_lines(const TensorView& x, const TensorView& index, const TensorView& y, int dim) {
  TensorView first = y;  // of x's lines, in the shape of y
  first.data = x.data;
  for (int d = 0; d < y.rank; ++d) first.strides[d] = d == dim ? 0 : x.strides[d];
  std::int64_t step = x.strides[dim];
  const std::array<TensorView, 3> views{y, first, index};
  Layout<3> l(views);
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    launch(y.device, plan_items(l.numel), select_kernel<T>, l, y.ptr<T>(), x.ptr<const T>(),
           index.ptr<const std::int64_t>(), step);
  };
  if (widen<3>(l, views, step)) return run(Bytes16());
  with_size(y.dtype, run);
}

// index in the shape of source.
void put_lines(const TensorView& source, const TensorView& index, const TensorView& y, int dim) {
  TensorView first = source;  // of y's lines, in the shape of source
  first.data = y.data;
  for (int d = 0; d < y.rank; ++d) first.strides[d] = d == dim ? 0 : y.strides[d];
  const std::int64_t count = source.sizes[dim], length = y.sizes[dim], lines = lines_of(source, dim);
  const bool rows = same_for_lines(index, dim);
  const TensorView numbers = rows ? along(source, dim, 0) : line_numbers(source, dim, length);
  const std::array<TensorView, 5> views{source, first, index, numbers, along(source, dim, 1)};
  Layout<5> l(views);
  if (l.numel == 0) return;
  const std::int64_t places = count == 1 ? 0 : rows ? length : lines * length;
  const Scratch room(y.device, static_cast<std::size_t>(places + 1) * sizeof(unsigned));
  unsigned* const last = count == 1 ? nullptr : room.as<unsigned>();
  const auto* at = index.ptr<const std::int64_t>();
  if (last != nullptr) {
    clear(y.device, last, places);
    Layout<5> who = l;
    if (rows) {  // one line tells for all
      std::array<TensorView, 5> line = views;
      for (TensorView& v : line)
        for (int d = 0; d < v.rank; ++d)
          if (d != dim) v.sizes[d] = 1;
      who = Layout<5>(line);
    }
    launch(y.device, plan_items(who.numel), find_last_kernel, who, at, last);
  }
  std::int64_t step = y.strides[dim];
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    launch(y.device, plan_items(l.numel), put_kernel<T>, l, source.ptr<const T>(), y.ptr<T>(), at, step, last);
  };
  if (widen<5>(l, views, step)) return run(Bytes16());
  with_size(y.dtype, run);
}

void lookup(const EmbeddingArgs& a) { select_lines(a.table, spread_index(a.index, a.y, 0), a.y, 0); }
void select(const IndexSelectArgs& a) { select_lines(a.x, spread_index(a.index, a.y, a.dim), a.y, a.dim); }
void gather_lines(const GatherArgs& a) { select_lines(a.x, a.index, a.y, a.dim); }
void copy_at(const IndexCopyArgs& a) { put_lines(a.source, spread_index(a.index, a.source, a.dim), a.y, a.dim); }
void scatter_lines(const ScatterArgs& a) { put_lines(a.source, a.index, a.y, a.dim); }

// Positions are kept in 32 bits.
template <class Args>
const char* supports_put(const Args& a) {
  return a.source.sizes[a.dim] < 0xffffffff ? nullptr : "more than 2^32 positions along dim";
}

}  // namespace

void add_index() {
  constexpr DeviceType cuda = DeviceType::cuda;
  embedding.add(cuda, "cuda", lookup);
  index_select.add(cuda, "cuda", select);
  gather.add(cuda, "cuda", gather_lines);
  index_copy.add(cuda, "cuda", copy_at, supports_put<IndexCopyArgs>);
  scatter.add(cuda, "cuda", scatter_lines, supports_put<ScatterArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
