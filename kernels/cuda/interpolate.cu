// A sparse linear map along one dimension: a thread sums the terms of one element in double. The tables of the map are
// sent along with each call, in one copy.
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/interpolate.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

struct Map {
  std::int64_t inputs, outputs, channels;
  const std::int64_t *first, *last, *index;
  const double *weight, *divisor;
};

template <class T, class N>
__device__ inline T mixed(const Map& m, const T* x, N i) {
  const N channels = static_cast<N>(m.channels), outputs = static_cast<N>(m.outputs);
  const N row = i / channels, n = row / outputs;
  const std::int64_t o = static_cast<std::int64_t>(row - n * outputs), from = m.first[o], to = m.last[o];
  x += static_cast<std::int64_t>(n) * m.inputs * m.channels + static_cast<std::int64_t>(i - row * channels);
  double total = 0;
  for (std::int64_t j = from; j < to; ++j) {
    const double term = static_cast<double>(load(x[(m.index ? m.index[j] : j) * m.channels]));
    const double part = m.weight ? m.weight[j] * term : term;
    total = j == from ? part : total + part;  // a sum of nothing would lose the sign of zero
  }
  if (m.divisor && to > from)  // the quotient in double is rounded once more: for short types a product is as good
    total = sizeof(T) < 8 ? total * (1 / m.divisor[o]) : total / m.divisor[o];
  return store<T>(static_cast<Compute<T>>(total));
}
template <class T>
__global__ void mix_kernel(Map m, std::int64_t numel, const T* x, T* y) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < numel; i += stride)
    y[i] = numel <= 0x7fffffff ? mixed(m, x, static_cast<std::uint32_t>(i)) : mixed(m, x, i);
}

void mix(const InterpolateArgs& a) {
  Map m{a.x.sizes[1], a.y.sizes[1], a.y.sizes[2], nullptr, nullptr, nullptr, nullptr, nullptr};
  if (a.y.numel() == 0) return;
  const auto outputs = static_cast<std::size_t>(m.outputs);
  const auto terms = static_cast<std::size_t>(std::max<std::int64_t>(*std::max_element(a.last, a.last + outputs), 0));
  std::vector<std::int64_t> words(2 * outputs + (a.index ? terms : 0) + (a.weight ? terms : 0) +
                                  (a.divisor ? outputs : 0));  // all tables one after the other
  std::size_t end = 0;
  const auto put = [&](const auto* table, std::size_t count) {
    static_assert(sizeof *table == sizeof words[0]);
    const std::size_t at = end;
    if (table == nullptr || count == 0) return at;
    std::memcpy(words.data() + at, table, count * sizeof words[0]);
    end += count;
    return at;
  };
  const std::size_t first = put(a.first, outputs), last = put(a.last, outputs), index = put(a.index, terms),
                    weight = put(a.weight, terms), divisor = put(a.divisor, outputs);
  const Scratch tables = upload(a.y.device, words.data(), words.size() * sizeof words[0]);
  m.first = tables.as<const std::int64_t>() + first, m.last = tables.as<const std::int64_t>() + last;
  if (a.index) m.index = tables.as<const std::int64_t>() + index;
  if (a.weight) m.weight = tables.as<const double>() + weight;
  if (a.divisor) m.divisor = tables.as<const double>() + divisor;
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(a.y.device, plan_items(a.y.numel()), mix_kernel<T>, m, a.y.numel(), a.x.ptr<const T>(), a.y.ptr<T>());
  });
}

}  // namespace

void add_interpolate() { interpolate.add(DeviceType::cuda, "cuda", mix, takes_real<InterpolateArgs>); }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
