#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/train/precision.h>

namespace tapedeck::train {
namespace {

void write(const Tensor& to, const Tensor& from) {
  kernels::copy(to.device(), {from, to});
  to.impl()->storage->bump();
}

}  // namespace

ShortNetwork::ShortNetwork(nn::Part<nn::Network> master, DType dtype) : master_(master), network_(master.clone()) {
  TD_CHECK(dtype == DType::bf16 || dtype == DType::f16, DTypeError, "training: short weights are bf16 or f16, not ",
           name(dtype));
  network_->to(master_->device(), dtype);
}

void ShortNetwork::take_weights() {
  for (std::size_t i = 0; i < master_->arenas().size(); ++i)
    write(network_->arenas()[i].values, master_->arenas()[i].values);
  const auto from = master_->named_buffers(), to = network_->named_buffers();
  for (std::size_t i = 0; i < from.size(); ++i) write(to[i].tensor, from[i].tensor);
}

void ShortNetwork::give_gradients() {
  for (std::size_t i = 0; i < master_->arenas().size(); ++i) {
    const nn::Arena &to = master_->arenas()[i], &from = network_->arenas()[i];
    write(to.gradients, from.gradients);
    for (std::size_t k = 0; k < to.segments.size(); ++k)
      to.segments[k].parameter.impl()->has_grad = from.segments[k].parameter.has_grad();
  }
  const auto from = network_->named_buffers(), to = master_->named_buffers();  // running statistics
  for (std::size_t i = 0; i < from.size(); ++i) write(to[i].tensor, from[i].tensor);
}

}  // namespace tapedeck::train
