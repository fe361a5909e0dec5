#include "cases/moves.h"

namespace tapedeck::cases {

void each_index(const Shape& shape, const std::function<void(const Index&)>& f) {
  Index at(static_cast<std::size_t>(shape.rank()));
  for (std::int64_t n = 0; n < shape.numel(); ++n) {
    for (std::int64_t rest = n, d = shape.rank() - 1; d >= 0; --d) {
      at[static_cast<std::size_t>(d)] = rest % shape[static_cast<int>(d)];
      rest /= shape[static_cast<int>(d)];
    }
    f(at);
  }
}

std::size_t flat(const Shape& shape, const Index& at) {
  std::int64_t n = 0;
  for (int d = 0; d < shape.rank(); ++d) n = n * shape[d] + at[static_cast<std::size_t>(d)];
  return static_cast<std::size_t>(n);
}

Expected gathered(const Tensor& x, const Shape& shape, const From& f, long double other) {
  const Expected from = expected_from(x, x.dtype());
  Expected r{shape, x.dtype(), {}, {}};
  each_index(shape, [&](const Index& at) {
    const auto i = f(at);
    r.value.push_back(i ? from.value[flat(x.sizes(), *i)] : other);
  });
  return r;
}

std::vector<Expected> same_order(Args x, const Shape& shape) {
  Expected r = expected_from(x[0], x[0].dtype());
  r.shape = shape;
  return {r};
}

Move moved(std::string op, std::string text, const Shape& shape, std::function<Tensor(const Tensor&)> f,
           const Shape& to, From from, long double other) {
  return {std::move(op), std::move(text), shape, [f = std::move(f)](Args x) { return Outputs{f(x[0])}; },
          [to, from = std::move(from), other](Args x) { return std::vector{gathered(x[0], to, from, other)}; }};
}

void add_move(std::vector<OpCase>& t, const Move& m) {
  for (const Layout layout : layouts(m.shape)) {
    const auto add = [&](DType dtype, Values values, double low = 0) {
      OpCase c{.op = m.op, .text = m.text, .inputs = {{m.shape, dtype, layout, values, low, 200}}, .call = m.call};
      c.oracle = m.oracle;
      c.differentiable = values == Values::normal;
      c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
      t.push_back(std::move(c));
    };
    for (const DType dtype : {DType::f32, DType::f64}) add(dtype, Values::normal), add(dtype, Values::special);
    add(DType::u8, Values::range);
    if (layout == Layout::sliced || layout == Layout::expanded) continue;
    add(DType::boolean, Values::range, -200);
    for (const DType dtype : {DType::bf16, DType::f16, DType::i32, DType::i64}) add(dtype, Values::range);
  }
}

}  // namespace tapedeck::cases
