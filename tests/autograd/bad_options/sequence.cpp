// Recurrent layers, attention, positions.
#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_sequence(BadCalls& t) {
  // x [2, 5, 4] and a state of 4.
  const auto weights = [](std::int64_t gates) {
    return std::vector<Tensor>{zeros({gates * 4, 4}), zeros({gates * 4, 4}), zeros({gates * 4}), zeros({gates * 4})};
  };
  using Layer = std::function<void(In, const Tensor& h0, const std::vector<Tensor>&, const RnnOptions&)>;
  struct Cell {
    const char* op;
    std::int64_t gates;
    Layer f;
  };
  for (const auto& [op, gates, f] : std::vector<Cell>{
           {"rnn", 1,
            [](In g, const Tensor&h, const auto&w, const RnnOptions&o) { rnn(g.x, h, w, RnnNonlinearity::tanh, o); }},
           {"gru", 3, [](In g, const Tensor&h, const auto&w, const RnnOptions&o) { gru(g.x, h, w, o); }},
           {"lstm", 4, [](In g, const Tensor&h, const auto&w, const RnnOptions&o) { lstm(g.x, h, h, w, o); }}}) {
    const auto w = weights(gates);
    t.values(op, {0, -1, 1001, std::numeric_limits<int>::max()},
             [=, f = f](In g, std::int64_t n) { f(g, {}, w, {.num_layers = static_cast<int>(n)}); });
    t.reals(op, {-0.5, 1.5, kNan}, [=, f = f](In g, double p) { f(g, {}, w, {.dropout = p}); });
    t.value(op, {"8 weights", "got 4"}, [=, f = f](In g) { f(g, {}, w, {.num_layers = 2}); });
    t.shape(op, {"[6]", "[1,2,4]"}, [=, f = f](In g) { f(g, detach(g.v), w, {}); });
    for (const std::int64_t n : {std::int64_t{-1}, std::int64_t{6}, kHuge})
      t.value(op, {std::to_string(n), "[0, 6)"}, [=, f = f](In g) {
        f(g, {}, w, {.lengths = tensor(std::vector<std::int64_t>{5, n}, {2})});
      });
    t.shape(op, {"[3]", "2"}, [=, f = f](In g) { f(g, {}, w, {.lengths = g.places}); });
    t.shape(op, {"[3,4]"}, [=, f = f](In g) {
      auto other = w;
      other[0] = detach(g.m);
      f(g, {}, other, {});
    });
  }
  const auto layer = [](In g, const WaveNetLayerOptions& o, int broken = -1, const Tensor& skips = {}) {
    std::vector<Tensor> w{zeros({6, 4, 2}), zeros({6}), zeros({4, 3, 1}), zeros({4}), zeros({2, 3, 1}), zeros({2})};
    if (broken >= 0) w[static_cast<std::size_t>(broken)] = zeros({5, 5, 5});
    wavenet_layer(g.x, skips, w, o);
  };
  const char* op = "wavenet_layer";
  t.values(op, {0, -1, kHuge, -kHuge}, [=](In g, std::int64_t n) { layer(g, {.dilation = n}); });
  t.values(op, {0, -1, -kHuge}, [=](In g, std::int64_t n) { layer(g, {.keep = n}); });
  t.value(op, {"valid or causal"}, [=](In g) { layer(g, {.padding = Padding::same}); });
  t.value(op, {"6 weights", "got 1"}, [](In g) { wavenet_layer(g.x, {}, {zeros({6, 4, 2})}); });
  t.shape(op, {"9 time steps", "5"}, [=](In g) { layer(g, {.dilation = 8}); });
  t.shape(op, {"[batch, time, channels]"}, [](In g) { wavenet_layer(g.m, {}, std::vector<Tensor>(6)); });
  for (int i = 0; i < 6; ++i) t.shape(op, {"[5,5,5]"}, [=](In g) { layer(g, {}, i); });
  t.shape(op, {"[2,4,2]", "[2,5,2]"}, [=](In g) { layer(g, {}, -1, zeros({2, 5, 2})); });
  op = "scaled_dot_product_attention";
  const auto attend = [](In g, const AttentionOptions& o) { scaled_dot_product_attention(g.x, g.x, g.x, o); };
  t.reals(op, {-0.5, 1.5, kNan}, [=](In g, double p) { attend(g, {.dropout_p = p}); });
  t.values(op, {-1, kHuge, -kHuge}, [=](In g, std::int64_t n) { attend(g, {.is_causal = true, .past = n}); });
  t.shape(op, {"[2,5,5]", "[3,4]"}, [=](In g) { attend(g, {.mask = g.mask}); });
  t.shape(op, {"[2,5,4]", "[3,4]"}, [](In g) { scaled_dot_product_attention(g.x, g.x, g.m); });
  t.shape(op, {"[3,4]", "[6]"}, [](In g) { scaled_dot_product_attention(g.m, g.v, g.v); });
  t.shape(op, {"heads"}, [](In g) {
    scaled_dot_product_attention(g.x, detail::narrow(g.image, 0, 0, 1), detail::narrow(g.image, 0, 0, 1),
                                 {.enable_gqa = true});
  });
  t.values("rotary_embedding", {-1, kHuge, -kHuge}, [](In g, std::int64_t n) { rotary_embedding(g.x, n); });
  t.reals("rotary_embedding", {0, -1, kNan, kInfinity}, [](In g, double b) { rotary_embedding(g.x, 0, b); });
  t.shape("rotary_embedding", {"[2,5,3]"}, [](In g) { rotary_embedding(detail::narrow(g.x, 2, 0, 3)); });
  t.values("sinusoidal_positions", {-1, -kHuge, kHuge}, [](In, std::int64_t n) { sinusoidal_positions(n, 4); });
  t.values("sinusoidal_positions", {-1, -kHuge, kHuge}, [](In, std::int64_t n) { sinusoidal_positions(4, n); });
  t.values("sinusoidal_positions", {-1, kHuge}, [](In, std::int64_t n) { sinusoidal_positions(4, 4, n); });
  t.reals("sinusoidal_positions", {0, -1, kNan}, [](In, double b) { sinusoidal_positions(4, 4, 0, b); });
  t.dtype("sinusoidal_positions", {"i64"}, [](In) { sinusoidal_positions(4, 4, 0, 10000, {DType::i64}); });
}

}  // namespace tapedeck::test
