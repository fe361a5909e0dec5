// Every way to run a layer of WaveNet on a device, forward and back, beside the CPU in f64.
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/autograd/tape.h>
#include <tapedeck/kernels/wavenet.h>
#include <tapedeck/tensor/random.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "cuda/farthest.h"

namespace tapedeck {
namespace {

using std::int64_t;
const Device kCuda{DeviceType::cuda, 0};

struct Form {
  int64_t batch, time, in, channels, skips, taps, dilation;
  Padding padding = Padding::causal;
  int64_t keep = 1 << 20;
  bool residual = true, biased = true, given = true;
};

// x, the skips so far, six weights; undefined where there is none.
std::vector<Tensor> inputs_of(const Form& f, std::uint64_t seed, DType dtype) {
  const int64_t steps = f.time - (f.padding == Padding::causal ? 0 : (f.taps - 1) * f.dilation);
  std::uint64_t draws = 0;
  const auto draw = [&](bool there, const Shape& shape, double size) {
    if (!there) return Tensor();
    const Tensor t = empty(shape, {DType::f64});
    for (int64_t i = 0; i < t.numel(); ++i)
      t.data<double>()[i] = size * (static_cast<double>(mix64(seed, draws++) >> 11) * 0x1p-52 - 1);
    return cast(cast(t, dtype), DType::f64);
  };
  const double size = 1 / std::sqrt(static_cast<double>(f.in * f.taps));
  const bool skipping = f.skips > 0;
  return {draw(true, {f.batch, f.time, f.in}, 1),
          draw(skipping && f.given, {f.batch, std::min(f.keep, steps), f.skips}, 1),
          draw(true, {2 * f.channels, f.in, f.taps}, 2 * size),
          draw(f.biased, {2 * f.channels}, 0.5),
          draw(f.residual, {f.in, f.channels, 1}, size),
          draw(f.residual && f.biased, {f.in}, 0.5),
          draw(skipping, {f.skips, f.channels, 1}, size),
          draw(skipping && f.biased, {f.skips}, 0.5)};
}

// Outputs, then the gradients of all inputs that there are, in f64 on the CPU.
std::vector<Tensor> both_ways(const Form& f, const std::vector<Tensor>& inputs, Device device, DType dtype) {
  std::vector<Tensor> x;
  for (const Tensor& t : inputs) x.push_back(t.defined() ? cast(t, dtype).to(device) : Tensor());
  Tape tape;
  for (const Tensor& t : x)
    if (t.defined()) tape.watch(t);
  const WaveNetLayerResult y =
      wavenet_layer(x[0], x[1], {x[2], x[3], x[4], x[5], x[6], x[7]}, {f.dilation, f.padding, f.keep});
  std::vector<Tensor> all{y.output};
  if (f.skips > 0) all.push_back(y.skips);
  Tensor total;
  for (const Tensor& t : all) {
    const Tensor part = sum(mul(t, detach(t)));
    total = total.defined() ? add(total, part) : part;
  }
  tape.backward(total);
  for (const Tensor& t : x)
    if (t.defined()) all.push_back(tape.grad(t));
  for (Tensor& t : all) t = contiguous(cast(detach(t).to(kCpu), DType::f64));
  return all;
}

const Form kForms[] = {{2, 40, 72, 32, 40, 2, 4},
                       {2, 150, 16, 24, 136, 3, 8},
                       {3, 33, 32, 16, 24, 2, 5, Padding::valid},
                       {2, 50, 16, 16, 32, 2, 3, Padding::valid, 31},
                       {2, 30, 16, 16, 16, 2, 1, Padding::causal, 11, false},
                       {1, 30, 24, 16, 0, 2, 7},
                       {2, 20, 16, 16, 16, 1, 1, Padding::causal, 1 << 20, true, false},
                       {2, 20, 16, 16, 16, 1, 1, Padding::causal, 9, true, true, false},
                       {1, 3, 16, 16, 16, 2, 64},
                       {4, 600, 16, 16, 16, 2, 1},
                       {2, 100, 64, 64, 192, 2, 8},
                       {1, 150, 128, 128, 128, 2, 3, Padding::causal, 140}};

TEST(DeviceWaveNetLayer, EveryWayIsTheCpus) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (const char* way : {"", "units", "own", "cublas", "composed"}) {
      const kernels::Use forward(kernels::wavenet_layer, way, DeviceType::cuda);
      const kernels::Use backward(kernels::wavenet_layer_backward, way, DeviceType::cuda);
      // Sums of products of numbers of 24, 8 and 11 digits, that are rounded a few times on their way.
      const double most = dtype == DType::f32 ? 2e-5 : dtype == DType::bf16 ? 4e-2 : 5e-3;
      for (const Form& f : kForms) {
        const std::vector<Tensor> inputs = inputs_of(f, 7, dtype);
        const auto want = both_ways(f, inputs, kCpu, DType::f64), got = both_ways(f, inputs, kCuda, dtype);
        ASSERT_EQ(want.size(), got.size());
        for (std::size_t i = 0; i < want.size(); ++i)
          EXPECT_LT(farthest(got[i], want[i]), most)
              << name(dtype) << " \"" << way << "\" tensor " << i << " of the form " << &f - kForms;
      }
    }
}

TEST(DeviceWaveNetLayer, IsTheSameEveryTime) {
  for (const auto& [way, dtype] : {std::pair{"units", DType::bf16},
                                   {"units", DType::f32},
                                   {"own", DType::f32},
                                   {"cublas", DType::f32},
                                   {"composed", DType::f32}}) {
    const kernels::Use forward(kernels::wavenet_layer, way, DeviceType::cuda);
    const kernels::Use backward(kernels::wavenet_layer_backward, way, DeviceType::cuda);
    const std::vector<Tensor> inputs = inputs_of(kForms[9], 3, dtype);
    const auto a = both_ways(kForms[9], inputs, kCuda, dtype), b = both_ways(kForms[9], inputs, kCuda, dtype);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(farthest(a[i], b[i]), 0) << way << " tensor " << i;
  }
}

// x goes through weights that are ones and zeros, so that gates are the functions of x itself.
TEST(DeviceWaveNetLayer, GatesOfShortFormsAreNearlyRounded) {
  const int64_t rows = 4000, channels = 8;
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const Tensor x = empty({1, rows, channels}, {DType::f64}), w = zeros({2 * channels, channels, 1}, {DType::f64});
    for (int64_t i = 0; i < x.numel(); ++i) {  // 0, then up from 2^-14 to 14, of both signs
      const double size = std::exp2(-14 + 17.8 * static_cast<double>(i) / static_cast<double>(x.numel()));
      x.data<double>()[i] = i < 8 ? 0 : i % 2 ? -size : size;
    }
    for (int64_t c = 0; c < 2 * channels; ++c) w.data<double>()[c * channels + c % channels] = 1;
    const Tensor short_x = cast(x, dtype), exact = cast(short_x, DType::f64);
    const Tensor there = short_x.to(kCuda), by = cast(w, dtype).to(kCuda);
    const Tensor gates = empty({1, rows, 2 * channels}, {dtype, kCuda}),
                 out = empty({1, rows, channels}, {dtype, kCuda});
    kernels::WaveNetLayerArgs a;
    a.x = there.view(), a.weight = by.view(), a.gates = gates.view(), a.out = out.view();
    const kernels::Use units(kernels::wavenet_layer, "units", DeviceType::cuda);
    kernels::wavenet_layer(kCuda, a);
    const Tensor got = cast(gates.to(kCpu), DType::f64), product = cast(out.to(kCpu), DType::f64);
    const int digits = dtype == DType::bf16 ? 8 : 11;
    double farthest_of_both = 0, farthest_product = 0;
    const auto places = [&](double value, double want) {  // how many of its last places it is off
      const double place = std::exp2(std::floor(std::log2(std::max(std::abs(want), 0x1p-14))) - digits + 1);
      return std::abs(value - want) / place;
    };
    for (int64_t i = 0; i < x.numel(); ++i) {
      const double v = exact.data<double>()[i], t = std::tanh(v), s = 1 / (1 + std::exp(-v));
      const int64_t at = i / channels * 2 * channels + i % channels;
      farthest_of_both =
          std::max({farthest_of_both, places(got.data<double>()[at], t), places(got.data<double>()[at + channels], s)});
      farthest_product = std::max(farthest_product, places(product.data<double>()[i], t * s));
    }
    EXPECT_LT(farthest_of_both, dtype == DType::bf16 ? 0.7 : 0.51) << name(dtype);
    EXPECT_LT(farthest_product, dtype == DType::bf16 ? 0.7 : 0.51) << name(dtype);
  }
}

// Channels in eights go to products in place; else few terms go to tiles, many to the vendor's library, and what that
// does not take to tiles again.
TEST(DeviceWaveNetLayer, ChoosesByItsTerms) {
  const auto chosen = [](const Form& f, DType dtype) {
    auto& slot = kernels::wavenet_layer;
    std::vector<std::uint64_t> before;
    const int n = slot.variant_count(DeviceType::cuda);
    for (int i = 0; i < n; ++i) before.push_back(slot.calls(DeviceType::cuda, i, dtype));
    both_ways(f, inputs_of(f, 1, dtype), kCuda, dtype);
    for (int i = 0; i < n; ++i)
      if (slot.calls(DeviceType::cuda, i, dtype) != before[static_cast<std::size_t>(i)])
        return std::string(slot.variant_name(DeviceType::cuda, i));
    return std::string("none");
  };
  EXPECT_EQ(chosen({1, 8, 64, 64, 16, 2, 1}, DType::f32), "units");
  EXPECT_EQ(chosen({1, 8, 128, 32, 16, 2, 1}, DType::bf16), "units");
  EXPECT_EQ(chosen({1, 8, 8, 8, 8, 2, 1}, DType::f16), "units");
  EXPECT_EQ(chosen({1, 8, 64, 60, 16, 2, 1}, DType::f32), "fused");
  EXPECT_EQ(chosen({1, 8, 132, 32, 16, 2, 1}, DType::f32), "cublas");
  EXPECT_EQ(chosen({1, 8, 128, 33, 16, 2, 1}, DType::f32), "own");
  EXPECT_EQ(chosen({1, 8, 20, 20, 12, 2, 1}, DType::f16), "own");
}

}  // namespace
}  // namespace tapedeck
