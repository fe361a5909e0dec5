// Convolutions: every combination of kernel size, dilation, stride, groups, padding and bias that fits.
#include <tapedeck/autograd/ops.h>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

using std::int64_t;

constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};

struct Size {
  int64_t batch, time, in, out;  // channels per group times groups are checked below
};

template <int N>
std::string text_of(const PerDim<N>& p) {
  std::string text = std::to_string(p[0]);
  for (int d = 1; d < N; ++d) text += "," + std::to_string(p[d]);
  return text;
}
template <int N>
std::string text_of(const ConvPadding<N>& p) {
  constexpr const char* rules[] = {"valid", "causal", "same"};
  const std::string before = text_of(p.before), after = text_of(p.after);
  if (p.rule != Padding::valid) return rules[static_cast<int>(p.rule)];
  return before == after && before.find_first_not_of("0,") == std::string::npos ? "valid" : before + "+" + after;
}
template <int N>
std::string text_of(const ConvOptions<N>& o, bool biased) {
  return "stride " + text_of(o.stride) + " dilation " + text_of(o.dilation) + " groups " + std::to_string(o.groups) +
         " " + text_of(o.padding) + (biased ? " bias" : "");
}

// The case of one convolution, with values and layouts in turns.
OpCase make(const char* op, std::string text, const Shape& x, const Shape& w, DType dtype, std::size_t n, bool biased,
            int64_t bias_size, Values values) {
  const Values weights = values == Values::nonfinite ? Values::normal : values;
  OpCase c{.op = op,
           .text = std::move(text),
           .inputs = {{x, dtype, kLayouts[n % 3], values}, {w, dtype, kLayouts[n / 3 % 3], weights}}};
  if (biased) c.inputs.push_back({{bias_size}, dtype, Layout::contiguous, weights});
  const double bound = values == Values::positive ? 32 : 8;
  c.bound = {.c = bound}, c.relative = Relative::absolute;
  c.rows = 1;
  c.differentiable = values == Values::normal;
  c.gradient_bound = {.c = 8}, c.gradient_relative = Relative::absolute;
  if (c.text.starts_with("stride 1 "))
    c.flops =
        2 * static_cast<double>(x.numel() * w.numel()) / static_cast<double>(std::max<int64_t>(1, x[x.rank() - 1]));
  return c;
}

// f(values) in turns: normal ones always, the others now and then.
template <class F>
void each_values(std::size_t n, F&& f) {
  for (const Values values : {Values::normal, Values::positive, Values::nonfinite})
    if (values == Values::normal || n % 4 == 0) f(values);
}

// Calls f(size, kernel, options) for every combination that makes sense.
template <class F>
void each_convolution(F&& f) {
  const Size sizes[] = {{1, 1, 1, 1},   {2, 9, 4, 6},   {3, 33, 8, 4}, {1, 70, 16, 32},
                        {2, 40, 65, 3}, {1, 300, 4, 4}, {0, 9, 4, 4}};
  for (const Size& s : sizes)
    for (const int64_t kernel : {1, 2, 3, 5})
      for (const int64_t dilation : {1, 2, 7, 64})
        for (const int64_t stride : {1, 2, 3})
          for (const int64_t groups : {1, 2, 4})
            for (const ConvPadding<1> padding :
                 {ConvPadding<1>(Padding::valid), ConvPadding<1>(Padding::causal), ConvPadding<1>(Padding::same),
                  ConvPadding<1>(1), ConvPadding<1>(5, 2)}) {
              const int64_t room = s.time + padding.before[0] + padding.after[0];
              if (s.in % groups != 0 || s.out % groups != 0) continue;
              if (padding.rule == Padding::same && stride != 1) continue;
              if (padding.rule == Padding::valid && room <= (kernel - 1) * dilation) continue;
              if (padding.before[0] > 0 && (dilation == 1 || groups == 1)) continue;
              if (kernel == 1 && dilation != 1) continue;
              if (dilation == 64 && kernel > 3) continue;
              if (groups > 1 && stride == 3) continue;
              f(s, kernel, Conv1dOptions{stride, dilation, groups, padding});
            }
}

void add_conv1d(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    std::size_t n = 0;
    const auto add = [&](const Size& s, int64_t kernel, Conv1dOptions o) {
      const bool biased = ++n % 3 != 0;
      each_values(n, [&](Values values) {
        t.push_back(make("conv1d", text_of(o, biased), {s.batch, s.time, s.in}, {s.out, s.in / o.groups, kernel}, dtype,
                         n, biased, s.out, values));
        t.back().call = [=](Args x) { return Outputs{conv1d(x[0], x[1], biased ? x[2] : Tensor(), o)}; };
      });
    };
    each_convolution(add);
    // Depthwise: fewer channels than a vector has, as many, more; more rows and taps than a chunk.
    for (const int64_t channels : {2, 7, 8, 16, 17, 33})
      for (const int64_t kernel : {1, 2, 3, 7, 11})
        for (const int64_t stride : {1, 2})
          for (const ConvPadding<1> padding :
               {ConvPadding<1>(0), ConvPadding<1>(Padding::causal), ConvPadding<1>(1, 4)})
            add({2, 40, channels, channels}, kernel, {stride, kernel % 3 + 1, channels, padding});
    add({1, 600, 5, 5}, 3, {1, 2, 5, Padding::same}), add({2, 300, 3, 3}, 270, {1, 1, 3, Padding::causal});
    if (dtype == DType::f32) add({1, 17'000, 2, 2}, 2, {1, 1, 2, Padding::causal});  // more than 64 chunks
  }
}

// ---- images and volumes ---------------------------------------------------------------------------------------------
struct ImageSize {
  int64_t batch, height, width, in, out, kernel_height, kernel_width;
};
constexpr ImageSize kImages[] = {{1, 1, 1, 1, 1, 1, 1},    {2, 5, 4, 4, 6, 2, 3},  {3, 6, 7, 8, 4, 3, 3},
                                 {1, 9, 11, 16, 20, 3, 2}, {2, 4, 5, 65, 3, 1, 3}, {1, 17, 3, 1, 8, 5, 1},
                                 {0, 4, 4, 4, 4, 2, 2},    {2, 6, 6, 6, 6, 3, 3},  {1, 3, 30, 2, 4, 1, 7}};

void add_conv2d(std::vector<OpCase>& t) {
  const Conv2dOptions options[] = {{},
                                   {.stride = 2},
                                   {.stride = {2, 3}, .padding = 1},
                                   {.dilation = {2, 1}, .padding = {2, 3}},
                                   {.padding = Padding::same},
                                   {.dilation = {1, 2}, .padding = Padding::same},
                                   {.dilation = {2, 1}, .padding = Padding::causal},
                                   {.stride = {3, 1}, .padding = Padding::causal},
                                   {.stride = {1, 2}, .padding = {{2, 0}, {1, 3}}}};
  for (const DType dtype : {DType::f32, DType::f64}) {
    std::size_t n = 0;
    for (const ImageSize& s : kImages)
      for (Conv2dOptions o : options)
        for (const int64_t groups : {int64_t{1}, int64_t{2}, s.in}) {
          o.groups = groups;
          if (s.in % groups != 0 || s.out % groups != 0 || (groups == s.in && groups <= 2)) continue;
          const int64_t sizes[] = {s.height, s.width}, kernel[] = {s.kernel_height, s.kernel_width};
          bool fits = true;
          for (int d = 0; d < 2; ++d)
            fits = fits && (o.padding.rule != Padding::valid ||
                            sizes[d] + o.padding.before[d] + o.padding.after[d] > (kernel[d] - 1) * o.dilation[d]);
          if (!fits) continue;
          const bool biased = ++n % 3 != 0;
          each_values(n, [&](Values values) {
            t.push_back(make("conv2d", text_of(o, biased), {s.batch, s.height, s.width, s.in},
                             {s.out, s.in / groups, s.kernel_height, s.kernel_width}, dtype, n, biased, s.out, values));
            t.back().call = [=](Args x) { return Outputs{conv2d(x[0], x[1], biased ? x[2] : Tensor(), o)}; };
          });
        }
  }
}

void add_conv3d(std::vector<OpCase>& t) {
  const Conv3dOptions options[] = {{},
                                   {.stride = 2, .padding = 1},
                                   {.stride = {1, 2, 3}, .padding = {0, 1, 2}},
                                   {.dilation = {1, 2, 1}, .padding = {1, 2, 0}},
                                   {.padding = Padding::same},
                                   {.dilation = {2, 1, 1}, .padding = Padding::causal},
                                   {.stride = {2, 1, 1}, .padding = {{1, 0, 2}, {0, 1, 1}}}};
  const Shape sizes[] = {{1, 1, 1, 1, 1}, {2, 3, 4, 5, 4}, {1, 4, 3, 6, 6}, {1, 2, 9, 2, 17}, {0, 3, 3, 3, 2}};
  const Shape kernels[] = {{1, 1, 1}, {2, 2, 3}, {1, 3, 2}, {2, 1, 2}};
  for (const DType dtype : {DType::f32, DType::f64}) {
    std::size_t n = 0;
    for (const Shape& x : sizes)
      for (const Shape& k : kernels)
        for (Conv3dOptions o : options)
          for (const int64_t groups : {int64_t{1}, x[4]}) {
            o.groups = groups;
            if (groups == 1 && x[4] == 17) o.stride.values[2] = 2;
            bool fits = n % 5 == 0 || groups == 1 || x[4] > 1;
            for (int d = 0; d < 3; ++d)
              fits = fits &&
                     (o.padding.rule != Padding::valid ||
                      x[1 + d] + o.padding.before[d] + o.padding.after[d] > (k[d] - 1) * o.dilation[d]) &&
                     (o.padding.rule == Padding::valid || o.stride[d] == 1);
            if (!fits) continue;
            const bool biased = ++n % 3 != 0;
            const int64_t out = groups == 1 ? 5 : groups;
            each_values(n, [&](Values values) {
              t.push_back(make("conv3d", text_of(o, biased), x, {out, x[4] / groups, k[0], k[1], k[2]}, dtype, n,
                               biased, out, values));
              t.back().call = [=](Args a) { return Outputs{conv3d(a[0], a[1], biased ? a[2] : Tensor(), o)}; };
            });
          }
  }
}

// ---- transposed -----------------------------------------------------------------------------------------------------
template <int N>
using Transposed = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, ConvTransposeOptions<N>);

// x [B, S…, I], kernel sizes, output channels per group.
template <int N>
void add_transposed(std::vector<OpCase>& t, const char* op, Transposed<N> f, const std::vector<Shape>& sizes,
                    const std::vector<Shape>& kernels, const std::vector<ConvTransposeOptions<N>>& options) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    std::size_t n = 0;
    for (const Shape& x : sizes)
      for (const Shape& k : kernels)
        for (ConvTransposeOptions<N> o : options)
          for (const int64_t groups : {int64_t{1}, int64_t{2}, x[N + 1]}) {
            if (x[N + 1] % groups != 0 || (groups == x[N + 1] && groups <= 2)) continue;
            o.groups = groups;
            Shape w{x[N + 1], groups == 1 ? 5 : groups == 2 ? 3 : 1};
            bool fits = true;
            for (int d = 0; d < N; ++d) {
              w.push(k[d]);
              const int64_t length =
                  (x[1 + d] - 1) * o.stride[d] + (k[d] - 1) * o.dilation[d] + o.output_padding[d] + 1;
              fits = fits && length > o.padding.before[d] + o.padding.after[d];
            }
            if (!fits) continue;
            const bool biased = ++n % 3 != 0;
            const std::string text = "stride " + text_of(o.stride) + " dilation " + text_of(o.dilation) + " groups " +
                                     std::to_string(groups) + " " + text_of(o.padding) + " longer by " +
                                     text_of(o.output_padding) + (biased ? " bias" : "");
            each_values(n, [&](Values values) {
              t.push_back(make(op, text, x, w, dtype, n, biased, w[1] * groups, values));
              t.back().call = [=](Args a) { return Outputs{f(a[0], a[1], biased ? a[2] : Tensor(), o)}; };
            });
          }
  }
}

void add_transposed(std::vector<OpCase>& t) {
  add_transposed<1>(t, "conv_transpose1d", conv_transpose1d,
                    {{1, 1, 1}, {2, 9, 4}, {3, 12, 8}, {1, 40, 18}, {0, 4, 4}, {2, 7, 65}}, {{1}, {2}, {4}, {7}},
                    {{},
                     {.padding = 1},
                     {.stride = 2},
                     {.stride = 4, .padding = {0, 2}, .output_padding = 3},
                     {.stride = 2, .padding = 1, .dilation = 3},
                     {.stride = 6, .output_padding = 1, .dilation = 4},
                     {.stride = 20}});
  add_transposed<2>(t, "conv_transpose2d", conv_transpose2d, {{1, 1, 1, 1}, {2, 3, 4, 4}, {1, 5, 2, 18}, {0, 2, 2, 4}},
                    {{1, 1}, {2, 3}, {4, 4}},
                    {{},
                     {.stride = 2, .padding = {1, 0}, .output_padding = {0, 1}},
                     {.stride = {1, 3}, .dilation = {2, 2}},
                     {.stride = {4, 2}, .padding = {{0, 1}, {1, 0}}, .dilation = {1, 3}}});
  add_transposed<3>(t, "conv_transpose3d", conv_transpose3d, {{1, 1, 1, 1, 1}, {2, 2, 3, 2, 4}, {1, 3, 1, 4, 6}},
                    {{1, 1, 1}, {2, 1, 3}, {1, 3, 2}},
                    {{},
                     {.stride = 2, .output_padding = {0, 1, 1}},
                     {.stride = {1, 3, 2}, .padding = {0, 1, 0}, .dilation = {1, 1, 2}}});
}

}  // namespace

void add_conv(std::vector<OpCase>& t) {
  add_conv1d(t);
  add_conv2d(t);
  add_conv3d(t);
  add_transposed(t);
}

}  // namespace tapedeck::cases
