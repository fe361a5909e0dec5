// Perceptrons.
#pragma once
#include <tapedeck/nn/layers/activation.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/module.h>

#include <optional>

namespace tapedeck::nn {

// Linear(in -> hidden), activation, dropout, `layers` times the same (hidden -> hidden; residual: plus its input),
// Linear(hidden -> out). With min_temperature the last Linear gives one more output z, the learned temperature:
// logits / max(sigmoid(z), min).
struct MLPConfig {
  std::int64_t in = 128, hidden = 128, layers = 1, out = 256;
  Act activation = Act::mish;
  double dropout = 0;
  std::optional<double> min_temperature = 1e-4;
  bool residual = false;
  static constexpr const char* type_name = "MLP";
  static constexpr io::Doc doc{
      "Linear layers with an activation between them; the last may divide its outputs by a learned temperature.",
      "Rumelhart, Hinton & Williams 1986"};
  static constexpr void fields(auto&& f) {
    f("in", &MLPConfig::in, io::Meta{.min = 1, .max = 1 << 24, .help = "input channels"});
    f("hidden", &MLPConfig::hidden, io::Meta{.min = 1, .max = 1 << 24, .help = "width of the hidden layers"});
    f("layers", &MLPConfig::layers, io::Meta{.min = 0, .max = 1024, .help = "hidden layers after the first"});
    f("out", &MLPConfig::out, io::Meta{.min = 1, .max = 1 << 24, .help = "output channels"});
    f("activation", &MLPConfig::activation, io::Meta{.help = "after each hidden layer"});
    f("dropout", &MLPConfig::dropout, io::Meta{.min = 0, .max = 1, .help = "after each activation"});
    f("min_temperature", &MLPConfig::min_temperature,
      io::Meta{.min = 1e-12, .max = 1, .help = "least learned temperature; null: none is learned"});
    f("residual", &MLPConfig::residual, io::Meta{.help = "hidden layers after the first add their input"});
  }
};
class MLP : public Configured<MLPConfig> {
 public:
  explicit MLP(MLPConfig config = {});
  Tensor forward(const Tensor& x) override;
  const ModuleList& hidden() const { return *hidden_; }  // Linear, config().layers + 1 of them
  const Linear& out() const { return *out_; }

 private:
  Part<ModuleList> hidden_;
  Part<Linear> out_;
};

}  // namespace tapedeck::nn
