#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

void register_cpu_kernels(std::vector<SlotBase*>& slots) {
  register_elementwise(slots);
  register_reduce(slots);
  register_scan(slots);
  register_sort(slots);
  register_matmul(slots);
  register_conv(slots);
  register_pool(slots);
  register_index(slots);
  register_random(slots);
  register_loss(slots);
  register_optim(slots);
  register_norm(slots);
  register_rnn(slots);
  register_attention(slots);
  register_wavenet(slots);
  register_fft(slots);
  register_generate(slots);
}

}  // namespace tapedeck::kernels
