// The explicit registration lists: no static initialisers, which linkers drop from static libraries.
#pragma once
#include <tapedeck/kernels/slot.h>

#include <vector>

namespace tapedeck::kernels {

// Adds every CPU variant to its slot (in order of preference) and every slot to `slots`. One function per family.
void register_cpu_kernels(std::vector<SlotBase*>& slots);
void register_elementwise(std::vector<SlotBase*>& slots);
void register_reduce(std::vector<SlotBase*>& slots);
void register_scan(std::vector<SlotBase*>& slots);
void register_sort(std::vector<SlotBase*>& slots);
void register_matmul(std::vector<SlotBase*>& slots);
void register_conv(std::vector<SlotBase*>& slots);
void register_pool(std::vector<SlotBase*>& slots);
void register_index(std::vector<SlotBase*>& slots);
void register_random(std::vector<SlotBase*>& slots);
void register_loss(std::vector<SlotBase*>& slots);
void register_optim(std::vector<SlotBase*>& slots);
void register_norm(std::vector<SlotBase*>& slots);
void register_rnn(std::vector<SlotBase*>& slots);
void register_attention(std::vector<SlotBase*>& slots);
void register_wavenet(std::vector<SlotBase*>& slots);
void register_fft(std::vector<SlotBase*>& slots);
void register_generate(std::vector<SlotBase*>& slots);

}  // namespace tapedeck::kernels
