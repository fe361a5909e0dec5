// Cost of one small op (64 floats): eager, recorded, forward and backward. The bare kernel is the floor.
#include <benchmark/benchmark.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>

#include "machine.h"

namespace {
using namespace tapedeck;

// What moving its bytes through the first-level cache would take: a share of it says how much of an op is overhead.
void count(benchmark::State& state, double ops) {
  const double least = 3 * 64 * 4 / (bench::machine().at(1).level[bench::l1].triad * 1e9);
  state.counters["share"] = benchmark::Counter(ops * least, benchmark::Counter::kIsIterationInvariantRate);
}

void bare_kernel(benchmark::State& state) {
  const Tensor a = full({64}, 1.5), b = full({64}, 2.5), y = empty({64});
  for (auto _ : state) kernels::add(kCpu, {a, b, y});
  count(state, 1);
}
void eager(benchmark::State& state) {
  const Tensor a = full({64}, 1.5), b = full({64}, 2.5);
  for (auto _ : state) benchmark::DoNotOptimize(add(a, b));
  count(state, 1);
}
void recorded(benchmark::State& state) {
  const Tensor a = full({64}, 1.5), b = full({64}, 2.5);
  a.set_requires_grad(true);
  for (auto _ : state) {
    Tape tape;
    Tensor y = a;
    for (int i = 0; i < 1000; ++i) y = add(y, b);
    benchmark::DoNotOptimize(y);
  }
  state.SetItemsProcessed(state.iterations() * 1000);
  count(state, 1000);
}
void forward_backward(benchmark::State& state) {
  const Tensor a = full({64}, 1.5), b = full({64}, 2.5), ones = full({64}, 1);
  a.set_requires_grad(true);
  for (auto _ : state) {
    Tape tape;
    Tensor y = a;
    for (int i = 0; i < 1000; ++i) y = add(y, b);
    a.zero_grad();
    tape.backward(y, ones);
  }
  state.SetItemsProcessed(state.iterations() * 1000);
  count(state, 1000);
}
BENCHMARK(bare_kernel);
BENCHMARK(eager);
BENCHMARK(recorded);
BENCHMARK(forward_backward);
}  // namespace
BENCHMARK_MAIN();
