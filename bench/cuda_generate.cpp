// Samples per second of WaveNet generation on a GPU: cuda_generate [--batch N] [--channels R] [--skip S] [--seconds T]
// [--steps N of one launch] [--plan forward] [--device cuda:I]. People's text on stderr, one line of JSON on stdout.
#include <tapedeck/kernels/slot.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/nn/wavenet_plan.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "models.h"

namespace {

using namespace tapedeck;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

int run(int argc, char** argv) {
  std::int64_t batch = 1, channels = 64, skip = 256, steps = 4800;
  double seconds = 2;
  std::string where = "cuda", kind = "fastest";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i], value = argv[i + 1];
    if (option == "--batch")
      batch = std::stoll(value);
    else if (option == "--channels")
      channels = std::stoll(value);
    else if (option == "--skip")
      skip = std::stoll(value);
    else if (option == "--steps")
      steps = std::stoll(value);
    else if (option == "--seconds")
      seconds = std::stod(value);
    else if (option == "--plan")
      kind = value;
    else if (option == "--device")
      where = value;
    else
      return std::fprintf(stderr, "cuda_generate: no option %s\n", option.c_str()), 2;
  }
  kernels::all();
  const Device device = parse_device(where);
  nn::WaveNet net(bench::wavenet_config(channels, skip));
  nn::materialise(net);
  net.eval();
  const auto on_cpu = net.plan(batch);
  net.to(device, DType::f32);
  const auto plan = kind == "forward" ? nn::forward_plan(net, batch, DType::f32) : net.plan(batch);

  // First that it is right: the largest error of a logit, in parts of the largest logit.
  const Tensor prompt = full({batch, 40}, 128, {DType::i64});
  on_cpu->prime(prompt), plan->prime(prompt);
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < plan->logits().size(); ++i) {
    error = std::max(error, std::abs(double{plan->logits()[i]} - double{on_cpu->logits()[i]}));
    largest = std::max(largest, std::abs(double{on_cpu->logits()[i]}));
  }
  std::fprintf(stderr, "logits against the CPU's: largest error %.2g of the largest logit\n", error / largest);

  std::vector<float> u(static_cast<std::size_t>(steps * batch));
  for (std::size_t i = 0; i < u.size(); ++i) u[i] = static_cast<float>(mix64(7, i) >> 40) * 0x1p-24f;
  std::vector<std::int64_t> codes(u.size());
  plan->prime(full({batch, net.shift()}, 128, {DType::i64}));
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 3 || seconds_since(start) < seconds) {
    const auto begin = Clock::now();
    plan->steps(u, 1, codes);
    times.push_back(seconds_since(begin));
  }
  std::sort(times.begin(), times.end());
  std::fprintf(stderr, "%s\n", plan->how().c_str());
  const double took = times[times.size() / 2], rate = static_cast<double>(steps * batch) / took;
  const double weights =
      static_cast<double>(net.parameter_count() - net.config().classes * net.config().residual_channels.value_or(0));
  std::fprintf(stderr,
               "R=%lld S=%lld, %lld streams: %.0f samples/s (%.0f of each stream, %.2f us a step, %.1f x real time at "
               "16 kHz); %.2f TFLOP/s\n",
               static_cast<long long>(channels), static_cast<long long>(skip), static_cast<long long>(batch), rate,
               rate / static_cast<double>(batch), 1e6 * took / static_cast<double>(steps),
               rate / static_cast<double>(batch) / 16000, 2e-12 * rate * weights);
  std::printf(
      "{\"channels\": %lld, \"skip\": %lld, \"batch\": %lld, \"samples_per_second\": %.1f, "
      "\"microseconds_per_step\": %.3f, \"tflops\": %.3f, \"logit_error\": %.3g}\n",
      static_cast<long long>(channels), static_cast<long long>(skip), static_cast<long long>(batch), rate,
      1e6 * took / static_cast<double>(steps), 2e-12 * rate * weights, error / largest);
  return error / largest < 1e-3 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "cuda_generate: %s\n", e.what());
    return 5;
  }
}
