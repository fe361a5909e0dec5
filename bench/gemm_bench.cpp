// GFLOP/s of the contraction kernels on the shapes of audio models, per variant and thread count, beside the machine's
// ceiling (`share` of it; the peak is measured before and after each row).
#include <benchmark/benchmark.h>
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/matmul.h>
#include <tapedeck/kernels/steps.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/tensor.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "machine.h"

namespace {

using namespace tapedeck;
using std::int64_t;

// One thread in processor time, which other work on the machine lengthens less.
void timed(int threads, benchmark::internal::Benchmark* row) {
  if (threads > 1) row->UseRealTime();
}

TensorView view(Tensor& memory, std::vector<int64_t> sizes, bool transposed = false) {
  int64_t numel = 1;
  for (const int64_t s : sizes) numel *= s;
  memory = empty({numel});
  float* data = memory.data<float>();
  for (int64_t i = 0; i < numel; ++i) data[i] = static_cast<float>(i * 7919 % 1000) / 500.0f - 1.0f;
  TensorView v;
  v.data = data, v.rank = static_cast<int>(sizes.size());
  for (int d = v.rank - 1, step = 1; d >= 0; step *= sizes[d--]) v.sizes[d] = sizes[d], v.strides[d] = step;
  if (transposed) v.strides[v.rank - 2] = 1, v.strides[v.rank - 1] = sizes[v.rank - 2];
  return v;
}

void measure(benchmark::State& state, kernels::SlotBase& slot, const char* variant, int threads, double flops,
             const std::function<void()>& run, double weights = 0, double all = 0) {
  const kernels::Use use(slot, variant);
  set_num_threads(threads);
  run();
  double peak = bench::f32_peak(threads, 0.01);
  for (auto _ : state) run();
  peak = (peak + bench::f32_peak(threads, 0.01)) / 2;
  using benchmark::Counter;
  state.counters["GFLOP/s"] = Counter(flops * 1e-9, Counter::kIsIterationInvariantRate);
  // A product of few rows is bound by the bytes of the weights that it reads from where `all` bytes live.
  const bench::Ceiling& ceiling = bench::machine().at(threads);
  const bench::Level level = bench::machine().level_of(all, threads);
  const double least = std::max(flops / (peak * 1e9), weights / (ceiling.level[level].read * 1e9));
  state.counters["share"] = Counter(least, Counter::kIsIterationInvariantRate);
}

enum Transposed { none, a_too, b_too };

void add_matmul(const char* label, int64_t m, int64_t n, int64_t k, Transposed transposed, const char* variant,
                int threads) {
  const std::string name = std::string("matmul/") + label + "/" + variant + "/threads:" + std::to_string(threads);
  timed(threads, benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
          Tensor a, b, y;
          const kernels::MatmulArgs args{view(a, {1, m, k}, transposed == a_too),
                                         view(b, {1, k, n}, transposed == b_too),
                                         {},
                                         view(y, {1, m, n}),
                                         0};
          measure(
              state, kernels::matmul, variant, threads, 2.0 * static_cast<double>(m * n * k),
              [&] { kernels::matmul(kCpu, args); }, 4.0 * static_cast<double>(k * n),
              4.0 * static_cast<double>(m * k + k * n + m * n));
        }));
}

// x [4,4000,64], w [128,64,2], causal.
void add_conv1d(const char* slot, int64_t dilation, const char* variant, int threads) {
  const std::string name = std::string(slot) + "/training/dilation:" + std::to_string(dilation) + "/" + variant +
                           "/threads:" + std::to_string(threads);
  timed(threads, benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
          Tensor xm, wm, ym, biasm;
          const TensorView x = view(xm, {4, 4000, 64}), w = view(wm, {128, 64, 2}), y = view(ym, {4, 4000, 128});
          const TensorView bias = view(biasm, {128});
          const kernels::Conv1dShape shape{1, dilation, 1, dilation};
          kernels::SlotBase& which = kernels::slot(slot);
          measure(state, which, variant, threads, 2.0 * 16000 * 128 * 128, [&] {
            if (&which == &kernels::conv1d) kernels::conv1d(kCpu, {x, w, bias, y, shape, 0});
            if (&which == &kernels::conv1d_input_grad) kernels::conv1d_input_grad(kCpu, {y, w, x, shape, 0});
            if (&which == &kernels::conv1d_weight_grad) kernels::conv1d_weight_grad(kCpu, {y, x, w, shape, 0});
          });
        }));
}

// x [4,64,64,64], w [64,64,3,3], same.
void add_conv2d(const char* slot, const char* variant, int threads) {
  const std::string name = std::string(slot) + "/4x64x64x64 3x3/" + variant + "/threads:" + std::to_string(threads);
  timed(threads, benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
          Tensor xm, wm, ym;
          const TensorView x = view(xm, {4, 64, 64, 64}), w = view(wm, {64, 64, 3, 3}), y = view(ym, {4, 64, 64, 64});
          kernels::ConvShape shape;
          shape.pad[0] = shape.pad[1] = 1;
          kernels::SlotBase& which = kernels::slot(slot);
          measure(state, which, variant, threads, 2.0 * 16384 * 64 * 576, [&] {
            if (&which == &kernels::conv) kernels::conv(kCpu, {x, w, {}, y, shape, 0});
            if (&which == &kernels::conv_input_grad) kernels::conv_input_grad(kCpu, {y, w, x, shape, 0, {}});
            if (&which == &kernels::conv_weight_grad) kernels::conv_weight_grad(kCpu, {y, x, w, shape, 0});
          });
        }));
}

// A step of a generation plan: `rows` rows of k inputs with packed weights.
void add_step(int64_t rows, int64_t n, int64_t k, int threads) {
  const std::string name = "steps/" + std::to_string(rows) + " rows n " + std::to_string(n) + "/" + std::to_string(k) +
                           "/simd/threads:" + std::to_string(threads);
  timed(threads, benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
          Tensor x, w, y;
          view(x, {rows, k}), view(y, {rows, n});
          kernels::StepPart part;
          kernels::StepProduct& p = part.product;
          p.segments = 1, p.x[0] = {x.data<float>(), k, k}, p.rows = rows, p.k = k, p.n = n, p.y = y.data<float>(),
          p.y_row = n;
          const Tensor packed = empty({kernels::step_bytes(p)}, {DType::u8});
          p.weight = packed.data<std::uint8_t>();
          kernels::pack_step(view(w, {n, k}), {}, p, packed.data<std::uint8_t>());
          measure(
              state, kernels::steps, "simd", threads, 2.0 * static_cast<double>(rows * n * k),
              [&] {
                kernels::steps(kCpu, {&part, 1});
              },
              4.0 * static_cast<double>(k * n), 4.0 * static_cast<double>(k * n + rows * (k + n)));
        }));
}

}  // namespace

int main(int argc, char** argv) {
  std::printf("%s\n", bench::to_table(bench::machine()).c_str());
  std::fflush(stdout);
  for (const int threads : {1, 2}) {
    for (const char* variant : {"simd", "eigen"}) {
      add_matmul("64^3", 64, 64, 64, none, variant, threads);
      add_matmul("256^3", 256, 256, 256, none, variant, threads);
      add_matmul("1024^3", 1024, 1024, 1024, none, variant, threads);
      add_matmul("16384x128x64", 16384, 128, 64, none, variant, threads);
      add_matmul("16x512x512", 16, 512, 512, none, variant, threads);
      add_matmul("1x512x512", 1, 512, 512, none, variant, threads);
      add_matmul("1x512x512 b transposed", 1, 512, 512, b_too, variant, threads);
      add_matmul("1x256x256", 1, 256, 256, none, variant, threads);
      add_matmul("1x256x256 b transposed", 1, 256, 256, b_too, variant, threads);
      add_matmul("1x1024x1024", 1, 1024, 1024, none, variant, threads);
      add_matmul("1x1024x1024 b transposed", 1, 1024, 1024, b_too, variant, threads);
      add_matmul("22000x64x128 b transposed", 22000, 64, 128, b_too, variant, threads);
      add_matmul("64x128x22000 a transposed", 64, 128, 22000, a_too, variant, threads);
      add_matmul("32x32x8000", 32, 32, 8000, none, variant, threads);
      for (const int64_t dilation : {1, 32, 512}) add_conv1d("conv1d", dilation, variant, threads);
      add_conv1d("conv1d_input_grad", 32, variant, threads);
      add_conv1d("conv1d_weight_grad", 32, variant, threads);
      for (const char* slot : {"conv", "conv_input_grad", "conv_weight_grad"}) add_conv2d(slot, variant, threads);
    }
  }
  for (const int64_t rows : {1, 4, 64}) {
    for (const auto& [n, k] :
         {std::pair{64, 64}, {64, 32}, {128, 128}, {320, 64}, {256, 256}, {512, 512}, {3072, 1024}})
      add_step(rows, n, k, 1);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
