// Sizes that take kernels of their own and that op cases, which are small, do not reach: beside the CPU, and the same
// bits when threads and blocks run in other orders.
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/autograd/tape.h>
#include <tapedeck/tensor/random.h>

#include <functional>
#include <string>
#include <vector>

#include "cuda/farthest.h"

namespace tapedeck {
namespace {

using std::int64_t;
const Device kCuda{DeviceType::cuda, 0};
using Call = std::function<Tensor(const Tensor&)>;

Tensor numbers(const Shape& shape, std::uint64_t seed) {
  const Tensor t = empty(shape, {DType::f32});
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<float>()[i] = static_cast<float>(mix64(seed, static_cast<std::uint64_t>(i)) >> 40) * 0x1p-22f - 2;
  return t;
}
Tensor here(const Tensor& x) { return cast(contiguous(detach(x)).to(kCpu), DType::f64); }

// The value, and the gradient of a sum of its elements with weights.
std::vector<Tensor> both_ways(const Call& f, const Tensor& x, bool differentiable) {
  Tape tape;
  if (differentiable) tape.watch(x);
  const Tensor y = f(x);
  std::vector<Tensor> out{here(y)};
  if (differentiable) {
    tape.backward(sum(mul(y, numbers(y.sizes(), 9).to(y.device()))));
    out.push_back(here(tape.grad(x)));
  }
  return out;
}
void expect_the_cpus(const std::string& what, const Shape& shape, const Call& f, bool differentiable = true) {
  SCOPED_TRACE(what + " of " + to_string(shape));
  const Tensor x = numbers(shape, 3), there = x.to(kCuda);
  const auto want = both_ways(f, x, differentiable), got = both_ways(f, there, differentiable);
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_LT(farthest(got[i], want[i]), 2e-5) << "tensor " << i;
  const auto again = both_ways(f, there, differentiable);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(farthest(again[i], got[i]), 0) << "other bits of tensor " << i;
}

TEST(DeviceSizes, LinesThatAreSorted) {
  for (const int64_t n : {100, 300, 900, 1500, 3000, 5000})
    expect_the_cpus("sort", {2, n}, [](const Tensor& x) { return sort(x).values; });
  for (const int64_t n : {100, 900, 3000, 5000}) {
    expect_the_cpus(
        "argsort", {2, n}, [](const Tensor& x) { return argsort(x, -1, true); }, false);
    expect_the_cpus(
        "kthvalue", {2, n}, [n](const Tensor& x) { return kthvalue(x, n / 2).values; }, false);
  }
  expect_the_cpus("topk", {2, 1500}, [](const Tensor& x) { return topk(x, 20).values; });
  expect_the_cpus("columns", {1500, 2}, [](const Tensor& x) { return sort(x, 0).values; });
}
TEST(DeviceSizes, LinesOfTransforms) {
  for (const int64_t n : {256, 512, 1024, 2048, 4096, 1000, 8192})
    for (const int64_t rows : {1, 90}) {  // blocks take several
      expect_the_cpus("rfft", {rows, n}, [](const Tensor& x) { return rfft(x); });
      expect_the_cpus("irfft", {rows, n / 2 + 1, 2}, [](const Tensor& x) { return irfft(x); });
    }
  expect_the_cpus("stft", {2, 6000}, [](const Tensor& x) { return stft(x, 512); });
}
TEST(DeviceSizes, LinesThatAreScanned) {
  for (const Shape& shape : {Shape{60, 200}, {5, 3000}, {1, 20000}, {2, 300, 40}}) {
    const int dim = 1;
    expect_the_cpus("cumsum", shape, [=](const Tensor& x) { return cumsum(x, dim); });
    expect_the_cpus("cummax", shape, [=](const Tensor& x) { return cummax(x, dim).values; });
    expect_the_cpus("logcumsumexp", shape, [=](const Tensor& x) { return logcumsumexp(x, dim); });
  }
}
TEST(DeviceSizes, LinesThatAreFolded) {
  for (const Shape& shape : {Shape{40, 300}, {3, 9000}, {1, 50000}, {2000, 5}}) {
    const int64_t n = shape[1];
    expect_the_cpus("sum", shape, [](const Tensor& x) { return sum(x, {1}); });
    expect_the_cpus("sum over rows", shape, [](const Tensor& x) { return sum(x, {0}); });
    expect_the_cpus("amax", shape, [](const Tensor& x) { return amax(x, {1}); });
    expect_the_cpus("softmax", shape, [](const Tensor& x) { return softmax(x, 1); });
    expect_the_cpus("softmax of columns", shape, [](const Tensor& x) { return softmax(x, 0); });
    expect_the_cpus("layer_norm", shape, [n](const Tensor& x) { return layer_norm(x, {n}); });
    expect_the_cpus("rms_norm", shape, [n](const Tensor& x) { return rms_norm(x, {n}); });
  }
  // Shared by blocks, with a last tile that is full, or has one line or one element more or less.
  for (const Shape& shape : {Shape{1, 8191}, {1, 8192}, {2, 12289}, {20000, 12}, {16385, 4}, {5000, 3}}) {
    expect_the_cpus("sum", shape, [](const Tensor& x) { return sum(x, {1}); });
    expect_the_cpus("sum over rows", shape, [](const Tensor& x) { return sum(x, {0}); });
    for (const int dim : {0, 1}) {
      expect_the_cpus(
          "argmax", shape, [dim](const Tensor& x) { return argmax(x, dim); }, false);
      expect_the_cpus(
          "sum of signs", shape, [dim](const Tensor& x) { return sum(cast(sign(x), DType::bf16), {dim}); }, false);
    }
  }
  for (const std::vector<int>& dims : {std::vector<int>{0, 1}, {0, 2}, {1, 2}, {0}, {1}}) {
    expect_the_cpus("sum", {3, 4000, 8}, [&](const Tensor& x) { return sum(x, dims); });
    expect_the_cpus("sum", {3, 8, 4000}, [&](const Tensor& x) { return sum(x, dims); });
  }
  expect_the_cpus("group_norm", {2, 2000, 24}, [](const Tensor& x) { return group_norm(x, 4); });
}
TEST(DeviceSizes, WhatIsPickedAndScattered) {
  std::vector<int64_t> places(5000);
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(mix64(5, i) % 300);
  const Tensor index = tensor(places, {5000});
  const auto at = [&](const Tensor& x) { return index.to(x.device()); };
  expect_the_cpus("index_select", {300, 20}, [&](const Tensor& x) { return index_select(x, 0, at(x)); });
  expect_the_cpus("embedding", {300, 33}, [&](const Tensor& x) { return embedding(at(x), x); });
  expect_the_cpus("index_add", {5000, 9}, [&](const Tensor& x) {
    return index_add(zeros({300, 9}, x.options()), 0, at(x), x);
  });
  expect_the_cpus(
      "nonzero", {300, 70}, [](const Tensor& x) { return nonzero(gt(x, 0)); }, false);
  expect_the_cpus(
      "histc", {30000}, [](const Tensor& x) { return histc(x, 300, -2, 2); }, false);
  expect_the_cpus("transposed", {300, 170}, [](const Tensor& x) { return contiguous(transpose(x, 0, 1)); });
}
TEST(DeviceSizes, Products) {
  const Tensor w = numbers({300, 130}, 7), taps = numbers({40, 36, 3}, 8);
  expect_the_cpus("matmul", {140, 300}, [&](const Tensor& x) { return matmul(x, w.to(x.device())); });
  expect_the_cpus("conv1d", {2, 300, 36},
                  [&](const Tensor& x) { return conv1d(x, taps.to(x.device()), {}, {.dilation = {4}}); });
  expect_the_cpus("cdist", {90, 70}, [&](const Tensor& x) { return cdist(x, x); });
}

}  // namespace
}  // namespace tapedeck
