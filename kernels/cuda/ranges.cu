#include <tapedeck/kernels/cuda/ranges.h>

#include <atomic>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

std::atomic<const RangeSink*> shown{nullptr};

void range(const char* slot, const char*, kernels::detail::KernelEvent event) {
  const RangeSink* const sink = shown;
  if (!sink) return;
  if (event == kernels::detail::KernelEvent::begins)
    sink->push(slot);
  else
    sink->pop();
}

}  // namespace

void show_ranges(const RangeSink* sink) {
  if (sink) shown = sink;  // before the first range, and kept until the last: each that was opened is closed
  kernels::detail::watch_kernels(range, sink != nullptr);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
