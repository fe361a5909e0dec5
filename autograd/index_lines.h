// Checks that ops share which read or write line by line at an index. Private to autograd/.
#pragma once
#include <tapedeck/tensor/tensor.h>

namespace tapedeck::detail {

// x against index, both of one rank: dim, counted from the front. ShapeError, ValueError.
int check_lines(const char* op, const Tensor& x, int dim, const Tensor& index);
// The part of source, recorded, that has the shape of index.
Tensor source_part(const char* op, const Tensor& x, const Tensor& index, Tensor source);
// The part of x (a view) that the lines of index meet: as large as index but along dim.
Tensor lines_met(const Tensor& index, int dim, const Tensor& x);
// The index of whole rows along dim of x as [N]; checked, and source against both.
Tensor check_rows(const char* op, const Tensor& x, int dim, const Tensor& index, const Tensor& source);

}  // namespace tapedeck::detail
