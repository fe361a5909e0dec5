// Initial values of weights [out, in, kernel...]: Glorot and Bengio (2010), He et al. (2015), Saxe et al. (2013).
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/tensor/random.h>

#include <cmath>

namespace tapedeck {
namespace {

struct Fans {
  double in, out;
};
Fans fans(const char* op, const Tensor& x) {
  detail::check_real(op, x);
  TD_CHECK(x.dim() >= 2, ShapeError, op, ": x must be a weight [out, in, kernel...]", arg("x", x));
  double field = 1;
  for (int d = 2; d < x.dim(); ++d) field *= static_cast<double>(x.size(d));
  return {static_cast<double>(x.size(1)) * field, static_cast<double>(x.size(0)) * field};
}

double xavier_std(const char* op, const Tensor& x, double gain) {
  const Fans fan = fans(op, x);
  TD_CHECK(std::isfinite(gain) && gain >= 0, ValueError, op, ": gain must be finite and >= 0, not ", gain);
  return x.numel() > 0 ? gain * std::sqrt(2 / (fan.in + fan.out)) : 0;
}
double kaiming_std(const char* op, const Tensor& x, double a, Fan mode, Nonlinearity nonlinearity) {
  const Fans fan = fans(op, x);
  TD_CHECK(std::isfinite(a), ValueError, op, ": a must be finite, not ", a);
  const double gain = calculate_gain(nonlinearity, a);
  return x.numel() > 0 ? gain / std::sqrt(mode == Fan::fan_in ? fan.in : fan.out) : 0;
}
const Tensor& uniform_of_std(const char* op, const Tensor& x, double std) {
  const double bound = std::sqrt(3.0) * std;
  return detail::named(op, [&]() -> const Tensor& { return uniform_(x, -bound, bound); });
}
const Tensor& normal_of_std(const char* op, const Tensor& x, double std) {
  return detail::named(op, [&]() -> const Tensor& { return normal_(x, 0, std); });
}
const Tensor& put(const char* op, const Tensor& x, const Tensor& values) {
  return detail::named(op, [&]() -> const Tensor& { return copy_(x, values); });
}

}  // namespace

double calculate_gain(Nonlinearity nonlinearity, double param) {
  switch (nonlinearity) {
    case Nonlinearity::tanh:
      return 5. / 3;
    case Nonlinearity::relu:
      return std::sqrt(2.0);
    case Nonlinearity::leaky_relu:
      return std::sqrt(2 / (1 + param * param));
    case Nonlinearity::selu:
      return 0.75;
    default:
      return 1;
  }
}

const Tensor& xavier_uniform_(const Tensor& x, double gain) {
  return uniform_of_std("xavier_uniform_", x, xavier_std("xavier_uniform_", x, gain));
}
const Tensor& xavier_normal_(const Tensor& x, double gain) {
  return normal_of_std("xavier_normal_", x, xavier_std("xavier_normal_", x, gain));
}
const Tensor& kaiming_uniform_(const Tensor& x, double a, Fan mode, Nonlinearity nonlinearity) {
  return uniform_of_std("kaiming_uniform_", x, kaiming_std("kaiming_uniform_", x, a, mode, nonlinearity));
}
const Tensor& kaiming_normal_(const Tensor& x, double a, Fan mode, Nonlinearity nonlinearity) {
  return normal_of_std("kaiming_normal_", x, kaiming_std("kaiming_normal_", x, a, mode, nonlinearity));
}

const Tensor& orthogonal_(const Tensor& x, double gain) {
  fans("orthogonal_", x);
  TD_CHECK(std::isfinite(gain), ValueError, "orthogonal_: gain must be finite, not ", gain);
  if (x.numel() == 0) return x;
  const std::int64_t rows = x.size(0), columns = x.numel() / rows;
  detail::composed("orthogonal_", [&] {
    const Tensor drawn = empty({rows, columns}, x.options());
    kernels::normal(x.device(), {drawn, next_stream("orthogonal_", rows), 0, 1});
    const bool tall = rows > columns;
    const Tensor wide = cast(drawn, DType::f64), q = clone(tall ? transpose(wide, 0, 1) : wide);
    kernels::orthonormal(x.device(), {q});
    copy_(x, reshape((tall ? transpose(q, 0, 1) : q) * gain, x.sizes()));
  });
  return x;
}

const Tensor& eye_(const Tensor& x) {
  detail::check_defined("eye_", "x", x);
  TD_CHECK(x.dim() == 2, ShapeError, "eye_: x must be a matrix", arg("x", x));
  const Tensor host = zeros(x.sizes());
  for (std::int64_t i = 0; i < std::min(x.size(0), x.size(1)); ++i) host.data<float>()[i * (x.size(1) + 1)] = 1;
  return put("eye_", x, host);
}

const Tensor& dirac_(const Tensor& x, std::int64_t groups) {
  detail::check_defined("dirac_", "x", x);
  TD_CHECK(x.dim() >= 3 && x.dim() <= 5, ShapeError, "dirac_: x must be the weight of a convolution", arg("x", x));
  TD_CHECK(groups > 0 && x.size(0) % groups == 0, ValueError, "dirac_: ", groups, " groups do not divide ", x.size(0),
           " output channels", arg("x", x));
  const Tensor host = zeros(x.sizes());
  const Strides& step = host.strides();
  const std::int64_t each = x.size(0) / groups;
  for (std::int64_t i = 0; i < x.size(0) && x.numel() > 0; ++i) {
    if (i % each >= x.size(1)) continue;
    std::int64_t at = i * step[0] + i % each * step[1];
    for (int d = 2; d < x.dim(); ++d) at += x.size(d) / 2 * step[d];
    host.data<float>()[at] = 1;
  }
  return put("dirac_", x, host);
}

}  // namespace tapedeck
