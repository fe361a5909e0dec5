#include "models.h"

#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/random.h>

namespace tapedeck::bench {

nn::WaveNetConfig wavenet_config(std::int64_t residual, std::int64_t skip) {
  nn::WaveNetConfig c{.blocks = {10, 10, 10},
                      .channels = residual,
                      .residual_channels = residual,
                      .skip_channels = skip,
                      .padding = Padding::causal};
  c.head = {.hidden = skip, .input_activation = nn::Act::relu, .activation = nn::Act::relu, .min_temperature = {}};
  return c;
}

TrainingStep::TrainingStep(std::int64_t residual, std::int64_t skip, std::int64_t batch, std::int64_t time,
                           Device device, DType dtype)
    : net_(std::make_shared<nn::WaveNet>(wavenet_config(residual, skip))) {
  nn::materialise(*net_);
  if (device != kCpu) net_->to(device, DType::f32);
  if (dtype != DType::f32) short_.emplace(nn::Part<nn::Network>(net_), dtype);
  optimizer_ = train::make_optimizer(train::AdamConfig{}, *net_);
  const RandomScope scope(7, 0);
  codes_ = randint(0, 256, {batch, time}), targets_ = randint(0, 256, {batch * time});
  codes_ = codes_.to(device), targets_ = targets_.to(device);
}

double TrainingStep::run() {
  nn::Network& net = short_ ? short_->network() : *net_;
  if (short_) short_->take_weights();
  net.zero_grad();
  Tape tape;
  const Tensor logits = net.forward(codes_);
  const Tensor rows = reshape(logits, {targets_.size(0), logits.size(-1)});
  const Tensor loss = cross_entropy(rows.dtype() == DType::f32 ? rows : cast(rows, DType::f32), targets_);
  tape.backward(loss);
  if (short_) short_->give_gradients();
  optimizer_->step(1e-3);
  return loss.item();
}

double TrainingStep::flops() const {
  const nn::WaveNetConfig& c = net_->config();
  double weights = 0;
  for (const auto& layer : c.layer_configs())
    weights += static_cast<double>(layer.in * layer.kernel * 2 * layer.channels) +
               static_cast<double>(layer.channels * (*layer.skip_channels + (layer.residual ? layer.channels : 0)));
  weights += static_cast<double>(c.head.hidden * (*c.skip_channels + c.classes));
  return 6 * weights * static_cast<double>(targets_.size(0));
}

}  // namespace tapedeck::bench
