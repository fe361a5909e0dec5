// One time step of gated recurrent cells: what comes after the two matrix products. All rows contiguous along the last
// dimension; gate order as PyTorch's.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// r = sigmoid(i_r + h_r), z = sigmoid(i_z + h_z), n = tanh(i_n + r h_n), y = n + z (h - n).
// gi, gh [B, 3H]: the products with the input and with the state h [B, H], biases included. saved [B, 4H]: r z n h_n.
struct GruGatesArgs {
  TensorView gi, gh, h, y, saved;
  DType dtype() const { return gi.dtype; }
};
// From gy: dgi, dgh [B, 3H] and dh [B, H], the last without what flows through gh.
struct GruGatesGradArgs {
  TensorView gy, h, saved, dgi, dgh, dh;
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

}  // namespace tapedeck::kernels
