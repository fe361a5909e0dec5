// The plan of a network that has no faster one on its device: each step is a forward pass over the last codes, as many
// as an output depends on.
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/nn/plan_checks.h>
#include <tapedeck/nn/wavenet_plan.h>

#include <algorithm>

namespace tapedeck::nn {
namespace {

class ForwardPlan final : public GenerationPlan {
 public:
  ForwardPlan(const Network& net, std::int64_t batch, DType weights)
      : net_(std::dynamic_pointer_cast<Network>(detail::clone(net))),
        checks_{batch, net.classes(), net.shift()},
        device_(net.device()),
        recent_(static_cast<std::size_t>(batch)) {
    const NoGrad no_grad;
    net_->eval();
    if (weights != DType::bf16) return;
    for (const auto& [path, w] : net_->named_parameters())
      if (path.ends_with(".weight") && !path.starts_with("input.")) copy_(w, cast(cast(w, weights), w.dtype()));
  }

  std::int64_t batch() const override { return checks_.batch; }
  std::int64_t classes() const override { return checks_.classes; }
  std::int64_t position() const override { return position_; }
  std::size_t state_bytes() const override {
    return static_cast<std::size_t>(batch() * net_->receptive_field()) * sizeof(std::int64_t);
  }
  void reset() override {
    position_ = 0, logits_ = Tensor();
    for (auto& stream : recent_) stream.clear();
  }
  void prime(const Tensor& codes) override {
    const Tensor prompt = checks_.prompt(codes);
    reset();
    const std::int64_t n = prompt.size(1), from = std::max<std::int64_t>(0, n - net_->receptive_field());
    for (std::int64_t b = 0; b < batch(); ++b) {
      const std::int64_t* row = prompt.data<std::int64_t>() + b * n;
      recent_[static_cast<std::size_t>(b)].assign(row + from, row + n);
    }
    position_ = n;
  }
  void feed(std::span<const std::int64_t> codes) override {
    checks_.given(codes);
    const auto most = static_cast<std::size_t>(net_->receptive_field());
    for (std::size_t b = 0; b < codes.size(); ++b) {
      auto& stream = recent_[b];
      stream.push_back(codes[b]);
      if (stream.size() > most) stream.erase(stream.begin());
    }
    ++position_, logits_ = Tensor();
  }
  void step(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes) override {
    checks_.has_logits("step", position_);
    checks_.draws("step", 1, uniforms, temperature, codes);
    static_cast<void>(logits());
    kernels::SampleArgs args;
    args.x = logits_.view();
    args.u.data = const_cast<float*>(uniforms.data()), args.u.rank = 1;
    args.u.sizes[0] = batch(), args.u.strides[0] = 1;
    args.y.data = codes.data(), args.y.dtype = DType::i64, args.y.rank = 1;
    args.y.sizes[0] = batch(), args.y.strides[0] = 1;
    args.temperature = temperature;
    kernels::sample_categorical(kCpu, args);
    feed(codes);
  }
  std::span<const float> logits() const override {
    checks_.has_logits("logits", position_);
    if (!logits_.defined()) {
      const NoGrad no_grad;
      std::vector<std::int64_t> window;
      for (const auto& stream : recent_) window.insert(window.end(), stream.begin(), stream.end());
      const auto n = static_cast<std::int64_t>(recent_[0].size());
      const Tensor all = (*net_)(tensor(window, {batch(), n}).to(device_));
      logits_ = cast(contiguous(select(all, 1, all.size(1) - 1)).to(kCpu), DType::f32);
    }
    return {logits_.data<float>(), static_cast<std::size_t>(logits_.numel())};
  }

 private:
  std::shared_ptr<Network> net_;
  PlanChecks checks_;
  Device device_;
  std::vector<std::vector<std::int64_t>> recent_;
  std::int64_t position_ = 0;
  mutable Tensor logits_;
};

}  // namespace

std::unique_ptr<GenerationPlan> forward_plan(const Network& net, std::int64_t batch, DType weights) {
  return std::make_unique<ForwardPlan>(net, batch, weights);
}

}  // namespace tapedeck::nn
