// A component of one's own, described once: dumped, edited, rebuilt, trained, and loaded by name.
#include <tapedeck/train/tapedeck.h>

#include <cstdio>

using namespace tapedeck;

// A family of curves, and two of its members: what a Poly member of a config chooses from by "type".
struct Curve {};
struct Drive {
  double gain = 2;
  static constexpr const char* type_name = "Drive";
  static constexpr void fields(auto&& f) { f("gain", &Drive::gain, io::Meta{.min = 0, .max = 100, .unit = "x"}); }
};
struct Wave {
  double period = 1;
  static constexpr const char* type_name = "Wave";
  static constexpr void fields(auto&& f) { f("period", &Wave::period, io::Meta{.min = 1e-3, .max = 1e3}); }
};

// The config: a nested one and a Poly member. The Impl below is a Layer that follows from it.
struct ShaperConfig {
  nn::LinearConfig mix{.in_features = 8, .out_features = 8};
  io::Poly<Curve> curve = Drive{};
  static constexpr const char* type_name = "Shaper";
  static constexpr void fields(auto&& f) {
    f("mix", &ShaperConfig::mix, io::Meta{.help = "how channels are mixed before the curve"});
    f("curve", &ShaperConfig::curve, io::Meta{.help = "what bends the signal"});
  }
};
class Shaper : public nn::Configured<ShaperConfig> {
 public:
  explicit Shaper(ShaperConfig c = {}) : Configured(std::move(c)), mix_(nn::make<nn::Linear>(config().mix)) {
    child("mix", mix_);
  }
  Tensor forward(const Tensor& x) override {
    if (const Wave* wave = config().curve.get_if<Wave>()) return sin(mix_(x) / wave->period);
    return tanh(mix_(x) * config().curve.get_if<Drive>()->gain);
  }

 private:
  nn::Part<nn::Linear> mix_;
};

// A library type with one method of one's own, under a name of its own.
class SelfGatedMLP : public nn::MLP {
 public:
  static constexpr const char* registered_name = "SelfGatedMLP";
  using MLP::MLP;
  const char* type_name() const override { return registered_name; }
  Tensor forward(const Tensor& x) override { return MLP::forward(x) * sigmoid(x); }
};

int main() {
  io::Poly<Curve>::add<Drive>(), io::Poly<Curve>::add<Wave>();
  nn::register_module<Shaper>(), nn::register_module<SelfGatedMLP>();

  const nn::MLPConfig mlp{.in = 8, .hidden = 16, .out = 8, .min_temperature = std::nullopt};
  auto net =
      nn::make<nn::Sequential>(std::vector<nn::Part<nn::Layer>>{nn::make<Shaper>(), nn::make<SelfGatedMLP>(mlp)});
  io::Node described = net->hparams();
  std::string text = io::dump_json(described);  // to a file, to a colleague; then edited by hand:
  text.replace(text.find("\"Drive\""), 7, "\"Wave\""), text.replace(text.find("\"gain\": 2.0"), 11, "\"period\": 0.5");
  auto rebuilt = nn::build_part<nn::Layer>(io::parse_json(text, "edited"));
  nn::materialise(*rebuilt, {.seed = 1});

  const Tensor x = randn({64, 8}), target = flip(x, {1});
  const auto adam = train::make_optimizer(train::AdamConfig{}, *rebuilt);
  double first = 0, last = 0;
  for (int step = 0; step < 200; ++step) {
    Tape tape;
    rebuilt->zero_grad();
    const Tensor loss = mse_loss(rebuilt(x), target);
    tape.backward(loss), adam->step(0.01);
    last = loss.item(), first = step == 0 ? last : first;
  }
  std::printf("%s\nloss %.3f -> %.3f\n", io::dump_json(rebuilt->hparams(io::Save::minimal), -1).c_str(), first, last);
  return last < 0.7 * first && described != rebuilt->hparams() ? 0 : 1;
}
