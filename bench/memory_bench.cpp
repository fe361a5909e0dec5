// GB/s of the kernels that memory binds: depthwise convolutions, pooling, interpolation, elementwise ops. Beside them
// the ceiling, a loop that reads one stream and writes another of the same sizes. Bytes are those of input and output,
// each once.
#include <benchmark/benchmark.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/tensor/parallel.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <string>

#include "machine.h"

namespace {

using namespace tapedeck;
using std::int64_t;

// One thread in processor time, which other work on the machine lengthens less.
void timed(int threads, benchmark::internal::Benchmark* row) {
  if (threads > 1) row->UseRealTime();
}

void add(const std::string& name, int64_t floats, const std::function<void()>& run) {
  for (const int threads : {1, 2}) {
    timed(threads, benchmark::RegisterBenchmark(
                       (name + "/threads:" + std::to_string(threads)).c_str(), [=](benchmark::State& state) {
                         const NoGrad pause;
                         set_num_threads(threads);
                         run();
                         for (auto _ : state) run();
                         using benchmark::Counter;
                         const double bytes = 4 * static_cast<double>(floats);
                         const bench::Level level = bench::machine().level_of(bytes, threads);
                         state.counters["GB/s"] = Counter(bytes * 1e-9, Counter::kIsIterationInvariantRate);
                         state.counters[std::string("share of ") + bench::name(level)] =
                             Counter(bytes * 1e-9 / bench::machine().at(threads).level[level].copy,
                                     Counter::kIsIterationInvariantRate);
                       }));
  }
}

// y [n] from x [m] by plain loads and stores, each read and written once.
void stream(const Tensor& x, const Tensor& y) {
  const float* from = x.data<float>();
  float* to = y.data<float>();
  const int64_t most = std::max(x.numel(), y.numel()), n = x.numel(), m = y.numel();
  parallel_for(most, 1 << 16, [&](int64_t begin, int64_t end) {
    float sum = 0;
    const int64_t both = std::min({end, n, m});
    for (int64_t i = begin; i < both; ++i) to[i] = from[i] + 1;
    for (int64_t i = std::max(begin, both); i < std::min(end, n); i += 16) sum += from[i];
    for (int64_t i = std::max(begin, both); i < std::min(end, m); ++i) to[i] = 1;
    benchmark::DoNotOptimize(sum);
  });
}

void add_depthwise(int64_t channels, int64_t taps) {
  const Tensor x = randn({4, 1 << 20 >> 8, channels}), w = randn({channels, 1, taps}), y = empty_like(x);
  const Tensor gw = empty_like(w);
  const kernels::Conv1dShape shape{1, 1, channels, taps - 1};
  const std::string what = std::to_string(channels) + " channels " + std::to_string(taps) + " taps";
  add("ceiling/" + what, 2 * x.numel(), [=] { stream(x, y); });
  add("conv1d depthwise/" + what, 2 * x.numel(), [=] { kernels::conv1d(kCpu, {x, w, {}, y, shape, 0}); });
  add("conv1d_input_grad depthwise/" + what, 2 * x.numel(), [=] {
    kernels::conv1d_input_grad(kCpu, {x, w, y, shape, 0, {}});
  });
  add("conv1d_weight_grad depthwise/" + what, 2 * x.numel(), [=] {
    kernels::conv1d_weight_grad(kCpu, {y, x, gw, shape, 0});
  });
}

void add_resampling() {
  const Tensor x = randn({4, 128, 128, 64}), half = empty({4, 64, 64, 64}), twice = empty({4, 256, 256, 64});
  add("ceiling/to half", x.numel() + half.numel(), [=] { stream(x, half); });
  add("max_pool2d/2", x.numel() + half.numel(), [=] { max_pool2d(x, 2); });
  add("max_pool2d/3 stride 2", x.numel() + half.numel(), [=] { max_pool2d(x, 3, {.stride = 2, .padding = 1}); });
  add("avg_pool2d/2", x.numel() + half.numel(), [=] { avg_pool2d(x, 2); });
  add("ceiling/to twice", x.numel() + twice.numel(), [=] { stream(x, twice); });
  add("interpolate/nearest", x.numel() + twice.numel(), [=] { interpolate(x, {.scale_factor = {2}}); });
  add("interpolate/bilinear", x.numel() + twice.numel(),
      [=] { interpolate(x, {.scale_factor = {2}, .mode = Interpolation::bilinear}); });
}

// Elementwise ops and reductions of 16 M floats: memory binds them; and the functions beside the C library's.
void add_elementwise() {
  const Tensor x = randn({16 << 20}), z = randn({16 << 20});
  const int64_t n = x.numel();
  add("neg/16 M", 2 * n, [=] { neg(x); });
  add("add/16 M", 3 * n, [=] { tapedeck::add(x, z); });
  add("mul/16 M", 3 * n, [=] { mul(x, z); });
  add("sum/16 M", n, [=] { sum(x); });
  add("sum of rows/16 M", n, [=] { sum(reshape(x, {1 << 14, 1 << 10}), {1}); });
  add("sum of columns/16 M", n, [=] { sum(reshape(x, {1 << 14, 1 << 10}), {0}); });
  const auto function = [=](const std::string& name, Tensor (*ours)(const Tensor&), float (*theirs)(float)) {
    add(name + "/16 M", 2 * n, [=] { ours(x); });
    add(name + " of the C library/1 M", 2 << 20, [=, y = empty({1 << 20})] {
      const float* from = x.data<float>();
      float* to = y.data<float>();
      for (int64_t i = 0; i < 1 << 20; ++i) to[i] = theirs(from[i]);
    });
    add(name + "/1 M", 2 << 20, [=, part = slice(x, 0, 0, 1 << 20)] { ours(part); });
  };
  function("exp", exp, std::exp), function("tanh", tanh, std::tanh);
  function("sigmoid", sigmoid, [](float v) { return 1 / (1 + std::exp(-v)); });
}

}  // namespace

int main(int argc, char** argv) {
  for (const int64_t channels : {64, 256})
    for (const int64_t taps : {3, 7, 31}) add_depthwise(channels, taps);
  add_resampling();
  add_elementwise();
  std::printf("%s\n", bench::to_table(bench::machine()).c_str());
  std::fflush(stdout);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
