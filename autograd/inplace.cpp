// In-place writes: for init, optimizers, running statistics and generation state. They raise the storage's version, so
// that a rule which saved the old values says so instead of using the new ones.
#include <tapedeck/autograd/loss_helpers.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tapedeck {
namespace {

// Neither side may be on a tape: the write would not be recorded, and a gradient would be lost silently.
void check_constant(const char* op, const char* name, const Tensor& x) {
  detail::check_defined(op, name, x);
  TD_CHECK(!is_recorded(x), TapeError, op, ": ", name, " is recorded by a live tape, and in-place writes are not; ",
           "use detach(), NoGrad or the op that returns a new tensor", arg(name, x));
}

void check_write(const char* op, const char* name, const Tensor& x) {
  check_constant(op, name, x);
  TD_CHECK(!detail::overlaps_itself(x), ValueError, op, ": elements of ", name,
           " share memory (an expanded tensor, or windows); write to a clone()", arg(name, x));
}

// `from`, or a copy of it when writing to another view of the same memory would change it on the way.
Tensor apart(const Tensor& to, const Tensor& from) {
  const bool same = to.data() == from.data() && to.sizes() == from.sizes() && to.strides() == from.strides();
  return !same && detail::overlap(to, from) ? clone(from) : from;
}

const Tensor& written(const Tensor& x) {
  x.impl()->storage->bump();
  return x;
}

const Tensor& put(const Tensor& x, const Tensor& values) {
  kernels::copy(x.device(), {values, x});
  return written(x);
}

std::int64_t rows_of(const Tensor& x) { return x.dim() > 0 ? x.size(0) : 1; }

using RandomSlot = kernels::KernelSlot<kernels::RandomArgs>;
const Tensor& draw(const char* op, const RandomSlot& f, const Tensor& x, double p0, double p1) {
  check_write(op, "x", x);
  detail::check_real(op, x);
  TD_CHECK(x.dtype() == DType::f32 || x.dtype() == DType::f64, DTypeError, op,
           ": random numbers are f32 or f64; copy_() rounds them to others", arg("x", x));
  const Tensor y = x.is_contiguous() ? x : empty_like(x);
  f(x.device(), {y, next_stream(op, rows_of(x)), p0, p1});
  if (!y.shares_storage(x)) kernels::copy(x.device(), {y, x});
  return written(x);
}

// The least number of x's dtype that is not below `bound`; with up = -1 the largest that is not above it.
double inside(const Tensor& x, double bound, double up) {
  if (x.dtype() == DType::f64 || std::isinf(bound)) return bound;
  const float near = static_cast<float>(bound);
  return (near - bound) * up < 0 ? std::nextafter(near, static_cast<float>(up) * std::numeric_limits<float>::infinity())
                                 : near;
}

// A normal between alpha and beta (in standard deviations from the mean), by proposals that are kept or drawn again:
// every attempt has a key of its own, so that an element depends on its own place alone.
class TruncatedNormal {
 public:
  TruncatedNormal(double mean, double std, double low, double high)
      : mean_(mean), std_(std), low_(low), high_(high), alpha_((low - mean) / std), beta_((high - mean) / std) {
    constexpr double half = 0.70710678118654752440;
    whole_ = 0.5 * (std::erfc(alpha_ * half) - std::erfc(beta_ * half)) > 0.25;
    mirrored_ = alpha_ + beta_ < 0;  // the heavier side first
    if (mirrored_) alpha_ = -std::exchange(beta_, -alpha_);
  }

  // Values like x and where they may be kept.
  std::pair<Tensor, Tensor> attempt(const Tensor& x, const RandomStream& stream, std::uint64_t n) const {
    const RandomStream first{mix64(stream.key, 2 * n), stream.rows}, second{mix64(stream.key, 2 * n + 1), stream.rows};
    const Tensor a = empty_like(x);
    if (whole_) {
      kernels::normal(x.device(), {a, first, 0, 1});
      return {scaled(a, std_, mean_), eq(a, mirrored_ ? clamp(a, -beta_, -alpha_) : clamp(a, alpha_, beta_))};
    }
    // The distance t from the end that is nearer to the mean: an exponential of rate `slope` cut off at the other end
    // (a uniform when it is flat), kept with probability exp(-(t + alpha - slope)^2 / 2).
    const double slope = std::max(alpha_, 0.0), width = beta_ - alpha_;
    kernels::uniform(x.device(), {a, first, 0, 1});
    const Tensor t = slope * width < 1e-8 ? a * width : log((1 - a) + a * std::exp(-slope * width)) * (-1 / slope);
    const Tensor u = empty_like(x);
    kernels::uniform(x.device(), {u, second, 0, 1});
    const Tensor kept = lt(u, exp(square(t + (alpha_ - slope)) * -0.5));
    return {mirrored_ ? scaled(t, -std_, high_) : scaled(t, std_, low_), kept};
  }

 private:
  // t * by + from, in f64: numbers that x's dtype does not hold become infinite there, and never NaN.
  static Tensor scaled(const Tensor& t, double by, double from) {
    return cast(cast(t, DType::f64) * by + from, t.dtype());
  }
  double mean_, std_, low_, high_, alpha_, beta_;
  bool whole_, mirrored_;
};

}  // namespace

const Tensor& copy_(const Tensor& to, const Tensor& from) {
  check_write("copy_", "to", to);
  check_constant("copy_", "from", from);
  TD_CHECK(broadcast_shapes("copy_", to.sizes(), from.sizes()) == to.sizes(), ShapeError, "copy_: from does not fit",
           arg("to", to), arg("from", from));
  const Tensor here = apart(to, from.to(to.device()));
  kernels::copy(to.device(), {detail::broadcast(here, to.sizes()), to});
  return written(to);
}

const Tensor& fill_(const Tensor& x, double value) {
  check_write("fill_", "x", x);
  TD_CHECK(fits(value, x.dtype()), DTypeError, "fill_: the value ", value, " does not fit", arg("x", x));
  kernels::fill(x.device(), {x, value});
  return written(x);
}

const Tensor& add_(const Tensor& x, const Tensor& y) {
  check_write("add_", "x", x);
  check_constant("add_", "y", y);
  detail::check_same("add_", "x", x, "y", y);
  TD_CHECK(x.sizes() == y.sizes(), ShapeError, "add_: shapes must be equal", arg("x", x), arg("y", y));
  detail::named("add_", [&] { kernels::add(x.device(), {x, apart(x, y), x}); });
  return written(x);
}

const Tensor& mul_(const Tensor& x, double factor) {
  check_write("mul_", "x", x);
  TD_CHECK(is_real(x.dtype()) || fits(factor, DType::i64), DTypeError, "mul_: the factor ", factor, " does not fit",
           arg("x", x));
  detail::named("mul_", [&] { kernels::mul_scalar(x.device(), {x, x, factor}); });
  return written(x);
}

const Tensor& uniform_(const Tensor& x, double low, double high) {
  TD_CHECK(low <= high && std::isfinite(high - low), ValueError, "uniform_: needs finite low <= high, got ", low,
           " and ", high);
  return draw("uniform_", kernels::uniform, x, low, high);
}
const Tensor& normal_(const Tensor& x, double mean, double std) {
  TD_CHECK(std::isfinite(mean) && std::isfinite(std) && std >= 0, ValueError, "normal_: mean ", mean, " and std ", std,
           " must be finite, std >= 0");
  return draw("normal_", kernels::normal, x, mean, std);
}

const Tensor& truncated_normal_(const Tensor& x, double mean, double std, double low, double high) {
  const char* op = "truncated_normal_";
  check_write(op, "x", x);
  detail::check_real(op, x);
  TD_CHECK(std::isfinite(mean) && std::isfinite(std) && std >= 0, ValueError, op, ": mean ", mean, " and std ", std,
           " must be finite, std >= 0");
  return put(x, detail::composed(op, [&] {
               const double first = inside(x, low, 1), last = inside(x, high, -1);
               TD_CHECK(low <= high && first <= last, ValueError, op, ": no number of ", name(x.dtype()),
                        " lies between low ", low, " and high ", high);
               // Nothing is left to chance: no deviation, or the mean so far outside that one end has all the weight.
               const double away = std::max(low - mean, mean - high);
               if (std == 0 || (away > 0 && std::isinf(away / std * (away / std))))
                 return full(x.sizes(), std::min(std::max(mean, first), last), x.options());
               const TruncatedNormal normal(mean, std, low, high);
               const RandomStream stream = next_stream(op, rows_of(x));
               auto [values, kept] = normal.attempt(x, stream, 0);
               for (std::uint64_t n = 1; sum(kept).item() < static_cast<double>(x.numel()); ++n) {
                 const auto [more, good] = normal.attempt(x, stream, n);
                 values = where(kept, values, more);
                 kept = where(kept, kept, good);
               }
               return clamp(values, first, last);
             }));
}

const Tensor& exponential_(const Tensor& x, double rate) {
  check_write("exponential_", "x", x);
  detail::check_real("exponential_", x);
  TD_CHECK(rate > 0, ValueError, "exponential_: rate must be above 0, not ", rate);
  return put(x, detail::composed("exponential_", [&] {
               return log(detail::open_uniform("exponential_", x.sizes(), x.options())) * (-1 / rate);
             }));
}

const Tensor& bernoulli_(const Tensor& x, double p) {
  check_write("bernoulli_", "x", x);
  TD_CHECK(p >= 0 && p <= 1, ValueError, "bernoulli_: p must be in [0, 1], got ", p);
  const Tensor y = empty_like(x);
  kernels::bernoulli(x.device(), {y, next_stream("bernoulli_", rows_of(x)), p, 0});
  return put(x, y);
}

}  // namespace tapedeck
