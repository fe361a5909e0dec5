#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<ReduceArgs> sum("sum"), prod("prod"), amax("amax"), amin("amin"), sum_squares("sum_squares"), norm("norm");
KernelSlot<ArgArgs> argmax("argmax"), argmin("argmin");
KernelSlot<SoftmaxArgs> softmax("softmax"), log_softmax("log_softmax"), logsumexp("logsumexp");
KernelSlot<SoftmaxGradArgs> softmax_backward("softmax_backward"), log_softmax_backward("log_softmax_backward");
KernelSlot<CrossEntropyArgs> cross_entropy("cross_entropy");
KernelSlot<CrossEntropyGradArgs> cross_entropy_backward("cross_entropy_backward");
KernelSlot<SampleArgs> sample_categorical("sample_categorical");

void register_reduce(std::vector<SlotBase*>& slots) {
  add_simd_reduce();
  add_simd_softmax();
  add_ref_reduce();
  add_ref_softmax();
  add_eigen_reduce();  // behind ref, which is f64's default in every layout: a row alone has the same bits
  slots.insert(slots.end(), {&sum, &prod, &amax, &amin, &sum_squares, &norm, &argmax, &argmin, &softmax, &log_softmax,
                             &logsumexp, &softmax_backward, &log_softmax_backward, &cross_entropy,
                             &cross_entropy_backward, &sample_categorical});
}

}  // namespace tapedeck::kernels
