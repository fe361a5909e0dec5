#include <tapedeck/autograd/gradcheck.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/philox.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

namespace tapedeck {
namespace {

using Values = std::vector<double>;

// Pointers to the elements of a strided tensor, in row-major order.
std::vector<double*> elements(const Tensor& x) {
  std::vector<double*> out;
  std::int64_t index[kMaxRank] = {};
  double* p = x.data<double>();
  for (std::int64_t n = x.numel(); n > 0; --n) {
    out.push_back(p);
    for (int d = x.dim() - 1; d >= 0; --d) {
      p += x.strides()[d];
      if (++index[d] < x.sizes()[d]) break;
      p -= x.sizes()[d] * x.strides()[d];
      index[d] = 0;
    }
  }
  return out;
}

Values values_of(const Tensor& y) { return y.to_vector<double>(); }

double random_sign(std::uint64_t row, std::uint64_t element) {  // in [-1, 1) and away from 0
  const double u = 2.0 * static_cast<double>(uniform01(philox_word(0x67726164, row, element))) - 1;
  return u < 0 ? u - 0.25 : u + 0.25;
}

// Everything that both ways of checking need: the point, and how to evaluate and differentiate there.
struct Check {
  GradcheckFn fn;
  const std::vector<Tensor>& inputs;
  GradcheckOptions options;
  std::vector<std::vector<double*>> at;
  GradcheckReport report;

  // d y / d t at 0 along x + t * direction, for every output, by the 4-point stencil; `noise` gets what rounding can
  // add.
  Values slope(const std::vector<Values>& direction, double& noise) {
    std::vector<Values> original;
    for (const auto& pointers : at) {
      Values& v = original.emplace_back();
      for (const double* p : pointers) v.push_back(*p);
    }
    const double h = options.step, steps[] = {-2 * h, -h, h, 2 * h}, weights[] = {1 / 12., -8 / 12., 8 / 12., -1 / 12.};
    Values total;
    for (int s = 0; s < 4; ++s) {
      for (std::size_t i = 0; i < at.size(); ++i)
        for (std::size_t k = 0; k < at[i].size(); ++k) {
          const double scale = std::max(1.0, std::fabs(original[i][k]));
          *at[i][k] = original[i][k] + steps[s] * scale * direction[i][k];
        }
      const Values y = values_of(fn(inputs));
      total.resize(y.size());
      for (std::size_t j = 0; j < y.size(); ++j) {
        total[j] += weights[s] * y[j] / h;
        noise = std::max(noise, 16 * std::numeric_limits<double>::epsilon() * std::fabs(y[j]) / h);
      }
    }
    for (std::size_t i = 0; i < at.size(); ++i)
      for (std::size_t k = 0; k < at[i].size(); ++k) *at[i][k] = original[i][k];
    return total;
  }

  // The gradient of sum(y * gy) for every input; zeros where none arrives.
  std::vector<Values> gradient(const std::function<Tensor(const Tensor& y)>& incoming) {
    Tape tape;
    for (const Tensor& x : inputs) tape.watch(x);
    const Tensor y = fn(inputs);
    std::vector<Values> out;
    if (is_recorded(y)) tape.backward(y, incoming(y));
    for (const Tensor& x : inputs) {
      const Tensor g = tape.grad(x);
      out.push_back(g.defined() ? values_of(g) : Values(static_cast<std::size_t>(x.numel())));
    }
    return out;
  }

  // d(direction) / dt of element k of input i is scaled as the stencil scales it.
  double scaled(std::size_t i, std::size_t k) const { return std::max(1.0, std::fabs(*at[i][k])); }

  // A NaN or an infinity in either fails; a NaN stays the worst.
  void compare(double analytic, double numeric, double sum, double noise, const std::string& where) {
    const double error = std::fabs(analytic - numeric);
    if (!(std::isfinite(error) && error <= options.bound * sum + noise)) report.ok = false;
    const double part = error <= noise ? 0 : error / std::max(sum, std::numeric_limits<double>::min());
    if (part <= report.worst || std::isnan(report.worst)) return;
    report.worst = part;
    report.where = where + ": gradient " + detail::join({analytic}) + ", finite difference " + detail::join({numeric});
  }

  void whole_jacobian(std::size_t outputs) {
    std::vector<std::vector<Values>> rows;  // [output][input][element]
    std::vector<Values> sums(outputs);      // of |gradient|, by output and input
    for (std::size_t j = 0; j < outputs; ++j) {
      rows.push_back(gradient([&](const Tensor& y) {
        const Tensor gy = zeros_like(y);
        gy.data<double>()[j] = 1;
        return gy;
      }));
      for (std::size_t i = 0; i < at.size(); ++i) {
        double& sum = sums[j].emplace_back(0);
        for (std::size_t k = 0; k < at[i].size(); ++k) sum += std::fabs(rows[j][i][k] * scaled(i, k));
      }
    }
    std::vector<Values> direction;
    for (const auto& pointers : at) direction.emplace_back(pointers.size());
    for (std::size_t i = 0; i < at.size(); ++i)
      for (std::size_t k = 0; k < at[i].size(); ++k) {
        direction[i][k] = 1;
        double noise = 0;
        const Values numeric = slope(direction, noise);
        direction[i][k] = 0;
        for (std::size_t j = 0; j < outputs; ++j)
          compare(rows[j][i][k] * scaled(i, k), numeric[j], sums[j][i], noise,
                  detail::join({"input ", i, " element ", k, " output ", j}));
      }
  }

  void random_directions(std::size_t outputs) {
    for (int r = 0; r < options.directions; ++r) {
      Values weights(outputs);
      for (std::size_t j = 0; j < outputs; ++j) weights[j] = random_sign(static_cast<std::uint64_t>(2 * r), j);
      const auto analytic = gradient([&](const Tensor& y) { return reshape(tensor(weights, {y.numel()}), y.sizes()); });
      for (std::size_t i = 0; i < at.size();
           ++i) {  // one input at a time: a small gradient is not hidden by a large one
        std::vector<Values> direction;
        for (const auto& pointers : at) direction.emplace_back(pointers.size());
        double sum = 0, expected = 0;
        for (std::size_t k = 0; k < at[i].size(); ++k) {
          direction[i][k] = random_sign(static_cast<std::uint64_t>(2 * r + 1), k + i * 1000003);
          const double term = analytic[i][k] * scaled(i, k) * direction[i][k];
          expected += term, sum += std::fabs(term);
        }
        double noise = 0;
        const Values numeric = slope(direction, noise);
        double total = 0;
        for (std::size_t j = 0; j < outputs; ++j) total += weights[j] * numeric[j];
        compare(expected, total, sum, noise * static_cast<double>(outputs),
                detail::join({"input ", i, " random direction ", r}));
      }
    }
  }

  GradcheckReport run() {
    std::int64_t elements_in = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      TD_CHECK(inputs[i].defined() && inputs[i].dtype() == DType::f64, DTypeError,
               "gradcheck: inputs must be f64; capture the others; input ", i, " is ", describe(inputs[i]));
      at.push_back(elements(inputs[i]));
      elements_in += inputs[i].numel();
    }
    const Tensor y = fn(inputs);
    TD_CHECK(y.dtype() == DType::f64, DTypeError, "gradcheck: the function must give f64", arg("y", y));
    const auto outputs = static_cast<std::size_t>(y.numel());
    if (elements_in * y.numel() <= options.full_limit)
      whole_jacobian(outputs);
    else
      random_directions(outputs);
    return report;
  }
};

}  // namespace

GradcheckReport gradcheck(GradcheckFn fn, const std::vector<Tensor>& inputs, GradcheckOptions options) {
  const NoGrad pause;  // evaluations are no part of a tape that may be alive
  return Check{fn, inputs, options, {}, {}}.run();
}

GradcheckReport gradgradcheck(GradcheckFn fn, const std::vector<Tensor>& inputs, GradcheckOptions options) {
  std::vector<Tensor> all = inputs;
  {
    const NoGrad pause;
    const Tensor y = fn(inputs);
    Values incoming(static_cast<std::size_t>(y.numel()));
    for (std::size_t j = 0; j < incoming.size(); ++j) incoming[j] = random_sign(99, j);
    all.push_back(reshape(tensor(incoming, {y.numel()}), y.sizes()));
  }
  const auto gradients = [&](std::span<const Tensor> xs) {
    std::optional<Tape> own;  // a stencil point has no tape yet; the analytic pass records on the one that is alive
    const std::span<const Tensor> points = xs.first(xs.size() - 1);
    if (!Tape::current()) {
      own.emplace();
      for (const Tensor& x : points) own->watch(x);
    }
    const Tensor weighted = fn(points) * xs.back();
    const std::vector<Tensor> wanted(points.begin(), points.end());
    std::vector<Tensor> flat;
    if (is_recorded(weighted)) {
      for (const Tensor& g : Tape::current()->gradients(weighted, wanted, {.create_graph = true}))
        flat.push_back(reshape(g, {g.numel()}));
    } else {  // a function that is constant piece by piece
      for (const Tensor& x : points) flat.push_back(zeros({x.numel()}, x.options()));
    }
    return cat(flat);
  };
  GradcheckReport report = gradcheck(gradients, all, options);
  // Consistent is not right: the gradients of the graph must be those of the rule as backward() runs it.
  Tape tape;
  for (const Tensor& x : inputs) tape.watch(x);
  const Tensor weighted = fn(inputs) * all.back();
  if (!is_recorded(weighted)) return report;
  const std::vector<Tensor> plain = tape.gradients(weighted, inputs),
                            graph = tape.gradients(weighted, inputs, {.create_graph = true});
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Values p = reshape(plain[i], {plain[i].numel()}).to_vector<double>(),
                 g = reshape(detach(graph[i]), {graph[i].numel()}).to_vector<double>();
    double largest = 0;
    for (const double v : p) largest = std::max(largest, std::fabs(v));
    for (std::size_t k = 0; k < p.size(); ++k) {
      const double part = p[k] == g[k] ? 0 : std::fabs(p[k] - g[k]) / largest;
      if (part <= options.bound) continue;
      report.ok = false, report.worst = std::max(report.worst, part);
      report.where = detail::join({"input ", i, " element ", k, ": gradient ", p[k], ", in a graph ", g[k]});
    }
  }
  return report;
}

}  // namespace tapedeck
