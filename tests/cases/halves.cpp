// Arithmetic of bf16 and f16: one rounding of the exact result. Gradients gather in them through views.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>

#include <cmath>

#include "cases/lines.h"

namespace tapedeck::cases {
namespace {

using Wide = long double;

constexpr DType kHalves[] = {DType::bf16, DType::f16};

// The nearest number of 11 (f16) or 8 (bf16) digits, ties to even, from the definition of the formats.
Wide nearest(Wide v, DType t) {
  if (v == 0 || !std::isfinite(v)) return v;
  const int digits = t == DType::f16 ? 11 : 8, least = t == DType::f16 ? -24 : -133;
  const int exponent = std::max(std::ilogb(v) - digits + 1, least);
  const Wide r = std::ldexp(std::nearbyint(std::ldexp(v, -exponent)), exponent);
  const Wide most = t == DType::f16 ? 65504 : std::ldexp(255.L, 120);
  return std::fabs(r) > most ? std::copysign(std::numeric_limits<Wide>::infinity(), v) : r;
}

struct Two {
  const char* op;
  Tensor (*f)(const Tensor&, const Tensor&);
  Wide (*oracle)(Wide, Wide);
};
const Two kTwo[] = {{"add", add, [](Wide a, Wide b) { return a + b; }},
                    {"sub", sub, [](Wide a, Wide b) { return a - b; }},
                    {"mul", mul, [](Wide a, Wide b) { return a * b; }},
                    {"div", div, [](Wide a, Wide b) { return a / b; }}};
struct One {
  const char* op;
  Tensor (*f)(const Tensor&);
  Wide (*oracle)(Wide);
};
const One kOne[] = {
    {"neg", neg, [](Wide v) { return -v; }},
    {"add scalar", [](const Tensor& x) { return add(x, 0.3); }, [](Wide v) { return v + Wide{0.3f}; }},
    {"sub scalar", [](const Tensor& x) { return sub(x, 0.3); }, [](Wide v) { return v - Wide{0.3f}; }},
    {"mul scalar", [](const Tensor& x) { return mul(x, -0.3); }, [](Wide v) { return v * Wide{-0.3f}; }}};

// What lies between the halves' largest and smallest numbers, and beyond them.
constexpr Values kValues[] = {Values::normal, Values::wide, Values::special, Values::ties, Values::cancelling};

void add_arithmetic(std::vector<OpCase>& t) {
  for (const DType dtype : kHalves)
    for (const Values values : kValues) {
      for (const Two& f : kTwo)
        for (const auto& [left, right] :
             std::vector<std::pair<Shape, Shape>>{{{33, 17}, {33, 17}}, {{2, 3, 4}, {3, 1}}, {{}, {7}}, {{0, 3}, {3}}})
          for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced}) {
            if (!has_layout(left, layout)) continue;
            OpCase c{.op = f.op,
                     .text = "",
                     .inputs = {{left, dtype, layout, values}, {right, dtype, Layout::contiguous, values}},
                     .call = [f = f.f](Args x) { return Outputs{f(x[0], x[1])}; }};
            c.oracle = [f = f.oracle, dtype](Args x) {
              const Shape shape = broadcast_shapes("case", x[0].sizes(), x[1].sizes());
              Expected r = expected_from(expand(x[0], shape), dtype);
              const Expected b = expected_from(expand(x[1], shape), dtype);
              for (std::size_t i = 0; i < r.value.size(); ++i) r.value[i] = nearest(f(r.value[i], b.value[i]), dtype);
              return std::vector{r};
            };
            t.push_back(std::move(c));
          }
      for (const One& f : kOne)
        for (const Shape& shape : {Shape{}, Shape{33, 17}, Shape{2, 3, 4}, Shape{0, 3}})
          for (const Layout layout : layouts(shape)) {
            OpCase c{.op = f.op, .text = "", .inputs = {{shape, dtype, layout, values}}, .call = [f = f.f](Args x) {
                       return Outputs{f(x[0])};
                     }};
            c.oracle = [f = f.oracle, dtype](Args x) {
              Expected r = expected_from(x[0], dtype);
              for (Wide& v : r.value) v = nearest(f(v), dtype);
              return std::vector{r};
            };
            c.rows = 1;
            t.push_back(std::move(c));
          }
    }
}

void add_sums(std::vector<OpCase>& t) {
  for (const DType dtype : kHalves)
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{33, 17}, Shape{2, 3, 4}, Shape{3, 1000}})
      for (const auto& dims : axis_sets(shape.rank()))
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::ties, Values::nonfinite, Values::cancelling}) {
            OpCase c{
                .op = "sum", .text = text_of(dims), .inputs = {{shape, dtype, layout, values}}, .call = [=](Args x) {
                  return Outputs{sum(x[0], dims)};
                }};
            c.oracle = [=](Args x) {
              return std::vector{by_reduction(x[0], dims, false, dtype, [=](const Line& line) {
                Wide total = 0;
                for (const Wide v : line) total += v;
                return nearest(total, dtype);
              })};
            };
            if (mask_of(dims, shape.rank()) % 2 == 0) c.rows = 1;
            t.push_back(c);
            if (values != Values::ties || shape.numel() == 0) continue;
            c.op = "mean";
            c.call = [=](Args x) { return Outputs{mean(x[0], dims)}; };
            c.oracle = [=](Args x) {
              return std::vector{by_reduction(x[0], dims, false, dtype, [=](const Line& line) {
                Wide total = 0;
                for (const Wide v : line) total += v;
                return nearest(static_cast<float>(total / static_cast<Wide>(line.size())), dtype);
              })};
            };
            t.push_back(std::move(c));
          }
}

// Products of bf16 and f16 matrices, where devices have them; elsewhere the same numbers in the case's own type. One
// rounding to few digits of the result, of its gradient, and of what comes out: c counts f32's.
Tensor few_digits(const Tensor& x, DType dtype) {
  const Tensor rounded = cast(x, dtype);
  return x.device().type == DeviceType::cuda ? rounded : cast(rounded, x.dtype());
}

using Product = std::function<Tensor(const std::vector<Tensor>&)>;
void add_product(std::vector<OpCase>& t, const char* op, const std::vector<Shape>& shapes, const Product& f) {
  for (const DType dtype : kHalves) {
    OpCase c{.op = op, .text = name(dtype), .inputs = {}, .call = [=](Args inputs) {
               std::vector<Tensor> x;
               for (const Tensor& i : inputs) x.push_back(few_digits(i, dtype));
               return Outputs{cast(f(x), inputs[0].dtype())};
             }};
    for (const Shape& s : shapes) c.inputs.push_back({s, DType::f32});
    c.prepares = true, c.differentiable = true;
    c.bound = {.c = dtype == DType::f16 ? 1e4 : 8e4}, c.relative = Relative::absolute;
    c.gradient_bound = {.c = dtype == DType::f16 ? 3e4 : 2.4e5}, c.gradient_relative = Relative::absolute;
    t.push_back(std::move(c));
  }
}

void add_products(std::vector<OpCase>& t) {
  for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{
           {{5, 7}, {7, 3}}, {{65, 40}, {40, 72}}, {{130, 600}, {600, 16}}, {{3, 33, 20}, {3, 20, 70}}})
    add_product(t, "matmul", {a, b}, [](const std::vector<Tensor>& x) { return matmul(x[0], x[1]); });
  add_product(t, "linear", {{4, 30, 48}, {24, 48}, {24}},
              [](const std::vector<Tensor>& x) { return linear(x[0], x[1], x[2]); });
  for (const Shape& x : {Shape{4, 30, 48}, Shape{5, 200}})
    add_product(t, "linear_relu", {x, {24, x[x.rank() - 1]}, {24}},
                [](const std::vector<Tensor>& v) { return linear_relu(v[0], v[1], v[2]); });
  struct Form {
    Shape x, w;
    Conv1dOptions o;
  };
  for (const Form& f : std::vector<Form>{{{2, 50, 16}, {32, 16, 3}, {.dilation = 2, .padding = Padding::causal}},
                                         {{3, 140, 32}, {64, 32, 2}, {.dilation = 4}},
                                         {{2, 41, 5}, {7, 5, 3}, {.stride = 2, .padding = 1}},
                                         {{2, 40, 12}, {12, 1, 3}, {.groups = 12}},
                                         {{1, 60, 64}, {32, 16, 3}, {.groups = 4, .padding = Padding::same}}})
    add_product(t, "conv1d", {f.x, f.w, {f.w[0]}},
                [o = f.o](const std::vector<Tensor>& x) { return conv1d(x[0], x[1], x[2], o); });
  add_product(t, "conv_transpose1d", {{2, 20, 32}, {32, 16, 4}}, [](const std::vector<Tensor>& x) {
    return conv_transpose1d(x[0], x[1], {}, {.stride = 2, .padding = 1});
  });
  add_product(t, "conv2d", {{2, 9, 11, 6}, {20, 6, 3, 3}},
              [](const std::vector<Tensor>& x) { return conv2d(x[0], x[1], {}, {.stride = 2, .padding = 1}); });
}

// Three views of one tensor: the gradient of its elements is the sum of three, exact in few digits.
void add_gathered(std::vector<OpCase>& t) {
  for (const DType dtype : kHalves)
    for (const std::int64_t n : {3, 7, 16, 33})
      for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced}) {
        OpCase c{.op = "slice",
                 .text = "gradients of views add up",
                 .inputs = {{{n, n}, dtype, layout, Values::ties}},
                 .call = [n](Args inputs) {
                   const Tensor x = clone(inputs[0]);
                   Tape tape;
                   tape.watch(x);
                   const Tensor y = slice(x, 0, 1, n) * 2 + expand(narrow(x, 0, 0, 1), {n - 1, n});
                   tape.backward(cat({y, transpose(x, 0, 1)}), cat({ones({n - 1, n}, x.options()), inputs[0]}));
                   return Outputs{tape.grad(x)};
                 }};
        c.prepares = true;
        c.oracle = [=](Args x) {
          Expected r = expected_from(transpose(x[0], 0, 1), dtype);
          for (std::size_t i = 0; i < r.value.size(); ++i)
            r.value[i] += i < static_cast<std::size_t>(n) ? static_cast<Wide>(n - 1) : 2;
          return std::vector{r};
        };
        t.push_back(std::move(c));
      }
}

}  // namespace

void add_halves(std::vector<OpCase>& t) {
  add_arithmetic(t);
  add_sums(t);
  add_gathered(t);
  add_products(t);
}

}  // namespace tapedeck::cases
