#include "cases/sweep.h"

#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/philox.h>
#include <tapedeck/tensor/random.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

namespace tapedeck::cases {
namespace {

struct Random {
  std::uint64_t key, next = 0;
  std::uint32_t word() { return philox_word(key, 0, next++); }
  double uniform() { return (word() + 0.5) * 0x1p-32; }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
};

// Special numbers of f32 or f64; the wider type sees its own.
template <class T>
std::vector<double> specials() {
  using L = std::numeric_limits<T>;
  const T one = 1, up = std::nextafter(one, T(2)), down = std::nextafter(one, T(0)), inf = L::infinity();
  std::vector<double> v{0.0, 1.0, up, down, L::denorm_min(), L::min() - L::denorm_min(), L::min(), L::max(),
                        inf, 0.5, 2,  3};
  for (std::size_t n = v.size(), i = 0; i < n; ++i) v.push_back(-v[i]);
  v.push_back(L::quiet_NaN());
  return v;
}

double value_at(const Input& in, std::int64_t i, std::int64_t n, int which, Random& random) {
  switch (in.values) {
    case Values::normal:
      return random.normal();
    case Values::wide:
      return (random.word() & 1 ? 1 : -1) * std::exp2(200 * random.uniform() - 100);
    case Values::special: {
      static const auto f32 = specials<float>(), f64 = specials<double>();
      const auto& all = in.dtype == DType::f64 ? f64 : f32;
      // All pairs of two inputs meet: one runs through the list, the other steps once per round.
      const auto count = static_cast<std::int64_t>(all.size());
      return all[static_cast<std::size_t>((which == 0 ? i : i + i / count + 5) % count)];
    }
    case Values::ties:
      return random.word() % 4 - 1.0;
    case Values::positive:
      return random.uniform();
    case Values::cancelling: {
      Random base{77, static_cast<std::uint64_t>(2 * (i / 2))};
      return base.normal() * (i % 2 == 0 ? 1 : -1) * (1 + 0x1p-18 * random.uniform());
    }
    case Values::nonfinite: {
      constexpr double inf = std::numeric_limits<double>::infinity();
      const std::uint32_t w = random.word() % 24;
      return w == 0 ? inf : w == 1 ? -inf : w == 2 ? std::nan("") : random.normal();
    }
    case Values::range: {
      const double v = in.low + (in.high - in.low) * random.uniform();
      return is_real(in.dtype) ? v : std::floor(v);
    }
    case Values::grid: {
      const bool few = n <= 40;
      const std::int64_t places = few ? std::max<std::int64_t>(n, 1) : 20;
      const std::int64_t place = few ? (i * 101 + 3 + 5 * which) % places : random.word() % places;
      constexpr double shift[] = {0.37, 0.61, 0.13, 0.82};
      return in.low +
             (in.high - in.low) * (static_cast<double>(place) + shift[which % 4]) / static_cast<double>(places);
    }
  }
  return 0;
}

template <class T>
T element(double v) {
  if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>)
    return T::from(static_cast<float>(v));
  else if constexpr (std::is_same_v<T, bool>)
    return v > 0;
  else if constexpr (std::is_integral_v<T>)
    return std::isfinite(v) && std::fabs(v) < 0x1p62 ? static_cast<T>(static_cast<std::int64_t>(v)) : T(7);
  else
    return static_cast<T>(v);
}

}  // namespace

Tensor make_input(const Input& in, std::uint64_t seed, int which) {
  Shape shape = in.shape;
  const bool expanded = in.layout == Layout::expanded && has_layout(shape, in.layout);
  if (expanded) shape[0] = 1;  // one row, repeated
  const Tensor x = empty(shape, {in.dtype, kCpu});
  Random random{mix64(seed, static_cast<std::uint64_t>(which))};
  visit(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0, n = x.numel(); i < n; ++i) x.data<T>()[i] = element<T>(value_at(in, i, n, which, random));
  });
  return expanded ? detail::expand(x, in.shape) : laid_out(x, in.layout);
}

Tensor laid_out(const Tensor& x, Layout layout) {
  const NoGrad pause;
  Shape room = x.sizes();
  Tensor y;
  switch (layout) {
    case Layout::transposed: {
      std::vector<int> order(static_cast<std::size_t>(x.dim()));
      std::iota(order.rbegin(), order.rend(), 0);
      for (int d = 0; d < x.dim(); ++d) room[d] = x.sizes()[x.dim() - 1 - d];
      y = detail::permute(empty(room, x.options()), order);
      break;
    }
    case Layout::sliced:  // every second element of a larger block, not from its start
      if (x.dim() == 0) {
        y = detail::select(empty({3}, x.options()), 0, 1);
        break;
      }
      for (int d = 0; d < x.dim(); ++d) room[d] = 2 * room[d] + 1;
      y = empty(room, x.options());
      for (int d = 0; d < x.dim(); ++d) y = detail::slice(y, d, 1, room[d], 2);
      break;
    default:
      y = empty(room, x.options());
  }
  copy_(y, x);
  return y;
}

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all{{},     {0},      {1},       {7},          {3, 0, 2}, {1, 1, 1},
                                      {3, 5}, {33, 17}, {2, 3, 4}, {2, 3, 4, 5}, {1, 4097}};
  return all;
}

bool has_layout(const Shape& shape, Layout layout) {
  switch (layout) {
    case Layout::transposed:
      return shape.rank() >= 2 && shape.numel() > 1;
    case Layout::sliced:
      return shape.numel() > 0;
    case Layout::expanded:
      return shape.rank() >= 1 && shape[0] > 1 && shape.numel() > 0;
    default:
      return true;
  }
}

std::vector<Layout> layouts(const Shape& shape) {
  std::vector<Layout> out;
  for (const Layout l : {Layout::contiguous, Layout::transposed, Layout::sliced, Layout::expanded})
    if (has_layout(shape, l)) out.push_back(l);
  return out;
}

const char* name(Layout layout) {
  constexpr const char* names[] = {"contiguous", "transposed", "sliced", "expanded"};
  return names[static_cast<int>(layout)];
}
const char* name(Values values) {
  constexpr const char* names[] = {"normal",     "wide",      "special", "ties", "positive",
                                   "cancelling", "nonfinite", "range",   "grid"};
  return names[static_cast<int>(values)];
}
std::string to_text(const Input& in) {
  return std::string(tapedeck::name(in.dtype)) + to_string(in.shape) + " " + name(in.layout) + " " + name(in.values);
}

}  // namespace tapedeck::cases
