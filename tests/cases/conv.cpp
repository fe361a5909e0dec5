// Convolutions: every combination of kernel size, dilation, stride, groups, padding and bias that fits.
#include <tapedeck/autograd/ops.h>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

struct Size {
  std::int64_t batch, time, in, out;  // channels per group times groups are checked below
};

std::string text_of(const Conv1dOptions& o, bool biased) {
  constexpr const char* paddings[] = {"valid", "causal", "same"};
  return "stride " + std::to_string(o.stride) + " dilation " + std::to_string(o.dilation) + " groups " +
         std::to_string(o.groups) + " " + paddings[static_cast<int>(o.padding)] + (biased ? " bias" : "");
}

void finish(OpCase& c, Values values) {
  const double bound = values == Values::positive ? 32 : 8;
  c.bound = {.c = bound}, c.relative = Relative::absolute;
  c.rows = 1;
  c.differentiable = values == Values::normal;
  c.gradient_bound = {.c = 8}, c.gradient_relative = Relative::absolute;
}

// Calls f(size, kernel, options) for every combination that makes sense.
template <class F>
void each_convolution(F&& f) {
  const Size sizes[] = {{1, 1, 1, 1},   {2, 9, 4, 6},   {3, 33, 8, 4}, {1, 70, 16, 32},
                        {2, 40, 65, 3}, {1, 300, 4, 4}, {0, 9, 4, 4}};
  for (const Size& s : sizes)
    for (const std::int64_t kernel : {1, 2, 3, 5})
      for (const std::int64_t dilation : {1, 2, 7, 64})
        for (const std::int64_t stride : {1, 2, 3})
          for (const std::int64_t groups : {1, 2, 4})
            for (const Padding padding : {Padding::valid, Padding::causal, Padding::same}) {
              if (s.in % groups != 0 || s.out % groups != 0) continue;
              if (padding == Padding::same && stride != 1) continue;
              if (padding == Padding::valid && s.time <= (kernel - 1) * dilation) continue;
              if (kernel == 1 && dilation != 1) continue;
              if (dilation == 64 && kernel > 3) continue;
              if (groups > 1 && stride == 3) continue;
              f(s, kernel, Conv1dOptions{stride, dilation, groups, padding});
            }
}

void add_conv1d(std::vector<OpCase>& t) {
  constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};
  for (const DType dtype : {DType::f32, DType::f64}) {
    std::size_t n = 0;
    each_convolution([&](const Size& s, std::int64_t kernel, Conv1dOptions o) {
      const bool biased = ++n % 3 != 0;  // bias, layouts and values take turns
      for (const Values values : {Values::normal, Values::positive, Values::nonfinite}) {
        if (values != Values::normal && n % 4 != 0) continue;
        const Layout lx = kLayouts[n % 3], lw = kLayouts[n / 3 % 3];
        OpCase c{.op = "conv1d",
                 .text = text_of(o, biased),
                 .inputs = {{{s.batch, s.time, s.in}, dtype, lx, values},
                            {{s.out, s.in / o.groups, kernel},
                             dtype,
                             lw,
                             values == Values::nonfinite ? Values::normal : values}},
                 .call = [=](Args x) { return Outputs{conv1d(x[0], x[1], biased ? x[2] : Tensor(), o)}; }};
        if (biased)
          c.inputs.push_back(
              {{s.out}, dtype, Layout::contiguous, values == Values::positive ? values : Values::normal});
        finish(c, values);
        c.flops = 2 * static_cast<double>(s.batch * s.time * s.in * s.out * kernel / o.groups / o.stride);
        t.push_back(std::move(c));
      }
    });
  }
}

void add_transpose(std::vector<OpCase>& t) {
  constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};
  for (const DType dtype : {DType::f32, DType::f64}) {
    std::size_t n = 0;
    each_convolution([&](const Size& s, std::int64_t kernel, Conv1dOptions o) {
      if (++n % 2 == 0) return;
      const std::int64_t reach = (kernel - 1) * o.dilation;
      const std::int64_t short_time =
          o.padding == Padding::valid ? (s.time - reach - 1) / o.stride + 1 : (s.time + o.stride - 1) / o.stride;
      for (const Values values : {Values::normal, Values::positive}) {
        if (values == Values::positive && n % 5 != 0) continue;
        OpCase c{.op = "conv1d_transpose",
                 .text = text_of(o, false) + " length " + std::to_string(s.time),
                 .inputs = {{{s.batch, short_time, s.out}, dtype, kLayouts[n % 3], values},
                            {{s.out, s.in / o.groups, kernel}, dtype, kLayouts[n / 3 % 3], values}},
                 .call = [=, length = s.time](Args x) { return Outputs{conv1d_transpose(x[0], x[1], length, o)}; }};
        finish(c, values);
        t.push_back(std::move(c));
      }
    });
  }
}

}  // namespace

void add_conv(std::vector<OpCase>& t) {
  add_conv1d(t);
  add_transpose(t);
}

}  // namespace tapedeck::cases
