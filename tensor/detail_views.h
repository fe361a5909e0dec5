// Views that no tape sees: the raw material of the public view ops (autograd/ops.h). They never copy.
#pragma once
#include <tapedeck/tensor/tensor.h>

namespace tapedeck::detail {

// The same storage with another shape, strides and offset (elements from the start of the storage). Not bounds-checked.
Tensor as_strided(const Tensor& x, const Shape& shape, const Strides& strides, std::int64_t offset);

Tensor slice(const Tensor& x, int dim, std::int64_t start, std::int64_t end,
             std::int64_t step = 1);                                               // ends clamp; step >= 1
Tensor narrow(const Tensor& x, int dim, std::int64_t start, std::int64_t length);  // ShapeError outside
Tensor select(const Tensor& x, int dim, std::int64_t index);
Tensor transpose(const Tensor& x, int a, int b);
Tensor permute(const Tensor& x, std::span<const int> order);
Tensor unsqueeze(const Tensor& x, int dim);
Tensor squeeze(const Tensor& x, int dim);            // the dimension must have size 1
Tensor expand(const Tensor& x, const Shape& shape);  // size-1 dimensions repeat with stride 0; new ones go in front
Tensor unfold(const Tensor& x, int dim, std::int64_t size,
              std::int64_t step);  // PyTorch's: windows become a new last dim
// A view of another shape, or an undefined tensor when the strides do not allow one. One size may be -1.
Tensor try_reshape(const Tensor& x, const Shape& shape);
Shape infer_shape(const char* op, const Shape& shape, std::int64_t numel);  // fills in a -1; ShapeError when it cannot

// A part of `owner` (contiguous) as a tensor with a storage, and so a version, of its own.
Tensor alias(const Tensor& owner, std::int64_t first_element, const Shape& shape);

// May two elements of x be the same memory? (A few layouts that interleave without meeting count as overlapping.)
bool overlaps_itself(const Tensor& x);
bool overlap(const Tensor& a, const Tensor& b);  // do their ranges of memory meet?

}  // namespace tapedeck::detail
