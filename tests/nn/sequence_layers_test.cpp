// What the golden values of recurrent layers and attention leave out: lengths, masks, wrong shapes, first values.
#include <tapedeck/nn/layers.h>

#include <algorithm>
#include <cmath>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

Tensor wave(const Shape& shape) { return reshape(sin(cast(arange(shape.numel()), DType::f32)), shape); }
double largest(const Tensor& t) { return amax(abs(t)).item(); }

TEST(Recurrent, InitialDistributionAndGroups) {
  const auto gru = make<GRU>(GRUConfig{8, 16, 2, true, 0, true});
  materialise(*gru);
  EXPECT_EQ(gru->named_parameters().size(), 16u);
  EXPECT_EQ(gru->named_parameters()[5].path, "weight_hh_l0_reverse");
  for (const auto& [path, t] : gru->named_parameters()) {
    EXPECT_LE(largest(t), 0.25) << path;
    EXPECT_GT(largest(t), 0.2) << path;
  }
  EXPECT_EQ(gru->parameter_groups()[1].parameters.size(), 8u);
  EXPECT_EQ(make<LSTM>(LSTMConfig{.input_size = 8, .hidden_size = 16, .bias = false})->parameter_count(),
            4 * 16 * (8 + 16));
}

TEST(Recurrent, LayersInSequenceStatesAndLengths) {
  const auto net = make<Sequential>(std::vector<Part<Layer>>{make<GRU>(GRUConfig{3, 4}), make<LSTM>(LSTMConfig{4, 2})});
  materialise(*net);
  const Tensor x = wave({2, 6, 3});
  EXPECT_EQ(net(x).sizes(), (Shape{2, 6, 2}));
  const auto gru = part_cast<GRU>((*net)[0]);
  // In two parts, with the state between them.
  const RnnResult whole = gru(x, Tensor()), head = gru(narrow(x, 1, 0, 2), Tensor());
  const RnnResult rest = gru(narrow(x, 1, 2, 4), head.h);
  EXPECT_TRUE(same_bits(rest.h, whole.h));
  EXPECT_TRUE(same_bits(rest.output, narrow(whole.output, 1, 2, 4)));
  const Tensor lengths = tensor(std::vector<std::int64_t>{6, 2}, {2});
  const RnnResult cut = gru(x, Tensor(), lengths);
  EXPECT_TRUE(same_bits(select(cut.h, 1, 1), select(head.h, 1, 1)));
  // A cell is one step of it.
  const auto cell = make<GRUCell>(GRUCellConfig{3, 4});
  StateDict state;
  for (const auto& [path, t] : gru->state_dict()) state.push_back({path.substr(0, path.size() - 3), t});
  cell->load_state(state);
  EXPECT_TRUE(same_bits(cell(select(x, 1, 0)), select(whole.output, 1, 0)));
  EXPECT_THROW(cell(x), ShapeError);
  EXPECT_THROW(gru(zeros({2, 6, 4})), ShapeError);
}

// What lies behind the end of a row is not read: NaN there is as good as zeros, for every value and gradient.
TEST(Recurrent, NothingBehindTheEndOfARow) {
  const Tensor lengths = tensor(std::vector<std::int64_t>{4, 2, 0}, {3});
  const Tensor runs = unsqueeze(lt(unsqueeze(arange(4), 0), unsqueeze(lengths, 1)), 2);
  const auto same_with_nan = [&](const auto& layer) {
    materialise(*layer);
    const auto results = [&](double behind) {
      const Tensor x = where(runs, wave({3, 4, 3}), full({}, behind));
      layer->zero_grad();
      Tape tape;
      tape.watch(x);
      const auto out = layer(x, Tensor(), lengths);
      tape.backward(add(sum(square(out.output)), sum(out.h)));
      std::vector<Tensor> all;
      for (const Tensor& t : {out.output, out.h, tape.grad(x)}) all.push_back(detach(t));
      for (const auto& [path, p] : layer->named_parameters()) all.push_back(clone(p.grad()));
      return all;
    };
    const std::vector<Tensor> padded = results(0), nans = results(NAN);
    for (std::size_t i = 0; i < padded.size(); ++i) EXPECT_TRUE(same_bits(nans[i], padded[i])) << i;
    EXPECT_EQ(largest(select(nans[2], 0, 2)), 0);
  };
  same_with_nan(make<GRU>(GRUConfig{.input_size = 3, .hidden_size = 4, .num_layers = 2, .bidirectional = true}));
  same_with_nan(make<RNN>(RNNConfig{.input_size = 3, .hidden_size = 4}));
}

TEST(Recurrent, DropoutBetweenLayersWhileTraining) {
  const auto lstm = make<LSTM>(LSTMConfig{.input_size = 3, .hidden_size = 8, .num_layers = 2, .dropout = 0.5});
  materialise(*lstm);
  const Tensor x = wave({2, 6, 3});
  const auto run = [&](std::uint64_t step) {
    const RandomScope scope(1, step);
    return lstm(x);
  };
  EXPECT_TRUE(same_bits(run(1), run(1)));
  EXPECT_FALSE(same_bits(run(1), run(2)));
  lstm->eval();
  EXPECT_TRUE(same_bits(run(1), run(2)));
}

TEST(MultiheadAttention, MasksKeepAway) {
  const auto attention = make<MultiheadAttention>(MultiheadAttentionConfig{4, 2});
  materialise(*attention);
  EXPECT_EQ(largest(attention->in_proj_bias), 0);
  EXPECT_EQ(largest(attention->out_proj().bias), 0);
  EXPECT_LE(largest(attention->in_proj_weight), std::sqrt(6.0 / 16));
  const Tensor x = wave({2, 5, 4}), other = wave({2, 5, 4}) + 1.0;
  Masks causal;
  causal.is_causal = true;
  const Tensor y = attention(x, x, x, causal);
  // As an explicit mask, bool or added.
  Masks mask;
  mask.attn_mask = gt(triu(ones({5, 5}), 1), 0);
  EXPECT_TRUE(same_bits(attention(x, x, x, mask), y));
  mask.attn_mask = where(mask.attn_mask, full({}, -INFINITY), zeros({}));
  EXPECT_TRUE(same_bits(attention(x, x, x, mask), y));
  // Steps that are masked do not matter.
  Masks padding;
  padding.key_padding_mask = expand(gt(arange(5), 2), {2, 5});
  const Tensor mixed = cat({narrow(x, 1, 0, 3), narrow(other, 1, 3, 2)}, 1);
  EXPECT_TRUE(same_bits(attention(x, mixed, mixed, padding), attention(x, x, x, padding)));
  EXPECT_FALSE(same_bits(attention(x, mixed, mixed), attention(x, x, x)));
  for (const bool real : {false, true}) {  // both masks together
    Masks both = padding;
    both.attn_mask = gt(triu(ones({5, 5}), 1), 0);
    if (real) both.attn_mask = where(both.attn_mask, full({}, -INFINITY), zeros({}));
    EXPECT_TRUE(same_bits(narrow(attention(x, mixed, mixed, both), 1, 0, 3), narrow(y, 1, 0, 3)));
  }
  padding.key_padding_mask = zeros({2, 4});
  EXPECT_THROW(attention(x, x, x, padding), ShapeError);
  EXPECT_THROW(attention(x, narrow(x, 0, 0, 1), x), ShapeError);
  expect_has(message_of<ConfigError>([] {
               MultiheadAttention bad(MultiheadAttentionConfig{5, 2});
             }),
             {"/embed_dim", "multiple of num_heads (2)"});
}

// With weights and without, masks given as flags or spelled out: one result.
TEST(MultiheadAttention, WeightsBesideTheOutput) {
  const Tensor x = wave({2, 5, 4});
  for (const bool more : {false, true}) {
    const auto attention = make<MultiheadAttention>(
        MultiheadAttentionConfig{.embed_dim = 4, .num_heads = 2, .add_bias_kv = more, .add_zero_attn = more});
    materialise(*attention, {.dtype = DType::f64});
    const Tensor in = cast(x, DType::f64);
    Masks causal, spelled;
    causal.is_causal = true, spelled.attn_mask = gt(triu(ones({5, 5}), 1), 0);
    causal.key_padding_mask = spelled.key_padding_mask = expand(gt(arange(5), 3), {2, 5});
    const auto [y, each] = attention(in, in, in, causal, NeedWeights{.average = false});
    const auto [same, mean_of] = attention(in, in, in, spelled, NeedWeights{});
    EXPECT_EQ(each.sizes(), (Shape{2, 2, 5, more ? 7 : 5}));
    EXPECT_TRUE(same_bits(y, same));
    EXPECT_LE(largest(y - attention(in, in, in, causal)), 1e-14);
    EXPECT_LE(largest(attention(in, in, in, causal) - attention(in, in, in, spelled)), 1e-14);
    EXPECT_LE(largest(mean(each, {1}) - mean_of), 1e-15);
    EXPECT_LE(largest(sum(each, {-1}) - 1.0), 1e-14);
    EXPECT_EQ(largest(where(spelled.attn_mask, narrow(mean_of, -1, 0, 5), full({}, 0, in.options()))), 0);
    EXPECT_EQ(largest(narrow(mean_of, -1, 4, 1)), 0);
    // A query that sees no key: no weights, and the bias of out_proj.
    Masks none;
    none.attn_mask = full({1, 1}, 1, {DType::boolean, kCpu});
    const auto [blind, weights] = attention(in, in, in, none, NeedWeights{});
    EXPECT_EQ(largest(narrow(weights, -1, 0, 5)), 0);
    if (!more) {
      EXPECT_EQ(largest(blind - attention->out_proj().bias), 0);
    }
  }
}

TEST(Transformer, CausalLayersDoNotSeeAhead) {
  TransformerEncoderConfig config{.layer = {.d_model = 4, .nhead = 2, .dim_feedforward = 6, .causal = true}};
  const auto net = make<TransformerEncoder>(config);
  materialise(*net);
  const Tensor x = wave({1, 6, 4});
  const Tensor changed = cat({narrow(x, 1, 0, 4), narrow(x, 1, 4, 2) + 1.0}, 1);
  EXPECT_FALSE(same_bits(net(x), net(x)));  // dropout
  net->eval();
  EXPECT_TRUE(same_bits(narrow(net(x), 1, 0, 4), narrow(net(changed), 1, 0, 4)));
  EXPECT_FALSE(same_bits(net(x), net(changed)));
  config.layer.d_model = 5;
  expect_has(message_of<ConfigError>([&] { TransformerEncoder bad(config); }), {"/layer/d_model"});
}

TEST(Positions, OffsetsContinue) {
  const auto learned = make<LearnedPositions>(LearnedPositionsConfig{6, 4});
  const auto waves = make<SinusoidalPositions>();
  const auto turns = make<RotaryPositions>();
  for (Module* m :
       {static_cast<Module*>(learned.get()), static_cast<Module*>(waves.get()), static_cast<Module*>(turns.get())})
    materialise(*m);
  const Tensor x = wave({2, 6, 4}), tail = narrow(x, 1, 4, 2);
  EXPECT_TRUE(same_bits(learned(tail, std::int64_t{4}), narrow(learned(x), 1, 4, 2)));
  EXPECT_TRUE(same_bits(waves(tail, std::int64_t{4}), narrow(waves(x), 1, 4, 2)));
  EXPECT_TRUE(same_bits(turns(tail, std::int64_t{4}), narrow(turns(x), 1, 4, 2)));
  expect_has(message_of<ShapeError>([&] { learned(tail, std::int64_t{5}); }), {"LearnedPositions", "below 6"});
  EXPECT_THROW(learned(tail, std::int64_t{-1}), ShapeError);
}

TEST(RReLU, SlopesAreDrawnWhileTraining) {
  const auto layer = make<RReLU>();
  materialise(*layer);
  const Tensor y = neg(layer(full({1000}, -1)));
  EXPECT_GE(min(y).item(), 0.125);
  EXPECT_LE(max(y).item(), 1.0 / 3);
  EXPECT_NEAR(mean(y).item(), 11.0 / 48, 0.01);
  EXPECT_EQ(max(layer(full({3}, 2))).item(), 2);
}

TEST(Mix, NoiseWhileTraining) {
  const auto gaussian = make<Gaussian>(GaussianConfig{3, 400});
  materialise(*gaussian);
  fill_(gaussian->named_parameters()[0].tensor, 0);
  const auto bias = detach(gaussian->named_parameters()[1].tensor);
  copy_(narrow(bias, 0, 0, 400), full({400}, 2));
  copy_(narrow(bias, 0, 400, 400), full({400}, 2 * std::log(0.5)));
  const Tensor x = zeros({100, 3});
  const Tensor y = gaussian(x);
  EXPECT_NEAR(mean(y).item(), 2, 0.02);
  EXPECT_NEAR(std(y).item(), 0.5, 0.02);
  copy_(narrow(bias, 0, 400, 400), full({400}, -100));
  EXPECT_NEAR(std(gaussian(x)).item(), 1e-4, 1e-5);
  gaussian->eval();
  EXPECT_EQ(largest(gaussian(x) - 2.0), 0);
  const auto logistic = make<Logistic>(LogisticConfig{3, 400});
  materialise(*logistic);
  fill_(logistic->named_parameters()[0].tensor, 0);
  copy_(logistic->named_parameters()[1].tensor, cat({full({400}, 1), full({400}, 0.1)}, 0));
  EXPECT_NEAR(mean(logistic(x)).item(), 1, 0.01);
  EXPECT_NEAR(std(logistic(x)).item(), 0.1 * M_PI / std::sqrt(3.0), 0.01);
}

TEST(Blocks, BadSizesAreErrors) {
  expect_has(message_of<ConfigError>([] { ResBlock bad({.kernel_size = 2}); }), {"/kernel_size", "odd"});
  expect_has(message_of<ConfigError>([] { UNetBlock bad({.channels = {}}); }), {"/channels"});
  expect_has(message_of<ConfigError>([] { LinearResampler bad({.up = 2, .down = 2}); }), {"/down"});
  expect_has(message_of<ConfigError>([] { LSTMResampler bad({.out_channels = 3, .down = 2}); }), {"/out_channels"});
  expect_has(message_of<ConfigError>([] { Upsample bad({.size = {2}, .scale_factor = {2}}); }), {"/scale_factor"});
  expect_has(message_of<ConfigError>([] { Conv2d bad({.stride = {1, 2}, .padding = Padding::same}); }), {"/stride"});
  expect_has(message_of<ConfigError>([] { Conv1d bad({.padding = Padding::causal, .pad = 1}); }), {"/pad"});
  expect_has(message_of<ConfigError>([] { ConvTranspose1d bad({.output_padding = 1}); }), {"/output_padding"});
  expect_has(message_of<ConfigError>([] { GroupNorm bad({.num_groups = 2, .num_channels = 3}); }), {"/num_channels"});
  expect_has(message_of<ConfigError>([] { LayerNorm bad({.normalized_shape = {}}); }), {"/normalized_shape"});
  const auto unet = make<UNetBlock>(UNetBlockConfig{.in_channels = 1, .channels = {2, 2}});
  const auto down = make<Conv1dResampler>(Conv1dResamplerConfig{.down = 2});
  const auto glu = make<GLU>();
  const auto frames = make<FramedLinear>();
  const auto film = make<FiLM>(FiLMConfig{2, 2});
  const auto se = make<SEBlock>();
  const auto bilinear = make<Bilinear>();
  for (Module* m :
       std::vector<Module*>{unet.get(), down.get(), glu.get(), frames.get(), film.get(), se.get(), bilinear.get()})
    materialise(*m);
  EXPECT_THROW(unet(zeros({1, 6, 1})), ShapeError);  // 6, then 3
  EXPECT_THROW(unet(zeros({1, 4})), ShapeError);
  EXPECT_THROW(down(zeros({1, 3, 1})), ShapeError);
  EXPECT_THROW(glu(zeros({1, 3})), ShapeError);
  EXPECT_THROW(glu(Tensor()), ShapeError);
  EXPECT_THROW(frames(some_codes(1, 1, 256)), ShapeError);
  EXPECT_THROW(film(zeros({1, 4, 2}), zeros({2, 2})), ShapeError);
  EXPECT_THROW(se(zeros({1, 1})), ShapeError);
  EXPECT_THROW(bilinear(zeros({2, 1}), zeros({3, 1})), ShapeError);
}

}  // namespace
}  // namespace tapedeck::nn
