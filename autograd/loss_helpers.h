// What the losses and their random companions share. Private to autograd/.
#pragma once
#include <tapedeck/autograd/ops.h>

namespace tapedeck::detail {

// ValueError for batchmean, which is kl_div's alone.
void check_reduction(const char* op, Reduction reduction);
Tensor reduced_loss(const Tensor& each, Reduction reduction);  // batchmean: over the size of dimension 0

// Uniform in the open interval: [2^-25, 1 - 2^-24], so that the logarithms of u and of 1 - u are finite. The next
// stream of `op`.
Tensor open_uniform(const char* op, const Shape& shape, TensorOptions options);

}  // namespace tapedeck::detail
