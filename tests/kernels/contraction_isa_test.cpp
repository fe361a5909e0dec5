// AVX2 and AVX-512 give the same bits. The choice is made once per process, so that each runs in a child of its own.
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/matmul.h>
#include <unistd.h>

#include <cstdio>

#include "kernels/contraction.h"
#include "kernels/packed_step.h"

namespace tapedeck {
namespace {

using std::int64_t;

struct Digest {
  std::uint64_t state = 14695981039346656037u;  // FNV-1a
  void add(Operand<float>& y) {
    for (const float v : y.values()) {
      std::uint32_t bits;
      std::memcpy(&bits, &v, sizeof(bits));
      state = (state ^ bits) * 1099511628211u;
    }
  }
};

std::uint64_t digest() {
  Digest all;
  const kernels::Use simd(kernels::matmul, "simd"), simd_conv(kernels::conv1d, "simd"),
      simd_steps(kernels::steps, "simd");
  for (const int64_t n : {1, 7, 8, 9, 16, 31, 32, 33, 64, 100, 130}) {
    for (const int64_t m : {1, 2, 5, 13, 14, 40}) {
      for (const int64_t k : {1, 30, 256, 300, 700}) {
        for (const bool transposed : {false, true}) {
          const std::vector<int> order = transposed ? std::vector<int>{0, 2, 1} : std::vector<int>{};
          Operand<float> a({1, m, k}, order), b({1, k, n}, order), bias({n}), y({1, m, n});
          a.random(1), b.random(2), bias.random(3), y.random(4);
          kernels::matmul(kCpu, {a.view(), b.view(), bias.view(), y.view(), transposed ? 1. : 0.});
          all.add(y);
          if (transposed) continue;
          TensorView w = b.view();
          w.rank = 2, w.sizes[0] = n, w.sizes[1] = k, w.strides[0] = 1, w.strides[1] = n;
          PackedStep step(w, TensorView());
          kernels::StepProduct& p = step.part.product;
          p.segments = 1, p.x[0] = {a.view().ptr<const float>(), k, k}, p.rows = m, p.y = y.view().ptr<float>();
          step.run();
          all.add(y);
        }
      }
    }
  }
  for (const int64_t dilation : {1, 5, 64}) {
    Operand<float> x({2, 300, 33}), w({50, 33, 3}), y({2, 300, 50});
    x.random(1), w.random(2), y.random(3);
    const kernels::Conv1dShape shape{1, dilation, 1, 2 * dilation};
    kernels::conv1d(kCpu, {x.view(), w.view(), {}, y.view(), shape, 1});
    all.add(y);
    kernels::conv1d_input_grad(kCpu, {y.view(), w.view(), x.view(), shape, 0});
    all.add(x);
    kernels::conv1d_weight_grad(kCpu, {y.view(), x.view(), w.view(), shape, 1});
    all.add(w);
  }
  return all.state;
}

std::string child(const char* isa) {
  const std::string command = std::string("TAPEDECK_ISA=") + isa + " /proc/" + std::to_string(getpid()) +
                              "/exe --gtest_also_run_disabled_tests --gtest_filter=ContractionIsa.DISABLED_Print";
  std::string out;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char line[256];
    while (std::fgets(line, sizeof(line), pipe))
      if (std::strncmp(line, "digest ", 7) == 0) out = line;
    pclose(pipe);
  }
  return out;
}

TEST(ContractionIsa, DISABLED_Print) { std::printf("digest %016llx\n", static_cast<unsigned long long>(digest())); }

TEST(ContractionIsa, Avx2EqualsAvx512) {
  const std::string avx2 = child("avx2"), best = child("");
  ASSERT_FALSE(avx2.empty());
  EXPECT_EQ(avx2, best);
}

}  // namespace
}  // namespace tapedeck
