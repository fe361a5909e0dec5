// Cost of one small op (64 floats): eager, recorded, forward and backward. The bare kernel is the floor.
#include <benchmark/benchmark.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>

namespace {
using namespace tapedeck;

void bare_kernel(benchmark::State& state) {
  const Tensor a = full({64}, 1.5), b = full({64}, 2.5), y = empty({64});
  for (auto _ : state) kernels::add(kCpu, {a, b, y});
}
void eager(benchmark::State& state) {
  const Tensor a = full({64}, 1.5), b = full({64}, 2.5);
  for (auto _ : state) benchmark::DoNotOptimize(add(a, b));
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
}
BENCHMARK(bare_kernel);
BENCHMARK(eager);
BENCHMARK(recorded);
BENCHMARK(forward_backward);
}  // namespace
BENCHMARK_MAIN();
