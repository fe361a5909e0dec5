// Every way to attend on a device, forward and back, beside the CPU in f64.
#define TAPEDECK_EMULATED
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/autograd/tape.h>
#include <tapedeck/kernels/attention.h>
#include <tapedeck/kernels/cuda/attention_plan.h>
#include <tapedeck/tensor/random.h>

#include <cmath>
#include <limits>

#include "cuda/farthest.h"

namespace tapedeck {
namespace {

using std::int64_t;
const Device kCuda{DeviceType::cuda, 0};

struct Form {
  int64_t batch, heads, groups, queries, keys;
  bool causal = false;
  int64_t past = 0;
  bool across = false;  // heads lie inside of time
};

// queries, keys, values and what the output's gradient is.
std::vector<Tensor> inputs_of(const Form& f, int64_t channels, std::uint64_t seed, DType dtype) {
  std::uint64_t draws = 0;
  const auto draw = [&](int64_t heads, int64_t steps) {
    const Tensor t = empty({f.batch, heads, steps, channels}, {DType::f64});
    for (int64_t i = 0; i < t.numel(); ++i)
      t.data<double>()[i] = 3.4 * (static_cast<double>(mix64(seed, draws++) >> 11) * 0x1p-53 - 0.5);
    return cast(cast(t, dtype), DType::f64);
  };
  return {draw(f.heads, f.queries), draw(f.groups, f.keys), draw(f.groups, f.keys), draw(f.heads, f.queries)};
}

// The output and the gradients of queries, keys and values, in f64 on the CPU.
std::vector<Tensor> both_ways(const Form& f, const std::vector<Tensor>& inputs, Device device, DType dtype) {
  std::vector<Tensor> x;
  for (const Tensor& t : inputs) {
    const Tensor there = cast(t, dtype).to(device);
    x.push_back(f.across ? transpose(contiguous(transpose(there, 1, 2)), 1, 2) : there);
  }
  Tape tape;
  for (int i = 0; i < 3; ++i) tape.watch(x[static_cast<std::size_t>(i)]);
  const Tensor y = scaled_dot_product_attention(
      x[0], x[1], x[2], {.is_causal = f.causal, .past = f.past, .enable_gqa = f.heads != f.groups});
  tape.backward(sum(mul(y, x[3])));
  std::vector<Tensor> all{y, tape.grad(x[0]), tape.grad(x[1]), tape.grad(x[2])};
  for (Tensor& t : all) t = contiguous(cast(detach(t).to(kCpu), DType::f64));
  return all;
}

const Form kForms[] = {{1, 2, 2, 150, 150, true},          // several tiles, the last ragged
                       {1, 1, 1, 64, 128},                 // whole tiles
                       {2, 1, 1, 70, 90, false, 0, true},  // ragged on both sides
                       {1, 4, 2, 40, 40, true, 0, true},   // grouped heads
                       {1, 2, 1, 33, 100, true, 67},       // behind a past
                       {1, 1, 1, 1, 65, true, 64},         // one step of generation
                       {1, 1, 1, 140, 20, true}};          // more queries than keys
const int64_t kChannels[] = {32, 64, 96, 128, 40};

bool takes(const std::string& way, DType dtype, int64_t channels) {
  return way != "panels" || (dtype != DType::f64 && channels % 32 == 0);
}

TEST(DeviceAttention, EveryWayIsTheCpus) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (const int64_t channels : kChannels)
      for (const Form& f : kForms) {
        const std::vector<Tensor> inputs = inputs_of(f, channels, 7, dtype);
        const auto want = both_ways(f, inputs, kCpu, DType::f64);
        for (const char* way : {"panels", "cuda"}) {
          if (!takes(way, dtype, channels)) continue;
          const kernels::Use forward(kernels::attention, way, DeviceType::cuda);
          const kernels::Use backward(kernels::attention_backward, way, DeviceType::cuda);
          // Weights and slopes are rounded to 8 and 11 digits before they are summed.
          const double most = dtype == DType::f32 ? 1e-5 : dtype == DType::bf16 ? 2e-2 : 3e-3;
          const auto got = both_ways(f, inputs, kCuda, dtype);
          for (std::size_t i = 0; i < want.size(); ++i)
            EXPECT_LT(farthest(got[i], want[i]), most) << name(dtype) << " \"" << way << "\" tensor " << i
                                                       << " of the form " << &f - kForms << ", heads of " << channels;
        }
      }
}

TEST(DeviceAttention, IsTheSameEveryTime) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const char* way : {"panels", "cuda"}) {
      if (!takes(way, dtype, 64)) continue;
      const kernels::Use forward(kernels::attention, way, DeviceType::cuda);
      const kernels::Use backward(kernels::attention_backward, way, DeviceType::cuda);
      const std::vector<Tensor> inputs = inputs_of(kForms[0], 64, 3, dtype);
      const auto a = both_ways(kForms[0], inputs, kCuda, dtype), b = both_ways(kForms[0], inputs, kCuda, dtype);
      for (std::size_t i = 0; i < a.size(); ++i)
        EXPECT_EQ(a[i].to_vector<double>(), b[i].to_vector<double>()) << way << " tensor " << i;
    }
}

// What is not seen may be no number: it changes nothing. Keys and values behind a query, queries before a key. Tiles of
// bf16 and f16 with such numbers are summed in threads, the others by the matrix units, which round in another order.
TEST(DeviceAttention, WhatIsNotSeenMayBeNoNumber) {
  const double bad[] = {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()};
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (const char* way : {"panels", "cuda"}) {
      if (!takes(way, dtype, 64)) continue;
      const kernels::Use forward(kernels::attention, way, DeviceType::cuda);
      const kernels::Use backward(kernels::attention_backward, way, DeviceType::cuda);
      const Form f{1, 1, 1, 90, 90, true};
      const std::vector<Tensor> clean = inputs_of(f, 64, 5, dtype);
      const auto want = both_ways(f, clean, kCuda, dtype);
      for (const int which : {0, 1, 2, 3})
        for (const double value : bad) {
          std::vector<Tensor> inputs = clean;
          for (Tensor& t : inputs) t = clone(t);
          const int64_t row = which == 1 || which == 2 ? 70 : 20;
          inputs[static_cast<std::size_t>(which)].data<double>()[row * 64 + 11] = value;
          const auto got = both_ways(f, inputs, kCuda, dtype);
          for (std::size_t i = 0; i < got.size(); ++i) {
            // Rows of the output and of the queries' gradient before the key; of the others' after the query.
            const bool by_query = i < 2, two_orders = dtype != DType::f32 && std::string(way) == "cuda";
            const double most = !two_orders ? 0 : dtype == DType::bf16 ? 0x1p-7 : 0x1p-10;
            if (by_query != (which == 1 || which == 2)) continue;
            const std::vector<double> a = want[i].to_vector<double>(), b = got[i].to_vector<double>();
            bool met = false;
            for (int64_t t = 0; t < 90; ++t)
              for (int64_t c = 0; c < 64; ++c) {
                const auto at = static_cast<std::size_t>(t * 64 + c);
                if (by_query ? t < row : t > row)
                  ASSERT_LE(std::abs(a[at] - b[at]), most * std::max(std::abs(a[at]), 1.))
                      << name(dtype) << " \"" << way << "\" input " << which << " tensor " << i << " row " << t;
                else
                  met = met || !std::isfinite(b[at]);
              }
            EXPECT_TRUE(met) << "who sees it has no number";
          }
        }
    }
}

// The variant that a call took.
std::string chosen(int64_t channels, DType dtype, const AttentionOptions& o, int64_t narrow = 0) {
  auto& slot = kernels::slot("attention");
  std::vector<std::uint64_t> before;
  const int n = slot.variant_count(DeviceType::cuda);
  for (int i = 0; i < n; ++i) before.push_back(slot.calls(DeviceType::cuda, i, dtype));
  const Tensor x = cast(ones({1, 2, 5, channels + narrow}, {DType::f32}), dtype).to(kCuda);
  const Tensor q = narrow ? slice(x, 3, narrow, narrow + channels) : x;
  scaled_dot_product_attention(q, q, q, o);
  for (int i = 0; i < n; ++i)
    if (slot.calls(DeviceType::cuda, i, dtype) != before[static_cast<std::size_t>(i)])
      return slot.variant_name(DeviceType::cuda, i);
  return "none";
}
TEST(DeviceAttention, ChoosesByItsOperands) {
  for (const int64_t channels : {32, 64, 96, 128}) EXPECT_EQ(chosen(channels, DType::bf16, {}), "panels") << channels;
  EXPECT_EQ(chosen(64, DType::f16, {.is_causal = true}), "panels");
  EXPECT_EQ(chosen(64, DType::f16, {}, 8), "panels");
  EXPECT_EQ(chosen(64, DType::bf16, {}, 4), "cuda") << "rows that are not aligned";
  EXPECT_EQ(chosen(40, DType::bf16, {}), "cuda");
  EXPECT_EQ(chosen(64, DType::bf16, {.scale = -1.0}), "cuda");
  EXPECT_EQ(chosen(64, DType::f32, {}), "panels");
  EXPECT_EQ(chosen(64, DType::f32, {}, 2), "cuda") << "rows that are not aligned";
  EXPECT_EQ(chosen(64, DType::f64, {}), "cuda");
  AttentionOptions masked;
  masked.mask = ones({5, 5}, {DType::boolean}).to(kCuda);
  EXPECT_EQ(chosen(64, DType::bf16, masked), "cuda");
}

}  // namespace

namespace kernels::cuda_emulated::panels {
namespace {

TEST(AttentionPlans, TwoBlocksShareAMultiprocessor) {
  for (const int number : {2, 4})
    for (const int d : {32, 64, 96, 128}) {
      const HeadPlan p = head_plan(d, number);
      EXPECT_EQ(p.queries % (16 * kPanelWarps), 0);
      EXPECT_EQ(p.own_keys % (16 * kPanelWarps), 0);
      EXPECT_EQ(p.keys % 16, 0);
      EXPECT_EQ(p.panel % 32, 0);
      EXPECT_EQ(64 % p.panel, 0) << "statistics are laid out by 64 queries";
      EXPECT_EQ(panel_step(d, number) / 16 % 2, 1) << "eight rows share a bank";
      for (const int bytes : {p.forward, p.by_key, p.by_query}) {
        EXPECT_EQ(bytes % 16, 0);
        EXPECT_LE(2 * (bytes + 1024), 228 << 10) << d;  // sm_90
        EXPECT_LE(bytes, 163 << 10) << d;               // sm_80
      }
    }
}

TEST(AttentionPlans, EveryTileOfEveryHeadHasABlock) {
  for (const std::int64_t rows : {0, 1, 127, 128, 129, 2048})
    for (const std::int64_t heads : {0, 1, 64}) {
      const Launch l = plan_heads(rows, 128, heads, 1000);
      EXPECT_EQ(l.grid[0], (rows + 127) / 128 * heads);
      EXPECT_EQ(l.block[0], static_cast<unsigned>(kPanelThreads));
      EXPECT_EQ(l.shared, 1000u);
    }
}

}  // namespace
}  // namespace kernels::cuda_emulated::panels
}  // namespace tapedeck
