// Random ops and slots, against Philox and Box-Muller written out here; dropout; writes in place.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/random.h>

#include <cmath>

#include "cases/draws.h"

namespace tapedeck::cases {
namespace {

void add_draws(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kShapes)
      for (const std::uint64_t seed : {1, 2, 3}) {
        const Here options{dtype};
        const std::string text = to_string(shape) + " " + tapedeck::name(dtype) + " seed " + std::to_string(seed);
        const auto add = [&](const char* op, const char* key_of, Bound bound, auto call, auto value) {
          OpCase c{.op = op, .text = text, .inputs = {}};
          c.bound = bound;
          c.call = [=](Args) {
            const RandomScope scope(seed, 1);
            return Outputs{call()};
          };
          c.oracle = [=](Args) {
            Expected r = drawn(shape, dtype, first_key(seed, key_of, shape), value);
            for (const Wide v : r.value)
              r.magnitude.push_back(static_cast<double>(std::fabs(v) + 1));  // 0.5 + 2 z may cancel
            return std::vector{r};
          };
          t.push_back(std::move(c));
        };
        add(
            "rand", "rand", kExact, [=] { return rand(shape, options); }, unit);
        add(
            "randn", "randn", {.ulps = 2}, [=] { return randn(shape, options); }, gauss);
        add(
            "uniform_", "uniform_", {.ulps = 1}, [=] { return clone(uniform_(empty(shape, options), -2, 3)); },
            [](auto key, auto row, auto e) { return -2 + 5 * unit(key, row, e); });
        add(
            "normal_", "normal_", {.c = 6}, [=] { return clone(normal_(empty(shape, options), 0.5, 2)); },
            [](auto key, auto row, auto e) { return 0.5 + 2 * gauss(key, row, e); });
        if (shape.rank() >= 2)  // not contiguous: the same numbers
          add(
              "uniform_", "uniform_", {.ulps = 1},
              [=] { return clone(uniform_(laid_out(zeros(shape, options), Layout::sliced), -2, 3)); },
              [](auto key, auto row, auto e) { return -2 + 5 * unit(key, row, e); });
      }
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32, DType::u8, DType::boolean})
    for (const Shape& shape : kShapes)
      for (const double p : {0., 0.3, 1.}) {
        OpCase c{.op = "kernel bernoulli",
                 .text = to_string(shape) + " " + tapedeck::name(dtype) + " p " + std::to_string(p),
                 .inputs = {}};
        c.call = [=](Args) {
          const Tensor y = empty(shape, {dtype, here()});
          kernels::bernoulli(here(), {y, {.key = 42, .rows = {}}, p, 0});
          return Outputs{y};
        };
        c.oracle = [=](Args) {
          return std::vector{
              drawn(shape, dtype, 42, [p](auto key, auto row, auto e) -> Wide { return unit(key, row, e) < p; })};
        };
        t.push_back(std::move(c));
      }
}

void add_dropout(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kShapes)
      for (const Layout layout : layouts(shape))
        for (const double p : {0., 0.1, 0.5, 1.})
          for (const bool training : {true, false}) {
            OpCase c{.op = "dropout",
                     .text = "p " + std::to_string(p).substr(0, 3) + (training ? "" : " not training"),
                     .inputs = {{shape, dtype, layout}},
                     .call = [=](Args x) { return Outputs{dropout(x[0], p, training)}; }};
            c.bound = {.ulps = 2};
            c.differentiable = true;
            c.gradient_bound = {.ulps = 2};
            t.push_back(std::move(c));
          }
}

// Writes in place, on a copy of the first input that has its layout.
void add_in_place(std::vector<OpCase>& t) {
  using Write = std::function<void(const Tensor& y, Args x)>;
  const auto add = [&](const char* op, std::string text, std::vector<Input> inputs, Write write) {
    const Layout layout = inputs[0].layout == Layout::expanded ? Layout::contiguous : inputs[0].layout;
    t.push_back({.op = op, .text = std::move(text), .inputs = std::move(inputs), .call = [=](Args x) {
                   const Tensor y = laid_out(x[0], layout);
                   const std::uint64_t version = y.version();
                   write(y, x);
                   TD_CHECK(y.version() > version, ValueError, "the version did not move");
                   return Outputs{y};
                 }});
    t.back().prepares = true;
  };
  for (const DType dtype : {DType::f32, DType::f64, DType::i64})
    for (const Shape& shape : shapes())
      for (const Layout layout : layouts(shape))
        for (const Values values : {Values::normal, Values::special}) {
          const Input in{shape, dtype, layout, values};
          add("add_", "", {in, in}, [](const Tensor& y, Args x) { add_(y, x[1]); });
          add("mul_", "", {in}, [](const Tensor& y, Args) { mul_(y, -3); });
          add("fill_", "", {in}, [](const Tensor& y, Args) { fill_(y, 2); });
          add("copy_", "", {in, in}, [](const Tensor& y, Args x) { copy_(y, x[1]); });
          if (shape.rank() > 1) {
            Input row = in;
            row.shape = {shape[shape.rank() - 1]};
            add("copy_", "broadcast", {in, row}, [](const Tensor& y, Args x) { copy_(y, x[1]); });
          }
        }
}

}  // namespace

void add_random(std::vector<OpCase>& t) {
  add_draws(t);
  add_dropout(t);
  add_in_place(t);
}

}  // namespace tapedeck::cases
