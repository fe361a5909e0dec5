#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/replay.h>

#include <atomic>

namespace tapedeck {
namespace {

std::atomic<std::int64_t> packed_total{0};

}  // namespace

std::int64_t packed_bytes() { return packed_total.load(std::memory_order_relaxed); }

namespace detail {

void check_defined(const char* op, const char* name, const Tensor& x) {
  TD_CHECK(x.defined(), ValueError, op, ": ", name, " is an undefined tensor");
}

void fail_memory(const char* op) { TD_FAIL(MemoryError, op, ": memory ran out; use smaller tensors"); }

void check_real(const char* op, const Tensor& x, const char* name) {
  check_defined(op, name, x);
  TD_CHECK(is_real(x.dtype()), DTypeError, op, ": needs a real tensor; cast it first", arg(name, x));
}

void check_same(const char* op, const char* a_name, const Tensor& a, const char* b_name, const Tensor& b) {
  check_defined(op, a_name, a);
  check_defined(op, b_name, b);
  TD_CHECK(a.dtype() == b.dtype(), DTypeError, op, ": dtypes differ; cast one of them", arg(a_name, a), arg(b_name, b));
  TD_CHECK(a.device() == b.device(), DeviceError, op, ": devices differ; move one with to()", arg(a_name, a),
           arg(b_name, b));
}

void check_index(const char* op, const char* name, const Tensor& index, std::int64_t size) {
  check_defined(op, name, index);
  TD_CHECK(index.dtype() == DType::i64, DTypeError, op, ": ", name, " must be i64", arg(name, index));
  if (index.numel() == 0 || recording()) return;
  std::int64_t range[2];
  kernels::index_range(index.device(), {index, range});
  const std::int64_t bad = range[0] < 0 ? range[0] : range[1];
  TD_CHECK(bad >= 0 && bad < size, ValueError, op, ": ", name, " ", bad, " is outside [0, ", size, ")",
           arg(name, index));
}

TensorView broadcast(const Tensor& x, const Shape& shape) {
  if (x.sizes() == shape) return x.view();
  TensorView v = x.view();
  const int lead = shape.rank() - v.rank;
  v.rank = shape.rank();
  for (int i = v.rank - 1; i >= 0; --i) {
    const bool repeats = i < lead || (x.sizes()[i - lead] == 1 && shape[i] != 1);
    v.strides[i] = repeats ? 0 : x.strides()[i - lead];
    v.sizes[i] = shape[i];
  }
  return v;
}

Tensor packed(const Tensor& x) {
  if (!x.defined() || x.is_contiguous()) return x;
  Tensor y = empty_like(x);
  kernels::copy(x.device(), {x, y});
  packed_total.fetch_add(y.numel() * static_cast<std::int64_t>(size_of(y.dtype())), std::memory_order_relaxed);
  return y;
}

Tensor rows_contiguous(const Tensor& x) {
  const int last = x.dim() - 1;
  return last < 0 || x.sizes()[last] <= 1 || x.strides()[last] == 1 ? x : packed(x);
}

std::int64_t row_count(const Tensor& x) {
  std::int64_t n = 1;
  for (int i = 0; i + 1 < x.dim(); ++i) n *= x.sizes()[i];
  return n;
}

Tensor as_rows(const Tensor& x) {
  const Shape shape{row_count(x), x.size(-1)};
  Tensor rows = rows_contiguous(x);
  if (rows.dim() == 2) return rows;
  if (Tensor view = try_reshape(rows, shape); view.defined()) return view;
  return try_reshape(packed(rows), shape);
}

TapeMark::TapeMark() : tape_(Tape::current()) {
  if (tape_) nodes_ = tape_->nodes_.size(), edges_ = tape_->edges_.size(), slots_ = tape_->slots_.size();
}

void TapeMark::restore() const {
  if (!tape_) return;
  tape_->nodes_.erase(tape_->nodes_.begin() + static_cast<std::ptrdiff_t>(nodes_), tape_->nodes_.end());
  tape_->edges_.resize(edges_);
  tape_->slots_.erase(tape_->slots_.begin() + static_cast<std::ptrdiff_t>(slots_), tape_->slots_.end());
  std::erase_if(tape_->leaves_, [this](const auto& leaf) { return static_cast<std::size_t>(leaf.second) >= slots_; });
}

}  // namespace detail
}  // namespace tapedeck
