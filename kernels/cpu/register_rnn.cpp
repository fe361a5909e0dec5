#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/registry.h>
#include <tapedeck/kernels/rnn.h>

namespace tapedeck::kernels {

KernelSlot<GruGatesArgs> gru_gates("gru_gates");
KernelSlot<GruGatesGradArgs> gru_gates_backward("gru_gates_backward");
KernelSlot<LstmGatesArgs> lstm_gates("lstm_gates");
KernelSlot<LstmGatesGradArgs> lstm_gates_backward("lstm_gates_backward");

void register_rnn(std::vector<SlotBase*>& slots) {
  add_simd_rnn();
  add_ref_rnn();
  slots.insert(slots.end(), {&gru_gates, &gru_gates_backward, &lstm_gates, &lstm_gates_backward});
}

}  // namespace tapedeck::kernels
