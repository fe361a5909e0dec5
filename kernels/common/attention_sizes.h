// The sizes of attention, for host and device code.
#pragma once
#include <tapedeck/kernels/attention.h>

namespace tapedeck::kernels {

struct AttentionSizes {
  std::int64_t batch, heads, groups, per_group, queries, keys, channels, width, past;  // width: channels of v and y
  bool causal;
  double scale;
  template <class Args>
  explicit AttentionSizes(const Args& a)
      : batch(a.q.sizes[0]),
        heads(a.q.sizes[1]),
        groups(a.k.sizes[1]),
        per_group(groups == 0 ? 0 : heads / groups),
        queries(a.q.sizes[2]),
        keys(a.k.sizes[2]),
        channels(a.q.sizes[3]),
        width(a.v.sizes[3]),
        past(a.past),
        causal(a.causal),
        scale(a.scale) {}
  // How many keys query t sees: 0 … visible - 1.
  TD_HD std::int64_t visible(std::int64_t t) const { return causal && past + t + 1 < keys ? past + t + 1 : keys; }
};

}  // namespace tapedeck::kernels
