#include "autograd/op_table.h"

namespace tapedeck::test {
namespace {

Tensor joined(const std::vector<Tensor>& parts) {
  std::vector<Tensor> flat;
  for (const Tensor& p : parts) flat.push_back(reshape(p, {p.numel()}));
  return cat(flat);
}

}  // namespace

void add_sequence(Table& t) {
  constexpr double close = 1e-13;  // sums in another order
  struct Form {
    const char* name;
    int layers;
    bool both, bias, ends;
    std::int64_t batch, time;
  };
  const Form forms[] = {{"", 1, false, true, false, 2, 4},         {"two layers", 2, false, true, false, 1, 3},
                        {"both ways", 1, true, true, false, 2, 3}, {"all", 2, true, true, false, 1, 2},
                        {"no bias", 1, false, false, false, 1, 3}, {"lengths", 1, true, true, true, 3, 4}};
  for (const std::string kind : {"rnn", "rnn relu", "gru", "lstm"})
    for (const Form& f : forms) {
      const std::int64_t gates = kind == "lstm" ? 4 : kind == "gru" ? 3 : 1, directions = f.both ? 2 : 1, state = 2;
      std::vector<Shape> shapes{{f.batch, f.time, 3}, {f.layers * directions, f.batch, state}};
      if (kind == "lstm") shapes.push_back(shapes[1]);
      const std::size_t first = shapes.size();
      for (int layer = 0; layer < f.layers; ++layer)
        for (std::int64_t d = 0; d < directions; ++d) {
          shapes.push_back({gates * state, layer == 0 ? 3 : state * directions});
          shapes.push_back({gates * state, state});
          if (f.bias) shapes.insert(shapes.end(), {{gates * state}, {gates * state}});
        }
      const std::string name = kind + (*f.name ? " " : "") + f.name;
      t.add(
          name, shapes,
          [=](Args x) {
            std::vector<Tensor> weights;
            for (std::size_t k = first; k < x.size(); ++k) {
              weights.push_back(x[k]);
              if (!f.bias && (k - first) % 2 == 1) weights.insert(weights.end(), {Tensor(), Tensor()});
            }
            RnnOptions o{.num_layers = f.layers, .bidirectional = f.both};
            if (f.ends) o.lengths = i64({2, 4, 1}, {3});
            if (kind == "lstm") {
              const auto r = lstm(x[0], x[1], x[2], weights, o);
              return joined({r.output, r.h, r.c});
            }
            const auto r = kind == "gru" ? gru(x[0], x[1], weights, o)
                                         : rnn(x[0], x[1], weights,
                                               kind == "rnn" ? RnnNonlinearity::tanh : RnnNonlinearity::relu, o);
            return joined({r.output, r.h});
          },
          -1, 1, false, close);
    }
  const auto attention = [&](const std::string& name, Shape q, Shape k, Shape v, AttentionOptions o) {
    t.add(
        name, {q, k, v}, [o](Args x) { return scaled_dot_product_attention(x[0], x[1], x[2], o); }, -1, 1, true, close);
  };
  attention("scaled_dot_product_attention", {2, 3, 4}, {2, 5, 4}, {2, 5, 3}, {});
  attention("scaled_dot_product_attention heads", {2, 2, 3, 4}, {2, 2, 3, 4}, {2, 2, 3, 4}, {.is_causal = true});
  attention("scaled_dot_product_attention scale", {3, 4}, {5, 4}, {5, 4}, {.scale = 0.3});
  attention("scaled_dot_product_attention bool mask", {2, 3, 4}, {2, 5, 4}, {2, 5, 3},
            {.mask = gt(spread({3, 5}, -1, 1, 2), scalar(-0.5, {DType::f64}))});
  attention("scaled_dot_product_attention real mask", {2, 3, 4}, {2, 5, 4}, {2, 5, 3},
            {.mask = spread({2, 1, 5}, -1, 1, 2)});
  attention("scaled_dot_product_attention groups", {1, 4, 3, 2}, {1, 2, 3, 2}, {1, 2, 3, 2}, {.enable_gqa = true});
  t.add(
      "rotary_embedding", {{2, 5, 6}}, [](Args x) { return rotary_embedding(x[0]); }, -1, 1, true, close);
  t.add(
      "rotary_embedding interleaved", {{2, 5, 6}}, [](Args x) { return rotary_embedding(x[0], 0, 10000, true); }, -1, 1,
      true, close);
  t.add(
      "rotary_embedding offset", {{3, 4}}, [](Args x) { return rotary_embedding(x[0], 7, 100); }, -1, 1, true, close);
  const auto positions = [&](std::int64_t time, std::int64_t channels, std::int64_t offset) {
    t.add(
        "sinusoidal_positions " + std::to_string(channels), {{time, channels}},
        [=](Args x) { return x[0] * sinusoidal_positions(time, channels, offset, 10000, {DType::f64}); }, -1, 1, true,
        close);
  };
  positions(5, 6, 0), positions(4, 3, 2), positions(1, 1, 0);
}

}  // namespace tapedeck::test
