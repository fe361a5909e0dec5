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

// L2 norm of all gradients together, in double: one norm for each parameter, or, of a whole module, for each
// arena whose parameters all have gradients. Parameters without a gradient do not count. NaN or Inf when one has such a
// value.
double gradient_norm(const std::vector<Parameter>& parameters);
double gradient_norm(const nn::Module& root);

// PyTorch's clip_grad_norm_: scales the gradients by max_norm / (norm + 1e-6) when that is below 1. Returns the norm
// before. With a norm that is not finite, nothing is scaled.
double clip_grad_norm(const std::vector<Parameter>& parameters, double max_norm);
double clip_grad_norm(const nn::Module& root, double max_norm);

struct AdamConfig {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  static constexpr const char* type_name = "Adam";
  static constexpr io::Doc doc{
      "Steps along the mean of gradients over the root of the mean of their squares, both corrected for their start at "
      "0; weight_decay * parameter is added to the gradient.",
      "Kingma & Ba, Adam: A Method for Stochastic Optimization, ICLR 2015"};
  static constexpr void fields(auto&& f) {
    using C = AdamConfig;
    f("beta1", &C::beta1, io::Meta{.min = 0, .max = 1, .help = "memory of the mean of gradients"});
    f("beta2", &C::beta2, io::Meta{.min = 0, .max = 1, .help = "memory of the mean of their squares"});
    f("eps", &C::eps, io::Meta{.min = 0, .max = 1, .help = "added to the root of the mean square", .log = true});
    f("weight_decay", &C::weight_decay, io::Meta{.min = 0, .max = 1e3, .help = "times the parameter, on the gradient"});
  }
  void validate(io::Issues& issues) const;
};

struct AdamWConfig {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  std::vector<std::string> no_decay = {"bias", "norm", "embedding"};
  static constexpr const char* type_name = "AdamW";
  static constexpr io::Doc doc{
      "Adam whose weight decay stays out of its means: each step first shrinks parameters by "
      "rate * weight_decay.",
      "Loshchilov & Hutter, Decoupled Weight Decay Regularization, ICLR 2019"};
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

struct SGDConfig {
  double momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  static constexpr const char* type_name = "SGD";
  static constexpr io::Doc doc{
      "Steps along the gradient, or with momentum along buf = momentum * buf + (1 - dampening) * gradient, whose first "
      "value is the gradient; nesterov steps along gradient + momentum * buf.",
      "Robbins & Monro, A Stochastic Approximation Method, 1951; Sutskever et al., On the Importance of Initialization "
      "and Momentum in Deep Learning, ICML 2013"};
  static constexpr void fields(auto&& f) {
    using C = SGDConfig;
    f("momentum", &C::momentum, io::Meta{.min = 0, .max = 1, .help = "how much of buf stays; 0: there is none"});
    f("dampening", &C::dampening, io::Meta{.min = 0, .max = 1, .help = "how much of the gradient buf does not take"});
    f("weight_decay", &C::weight_decay, io::Meta{.min = 0, .max = 1e3, .help = "times the parameter, on the gradient"});
    f("nesterov", &C::nesterov, io::Meta{.help = "step from where the momentum leads; without dampening"});
  }
  void validate(io::Issues& issues) const;
};

struct RMSpropConfig {
  double alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0;
  bool centered = false;
  static constexpr const char* type_name = "RMSprop";
  static constexpr io::Doc doc{
      "Steps along the gradient over the root of the mean of its squares (centered: of its variance).",
      "Hinton, Neural Networks for Machine Learning, lecture 6, 2012; Graves, Generating Sequences with Recurrent "
      "Neural "
      "Networks, 2013"};
  static constexpr void fields(auto&& f) {
    using C = RMSpropConfig;
    f("alpha", &C::alpha, io::Meta{.min = 0, .max = 1, .help = "memory of the mean of squares"});
    f("eps", &C::eps, io::Meta{.min = 0, .max = 1, .help = "added to the root of the mean square", .log = true});
    f("weight_decay", &C::weight_decay, io::Meta{.min = 0, .max = 1e3, .help = "times the parameter, on the gradient"});
    f("momentum", &C::momentum, io::Meta{.min = 0, .max = 1, .help = "how much of the last step is added"});
    f("centered", &C::centered, io::Meta{.help = "take the square of the mean gradient off the mean square"});
  }
};

struct AdagradConfig {
  double lr_decay = 0, weight_decay = 0, initial_accumulator_value = 0, eps = 1e-10;
  static constexpr const char* type_name = "Adagrad";
  static constexpr io::Doc doc{"Steps along the gradient over the root of the sum of all its squares.",
                               "Duchi et al., Adaptive Subgradient Methods for Online Learning and Stochastic "
                               "Optimization, JMLR 2011"};
  static constexpr void fields(auto&& f) {
    using C = AdagradConfig;
    f("lr_decay", &C::lr_decay, io::Meta{.min = 0, .max = 1e3, .help = "the rate of step t is over 1 + t * lr_decay"});
    f("weight_decay", &C::weight_decay, io::Meta{.min = 0, .max = 1e3, .help = "times the parameter, on the gradient"});
    f("initial_accumulator_value", &C::initial_accumulator_value,
      io::Meta{.min = 0, .max = 1e6, .help = "what the sum of squares starts at"});
    f("eps", &C::eps, io::Meta{.min = 0, .max = 1, .help = "added to the root of the sum", .log = true});
  }
};

// An optimizer over a list of parameters; also the family of the configs above.
class Optimizer {
 public:
  static constexpr const char* family_name = "optimizer";
  virtual ~Optimizer() = default;

  // One step at this learning rate (ValueError unless finite and >= 0). Gradients count `scale` times (clipping without
  // writing them). Parameters without a gradient, and their state, stay as they are.
  virtual void step(double rate, double scale = 1) = 0;

  // For each parameter what PyTorch's optimizer keeps, under its names (`<path>.exp_avg`, …; the tensors themselves),
  // and `<path>.step`, how often it was stepped (SGD's too, which PyTorch does not count).
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
