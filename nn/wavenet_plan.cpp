// WaveNet one sample after the other. Each dilated layer keeps a ring of its last (kernel - 1) * dilation + 1 inputs,
// zeros at first as causal padding has them; what makes a layer's input writes it into its ring. A step is one program
// of products (kernels/steps.h) that is made with the plan; what they do not do is called from there, elementwise
// functions through the same slots, so that every logit has the bits of the forward pass. What old taps bring is known
// `dilation` steps early: for small batches it is summed for up to 8 steps at once, and the newest tap's product goes on
// from there.
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/kernels/steps.h>
#include <tapedeck/nn/plan_checks.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/nn/wavenet_plan.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <deque>
#include <exception>
#include <limits>
#include <numeric>
#include <utility>

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

constexpr std::int64_t kHugePage = 2 << 20;  // what large blocks of memory lie on; two make a large one

// The parts of a step, and their weights in one piece of memory, in the order of the parts.
class Program {
 public:
  Program(std::int64_t batch, DType weights, int threads) : batch_(batch), weights_(weights), threads_(threads) {}

  int last() const { return static_cast<int>(parts_.size()) - 1; }
  kernels::StepProduct& product(int i) { return parts_[static_cast<std::size_t>(i)].product; }

  // y [batch, n] = x weight + bias: weight [N, k] of a linear map, or [N, channels, taps] of a convolution. Returns its
  // index; x and y are connected later.
  int multiply(const Tensor& weight, const Tensor& bias, kernels::StepThen then, int needs, int needs_from = 0) {
    kernels::StepPart& part = parts_.emplace_back();
    kernels::StepProduct& p = part.product;
    part.needs = needs, part.needs_from = needs_from;
    p.rows = batch_, p.n = weight.size(0) / (then == kernels::StepThen::gate ? 2 : 1);
    p.k = weight.numel() / weight.size(0);
    p.then = then, p.bias = bias.defined(), p.weights = weights_, p.shares = threads_;
    sources_.push_back({last(), weight, bias});
    return last();
  }
  // The sums of a product that `multiply` makes next, over the first indices of its contraction and for `steps` steps
  // at once. Their weights lie behind all others: most steps pass them over.
  int multiply_ahead(const Tensor& weight, kernels::StepThen then, std::int64_t steps) {
    const int part = multiply(weight, {}, then, -1);
    product(part).rows = steps * batch_, product(part).partial = true;
    return part;
  }
  void set_idle(int i, bool idle) { parts_[static_cast<std::size_t>(i)].idle = idle; }
  // A function between products. What it throws waits until the other threads, which wait for this part, have ended.
  int call(std::function<void()> f, int needs) {
    kernels::StepPart& part = parts_.emplace_back();
    part.needs = needs;
    part.with = &calls_.emplace_back([this, f = std::move(f)] {
      try {
        f();
      } catch (...) {
        if (!failure_) failure_ = std::current_exception();
      }
    });
    part.call = [](void* with) { (*static_cast<std::function<void()>*>(with))(); };
    return last();
  }
  void connect(int i, const float* x, float* y) {
    kernels::StepProduct& p = product(i);
    p.segments = 1, p.x[0] = {x, p.k, p.k}, p.y = y, p.y_row = p.n;
  }

  // After the last part.
  void pack() {
    std::int64_t share = 0;
    for (const Source& s : sources_) share += kernels::step_bytes(product(s.part));
    const std::int64_t pages = std::max<std::int64_t>(2, (threads_ * share + kHugePage - 1) / kHugePage);
    memory_ = empty({pages * kHugePage}, {DType::u8});
    auto* to = memory_.data<std::uint8_t>();
    std::stable_partition(sources_.begin(), sources_.end(), [&](const Source& s) { return !product(s.part).partial; });
    for (const Source& s : sources_) {
      kernels::StepProduct& p = product(s.part);
      p.weight = to, p.share_stride = share;
      kernels::pack_step(s.weight.view(), s.bias.defined() ? s.bias.view() : TensorView(), p, to);
      to += kernels::step_bytes(p);
    }
    sources_.clear();
    if (threads_ > 1) team_ = std::make_unique<Team>(threads_);
  }

  void run(int count) {
    kernels::steps(kCpu, {parts_.data(), count, team_.get()});
    if (failure_) [[unlikely]]
      std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  struct Source {
    int part;
    Tensor weight, bias;
  };
  std::int64_t batch_;
  DType weights_;
  int threads_;
  std::vector<kernels::StepPart> parts_;
  std::deque<std::function<void()>> calls_;
  std::exception_ptr failure_;  // the first of a run
  std::vector<Source> sources_;
  Tensor memory_;
  std::unique_ptr<Team> team_;
};

// A pointer into a ring, one place further with each step.
struct Cursor {
  const float** pointer;
  const float *start, *first, *end;  // in step 0; of the ring
  std::int64_t place;                // floats

  void restart() const { *pointer = start; }
  void move() const {
    const float* next = *pointer + place;
    *pointer = next == end ? first : next;
  }
};

// A product for several steps at once: in step 0, and whenever steps + phase is a multiple of `every`.
struct Ahead {
  int part;
  std::int64_t every, phase;
  std::vector<Cursor> cursors;  // `every` places at a time
};

// For how many steps at once a layer takes the products of its old taps, whose inputs are known `dilation` steps early:
// their weights are read once for all of them. A product's few rows more cost little next to its weights; 1: each step
// for itself.
std::int64_t steps_ahead(const WaveNetLayerConfig& c, std::int64_t batch) {
  constexpr std::int64_t kRows = 8;
  const std::int64_t begun = (c.kernel - 1) * c.in / c.groups;
  if (c.kernel < 2 || c.kernel > kernels::StepProduct::kMaxSegments || begun > kernels::StepProduct::kMaxBegun)
    return 1;
  return std::gcd(c.dilation, std::bit_floor(std::max<std::uint64_t>(1, kRows / batch)));
}

struct PlanLayer {
  WaveNetLayerConfig config;
  std::vector<int> conv;          // parts, one per group
  int residual = -1, skip = -1;   // parts; -1: none
  int gated = 0, makes = 0;       // the parts behind which y, and the next layer's input, are there
  bool fused = false;             // the convolution's part has the gate
  Tensor ring;                    // [places, batch, in]
  std::int64_t reach = 0;         // steps back to the oldest tap
  std::int64_t places = 0;        // a multiple of `every`, more than `reach`
  std::int64_t every = 1;         // steps_ahead
  std::int64_t phase = 0;         // the place of step 0
  std::vector<int> ahead;         // parts that begin those of `conv` every so many steps; empty: none
  std::vector<Tensor> begun;      // what they make, [every, batch, columns]
  Tensor taps;                    // kernels of more taps than a product has segments: [group, batch, taps * channels]
  std::vector<const float*> tap;  // where each of those lies, oldest first
  Tensor u, f, g, y;
  float* out = nullptr;  // where this step's y goes
};

class WaveNetPlan final : public GenerationPlan {
 public:
  WaveNetPlan(WaveNet& net, std::int64_t batch, DType weights, int threads)
      : batch_(batch),
        classes_(net.classes()),
        config_(net.config()),
        receptive_(net.receptive_field()),
        program_(batch, weights, threads) {
    const NoGrad no_grad;
    make_table(net);
    for (std::size_t i = 0; i < net.layers().size(); ++i) add_layer(net, i);
    add_skip(layers_.back(), net.layers().as<WaveNetLayer>(layers_.size() - 1));
    body_ = program_.last() + 1;
    make_head(net.head());
    program_.pack();
    for (std::size_t i = 0; i < layers_.size(); ++i) connect(i);
    follow(layers_.front(), 0, input_);
    reset();
  }

  std::int64_t batch() const override { return batch_; }
  std::int64_t classes() const override { return classes_; }
  std::int64_t position() const override { return position_; }
  std::size_t state_bytes() const override {
    std::int64_t n = last_.numel() + z_.numel() + logits_.numel() + (skips_.defined() ? skips_.numel() : 0);
    for (const PlanLayer& l : layers_) {
      for (const Tensor* t : {&l.ring, &l.taps, &l.u, &l.f, &l.g, &l.y}) n += t->defined() ? t->numel() : 0;
      for (const Tensor& t : l.begun) n += t.numel();
    }
    return static_cast<std::size_t>(n) * sizeof(float);
  }

  void reset() override {
    position_ = steps_ = 0;
    for (PlanLayer& l : layers_) std::fill_n(l.ring.data<float>(), l.ring.numel(), 0.0f);
    for (const Cursor& c : cursors_) c.restart();
    for (const Ahead& a : ahead_) {
      for (const Cursor& c : a.cursors) c.restart();
      program_.set_idle(a.part, false);
    }
  }

  void prime(const Tensor& codes) override {
    const Tensor prompt = checks().prompt(codes);
    const std::int64_t n = prompt.size(1);
    const std::int64_t* c = prompt.data<std::int64_t>();
    reset();
    // All state depends on the last receptive_ codes alone, unless the padding of the start is among them.
    position_ = std::max<std::int64_t>(0, n - receptive_);
    for (std::int64_t t = position_; t < n; ++t) {
      for (std::int64_t b = 0; b < batch_; ++b) embed(b, c[b * n + t]);
      advance(t + 1 == n);
    }
  }

  void feed(std::span<const std::int64_t> codes) override {
    checks().given(codes);
    for (std::int64_t b = 0; b < batch_; ++b) embed(b, codes[static_cast<std::size_t>(b)]);
    advance(position_ + 1 >= least());
  }

  void step(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes) override {
    require_logits("step");
    checks().draws("step", 1, uniforms, temperature, codes);
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
  PlanChecks checks() const { return {batch_, classes_, least()}; }
  void require_logits(const char* what) const { checks().has_logits(what, position_); }

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
    width_ = table_.size(2);
  }

  void add_layer(const WaveNet& net, std::size_t i) {
    const auto& from = net.layers().as<WaveNetLayer>(i);
    PlanLayer* before = layers_.empty() ? nullptr : &layers_.back();
    const int input = before ? before->makes : -1;
    PlanLayer& l = layers_.emplace_back();
    const WaveNetLayerConfig& c = l.config = from.config();
    const std::int64_t out = from.conv().config().out_channels, width = out / c.groups;
    l.reach = (c.kernel - 1) * c.dilation;
    l.every = steps_ahead(c, batch_);
    l.places = (l.reach + l.every) / l.every * l.every;
    l.phase = static_cast<std::int64_t>(i) % l.every;  // layers take turns, so that steps take about as long
    const bool ahead = l.every > 1;
    l.ring = zeros({l.places, batch_, c.in});
    l.y = zeros({batch_, c.channels});
    l.out = l.y.data<float>();
    l.fused = c.groups == 1 && c.activation == Act::tanh && c.gate == Act::sigmoid;
    const auto then = l.fused ? kernels::StepThen::gate : kernels::StepThen::store;
    int needs = input, needs_from = ahead ? 0 : static_cast<int>(c.kernel) - 1;
    if (c.kernel > kernels::StepProduct::kMaxSegments) {
      l.taps = zeros({c.groups, batch_, c.kernel * c.in / c.groups});
      needs = program_.call([this, &l] { gather(l); }, input), needs_from = 0;
    }
    if (!l.fused) l.u = zeros({batch_, out});
    for (std::int64_t g = 0; g < c.groups; ++g) {
      Tensor weight = narrow(from.conv().weight, 0, g * width, width);
      const Tensor bias = c.bias ? narrow(from.conv().bias, 0, g * width, width) : Tensor();
      if (ahead) {
        l.ahead.push_back(program_.multiply_ahead(narrow(weight, 2, 0, c.kernel - 1), then, l.every));
        read_taps(l, l.ahead.back(), c.kernel - 1);
        weight = narrow(weight, 2, c.kernel - 1, 1);
      }
      const int part = program_.multiply(weight, bias, then, needs, needs_from);
      l.conv.push_back(part);
      kernels::StepProduct& p = program_.product(part);
      program_.connect(part, l.taps.defined() ? l.taps.data<float>() + g * batch_ * p.k : nullptr,
                       l.fused ? l.out : l.u.data<float>() + g * width);
      p.y_row = l.fused ? c.channels : out;
      if (!l.taps.defined()) read_taps(l, part, ahead ? 1 : c.kernel);
      if (!ahead) continue;
      kernels::StepProduct& begins = program_.product(l.ahead.back());
      p.begun_k = begins.k, p.begun_row = begins.y_row = kernels::step_columns(p);
      begins.y = l.begun.emplace_back(zeros({l.every, batch_, p.begun_row})).data<float>();
    }
    if (!l.fused) {
      if (c.gate) l.f = zeros({batch_, c.channels}), l.g = zeros({batch_, c.channels});
      program_.call([this, &l] { gate(l); }, program_.last());
    }
    l.gated = l.makes = program_.last();
    // The skip path of the layer before waits for nothing: it stands where residual would wait for the gate.
    if (before) add_skip(*before, net.layers().as<WaveNetLayer>(i - 1));
    if (!from.residual()) return;
    l.residual = l.makes = conv1x1(l, *from.residual(), kernels::StepThen::add);
  }

  // The segments of a product are `taps` places of the ring.
  void read_taps(const PlanLayer& l, int part, std::int64_t taps) {
    kernels::StepProduct& p = program_.product(part);
    p.segments = static_cast<int>(taps);
    for (std::int64_t k = 0; k < taps; ++k) p.x[k] = {nullptr, l.config.in / l.config.groups, l.config.in};
  }

  int conv1x1(PlanLayer& l, const Conv1d& conv, kernels::StepThen then) {
    const int part = program_.multiply(conv.weight, l.config.bias ? conv.bias : Tensor(), then, l.gated);
    program_.connect(part, l.out, nullptr);
    program_.product(part).add_row = conv.config().out_channels;
    return part;
  }

  void add_skip(PlanLayer& l, const WaveNetLayer& from) {
    if (!from.skip()) return;
    const bool first = !skips_.defined();
    if (first) skips_ = zeros({batch_, *l.config.skip_channels});
    l.skip = conv1x1(l, *from.skip(), first ? kernels::StepThen::store : kernels::StepThen::add);
    kernels::StepProduct& p = program_.product(l.skip);
    p.add = p.y = skips_.data<float>();
  }

  void make_head(const MLP& head) {
    const MLPConfig& c = head.config();
    const WaveNetLayerConfig& top = layers_.back().config;
    last_ = zeros({batch_, top.residual ? top.in : top.channels});
    const Tensor& from = skips_.defined() ? skips_ : last_;
    const auto act = [this](Act f, const Tensor& x, const Tensor& y) {
      if (f != Act::identity) program_.call([=] { activate(f, x.view(), y.view()); }, program_.last());
    };
    logits_ = zeros({batch_, classes_});
    z_ = c.min_temperature ? zeros({batch_, classes_ + 1}) : logits_;
    Tensor x = config_.head.input_activation == Act::identity ? from : zeros({batch_, from.size(1)});
    act(config_.head.input_activation, from, x);
    for (std::size_t i = 0; i <= head.hidden().size(); ++i) {
      const bool last = i == head.hidden().size();
      const Linear& layer = last ? head.out() : head.hidden().as<Linear>(i);
      const int part = program_.multiply(layer.weight, layer.bias, kernels::StepThen::store, program_.last());
      const Tensor y = last ? z_ : zeros({batch_, layer.config().out_features});
      program_.connect(part, x.data<float>(), y.data<float>());
      if (!last) act(c.activation, y, y);
      head_rows_.push_back(x), x = y;
    }
    if (!c.min_temperature) return;
    temperature_ = zeros({batch_, 1});
    program_.call([this, least = *c.min_temperature] { divide_by_temperature(least); }, program_.last());
  }

  void embed(std::int64_t stream, std::int64_t code) {
    copy_floats(input_ + stream * width_, table_.data<float>() + code * width_, width_);
  }

  void advance(bool with_head) {
    program_.run(with_head ? program_.last() + 1 : body_);
    for (const Cursor& c : cursors_) c.move();
    ++position_, ++steps_;
    for (const Ahead& a : ahead_) {
      const bool due = (steps_ + a.phase) % a.every == 0;
      program_.set_idle(a.part, !due);
      if (!due) continue;
      for (const Cursor& c : a.cursors) c.move();
    }
  }

  // `pointer` shows the input of layer l `back` steps ago from now on, `offset` floats behind its first.
  void follow(const PlanLayer& l, std::int64_t back, const float*& pointer, std::int64_t offset = 0) {
    cursors_.push_back(cursor(l, l.phase - back, pointer, offset));
  }
  // From a place of its ring on, `by` places at a time.
  Cursor cursor(const PlanLayer& l, std::int64_t at, const float*& pointer, std::int64_t offset, std::int64_t by = 1) {
    const std::int64_t place = batch_ * l.config.in;
    const float* first = l.ring.data<float>() + offset;
    return {&pointer, first + (at + l.places) % l.places * place, first, first + l.places * place, by * place};
  }
  void follow(const PlanLayer& l, std::int64_t back, float*& pointer) {
    follow(l, back, const_cast<const float*&>(pointer));
  }

  // The parts of layer i to the rings: the taps, oldest first, and the next layer's input.
  void connect(std::size_t i) {
    PlanLayer& l = layers_[i];
    const WaveNetLayerConfig& c = l.config;
    if (l.taps.defined()) l.tap.resize(static_cast<std::size_t>(c.kernel));
    for (std::int64_t k = 0; k < c.kernel; ++k) {
      const std::int64_t back = l.reach - k * c.dilation;
      if (l.taps.defined()) {
        follow(l, back, l.tap[static_cast<std::size_t>(k)]);
        continue;
      }
      for (std::size_t g = 0; g < l.conv.size(); ++g) {
        const std::int64_t channel = static_cast<std::int64_t>(g) * c.in / c.groups;
        if (!l.ahead.empty() && back > 0) continue;
        follow(l, back, program_.product(l.conv[g]).x[l.ahead.empty() ? k : 0].x, channel);
      }
    }
    for (std::size_t g = 0; g < l.ahead.size(); ++g) connect_ahead(l, g);
    const auto make = [&](float*& y) {
      i + 1 < layers_.size() ? follow(layers_[i + 1], 0, y) : void(y = last_.data<float>());
    };
    if (l.residual >= 0) {
      follow(l, 0, program_.product(l.residual).add);
      make(program_.product(l.residual).y);
    } else {
      make(l.out);
      if (l.fused) make(program_.product(l.conv.front()).y);
      if (l.skip >= 0) make(const_cast<float*&>(program_.product(l.skip).x[0].x));
    }
  }

  // The products of the old taps of a group, from the oldest inputs on, and the one that goes on with their sums.
  void connect_ahead(PlanLayer& l, std::size_t g) {
    const WaveNetLayerConfig& c = l.config;
    kernels::StepProduct &begins = program_.product(l.ahead[g]), &p = program_.product(l.conv[g]);
    Ahead& a = ahead_.emplace_back(Ahead{l.ahead[g], l.every, l.phase, {}});
    for (std::int64_t k = 0; k < c.kernel - 1; ++k)
      a.cursors.push_back(
          cursor(l, k * c.dilation - l.reach, begins.x[k].x, static_cast<std::int64_t>(g) * c.in / c.groups, l.every));
    const std::int64_t place = batch_ * p.begun_row;
    cursors_.push_back({&p.begun, begins.y + l.phase * place, begins.y, begins.y + l.every * place, place});
  }

  // The taps side by side.
  void gather(PlanLayer& l) {
    const WaveNetLayerConfig& c = l.config;
    const std::int64_t per_group = c.in / c.groups;
    float* to = l.taps.data<float>();
    for (std::int64_t g = 0; g < c.groups; ++g)
      for (std::int64_t b = 0; b < batch_; ++b)
        for (const float* tap : l.tap) {
          copy_floats(to, tap + b * c.in + g * per_group, per_group);
          to += per_group;
        }
  }

  void gate(PlanLayer& l) {
    const WaveNetLayerConfig& c = l.config;
    const std::int64_t out = l.u.size(1);
    const TensorView y = rows(l.out, batch_, c.channels, c.channels);
    float* u = l.u.data<float>();
    if (!c.gate) return activate(c.activation, rows(u, batch_, c.channels, out), y);
    if (c.activation == Act::tanh && *c.gate == Act::sigmoid) {
      kernels::GateArgs args;
      args.x = l.u.view(), args.y = y;
      return kernels::gated_activation(kCpu, args);
    }
    activate(c.activation, rows(u, batch_, c.channels, out), l.f.view());
    activate(*c.gate, rows(u + c.channels, batch_, c.channels, out), l.g.view());
    const float *f = l.f.data<float>(), *g = l.g.data<float>();
    for (std::int64_t i = 0; i < batch_ * c.channels; ++i) l.out[i] = f[i] * g[i];
  }

  void divide_by_temperature(double least) {
    const std::int64_t width = z_.size(1);
    float* z = z_.data<float>();
    float* out = logits_.data<float>();
    kernels::sigmoid(kCpu, {rows(z + classes_, batch_, 1, width), temperature_.view()});
    kernels::clamp(kCpu, {temperature_.view(), temperature_.view(), least, std::numeric_limits<double>::infinity()});
    for (std::int64_t b = 0; b < batch_; ++b) {
      const float t = temperature_.data<float>()[b];
      for (std::int64_t i = 0; i < classes_; ++i) out[b * classes_ + i] = z[b * width + i] / t;
    }
  }

  std::int64_t batch_, classes_;
  WaveNetConfig config_;
  std::int64_t receptive_, width_ = 0, position_ = 0;
  Program program_;
  int body_ = 0;            // parts before the head
  float* input_ = nullptr;  // where this step's code goes
  std::int64_t steps_ = 0;  // since the last reset
  std::vector<Cursor> cursors_;
  std::vector<Ahead> ahead_;
  Tensor table_, skips_, last_, z_, temperature_, logits_;
  std::deque<PlanLayer> layers_;
  std::vector<Tensor> head_rows_;  // what the head's products read
};

}  // namespace

std::unique_ptr<GenerationPlan> WaveNet::plan(std::int64_t batch, DType weights, int threads) {
  TD_CHECK(batch >= 1 && batch <= 65536, ValueError, "plan: the batch must be between 1 and 65536, not ", batch);
  TD_CHECK(weights == DType::f32 || weights == DType::bf16, DTypeError, "plan: weights are kept as f32 or bf16, not ",
           name(weights));
  TD_CHECK(threads >= 1 && threads <= 64, ValueError, "plan: the threads must be between 1 and 64, not ", threads);
  if (layers().as<WaveNetLayer>(0).conv().weight.get().device() != kCpu) return device_plan(*this, batch, weights);
  return std::make_unique<WaveNetPlan>(*this, batch, weights, threads);
}

}  // namespace tapedeck::nn
