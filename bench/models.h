// The reference models that speed is measured on: WaveNets of 3 blocks of 10 layers, kernel 2, head S-S-256.
#pragma once
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/train/optim.h>
#include <tapedeck/train/precision.h>

#include <memory>
#include <optional>

namespace tapedeck::bench {

nn::WaveNetConfig wavenet_config(std::int64_t residual, std::int64_t skip);

// Forward, cross entropy, backward and Adam on `batch` rows of `time` codes; causal, so that every code is a target.
class TrainingStep {
 public:
  TrainingStep(std::int64_t residual, std::int64_t skip, std::int64_t batch, std::int64_t time, Device device = kCpu,
               DType dtype = DType::f32);
  double run();          // the loss
  double flops() const;  // of the matrix products that the mathematics asks for, forward and backward

 private:
  std::shared_ptr<nn::WaveNet> net_;
  std::optional<train::ShortNetwork> short_;  // with a dtype that is not f32
  std::unique_ptr<train::Optimizer> optimizer_;
  Tensor codes_, targets_;
};

}  // namespace tapedeck::bench
