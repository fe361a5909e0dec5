// WaveNet one sample after the other. Each dilated layer keeps a ring of its last (kernel - 1) * dilation inputs, zeros
// at first as causal padding has them. Products run over packed copies of the weights in the order of the training
// kernels, elementwise functions are the same slots, so that every logit has the bits of the forward pass.
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/gemv.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/nn/wavenet.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace tapedeck::nn {
namespace {

TensorView rows(const float* data, std::int64_t batch, std::int64_t width, std::int64_t stride) {
  TensorView v;
  v.data = const_cast<float*>(data), v.rank = 2;
  v.sizes[0] = batch, v.sizes[1] = width, v.strides[0] = stride, v.strides[1] = 1;
  return v;
}

void copy_floats(float* to, const float* from, std::int64_t n) {
  std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
}

void add_floats(float* to, const float* a, const float* b, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = a[i] + b[i];
}

// y [batch, n] = x weight + bias, over packed copies of both.
struct Dense {
  Tensor packed, bias;
  kernels::GemvPackedArgs args;

  // weight [n, k] of a linear map, or [n, channels, taps] of a convolution; packed as floats or as bf16.
  void take(const Tensor& weight, const Tensor& with_bias, DType dtype) {
    const std::int64_t n = weight.size(0), k = weight.numel() / n;
    const auto pack = [&](auto* to) {
      weight.dim() == 2 ? kernels::pack_linear(weight, to) : kernels::pack_conv1d(weight, to);
    };
    packed = empty({k, kernels::packed_columns(n)}, {dtype});
    if (dtype == DType::bf16) {
      pack(packed.data<BFloat16>());
      args.weight_bf16 = packed.data<BFloat16>();
    } else {
      pack(packed.data<float>());
      args.weight = packed.data<float>();
    }
    if (with_bias.defined()) bias = clone(with_bias);
    args.n = n, args.bias = bias.defined() ? bias.data<float>() : nullptr;
  }
  void connect(const float* x, float* y, std::int64_t batch, std::int64_t y_row) {
    args.rows = batch, args.y = y, args.y_row = y_row;
    args.segments = 1;
    args.x[0] = {x, packed.size(0), packed.size(0)};
  }
  void run() const { kernels::gemv_packed(kCpu, args); }
};

struct PlanLayer {
  WaveNetLayerConfig config;
  std::int64_t out = 0, skip = 0, residual = 0;  // widths: of the convolution, and behind the two 1x1 (0: none)
  std::vector<Dense> conv;                       // one per group
  Dense mix;                                     // residual and skip side by side
  Tensor ring;                                   // [reach, batch, in]
  std::int64_t at = 0, reach = 0;
  Tensor taps;  // kernels of more taps than a product has segments: [group, batch, taps * channels]
  Tensor u, f, g, y, mixed, next;
};

class WaveNetPlan final : public GenerationPlan {
 public:
  WaveNetPlan(WaveNet& net, std::int64_t batch, DType weights)
      : batch_(batch),
        classes_(net.classes()),
        config_(net.config()),
        receptive_(net.receptive_field()),
        weights_(weights) {
    const NoGrad no_grad;
    make_table(net);
    for (std::size_t i = 0; i < net.layers().size(); ++i) add_layer(net.layers().as<WaveNetLayer>(i));
    make_head(net.head());
  }

  std::int64_t batch() const override { return batch_; }
  std::int64_t classes() const override { return classes_; }
  std::int64_t position() const override { return position_; }
  std::size_t state_bytes() const override {
    std::int64_t n = x_.numel() + z_.numel() + logits_.numel() + (skips_.defined() ? skips_.numel() : 0);
    for (const PlanLayer& l : layers_)
      for (const Tensor* t : {&l.ring, &l.taps, &l.u, &l.f, &l.g, &l.y, &l.mixed, &l.next})
        n += t->defined() ? t->numel() : 0;
    return static_cast<std::size_t>(n) * sizeof(float);
  }

  void reset() override {
    position_ = 0;
    for (PlanLayer& l : layers_) {
      l.at = 0;
      std::fill_n(l.ring.data<float>(), l.ring.numel(), 0.0f);
    }
  }

  void prime(const Tensor& codes) override {
    TD_CHECK(codes.defined() && codes.dim() == 2 && codes.dtype() == DType::i64 && codes.size(0) == batch_, ShapeError,
             "prime: the prompt must be i64 [", batch_, ", n]",
             codes.defined() ? arg("codes", codes) : std::string("; it is undefined"));
    const std::int64_t n = codes.size(1);
    TD_CHECK(n >= least(), ValueError, "prime: the prompt needs at least ", least(), " codes per stream, not ", n);
    const Tensor prompt = contiguous(detach(codes));
    const std::int64_t* c = prompt.data<std::int64_t>();
    for (std::int64_t i = 0; i < n * batch_; ++i) check_code(c[i]);
    reset();
    // All state depends on the last receptive_ codes alone, unless the padding of the start is among them.
    position_ = std::max<std::int64_t>(0, n - receptive_);
    for (std::int64_t t = position_; t < n; ++t) {
      for (std::int64_t b = 0; b < batch_; ++b) embed(b, c[b * n + t]);
      advance(t + 1 == n);
    }
  }

  void feed(std::span<const std::int64_t> codes) override {
    TD_CHECK(static_cast<std::int64_t>(codes.size()) == batch_, ShapeError, "feed: needs ", batch_, " codes, not ",
             codes.size());
    for (const std::int64_t c : codes) check_code(c);
    for (std::int64_t b = 0; b < batch_; ++b) embed(b, codes[static_cast<std::size_t>(b)]);
    advance(position_ + 1 >= least());
  }

  void step(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes) override {
    require_logits("step");
    TD_CHECK(static_cast<std::int64_t>(uniforms.size()) == batch_ && uniforms.size() == codes.size(), ShapeError,
             "step: needs ", batch_, " uniforms and as many codes, not ", uniforms.size(), " and ", codes.size());
    TD_CHECK(temperature >= 0 && std::isfinite(temperature), ValueError,
             "step: the temperature must be finite and >= 0, not ", temperature);
    for (const float u : uniforms) TD_CHECK(u >= 0 && u < 1, ValueError, "step: uniforms are in [0, 1), not ", u);
    kernels::SampleArgs args;
    args.x = logits_.view();
    args.u.data = const_cast<float*>(uniforms.data()), args.u.rank = 1;
    args.u.sizes[0] = batch_, args.u.strides[0] = 1;
    args.y.data = codes.data(), args.y.dtype = DType::i64, args.y.rank = 1;
    args.y.sizes[0] = batch_, args.y.strides[0] = 1;
    args.temperature = temperature;
    kernels::sample_categorical(kCpu, args);
    feed(codes);
  }

  std::span<const float> logits() const override {
    require_logits("logits");
    return {logits_.data<float>(), static_cast<std::size_t>(logits_.numel())};
  }

 private:
  // Codes that a prompt needs before there are logits.
  std::int64_t least() const { return config_.padding == Padding::valid ? receptive_ : 1; }
  void require_logits(const char* what) const {
    TD_CHECK(position_ >= least(), ValueError, what, ": needs a prompt of at least ", least(),
             " codes first (prime), and there were ", position_);
  }
  void check_code(std::int64_t c) const {
    TD_CHECK(c >= 0 && c < classes_, ValueError, "WaveNet plan: the code ", c, " is outside [0, ", classes_, ")");
  }

  // What the input layer makes of each code: it works step by step, so a table holds all of it.
  void make_table(WaveNet& net) {
    Layer& input = *net.input();
    const bool was_training = input.training();
    input.eval();
    std::vector<std::int64_t> all(static_cast<std::size_t>(classes_));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
    table_ = contiguous(input(tensor(all, {1, classes_})));
    input.train(was_training);
    TD_CHECK(table_.dtype() == DType::f32, DTypeError, "plan: generation runs in f32, but the network is ",
             name(table_.dtype()), "; to({.dtype = f32}) converts it");
    TD_CHECK(table_.device() == kCpu, DeviceError, "plan: this network is on ", to_string(table_.device()),
             ", and generation runs on the CPU; move it with to()");
    width_ = table_.size(2);
    x_ = zeros({batch_, width_});
  }

  void add_layer(const WaveNetLayer& from) {
    PlanLayer& l = layers_.emplace_back();
    const WaveNetLayerConfig& c = l.config = from.config();
    l.out = from.conv().config().out_channels;
    l.residual = c.residual ? c.in : 0;
    l.skip = c.skip_channels.value_or(0);
    l.reach = (c.kernel - 1) * c.dilation;
    l.ring = zeros({l.reach, batch_, c.in});
    if (c.kernel > kernels::GemvPackedArgs::kMaxSegments)
      l.taps = zeros({c.groups, batch_, c.kernel * c.in / c.groups});
    l.u = zeros({batch_, l.out});
    l.y = zeros({batch_, c.channels});
    if (c.gate) l.f = zeros({batch_, c.channels}), l.g = zeros({batch_, c.channels});
    l.conv.resize(static_cast<std::size_t>(c.groups));
    const std::int64_t width = l.out / c.groups;
    for (std::int64_t g = 0; g < c.groups; ++g) {
      Dense& d = l.conv[static_cast<std::size_t>(g)];
      const Tensor bias = from.conv().bias;
      d.take(narrow(from.conv().weight, 0, g * width, width), c.bias ? narrow(bias, 0, g * width, width) : bias,
             weights_);
      const float* taps = l.taps.defined() ? l.taps.data<float>() + g * batch_ * d.packed.size(0) : nullptr;
      d.connect(taps, l.u.data<float>() + g * width, batch_, l.out);
    }
    std::vector<Tensor> weights, biases;
    for (const Conv1d* one : {from.residual(), from.skip()}) {
      if (!one) continue;
      weights.push_back(squeeze(one->weight, 2));
      if (c.bias) biases.push_back(one->bias);
    }
    if (!weights.empty()) {
      l.mixed = zeros({batch_, l.residual + l.skip});
      l.mix.take(cat(weights), c.bias ? cat(biases) : Tensor(), weights_);
      l.mix.connect(l.y.data<float>(), l.mixed.data<float>(), batch_, l.residual + l.skip);
    }
    if (l.residual > 0) l.next = zeros({batch_, l.residual});
    if (l.skip > 0 && !skips_.defined()) skips_ = zeros({batch_, l.skip});
  }

  void make_head(const MLP& head) {
    const MLPConfig& c = head.config();
    head_config_ = c;
    for (std::size_t i = 0; i <= head.hidden().size(); ++i) {
      const bool last = i == head.hidden().size();
      const Linear& from = last ? head.out() : head.hidden().as<Linear>(i);
      head_inputs_.push_back(zeros({batch_, from.config().in_features}));
      head_.emplace_back().take(from.weight, from.bias, weights_);
    }
    z_ = zeros({batch_, head_.back().args.n});
    temperature_ = zeros({batch_, 1});
    logits_ = zeros({batch_, classes_});
    for (std::size_t i = 0; i < head_.size(); ++i) {
      const Tensor& y = i + 1 < head_.size() ? head_inputs_[i + 1] : z_;
      head_[i].connect(head_inputs_[i].data<float>(), y.data<float>(), batch_, y.size(1));
    }
  }

  void embed(std::int64_t stream, std::int64_t code) {
    copy_floats(x_.data<float>() + stream * width_, table_.data<float>() + code * width_, width_);
  }

  void advance(bool with_head) {
    const float* x = x_.data<float>();
    bool first_skip = true;
    for (PlanLayer& l : layers_) {
      convolve(l, x);
      gate(l);
      x = mix(l, x, first_skip);
    }
    ++position_;
    if (with_head) run_head(skips_.defined() ? skips_.data<float>() : x);
  }

  // The dilated convolution of this step: the taps are places of the ring, oldest first, and x. Then x takes the
  // oldest place.
  void convolve(PlanLayer& l, const float* x) {
    const WaveNetLayerConfig& c = l.config;
    const std::int64_t per_group = c.in / c.groups;
    float* ring = l.ring.data<float>();
    for (std::int64_t k = 0; k < c.kernel; ++k) {
      std::int64_t place = l.at + k * c.dilation;
      if (place >= l.reach) place -= l.reach;
      const float* tap = k + 1 == c.kernel ? x : ring + place * batch_ * c.in;
      for (std::int64_t g = 0; g < c.groups; ++g) {
        Dense& d = l.conv[static_cast<std::size_t>(g)];
        if (l.taps.defined()) {
          float* row = l.taps.data<float>() + g * batch_ * d.packed.size(0) + k * per_group;
          for (std::int64_t b = 0; b < batch_; ++b)
            copy_floats(row + b * d.packed.size(0), tap + b * c.in + g * per_group, per_group);
        } else {
          d.args.x[k] = {tap + g * per_group, per_group, c.in};
        }
      }
    }
    for (Dense& d : l.conv) {
      if (!l.taps.defined()) d.args.segments = static_cast<int>(c.kernel);
      d.run();
    }
    copy_floats(ring + l.at * batch_ * c.in, x, batch_ * c.in);
    if (++l.at == l.reach) l.at = 0;
  }

  void gate(PlanLayer& l) {
    const WaveNetLayerConfig& c = l.config;
    float* u = l.u.data<float>();
    if (!c.gate) return activate(c.activation, rows(u, batch_, c.channels, l.out), l.y.view());
    if (c.activation == Act::tanh && *c.gate == Act::sigmoid) {
      kernels::GateArgs args;
      args.x = l.u.view(), args.y = l.y.view();
      return kernels::gated_activation(kCpu, args);
    }
    activate(c.activation, rows(u, batch_, c.channels, l.out), l.f.view());
    activate(*c.gate, rows(u + c.channels, batch_, c.channels, l.out), l.g.view());
    const float *f = l.f.data<float>(), *g = l.g.data<float>();
    float* y = l.y.data<float>();
    for (std::int64_t i = 0; i < batch_ * c.channels; ++i) y[i] = f[i] * g[i];
  }

  // Residual and skip; returns the next layer's input.
  const float* mix(PlanLayer& l, const float* x, bool& first_skip) {
    if (!l.mixed.defined()) return l.y.data<float>();
    l.mix.run();
    const std::int64_t width = l.residual + l.skip;
    for (std::int64_t b = 0; b < batch_; ++b) {
      const float* r = l.mixed.data<float>() + b * width;
      if (l.residual > 0) add_floats(l.next.data<float>() + b * l.residual, x + b * l.residual, r, l.residual);
      if (l.skip == 0) continue;
      float* s = skips_.data<float>() + b * l.skip;
      if (first_skip) {
        copy_floats(s, r + l.residual, l.skip);
      } else {
        add_floats(s, r + l.residual, s, l.skip);
      }
    }
    if (l.skip > 0) first_skip = false;
    return (l.residual > 0 ? l.next : l.y).data<float>();
  }

  void run_head(const float* in) {
    const Tensor& first = head_inputs_.front();
    activate(config_.head.input_activation, rows(in, batch_, first.size(1), first.size(1)), first.view());
    for (std::size_t i = 0; i < head_.size(); ++i) {
      head_[i].run();
      if (i + 1 < head_.size())
        activate(head_config_.activation, head_inputs_[i + 1].view(), head_inputs_[i + 1].view());
    }
    const std::int64_t width = z_.size(1);
    float* z = z_.data<float>();
    float* out = logits_.data<float>();
    if (!head_config_.min_temperature) {
      copy_floats(out, z, logits_.numel());
      return;
    }
    kernels::sigmoid(kCpu, {rows(z + classes_, batch_, 1, width), temperature_.view()});
    kernels::clamp(kCpu, {temperature_.view(), temperature_.view(), *head_config_.min_temperature,
                          std::numeric_limits<double>::infinity()});
    for (std::int64_t b = 0; b < batch_; ++b) {
      const float t = temperature_.data<float>()[b];
      for (std::int64_t i = 0; i < classes_; ++i) out[b * classes_ + i] = z[b * width + i] / t;
    }
  }

  std::int64_t batch_, classes_;
  WaveNetConfig config_;
  MLPConfig head_config_;
  std::int64_t receptive_, width_ = 0, position_ = 0;
  DType weights_;
  Tensor table_, x_, skips_, z_, temperature_, logits_;
  std::vector<PlanLayer> layers_;
  std::vector<Dense> head_;
  std::vector<Tensor> head_inputs_;
};

}  // namespace

std::unique_ptr<GenerationPlan> WaveNet::plan(std::int64_t batch, DType weights) {
  TD_CHECK(batch >= 1 && batch <= 65536, ValueError, "plan: the batch must be between 1 and 65536, not ", batch);
  TD_CHECK(weights == DType::f32 || weights == DType::bf16, DTypeError, "plan: weights are kept as f32 or bf16, not ",
           name(weights));
  return std::make_unique<WaveNetPlan>(*this, batch, weights);
}

}  // namespace tapedeck::nn
