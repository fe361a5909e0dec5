// Initial values of weights, and samples of mixtures.
#include <tapedeck/autograd/ops.h>

#include "cases/draws.h"

namespace tapedeck::cases {
namespace {

const Shape kWeights[] = {{1, 1},    {3, 5},       {8, 2}, {33, 17}, {5, 4, 3},
                          {2, 6, 1}, {4, 3, 3, 5}, {0, 4}, {7, 7},   {64, 30}};

struct Kind {
  const char* op;
  std::string text;
  bool uniform;
  std::function<const Tensor&(const Tensor&)> call;
  std::function<double(double in, double out)> std;
};

// Uniforms within sqrt(3) deviations, or normals.
void add_fans(std::vector<OpCase>& t) {
  using N = Nonlinearity;
  const auto xavier = [](double gain) {
    return [=](double in, double out) { return gain * std::sqrt(2 / (in + out)); };
  };
  std::vector<Kind> kinds;
  for (const double gain : {1., 1.5, 5. / 3}) {
    const std::string text = "gain " + std::to_string(gain).substr(0, 4);
    kinds.push_back({"xavier_uniform_", text, true,
                     [=](const Tensor& x) -> const Tensor& { return xavier_uniform_(x, gain); }, xavier(gain)});
    kinds.push_back({"xavier_normal_", text, false,
                     [=](const Tensor& x) -> const Tensor& { return xavier_normal_(x, gain); }, xavier(gain)});
  }
  struct Gain {
    N kind;
    double a, value;
  };
  for (const Gain& g : {Gain{N::leaky_relu, 0, std::sqrt(2.)}, Gain{N::leaky_relu, 0.5, std::sqrt(1.6)},
                        Gain{N::relu, 0, std::sqrt(2.)}, Gain{N::tanh, 0, 5. / 3}, Gain{N::selu, 0, 0.75},
                        Gain{N::linear, 0, 1}, Gain{N::conv, 0, 1}, Gain{N::sigmoid, 0, 1}})
    for (const Fan mode : {Fan::fan_in, Fan::fan_out}) {
      const std::string text = "nonlinearity " + std::to_string(static_cast<int>(g.kind)) + " a " +
                               std::to_string(g.a).substr(0, 3) + (mode == Fan::fan_in ? " fan_in" : " fan_out");
      const auto std = [=](double in, double out) { return g.value / std::sqrt(mode == Fan::fan_in ? in : out); };
      kinds.push_back({"kaiming_uniform_", text, true,
                       [=](const Tensor& x) -> const Tensor& { return kaiming_uniform_(x, g.a, mode, g.kind); }, std});
      kinds.push_back({"kaiming_normal_", text, false,
                       [=](const Tensor& x) -> const Tensor& { return kaiming_normal_(x, g.a, mode, g.kind); }, std});
    }
  for (const Kind& k : kinds)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape : kWeights) {
        t.push_back(seeded(
            k.op, k.text + " " + to_string(shape) + " " + tapedeck::name(dtype), 6,
            [=, call = k.call] {
              return clone(call(empty(shape, {dtype, here()})));
            },
            [=, std_of = k.std, uniform = k.uniform] {
              double field = 1;
              for (int d = 2; d < shape.rank(); ++d) field *= static_cast<double>(shape[d]);
              const double std = std_of(static_cast<double>(shape[1]) * field, static_cast<double>(shape[0]) * field);
              Expected r =
                  drawn(shape, dtype, first_key(6, uniform ? "uniform_" : "normal_", shape),
                        [=](auto key, auto row, auto e) -> Wide {
                          return std * (uniform ? std::sqrt(3.) * (2 * unit(key, row, e) - 1) : gauss(key, row, e));
                        });
              for (const Wide v : r.value) r.magnitude.push_back(static_cast<double>(std::fabs(v)) + 2 * std);
              return r;
            }));
        t.back().bound = {.c = 4};
      }
}

// The products of all rows (or columns) with each other: gain^2 or 0.
void add_orthogonal(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kWeights)
      for (const double gain : {1., 1.4142135623730951, 0.5})
        for (const std::uint64_t seed : {1, 2}) {
          const std::int64_t rows = shape[0], columns = rows > 0 ? shape.numel() / rows : 0;
          const std::int64_t n = std::min(rows, columns);
          t.push_back(seeded(
              "orthogonal_", to_string(shape) + " " + tapedeck::name(dtype) + " gain " + std::to_string(gain), seed,
              [=] {
                const Tensor q = cast(orthogonal_(empty(shape, {dtype, here()}), gain), DType::f64);
                const Tensor m = reshape(q, {rows, columns});
                return rows > columns ? matmul(transpose(m, 0, 1), m) : matmul(m, transpose(m, 0, 1));
              },
              [=] {
                Expected r{{n, n}, DType::f64, {}, {}};
                for (std::int64_t i = 0; i < n * n; ++i) {
                  r.value.push_back(i / n == i % n ? Wide(gain) * gain : 0);
                  r.magnitude.push_back(gain * gain);
                }
                return r;
              }));
          // The elements were rounded to dtype: 1e-6 in f32.
          t.back().bound = {.c = dtype == DType::f32 ? 1e-6 * 0x1p53 : 64};
        }
}

void add_exact(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i64})
    for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced})
      for (const Shape& shape :
           {Shape{1, 1}, Shape{3, 5}, Shape{8, 2}, Shape{0, 4}, Shape{33, 17}, Shape{4, 4}, Shape{1, 9}})
        t.push_back(seeded(
            "eye_", to_string(shape) + " " + tapedeck::name(dtype) + " " + name(layout), 1,
            [=] {
              return clone(eye_(laid_out(full(shape, 7, {dtype, here()}), layout)));
            },
            [=] {
              Expected r{shape, dtype, {}, {}};
              for (std::int64_t i = 0; i < shape.numel(); ++i) r.value.push_back(i / shape[1] == i % shape[1]);
              return r;
            }));
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced})
      for (const Shape& shape :
           {Shape{4, 2, 3}, Shape{4, 4, 1}, Shape{6, 2, 4}, Shape{4, 3, 3, 5}, Shape{2, 5, 1, 2, 3}, Shape{0, 3, 3}})
        for (const std::int64_t groups : {1, 2})
          t.push_back(seeded(
              "dirac_",
              to_string(shape) + " " + tapedeck::name(dtype) + " " + name(layout) + " groups " + std::to_string(groups),
              1,
              [=] {
                return clone(dirac_(laid_out(full(shape, 7, {dtype, here()}), layout), groups));
              },
              [=] {
                Expected r{shape, dtype, {}, {}};
                for (std::int64_t i = 0; i < shape.numel(); ++i) {
                  std::int64_t rest = i;
                  bool one = true;
                  for (int d = shape.rank() - 1; d >= 2; --d) {
                    one = one && rest % shape[d] == shape[d] / 2;
                    rest /= shape[d];
                  }
                  r.value.push_back(one && rest / shape[1] % (shape[0] / groups) == rest % shape[1]);
                }
                return r;
              }));
}

// By the largest logit with Gumbel noise, then one draw; clamped.
void add_samples(std::vector<OpCase>& t) {
  for (const bool gaussian : {false, true})
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& rows : {Shape{1}, Shape{7}, Shape{3, 5}, Shape{0, 2}, Shape{40, 3}})
        for (const std::int64_t k : {1, 3, 10})
          for (const double temperature : {1., 0.5, 0.}) {
            Shape shape = rows;
            shape.push(3 * k);
            const char* op = gaussian ? "sample_from_mix_gaussian" : "sample_from_discretized_mix_logistic";
            OpCase c{.op = op,
                     .text = "temperature " + std::to_string(temperature).substr(0, 3),
                     .inputs = {{shape, dtype, Layout::contiguous, Values::range, -2, 0.5}}};
            c.call = [=](Args x) {
              const RandomScope scope(8, 1);
              return Outputs{gaussian ? sample_from_mix_gaussian(x[0], -1.5, temperature)
                                      : sample_from_discretized_mix_logistic(x[0], -1.5, temperature)};
            };
            c.oracle = [=](Args x) {
              const auto v = values_of(cast(x[0], DType::f64));
              std::uint64_t choice, noise;
              {
                const RandomScope scope(8, 1);
                choice = next_stream(op, rows[0]).key;
                noise = next_stream(gaussian ? "randn" : op, rows[0]).key;
              }
              Expected r{rows, x[0].dtype(), {}, {}};
              const std::int64_t each = rows[0] > 0 ? rows.numel() / rows[0] : 0;
              for (std::int64_t i = 0; i < rows.numel(); ++i) {
                const double* at = v.data() + i * 3 * k;
                const auto row = static_cast<std::uint64_t>(i / each), e = static_cast<std::uint64_t>(i % each);
                std::int64_t best = 0;
                double most = -std::numeric_limits<double>::infinity();
                for (std::int64_t j = 0; j < k; ++j) {
                  double logit = at[j];
                  if (temperature > 0)
                    logit = logit / temperature -
                            std::log(-std::log(open_unit(
                                choice, row, e * static_cast<std::uint64_t>(k) + static_cast<std::uint64_t>(j))));
                  if (logit > most) most = logit, best = j;
                }
                double y = at[k + best];
                const double scale = temperature * std::exp(std::max(at[2 * k + best], -1.5));
                const double u = temperature > 0 ? open_unit(noise, row, e) : 0.5;
                const double z = temperature == 0 ? 0 : gaussian ? gauss(noise, row, e) : std::log(u / (1 - u));
                r.magnitude.push_back(std::fabs(y) + std::fabs(scale * z) + scale);
                y += scale * z;
                r.value.push_back(std::min(1., std::max(-1., y)));
              }
              return std::vector{r};
            };
            c.bound = {.c = 8};
            t.push_back(std::move(c));
          }
}

}  // namespace

void add_init(std::vector<OpCase>& t) { add_fans(t), add_orthogonal(t), add_exact(t), add_samples(t); }

}  // namespace tapedeck::cases
