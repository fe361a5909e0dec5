// The plan of a network that has no faster one on its device: each step is a forward pass over the last codes, as many
// as an output depends on. They lie on the device, where a step appends to them; once there are so many, all steps are
// alike, and the device replays one that was recorded.
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/nn/plan_checks.h>
#include <tapedeck/nn/wavenet_plan.h>
#include <tapedeck/tensor/replay.h>

#include <algorithm>
#include <optional>

namespace tapedeck::nn {
namespace {

class ForwardPlan final : public GenerationPlan {
 public:
  ForwardPlan(const Network& net, std::int64_t batch, DType weights)
      : net_(std::dynamic_pointer_cast<Network>(detail::clone(net))),
        checks_{batch, net.classes(), net.shift()},
        device_(net.device()),
        receptive_(net.receptive_field()),
        next_(zeros({batch, 1}, {DType::i64, device_})),
        logits_(zeros({batch, net.classes()}, {DType::f32, device_})),
        step_(device_, [this] { take_in(); }) {
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
    return static_cast<std::size_t>(batch() * receptive_) * sizeof(std::int64_t);
  }
  std::string how() const override {
    return step_.recorded()          ? "forward passes, recorded"
           : step_.why_not().empty() ? "forward passes"
                                     : "forward passes, not recorded: " + step_.why_not();
  }

  void reset() override { position_ = 0, seen_ = {}, on_host_ = {}; }
  void prime(const Tensor& codes) override {
    const Tensor prompt = checks_.prompt(codes);
    reset();
    const std::int64_t n = prompt.size(1), last = std::min(n, receptive_);
    const NoGrad no_grad;
    hold(contiguous(narrow(prompt, 1, n - last, last)).to(device_));
    position_ = n;
    if (position_ >= checks_.least) forward(seen_);
  }
  void feed(std::span<const std::int64_t> codes) override {
    checks_.given(codes);
    next_.fill_from(std::as_bytes(codes));
    advance();
  }
  void step(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes) override {
    draw("step", 1, uniforms, temperature, codes);
  }
  void steps(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes) override {
    draw("steps", static_cast<std::int64_t>(uniforms.size()) / batch(), uniforms, temperature, codes);
  }
  std::span<const float> logits() const override {
    checks_.has_logits("logits", position_);
    if (!on_host_.defined()) on_host_ = logits_.to(kCpu);
    return {on_host_.data<float>(), static_cast<std::size_t>(on_host_.numel())};
  }

 private:
  // The host gives work and reads nothing until all codes are drawn.
  void draw(const char* what, std::int64_t n, std::span<const float> uniforms, double temperature,
            std::span<std::int64_t> codes) {
    checks_.has_logits(what, position_);
    checks_.draws(what, n, uniforms, temperature, codes);
    const Tensor u = tensor(uniforms, {n, batch()}).to(device_);
    const Tensor drawn = empty({n, batch()}, {DType::i64, device_});
    for (std::int64_t t = 0; t < n; ++t) {
      const Tensor codes_now = select(drawn, 0, t);
      kernels::sample_categorical(device_, {logits_, select(u, 0, t), codes_now, temperature});
      copy_(next_, unsqueeze(codes_now, 1));
      advance();
    }
    const std::vector<std::int64_t> all = drawn.to_vector<std::int64_t>();
    std::copy(all.begin(), all.end(), codes.begin());
  }
  void advance() {
    const NoGrad no_grad;
    ++position_, on_host_ = {};
    if (seen_.defined() && seen_.size(1) == receptive_) return step_();
    hold(seen_.defined() ? cat({seen_, next_}, 1) : next_);
    if (position_ >= checks_.least) forward(seen_);
  }
  // Once complete, the codes have one place for good: a recorded step works there.
  void hold(const Tensor& codes) {
    seen_ = codes;
    if (codes.size(1) < receptive_) return;
    if (!window_.defined()) window_ = empty(codes.sizes(), codes.options());
    copy_(window_, codes);
    seen_ = window_;
  }
  void take_in() {
    const NoGrad no_grad;
    copy_(window_, receptive_ == 1 ? next_ : cat({narrow(window_, 1, 1, receptive_ - 1), next_}, 1));
    forward(window_);
  }
  void forward(const Tensor& codes) {
    const Tensor all = (*net_)(codes);
    copy_(logits_, cast(select(all, 1, all.size(1) - 1), DType::f32));
  }

  std::shared_ptr<Network> net_;
  PlanChecks checks_;
  Device device_;
  std::int64_t receptive_, position_ = 0;
  Tensor next_, seen_, window_;  // the codes that come next, those so far, and the place of receptive_ of them
  Tensor logits_;
  mutable Tensor on_host_;  // the same, when asked for
  Replay step_;
};

}  // namespace

std::unique_ptr<GenerationPlan> forward_plan(const Network& net, std::int64_t batch, DType weights) {
  return std::make_unique<ForwardPlan>(net, batch, weights);
}

}  // namespace tapedeck::nn
