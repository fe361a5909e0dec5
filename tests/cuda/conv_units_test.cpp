// Convolutions over time as products whose rows are found in place: every argument that they take, beside the CPU in
// f64; what they refuse.
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/tensor/random.h>

#include <string>

#include "cuda/farthest.h"

namespace tapedeck {
namespace {

using std::int64_t;
const Device kCuda{DeviceType::cuda, 0};

struct Form {
  int64_t batch, time, in, out, taps, dilation = 1, stride = 1, pad = 0, behind = 0;  // zeros before x and behind it
  bool biased = true, slice = false;  // slice: rows of x, y and gy are parts of wider ones, every sequence of a longer
};
const std::vector<Form> kForms{{2, 300, 64, 128, 2, 64, 1, 64},
                               {1, 700, 128, 64, 3, 1, 1, 1, 1},
                               {3, 37, 8, 8, 1},
                               {2, 150, 24, 40, 5, 3, 1, 12},
                               {2, 101, 16, 136, 4, 2, 3, 5, 2},
                               {1, 3, 8, 24, 7, 1, 1, 6},
                               {2, 90, 32, 72, 2, 4, 1, 4, 0, false, true},
                               {2, 90, 40, 64, 3, 1, 2, 0, 0, true, true},
                               {1, 40, 16, 16, 2, 1, 1, -3, -2},
                               {1, 1, 16, 200, 1},
                               {2, 70, 16, 24, 4, 1, 8, 3, 2},
                               {1, 60, 24, 16, 5, 2, 4, 4, 4},
                               {2, 33, 8, 16, 3, 6, 4, 12},
                               {1, 40, 16, 8, 2, 1, 2, -1, 0},
                               {2, 41, 8, 8, 5, 3, 2, -3, 4}};

Tensor numbers(const Shape& shape, std::uint64_t seed, DType dtype) {
  const Tensor t = empty(shape, {DType::f64});
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<double>()[i] = static_cast<double>(mix64(seed, static_cast<std::uint64_t>(i)) >> 11) * 0x1p-52 - 1;
  return cast(cast(t, dtype), DType::f64);
}
// Rows [batch, time, channels], parts of wider and longer ones.
struct Rows {
  Tensor whole, part;
};

// y, gx, gw, and the wholes of y and gx, whose other numbers nobody may touch. Each is added to what is there (beta 1)
// or put in its place.
std::vector<Tensor> all_of(const Form& f, DType dtype, DType drawn, Device device, double beta) {
  const int64_t reach = (f.taps - 1) * f.dilation + 1, out = (f.time + f.pad + f.behind - reach) / f.stride + 1;
  const auto there = [&](const Tensor& t) { return cast(t, dtype).to(device); };
  const auto rows = [&](int64_t time, int64_t channels, std::uint64_t seed) {
    const int64_t more = f.slice ? 8 : 0;
    const Tensor whole = there(numbers({f.batch, time + more, channels + 2 * more}, seed, drawn));
    return Rows{whole, narrow(narrow(whole, 1, more / 2, time), 2, more, channels)};
  };
  const Rows x = rows(f.time, f.in, 1), y = rows(out, f.out, 2), gy = rows(out, f.out, 3), gx = rows(f.time, f.in, 4);
  const Tensor w = there(numbers({f.out, f.in, f.taps}, 5, drawn)),
               gw = there(numbers({f.taps, f.out, f.in}, 6, drawn));
  const Tensor turned = permute(gw, {1, 2, 0});  // in an order of its own
  const Tensor bias = f.biased ? there(numbers({f.out}, 7, drawn)) : Tensor(),
               back_bias = f.biased ? there(numbers({f.in}, 8, drawn)) : Tensor();
  const kernels::Conv1dShape shape{f.stride, f.dilation, 1, f.pad};
  kernels::conv1d(device, {x.part.view(), w.view(), bias.view(), y.part.view(), shape, beta});
  kernels::conv1d_input_grad(device, {gy.part.view(), w.view(), gx.part.view(), shape, beta, back_bias.view()});
  kernels::conv1d_weight_grad(device, {gy.part.view(), x.part.view(), turned.view(), shape, beta});
  std::vector<Tensor> all{y.part, gx.part, gw, y.whole, gx.whole};
  for (Tensor& t : all) t = cast(contiguous(t).to(kCpu), DType::f64);
  return all;
}

// bf16 and f16 are rounded so many times.
void expect_the_cpus(const std::vector<Form>& forms, const char* way, double roundings) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (const Form& f : forms)
      for (const double beta : {0., 1.}) {
        const auto want = all_of(f, DType::f64, dtype, kCpu, beta);
        const kernels::Use forward(kernels::conv1d, way, DeviceType::cuda);
        const kernels::Use weight(kernels::conv1d_weight_grad, way, DeviceType::cuda);
        const kernels::Use input(kernels::conv1d_input_grad, way, DeviceType::cuda);
        const auto got = all_of(f, dtype, dtype, kCuda, beta), again = all_of(f, dtype, dtype, kCuda, beta);
        const double most = dtype == DType::f32 ? 3e-6 : roundings * (dtype == DType::bf16 ? 0x1p-8 : 0x1p-11);
        for (std::size_t i = 0; i < want.size(); ++i) {
          EXPECT_LT(farthest(got[i], want[i]), most * 1.01)
              << name(dtype) << " tensor " << i << " of the form " << &f - forms.data() << ", beta " << beta;
          EXPECT_EQ(farthest(again[i], got[i]), 0) << "other bits";
        }
      }
}

TEST(DeviceConvUnits, AreTheCpus) { expect_the_cpus(kForms, "units", 1); }
// What the vendor's products take before them. The library rounds a product before it adds what y holds, then again.
TEST(DeviceConvUnits, AndSoAreProducts) {
  expect_the_cpus({{3, 37, 136, 8, 1}, {1, 1, 144, 200, 1}, {2, 130, 192, 72, 1, 1, 1, 0, 0, false}}, "product", 2);
  expect_the_cpus({{2, 90, 40, 64, 3, 1, 2, 0, 0, true, true}, {3, 50, 16, 24, 1, 1, 1, 2, 1}, {1, 60, 144, 40, 1}}, "",
                  2);
}

std::string refusal(const Shape& x, const Shape& w, DType dtype, const kernels::Conv1dShape& s) {
  const Tensor from = zeros(x, {dtype}).to(kCuda), by = zeros(w, {dtype}).to(kCuda);
  const Tensor to = zeros({x[0], x[1], w[0]}, {dtype}).to(kCuda);
  const kernels::Use forced(kernels::conv1d, "units", DeviceType::cuda);
  try {
    kernels::conv1d(kCuda, {from.view(), by.view(), {}, to.view(), s, 0});
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
TEST(DeviceConvUnits, SayWhatTheyDoNotTake) {
  EXPECT_EQ(refusal({1, 8, 16}, {8, 16, 1}, DType::bf16, {}), "");
  EXPECT_NE(refusal({1, 8, 16}, {8, 16, 1}, DType::f64, {}).find("dtype is not f32, bf16 or f16"), std::string::npos);
  EXPECT_NE(refusal({1, 8, 12}, {8, 12, 1}, DType::bf16, {}).find("no multiples of 8"), std::string::npos);
  EXPECT_NE(refusal({1, 8, 16}, {12, 16, 1}, DType::f16, {}).find("no multiples of 8"), std::string::npos);
  EXPECT_NE(refusal({1, 8, 16}, {16, 8, 1}, DType::bf16, {1, 1, 2}).find("groups"), std::string::npos);
  EXPECT_NE(refusal({1, 8, 16}, {8, 16, 3}, DType::bf16, {1, int64_t{1} << 29, 1, int64_t{1} << 30}).find("31 bits"),
            std::string::npos);
}

}  // namespace
}  // namespace tapedeck
