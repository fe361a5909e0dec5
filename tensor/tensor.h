// Tensor: an 8-byte handle to a strided view of a storage. It has no arithmetic and no public views: ops are free
// functions (autograd/ops.h), so that no gradient is lost silently; the unrecorded views are in tensor/detail_views.h.
#pragma once
#include <tapedeck/tensor/dtype.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/pool.h>
#include <tapedeck/tensor/shape.h>
#include <tapedeck/tensor/storage.h>
#include <tapedeck/tensor/view.h>

#include <atomic>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tapedeck {

class Tensor;
namespace detail {
struct TensorImpl;
void destroy(TensorImpl* impl);
[[noreturn]] void fail_undefined();
}  // namespace detail

struct TensorOptions {
  DType dtype = DType::f32;
  Device device = kCpu;
};

class Tensor {
 public:
  Tensor() = default;
  Tensor(const Tensor& o);
  Tensor(Tensor&& o) noexcept : impl_(std::exchange(o.impl_, nullptr)) {}
  Tensor& operator=(const Tensor& o) { return *this = Tensor(o); }
  Tensor& operator=(Tensor&& o) noexcept {
    std::swap(impl_, o.impl_);
    return *this;
  }
  ~Tensor();

  bool defined() const { return impl_ != nullptr; }
  int dim() const;                 // number of dimensions
  std::int64_t size(int i) const;  // negative i counts from the end; ShapeError outside
  const Shape& sizes() const;
  const Strides& strides() const;
  std::int64_t numel() const;
  DType dtype() const;
  Device device() const;
  TensorOptions options() const { return {dtype(), device()}; }
  bool is_contiguous() const;
  std::uint64_t version() const;  // of the storage; in-place writes raise it
  bool shares_storage(const Tensor& o) const;

  void* data() const;  // first element of the view; the memory is on device()
  template <class T>
  T* data() const;          // the same, typed; DTypeError when T is not the element type
  TensorView view() const;  // what kernels see; an undefined tensor gives "not given"
  operator TensorView() const { return view(); }

  double item() const;  // the only element as double (host copy); ShapeError otherwise
  template <class T>
  std::vector<T> to_vector() const;  // all elements in order, copied to the host; DTypeError as data<T>()
  Tensor to(Device device) const;    // a contiguous one's copy elsewhere (itself when it is there); not recorded
  void fill_from(std::span<const std::byte> bytes) const;  // in place, row-major raw elements; contiguous tensors only

  // A trainable parameter is recorded by a live tape; its gradient lands in `grad()`.
  bool requires_grad() const;
  const Tensor& set_requires_grad(bool on) const;
  const Tensor& grad() const;                 // undefined until a backward reached it
  void set_grad_buffer(Tensor buffer) const;  // where backward writes (an arena segment); has_grad() becomes false
  bool has_grad() const;
  void zero_grad() const;  // forgets the gradient; the next backward overwrites it

  detail::TensorImpl* impl() const { return impl_; }
  static Tensor wrap(detail::TensorImpl* owned) {
    Tensor t;
    t.impl_ = owned;
    return t;
  }

 private:
  detail::TensorImpl& here() const;  // ValueError when undefined
  detail::TensorImpl* impl_ = nullptr;
};

namespace detail {
struct TensorImpl {
  std::atomic<std::int64_t> refs{1};
  Storage* storage = nullptr;
  std::int64_t offset = 0;  // elements
  Shape shape;
  Strides strides;
  DType dtype = DType::f32;
  bool trainable = false;
  bool has_grad = false;
  std::uint8_t hooks = 0;  // which kinds of hooks its gradient has
  std::int32_t slot = -1;  // gradient slot on the tape `tape`
  std::uint64_t tape = 0;  // 0: not the output of a recorded op
  Tensor grad_buffer;
};
// A tensor over `storage` (takes over one reference). Nothing is checked.
Tensor make_tensor(Storage* storage, std::int64_t offset, const Shape& shape, const Strides& strides, DType dtype);
}  // namespace detail

// Factories. Sizes must be >= 0 (ShapeError); memory comes from the caching allocator (MemoryError).
Tensor empty(const Shape& shape, TensorOptions options = {});
Tensor zeros(const Shape& shape, TensorOptions options = {});
Tensor full(const Shape& shape, double value, TensorOptions options = {});
Tensor empty_like(const Tensor& x);  // contiguous, same shape, dtype, device
Tensor zeros_like(const Tensor& x);
Tensor scalar(double value, TensorOptions options = {});  // 0-d
template <class T>
Tensor tensor(std::span<const T> values, const Shape& shape);  // copies; ValueError when counts differ
template <class T>
Tensor tensor(const std::vector<T>& values, const Shape& shape) {
  return tensor(std::span<const T>(values), shape);
}
Tensor tensor(std::initializer_list<double> values);  // 1-d f32

std::string describe(const Tensor& x);               // "f32[8,1600,32] cpu"
std::string arg(const char* name, const Tensor& x);  // "; x f32[8,1600,32] cpu": the tail of an error sentence
std::string to_string(const Tensor& x, std::int64_t most = 64);  // values for people

// ---- inline parts -------------------------------------------------------------------------------------------------
inline Tensor::Tensor(const Tensor& o) : impl_(o.impl_) {
  if (impl_) impl_->refs.fetch_add(1, std::memory_order_relaxed);
}
inline Tensor::~Tensor() {  // the only holder needs no locked instruction: nobody else can take a reference
  if (!impl_) return;
  if (impl_->refs.load(std::memory_order_acquire) == 1 || impl_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
    detail::destroy(impl_);
}
inline detail::TensorImpl& Tensor::here() const {
  if (!impl_) [[unlikely]]
    detail::fail_undefined();
  return *impl_;
}
inline int Tensor::dim() const { return here().shape.rank(); }
inline const Shape& Tensor::sizes() const { return here().shape; }
inline const Strides& Tensor::strides() const { return here().strides; }
inline std::int64_t Tensor::numel() const { return here().shape.numel(); }
inline DType Tensor::dtype() const { return here().dtype; }
inline Device Tensor::device() const { return here().storage->device(); }
inline std::uint64_t Tensor::version() const { return here().storage->version(); }
inline bool Tensor::shares_storage(const Tensor& o) const { return here().storage == o.here().storage; }
inline bool Tensor::requires_grad() const { return impl_ && impl_->trainable; }
inline bool Tensor::has_grad() const { return impl_ && impl_->has_grad; }
inline void* Tensor::data() const {
  return static_cast<char*>(here().storage->data()) + impl_->offset * static_cast<std::int64_t>(size_of(impl_->dtype));
}
template <class T>
T* Tensor::data() const {
  TD_CHECK(dtype() == dtype_of<T>(), DTypeError, "data: asked for ", name(dtype_of<T>()), " elements of ",
           describe(*this));
  return static_cast<T*>(data());
}
inline TensorView Tensor::view() const {
  TensorView v;
  if (!impl_) return v;
  v.data = data(), v.dtype = impl_->dtype, v.device = impl_->storage->device(), v.rank = impl_->shape.rank();
  v.copy_dims(impl_->shape.begin(), impl_->strides.begin());
  return v;
}

}  // namespace tapedeck
