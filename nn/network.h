// Network: an autoregressive model over integer codes. It states its receptive field, shift and output length.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/module.h>
#include <tapedeck/nn/plan.h>

#include <memory>

namespace tapedeck::nn {

class Network : public Module, public Callable<Network> {
 public:
  static constexpr const char* kind = "network";         // registry.h
  static constexpr const char* family_name = "network";  // io::Poly<Network>: the config of any of them

  // codes i64 [batch, n] -> logits [batch, output_length(n), classes]. Row j is about the code at position j + shift().
  // ShapeError when n < receptive field and the padding is valid.
  virtual Tensor forward(const Tensor& codes) = 0;
  virtual std::int64_t receptive_field() const = 0;              // inputs that one output depends on
  virtual std::int64_t shift() const = 0;                        // position of the first predicted code
  virtual std::int64_t output_length(std::int64_t n) const = 0;  // 0 when n is too short
  virtual std::int64_t classes() const = 0;
  // Negative log-likelihood in nats of codes [batch, n + 1], n inputs and their targets: shift() positions are context,
  // the other n + 1 - shift() are predicted.
  Tensor loss(const Tensor& codes, Reduction reduction = Reduction::mean);
  // Prepared for generation of `batch` streams, with copies of today's weights: f32, or the weights of its products
  // rounded to bf16, which are half of the bytes that each step reads. It runs where the network is: on the CPU, each
  // step is the work of `threads` threads of the plan's own, up to 64, which spin while it runs; they change no bit.
  // DTypeError unless the network is f32.
  virtual std::unique_ptr<GenerationPlan> plan(std::int64_t batch, DType weights = DType::f32, int threads = 1) = 0;
};

}  // namespace tapedeck::nn
