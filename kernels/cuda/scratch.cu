// Scratch memory of kernels, from the cache of tensors: one compute stream per device makes it safe to use again at
// once.
#include <tapedeck/kernels/cuda/cuda.h>
#include <tapedeck/tensor/storage.h>

#include <utility>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

Scratch::Scratch(Device d, std::size_t bytes) : device_(d) {
  data_ = tapedeck::detail::cached_allocate(bytes, d, &capacity_);
}
Scratch::~Scratch() {
  if (data_) tapedeck::detail::cached_release(data_, capacity_, device_);
}
Scratch::Scratch(Scratch&& o) noexcept
    : data_(std::exchange(o.data_, nullptr)), capacity_(o.capacity_), device_(o.device_) {}

Scratch upload(Device d, const void* from, std::size_t bytes) {
  Scratch s(d, bytes);
  runtime(DeviceType::cuda).copy(s.as<void>(), d, from, kCpu, bytes);
  return s;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
