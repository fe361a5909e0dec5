// Matrix products and linear layers: |y - r| <= c u S, S the sum of the absolute terms.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/steps.h>

#include <tuple>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

// Signed terms; all positive ones add their rounding in one direction.
double bound_for(Values values) {
  return values == Values::positive || values == Values::cancelling ? 32 : 8;  // cancelling ones share their signs
}

void finish(OpCase& c, Values values, unsigned rows, bool differentiable) {
  c.bound = {.c = bound_for(values)}, c.relative = Relative::absolute;
  c.rows = rows;
  c.differentiable = differentiable;
  c.gradient_bound = {.c = bound_for(values)}, c.gradient_relative = Relative::absolute;
}

void add_product(std::vector<OpCase>& t, const Shape& a, const Shape& b, Layout la, Layout lb, DType dtype,
                 Values values, unsigned rows) {
  OpCase c{.op = "matmul", .text = "", .inputs = {{a, dtype, la, values}, {b, dtype, lb, values}}, .call = [](Args x) {
             return Outputs{matmul(x[0], x[1])};
           }};
  const bool small = a.numel() + b.numel() < (dtype == DType::f64 ? 1500 : 20000);
  finish(c, values, rows, values == Values::normal && small);
  c.flops = 2 * static_cast<double>(a.numel()) * static_cast<double>(b.rank() > 1 ? b[b.rank() - 1] : 1);
  t.push_back(std::move(c));
}

void add_matmuls(std::vector<OpCase>& t) {
  constexpr Layout C = Layout::contiguous, T = Layout::transposed, S = Layout::sliced;
  const std::int64_t sizes[] = {0, 1, 2, 7, 16, 17, 64};
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t m : sizes)
      for (const std::int64_t n : sizes)
        for (const std::int64_t k : sizes)
          for (const auto& [la, lb] : {std::pair{C, C}, {T, C}, {C, T}, {T, T}})
            if ((la == C && lb == C) || m + n + k < 60)
              add_product(t, {m, k}, {k, n}, la, lb, dtype, Values::normal, 1);
    for (const std::int64_t k : {255, 256, 257, 513, 1000})  // across the chunks of the sum
      for (const std::int64_t m : {1, 5, 33})
        for (const std::int64_t n : {1, 16, 50})
          for (const auto& [la, lb] : {std::pair{C, C}, {T, C}, {C, T}, {T, T}, {S, C}, {C, S}, {S, S}})
            for (const Values values : {Values::normal, Values::positive, Values::cancelling})
              if (values == Values::normal || la == lb) add_product(t, {m, k}, {k, n}, la, lb, dtype, values, 1);
    for (const std::int64_t m : {14, 40, 110})  // few and many tiles of rows; whole and broken panels of columns
      for (const std::int64_t n : {48, 64, 100, 144, 170})
        for (const std::int64_t k : {24, 300})
          for (const auto& [la, lb] : {std::pair{C, C}, {T, C}, {C, T}, {S, S}})
            add_product(t, {m, k}, {k, n}, la, lb, dtype, Values::normal, 1);
    for (const std::int64_t few : {1, 3, 4, 6, 8, 9})  // rows of y, then columns; the other operand's k are neighbours
      for (const std::int64_t many : {31, 33, 100})
        for (const std::int64_t k : {40, 300}) {
          for (const Layout la : {C, T}) add_product(t, {few, k}, {k, many}, la, T, dtype, Values::normal, 1);
          for (const Layout lb : {C, T}) add_product(t, {many, k}, {k, few}, C, lb, dtype, Values::normal, 1);
        }
    for (const Layout l : {C, T}) {  // divided among threads
      add_product(t, {1, 530}, {530, 700}, l, T, dtype, Values::normal, 1);
      add_product(t, {1, 530}, {530, 700}, l, C, dtype, Values::normal, 1);
      add_product(t, {700, 530}, {530, 2}, C, l, dtype, Values::normal, 1);
    }
    for (const Layout l : {C, T, S}) add_product(t, {530, 21}, {21, 100}, l, l, dtype, Values::normal, 1);
    for (const Values values : {Values::normal, Values::nonfinite}) {
      for (const Layout l : {C, T, S}) {
        add_product(t, {130, 70}, {70, 90}, l, l, dtype, values, 1);
        for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{{{3, 4, 5}, {5, 2}},
                                                                       {{2, 3, 4}, {2, 4, 5}},
                                                                       {{3, 4}, {2, 4, 5}},
                                                                       {{2, 1, 3, 4}, {3, 4, 2}},
                                                                       {{0, 3, 4}, {4, 2}},
                                                                       {{2, 1, 3, 2}, {2, 3, 2, 2}},
                                                                       {{1, 7, 9}, {5, 9, 3}},
                                                                       {{4, 16, 33}, {33, 8}}})
          add_product(t, a, b, l, l, dtype, values, a.rank() > 2 && a[0] > 1 ? (b.rank() == a.rank() ? 3 : 1) : 0);
        for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{
                 {{7}, {7}}, {{5}, {5, 3}}, {{3, 5}, {5}}, {{5}, {2, 5, 3}}, {{2, 3, 5}, {5}}, {{0}, {0}}, {{1}, {1}}})
          add_product(t, a, b, l, l, dtype, values, 0);
      }
    }
  }
}

// Attention's products: batch and head are dimensions that no one stride walks.
void add_heads(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& [q, k, heads, size] : {std::tuple{5, 6, 3, 4}, {1, 7, 2, 16}, {17, 16, 4, 8}, {0, 3, 2, 2}})
      for (const std::int64_t batch : {1, 3})
        for (const Layout layout : {Layout::contiguous, Layout::sliced}) {
          OpCase c{.op = "matmul",
                   .text = "heads",
                   .inputs = {{{batch, q, heads, size}, dtype, layout}, {{batch, k, heads, size}, dtype, layout}},
                   .call = [](Args x) {
                     return detail::composed("matmul", [&] {
                       return Outputs{matmul(permute(x[0], {0, 2, 1, 3}), permute(x[1], {0, 2, 3, 1}))};
                     });
                   }};
          finish(c, Values::normal, 3, dtype == DType::f32 || q < 10);
          t.push_back(std::move(c));
        }
}

using Linear = Tensor (*)(const Tensor&, const Tensor&, const Tensor&);

void add_linear(std::vector<OpCase>& t, const char* op, Linear f) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& lead : {Shape{}, Shape{1}, Shape{7}, Shape{0}, Shape{2, 9}, Shape{2, 3, 4}, Shape{65}})
      for (const auto& [in, out] :
           {std::pair<std::int64_t, std::int64_t>{1, 1}, {5, 3}, {16, 32}, {64, 17}, {257, 8}, {300, 65}})
        for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced})
          for (const bool biased : {false, true})
            for (const Values values : {Values::normal, Values::positive}) {
              Shape x = lead;
              x.push(in);
              if (!has_layout(x, layout) || (values == Values::positive && layout != Layout::contiguous)) continue;
              OpCase c{.op = op,
                       .text = biased ? "bias" : "no bias",
                       .inputs = {{x, dtype, layout, values}, {{out, in}, dtype, layout, values}},
                       .call = [=](Args a) { return Outputs{f(a[0], a[1], biased ? a[2] : Tensor())}; }};
              if (biased) c.inputs.push_back({{out}, dtype, layout, values});
              // Finite differences do not see a kink: of linear_relu's f64 the tables of autograd tell.
              const bool smooth = dtype == DType::f32 || f == linear;
              finish(c, values, lead.rank() > 0 ? 1 : 0,
                     smooth && values == Values::normal && x.numel() + in * out < (dtype == DType::f64 ? 1500 : 20000));
              c.flops = 2 * static_cast<double>(x.numel() * out);
              t.push_back(std::move(c));
            }
}
// What is no number stays none, and no infinity is made.
void add_linear_relu_of_any(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& [rows, in, out] : {std::array<std::int64_t, 3>{9, 16, 32}, {70, 40, 17}, {300, 256, 128}})
      for (const bool biased : {false, true}) {
        OpCase c{.op = "linear_relu",
                 .text = biased ? "bias" : "no bias",
                 .inputs = {{{rows, in}, dtype, Layout::contiguous, Values::nonfinite},
                            {{out, in}, dtype, Layout::contiguous, Values::normal}},
                 .call = [=](Args a) { return Outputs{linear_relu(a[0], a[1], biased ? a[2] : Tensor())}; }};
        if (biased) c.inputs.push_back({{out}, dtype, Layout::contiguous, Values::normal});
        finish(c, Values::nonfinite, 1, false);
        t.push_back(std::move(c));
      }
}

// A product of a step, its row in two segments, and the same with an addition or a gate behind. The reference is made
// of ops in f64.
Tensor step_product(const Tensor& x, const Tensor& given, const Tensor& bias, kernels::StepThen then, DType dtype) {
  using kernels::StepThen;
  const std::int64_t rows = x.size(0), k = x.size(1), n = given.size(0) / (then == StepThen::gate ? 2 : 1);
  const Tensor add = then == StepThen::add ? mul(narrow(x, 1, 0, 1), full({1, n}, 0.5, x.options())) : Tensor();
  if (x.dtype() == DType::f64) {
    const Tensor weight = dtype == DType::bf16 ? cast(cast(given, dtype), given.dtype()) : given;
    const Tensor s = linear(x, weight, bias);
    return then == StepThen::gate ? gated_activation(s) : then == StepThen::add ? tapedeck::add(add, s) : s;
  }
  const Tensor row = contiguous(x), y = empty({rows, n}, x.options());
  kernels::StepPart part;
  kernels::StepProduct& p = part.product;
  p.segments = 2, p.x[0] = {row.data<float>(), k / 3, k}, p.x[1] = {row.data<float>() + k / 3, k - k / 3, k};
  p.rows = rows, p.k = k, p.n = n, p.then = then, p.bias = bias.defined(), p.weights = dtype;
  if (add.defined()) p.add = add.data<float>(), p.add_row = n;
  p.y = y.data<float>(), p.y_row = n;
  const Tensor packed = empty({kernels::step_bytes(p)}, {DType::u8});
  p.weight = packed.data<std::uint8_t>();
  kernels::pack_step(given.view(), bias.defined() ? bias.view() : TensorView(), p, packed.data<std::uint8_t>());
  kernels::steps(kCpu, {&part, 1});
  return y;
}

void add_steps(std::vector<OpCase>& t) {
  using kernels::StepThen;
  for (const std::int64_t rows : {1, 2, 5})
    for (const std::int64_t k : {1, 2, 16, 67, 256, 257, 600})
      for (const std::int64_t n : {1, 7, 16, 17, 64, 130})
        for (const bool biased : {false, true})
          for (const auto& [then, values, weights] : {std::tuple{StepThen::store, Values::normal, DType::f32},
                                                      {StepThen::store, Values::positive, DType::f32},
                                                      {StepThen::store, Values::normal, DType::bf16},
                                                      {StepThen::add, Values::normal, DType::f32},
                                                      {StepThen::gate, Values::normal, DType::f32}}) {
            if (then == StepThen::gate && k > 16) continue;  // where sums are small, as the bound wants them
            const std::int64_t outputs = then == StepThen::gate ? 2 * n : n;
            const char* what = then == StepThen::gate ? " gate" : then == StepThen::add ? " add" : "";
            OpCase c{.op = "kernel steps",
                     .text = std::string(biased ? "bias" : "no bias") + what + (weights == DType::bf16 ? " bf16" : ""),
                     .inputs = {{{rows, k}, DType::f32, Layout::contiguous, values},
                                {{outputs, k}, DType::f32, Layout::contiguous, values}}};
            c.call = [=, then = then, weights = weights](Args x) {
              return Outputs{step_product(x[0], x[1], biased ? x[2] : Tensor(), then, weights)};
            };
            if (biased) c.inputs.push_back({{outputs}, DType::f32, Layout::contiguous, values});
            finish(c, values, 1, false);
            if (then == StepThen::gate) c.bound.c = 16;
            c.flops = 2 * static_cast<double>(rows * k * outputs);
            t.push_back(std::move(c));
          }
}

}  // namespace

void add_matmul(std::vector<OpCase>& t) {
  add_matmuls(t);
  add_heads(t);
  add_linear(t, "linear", linear), add_linear(t, "linear_relu", linear_relu);
  add_linear_relu_of_any(t);
  add_steps(t);
}

}  // namespace tapedeck::cases
