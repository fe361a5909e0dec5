#include "shapes.h"

#include <tapedeck/autograd/ops.h>

#include <algorithm>

#include "cases/fused.h"

namespace tapedeck::bench {
namespace {

using cases::Args;
using cases::Input;
using cases::Layout;
using cases::OpCase;
using cases::Outputs;
using std::int64_t;

class Shapes {
 public:
  std::vector<OpCase> all;

  // The table's first case of that op and text in f32 with as many dimensions, in other sizes and contiguous.
  OpCase& add(const std::string& op, const std::string& text, const std::vector<Shape>& sizes) {
    const auto fits = [&](const OpCase& c) {
      return c.op == op && c.text == text && c.inputs.size() == sizes.size() &&
             std::equal(sizes.begin(), sizes.end(), c.inputs.begin(), [](const Shape& s, const Input& in) {
               return s.rank() == in.shape.rank() && (in.dtype == DType::f32 || !is_real(in.dtype)) &&
                      (in.values == cases::Values::normal || in.values == cases::Values::range);
             });
    };
    const auto found = std::find_if(cases::table().begin(), cases::table().end(), fits);
    TD_CHECK(found != cases::table().end(), ValueError, "shapes: no such case of ", op, " with \"", text, "\"");
    OpCase c = *found;
    for (std::size_t i = 0; i < sizes.size(); ++i)
      c.inputs[i].shape = sizes[i], c.inputs[i].layout = Layout::contiguous;
    c.flops = 0;
    c.differentiable = c.differentiable || c.gradient_bound.c > 0;
    all.push_back(std::move(c));
    return all.back();
  }

  void product(int64_t m, int64_t n, int64_t k, bool a_transposed = false, bool b_transposed = false) {
    OpCase& c = add("matmul", "", {{m, k}, {k, n}});
    if (a_transposed) c.inputs[0].layout = Layout::transposed;
    if (b_transposed) c.inputs[1].layout = Layout::transposed;
    c.flops = 2 * static_cast<double>(m * n * k);
    c.differentiable = true;
  }

  void convolution(int64_t batch, int64_t time, int64_t in, int64_t out, int64_t kernel, int64_t dilation) {
    OpCase& c =
        add("conv1d", "stride 1 dilation 1 groups 1 causal bias", {{batch, time, in}, {out, in, kernel}, {out}});
    c.text = "stride 1 dilation " + std::to_string(dilation) + " groups 1 causal bias";
    c.call = [=](Args x) { return Outputs{conv1d(x[0], x[1], x[2], {1, dilation, 1, Padding::causal})}; };
    c.flops = 2 * static_cast<double>(batch * time * out) * static_cast<double>(in * kernel);
    c.differentiable = true;
  }

  // Against f64 `ref` over a whole sequence: gates is 3 (gru) or 4 (lstm).
  void recurrent(const char* op, int64_t gates, int64_t batch, int64_t time, int64_t in, int64_t state) {
    std::vector<Shape> sizes{{batch, time, in}, {1, batch, state}};
    if (gates == 4) sizes.push_back({1, batch, state});
    sizes.insert(sizes.end(), {{gates * state, in}, {gates * state, state}, {gates * state}, {gates * state}});
    OpCase& c = add(op, "1 layers", sizes);
    for (Input& in_ : c.inputs)
      if (in_.shape.rank() < 3) in_.low = -0.05, in_.high = 0.05;
    c.bound.c = 64 + 8. * static_cast<double>(time);
    c.gradient_bound.c = c.bound.c / 16;
  }
};

}  // namespace

std::vector<OpCase> shapes() {
  Shapes s;
  for (const int64_t n : {16, 64, 256, 512, 1024}) s.product(n, n, n);
  s.product(16384, 128, 64), s.product(16384, 256, 64), s.product(512, 64, 256), s.product(32, 32, 8000);
  s.product(16, 512, 512), s.product(1, 512, 512);
  s.product(22000, 64, 128, false, true), s.product(64, 128, 22000, true, false);
  s.product(128, 3072, 1024), s.product(16, 1024, 1024);  // SampleRNN: its frame level's gates, its MLP
  for (const int64_t dilation : {1, 32, 512}) s.convolution(4, 4000, 64, 128, 2, dilation);  // WaveNet, R = 64
  s.convolution(4, 4000, 64, 256, 1, 1), s.convolution(4, 4000, 64, 64, 1, 1);
  for (const int64_t dilation : {1, 32, 512}) s.convolution(4, 4000, 32, 64, 2, dilation);  // R = 32
  s.convolution(4, 4000, 32, 128, 1, 1);
  s.convolution(8, 1024, 256, 256, 3, 1);
  for (const int64_t channels : {64, 32})  // its layers, whole
    for (const int64_t dilation : {1, 512}) {
      s.all.push_back(cases::layer_case({4, 4000, channels, channels, 4 * channels, 2, dilation}, DType::f32));
      s.all.back().differentiable = true;
    }
  s.add("gated_activation", "", {{4, 4000, 128}}), s.add("gated_activation", "", {{4, 4000, 64}});
  for (const char* op : {"softmax", "log_softmax", "logsumexp"}) s.add(op, "dim 1", {{16000, 256}});
  for (const char* op : {"exp", "log", "tanh", "sigmoid", "gelu", "sin", "relu", "silu", "neg"})
    s.add(op, "", {{1024, 1024}});
  for (const char* op : {"add", "mul"}) s.add(op, "", {{1024, 1024}, {1024, 1024}});
  s.add("sum", "dims -1 keepdim", {{1024, 1024}}), s.add("cumsum", "dim -1", {{1024, 1024}});
  s.add("cross_entropy", "mean", {{16000, 256}, {16000}}).inputs[1].high = 256;
  s.add("embedding", "", {{4, 4000}, {256, 64}}).inputs[0].high = 256;
  OpCase& norm = s.add("layer_norm", "over [5] eps 0.000010 weight bias", {{2048, 512}, {512}, {512}});
  norm.text = "over [512]", norm.call = [](Args x) { return Outputs{layer_norm(x[0], {512}, x[1], x[2])}; };
  s.recurrent("gru", 3, 16, 16, 128, 256), s.recurrent("lstm", 4, 16, 16, 128, 256);
  s.add("scaled_dot_product_attention", "causal", {{8, 256, 64}, {8, 256, 64}, {8, 256, 64}});
  return std::move(s.all);
}

double bytes_of(Args tensors) {
  double total = 0;
  for (const Tensor& x : tensors)
    if (x.defined()) total += static_cast<double>(x.numel()) * static_cast<double>(size_of(x.dtype()));
  return total;
}

}  // namespace tapedeck::bench
