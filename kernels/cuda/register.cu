#include <tapedeck/kernels/cuda/cuda.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

void register_kernels() {
  add_elementwise();
  add_matmul();
  add_reduce();
  add_extremes();
  add_elementwise_backward();
  add_binary();
  add_copy();
  add_softmax();
  add_conv();
  add_conv1d();
  add_conv_cudnn();
  add_gate();
  add_optim();
  add_random();
  add_draws();
  add_index();
  add_index_sums();
  add_pool();
  add_interpolate();
  add_attention();
  add_ctc();
  add_mixture();
  add_wavenet();
  add_wavenet_layer();
  add_norm();
  add_scan();
  add_rnn();
  add_rnn_sequence();
  add_fft();
  add_fft_library();
  add_distance();
  add_sort();
  add_nonzero();
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
