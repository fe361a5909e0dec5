// Losses and features beyond what golden_test compares: weights of the config, states, sounds there and back.
#include <tapedeck/io/mulaw.h>
#include <tapedeck/nn/features.h>
#include <tapedeck/nn/losses.h>
#include <tapedeck/nn/registry.h>

#include <cmath>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

template <class M>
std::shared_ptr<M> made(const typename M::Config& config, DType dtype = DType::f32) {
  auto module = std::make_shared<M>(config);
  materialise(*module, {.dtype = dtype});
  return module;
}
Tensor wave(const Shape& shape) {
  const Tensor x = empty(shape, {DType::f64, kCpu});
  for (std::int64_t i = 0; i < x.numel(); ++i) x.data<double>()[i] = std::sin(0.37 * static_cast<double>(i * i % 97));
  return x;
}

TEST(Losses, WeightsOfTheConfigAreBuffersThatPyTorchKnows) {
  const Tensor x = cast(wave({3, 4}), DType::f32), target = reshape(some_codes(3, 1, 4), {3});
  const auto loss = made<CrossEntropyLoss>({.weight = {1, 2, 3, 4}});
  ASSERT_EQ(loss->state_dict().size(), 1u);
  EXPECT_EQ(loss->state_dict()[0].path, "weight");
  EXPECT_TRUE(same_bits((*loss)(x, target), cross_entropy(x, target, {.weight = tensor({1, 2, 3, 4})})));
  EXPECT_EQ(made<CrossEntropyLoss>({})->state_dict().size(), 0u);
  EXPECT_FALSE(same_bits((*loss)(x, target), (*made<CrossEntropyLoss>({}))(x, target)));
  loss->load_state({{"weight", tensor({1, 1, 1, 1})}});
  EXPECT_TRUE(same_bits((*loss)(x, target), (*made<CrossEntropyLoss>({}))(x, target)));
  const auto logits = made<BCEWithLogitsLoss>({.weight = {1, 2, 3, 4}, .pos_weight = {4, 3, 2, 1}});
  EXPECT_EQ(logits->state_dict().size(), 2u);
}

TEST(Losses, RefuseWhatTheyCannotTake) {
  expect_has(message_of<ConfigError>([] { MSELoss({.reduction = Reduction::batchmean}); }), {"/reduction"});
  expect_has(message_of<ConfigError>([] { MultiMarginLoss({.p = 3}); }), {"/p"});
  expect_has(message_of<ConfigError>([] { HuberLoss({.delta = 0}); }), {"/delta"});
  const auto weighted = made<NLLLoss>({.weight = {1, 2}});
  EXPECT_THROW((*weighted)(zeros({2, 3}), some_codes(2, 1, 3)), Error);
  EXPECT_THROW(call(*weighted, {zeros({2, 3})}), ValueError);  // one tensor of two
  EXPECT_NO_THROW(build(io::parse_json(R"({"type": "KLDivLoss", "reduction": "batchmean"})", "x")));
}

TEST(Features, WindowsAndBanksAreNoState) {
  for (const std::string& name : module_types()) {
    if (module_type(name).kind != "feature") continue;
    const auto module = build(module_type(name).example.hparams());
    materialise(*module);
    EXPECT_TRUE(module->state_dict().empty()) << name;
    EXPECT_EQ(module->parameter_count(), 0) << name;
  }
}

TEST(Features, InverseSpectrogramGivesTheSoundBack) {
  const Tensor x = wave({2, 1000});
  for (const std::int64_t pad : {0, 7}) {
    SpectrogramConfig there;
    there.n_fft = 64, there.hop_length = 16, there.pad = pad, there.normalized = true, there.power.reset();
    InverseSpectrogramConfig back;
    static_cast<FramesConfig&>(back) = there;
    const Tensor y =
        made<InverseSpectrogram>(back, DType::f64)->forward(made<Spectrogram>(there, DType::f64)->forward(x), 1000);
    EXPECT_EQ(y.sizes(), x.sizes());
    EXPECT_TRUE(allclose(y, x, 0, 1e-12));
  }
}

TEST(Features, CodesAreThoseOfTheCodec) {
  const Tensor x = cast(wave({3, 50}) * 1.2, DType::f32);
  const auto samples = x.to_vector<float>();
  for (const int levels : {2, 37, 256, 65536}) {
    const auto codes = (*made<MuLawEncoding>({levels}))(x);
    EXPECT_EQ(codes.to_vector<std::int64_t>(), io::encode(io::MuLaw(levels), samples));
    EXPECT_EQ((*made<MuLawDecoding>({levels}))(codes).to_vector<float>(),
              io::decode(io::MuLaw(levels), codes.to_vector<std::int64_t>()));
    const auto steps = (*made<LinearEncoding>({levels}))(x);
    EXPECT_EQ(steps.to_vector<std::int64_t>(), io::encode(io::LinearCode(levels), samples));
    EXPECT_EQ((*made<LinearDecoding>({levels}))(steps).to_vector<float>(),
              io::decode(io::LinearCode(levels), steps.to_vector<std::int64_t>()));
  }
  EXPECT_THROW((*made<MuLawEncoding>({}))(full({3}, NAN)), ValueError);
  EXPECT_THROW((*made<MuLawDecoding>({}))(full({3}, 256, {DType::i64, kCpu})), ValueError);
  EXPECT_THROW((*made<MuLawDecoding>({}))(zeros({3})), Error);
}

TEST(Features, ConfigsAreChecked) {
  const auto refused = [](const char* text, const char* pointer) {
    expect_has(message_of<ConfigError>([&] { build(io::parse_json(text, "x")); }), {pointer});
  };
  refused(R"({"type": "Spectrogram", "n_fft": 8, "win_length": 9})", "/win_length");
  refused(R"({"type": "MelScale", "f_min": 9000})", "/f_min");
  refused(R"({"type": "MelScale", "n_mels": 4096, "n_stft": 1000000})", "/n_mels");
  refused(R"({"type": "MelSpectrogram", "power": null})", "/power");
  refused(R"({"type": "MFCC", "n_mfcc": 40, "mel": {"n_mels": 20}})", "/n_mfcc");
  EXPECT_NO_THROW(build(io::parse_json(R"({"type": "MFCC", "n_mfcc": 10, "melkwargs": {"n_mels": 20}})", "x")));
}

}  // namespace
}  // namespace tapedeck::nn
