// Upload: a tensor on its way to a device, copied there beside the kernels that run. Its elements are written into host
// memory that the device reads by itself (pinned, and used again when a copy has left it).
//     Upload next({rows, length}, {DType::i64, device});   // before the kernels of a step are given
//     …                                                    // the step's kernels
//     fill(next.host<std::int64_t>()), next.start();       // while they run
//     const Tensor batch = next.get();                     // kernels from here on wait for the copy; the host does not
// The tensor's memory may have been that of another, which kernels still use: the copy waits for those that were given
// before the Upload was made, and for no later ones.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <span>
#include <utility>

namespace tapedeck {

class Upload {
 public:
  Upload(const Shape& shape, TensorOptions options);  // to options.device; MemoryError
  Upload(Upload&& o) noexcept : state_(std::exchange(o.state_, nullptr)) {}
  Upload& operator=(Upload&& o) noexcept {
    std::swap(state_, o.state_);
    return *this;
  }
  ~Upload();

  const Shape& sizes() const;
  // The elements in row-major order, to be written before start(): ValueError afterwards. DTypeError as Tensor::data.
  template <class T>
  std::span<T> host() {
    TD_CHECK(dtype() == dtype_of<T>(), DTypeError, "upload: asked for ", name(dtype_of<T>()), " elements of ",
             name(dtype()));
    const std::span<std::byte> b = bytes();
    return {reinterpret_cast<T*>(b.data()), b.size() / sizeof(T)};
  }
  std::span<std::byte> bytes();
  void start();  // once; the elements are on their way
  Tensor get();  // starts it if it was not; on a device without queues of its own the copy is done here

 private:
  struct State;
  DType dtype() const;
  State* state_;
};

// A copy of a contiguous host tensor that is on its way.
Upload upload(const Tensor& host, Device device);

namespace detail {
std::int64_t pinned_bytes(Device device);
void unpin_unused(Device device);
}  // namespace detail

}  // namespace tapedeck
