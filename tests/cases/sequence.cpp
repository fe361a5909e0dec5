// Recurrent sequences, attention and positions.
#include <tapedeck/autograd/ops.h>

#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

std::vector<double> everywhere(const Tensor& x, double value) {
  return std::vector<double>(static_cast<std::size_t>(x.numel()), value);
}

// Rounding grows from step to step; states are about 1 (relu's: as large as they get).
Magnitudes of_states(Args, const Outputs& y) {
  Magnitudes m;
  for (const Tensor& t : y) m.push_back(everywhere(t, 1 + (t.numel() > 0 ? amax(abs(t)).item() : 0)));
  return m;
}
// Every number of a sequence may depend on every other: the whole incoming gradient bounds what each gets.
Magnitudes of_flow(Args x, const Outputs& y, const Tensor& gy) {
  double size = 1;
  for (const Tensor& t : x)
    if (is_real(t.dtype()) && t.numel() > 0) size = std::max(size, amax(abs(t)).item());
  for (const Tensor& t : y)
    if (t.numel() > 0) size = std::max(size, amax(abs(t)).item());
  const double flow = gy.numel() > 0 ? sum(abs(gy)).item() * size : 0;
  Magnitudes m;
  for (const Tensor& t : x)
    if (is_real(t.dtype())) m.push_back(everywhere(t, flow));
  return m;
}

struct Form {
  int layers;
  bool both, ends;
  std::int64_t batch, time, in, state;
  bool bias = true, start = true;
};

void add_recurrent(std::vector<OpCase>& table, const std::string& kind, const Form& f, DType dtype, Layout layout,
                   RnnNonlinearity nonlinearity) {
  const std::int64_t gates = kind == "lstm" ? 4 : kind == "gru" ? 3 : 1, directions = f.both ? 2 : 1;
  const auto input = [&](Shape shape, double size) {
    return Input{shape, dtype, has_layout(shape, layout) ? layout : Layout::contiguous, Values::range, -size, size};
  };
  std::vector<Input> inputs{input({f.batch, f.time, f.in}, 1)};
  const Shape states{f.layers * directions, f.batch, f.state};
  if (f.start) inputs.push_back(input(states, 1));
  if (f.start && kind == "lstm") inputs.push_back(input(states, 1));
  const std::size_t first = inputs.size();
  for (int layer = 0; layer < f.layers; ++layer)
    for (std::int64_t d = 0; d < directions; ++d) {
      inputs.push_back(input({gates * f.state, layer == 0 ? f.in : f.state * directions}, 0.6));
      inputs.push_back(input({gates * f.state, f.state}, 0.6));
      if (f.bias) inputs.insert(inputs.end(), 2, input({gates * f.state}, 0.6));
    }
  if (f.ends)
    inputs.push_back({{f.batch}, DType::i64, Layout::contiguous, Values::range, 0, static_cast<double>(f.time + 1)});
  OpCase c{.op = kind,
           .text = std::to_string(f.layers) + (f.both ? " layers both ways" : " layers") + (f.ends ? " lengths" : "") +
                   (f.bias ? "" : " no bias") + (nonlinearity == RnnNonlinearity::relu ? " relu" : ""),
           .inputs = inputs,
           .call = [=](Args x) {
             std::vector<Tensor> weights;
             for (std::size_t k = first; k < x.size() - f.ends; ++k) {
               weights.push_back(x[k]);
               if (!f.bias && (k - first) % 2 == 1) weights.insert(weights.end(), {Tensor(), Tensor()});
             }
             RnnOptions o{.num_layers = f.layers, .bidirectional = f.both};
             if (f.ends) o.lengths = x[x.size() - 1];
             const Tensor h0 = f.start ? x[1] : Tensor();
             if (kind == "lstm") {
               const auto r = lstm(x[0], h0, f.start ? x[2] : Tensor(), weights, o);
               return Outputs{r.output, r.h, r.c};
             }
             const auto r = kind == "gru" ? gru(x[0], h0, weights, o) : rnn(x[0], h0, weights, nonlinearity, o);
             return Outputs{r.output, r.h};
           }};
  c.bound = {.c = 64 + 8. * static_cast<double>(f.time * f.layers)};
  c.magnitude = of_states;
  c.differentiable = f.batch * f.time * f.state < (dtype == DType::f64 ? 60 : 5000);
  if (nonlinearity == RnnNonlinearity::relu && dtype == DType::f64) c.differentiable = false;  // kinks anywhere
  c.low = -0.8, c.high = 0.8;
  c.gradient_bound = {.c = c.bound.c / 16};
  c.gradient_in_parts = true;
  c.gradient_magnitude = of_flow;
  table.push_back(std::move(c));
}

void add_recurrent(std::vector<OpCase>& table) {
  const Form forms[] = {
      {1, false, false, 2, 3, 3, 4},    {1, false, false, 1, 1, 1, 1},        {1, false, false, 3, 8, 5, 17},
      {2, false, false, 2, 4, 3, 5},    {1, true, false, 2, 4, 3, 4},         {2, true, false, 1, 3, 2, 3},
      {1, false, true, 3, 4, 2, 3},     {2, true, true, 4, 3, 2, 2},          {1, false, false, 2, 0, 3, 4},
      {1, false, false, 0, 3, 3, 4},    {1, false, false, 2, 4, 3, 4, false}, {1, true, false, 2, 3, 3, 4, true, false},
      {1, false, false, 9, 20, 33, 40}, {1, false, true, 5, 16, 8, 16},       {3, false, false, 2, 5, 4, 8}};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Form& f : forms)
      for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced}) {
        for (const char* kind : {"rnn", "gru", "lstm"})
          add_recurrent(table, kind, f, dtype, layout, RnnNonlinearity::tanh);
        add_recurrent(table, "rnn", f, dtype, layout, RnnNonlinearity::relu);
      }
}

void add_attention(std::vector<OpCase>& table) {
  struct Sizes {
    Shape q, k, v;
  };
  const Sizes sizes[] = {{{3, 4}, {5, 4}, {5, 3}},
                         {{2, 3, 4}, {2, 3, 4}, {2, 3, 4}},
                         {{2, 2, 5, 8}, {2, 2, 5, 8}, {2, 2, 5, 8}},
                         {{1, 1}, {1, 1}, {1, 1}},
                         {{2, 17, 16}, {2, 33, 16}, {2, 33, 5}},
                         {{2, 4, 3, 2}, {2, 2, 3, 2}, {2, 2, 3, 2}},
                         {{1, 3, 2}, {1, 600, 2}, {1, 600, 3}},  // several blocks of keys, of queries, of both
                         {{2, 140, 3}, {2, 6, 3}, {2, 6, 2}},
                         {{130, 1}, {270, 1}, {270, 1}},
                         {{1, 3, 70}, {1, 130, 70}, {1, 130, 72}},  // several blocks of channels
                         {{70, 65}, {8, 65}, {8, 3}},
                         {{2, 12, 32}, {2, 20, 32}, {2, 20, 32}},  // heads as models have them
                         {{2, 40, 32}, {2, 70, 32}, {2, 70, 32}},
                         {{1, 33, 64}, {1, 50, 64}, {1, 50, 64}},
                         {{0, 3, 4}, {0, 5, 4}, {0, 5, 4}},
                         {{3, 0, 4}, {3, 5, 4}, {3, 5, 4}}};
  enum class Kind { plain, causal, past, boolean, real, scaled };
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Sizes& s : sizes)
      for (const Kind kind : {Kind::plain, Kind::causal, Kind::past, Kind::boolean, Kind::real, Kind::scaled})
        for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced}) {
          const auto input = [&](const Shape& shape) {
            return Input{shape, dtype, has_layout(shape, layout) ? layout : Layout::contiguous, Values::normal};
          };
          OpCase c{.op = "scaled_dot_product_attention", .text = "", .inputs = {input(s.q), input(s.k), input(s.v)}};
          const std::int64_t queries = s.q[s.q.rank() - 2], keys = s.k[s.k.rank() - 2];
          AttentionOptions o{.enable_gqa = s.q.rank() > 3};
          if (kind == Kind::causal) c.text = "causal", o.is_causal = true;
          if (kind == Kind::past) c.text = "causal behind 2", o.is_causal = true, o.past = 2;
          if (kind == Kind::scaled) c.text = "scale 0.3", o.scale = 0.3;
          if (kind == Kind::boolean)
            c.text = "mask", c.inputs.push_back({{queries, keys}, DType::boolean, Layout::contiguous, Values::normal});
          if (kind == Kind::real) c.text = "added mask", c.inputs.push_back(input({queries, keys}));
          c.call = [o](Args x) {
            AttentionOptions with = o;
            if (x.size() > 3) with.mask = x[3];
            return Outputs{scaled_dot_product_attention(x[0], x[1], x[2], with)};
          };
          c.bound = {.c = 60};
          c.magnitude = [](Args x, const Outputs& y) {  // weights sum to 1; scores of up to |q| |k| are rounded
            const double v = x[2].numel() > 0 ? amax(abs(x[2])).item() : 0;
            return Magnitudes{everywhere(y[0], v)};
          };
          if (s.q.rank() > 2 && kind != Kind::boolean && kind != Kind::real) c.rows = 7;
          c.differentiable = s.q.numel() * keys < (dtype == DType::f64 ? 200 : 40000);
          c.gradient_in_parts = true;
          c.gradient_bound = {.c = 60};
          c.gradient_magnitude = of_flow;
          table.push_back(std::move(c));
        }
}

// Values of a tensor that is computed in double: rounded once to what is asked for.
std::vector<Expected> rounded(Expected r) {
  if (r.dtype == DType::f32 || r.dtype == DType::f64) return {std::move(r)};
  const std::vector<double> values(r.value.begin(), r.value.end());
  return {expected_from(cast(tensor(values, r.shape), r.dtype), r.dtype)};
}

void add_positions(std::vector<OpCase>& table) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{1, 2}, Shape{5, 6}, Shape{2, 7, 8}, Shape{2, 3, 33, 16}, Shape{0, 4}, Shape{4, 0}})
      for (const Layout layout : layouts(shape))
        for (const bool interleaved : {false, true})
          for (const std::int64_t offset : {0, 100}) {
            OpCase c{.op = "rotary_embedding",
                     .text = std::string(interleaved ? "interleaved " : "") + "offset " + std::to_string(offset),
                     .inputs = {{shape, dtype, layout, Values::normal}},
                     .call = [=](Args x) { return Outputs{rotary_embedding(x[0], offset, 10000, interleaved)}; }};
            c.bound = {.c = 4};
            c.oracle = [=](Args x) {
              const auto v = values_of(cast(x[0], DType::f64));
              Expected r{x[0].sizes(), x[0].dtype(), std::vector<long double>(v.size()), std::vector<double>(v.size())};
              const std::int64_t width = x[0].size(-1), time = x[0].size(-2), half = width / 2;
              for (std::int64_t i = 0; i < x[0].numel(); ++i) {
                const std::int64_t row = i / width, place = i % width;
                const std::int64_t k = interleaved ? place / 2 : place % half;
                const bool second = interleaved ? place % 2 == 1 : place >= half;
                const std::int64_t partner = row * width + (interleaved ? place ^ 1 : (place + half) % width);
                // Angles are rounded to double, as the op states them.
                const double angle = static_cast<double>(row % time + offset) *
                                     std::pow(10000., -2 * static_cast<double>(k) / static_cast<double>(width));
                const long double co = cosl(angle), si = sinl(angle);
                const long double a = v[static_cast<std::size_t>(i)], b = v[static_cast<std::size_t>(partner)];
                r.value[static_cast<std::size_t>(i)] = second ? a * co + b * si : a * co - b * si;
                r.magnitude[static_cast<std::size_t>(i)] = static_cast<double>(fabsl(a) + fabsl(b));
              }
              return std::vector{r};
            };
            if (shape.rank() > 2) c.rows = 1;
            c.differentiable = true;
            c.gradient_in_parts = true;
            c.gradient_bound = {.c = 8};
            c.gradient_magnitude = of_flow;
            table.push_back(std::move(c));
          }
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (const std::int64_t time : {0, 1, 5, 33})
      for (const std::int64_t channels : {0, 1, 2, 7, 16})
        for (const std::int64_t offset : {0, 1000}) {
          OpCase c{.op = "sinusoidal_positions",
                   .text = std::to_string(time) + " steps " + std::to_string(channels) + " channels offset " +
                           std::to_string(offset) + " " + tapedeck::name(dtype),
                   .inputs = {},
                   .call = [=](Args) {
                     return Outputs{sinusoidal_positions(time, channels, offset, 10000, {dtype, here()})};
                   }};
          if (dtype == DType::f32 || dtype == DType::f64) c.bound = {.c = 4};
          c.oracle = [=](Args) {
            Expected r{{time, channels}, dtype, {}, {}};
            for (std::int64_t t = 0; t < time; ++t)
              for (std::int64_t k = 0; k < channels; ++k) {
                const double angle = static_cast<double>(t + offset) *
                                     std::pow(10000., -2 * static_cast<double>(k / 2) / static_cast<double>(channels));
                r.value.push_back(k % 2 ? cosl(angle) : sinl(angle)), r.magnitude.push_back(1);
              }
            return rounded(std::move(r));
          };
          table.push_back(std::move(c));
        }
}

}  // namespace

void add_sequence(std::vector<OpCase>& table) {
  add_recurrent(table);
  add_attention(table);
  add_positions(table);
}

}  // namespace tapedeck::cases
