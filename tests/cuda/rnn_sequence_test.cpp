// Recurrent layers by blocks that stay through all steps, beside the steps one by one.
#define TAPEDECK_EMULATED
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/cuda/rnn_plan.h>
#include <tapedeck/kernels/rnn.h>
#include <tapedeck/tensor/random.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

namespace tapedeck::kernels::cuda_emulated {
namespace {

using std::int64_t;

const Device kCuda{DeviceType::cuda, 0};

std::uint64_t calls(const SlotBase& s, const std::string& variant, DType t) {
  detail::ensure_registered();
  for (int v = 0; v < s.variant_count(DeviceType::cuda); ++v)
    if (s.variant_name(DeviceType::cuda, v) == variant) return s.calls(DeviceType::cuda, v, t);
  ADD_FAILURE() << "no variant " << variant;
  return 0;
}

// ---- plans ----------------------------------------------------------------------------------------------------------
using sequence::Plan;
using sequence::Problem;

Problem problem(int64_t batch, int64_t width, int gates, bool back, int bytes = 4) {
  return {batch, width, ceil_div(back ? gates * width : width, 4), back ? 1 : gates, back ? 8 : 4, bytes};
}

TEST(RnnPlans, EveryUnitAndRowHasItsBlockWithinWhatTheDeviceHas) {
  for (const int64_t batch : {1, 3, 4, 5, 64, 100, 1000})
    for (const int64_t width : {1, 4, 7, 8, 31, 128, 512, 1000, 1024, 2048})
      for (const int gates : {1, 3, 4})
        for (const bool back : {false, true})
          for (const int64_t resident : {1, 4, 108, 132})
            for (const int64_t shared : {99 << 10, 163 << 10, 227 << 10}) {
              const Problem p = problem(batch, width, gates, back);
              const Plan plan = sequence::plan(p, resident, shared, 2 << 20);
              if (plan.units == 0) continue;
              EXPECT_EQ(plan.units % p.tile_units, 0);
              EXPECT_EQ(plan.rows % 4, 0);
              EXPECT_GE(int64_t{plan.units} * plan.blocks, width);
              EXPECT_LT(int64_t{plan.units} * (plan.blocks - 1), width) << "a block without work";
              EXPECT_GE(int64_t{plan.rows} * plan.groups, batch);
              EXPECT_LT(int64_t{plan.rows} * (plan.groups - 1), batch) << "a group without work";
              EXPECT_LE(int64_t{plan.blocks} * plan.groups, resident);
              EXPECT_LE(int64_t{plan.shared}, shared);
              EXPECT_LE(plan.units * plan.rows, sequence::kItems * sequence::kThreads);
              EXPECT_EQ(plan.fours, p.fours);
              EXPECT_GT(plan.chunk, 0);
              EXPECT_EQ(plan.chunk % plan.slices, 0);
              const int tiles = plan.units / p.tile_units * (plan.rows / sequence::kTileRows);
              EXPECT_GE(plan.slices, 1) << "every tile has a thread";
              EXPECT_LE(tiles * plan.slices, sequence::kThreads);
            }
}
TEST(RnnPlans, LayersOfModelsFillADevice) {
  const int64_t h100 = 132, shared = 227 << 10, most = 2 << 20;
  for (const int gates : {3, 4})
    for (const bool back : {false, true}) {
      const Plan plan = sequence::plan(problem(64, 512, gates, back), h100, shared, most);
      EXPECT_GE(plan.blocks * plan.groups, 120) << gates << back;
    }
  const Plan one = sequence::plan(problem(1, 512, 3, false), h100, shared, most);
  EXPECT_GE(one.blocks, 64);
  EXPECT_EQ(one.groups, 1);
  EXPECT_EQ(sequence::plan(problem(64, 8192, 4, false), h100, shared, most).units, 0) << "weights that no blocks hold";
  EXPECT_EQ(sequence::plan(problem(16384, 512, 3, false), h100, shared, most).units, 0) << "steps that are large";
  EXPECT_EQ(sequence::plan(problem(0, 512, 3, false), h100, shared, most).units, 0);
}

// ---- on the device --------------------------------------------------------------------------------------------------
struct Case {
  std::string cell;
  int64_t batch, steps, in, width;
  bool both = false, ends = false, start = true, bias = true;
  DType dtype = DType::f32;
  enum Loss { all, ends_summed, ends_turned } loss = all;
};
std::ostream& operator<<(std::ostream& to, const Case& c) {
  return to << c.cell << " " << name(c.dtype) << " " << c.batch << " rows, " << c.steps << " steps of " << c.width
            << (c.both ? " both ways" : "") << (c.ends ? " that end" : "") << (c.bias ? "" : " no bias");
}

// Outputs, then gradients of all inputs, of a loss that every output has its part in.
std::vector<std::vector<float>> results(const Case& c) {
  const int64_t gates = c.cell == "lstm" ? 4 : c.cell == "gru" ? 3 : 1, directions = c.both ? 2 : 1;
  manual_seed(7);
  const auto make = [&](const Shape& shape, double size) {
    return cast(randn(shape) * size, c.dtype).to(kCuda).set_requires_grad(true);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(c.width));
  std::vector<Tensor> leaves{make({c.batch, c.steps, c.in}, 1)}, weights;
  for (int64_t d = 0; d < directions; ++d) {
    weights.push_back(make({gates * c.width, c.in}, 0.5));
    weights.push_back(make({gates * c.width, c.width}, scale));
    for (int i = 0; i < 2; ++i) weights.push_back(c.bias ? make({gates * c.width}, 0.3) : Tensor());
  }
  Tensor h0, c0;
  if (c.start) h0 = make({directions, c.batch, c.width}, 1), leaves.push_back(h0);
  if (c.start && c.cell == "lstm") c0 = make({directions, c.batch, c.width}, 1), leaves.push_back(c0);
  for (const Tensor& w : weights)
    if (w.defined()) leaves.push_back(w);
  RnnOptions o{.bidirectional = c.both};
  if (c.ends) {
    std::vector<int64_t> lengths;
    for (int64_t b = 0; b < c.batch; ++b) lengths.push_back((b * 5 + 3) % (c.steps + 1));
    o.lengths = tensor(lengths, {c.batch}).to(kCuda);
  }
  Tape tape;
  std::vector<Tensor> outputs;
  if (c.cell == "lstm") {
    const auto r = lstm(leaves[0], h0, c0, weights, o);
    outputs = {r.output, r.h, r.c};
  } else {
    const auto r = c.cell == "gru" ? gru(leaves[0], h0, weights, o)
                                   : rnn(leaves[0], h0, weights,
                                         c.cell == "relu" ? RnnNonlinearity::relu : RnnNonlinearity::tanh, o);
    outputs = {r.output, r.h};
  }
  Tensor loss;
  for (const Tensor& y : outputs) {
    const bool end = &y != &outputs[0];
    if (c.loss != Case::all && !end) continue;
    const Tensor seen = c.loss == Case::ends_turned ? transpose(y, 1, 2) : y;
    const Tensor part =
        c.loss == Case::ends_summed ? sum(seen) : sum(seen * cast(randn(seen.sizes()), c.dtype).to(kCuda));
    loss = loss.defined() ? loss + part : part;
  }
  std::vector<std::vector<float>> all;
  const auto keep = [&](const Tensor& t) { all.push_back(cast(t.to(kCpu), DType::f32).to_vector<float>()); };
  for (const Tensor& y : outputs) keep(detach(y));
  for (const Tensor& g : tape.gradients(loss, leaves)) keep(g);
  return all;
}

void expect_as_by_steps(const Case& c) {
  SCOPED_TRACE(testing::PrintToString(c));
  const std::uint64_t forward = calls(rnn_sequence, "persistent", c.dtype),
                      back = calls(rnn_sequence_backward, "persistent", c.dtype);
  const auto made = results(c);
  const std::uint64_t layers = c.both ? 2 : 1;
  EXPECT_EQ(calls(rnn_sequence, "persistent", c.dtype), forward + layers);
  EXPECT_EQ(calls(rnn_sequence_backward, "persistent", c.dtype), back + layers);
  EXPECT_EQ(made, results(c)) << "the same bits every time";
  const Use one(rnn_sequence, "steps", DeviceType::cuda), other(rnn_sequence_backward, "steps", DeviceType::cuda);
  const auto expected = results(c);
  ASSERT_EQ(made.size(), expected.size());
  const double bound = c.dtype == DType::f32 ? 1e-5 : c.dtype == DType::f16 ? 0.01 : 0.08;
  for (std::size_t k = 0; k < made.size(); ++k) {
    ASSERT_EQ(made[k].size(), expected[k].size());
    double most = 1, worst = 0;
    for (const float v : expected[k]) most = std::max<double>(most, std::fabs(v));
    for (std::size_t i = 0; i < made[k].size(); ++i)
      worst = std::max<double>(worst, std::fabs(made[k][i] - expected[k][i]));
    EXPECT_LE(worst, bound * most) << "result " << k;
  }
}

TEST(RnnSequence, GivesWhatStepsGive) {
  for (const char* cell : {"tanh", "relu", "gru", "lstm"})
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      expect_as_by_steps({cell, 2, 3, 3, 4, false, false, true, true, dtype});
      expect_as_by_steps({cell, 9, 6, 5, 37, true, true, true, true, dtype});  // several blocks, no whole fours
      expect_as_by_steps({cell, 5, 4, 3, 40, true, false, false, false, dtype});
      expect_as_by_steps({cell, 1, 7, 2, 64, false, true, true, true, dtype});
    }
}
TEST(RnnSequence, MoreTermsThanARingHas) {
  using Sizes = std::tuple<const char*, int, int64_t, DType>;
  for (const auto& [cell, gates, width, dtype] : {Sizes{"gru", 3, 240, DType::f32},
                                                  {"lstm", 4, 200, DType::f32},
                                                  {"gru", 3, 240, DType::bf16},
                                                  {"gru", 3, 239, DType::f32},
                                                  {"gru", 3, 239, DType::f16},
                                                  {"lstm", 4, 199, DType::f32}}) {
    const Problem p = problem(16, width, gates, true, static_cast<int>(size_of(dtype)));
    const Plan plan =
        sequence::plan(p, 4, 200 << 10, dtype == DType::f32 ? 2 << 20 : 800 << 10);  // the emulated device
    EXPECT_GT(plan.chunk, 0);
    EXPECT_GT(plan.fours, sequence::kRing * plan.chunk) << cell << width << name(dtype);
    expect_as_by_steps({cell, 16, 3, 2, width, false, false, true, true, dtype});
  }
}
// A device of four blocks: one group of four, two of two, four of one.
TEST(RnnSequence, BlocksAlongTheStateAndAlongTheBatch) {
  for (const auto& [batch, width] : {std::pair<int64_t, int64_t>{4, 64}, {8, 32}, {33, 8}, {130, 8}, {40, 24}})
    expect_as_by_steps({"gru", batch, 3, 2, width});
}

// What comes in from a sum lies nowhere, from a transpose the other way.
TEST(RnnSequence, GradientsOfAnyStrides) {
  for (const char* cell : {"tanh", "relu", "gru", "lstm"})
    for (const Case::Loss loss : {Case::ends_summed, Case::ends_turned})
      expect_as_by_steps({cell, 3, 4, 2, 24, true, false, true, true, DType::f32, loss});
}

TEST(RnnSequence, WhatItDoesNotTakeGoesStepByStep) {
  const auto used = [](const Case& c) {
    const std::uint64_t before = calls(rnn_sequence, "persistent", c.dtype);
    results(c);
    return calls(rnn_sequence, "persistent", c.dtype) != before;
  };
  EXPECT_TRUE(used({"gru", 2, 3, 3, 4}));
  EXPECT_FALSE(used({"gru", 2, 1, 3, 4})) << "one step, as generation has them";
  EXPECT_FALSE(used({"gru", 2, 3, 3, 4, false, false, true, true, DType::f64}));
  EXPECT_FALSE(used({"gru", 0, 3, 3, 4}));
  EXPECT_FALSE(used({"gru", 2, 0, 3, 4}));
}

TEST(RnnSequence, NaNStaysInItsRowAndEndsNothing) {
  for (const char* cell : {"tanh", "relu", "gru", "lstm"}) {
    const int64_t gates = std::string(cell) == "lstm" ? 4 : std::string(cell) == "gru" ? 3 : 1, width = 40;
    std::vector<float> x(3 * 4 * 2, 0.5f);
    x[1 * 4 * 2 + 2] = std::nanf("");  // row 1, step 1
    const Tensor in = tensor(x, {3, 4, 2}).to(kCuda);
    std::vector<Tensor> w;
    for (const Shape& s : {Shape{gates * width, 2}, Shape{gates * width, width}})
      w.push_back((randn(s) * 0.1).to(kCuda));
    w.insert(w.end(), 2, Tensor());
    const Tensor y =
        std::string(cell) == "lstm" ? lstm(in, {}, {}, w).output
        : std::string(cell) == "gru"
            ? gru(in, {}, w).output
            : rnn(in, {}, w, std::string(cell) == "relu" ? RnnNonlinearity::relu : RnnNonlinearity::tanh).output;
    const std::vector<float> v = y.to(kCpu).to_vector<float>();
    for (int64_t b = 0; b < 3; ++b)
      for (int64_t t = 0; t < 4; ++t)
        for (int64_t n = 0; n < width; ++n)
          EXPECT_EQ(std::isnan(v[static_cast<std::size_t>((b * 4 + t) * width + n)]), b == 1 && t >= 1)
              << cell << b << t << n;
  }
}

TEST(RnnSequence, GradientsOfReluPassNaNAsItDoes) {
  const auto run = [](const char* variant) {
    const Use one(rnn_sequence, variant, DeviceType::cuda), other(rnn_sequence_backward, variant, DeviceType::cuda);
    std::vector<float> x(2 * 3 * 2, 0.5f);
    x[2] = std::nanf("");
    const Tensor in = tensor(x, {2, 3, 2}).to(kCuda).set_requires_grad(true);
    const std::vector<Tensor> w{ones({5, 2}).to(kCuda), (ones({5, 5}) * 0.1).to(kCuda), {}, {}};
    Tape tape;
    const auto g = tape.gradients(sum(rnn(in, {}, w, RnnNonlinearity::relu).output), {in});
    return g[0].to(kCpu).to_vector<float>();
  };
  const auto made = run("persistent"), expected = run("steps");
  for (std::size_t i = 0; i < made.size(); ++i) EXPECT_NEAR(made[i], expected[i], 1e-5) << i;
}

// Behind the last unit there is nothing, not that unit times zero.
TEST(RnnSequence, AnInfiniteStateIsNoNaN) {
  const int64_t width = 37;
  std::vector<float> start(static_cast<std::size_t>(width), 0.0f);
  start.back() = HUGE_VALF;
  const Tensor h0 = tensor(start, {1, 1, width}).to(kCuda);
  const std::vector<Tensor> w{ones({width, 2}).to(kCuda), ones({width, width}).to(kCuda), {}, {}};
  const std::vector<float> y =
      rnn(zeros({1, 2, 2}).to(kCuda), h0, w, RnnNonlinearity::relu).output.to(kCpu).to_vector<float>();
  for (const float v : y) EXPECT_EQ(v, HUGE_VALF);
}

}  // namespace
}  // namespace tapedeck::kernels::cuda_emulated
