// Averages of weights: what is evaluated and generated with in place of the last step's weights.
#pragma once
#include <tapedeck/nn/module.h>
#include <tapedeck/tensor/tensor.h>

#include <cstdint>
#include <vector>

namespace tapedeck::train {

// The exponential moving average of a module's parameters: average = decay * average + (1 - decay) * value after each
// update(), one kernel for each arena; it begins as the values are. After n steps a value that was w(k) has
// decay^n w(0) + (1 - decay) * the sum over k of decay^(n - k) w(k). With `warm_up` an average of few updates forgets
// faster, so that it soon leaves what it began with: the decay of update n is at most n / (n + 9), as TensorFlow has
// it.
class WeightAverage {
 public:
  // The module must be materialised and outlive this; decay from 0 to 1. ValueError otherwise.
  explicit WeightAverage(const nn::Module& root, double decay = 0.9999, bool warm_up = false);
  void update();  // after an optimizer's step; ValueError when the module was laid out anew since
  std::int64_t updates() const { return updates_; }
  double decay() const { return decay_; }
  // Flat, one for each arena, in their order: what a checkpoint keeps. load() takes the same again; ShapeError or
  // DTypeError when they do not fit.
  const std::vector<Tensor>& values() const { return averages_; }
  void load(const std::vector<Tensor>& values, std::int64_t updates);

  // While it lives the module computes with the averages; then it has its own weights again.
  class Use {
   public:
    explicit Use(const WeightAverage& average);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    const WeightAverage& average_;
    std::vector<Tensor> own_;
  };

 private:
  void check_layout(const char* what) const;
  const nn::Module& root_;
  double decay_;
  bool warm_up_;
  std::uint64_t layout_;
  std::vector<Tensor> averages_;
  std::int64_t updates_ = 0;
};

}  // namespace tapedeck::train
