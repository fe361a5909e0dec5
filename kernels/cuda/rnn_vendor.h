// Layers of recurrent cells over whole sequences by the vendor's library; rnn_vendor.cu speaks cuDNN.
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>
#include <tapedeck/kernels/rnn.h>

#include <algorithm>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// What the library cannot be asked for, there or not: nullptr, or why.
inline const char* rnn_has_no_words(const RnnLayerArgs& a) {
  constexpr std::int64_t kMost = 0x7fffffff;  // the library counts in 32 bits
  const std::int64_t batch = a.x.sizes[0], steps = a.x.sizes[1], in = a.x.sizes[2], width = a.weight_hh.sizes[1];
  if (!is_real(a.dtype())) return "dtype is not real";
  if (a.reverse) return "a layer from the last step to the first";
  if (a.ends) return "rows of different lengths";
  if (batch < 1 || steps < 1 || in < 1 || width < 1) return "no terms";
  const std::int64_t widest = std::max(in, a.weight_hh.sizes[0]);
  if (in > kMost / a.weight_hh.sizes[0]) return "more than 2^31 elements";
  if (batch > kMost || steps > kMost / batch || widest > kMost / (batch * steps)) return "more than 2^31 elements";
  return nullptr;
}

// rnn.h's layers for what has words. nullptr when the library takes it, else why not.
const char* rnn_refuses(const RnnLayerArgs& a);
std::int64_t rnn_keeps(const RnnLayerArgs& a);  // bytes of `kept`
// Enqueues them.
void run_rnn(const RnnLayerArgs& a);
void run_rnn_backward(const RnnLayerGradArgs& a);

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
