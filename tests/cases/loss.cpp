// Losses of pairs and of rows: bounds by how much each input moves the result; CTC and mixtures.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>

#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

using Call = std::function<Tensor(Args, Reduction)>;

const char* text_of(Reduction r) { return r == Reduction::none ? "none" : r == Reduction::mean ? "mean" : "sum"; }

std::vector<std::size_t> reals(Args x) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (is_real(x[i].dtype())) out.push_back(i);
  return out;
}
// Copies that a tape watches where they are real.
std::vector<Tensor> watched(Args x, Tape& tape) {
  std::vector<Tensor> out;
  for (const Tensor& e : x) {
    out.push_back(clone(e));
    if (is_real(e.dtype())) tape.watch(out.back());
  }
  return out;
}
std::vector<Tensor> pick(const std::vector<Tensor>& x, const std::vector<std::size_t>& which) {
  std::vector<Tensor> out;
  for (const std::size_t i : which) out.push_back(x[i]);
  return out;
}
Tensor finite(const Tensor& x) {  // NaN and infinities become 0
  const Tensor none = scalar(0, x.options()), large = scalar(1e300, x.options());
  return where(lt(abs(x), large), x, none);
}
// A row's part of a tensor [..., D], summed to the shape of the losses. Weights of classes: the loss is linear in them.
Tensor by_row(const Tensor& x, const Shape& shape) {
  if (x.dim() == 1 && shape.rank() > 0 && x.size(0) != shape[shape.rank() - 1]) return zeros(shape, x.options());
  return x.dim() == shape.rank() + 1 ? sum(x, {-1}) : sum_to(expand(x, shape), shape);
}

// |y| + the sum over inputs of |x dy/dx|, of every loss before the reduction.
Tensor condition(const Call& call, Args inputs) {
  Tape tape;
  const auto x = watched(inputs, tape);
  const auto which = reals(inputs);
  const Tensor y = call(x, Reduction::none);
  const auto g = tape.gradients(y, pick(x, which));
  const NoGrad pause;
  Tensor m = abs(detach(y));
  for (std::size_t i = 0; i < which.size(); ++i) m = m + by_row(finite(abs(x[which[i]] * g[i])), y.sizes());
  return m;
}
Magnitudes reduced(const Tensor& m, Reduction r) {
  return {values_of(r == Reduction::none ? m : r == Reduction::mean ? mean(m) : sum(m))};
}

// The same for the gradients. Losses of rows: the elements of a row one after the other, since all depend on all.
Magnitudes gradient_condition(const Call& call, Args inputs, Reduction r, const Tensor& gy, bool rows) {
  Tape tape;
  const auto x = watched(inputs, tape);
  const auto which = reals(inputs);
  const auto points = pick(x, which);
  const auto first = tape.gradients(call(x, r) * gy, points, {.create_graph = true});
  Magnitudes all;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::int64_t width = rows && points[i].dim() > 0 ? points[i].size(-1) : 1;
    std::vector<Tensor> columns;
    for (std::int64_t k = 0; k < width; ++k) {
      const Tensor part = rows ? narrow(first[i], -1, k, 1) : first[i];
      Tensor m;
      {
        const NoGrad pause;
        m = abs(detach(part));
      }
      if (is_recorded(part)) {
        const auto second = tape.gradients(part, points);
        const NoGrad pause;
        for (std::size_t j = 0; j < points.size(); ++j) {
          const Tensor moved = finite(abs(points[j] * second[j]));
          if (rows)
            m = m + (moved.dim() == m.dim() ? sum(moved, {-1}, true) : unsqueeze(moved, -1));
          else
            m = m + sum_to(expand(moved, broadcast_shapes("m", moved.sizes(), m.sizes())), m.sizes());
        }
      }
      columns.push_back(m);
    }
    const NoGrad pause;
    all.push_back(values_of(rows ? cat(columns, -1) : columns[0]));
  }
  return all;
}

struct Loss {
  const char *op, *text;
  std::vector<Input> inputs;  // values and ranges; shapes are the sweep's
  Call call;
  double low = -1, high = 1;  // of the inputs in the check by differences
  bool gradient = true;
  // Larger numbers on the way that take each other away: of every loss, and of the gradients of one loss of size 1.
  std::function<Tensor(Args)> inner{};
  std::function<std::vector<Tensor>(Args)> inner_gradients{};
};

std::int64_t row_count_of(const Tensor& x) {
  return std::max<std::int64_t>(1, x.numel() / std::max<std::int64_t>(1, x.size(-1)));
}

OpCase case_of(const Loss& l, std::vector<Input> inputs, Reduction r, bool rows) {
  OpCase c{.op = l.op,
           .text = std::string(l.text) + (*l.text ? " " : "") + text_of(r),
           .inputs = std::move(inputs),
           .call = [call = l.call, r, op = l.op](Args x) {
             return detail::composed(op, [&] { return Outputs{call(x, r)}; });
           }};
  const bool wide = c.inputs[0].dtype == DType::f64;
  c.bound = {.c = wide ? 64. : rows ? 12. : 6.};
  c.magnitude = [call = l.call, inner = l.inner, r](Args x, const Outputs&) {
    const Tensor m = condition(call, x);
    return reduced(inner ? m + inner(x) : m, r);
  };
  if (r == Reduction::none && c.inputs[0].shape.rank() > (rows ? 1 : 0))
    for (std::size_t i = 0; i < c.inputs.size(); ++i)
      if (c.inputs[i].shape.rank() > 0 && c.inputs[i].shape[0] == c.inputs[0].shape[0]) c.rows |= 1u << i;
  c.differentiable = l.gradient;
  c.low = l.low, c.high = l.high;
  c.gradient_in_parts = true;
  c.gradient_bound = {.c = rows ? 24. : 12.};
  c.gradient_magnitude = [call = l.call, inner = l.inner_gradients, r, rows](Args x, const Outputs&, const Tensor& gy) {
    Magnitudes all = gradient_condition(call, x, r, gy, rows);
    if (!inner) return all;
    const auto more = inner(x);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double n = r == Reduction::mean ? static_cast<double>(row_count_of(x[0])) : 1;
      const auto v = values_of(more[i] * (r == Reduction::none ? unsqueeze(abs(gy), -1) : abs(gy)) / n);
      for (std::size_t k = 0; k < v.size(); ++k) all[i][k] += v[k];
    }
    return all;
  };
  return c;
}

Input plain(Values values = Values::normal, double low = -1, double high = 1) {
  return {{}, DType::f32, {}, values, low, high};
}

void add_pairs(std::vector<OpCase>& t) {
  const Input x = plain(), unit = plain(Values::range, 0.01, 0.99), wide = plain(Values::range, -40, 40),
              positive = plain(Values::range, 0.05, 4);
  const auto sign = [](const Tensor& v) {
    return where(lt(v, scalar(0, v.options())), scalar(-1, v.options()), scalar(1, v.options()));
  };
  const std::vector<Loss> losses{
      {"mse_loss", "", {x, x}, [](Args a, Reduction r) { return mse_loss(a[0], a[1], r); }},
      {"l1_loss", "", {x, x}, [](Args a, Reduction r) { return l1_loss(a[0], a[1], r); }},
      {"smooth_l1_loss", "", {x, x}, [](Args a, Reduction r) { return smooth_l1_loss(a[0], a[1], r); }},
      {"smooth_l1_loss", "beta 0.2", {x, x}, [](Args a, Reduction r) { return smooth_l1_loss(a[0], a[1], r, 0.2); }},
      {"huber_loss", "", {x, x}, [](Args a, Reduction r) { return huber_loss(a[0], a[1], r); }},
      {"huber_loss", "delta 0.2", {x, x}, [](Args a, Reduction r) { return huber_loss(a[0], a[1], r, 0.2); }},
      {"binary_cross_entropy",
       "",
       {unit, unit},
       [](Args a, Reduction r) { return binary_cross_entropy(a[0], a[1], {}, r); },
       0.1,
       0.9},
      {"binary_cross_entropy",
       "weighted",
       {unit, unit, unit},
       [](Args a, Reduction r) { return binary_cross_entropy(a[0], a[1], a[2], r); },
       0.1,
       0.9},
      {"binary_cross_entropy_with_logits",
       "",
       {wide, unit},
       [](Args a, Reduction r) { return binary_cross_entropy_with_logits(a[0], a[1], {}, r); }},
      {"binary_cross_entropy_with_logits",
       "weights",
       {x, unit, unit, unit},
       [](Args a, Reduction r) { return binary_cross_entropy_with_logits(a[0], a[1], a[2], r, a[3]); }},
      {"kl_div", "", {x, positive}, [](Args a, Reduction r) { return kl_div(a[0], a[1], r); }, 0.2, 2},
      {"kl_div", "log_target", {x, x}, [](Args a, Reduction r) { return kl_div(a[0], a[1], r, true); }},
      {"gaussian_nll_loss",
       "",
       {x, x, positive},
       [](Args a, Reduction r) { return gaussian_nll_loss(a[0], a[1], a[2], false, 1e-6, r); },
       0.3,
       2},
      {"gaussian_nll_loss",
       "full eps 0.5",
       {x, x, positive},
       [](Args a, Reduction r) { return gaussian_nll_loss(a[0], a[1], a[2], true, 0.5, r); },
       0.6,
       2},
      {"poisson_nll_loss",
       "",
       {x, positive},
       [](Args a, Reduction r) { return poisson_nll_loss(a[0], a[1], true, false, 1e-8, r); },
       0.2,
       2},
      {"poisson_nll_loss",
       "not log, full",
       {positive, positive},
       [](Args a, Reduction r) { return poisson_nll_loss(a[0], a[1], false, true, 1e-8, r); },
       1.1,
       3,
       true,
       [](Args a) { return a[0] + a[1] * (abs(log(a[0])) + abs(log(a[1])) + 2) + 2; }},
      {"soft_margin_loss",
       "",
       {wide, x},
       [=](Args a, Reduction r) { return soft_margin_loss(a[0], sign(a[1]), r); },
       0.1,
       2},
      {"hinge_embedding_loss",
       "",
       {x, x},
       [=](Args a, Reduction r) { return hinge_embedding_loss(a[0], sign(a[1]), 1, r); },
       0.1,
       0.9},
      {"hinge_embedding_loss",
       "margin 0.3",
       {x, x},
       [=](Args a, Reduction r) { return hinge_embedding_loss(a[0], sign(neg(a[1])), 0.3, r); },
       0.4,
       2},
      {"margin_ranking_loss",
       "",
       {x, x, x},
       [=](Args a, Reduction r) { return margin_ranking_loss(a[0], a[1], sign(a[2]), 0, r); },
       0.1,
       2},
      {"margin_ranking_loss",
       "margin 3",
       {x, x, x},
       [=](Args a, Reduction r) { return margin_ranking_loss(a[0], a[1], sign(a[2]), 3, r); },
       0.1,
       1},
  };
  for (const Loss& l : losses)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape : shapes())
        for (const Layout layout : layouts(shape))
          for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum}) {
            if (r != Reduction::none && layout != Layout::contiguous) continue;
            if (r == Reduction::mean && shape.numel() == 0) continue;
            std::vector<Input> inputs = l.inputs;
            for (Input& in : inputs) in.shape = shape, in.dtype = dtype, in.layout = layout;
            if (inputs.size() > 2 && shape.rank() > 1 && layout == Layout::contiguous &&
                std::string(l.op).starts_with("binary"))
              inputs[2].shape = {shape[shape.rank() - 1]};  // a weight that broadcasts
            t.push_back(case_of(l, std::move(inputs), r, false));
          }
}

// A third of the classes of each row, then -1, then what is not read.
Tensor labels_like(const Tensor& x) {
  if (!x.defined() || x.dim() == 0) return {};
  const std::int64_t classes = x.size(-1);
  std::vector<std::int64_t> v;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const std::int64_t k = i % classes;
    v.push_back(k == (classes + 2) / 3 ? -1 : 5 * k % classes);
  }
  return tensor(v, x.sizes());
}

void add_rows(std::vector<OpCase>& t) {
  const Input x = plain(), index{{}, DType::i64, {}, Values::range, 0, 1}, weight = plain(Values::range, 0.25, 2);
  const auto sign = [](const Tensor& v) {
    return where(lt(v, scalar(0, v.options())), scalar(-1, v.options()), scalar(1, v.options()));
  };
  std::vector<Loss> losses{
      {"multi_margin_loss",
       "",
       {x, index},
       [](Args a, Reduction r) { return multi_margin_loss(a[0], a[1], 1, 1, {}, r); },
       -0.4,
       0.4},
      {"multi_margin_loss",
       "p 2 weighted",
       {x, index, weight},
       [](Args a, Reduction r) { return multi_margin_loss(a[0], a[1], 2, 1, a[2], r); },
       0.1,
       0.9},
      {"multilabel_margin_loss",
       "",
       {x},
       [=](Args a, Reduction r) { return multilabel_margin_loss(a[0], labels_like(a[0]).to(a[0].device()), r); },
       -0.4,
       0.4},
      {"multilabel_soft_margin_loss",
       "",
       {x, x},
       [](Args a, Reduction r) { return multilabel_soft_margin_loss(a[0], a[1], {}, r); }},
      {"multilabel_soft_margin_loss",
       "weighted",
       {x, x, weight},
       [](Args a, Reduction r) { return multilabel_soft_margin_loss(a[0], a[1], a[2], r); }},
      {"cosine_embedding_loss",
       "",
       {x, x, x},
       [=](Args a, Reduction r) { return cosine_embedding_loss(a[0], a[1], sign(select(a[2], -1, 0)), 0, r); },
       0.1,
       2},
      {"cosine_embedding_loss",
       "margin -1",
       {x, x, x},
       [=](Args a, Reduction r) { return cosine_embedding_loss(a[0], a[1], sign(select(a[2], -1, 0)), -1, r); },
       0.1,
       2},
      {"triplet_margin_loss",
       "",
       {x, x, x},
       [](Args a, Reduction r) { return triplet_margin_loss(a[0], a[1], a[2], 4, 2, 1e-6, false, r); }},
      {"triplet_margin_loss",
       "p 1",
       {x, x, x},
       [](Args a, Reduction r) { return triplet_margin_loss(a[0], a[1], a[2], 4000, 1, 1e-6, false, r); }},
      {"triplet_margin_loss",
       "swap",
       {x, x, x},
       [](Args a, Reduction r) { return triplet_margin_loss(a[0], a[1], a[2], 1, 2, 1e-6, true, r); },
       -1,
       1,
       false},
  };
  for (Loss& l : losses) {
    if (std::string(l.op) != "cosine_embedding_loss") continue;
    l.inner = [](Args a) { return full(select(a[0], -1, 0).sizes(), 1, a[0].options()); };  // the cosine beside 1
    l.inner_gradients = [](Args a) {  // x2 / (|x1| |x2|) beside cosine x1 / |x1|^2
      const Tensor n1 = sqrt(sum(square(a[0]), {-1}, true)), n2 = sqrt(sum(square(a[1]), {-1}, true));
      const auto of = [](const Tensor& x, const Tensor& y, const Tensor& nx, const Tensor& ny) {
        return abs(y) / (nx * ny) + abs(x) / square(nx);
      };
      return std::vector{of(a[0], a[1], n1, n2), of(a[1], a[0], n2, n1), zeros_like(a[2])};
    };
  }
  for (const Loss& l : losses)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape :
           {Shape{5}, Shape{1, 1}, Shape{7, 3}, Shape{2, 3, 4}, Shape{33, 17}, Shape{0, 4}, Shape{2, 3, 2, 5}})
        for (const Layout layout : layouts(shape))
          for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum}) {
            if (r != Reduction::none && layout != Layout::contiguous) continue;
            if (r == Reduction::mean && shape.numel() == 0) continue;
            Shape rows = shape;
            rows.erase(shape.rank() - 1);
            const std::int64_t classes = shape[shape.rank() - 1];
            std::vector<Input> inputs = l.inputs;
            for (Input& in : inputs) {
              const bool labels = in.dtype == DType::i64, weights = in.low == 0.25;
              in.shape = labels ? rows : weights ? Shape{classes} : shape;
              if (!labels) in.dtype = dtype;
              if (labels) in.high = static_cast<double>(classes);
              if (!labels && !weights) in.layout = layout;
            }
            OpCase c = case_of(l, std::move(inputs), r, true);
            if (l.inner_gradients && classes == 1) c.differentiable = false;  // a cosine of 1 or -1, whatever moves
            // Every class a weight of its own: the elements of one row are not all that it depends on.
            for (std::size_t i = 0; i < c.inputs.size(); ++i)
              if (c.inputs[i].low == 0.25) c.differentiable = false, c.rows &= ~(1u << i);
            t.push_back(std::move(c));
          }
}

}  // namespace

void add_loss(std::vector<OpCase>& t) {
  add_pairs(t);
  add_rows(t);
}

}  // namespace tapedeck::cases
