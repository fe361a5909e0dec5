// Pooling of [B, T, C] and [B, H, W, C].
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

namespace tapedeck::nn {

template <int N>
struct MaxPoolConfig {
  Sizes<N> kernel_size = each<N>(2), stride = each<N>(0), pad = each<N>(0), dilation = each<N>(1);
  bool ceil_mode = false;
  static constexpr const char* type_name = by_rank<N>("MaxPool1d", "MaxPool2d");
  static constexpr io::Doc doc{"The largest element of each window, by channel."};
  static constexpr void fields(auto&& f) {
    using C = MaxPoolConfig;
    f("kernel_size", &C::kernel_size, positive("width of the windows"));
    f("stride", &C::stride, natural("steps between them; 0: their width"));
    f("pad", &C::pad, natural("steps around the input that never are the largest; at most half of the width"));
    f("dilation", &C::dilation, positive("steps between elements of a window"));
    f("ceil_mode", &C::ceil_mode, io::Meta{.help = "a last window may reach beyond the end"});
  }
};
template <int N>
class MaxPool : public Configured<MaxPoolConfig<N>> {
 public:
  explicit MaxPool(MaxPoolConfig<N> config = {}) : Configured<MaxPoolConfig<N>>(config) {}
  Tensor forward(const Tensor& x) override {
    const MaxPoolConfig<N>& c = this->config();
    const MaxPoolOptions<N> o{per_dim<N>(c.stride), per_dim<N>(c.pad), per_dim<N>(c.dilation), c.ceil_mode};
    if constexpr (N == 1) return max_pool1d(x, per_dim<N>(c.kernel_size), o);
    if constexpr (N == 2) return max_pool2d(x, per_dim<N>(c.kernel_size), o);
  }
};
using MaxPool1d = MaxPool<1>;
using MaxPool2d = MaxPool<2>;

template <int N>
struct AvgPoolConfig {
  Sizes<N> kernel_size = each<N>(2), stride = each<N>(0), pad = each<N>(0);
  bool ceil_mode = false, count_include_pad = true;
  static constexpr const char* type_name = by_rank<N>("AvgPool1d", "AvgPool2d");
  static constexpr io::Doc doc{"The mean of each window, by channel."};
  static constexpr void fields(auto&& f) {
    using C = AvgPoolConfig;
    f("kernel_size", &C::kernel_size, positive("width of the windows"));
    f("stride", &C::stride, natural("steps between them; 0: their width"));
    f("pad", &C::pad, natural("zeros around the input; at most half of the width"));
    f("ceil_mode", &C::ceil_mode, io::Meta{.help = "a last window may reach beyond the end"});
    f("count_include_pad", &C::count_include_pad, io::Meta{.help = "the zeros count as elements"});
  }
};
template <int N>
class AvgPool : public Configured<AvgPoolConfig<N>> {
 public:
  explicit AvgPool(AvgPoolConfig<N> config = {}) : Configured<AvgPoolConfig<N>>(config) {}
  Tensor forward(const Tensor& x) override {
    const AvgPoolConfig<N>& c = this->config();
    const AvgPoolOptions<N> o{per_dim<N>(c.stride), per_dim<N>(c.pad), c.ceil_mode, c.count_include_pad};
    if constexpr (N == 1) return avg_pool1d(x, per_dim<N>(c.kernel_size), o);
    if constexpr (N == 2) return avg_pool2d(x, per_dim<N>(c.kernel_size), o);
  }
};
using AvgPool1d = AvgPool<1>;
using AvgPool2d = AvgPool<2>;

template <int N>
struct AdaptiveMaxPoolConfig {
  Sizes<N> output_size = each<N>(1);
  static constexpr const char* type_name = by_rank<N>("AdaptiveMaxPool1d", "AdaptiveMaxPool2d");
  static constexpr io::Doc doc{"The largest elements of windows that lead to a given size."};
  static constexpr void fields(auto&& f) {
    f("output_size", &AdaptiveMaxPoolConfig::output_size, positive("size of the output"));
  }
};
template <int N>
class AdaptiveMaxPool : public Configured<AdaptiveMaxPoolConfig<N>> {
 public:
  explicit AdaptiveMaxPool(AdaptiveMaxPoolConfig<N> config = {}) : Configured<AdaptiveMaxPoolConfig<N>>(config) {}
  Tensor forward(const Tensor& x) override {
    if constexpr (N == 1) return adaptive_max_pool1d(x, per_dim<N>(this->config().output_size));
    if constexpr (N == 2) return adaptive_max_pool2d(x, per_dim<N>(this->config().output_size));
  }
};
using AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
using AdaptiveMaxPool2d = AdaptiveMaxPool<2>;

template <int N>
struct AdaptiveAvgPoolConfig {
  Sizes<N> output_size = each<N>(1);
  static constexpr const char* type_name = by_rank<N>("AdaptiveAvgPool1d", "AdaptiveAvgPool2d");
  static constexpr io::Doc doc{"The means of windows that lead to a given size."};
  static constexpr void fields(auto&& f) {
    f("output_size", &AdaptiveAvgPoolConfig::output_size, positive("size of the output"));
  }
};
template <int N>
class AdaptiveAvgPool : public Configured<AdaptiveAvgPoolConfig<N>> {
 public:
  explicit AdaptiveAvgPool(AdaptiveAvgPoolConfig<N> config = {}) : Configured<AdaptiveAvgPoolConfig<N>>(config) {}
  Tensor forward(const Tensor& x) override {
    if constexpr (N == 1) return adaptive_avg_pool1d(x, per_dim<N>(this->config().output_size));
    if constexpr (N == 2) return adaptive_avg_pool2d(x, per_dim<N>(this->config().output_size));
  }
};
using AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
using AdaptiveAvgPool2d = AdaptiveAvgPool<2>;

}  // namespace tapedeck::nn
