// What conv_vendor.cu does, in loops.
#include <tapedeck/kernels/cuda/conv_vendor.h>
#include <tapedeck/kernels/cuda/number.h>

#include "emulated_cudnn.h"

namespace emulation {

std::atomic<bool> cudnn_is_there{true};

}  // namespace emulation

namespace tapedeck::kernels::cuda_emulated {
namespace {

using std::int64_t;

// Row-major counting through sizes; false behind the last.
bool next(int64_t (&at)[5], const int64_t (&sizes)[5], int rank) {
  for (int d = rank - 1; d >= 0; --d) {
    if (++at[d] < sizes[d]) return true;
    at[d] = 0;
  }
  return false;
}
int64_t offset(const VendorConv::Operand& o, const int64_t (&at)[5], int rank) {
  int64_t sum = 0;
  for (int d = 0; d < rank; ++d) sum += at[d] * o.strides[d];
  return sum;
}

// All terms of element `at` of the result: for each element of another operand, the one of the third that meets it.
template <class T>
void convolution(VendorConv c) {
  const int rank = c.space + 2;
  const VendorConv::Operand& result = c.result == ConvResult::y ? c.y : c.result == ConvResult::x ? c.x : c.w;
  const auto number = [&](const VendorConv::Operand& o, const int64_t(&at)[5]) {
    return load(static_cast<const T*>(o.data)[offset(o, at, rank)]);
  };
  const int64_t inner = c.w.sizes[1], outer = c.w.sizes[0] / (c.x.sizes[1] / inner);
  int64_t at[5] = {};
  do {
    Compute<T> sum = 0;
    // x and y meet through w: batch equal, channels of one group, place of x = place of y * stride + tap * dilation -
    // before. Two of the three are walked here as w's element and y's (or x's).
    int64_t x[5] = {}, w[5] = {}, y[5] = {};
    const auto term = [&] {  // from w and y: x
      x[0] = y[0], x[1] = y[1] / outer * inner + w[1];
      if (w[0] != y[1]) return;
      for (int d = 0; d < c.space; ++d) {
        x[2 + d] = y[2 + d] * c.stride[d] + w[2 + d] * c.dilation[d] - c.before[d];
        if (x[2 + d] < 0 || x[2 + d] >= c.x.sizes[2 + d]) return;
      }
      if (c.result == ConvResult::y)
        sum = std::fma(number(c.x, x), number(c.w, w), sum);
      else if (c.result == ConvResult::w)
        sum = std::fma(number(c.y, y), number(c.x, x), sum);
    };
    if (c.result == ConvResult::y) {
      std::copy(at, at + 5, y);
      w[0] = y[1];
      int64_t taps[5] = {1, c.w.sizes[1], c.w.sizes[2], c.w.sizes[3], c.w.sizes[4]}, tap[5] = {};
      do {
        std::copy(tap + 1, tap + 5, w + 1), term();
      } while (next(tap, taps, rank));
    } else if (c.result == ConvResult::w) {
      std::copy(at, at + 5, w);
      y[1] = w[0];
      int64_t places[5] = {c.y.sizes[0], 1, c.y.sizes[2], c.y.sizes[3], c.y.sizes[4]}, place[5] = {};
      do {
        y[0] = place[0], std::copy(place + 2, place + 5, y + 2), term();
      } while (next(place, places, rank));
    } else {
      std::copy(at, at + 5, x);
      int64_t taps[5] = {outer, 1, c.w.sizes[2], c.w.sizes[3], c.w.sizes[4]}, tap[5] = {};
      do {
        w[0] = x[1] / inner * outer + tap[0], w[1] = x[1] % inner, std::copy(tap + 2, tap + 5, w + 2);
        y[0] = x[0], y[1] = w[0];
        bool met = true;
        for (int d = 0; d < c.space; ++d) {
          const int64_t from = x[2 + d] + c.before[d] - w[2 + d] * c.dilation[d];
          met = met && from >= 0 && from % c.stride[d] == 0 && from / c.stride[d] < c.y.sizes[2 + d];
          y[2 + d] = from / c.stride[d];
        }
        if (met) sum = std::fma(number(c.y, y), number(c.w, w), sum);
      } while (next(tap, taps, rank));
    }
    T& to = static_cast<T*>(result.data)[offset(result, at, rank)];
    if (c.add) sum += load(to);
    to = store<T>(sum);
  } while (next(at, result.sizes, rank));
}

void must(bool holds, const char* rule) { TD_CHECK(holds, ValueError, "conv: ", rule); }

}  // namespace

const char* conv_refuses(const VendorConv&) { return emulation::cudnn_is_there ? nullptr : "cuDNN is not here"; }

void run_conv(const VendorConv& c) {
  must(c.space == 2 || c.space == 3, "two or three dimensions");
  must(c.x.sizes[0] == c.y.sizes[0] && c.w.sizes[0] == c.y.sizes[1], "batch and outputs");
  must(c.x.sizes[1] % c.w.sizes[1] == 0 && c.w.sizes[0] % (c.x.sizes[1] / c.w.sizes[1]) == 0, "groups");
  for (int d = 0; d < c.space; ++d) {
    const int64_t reach = (c.w.sizes[2 + d] - 1) * c.dilation[d] + 1;
    must(c.before[d] >= 0 && c.before[d] == c.behind[d], "as many zeros before x as behind it");
    must((c.x.sizes[2 + d] + 2 * c.before[d] - reach) / c.stride[d] + 1 == c.y.sizes[2 + d], "places of y");
  }
  for (const VendorConv::Operand* o : {&c.x, &c.w, &c.y})
    for (int d = 0; d < c.space + 2; ++d)
      must(o->sizes[d] >= 1 && o->strides[d] >= 1, "sizes and strides of 1 or more");
  if (c.dtype == DType::f32)
    launch(c.device, {}, convolution<float>, c);
  else if (c.dtype == DType::f64)
    launch(c.device, {}, convolution<double>, c);
  else if (c.dtype == DType::bf16)
    launch(c.device, {}, convolution<BFloat16>, c);
  else
    launch(c.device, {}, convolution<Float16>, c);
}

}  // namespace tapedeck::kernels::cuda_emulated
