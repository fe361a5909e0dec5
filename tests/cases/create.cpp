// Tensors made of numbers: every element by its formula, rounded once.
#include <tapedeck/autograd/ops.h>

#include <cmath>

#include "cases/moves.h"

namespace tapedeck::cases {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                            DType::i64, DType::i32, DType::u8,   DType::boolean};

void add_made(std::vector<OpCase>& t, std::string op, std::string text, std::function<Tensor()> call, Shape shape,
              DType dtype, std::function<long double(const Index&)> value, Bound bound = {}) {
  OpCase c{.op = std::move(op), .text = std::move(text) + " " + name(dtype), .inputs = {}, .call = [=](Args) {
             return Outputs{call()};
           }};
  c.oracle = [=](Args) {
    Expected r{shape, dtype, {}, {}};
    each_index(shape, [&](const Index& at) { r.value.push_back(value(at)); });
    return std::vector{r};
  };
  c.bound = bound;
  t.push_back(std::move(c));
}

template <class T>
std::string text_of(T a, T b, T c) {
  return std::to_string(a) + " to " + std::to_string(b) + " by " + std::to_string(c);
}

void add_counts(std::vector<OpCase>& t) {
  for (const std::int64_t end : {0, 1, 2, 5, 16, 17, 100, 127, 4097, 100000}) {
    const auto value = [](const Index& at) { return static_cast<long double>(at[0]); };
    add_made(
        t, "arange", std::to_string(end), [=] { return arange(end); }, {end}, DType::i64, value);
    add_made(
        t, "arange", "real " + std::to_string(end), [=] { return arange(static_cast<double>(end)); }, {end}, DType::f32,
        value);
    for (const DType dtype : kTypes) {
      const std::int64_t most = dtype == DType::u8 || dtype == DType::bf16 ? 200 : dtype == DType::f16 ? 2048 : 1 << 20;
      if (end > most || dtype == DType::boolean) continue;
      add_made(
          t, "arange options", std::to_string(end), [=] { return arange(end, Here{dtype}); }, {end}, dtype, value);
    }
  }
  for (const auto& [a, b, step] : std::vector<std::tuple<int, int, int>>{
           {0, 5, 1}, {2, 9, 3}, {2, 8, 3}, {5, 0, -1}, {5, -6, -4}, {3, 3, 1}, {3, 3, -2}, {-7, 100, 11}, {0, 1, 9}}) {
    const std::int64_t n = (b - a + step + (step > 0 ? -1 : 1)) / step;
    const auto value = [a = a, step = step](const Index& at) { return static_cast<long double>(a + at[0] * step); };
    add_made(
        t, "arange range", text_of(a, b, step), [=, a = a, b = b, step = step] { return arange(a, b, step); }, {n},
        DType::i64, value);
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32})
      add_made(
          t, "arange range options", text_of(a, b, step),
          [=, a = a, b = b, step = step] { return arange(a, b, step, Here{dtype}); }, {n}, dtype, value);
  }
  for (const auto& [a, b, step] : std::vector<std::tuple<double, double, double>>{
           {0., 1., 0.1}, {1., 0., -0.125}, {-1., 1., 0.3}, {0.5, 0.5, 1.}, {1e6, 1e6 + 1, 0.0625}, {0., 1e-3, 1e-5}}) {
    const auto n = static_cast<std::int64_t>(std::ceil((b - a) / step));
    const auto value = [a = a, step = step](const Index& at) {
      return static_cast<long double>(a + static_cast<double>(at[0]) * step);
    };
    for (const DType dtype : {DType::f32, DType::f64}) {
      add_made(
          t, "arange range options", text_of(a, b, step),
          [=, a = a, b = b, step = step] { return arange(a, b, step, Here{dtype}); }, {n}, dtype, value);
      if (dtype == DType::f32)
        add_made(
            t, "arange range", text_of(a, b, step), [=, a = a, b = b, step = step] { return arange(a, b, step); }, {n},
            dtype, value);
    }
  }
}

void add_spaces(std::vector<OpCase>& t) {
  for (const auto& [a, b] :
       std::vector<std::pair<double, double>>{{0, 1}, {1, 0}, {-1, 1}, {3, 3}, {-0.1, 0.7}, {1e-30, 1e30}, {20, 20000}})
    for (const std::int64_t n : {0, 1, 2, 3, 10, 33, 1000, 4097})
      for (const DType dtype : {DType::f32, DType::f64}) {
        const auto exact = [=, a = a, b = b](const Index& at) -> long double {
          const long double part = n == 1 ? 0 : static_cast<long double>(at[0]) / static_cast<long double>(n - 1);
          return static_cast<long double>(a) * (1 - part) + static_cast<long double>(b) * part;
        };
        const std::string text = text_of(a, b, static_cast<double>(n));
        // In f64 both ends' error counts where they cancel.
        const double widest = std::max(std::fabs(a), std::fabs(b));
        OpCase c{.op = "linspace", .text = text + " " + name(dtype), .inputs = {}, .call = [=, a = a, b = b](Args) {
                   return Outputs{linspace(a, b, n, Here{dtype})};
                 }};
        c.oracle = [=](Args) {
          Expected r{{n}, dtype, {}, {}};
          each_index({n}, [&](const Index& at) { r.value.push_back(exact(at)); });
          return std::vector{r};
        };
        c.magnitude = [=](Args, const Outputs&) {
          return Magnitudes{std::vector<double>(static_cast<std::size_t>(n), widest)};
        };
        c.bound = {.c = 3};
        t.push_back(std::move(c));
        if (std::fabs(a) > 5 || std::fabs(b) > 5) continue;
        for (const double base : {10., 2.})
          add_made(
              t, "logspace", text + " base " + std::to_string(base),
              [=, a = a, b = b] { return logspace(a, b, n, base, Here{dtype}); }, {n}, dtype,
              [=](const Index& at) { return std::pow(static_cast<long double>(base), exact(at)); }, {.c = 12});
      }
}

void add_constants(std::vector<OpCase>& t) {
  for (const DType dtype : kTypes) {
    for (const auto& [n, m] : std::vector<std::pair<std::int64_t, std::int64_t>>{
             {0, -1}, {1, -1}, {5, -1}, {3, 7}, {7, 3}, {0, 4}, {4, 0}, {33, 17}, {100, -1}})
      add_made(
          t, "eye", std::to_string(n) + " " + std::to_string(m), [=, n = n, m = m] { return eye(n, m, Here{dtype}); },
          {n, m < 0 ? n : m}, dtype, [](const Index& at) { return at[0] == at[1]; });
    for (const Shape& s : shapes()) {
      const auto one = [](const Index&) { return 1; };
      add_made(
          t, "ones", to_string(s), [=] { return ones(s, Here{dtype}); }, s, dtype, one);
      add_made(
          t, "ones_like", to_string(s), [=] { return ones_like(empty(s, Here{dtype})); }, s, dtype, one);
      for (const double v : {0., 1.})
        add_made(
            t, "full_like", to_string(s) + " " + std::to_string(v), [=] { return full_like(empty(s, Here{dtype}), v); },
            s, dtype, [=](const Index&) { return v; });
    }
  }
}

}  // namespace

void add_create(std::vector<OpCase>& t) {
  add_counts(t);
  add_spaces(t);
  add_constants(t);
}

}  // namespace tapedeck::cases
