// Convolutions by the vendor's library, behind plain data; conv_vendor.cu speaks cuDNN.
#pragma once
#include <tapedeck/kernels/conv.h>
#include <tapedeck/kernels/cuda/cuda.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

enum class ConvResult { y, x, w };  // the convolution, or the gradient of sum(y * gy) with respect to x or w

// conv.h's rule over two or three dimensions: x [B,I,S…], w [O,I/groups,K…] and y [B,O,S'…] (or their gradients),
// whose channels come second whatever lies where, which the strides say. All sizes are 1 or more.
struct VendorConv {
  struct Operand {
    void* data = nullptr;
    std::int64_t sizes[5] = {}, strides[5] = {};
  };
  ConvResult result = ConvResult::y;
  Device device{};
  DType dtype = DType::f32;  // bf16 and f16 are added up in f32
  int space = 2;
  Operand x, w, y;
  std::int64_t stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, before[3] = {}, behind[3] = {};  // zeros around x
  bool add = false;  // to what the result holds
};

// nullptr when the library can do it with the same bits on every run (it chooses how, once per kind of convolution);
// else why not.
const char* conv_refuses(const VendorConv& c);
void run_conv(const VendorConv& c);  // enqueues it; for what is not refused

// Places of y over `whole` places of x, its zeros counted.
inline std::int64_t places(std::int64_t whole, std::int64_t stride, std::int64_t dilation, std::int64_t taps) {
  const std::int64_t reach = (taps - 1) * dilation + 1;
  return whole < reach ? 0 : (whole - reach) / stride + 1;
}
// Zeros behind a dimension of x that give `out` places of y, or none when the last rows of x reach no tap; -1 when y is
// shorter than x allows, which the library cannot say.
inline std::int64_t zeros_behind(std::int64_t size, std::int64_t before, std::int64_t stride, std::int64_t dilation,
                                 std::int64_t taps, std::int64_t out) {
  const std::int64_t zeros = (out - 1) * stride + (taps - 1) * dilation + 1 - size - before;
  return zeros >= 0 ? zeros : zeros > -stride ? 0 : -1;
}
// The library's words for a convolution over one to three dimensions of views with channels last (x, y) or second (w);
// returns why there are none, or nullptr. One dimension is two, the first of which has size 1. A weight that lies in an
// order of its own has no data there: it is to be copied into [O,I,K…]. As many zeros behind x as before it are asked
// for where that gives y no more places.
const char* describe(ConvResult result, const TensorView& x, const TensorView& w, const TensorView& y,
                     const ConvShape& shape, bool add, VendorConv* c);

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
