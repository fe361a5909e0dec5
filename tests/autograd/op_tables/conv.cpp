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
  conv("padding", {2, 4, 2}, {3, 2, 3}, {.stride = 2, .padding = 2});
  conv("left and right", {1, 4, 2}, {2, 2, 2}, {.dilation = 2, .padding = {3, 1}});
  conv("longer than x", {1, 2, 2}, {2, 2, 4}, {.padding = {1, 2}});
  conv("depthwise stride", {1, 7, 3}, {3, 1, 3}, {.stride = 2, .dilation = 2, .groups = 3, .padding = 2});
  conv("multiplier", {1, 5, 2}, {4, 1, 2}, {.groups = 2});
  t.add("conv1d no bias", {{2, 5, 2}, {3, 2, 2}}, [](Args a) { return conv1d(a[0], a[1]); });

  const auto image = [&](const std::string& name, Shape x, Shape w, Conv2dOptions o) {
    t.add("conv2d " + name, {x, w, {w[0]}}, [o](Args a) { return conv2d(a[0], a[1], a[2], o); });
  };
  image("valid", {2, 3, 4, 2}, {2, 2, 2, 3}, {});
  image("same", {1, 3, 4, 2}, {2, 2, 3, 2}, {.dilation = {1, 2}, .padding = Padding::same});
  image("causal", {1, 3, 3, 1}, {2, 1, 2, 3}, {.dilation = {2, 1}, .padding = Padding::causal});
  image("stride", {1, 5, 6, 2}, {2, 2, 3, 2}, {.stride = {2, 3}, .padding = {1, 0}});
  image("sides", {1, 3, 3, 2}, {2, 2, 2, 2}, {.stride = {1, 2}, .padding = {{1, 0}, {0, 2}}});
  image("groups", {1, 3, 3, 4}, {2, 2, 2, 2}, {.groups = 2}), image("pointwise", {1, 2, 3, 2}, {3, 2, 1, 1}, {});
  image("depthwise", {2, 4, 3, 3}, {3, 1, 3, 2}, {.stride = {2, 1}, .groups = 3, .padding = {1, 1}});

  const auto volume = [&](const std::string& name, Shape x, Shape w, Conv3dOptions o) {
    t.add("conv3d " + name, {x, w, {w[0]}}, [o](Args a) { return conv3d(a[0], a[1], a[2], o); });
  };
  volume("valid", {1, 2, 3, 3, 2}, {2, 2, 2, 2, 1}, {});
  volume("all", {1, 4, 3, 2, 2}, {2, 1, 2, 2, 2},
         {.stride = {2, 1, 2}, .dilation = {1, 2, 1}, .groups = 2, .padding = {1, 2, 0}});
  volume("same", {1, 2, 2, 3, 1}, {1, 1, 2, 1, 3}, {.padding = Padding::same});

  const auto up = [&](const std::string& name, Shape x, Shape w, ConvTranspose1dOptions o) {
    t.add("conv_transpose1d " + name, {x, w, {w[1] * o.groups}},
          [o](Args a) { return conv_transpose1d(a[0], a[1], a[2], o); });
  };
  up("plain", {2, 4, 3}, {3, 2, 2}, {}), up("stride", {1, 3, 4}, {4, 1, 3}, {.stride = 2, .groups = 2});
  up("all", {1, 4, 2}, {2, 2, 3}, {.stride = 3, .padding = 2, .output_padding = 2, .dilation = 2});
  up("gaps", {1, 3, 2}, {2, 2, 2}, {.stride = 4, .output_padding = 1});
  up("common factor", {1, 3, 2}, {2, 1, 3}, {.stride = 4, .padding = 1, .dilation = 6});
  up("depthwise", {2, 3, 3}, {3, 1, 4}, {.stride = 2, .padding = 1, .groups = 3});
  t.add("conv_transpose1d no bias", {{2, 4, 3}, {3, 2, 2}}, [](Args a) { return conv_transpose1d(a[0], a[1]); });

  const auto up_image = [&](const std::string& name, Shape x, Shape w, ConvTranspose2dOptions o) {
    t.add("conv_transpose2d " + name, {x, w, {w[1] * o.groups}},
          [o](Args a) { return conv_transpose2d(a[0], a[1], a[2], o); });
  };
  up_image("plain", {1, 2, 3, 2}, {2, 2, 2, 3}, {});
  up_image("all", {1, 3, 2, 4}, {4, 1, 3, 2},
           {.stride = {2, 3}, .padding = {1, 2}, .output_padding = {1, 0}, .groups = 2, .dilation = {1, 2}});
  up_image("depthwise", {1, 2, 2, 2}, {2, 1, 2, 3}, {.stride = 2, .groups = 2});

  const auto up_volume = [&](const std::string& name, Shape x, Shape w, ConvTranspose3dOptions o) {
    t.add("conv_transpose3d " + name, {x, w, {w[1] * o.groups}},
          [o](Args a) { return conv_transpose3d(a[0], a[1], a[2], o); });
  };
  up_volume("plain", {1, 2, 2, 1, 2}, {2, 2, 1, 2, 2}, {});
  up_volume(
      "all", {1, 2, 2, 2, 2}, {2, 1, 2, 1, 3},
      {.stride = {2, 1, 2}, .padding = {0, 0, 1}, .output_padding = {1, 0, 1}, .groups = 2, .dilation = {1, 2, 1}});
  up_volume("trimmed", {1, 2, 2, 3, 1}, {1, 2, 2, 2, 2}, {.stride = 2, .padding = {1, 1, 1}});
}

}  // namespace tapedeck::test
