// Optimizers: they change parameters in place, from the gradients that a backward left.
#pragma once
#include <tapedeck/io/config.h>
#include <tapedeck/nn/module.h>
#include <tapedeck/tensor/tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace tapedeck::train {

// A parameter under its path; group ("weight", "bias", "norm", "embedding", …) is what weight decay asks for.
struct Parameter {
  std::string path, group;
  Tensor tensor;
};
std::vector<Parameter> parameters_of(const nn::Module& root);  // in the order of its arenas; ValueError as arenas()

// L2 norm of all gradients together, in double, parameters in their order (one sum_squares each). Parameters without a
// gradient do not count. NaN or Inf when one has such a value.
double gradient_norm(const std::vector<Parameter>& parameters);
double gradient_norm(const nn::Module& root);

// PyTorch's clip_grad_norm_: scales the gradients by max_norm / (norm + 1e-6) when that is below 1. Returns the norm
// before. With a norm that is not finite, nothing is scaled.
double clip_grad_norm(const std::vector<Parameter>& parameters, double max_norm);

// Adam (Kingma & Ba 2015), with weight_decay * parameter added to the gradient.
struct AdamConfig {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  static constexpr const char* type_name = "Adam";
  static constexpr void fields(auto&& f) {
    using C = AdamConfig;
    f("beta1", &C::beta1, io::Meta{.min = 0, .max = 1, .help = "memory of the mean of gradients"});
    f("beta2", &C::beta2, io::Meta{.min = 0, .max = 1, .help = "memory of the mean of their squares"});
    f("eps", &C::eps, io::Meta{.min = 0, .max = 1, .help = "added to the root of the mean square", .log = true});
    f("weight_decay", &C::weight_decay, io::Meta{.min = 0, .max = 1e3, .help = "times the parameter, on the gradient"});
  }
  void validate(io::Issues& issues) const;
};

// AdamW (Loshchilov & Hutter 2019): each step first shrinks parameters by rate * weight_decay.
struct AdamWConfig {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  std::vector<std::string> no_decay = {"bias", "norm", "embedding"};
  static constexpr const char* type_name = "AdamW";
  static constexpr void fields(auto&& f) {
    using C = AdamWConfig;
    f("beta1", &C::beta1, io::Meta{.min = 0, .max = 1, .help = "memory of the mean of gradients"});
    f("beta2", &C::beta2, io::Meta{.min = 0, .max = 1, .help = "memory of the mean of their squares"});
    f("eps", &C::eps, io::Meta{.min = 0, .max = 1, .help = "added to the root of the mean square", .log = true});
    f("weight_decay", &C::weight_decay, io::Meta{.min = 0, .max = 1e3, .help = "times the rate: how much they shrink"});
    f("no_decay", &C::no_decay, io::Meta{.help = "groups of parameters that do not shrink"});
  }
  void validate(io::Issues& issues) const;
};

// An optimizer over a list of parameters; also the family of the configs above.
class Optimizer {
 public:
  static constexpr const char* family_name = "optimizer";
  virtual ~Optimizer() = default;

  // One step at this learning rate. Gradients count `scale` times (clipping without writing them). Parameters without a
  // gradient, and their state, stay as they are.
  virtual void step(double rate, double scale = 1) = 0;

  // `<path>.exp_avg`, `<path>.exp_avg_sq` and `<path>.step` as in PyTorch; the tensors themselves, except the steps.
  virtual nn::StateDict state() const = 0;
  // Copies such a state. FormatError with every missing, unexpected and mis-shaped name; then nothing was loaded.
  virtual void load_state(const nn::StateDict& state) = 0;
};
void register_optimizers();

// ConfigError for a config that is empty or out of range, DTypeError for parameters that are not f32 or f64.
std::unique_ptr<Optimizer> make_optimizer(const io::Poly<Optimizer>& config, std::vector<Parameter> parameters);
// Over all parameters of a materialised tree, which must outlive it. A step after its arenas were made anew is a
// ValueError: make a new optimizer and give it the old one's state().
std::unique_ptr<Optimizer> make_optimizer(const io::Poly<Optimizer>& config, const nn::Module& root);

}  // namespace tapedeck::train
