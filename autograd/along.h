// What ops along one dimension share. Private to autograd/.
#pragma once
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>

namespace tapedeck::detail {

// f(x, dim) with dim counted from the front; a 0-d tensor is a line of one element.
template <class F>
Tensor along(const char* op, const Tensor& x, int dim, F&& f) {
  check_defined(op, "x", x);
  if (x.dim() > 0) return f(x, normalize_dim(op, dim, x.dim()));
  return composed(op, [&] { return reshape(f(reshape(x, {1}), normalize_dim(op, dim, 1)), {}); });
}

// For each element of x the product of all others along dim. It has gradients: made of scans when x is recorded.
Tensor product_of_others(const Tensor& x, int dim);

}  // namespace tapedeck::detail
