// Recurrent cells; gate order as PyTorch's. One time step of the gated ones: what comes after the two matrix products.
// All rows contiguous along the last dimension.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// r = sigmoid(i_r + h_r), z = sigmoid(i_z + h_z), n = tanh(i_n + r h_n), y = n + z (h - n).
// gi, gh [B, 3H]: the products with the input and with the state h [B, H], biases included. saved [B, 4H]: r z n h_n.
struct GruGatesArgs {
  TensorView gi, gh, h, y, saved;
  DType dtype() const { return gi.dtype; }
};
// From gy: dgi, dgh [B, 3H] and dh [B, H], the last without what flows through gh. With beta 1 it is added to dh.
struct GruGatesGradArgs {
  TensorView gy, h, saved, dgi, dgh, dh;
  double beta = 0;
  DType dtype() const { return gy.dtype; }
};
extern KernelSlot<GruGatesArgs> gru_gates;
extern KernelSlot<GruGatesGradArgs> gru_gates_backward;

// i f o = sigmoid, g = tanh of gi + gh [B, 4H] (order i f g o); cy = f c + i g, y = o tanh(cy). saved [B, 4H]: i f g o.
struct LstmGatesArgs {
  TensorView gi, gh, c, y, cy, saved;
  DType dtype() const { return gi.dtype; }
};
// From gy and gcy: dg [B, 4H] (of gi and of gh) and dc [B, H].
struct LstmGatesGradArgs {
  TensorView gy, gcy, c, cy, saved, dg, dc;
  DType dtype() const { return gy.dtype; }
};
extern KernelSlot<LstmGatesArgs> lstm_gates;
extern KernelSlot<LstmGatesGradArgs> lstm_gates_backward;

// A layer over whole sequences. x [B,T,I], weight_ih [G H,I], weight_hh [G H,H], biases [G H] or not given; h0 and c0
// (of an LSTM) [B,H]; y [B,T,H]; h_end and c_end [B,H]: the states behind the last step. Weights and biases with any
// strides, the others contiguous.
enum class RnnCell { tanh, relu, gru, lstm };
struct RnnLayerArgs {
  RnnCell cell = RnnCell::tanh;
  bool reverse = false, ends = false;  // from the last step to the first; rows end before the last step
  TensorView x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, y, h_end, c_end;
  TensorView kept;  // u8, for the gradient; not given: nobody will ask for one
  // Given: nothing is computed, but told how many bytes `kept` must have. -1 ("steps"): the op goes from step to step,
  // with the slots above.
  std::int64_t* keeps = nullptr;
  DType dtype() const { return x.dtype; }
};
// From gy and (when given) gh_end and gc_end: what is given of the gradients, all contiguous; gx always is.
struct RnnLayerGradArgs {
  RnnCell cell = RnnCell::tanh;
  TensorView x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, y, kept, gy, gh_end, gc_end;
  TensorView gx, gweight_ih, gweight_hh, gbias_ih, gbias_hh, gh0, gc0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<RnnLayerArgs> rnn_layer;
extern KernelSlot<RnnLayerGradArgs> rnn_layer_backward;  // no variant on the CPU, where layers go step by step

// All steps of a layer, behind the products with its inputs. gi [B,T,G H]: those, with their biases; weight [G H,H] of
// any strides and bias [G H] of the product with the state; h0 and c0 [B,H]; alive bool [T,B,1]: does row b still run
// at step t (not given: all do)? A row that has ended keeps its state, and its y is zeros. y, states, c [B,T,H]: the
// output (states itself, unless rows end) and the states behind each step; saved [B,T,4H] of gru and lstm as gates give
// it.
struct RnnSequenceArgs {
  RnnCell cell = RnnCell::tanh;
  bool reverse = false;  // from the last step to the first
  TensorView gi, weight, bias, h0, c0, alive, y, states, c, saved;
  bool* done = nullptr;  // told whether it was done. Not ("steps"): the op goes from step to step
  DType dtype() const { return gi.dtype; }
};
// From gy, gh_end and gc_end (what is given of them): dgi and dgh [B,T,G H] (the same one unless gru), dh0 and dc0. The
// last dimension of all but the weight is contiguous, here and there.
struct RnnSequenceGradArgs {
  RnnCell cell = RnnCell::tanh;
  bool reverse = false;
  TensorView weight, h0, c0, alive, states, c, saved, gy, gh_end, gc_end, dgi, dgh, dh0, dc0;
  bool* done = nullptr;
  DType dtype() const { return dgi.dtype; }
};
extern KernelSlot<RnnSequenceArgs> rnn_sequence;
extern KernelSlot<RnnSequenceGradArgs> rnn_sequence_backward;

// The variants "steps".
template <class Args>
void sequence_by_steps(const Args& a) {
  *a.done = false;
}
void rnn_steps(const RnnLayerArgs& a);
const char* rnn_steps_refuse(const RnnLayerArgs& a);

}  // namespace tapedeck::kernels
