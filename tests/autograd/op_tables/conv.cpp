#include "autograd/op_table.h"

namespace tapedeck::test {

void add_conv(Table& t) {
  const auto conv = [&](const std::string& name, Shape x, Shape w, Conv1dOptions o) {
    t.add("conv1d " + name, {x, w, {w[0]}}, [o](Args a) { return conv1d(a[0], a[1], a[2], o); });
  };
  conv("valid", {2, 5, 2}, {3, 2, 2}, {}), conv("causal", {1, 5, 2}, {2, 2, 3}, {.padding = Padding::causal});
  conv("same", {1, 5, 2}, {2, 2, 4}, {.padding = Padding::same}), conv("pointwise", {2, 3, 2}, {3, 2, 1}, {});
  conv("dilated", {1, 7, 2}, {2, 2, 2}, {.dilation = 3}), conv("stride", {1, 8, 2}, {2, 2, 3}, {.stride = 2});
  conv("groups", {1, 4, 4}, {6, 2, 2}, {.groups = 2}), conv("depthwise", {1, 4, 3}, {3, 1, 2}, {.groups = 3});
  conv("all", {2, 9, 4}, {4, 2, 2}, {.stride = 2, .dilation = 2, .groups = 2, .padding = Padding::causal});
  t.add("conv1d no bias", {{2, 5, 2}, {3, 2, 2}}, [](Args a) { return conv1d(a[0], a[1]); });
  t.add("conv1d_transpose", {{2, 4, 3}, {3, 2, 2}}, [](Args a) { return conv1d_transpose(a[0], a[1], 5); });
  t.add("conv1d_transpose stride", {{1, 3, 4}, {4, 1, 3}},
        [](Args a) { return conv1d_transpose(a[0], a[1], 8, {.stride = 2, .groups = 2}); });
}

}  // namespace tapedeck::test
