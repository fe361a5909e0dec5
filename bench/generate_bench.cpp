// Samples per second of WaveNet generation plans: small nets, and the reference models. Their shares are of ceilings
// that are measured before and after each row.
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "machine.h"
#include "models.h"

namespace {

using namespace tapedeck;

double samples_per_second(nn::WaveNet& net, std::int64_t batch, DType weights, int threads, double seconds) {
  const auto plan = net.plan(batch, weights, threads);
  plan->prime(full({batch, net.shift()}, 128, {DType::i64}));
  std::vector<std::int64_t> codes(static_cast<std::size_t>(batch));
  std::vector<float> u(codes.size());
  double best = 0;
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  std::uint64_t draw = 0;
  while (Clock::now() < end) {  // the best of many short runs: the machine may be shared
    const auto start = Clock::now();
    constexpr int kSteps = 50;
    for (int i = 0; i < kSteps; ++i) {
      for (float& v : u) v = static_cast<float>(mix64(7, draw++) >> 40) * 0x1p-24f;
      plan->step(u, 1, codes);
    }
    const std::chrono::duration<double> took = Clock::now() - start;
    best = std::max(best, kSteps / took.count());
  }
  return best;
}

void report(const char* name, const nn::WaveNetConfig& config, double seconds) {
  nn::WaveNet net(config);
  nn::materialise(net);
  net.eval();
  std::printf("%-34s %9lld weights\n", name, static_cast<long long>(net.parameter_count()));
  struct Way {
    std::int64_t batch;
    DType weights;
    int threads;
  };
  // A step reads every weight but the table of codes once, for all streams together.
  const double weights = static_cast<double>(net.parameter_count() - config.classes * config.channels);
  for (const auto& [batch, type, threads] :
       {Way{1, DType::f32, 1}, {1, DType::bf16, 1}, {1, DType::f32, 2}, {1, DType::bf16, 2}, {16, DType::f32, 1}}) {
    const double bytes = weights * static_cast<double>(size_of(type));
    const bench::Level level = bench::machine().level_of(bytes, threads);
    double stream = bench::read_peak(level, threads, 0.1), peak = bench::f32_peak(threads, 0.02);
    const double rate = samples_per_second(net, batch, type, threads, seconds);
    stream = (stream + bench::read_peak(level, threads, 0.1)) / 2;
    peak = (peak + bench::f32_peak(threads, 0.02)) / 2;
    const double memory = bytes / (stream * 1e9);
    const double arithmetic = 2 * weights * static_cast<double>(batch) / (peak * 1e9);
    std::printf("  batch %2lld %-4s %d thread%s: %8.0f steps/s, %5.1f GB/s of weights, %5.1f GFLOP/s, %3.0f %% of %s\n",
                static_cast<long long>(batch), tapedeck::name(type), threads, threads > 1 ? "s" : " ", rate,
                1e-9 * rate * bytes, 2e-9 * rate * static_cast<double>(batch) * weights,
                100 * rate * std::max(memory, arithmetic), memory > arithmetic ? bench::name(level) : "peak");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 1;
  if (argc > 2 || !(seconds > 0 && seconds <= 600)) {
    std::fprintf(stderr, "usage: generate_bench [SECONDS of each row, up to 600; default 1]\n");
    return 2;
  }
  set_num_threads(1);
  std::printf("%s\n", bench::to_table(bench::machine()).c_str());
  nn::WaveNetConfig small{.blocks = {9}, .channels = 32, .residual_channels = 32, .skip_channels = 32};
  small.head.hidden = 64;
  report("9 layers, R=32 S=32", small, seconds);
  report("default (4 layers of 128)", {}, seconds);
  report("30 layers, R=32 S=128", bench::wavenet_config(32, 128), seconds);
  report("30 layers, R=64 S=256", bench::wavenet_config(64, 256), seconds);
  return 0;
}
