// AVX2 and AVX-512 give the same bits: the test runs itself once more with TAPEDECK_ISA=avx2 and compares hashes.
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/optim.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/kernels/reduce.h>

#include <cstdio>
#include <cstdlib>

#include "kernels/check.h"

namespace tapedeck {
namespace {

namespace k = kernels;

// One line per kernel: its name and a hash of its results.
std::string fingerprints() {
  std::string out;
  const auto note = [&](const std::string& name, const Tensor& y) {
    std::uint64_t h = 14695981039346656037ull;
    const auto* bytes = static_cast<const unsigned char*>(y.data());
    for (std::size_t i = 0; i < static_cast<std::size_t>(y.numel()) * size_of(y.dtype()); ++i)
      h = (h ^ bytes[i]) * 1099511628211ull;
    out += name + " " + std::to_string(h) + "\n";
  };
  const Tensor x = random_tensor({37, 83}, 1, -9, 9), g = random_tensor({37, 83}, 2), y = empty_like(x),
               gx = empty_like(x);
#define TD_NOTE(name)                                 \
  k::name(kCpu, {x, y, 0.75, 1.5});                   \
  note(#name, y);                                     \
  k::name##_backward(kCpu, {g, x, y, gx, 0.75, 1.5}); \
  note(#name "_backward", gx);
  TD_UNARY_LIST(TD_NOTE)
#undef TD_NOTE
#define TD_NOTE(name)       \
  k::name(kCpu, {x, g, y}); \
  note(#name, y);
  TD_BINARY_LIST(TD_NOTE)
#undef TD_NOTE
  const Tensor wide = random_tensor({37, 166}, 3), gwide = empty_like(wide);
  k::gated_activation(kCpu, {wide, TensorView{}, y}), note("gated_activation", y);
  k::gated_activation_backward(kCpu, {g, wide, TensorView{}, gwide}), note("gated_activation_backward", gwide);
  for (std::uint32_t dims = 1; dims < 4; ++dims) {
    const Tensor r = empty({dims & 1 ? 1 : 37, dims & 2 ? 1 : 83});
    for (auto* slot : {&k::sum, &k::sum_squares, &k::amax, &k::amin})
      (*slot)(kCpu, {x, r, dims}), note(slot->name() + std::to_string(dims), r);
  }
  k::log_softmax(kCpu, {x, y}), note("log_softmax", y);
  k::log_softmax_backward(kCpu, {g, y, gx}), note("log_softmax_backward", gx);
  k::softmax(kCpu, {x, y}), note("softmax", y);
  k::softmax_backward(kCpu, {g, y, gx}), note("softmax_backward", gx);
  const Tensor u = random_tensor({37}, 4, 0, 1), target = zeros({37}, {DType::i64}), row = empty({37});
  k::sample_categorical(kCpu, {x, u, target, 0.8}), note("sample_categorical", target);
  k::cross_entropy(kCpu, {x, target, row}), note("cross_entropy", row);
  k::cross_entropy_backward(kCpu, {u, x, target, gx}), note("cross_entropy_backward", gx);
  for (auto* slot : {&k::uniform, &k::normal, &k::bernoulli})
    (*slot)(kCpu, {y, RandomStream{3, {}}, 0.5, 1}), note(slot->name(), y);
  const Tensor m = random_tensor({37, 83}, 5), v = random_tensor({37, 83}, 6, 0, 1);
  k::adam(kCpu, {y, g, m, v}), note("adam", y);
  return out;
}

TEST(Isa, Fingerprints) {
  if (std::getenv("TAPEDECK_PRINT_FINGERPRINTS")) std::printf("BEGIN\n%sEND\n", fingerprints().c_str());
}

TEST(Isa, Avx2AndAvx512GiveTheSameBits) {
  std::FILE* other = popen(
      "TAPEDECK_ISA=avx2 TAPEDECK_PRINT_FINGERPRINTS=1 \"$(readlink -f /proc/$PPID/exe)\" "
      "--gtest_filter=Isa.Fingerprints",
      "r");
  ASSERT_NE(other, nullptr);
  std::string text;
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, other)) text += buffer;
  EXPECT_EQ(pclose(other), 0);
  const std::size_t begin = text.find("BEGIN\n"), end = text.find("END\n");
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos) << text;
  EXPECT_EQ(text.substr(begin + 6, end - begin - 6), fingerprints());
}

}  // namespace
}  // namespace tapedeck
