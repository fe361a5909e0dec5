// Interpolation in every mode to smaller, equal and larger sizes; pixel shuffling.
#include <tapedeck/autograd/ops.h>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

using std::int64_t;

constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};

void add_interpolations(std::vector<OpCase>& t) {
  const Shape shapes[] = {{1, 1, 1},    {2, 5, 3},    {1, 12, 17},  {0, 4, 2},    {1, 33, 270},
                          {1, 1, 1, 1}, {2, 3, 5, 2}, {1, 6, 4, 9}, {0, 3, 3, 2}, {1, 9, 2, 31}};
  std::vector<InterpolateOptions> sizes;
  for (const int64_t n : {1, 2, 5, 7, 12, 30}) sizes.push_back({.size = {n}});
  for (const double f : {0.5, 1.0, 1.7, 2.0, 3.0}) sizes.push_back({.scale_factor = {f}});
  std::size_t n = 0;
  for (const Shape& x : shapes)
    for (const InterpolateOptions& size : sizes)
      for (const auto& [mode, corners, name] : {std::tuple{Interpolation::nearest, false, "nearest"},
                                                {Interpolation::nearest_exact, false, "nearest_exact"},
                                                {Interpolation::linear, false, "linear"},
                                                {Interpolation::linear, true, "linear corners"},
                                                {Interpolation::area, false, "area"}}) {
        const bool factor = size.size.empty(), image = x.rank() == 4;
        if (factor && static_cast<double>(std::min(x[1], x[x.rank() - 2])) * size.scale_factor[0] < 1) continue;
        const Interpolation used = mode == Interpolation::linear && image ? Interpolation::bilinear : mode;
        const InterpolateOptions o{size.size, size.scale_factor, used, corners};
        for (const DType dtype : {DType::f32, DType::f64}) {
          const bool exact = mode == Interpolation::nearest || mode == Interpolation::nearest_exact;
          OpCase c{.op = "interpolate",
                   .text = std::string(name) + (factor ? " by " + std::to_string(size.scale_factor[0])
                                                       : " to " + std::to_string(size.size[0])),
                   .inputs = {{x, dtype, kLayouts[n++ % 3], exact && n % 2 ? Values::special : Values::normal}},
                   .call = [o](Args a) { return Outputs{interpolate(a[0], o)}; }};
          if (!exact) c.bound = {.c = 4}, c.relative = Relative::absolute;
          c.rows = 1;
          c.differentiable = c.inputs[0].values == Values::normal;
          c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
          t.push_back(std::move(c));
        }
      }
}

void add_shuffles(std::vector<OpCase>& t) {
  const Shape shapes[] = {{1, 1, 1},    {2, 3, 2},    {3, 5, 7},    {0, 2, 1},
                          {1, 1, 1, 1}, {2, 3, 2, 1}, {1, 4, 5, 3}, {0, 1, 2, 2}};
  for (const Shape& s : shapes)
    for (const int64_t r : {1, 2, 3})
      for (const Layout layout : kLayouts)
        for (const DType dtype : {DType::f32, DType::f64}) {
          Shape few = s, many = s;
          few[s.rank() - 1] *= s.rank() == 4 ? r * r : r;
          for (int d = 1; d + 1 < s.rank(); ++d) many[d] *= r;
          for (const bool up : {true, false}) {
            const Shape& x = up ? few : many;
            if (!has_layout(x, layout)) continue;
            OpCase c{.op = up ? "pixel_shuffle" : "pixel_unshuffle",
                     .text = "by " + std::to_string(r),
                     .inputs = {{x, dtype, layout, Values::normal}},
                     .call = [=](Args a) { return Outputs{up ? pixel_shuffle(a[0], r) : pixel_unshuffle(a[0], r)}; }};
            c.rows = 1, c.differentiable = true;
            t.push_back(std::move(c));
          }
        }
}

}  // namespace

void add_interpolate(std::vector<OpCase>& t) {
  add_interpolations(t);
  add_shuffles(t);
}

}  // namespace tapedeck::cases
