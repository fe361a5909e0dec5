// Padding: constants are filled in around a copy; the other modes put what they read at indices beside x.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>

namespace tapedeck {
namespace {

struct Side {
  std::int64_t before = 0, after = 0;
  bool any() const { return before != 0 || after != 0; }
};

// What negative sides cut off, as a view.
Tensor cropped(Tensor x, int dim, Side& s) {
  const std::int64_t n = x.size(dim), before = std::max<std::int64_t>(-s.before, 0);
  const std::int64_t left = n - before - std::max<std::int64_t>(-s.after, 0);
  TD_CHECK(left >= 0, ShapeError, "pad: {", s.before, ", ", s.after, "} cuts more than dimension ", dim, " has",
           arg("x", x));
  s = {std::max<std::int64_t>(s.before, 0), std::max<std::int64_t>(s.after, 0)};
  return left == n ? x : narrow(x, dim, before, left);
}

Tensor pad_constant(Tensor x, std::vector<Side> sides, double value) {
  TD_CHECK(fits(value, x.dtype()), DTypeError, "pad: the value ", value, " does not fit", arg("x", x));
  for (int d = 0; d < x.dim(); ++d) x = cropped(x, d, sides[static_cast<std::size_t>(d)]);
  Shape shape = x.sizes();
  for (int d = 0; d < x.dim(); ++d)
    shape[d] += sides[static_cast<std::size_t>(d)].before + sides[static_cast<std::size_t>(d)].after;
  const Tensor y = empty(shape, x.options());
  Tensor inside = y;
  for (int d = 0; d < x.dim(); ++d) {
    const Side& s = sides[static_cast<std::size_t>(d)];
    kernels::fill(y.device(), {detail::narrow(inside, d, 0, s.before), value});
    kernels::fill(y.device(), {detail::narrow(inside, d, s.before + x.size(d), s.after), value});
    inside = detail::narrow(inside, d, s.before, x.size(d));
  }
  kernels::copy(y.device(), {x, inside});
  record("pad", y, {&x}, [sides = std::move(sides)](const Tensor& gy, Grads& g) {
    const Shape before = g.shape(0);
    Tensor part = gy;
    for (int d = 0; d < gy.dim(); ++d)
      if (const Side& s = sides[static_cast<std::size_t>(d)]; s.any()) part = narrow(part, d, s.before, before[d]);
    g.give(0, part);
  });
  return y;
}

// Which element of a line of n stands at place i of the padded one.
std::int64_t source_of(std::int64_t i, std::int64_t n, PadMode mode) {
  if (mode == PadMode::replicate) return std::clamp<std::int64_t>(i, 0, n - 1);
  if (mode == PadMode::circular) return (i % n + n) % n;
  return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

// Positions [begin, end) of x along dim, 0 being its first: a copy between what stands at indices. The gradient adds up
// in the order of positions.
Tensor pad_line(const Tensor& x, int dim, std::int64_t begin, std::int64_t end, PadMode mode) {
  const std::int64_t n = x.size(dim);
  const auto index_of = [n, mode](std::int64_t from, std::int64_t to) {
    const Tensor index = empty({std::max<std::int64_t>(0, to - from)}, {DType::i64, kCpu});
    for (std::int64_t i = from; i < to; ++i) index.data<std::int64_t>()[i - from] = source_of(i, n, mode);
    return index;
  };
  const std::int64_t first = std::clamp<std::int64_t>(begin, 0, n), last = std::clamp<std::int64_t>(end, first, n);
  Tensor y;
  {
    const NoGrad unrecorded;
    const auto outside = [&](std::int64_t from, std::int64_t to) {
      return index_select(x, dim, index_of(from, to).to(x.device()));
    };
    y = cat({outside(begin, std::min<std::int64_t>(0, end)), narrow(x, dim, first, last - first),
             outside(std::max(n, begin), end)},
            dim);
  }
  record("pad", y, {&x}, [=](const Tensor& gy, Grads& g) {
    g.give(0, index_add(zeros(g.shape(0), gy.options()), dim, index_of(begin, end).to(gy.device()), gy));
  });
  return y;
}

Tensor pad_from_itself(Tensor x, std::vector<Side>& sides, PadMode mode) {
  for (int d = 0; d < x.dim(); ++d) {
    Side& s = sides[static_cast<std::size_t>(d)];
    if (!s.any()) continue;
    if (mode == PadMode::circular) x = cropped(x, d, s);  // the others look beyond what is cut
    const std::int64_t n = x.size(d), length = n + s.before + s.after, most = std::max(s.before, s.after);
    const bool fits = mode == PadMode::reflect ? most < n : mode == PadMode::circular ? most <= n : n > 0;
    TD_CHECK(length >= 0, ShapeError, "pad: {", s.before, ", ", s.after, "} cuts more than dimension ", d, " has",
             arg("x", x));
    TD_CHECK(fits || length == 0, ShapeError, "pad: ",
             mode == PadMode::reflect    ? "reflect needs sides smaller than the dimension"
             : mode == PadMode::circular ? "circular needs sides at most as large as the dimension"
                                         : "replicate needs an element to repeat",
             "; dimension ", d, " has ", n, " and gets {", s.before, ", ", s.after, "}", arg("x", x));
    x = pad_line(x, d, -s.before, n + s.after, mode);
  }
  return x;
}

}  // namespace

Tensor pad(const Tensor& x, const std::vector<std::int64_t>& pads, PadMode mode, double value) {
  return detail::composed("pad", [&] {
    detail::check_defined("pad", "x", x);
    TD_CHECK(pads.size() % 2 == 0 && pads.size() <= 2 * static_cast<std::size_t>(x.dim()), ShapeError,
             "pad: needs a pair of numbers per dimension, from the last one backwards, got ", pads.size(), " numbers",
             arg("x", x));
    constexpr std::int64_t kFar = std::int64_t{1} << 59;  // beyond any size
    std::vector<Side> sides(static_cast<std::size_t>(x.dim()));
    bool any = false;
    for (std::size_t i = 0; i < pads.size(); ++i) {
      TD_CHECK(pads[i] > -kFar && pads[i] < kFar, ShapeError, "pad: ", pads[i], " elements are too many", arg("x", x));
      Side& s = sides[sides.size() - 1 - i / 2];
      (i % 2 == 0 ? s.before : s.after) = pads[i];
      any = any || pads[i] != 0;
    }
    if (!any) return clone(x);
    return mode == PadMode::constant ? pad_constant(x, std::move(sides), value) : pad_from_itself(x, sides, mode);
  });
}

}  // namespace tapedeck
