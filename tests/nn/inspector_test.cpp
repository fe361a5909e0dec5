#include <tapedeck/nn/inspector.h>
#include <tapedeck/nn/layers.h>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

Part<Sequential> some_net(Part<Linear> first = make<Linear>(LinearConfig{3, 3})) {
  return make<Sequential>(
      std::vector<Part<Layer>>{first, make<Activation>(ActivationConfig{Act::tanh}), make<Linear>(LinearConfig{3, 2})});
}
Tensor some_input() { return tensor(std::vector<float>{1, -2, 3, 0.5f, 1, -1}, {2, 3}); }

TEST(Inspector, WhatItCapturesIsWhatTheModuleGives) {
  const auto net = some_net();
  materialise(*net);
  const Tensor x = some_input(), plain = net(x);
  {
    Inspector look(*net);
    look.capture("*", Inspector::inputs | Inspector::outputs);
    EXPECT_TRUE(look.run([&] { EXPECT_TRUE(same_bits(net(x), plain)); }));
    ASSERT_EQ(look.records().size(), 3u);
    EXPECT_EQ(look.records()[1].path, "1");
    EXPECT_TRUE(same_bits(look.record("0").inputs[0], x));
    EXPECT_TRUE(same_bits(look.record("0").outputs[0], (*net)[0](x)));  // a further call: index 1
    EXPECT_TRUE(same_bits(look.record("0", 1).outputs[0], look.record("0").outputs[0]));
    EXPECT_TRUE(same_bits(look.record("2").outputs[0], plain));
    expect_has(message_of<ValueError>([&] { look.record("2", 1); }), {"call 1 of \"2\"", "\"1\" 0"});
    look.run([&] { net(x); });  // cleared per run
    EXPECT_EQ(look.records().size(), 3u);
    expect_has(message_of<ValueError>([&] { look.capture("3"); }), {"no module of Sequential matches \"3\""});
    // Patching with the captured value changes nothing.
    const Tensor middle = look.record("1").outputs[0];
    look.patch("1", middle);
    EXPECT_TRUE(same_bits(net(x), plain));
  }
  EXPECT_TRUE(net->plain() || same_bits(net(x), plain));
  EXPECT_TRUE(same_bits(net(x), plain));
  EXPECT_TRUE(net->plain());
}

TEST(Inspector, GradientsOfOneCall) {
  const auto shared = make<Linear>(LinearConfig{3, 3});
  const auto net = make<Sequential>(std::vector<Part<Layer>>{shared, shared});
  materialise(*net);
  const Tensor x = some_input();
  Inspector look(*net);
  look.capture("0", Inspector::input_gradients | Inspector::output_gradients);
  Tape tape;
  tape.watch(x);
  look.run([&] { tape.backward(sum(net(x))); });
  const CallRecord &first = look.record("0", 0), &second = look.record("0", 1);
  EXPECT_TRUE(same_bits(second.output_gradients[0], full({2, 3}, 1)));
  EXPECT_TRUE(same_bits(first.output_gradients[0], second.input_gradients[0]));
  EXPECT_TRUE(same_bits(first.input_gradients[0], tape.grad(x)));
  const NoGrad pause;
  EXPECT_TRUE(same_bits(second.input_gradients[0], matmul(full({2, 3}, 1), shared->weight)));
}

TEST(Inspector, CallsAreChangedByIndex) {
  const auto shared = make<Linear>(LinearConfig{3, 3});
  const auto net = make<Sequential>(std::vector<Part<Layer>>{shared, shared});
  materialise(*net);
  const Tensor x = some_input(), once = shared(x);
  Inspector look(*net);
  look.bypass("0", 1);
  look.run([&] { EXPECT_TRUE(same_bits(net(x), once)); });
  look.clear();
  look.ablate("0", Inspector::Ablation::zero, 0);
  const Tensor bias = expand(shared->bias, {2, 3});
  look.run([&] { EXPECT_TRUE(same_bits(net(x), bias)); });
  look.clear();
  look.swap(
      "0", [](std::span<const Tensor> in) { return in[0] * 2; }, 0);
  Tensor swapped;
  look.run([&] { swapped = net(x); });
  EXPECT_TRUE(same_bits(swapped, shared(x * 2)));
  look.clear();
  look.patch_input(
      "0", [](const Tensor& t) { return t * 3; }, 0);
  const Tensor expected = [&] {
    const Inspector none(*net);
    return shared(shared(x * 3));
  }();
  look.run([&] { EXPECT_TRUE(same_bits(net(x), expected)); });
}

TEST(Inspector, Ablations) {
  const auto net = some_net();
  materialise(*net);
  const Tensor x = some_input();
  Inspector look(*net);
  look.capture("1");
  look.ablate("1", Inspector::Ablation::mean);
  net(x);
  const auto means = look.record("1").outputs[0].to_vector<float>();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(means[i], means[i + 3]);
  look.clear();
  look.ablate("1", Inspector::Ablation::noise);
  EXPECT_FALSE(same_bits(net(x), net(x)));
  look.clear();
  look.bypass("2");
  expect_has(message_of<ShapeError>([&] { net(x); }), {"cannot be bypassed", "Linear \"2\""});
}

TEST(Inspector, AStopEndsTheRunBehindEverythingElse) {
  const auto net = some_net();
  materialise(*net);
  const Tensor x = some_input();
  Inspector look(*net);
  look.stop("1");
  look.capture("*");
  bool ended = false;
  EXPECT_FALSE(look.run([&] { net(x), ended = true; }));
  EXPECT_FALSE(ended);
  ASSERT_EQ(look.records().size(), 2u);
  look.clear();
  EXPECT_TRUE(look.run([&] { net(x); }));
  // An error inside leaves it usable.
  look.capture("**");
  EXPECT_THROW(look.run([&] { net(zeros({2, 4})); }), ShapeError);
  EXPECT_TRUE(look.run([&] { net(x); }));
  EXPECT_EQ(look.records().size(), 4u);
  EXPECT_EQ(look.records().back().path, "");
}

TEST(Inspector, InsideCheckpoints) {
  const auto net = some_net();
  materialise(*net);
  const Tensor x = some_input();
  const auto gradient = [&] {
    net->zero_grad();
    Tape tape;
    tape.backward(sum(checkpoint([&](const std::vector<Tensor>& a) { return net(a[0]); }, {x})));
    return net->arenas()[0].gradients.to_vector<float>();
  };
  std::vector<float> expected;
  {
    Inspector look(*net);
    look.patch("1", [](const Tensor& y) { return y * 2; });
    look.capture("1", Inspector::output_gradients);
    expected = gradient();
    EXPECT_TRUE(look.record("1", -1).output_gradients[0].defined());
    look.patch(
        "1", [](const Tensor& y) { return y; }, 0);
    expect_has(message_of<ValueError>([&] { gradient(); }), {"cannot be replayed"});
  }
  const auto doubled = some_net();
  materialise(*doubled);
  const HookHandle hook(*doubled, "1", [](const Call& c) { *c.outputs[0] = *c.outputs[0] * 2; });
  Tape tape;
  tape.backward(sum(doubled(x)));
  EXPECT_EQ(doubled->arenas()[0].gradients.to_vector<float>(), expected);
}

TEST(Inspector, SeesEveryTensorOfAResult) {
  const auto gru = make<GRU>(GRUConfig{3, 2});
  materialise(*gru);
  Inspector look(*gru);
  look.capture("", Inspector::inputs | Inspector::outputs);
  const RnnResult r = gru(zeros({1, 4, 3}), zeros({1, 1, 2}));
  EXPECT_EQ(look.record("").inputs.size(), 2u);
  ASSERT_EQ(look.record("").outputs.size(), 2u);
  EXPECT_TRUE(same_bits(look.record("").outputs[1], r.h));
}

}  // namespace
}  // namespace tapedeck::nn
