#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/registry.h>
#include <tapedeck/kernels/rnn.h>

namespace tapedeck::kernels {

KernelSlot<GruGatesArgs> gru_gates("gru_gates");
KernelSlot<GruGatesGradArgs> gru_gates_backward("gru_gates_backward");
KernelSlot<LstmGatesArgs> lstm_gates("lstm_gates");
KernelSlot<LstmGatesGradArgs> lstm_gates_backward("lstm_gates_backward");
KernelSlot<RnnLayerArgs> rnn_layer("rnn_layer");
KernelSlot<RnnLayerGradArgs> rnn_layer_backward("rnn_layer_backward");
KernelSlot<RnnSequenceArgs> rnn_sequence("rnn_sequence");
KernelSlot<RnnSequenceGradArgs> rnn_sequence_backward("rnn_sequence_backward");

void rnn_steps(const RnnLayerArgs& a) { *a.keeps = -1; }
const char* rnn_steps_refuse(const RnnLayerArgs& a) { return a.keeps ? nullptr : "the op itself goes step by step"; }

void register_rnn(std::vector<SlotBase*>& slots) {
  add_simd_rnn();
  add_ref_rnn();
  rnn_layer.add(DeviceType::cpu, "steps", rnn_steps, rnn_steps_refuse);
  rnn_sequence.add(DeviceType::cpu, "steps", sequence_by_steps<RnnSequenceArgs>);
  rnn_sequence_backward.add(DeviceType::cpu, "steps", sequence_by_steps<RnnSequenceGradArgs>);
  slots.insert(slots.end(), {&gru_gates, &gru_gates_backward, &lstm_gates, &lstm_gates_backward, &rnn_layer,
                             &rnn_layer_backward, &rnn_sequence, &rnn_sequence_backward});
}

}  // namespace tapedeck::kernels
