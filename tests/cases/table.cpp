#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/random.h>

#include "cases/op_case.h"

namespace tapedeck::cases {

const std::vector<OpCase>& table() {
  static const std::vector<OpCase> all = [] {
    std::vector<OpCase> t;
    add_elementwise(t);
    add_reduce(t);
    add_softmax(t);
    add_matmul(t);
    add_conv(t);
    add_pool(t);
    add_interpolate(t);
    add_index(t);
    add_shape(t);
    add_random(t);
    add_fused(t);
    add_optim(t);
    add_linalg(t);
    add_norm(t);
    add_sequence(t);
    add_copies(t);
    add_gather(t);
    add_create(t);
    add_moments(t);
    add_scan(t);
    add_sort(t);
    add_loss(t);
    add_sequence_loss(t);
    add_more_random(t);
    add_init(t);
    add_signal(t);
    add_bounds(t);
    add_composed(t);
    add_halves(t);
    add_scatter_reduce(t);
    return t;
  }();
  return all;
}

Device& here() {
  static Device device = kCpu;
  return device;
}

std::string describe(const OpCase& c) {
  std::string text = c.text;
  for (const Input& in : c.inputs) text += (text.empty() ? "" : ", ") + to_text(in);
  return text;
}

std::uint64_t seed_of(const OpCase& c) { return hash64(c.op + " " + describe(c)); }

std::vector<Tensor> make_inputs(const OpCase& c) {
  std::vector<Tensor> inputs;
  for (const Input& in : c.inputs) inputs.push_back(make_input(in, seed_of(c), static_cast<int>(inputs.size())));
  return inputs;
}

Outputs call_case(const OpCase& c, Args inputs) {
  const RandomScope scope(seed_of(c), 1);
  return c.call(inputs);
}

double OpCase::bytes() const {
  double total = 0;
  for (const Input& in : inputs)
    total += static_cast<double>(in.shape.numel()) * static_cast<double>(size_of(in.dtype));
  return total;
}

std::vector<Tensor> in_f64(Args inputs) {
  std::vector<Tensor> out;
  for (const Tensor& x : inputs) out.push_back(is_real(x.dtype()) ? cast(x, DType::f64) : x);
  return out;
}

}  // namespace tapedeck::cases
