// WaveNet generation on a device: the whole loop is one kernel there (kernels/generate.h).
#include <tapedeck/kernels/generate.h>
#include <tapedeck/nn/plan_checks.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/wavenet_plan.h>

#include <algorithm>

namespace tapedeck::nn {
namespace {

// What the input layer makes of each code. It works step by step, so a table holds all of it; made on the CPU.
Tensor input_table(const Layer& input, std::int64_t classes) {
  StateDict state = input.state_dict();
  for (auto& [path, tensor] : state) tensor = tensor.to(kCpu);
  const auto on_cpu = std::dynamic_pointer_cast<Layer>(build(input.hparams(), "plan"));
  LoadOptions options;
  options.materialise.dtype = input.dtype();
  on_cpu->load_state(state, options);
  on_cpu->eval();
  std::vector<std::int64_t> all(static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  return select(contiguous((*on_cpu)(tensor(all, {1, classes}))), 0, 0);
}

class DevicePlan final : public GenerationPlan {
 public:
  DevicePlan(WaveNet& net, std::int64_t batch, DType weights, Device device)
      : batch_(batch),
        classes_(net.classes()),
        receptive_(net.receptive_field()),
        least_(net.config().padding == Padding::valid ? receptive_ : 1),
        logits_(static_cast<std::size_t>(batch * classes_)) {
    const NoGrad no_grad;
    std::vector<Tensor> kept;  // until the kernel has its own copies
    const auto view = [&](const Tensor& t, bool product) {
      if (!t.defined()) return TensorView();
      Tensor on_cpu = detach(t).to(kCpu);
      if (product && weights == DType::bf16) on_cpu = cast(cast(on_cpu, DType::bf16), DType::f32);
      return kept.emplace_back(on_cpu).view();
    };
    const auto linear = [&](const Tensor& weight, const Tensor& bias) {
      return kernels::WaveNetGenerateArgs::Linear{view(weight, true), view(bias, false)};
    };
    kernels::WaveNetGenerateArgs args;
    const Tensor table = input_table(*net.input(), classes_);
    TD_CHECK(table.dtype() == DType::f32, DTypeError, "plan: generation runs in f32, but the network is ",
             name(table.dtype()), "; to({.dtype = f32}) converts it");
    args.table = view(table, false);
    for (std::size_t i = 0; i < net.layers().size(); ++i) {
      const auto& from = net.layers().as<WaveNetLayer>(i);
      const WaveNetLayerConfig& c = from.config();
      auto& to = args.layers.emplace_back();
      to.conv = view(from.conv().weight, true), to.conv_bias = view(from.conv().bias, false);
      to.dilation = c.dilation, to.groups = c.groups, to.gated = c.gate.has_value();
      to.activation = point_function(c.activation), to.gate = point_function(c.gate.value_or(Act::identity));
      if (from.residual()) to.residual = linear(squeeze(from.residual()->weight, 2), from.residual()->bias);
      if (from.skip()) to.skip = linear(squeeze(from.skip()->weight, 2), from.skip()->bias);
    }
    args.head_input = point_function(net.config().head.input_activation);
    const MLPConfig& head = net.head().config();
    for (std::size_t i = 0; i < net.head().hidden().size(); ++i) {
      const auto& from = net.head().hidden().as<Linear>(i);
      args.head.push_back({linear(from.weight, from.bias), point_function(head.activation)});
    }
    args.head.push_back({linear(net.head().out().weight, net.head().out().bias), {}});
    args.least_temperature = head.min_temperature.value_or(0);
    args.batch = batch, args.device = device, args.made = &kernel_;
    kernels::wavenet_generate(device, args);
  }

  std::int64_t batch() const override { return batch_; }
  std::int64_t classes() const override { return classes_; }
  std::int64_t position() const override { return position_; }
  std::size_t state_bytes() const override { return kernel_->state_bytes(); }
  std::string how() const override { return std::string("one kernel: ") + kernel_->how(); }

  void reset() override {
    position_ = 0, have_logits_ = false;
    kernel_->reset();
  }
  void prime(const Tensor& codes) override {
    const Tensor prompt = checks().prompt(codes);
    const std::int64_t n = prompt.size(1);
    const std::int64_t* c = prompt.data<std::int64_t>();
    reset();
    // All state depends on the last receptive_ codes alone, unless the padding of the start is among them.
    const std::int64_t from = std::max<std::int64_t>(0, n - receptive_);
    given_.resize(static_cast<std::size_t>((n - from) * batch_));
    for (std::int64_t t = from; t < n; ++t)
      for (std::int64_t b = 0; b < batch_; ++b)
        given_[static_cast<std::size_t>((t - from) * batch_ + b)] = static_cast<std::int32_t>(c[b * n + t]);
    run(n - from, given_.data(), nullptr, 1, nullptr);
    position_ = n;
  }
  void feed(std::span<const std::int64_t> codes) override {
    checks().given(codes);
    given_.assign(codes.begin(), codes.end());
    run(1, given_.data(), nullptr, 1, nullptr);
    ++position_;
  }
  void step(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes) override {
    draw("step", 1, uniforms, temperature, codes);
  }
  void steps(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes) override {
    draw("steps", static_cast<std::int64_t>(uniforms.size()) / batch_, uniforms, temperature, codes);
  }
  std::span<const float> logits() const override {
    checks().has_logits("logits", position_);
    if (!have_logits_) kernel_->logits(logits_.data());
    have_logits_ = true;
    return logits_;
  }

 private:
  PlanChecks checks() const { return {batch_, classes_, least_}; }
  void draw(const char* what, std::int64_t n, std::span<const float> uniforms, double temperature,
            std::span<std::int64_t> codes) {
    checks().has_logits(what, position_);
    checks().draws(what, n, uniforms, temperature, codes);
    drawn_.resize(codes.size());
    run(n, nullptr, uniforms.data(), temperature, drawn_.data());
    std::copy(drawn_.begin(), drawn_.end(), codes.begin());
    position_ += n;
  }
  void run(std::int64_t n, const std::int32_t* given, const float* uniforms, double temperature, std::int32_t* drawn) {
    have_logits_ = false;
    kernel_->run(n, given, uniforms, temperature, drawn);
  }

  std::int64_t batch_, classes_, receptive_, least_, position_ = 0;
  std::unique_ptr<kernels::StreamGenerator> kernel_;
  std::vector<std::int32_t> given_, drawn_;
  mutable std::vector<float> logits_;
  mutable bool have_logits_ = false;
};

}  // namespace

std::unique_ptr<GenerationPlan> device_plan(WaveNet& net, std::int64_t batch, DType weights) {
  const Device device = net.layers().as<WaveNetLayer>(0).conv().weight.get().device();
  try {
    return std::make_unique<DevicePlan>(net, batch, weights, device);
  } catch (const DeviceError&) {  // widths that the kernel does not take
    return forward_plan(net, batch, weights);
  }
}

}  // namespace tapedeck::nn
