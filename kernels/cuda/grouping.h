// Positions grouped by the place that they go to, each group in the order of positions: a stable radix sort of 32-bit
// keys, 8 bits a pass. A warp walks one piece of the keys in order, so that nothing depends on timing.
#pragma once
#include <tapedeck/kernels/cuda/plan.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

struct GroupPlan {
  std::int64_t per = 256, pieces = 0;  // keys of a piece, a multiple of the warp
  int passes = 1;
};
inline GroupPlan plan_groups(std::int64_t count, std::int64_t keys) {
  GroupPlan p;
  p.per = std::max<std::int64_t>(256, ceil_div(ceil_div(count, 2048), kWarp) * kWarp);
  p.pieces = ceil_div(count, p.per);
  for (std::int64_t above = (keys - 1) >> 8; above > 0; above >>= 8) ++p.passes;
  return p;
}

void clear(Device d, unsigned* p, std::int64_t n);  // to zeros

// The positions of place v are order[begin[v]] … order[end[v] - 1]; keys: the places, sorted.
class Grouping {
 public:
  // `keys` and `order` hold `count` places, each below `places`, and their positions; both are overwritten.
  Grouping(Device d, Scratch keys, Scratch order, std::int64_t count, std::int64_t places);

  const unsigned *keys, *order, *begin, *end;

 private:
  Scratch keys_[2], order_[2], bounds_;
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
