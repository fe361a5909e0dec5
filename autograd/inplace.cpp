// In-place writes: for init, optimizers, running statistics and generation state. They raise the storage's version, so
// that a rule which saved the old values says so instead of using the new ones.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/tensor/detail_views.h>

#include <cmath>

namespace tapedeck {
namespace {

// Neither side may be on a tape: the write would not be recorded, and a gradient would be lost silently.
void check_constant(const char* op, const char* name, const Tensor& x) {
  detail::check_defined(op, name, x);
  TD_CHECK(!is_recorded(x), TapeError, op, ": ", name, " is recorded by a live tape, and in-place writes are not; ",
           "use detach(), NoGrad or the op that returns a new tensor", arg(name, x));
}

void check_write(const char* op, const char* name, const Tensor& x) {
  check_constant(op, name, x);
  TD_CHECK(!detail::overlaps_itself(x), ValueError, op, ": elements of ", name,
           " share memory (an expanded tensor, or windows); write to a clone()", arg(name, x));
}

// `from`, or a copy of it when writing to another view of the same memory would change it on the way.
Tensor apart(const Tensor& to, const Tensor& from) {
  const bool same = to.data() == from.data() && to.sizes() == from.sizes() && to.strides() == from.strides();
  return !same && detail::overlap(to, from) ? clone(from) : from;
}

const Tensor& written(const Tensor& x) {
  x.impl()->storage->bump();
  return x;
}

using RandomSlot = kernels::KernelSlot<kernels::RandomArgs>;
const Tensor& draw(const char* op, const RandomSlot& f, const Tensor& x, double p0, double p1) {
  check_write(op, "x", x);
  detail::check_real(op, x);
  const Tensor y = x.is_contiguous() ? x : empty_like(x);
  f(x.device(), {y, next_stream(op, x.dim() > 0 ? x.size(0) : 1), p0, p1});
  if (!y.shares_storage(x)) kernels::copy(x.device(), {y, x});
  return written(x);
}

}  // namespace

const Tensor& copy_(const Tensor& to, const Tensor& from) {
  check_write("copy_", "to", to);
  check_constant("copy_", "from", from);
  TD_CHECK(broadcast_shapes("copy_", to.sizes(), from.sizes()) == to.sizes(), ShapeError, "copy_: from does not fit",
           arg("to", to), arg("from", from));
  const Tensor here = apart(to, from.to(to.device()));
  kernels::copy(to.device(), {detail::broadcast(here, to.sizes()), to});
  return written(to);
}

const Tensor& fill_(const Tensor& x, double value) {
  check_write("fill_", "x", x);
  TD_CHECK(fits(value, x.dtype()), DTypeError, "fill_: the value ", value, " does not fit", arg("x", x));
  kernels::fill(x.device(), {x, value});
  return written(x);
}

const Tensor& add_(const Tensor& x, const Tensor& y) {
  check_write("add_", "x", x);
  check_constant("add_", "y", y);
  detail::check_same("add_", "x", x, "y", y);
  TD_CHECK(x.sizes() == y.sizes(), ShapeError, "add_: shapes must be equal", arg("x", x), arg("y", y));
  kernels::add(x.device(), {x, apart(x, y), x});
  return written(x);
}

const Tensor& mul_(const Tensor& x, double factor) {
  check_write("mul_", "x", x);
  TD_CHECK(is_real(x.dtype()) || fits(factor, DType::i64), DTypeError, "mul_: the factor ", factor, " does not fit",
           arg("x", x));
  kernels::mul_scalar(x.device(), {x, x, factor});
  return written(x);
}

const Tensor& uniform_(const Tensor& x, double low, double high) {
  return draw("uniform_", kernels::uniform, x, low, high);
}
const Tensor& normal_(const Tensor& x, double mean, double std) {
  return draw("normal_", kernels::normal, x, mean, std);
}

}  // namespace tapedeck
