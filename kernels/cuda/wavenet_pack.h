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
