// What the layouts of generation share: reading a network's weights, and collecting those of a block.
#pragma once
#include <tapedeck/kernels/cuda/wavenet.h>

#include <algorithm>
#include <functional>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

inline float at(const TensorView& v, std::int64_t i, std::int64_t j = 0, std::int64_t k = 0) {
  return v
      .ptr<const float>()[i * v.strides[0] + (v.rank > 1 ? j * v.strides[1] : 0) + (v.rank > 2 ? k * v.strides[2] : 0)];
}
inline int width_of(const WaveNetGenerateArgs::Linear& a) {
  return a.weight.given() ? static_cast<int>(a.weight.sizes[0]) : 0;
}
inline int inputs_of(const WaveNetGenerateArgs::Layer& a) { return static_cast<int>(a.conv.sizes[1] * a.groups); }
inline int channels_of(const WaveNetGenerateArgs::Layer& a) {
  return static_cast<int>(a.conv.sizes[0]) / (a.gated ? 2 : 1);
}
inline int ceil4(int n) { return (n + 3) / 4 * 4; }

// As many lanes for an output as there are threads for, and float4 to share.
inline Product plan_product(int outputs, int inputs, int threads, int most_lanes) {
  Product a;
  a.outputs = outputs;
  while (a.lanes < most_lanes && (outputs << (a.lanes + 1)) <= threads && (4 << a.lanes) < inputs) ++a.lanes;
  const int at_once = 4 << a.lanes;
  a.steps = (inputs + at_once - 1) / at_once;
  return a;
}

struct Sizes {
  int in = 0, channels = 0, skip = 0, layers = 0, taps = 0, heads = 0, widest_head = 0;
};
inline Sizes sizes_of(const WaveNetGenerateArgs& a) {
  Sizes s;
  s.layers = static_cast<int>(a.layers.size()), s.heads = static_cast<int>(a.head.size());
  s.in = inputs_of(a.layers[0]), s.channels = channels_of(a.layers[0]), s.skip = width_of(a.layers[0].skip);
  for (const auto& h : a.head) s.widest_head = std::max(s.widest_head, static_cast<int>(h.linear.weight.sizes[1]));
  return s;
}

// Rows of a head layer: block b has [b * outputs / blocks, (b + 1) * outputs / blocks).
inline int first_row(int outputs, int blocks, int b) { return static_cast<int>(std::int64_t{outputs} * b / blocks); }

inline Function function_of(const PointFunction& f) {
  return {kind_of(f), static_cast<float>(f.p0), static_cast<float>(f.p1)};
}
inline float bias_of(const TensorView& bias, int i) { return bias.given() ? at(bias, i) : 0.0f; }
// Output i of a layer's convolution: f and g of a channel side by side.
inline int conv_row(const WaveNetGenerateArgs::Layer& l, int i) {
  return l.gated ? (i & 1) * channels_of(l) + i / 2 : i;
}
inline float conv_weight(const WaveNetGenerateArgs::Layer& l, int tap, int i, int k) {
  const int row = conv_row(l, i), rows = static_cast<int>(l.conv.sizes[0] / l.groups);
  const int inside = static_cast<int>(l.conv.sizes[1]);
  return row / rows == k / inside ? at(l.conv, row, k % inside, tap) : 0.0f;
}

// What an outline takes from the network as it is.
inline Network network_of(const WaveNetGenerateArgs& a) {
  const Sizes s = sizes_of(a);
  Network n;
  n.batch = static_cast<int>(a.batch), n.classes = static_cast<int>(a.table.sizes[0]);
  n.in = s.in, n.skip = s.skip, n.heads = s.heads, n.width = width_of(a.head.back().linear);
  n.least_temperature = static_cast<float>(a.least_temperature);
  n.head_input = function_of(a.head_input);
  return n;
}
// A block's rows of layer k of the head; the weights come later.
inline Head head_of(const WaveNetGenerateArgs& a, int k, int blocks, int b, int threads) {
  const auto& h = a.head[static_cast<std::size_t>(k)];
  Head to;
  to.inputs = static_cast<int>(h.linear.weight.sizes[1]), to.outputs = width_of(h.linear);
  to.first = first_row(to.outputs, blocks, b);
  to.function = function_of(h.function);
  to.product = plan_product(first_row(to.outputs, blocks, b + 1) - to.first, to.inputs, threads, 5);
  return to;
}
// Floats between the inputs of the head's layers.
inline int head_row(const WaveNetGenerateArgs& a, int blocks, int threads) {
  int row = 0;
  for (int k = 0; k < static_cast<int>(a.head.size()); ++k)
    for (int b = 0; b < blocks; ++b) row = std::max(row, head_of(a, k, blocks, b, threads).product.inputs());
  return row;
}
// The head's places in a mailbox, behind those that are taken.
inline void place_head(Mail& mail, const WaveNetGenerateArgs& a, int taken) {
  const auto next = [&](int elements) { return taken += elements, taken - elements; };
  for (std::size_t k = 0; k < a.head.size(); ++k)
    mail.head[k] = next(static_cast<int>(a.head[k].linear.weight.sizes[1]));
  mail.logits = next(width_of(a.head.back().linear)), mail.total = taken;
}
// Room for the parts, and the table.
inline Built begun(const WaveNetGenerateArgs& a, const Network& n) {
  Built out;
  out.net = n;
  out.parts.resize(static_cast<std::size_t>(n.blocks));
  out.layers.resize(static_cast<std::size_t>(n.blocks) * static_cast<std::size_t>(n.most_layers));
  for (int code = 0; code < n.classes; ++code)
    for (int i = 0; i < n.in; ++i) out.table.push_back(at(a.table, code, i));
  return out;
}

// Collects a part: products in the order in which shared memory serves them best.
class Packer {
 public:
  explicit Packer(std::vector<float>& to) : to_(to), start_(to.size()) {}

  // weight(n, k) for k < inputs; the rest is zeros. Returns where, in float4.
  int product(const Product& a, int inputs, const std::function<float(int, int)>& weight) {
    const int where = here();
    to_.resize(to_.size() + static_cast<std::size_t>(a.size()) * 4, 0.0f);
    float* const w = to_.data() + start_ + static_cast<std::size_t>(where) * 4;
    for (int j = 0; j < a.steps; ++j)
      for (int i = 0; i < a.threads(); ++i)
        for (int e = 0; e < 4; ++e) {
          const int k = 4 * ((j << a.lanes) + (i & ((1 << a.lanes) - 1))) + e;
          if (k < inputs)
            w[(static_cast<std::size_t>(j) * static_cast<std::size_t>(a.threads()) + static_cast<std::size_t>(i)) * 4 +
              static_cast<std::size_t>(e)] = weight(i >> a.lanes, k);
        }
    ends_.push_back(here());
    return where;
  }
  int row(int n, const std::function<float(int)>& value) {
    const int where = here();
    for (int i = 0; i < ceil4(n); ++i) to_.push_back(i < n ? value(i) : 0.0f);
    ends_.push_back(here());
    return where;
  }
  void head_bias(Head& to, const TensorView& bias) {
    if (bias.given()) to.product.bias = row(to.product.outputs, [&](int o) { return at(bias, to.first + o); });
  }
  void head_weight(Head& to, const TensorView& weight) {
    to.product.weight = product(to.product, to.inputs, [&](int o, int i) { return at(weight, to.first + o, i); });
  }
  // The most of it that ends with a whole product, in `room`.
  int whole(int room) const {
    int most = 0;
    for (const int end : ends_)
      if (end <= room) most = end;
    return most;
  }
  int here() const { return static_cast<int>((to_.size() - start_) / 4); }

 private:
  std::vector<float>& to_;
  std::size_t start_;
  std::vector<int> ends_;
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
