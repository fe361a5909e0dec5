#include "autograd/op_table.h"

namespace tapedeck::test {

void add_interpolate(Table& t) {
  using I = Interpolation;
  const auto add = [&](const std::string& name, const Shape& x, const InterpolateOptions& o) {
    t.add("interpolate " + name, {x}, [o](Args a) { return interpolate(a[0], o); });
  };
  for (const std::int64_t n : {1, 3, 5, 8, 10}) {
    const std::string size = " " + std::to_string(n);
    add("nearest" + size, {2, 5, 2}, {.size = {n}});
    add("nearest_exact" + size, {2, 5, 2}, {.size = {n}, .mode = I::nearest_exact});
    add("linear" + size, {2, 5, 2}, {.size = {n}, .mode = I::linear});
    add("linear corners" + size, {2, 5, 2}, {.size = {n}, .mode = I::linear, .align_corners = true});
    add("area" + size, {2, 5, 2}, {.size = {n}, .mode = I::area});
  }
  for (const double f : {0.6, 1.7, 2.0, 3.0}) {
    const std::string factor = " by " + std::to_string(static_cast<int>(f * 10));
    add("nearest" + factor, {1, 5, 2}, {.scale_factor = {f}});
    add("nearest_exact" + factor, {1, 5, 2}, {.scale_factor = {f}, .mode = I::nearest_exact});
    add("linear" + factor, {1, 5, 2}, {.scale_factor = {f}, .mode = I::linear});
    add("bilinear" + factor, {1, 3, 4, 2}, {.scale_factor = {f, 1.5}, .mode = I::bilinear});
    add("area" + factor, {1, 3, 4, 2}, {.scale_factor = {f}, .mode = I::area});
  }
  add("nearest image", {1, 3, 4, 2}, {.size = {5, 2}});
  add("nearest_exact image", {1, 3, 4, 2}, {.size = {2, 7}, .mode = I::nearest_exact});
  add("bilinear image", {1, 3, 4, 2}, {.size = {5, 2}, .mode = I::bilinear});
  add("bilinear corners", {2, 3, 2, 1}, {.size = {2, 5}, .mode = I::bilinear, .align_corners = true});
  add("area image", {1, 3, 4, 2}, {.size = {2, 3}, .mode = I::area});
  t.add("pixel_shuffle 1d", {{2, 2, 6}}, [](Args a) { return pixel_shuffle(a[0], 3); });
  t.add("pixel_shuffle 2d", {{1, 2, 3, 8}}, [](Args a) { return pixel_shuffle(a[0], 2); });
  t.add("pixel_shuffle 2d 3", {{2, 2, 1, 9}}, [](Args a) { return pixel_shuffle(a[0], 3); });
  t.add("pixel_unshuffle 2d 3", {{2, 3, 6, 1}}, [](Args a) { return pixel_unshuffle(a[0], 3); });
  t.add("pixel_unshuffle 1d", {{2, 6, 2}}, [](Args a) { return pixel_unshuffle(a[0], 3); });
  t.add("pixel_unshuffle 2d", {{1, 4, 6, 2}}, [](Args a) { return pixel_unshuffle(a[0], 2); });
}

}  // namespace tapedeck::test
