// One product of a step in memory of its own, 64-byte aligned and with canaries behind.
#pragma once
#include <gtest/gtest.h>
#include <tapedeck/kernels/steps.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace tapedeck {

struct PackedStep {
  // weight [N,K] or [N,I,K], bias [N] or without data. x and y are connected by the caller.
  PackedStep(const TensorView& weight, const TensorView& bias, kernels::StepThen then = kernels::StepThen::store,
             DType weights = DType::f32, int shares = 1) {
    kernels::StepProduct& p = part.product;
    p.n = weight.sizes[0] / (then == kernels::StepThen::gate ? 2 : 1);
    p.k = weight.sizes[1] * (weight.rank == 3 ? weight.sizes[2] : 1);
    p.then = then, p.bias = bias.data != nullptr, p.weights = weights, p.shares = shares;
    p.share_stride = kernels::step_bytes(p) + 64;
    memory.assign(static_cast<std::size_t>(shares * p.share_stride + 64), kCanary);
    char* at = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
    p.weight = at;
    kernels::pack_step(weight, bias, p, at);
    for (int i = 1; i <= shares; ++i)
      EXPECT_TRUE(
          std::all_of(at + i * p.share_stride - 64, at + i * p.share_stride, [](char c) { return c == kCanary; }));
    p.y_row = p.n;
  }
  PackedStep(const PackedStep&) = delete;

  void run(Team* team = nullptr) const { kernels::steps(kCpu, {&part, 1, team}); }

  static constexpr char kCanary = 0x5a;
  std::vector<char> memory;
  kernels::StepPart part;
};

}  // namespace tapedeck
