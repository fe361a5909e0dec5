// A layer of WaveNet as an op case of any size.
#pragma once
#include <tapedeck/autograd/ops.h>

#include "cases/op_case.h"

namespace tapedeck::cases {

struct LayerForm {
  std::int64_t batch, time, in, channels, skip, kernel, dilation;
  Padding padding = Padding::causal;
  std::int64_t keep = 1 << 20;
  bool residual = true, bias = true, given = true;
};
OpCase layer_case(const LayerForm& f, DType dtype, Layout layout = Layout::contiguous);

}  // namespace tapedeck::cases
