// What the op functions share: argument checks, broadcasting and layout. Private to autograd/.
#pragma once
#include <tapedeck/autograd/tape.h>
#include <tapedeck/tensor/tensor.h>

#include <new>

namespace tapedeck::detail {

// x must be a tensor at all; a real one; of the same dtype and device as another.
void check_defined(const char* op, const char* name, const Tensor& x);
void check_real(const char* op, const Tensor& x, const char* name = "x");
void check_same(const char* op, const char* a_name, const Tensor& a, const char* b_name, const Tensor& b);
// Every element of the i64 tensor `index` lies in [0, size); ValueError naming the first bound that is broken.
void check_index(const char* op, const char* name, const Tensor& index, std::int64_t size);

TensorView broadcast(const Tensor& x, const Shape& shape);  // x repeated (stride 0) to `shape`, which must fit

[[noreturn]] void fail_memory(const char* op);  // MemoryError

// f(), an error of which names `op` first: for what makes sizes of options, and for parts that record nothing.
template <class F>
decltype(auto) named(const char* op, F&& f) {
  try {
    return f();
  } catch (Error& e) {
    e.name(op);
    throw;
  }
}
inline Tensor empty_for(const char* op, const Shape& shape, TensorOptions options) {
  return named(op, [&] { return empty(shape, options); });
}

// Layouts that kernels ask for. Each returns x itself or a view of it when it can; copies count in packed_bytes().
Tensor packed(const Tensor& x);           // contiguous
Tensor rows_contiguous(const Tensor& x);  // last dimension contiguous
Tensor as_rows(const Tensor& x);          // [..., C] as [N, C] with contiguous rows
std::int64_t row_count(const Tensor& x);  // N: the product of all sizes but the last

// save(x) when the gradient of `other` needs it: an op whose other side is a constant keeps nothing.
inline Saved save_for(const Tensor& other, const Tensor& x, const char* name) {
  return is_recorded(other) ? save(x, name) : Saved();
}

// How long the recording tape was; restore() forgets what it recorded since, whose tensors must be gone.
class TapeMark {
 public:
  TapeMark();
  void restore() const;

 private:
  Tape* tape_;
  std::size_t nodes_ = 0, edges_ = 0, slots_ = 0;
};

// The body of an op that is made of other ops: an error of theirs names `op` first, and leaves the tape as it was.
template <class F>
auto composed(const char* op, F&& body) {
  const TapeMark before;
  try {
    return body();
  } catch (Error& e) {
    before.restore();
    e.name(op);
    throw;
  } catch (const std::bad_alloc&) {  // of a table that is no tensor
    before.restore();
    fail_memory(op);
  }
}

}  // namespace tapedeck::detail
