// The harness judged: planted faults that it must report, right results that it must let pass.
#include "cases/compare.h"

#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/isa.h>
#include <tapedeck/tensor/parallel.h>

#include <cmath>
#include <functional>
#include <limits>

#include "cases/driver.h"

namespace tapedeck::cases {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

Tensor f32(std::vector<float> v) {
  const auto n = static_cast<std::int64_t>(v.size());
  return tensor(v, {n});
}
Tensor noise(const Shape& shape, std::uint64_t seed) {
  return make_input({shape, DType::f32, Layout::contiguous, Values::normal}, seed, 0);
}
float* data(const Tensor& x) { return x.data<float>(); }

struct Planted {
  const char* name;
  Bound bound;
  std::function<Tensor()> right;                 // what is expected
  std::function<Tensor(const Tensor&)> spoiled;  // the fault
  std::vector<double> magnitude{};
};

std::vector<Planted> planted() {
  const Bound close{.c = 8}, ulp{.ulps = 1};
  const auto square8 = [] { return noise({8, 8}, 3); };
  const auto poke = [](std::int64_t at, std::function<float(float)> f) {
    return [=](const Tensor& x) {
      const Tensor y = clone(x);
      data(y)[at] = f(data(y)[at]);
      return y;
    };
  };
  const auto with = [](float v) { return [v](float) { return v; }; };
  std::vector<Planted> all{
      {"one wrong element in 2^20", close, [] { return noise({1 << 20}, 1); },
       poke(777777, [](float v) { return v * 1.001f; })},
      {"one element zeroed in 2^20", close, [] { return noise({1 << 20}, 1); }, poke(5, with(0))},
      {"a zeroed output", close, square8, [](const Tensor& x) { return zeros_like(x); }},
      {"swapped axes", close, square8, [](const Tensor& x) { return transpose(x, 0, 1); }},
      {"another shape of the same elements", close, square8,
       [](const Tensor& x) {
         return reshape(x, {4, 16});
       }},
      {"NaN for a number", close, square8, poke(3, with(kNan))},
      {"a number for NaN", close,
       [] {
         return f32({1, kNan, 3});
       },
       poke(1, with(2))},
      {"infinity for a number", close, square8, poke(3, with(kInf))},
      {"a number for infinity", close,
       [] {
         return f32({1, kInf, 3});
       },
       poke(1, with(1e30f))},
      {"an infinity of the other sign", close,
       [] {
         return f32({1, kInf, 3});
       },
       poke(1, with(-kInf))},
      {"NaN for infinity", close,
       [] {
         return f32({1, kInf, 3});
       },
       poke(1, with(kNan))},
      {"a missing accumulation", close, [] { return noise({64}, 4) + noise({64}, 5); },
       [](const Tensor&) { return noise({64}, 4); }},
      {"a flipped sign", close, square8, poke(9, [](float v) { return -v; })},
      {"a flipped sign of zero", kExact,
       [] {
         return f32({1, 0.0f, 2});
       },
       poke(1, with(-0.0f))},
      {"a wrong tail", close, [] { return noise({67}, 6); }, poke(66, [](float v) { return v + 1e-3f; })},
      {"something for an all-zero reference", close, [] { return zeros({7}); }, poke(2, with(1e-30f))},
      {"a subnormal for an exact zero", kExact, [] { return zeros({7}); }, poke(2, with(1e-45f))},
      {"off by one element", close, [] { return noise({64}, 7); },
       [](const Tensor& x) {
         return cat({slice(x, 0, 1), slice(x, 0, 0, 1)});
       }},
      {"a dropped bias", close,
       [] {
         return noise({8, 8}, 8) + 0.01;
       },
       [](const Tensor&) {
         return noise({8, 8}, 8);
       }},
      {"scaled by 1 + 2^-10", close, square8, [](const Tensor& x) { return x * (1 + 0x1p-10); }},
      {"one ulp off where exact", kExact, square8, poke(11, [](float v) { return std::nextafter(v, kInf); })},
      {"two ulps off where one is allowed", ulp, square8,
       poke(11, [](float v) { return std::nextafter(std::nextafter(v, kInf), kInf); })},
      {"a stale NaN at the end", close, square8, poke(63, with(kNan))},
      {"all NaN", close, square8, [](const Tensor& x) { return full(x.sizes(), kNan); }},
      {"a flushed denormal", kExact,
       [] {
         return f32({1e-40f, 1});
       },
       poke(0, with(0))},
      {"a flushed denormal where ulps are allowed",
       {.ulps = 3},
       [] {
         return f32({1e-40f, 1});
       },
       poke(0, with(0))},
      {"an overflow too early", ulp, [] { return f32({3e38f}); }, poke(0, with(kInf))},
      {"missing elements", close, [] { return noise({64}, 9); }, [](const Tensor& x) { return slice(x, 0, 0, 63); }},
      {"nothing at all", close, [] { return noise({64}, 9); }, [](const Tensor&) { return empty({0}); }},
      {"another dtype", close, square8, [](const Tensor& x) { return cast(x, DType::f64); }},
      {"an undefined result", close, square8, [](const Tensor&) { return Tensor(); }},
      {"a NaN magnitude hides nothing",
       close,
       [] {
         return f32({1, 2});
       },
       poke(1, with(3)),
       {1, std::nan("")}},
      {"an infinite magnitude hides nothing",
       close,
       [] {
         return f32({1, 2});
       },
       poke(1, with(3)),
       {1, INFINITY}},
      {"a magnitude of zero", close, [] { return zeros({2}); }, poke(1, with(1e-45f)), {0, 0}},
      {"an integer off by one", kExact,
       [] {
         return tensor(std::vector<std::int64_t>{1, 1LL << 60}, {2});
       },
       [](const Tensor& x) {
         return tensor(std::vector<std::int64_t>{1, (1LL << 60) + 1}, x.sizes());
       }},
      {"a bool that is neither", kExact,
       [] {
         return full({3}, 1, {DType::boolean, kCpu});
       },
       [](const Tensor& x) {
         const Tensor y = clone(x);
         static_cast<unsigned char*>(y.data())[1] = 0xA5;
         return y;
       }},
      {"a bf16 one step off", kExact,
       [] {
         return full({3}, 1.5, {DType::bf16, kCpu});
       },
       [](const Tensor& x) {
         const Tensor y = clone(x);
         y.data<BFloat16>()[2].bits ^= 1;
         return y;
       }},
  };
  return all;
}

TEST(Compare, ReportsEveryPlantedFault) {
  const auto all = planted();
  EXPECT_GE(all.size(), 30u);
  for (const Planted& p : all) {
    const Tensor right = p.right();
    Expected r = expected_from(right, right.dtype());
    r.magnitude = p.magnitude;
    EXPECT_TRUE(compare(right, r, p.bound).ok()) << p.name << ": the right result was refused";
    EXPECT_FALSE(compare(p.spoiled(right), r, p.bound).ok()) << p.name;
  }
}

TEST(Compare, LetsRightResultsPass) {
  const Expected r =
      expected_from(tensor(std::vector<double>{0.1, -1e-40, 1e39, -INFINITY, NAN, 0.0, -0.0, 3e38}, {8}), DType::f32);
  const Tensor rounded = f32({0.1f, -1e-40f, kInf, -kInf, -kNan, 0.0f, -0.0f, 3e38f});
  EXPECT_TRUE(compare(rounded, r, kExact).ok());  // each rounded once; an overflow is an infinity
  EXPECT_TRUE(compare(rounded, r, {.c = 1}).ok());
  const Tensor next = f32({std::nextafter(0.1f, 0.0f), -1e-40f, kInf, -kInf, kNan, 0.0f, -0.0f, 3e38f});
  EXPECT_TRUE(compare(next, r, {.ulps = 1}).ok());
  EXPECT_FALSE(compare(next, r, kExact).ok());
  EXPECT_TRUE(compare(empty({0, 3}), expected_from(empty({0, 3}), DType::f32), kExact).ok());
  EXPECT_TRUE(compare(empty({3, 0}), expected_from(empty({3, 0}), DType::f32), {.c = 8}).ok());
  // Cancellation: the error counts by the terms, not by what is left of them.
  Expected little = expected_from(f32({1e-7f}), DType::f32);
  little.magnitude = {2};
  EXPECT_TRUE(compare(f32({2e-7f}), little, {.c = 8}).ok());
  EXPECT_FALSE(compare(f32({2e-6f}), little, {.c = 8}).ok());
}

TEST(Compare, SaysHowManyAndWhere) {
  const Tensor x = noise({4, 5}, 1), y = clone(x);
  data(y)[7] = 9, data(y)[12] = kNan;
  const auto result = compare(y, expected_from(x, DType::f32), {.c = 8});
  EXPECT_NE(result.fault.find("2 of 20"), std::string::npos) << result.fault;
  EXPECT_NE(result.fault.find("[1,2]"), std::string::npos) << result.fault;
  EXPECT_FALSE(result.worst <= 1);
}

// ---- the drivers
// ------------------------------------------------------------------------------------------------------
OpCase doubling(std::function<Outputs(Args)> call) {
  OpCase c{.op = "doubling", .text = "", .inputs = {{{40, 6}, DType::f32}}, .call = std::move(call)};
  c.rows = 1;
  return c;
}
Tensor twice(const Tensor& x) { return x * 2; }
// The reference runs on f64: a fault that f32 alone has.
bool fast(const Tensor& x) { return x.dtype() == DType::f32; }

TEST(Driver, PassesWhatIsRight) {
  const Outcome o = run_forward(doubling([](Args x) { return Outputs{twice(x[0])}; }));
  EXPECT_TRUE(o.faults.empty()) << o.faults[0];
  EXPECT_GE(o.comparisons, 1);
}

void expect_fault(const OpCase& c, const char* words) {
  const Outcome o = run_forward(c);
  ASSERT_FALSE(o.faults.empty()) << words;
  EXPECT_NE(o.faults.back().find(words), std::string::npos) << o.faults.back();
}

TEST(Driver, ReportsPlantedFaults) {
  expect_fault(doubling([](Args x) { return Outputs{fast(x[0]) ? x[0] * 2.5 : twice(x[0])}; }), "wrong");
  expect_fault(doubling([](Args x) { return fast(x[0]) ? Outputs{} : Outputs{twice(x[0])}; }), "outputs");
  expect_fault(doubling([](Args x) {
                 if (fast(x[0])) data(x[0])[3] = 1;
                 return Outputs{twice(x[0])};
               }),
               "an input was written to");
  expect_fault(doubling([](Args x) -> Outputs {
                 if (fast(x[0])) throw ValueError("no");
                 return {twice(x[0])};
               }),
               "threw: no");
  expect_fault(
      doubling([](Args x) { return Outputs{fast(x[0]) && num_threads() == 3 ? x[0] * (2 + 0x1p-22) : twice(x[0])}; }),
      "3 threads");
  if (kernels::best_isa() != kernels::Isa::avx2)
    expect_fault(doubling([](Args x) {
                   const bool wrong = fast(x[0]) && kernels::isa() == kernels::Isa::avx2;
                   return Outputs{wrong ? x[0] * (2 + 0x1p-22) : twice(x[0])};
                 }),
                 "AVX2");
  expect_fault(
      doubling([](Args x) { return Outputs{fast(x[0]) && x[0].size(0) == 1 ? x[0] * (2 + 0x1p-22) : twice(x[0])}; }),
      "alone");
  expect_fault(doubling([](Args x) { return Outputs{fast(x[0]) ? empty_like(x[0]) : twice(x[0])}; }),
               "wrong");  // nobody wrote it
  for (const std::int64_t at : {-1, 240})
    expect_fault(doubling([at](Args x) {
                   const Tensor y = twice(x[0]);
                   if (fast(x[0]) && x[0].size(0) > 1)
                     data(y)[at] = 0.5f;  // the whole batch: inside of the guard's block
                   return Outputs{y};
                 }),
                 "canaries");
}

TEST(Driver, ReportsWrongGradients) {
  const auto gradient_of = [](double factor) {
    OpCase c = doubling([factor](Args x) {
      Tensor y;
      {
        const NoGrad pause;
        y = twice(x[0]);
      }
      record("doubling", y, {&x[0]}, [factor](const Tensor& gy, Grads& g) { g.give(0, gy * (fast(gy) ? factor : 2)); });
      return Outputs{y};
    });
    c.differentiable = true;
    return c;
  };
  EXPECT_TRUE(run_gradient(gradient_of(2)).faults.empty());
  EXPECT_FALSE(run_gradient(gradient_of(2.5)).faults.empty());
  EXPECT_FALSE(run_gradient(gradient_of(2 + 0x1p-22)).faults.empty());
  OpCase wide = gradient_of(2);
  wide.inputs[0].dtype = DType::f64;
  EXPECT_TRUE(run_gradient(wide).faults.empty());
  wide.call = [](Args x) { return Outputs{detach(twice(x[0]))}; };
  EXPECT_FALSE(run_gradient(wide).faults.empty());
}

}  // namespace
}  // namespace tapedeck::cases
