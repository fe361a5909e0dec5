// Other sizes of sequences and images. Every mode is a sparse linear map along each dimension in turn.
#include <tapedeck/autograd/linear_map.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/pool.h>

#include <algorithm>
#include <cmath>

namespace tapedeck {

namespace {

using detail::LinearMap;
using std::int64_t;

constexpr const char* kNames[] = {"nearest", "nearest_exact", "linear", "bilinear", "area"};

// Where output o lies among the inputs: (o + shift) * numerator / denominator, or divided by the factor that is given.
struct Scale {
  int64_t in, out;
  double factor = 0;  // 0: out / in, exactly
  double at(int64_t o, double shift) const {
    const double place = static_cast<double>(o) + shift;
    return factor > 0 ? place / factor : place * static_cast<double>(in) / static_cast<double>(out);
  }
};

LinearMap nearest(const char* op, const Scale& s, bool exact) {
  LinearMap map(op, s.in, s.out, 1);
  for (int64_t o = 0; o < s.out; ++o) {
    int64_t i = static_cast<int64_t>(s.at(o, exact ? 0.5 : 0));
    if (s.factor == 0) i = exact ? kernels::mul_div(2 * o + 1, s.in, 2 * s.out) : kernels::mul_div(o, s.in, s.out);
    map.add(std::min(i, s.in - 1), 1);
    map.end_output();
  }
  return map;
}

LinearMap linear(const char* op, const Scale& s, bool align_corners) {
  LinearMap map(op, s.in, s.out, 2);
  for (int64_t o = 0; o < s.out; ++o) {
    double place = std::max(0.0, s.at(o, 0.5) - 0.5);
    if (align_corners)
      place = s.out > 1 ? static_cast<double>(o) * static_cast<double>(s.in - 1) / static_cast<double>(s.out - 1) : 0;
    const int64_t i = std::min(static_cast<int64_t>(place), s.in - 1);
    const double part = i + 1 < s.in ? place - static_cast<double>(i) : 0;
    if (part < 1) map.add(i, 1 - part);
    if (part > 0) map.add(i + 1, part);
    map.end_output();
  }
  return map;
}

void check_factor(const char* op, const Tensor& x, int64_t factor) {
  detail::check_defined(op, "x", x);
  TD_CHECK(x.dim() == 3 || x.dim() == 4, ShapeError, op,
           ": x must be [batch, time, channels] or [batch, height, width, channels]", arg("x", x));
  TD_CHECK(factor >= 1 && factor <= (int64_t{1} << 30), ValueError, op, ": the factor must be 1 to 2^30, got ", factor);
}

}  // namespace

Tensor interpolate(const Tensor& x, InterpolateOptions options) {
  const char *op = "interpolate", *mode = kNames[static_cast<int>(options.mode)];
  detail::check_real(op, x);
  TD_CHECK(x.dim() == 3 || x.dim() == 4, ShapeError, op,
           ": x must be [batch, time, channels] or [batch, height, width, channels]", arg("x", x));
  const auto space = static_cast<std::size_t>(x.dim() - 2);
  TD_CHECK(options.size.empty() != options.scale_factor.empty(), ValueError, op, ": give either size or scale_factor",
           arg("x", x));
  const std::size_t given = options.size.empty() ? options.scale_factor.size() : options.size.size();
  TD_CHECK(given == 1 || given == space, ValueError, op, ": ", given, " numbers for ", space, " spatial dimensions",
           arg("x", x));
  const bool smooth = options.mode == Interpolation::linear || options.mode == Interpolation::bilinear;
  TD_CHECK(!smooth || (options.mode == Interpolation::linear) == (space == 1), ShapeError, op, ": mode ", mode,
           options.mode == Interpolation::linear ? " needs [batch, time, channels]; images take bilinear"
                                                 : " needs [batch, height, width, channels]; sequences take linear",
           arg("x", x));
  TD_CHECK(smooth || !options.align_corners, ValueError, op, ": align_corners is for linear and bilinear, not ", mode);
  std::vector<LinearMap> maps;
  PerDim<2> sizes;
  for (std::size_t d = 0; d < space; ++d) {
    Scale s{x.size(1 + static_cast<int>(d)), 0};
    if (options.size.empty()) {
      const double factor = options.scale_factor[given == 1 ? 0 : d];
      const double size = std::floor(static_cast<double>(s.in) * factor);
      TD_CHECK(factor > 0 && size < 0x1p40, ValueError, op, ": scale_factor must be > 0 and the size below 2^40, got ",
               factor, arg("x", x));
      s.out = static_cast<int64_t>(size);
      s.factor = factor;
    } else {
      s.out = options.size[given == 1 ? 0 : d];
    }
    TD_CHECK(s.in >= 1 && s.out >= 1 && s.out < (int64_t{1} << 40), ShapeError, op, ": cannot make ", s.out,
             " places of ", s.in, " in dimension ", d + 1, arg("x", x));
    sizes.values[d] = s.out;
    if (options.mode == Interpolation::area) continue;
    maps.push_back(smooth ? linear(op, s, options.align_corners)
                          : nearest(op, s, options.mode == Interpolation::nearest_exact));
  }
  if (options.mode == Interpolation::area)
    return detail::composed(
        op, [&] { return space == 1 ? adaptive_avg_pool1d(x, sizes[0]) : adaptive_avg_pool2d(x, sizes); });
  return detail::apply_all(op, x, std::move(maps));
}

Tensor pixel_shuffle(const Tensor& x, int64_t upscale_factor) {
  const char* op = "pixel_shuffle";
  const int64_t r = upscale_factor;
  check_factor(op, x, r);
  const bool image = x.dim() == 4;
  const int64_t parts = image ? r * r : r, channels = x.size(-1) / parts;
  TD_CHECK(channels * parts == x.size(-1), ShapeError, op, ": ", x.size(-1), " channels do not divide by ", parts,
           arg("x", x));
  return detail::composed(op, [&] {
    if (!image) {
      const Tensor split = reshape(x, {x.size(0), x.size(1), channels, r});
      return reshape(transpose(split, 2, 3), {x.size(0), x.size(1) * r, channels});
    }
    const Tensor split = reshape(x, {x.size(0), x.size(1), x.size(2), channels, r, r});
    return reshape(permute(split, {0, 1, 4, 2, 5, 3}), {x.size(0), x.size(1) * r, x.size(2) * r, channels});
  });
}

Tensor pixel_unshuffle(const Tensor& x, int64_t downscale_factor) {
  const char* op = "pixel_unshuffle";
  const int64_t r = downscale_factor;
  check_factor(op, x, r);
  for (int d = 1; d + 1 < x.dim(); ++d)
    TD_CHECK(x.size(d) % r == 0, ShapeError, op, ": dimension ", d, " does not divide by ", r, arg("x", x));
  return detail::composed(op, [&] {
    if (x.dim() == 3) {
      const Tensor split = reshape(x, {x.size(0), x.size(1) / r, r, x.size(2)});
      return reshape(transpose(split, 2, 3), {x.size(0), x.size(1) / r, x.size(2) * r});
    }
    const Tensor split = reshape(x, {x.size(0), x.size(1) / r, r, x.size(2) / r, r, x.size(3)});
    return reshape(permute(split, {0, 1, 3, 5, 2, 4}), {x.size(0), x.size(1) / r, x.size(2) / r, x.size(3) * r * r});
  });
}

}  // namespace tapedeck
