// Samples per second of WaveNet generation on a GPU: cuda_generate [--batch N] [--channels R] [--skip S] [--seconds T]
// [--steps N of one launch] [--plan NAME] [--device cuda:I|emulated]. Plans: fastest; a variant of wavenet_generate;
// all of these variants; forward: recorded forward passes. People's text on stderr, a line of JSON per plan on stdout.
#include <tapedeck/kernels/generate.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/nn/wavenet_plan.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "models.h"
#ifdef TAPEDECK_HAS_EMULATION
#include "cuda/emulated_runtime.h"
#endif

namespace {

using namespace tapedeck;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Options {
  std::int64_t batch = 1, channels = 64, skip = 256, steps = 4800;
  double seconds = 2;
};

int measure(const Options& o, Device device, const std::string& kind) {
  nn::WaveNet net(bench::wavenet_config(o.channels, o.skip));
  nn::materialise(net);
  net.eval();
  const auto on_cpu = net.plan(o.batch);
  net.to(device, DType::f32);
  std::unique_ptr<nn::GenerationPlan> plan;
  if (kind == "forward") {
    plan = nn::forward_plan(net, o.batch, DType::f32);
  } else {
    const kernels::Use guard(kernels::wavenet_generate, kind == "fastest" ? "" : kind, device.type);
    plan = net.plan(o.batch);
  }

  if (kind != "forward" && kind != "fastest" && plan->how().starts_with("forward"))
    return std::fprintf(stderr, "%s: not for this network, batch and device\n", kind.c_str()), 0;

  // First that it is right: the largest error of a logit, in parts of the largest logit.
  const Tensor prompt = full({o.batch, 40}, 128, {DType::i64});
  on_cpu->prime(prompt), plan->prime(prompt);
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < plan->logits().size(); ++i) {
    error = std::max(error, std::abs(double{plan->logits()[i]} - double{on_cpu->logits()[i]}));
    largest = std::max(largest, std::abs(double{on_cpu->logits()[i]}));
  }
  std::fprintf(stderr, "logits against the CPU's: largest error %.2g of the largest logit\n", error / largest);

  std::vector<float> u(static_cast<std::size_t>(o.steps * o.batch));
  for (std::size_t i = 0; i < u.size(); ++i) u[i] = static_cast<float>(mix64(7, i) >> 40) * 0x1p-24f;
  std::vector<std::int64_t> codes(u.size());
  plan->prime(full({o.batch, net.shift()}, 128, {DType::i64}));
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 3 || seconds_since(start) < o.seconds) {
    const auto begin = Clock::now();
    plan->steps(u, 1, codes);
    times.push_back(seconds_since(begin));
  }
  std::sort(times.begin(), times.end());
  std::fprintf(stderr, "%s\n", plan->how().c_str());
  const double took = times[times.size() / 2], rate = static_cast<double>(o.steps * o.batch) / took;
  const double weights =
      static_cast<double>(net.parameter_count() - net.config().classes * net.config().residual_channels.value_or(0));
  std::fprintf(stderr,
               "R=%lld S=%lld, %lld streams: %.0f samples/s (%.0f of each stream, %.2f us a step, %.1f x real time at "
               "16 kHz); %.2f TFLOP/s\n",
               static_cast<long long>(o.channels), static_cast<long long>(o.skip), static_cast<long long>(o.batch),
               rate, rate / static_cast<double>(o.batch), 1e6 * took / static_cast<double>(o.steps),
               rate / static_cast<double>(o.batch) / 16000, 2e-12 * rate * weights);
  std::printf(
      "{\"plan\": \"%s\", \"channels\": %lld, \"skip\": %lld, \"batch\": %lld, \"samples_per_second\": %.1f, "
      "\"microseconds_per_step\": %.3f, \"tflops\": %.3f, \"logit_error\": %.3g}\n",
      kind.c_str(), static_cast<long long>(o.channels), static_cast<long long>(o.skip), static_cast<long long>(o.batch),
      rate, 1e6 * took / static_cast<double>(o.steps), 2e-12 * rate * weights, error / largest);
  return error / largest < 1e-3 ? 0 : 1;
}

int run(int argc, char** argv) {
  Options o;
  std::string where = "cuda", kind = "fastest";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i], value = argv[i + 1];
    if (option == "--batch")
      o.batch = std::stoll(value);
    else if (option == "--channels")
      o.channels = std::stoll(value);
    else if (option == "--skip")
      o.skip = std::stoll(value);
    else if (option == "--steps")
      o.steps = std::stoll(value);
    else if (option == "--seconds")
      o.seconds = std::stod(value);
    else if (option == "--plan")
      kind = value;
    else if (option == "--device")
      where = value;
    else
      return std::fprintf(stderr, "cuda_generate: no option %s\n", option.c_str()), 2;
  }
#ifdef TAPEDECK_HAS_EMULATION
  if (where == "emulated") kernels::cuda_emulated::install(), where = "cuda";
#endif
  kernels::all();
  const Device device = parse_device(where);
  if (kind != "all") return measure(o, device, kind);
  int code = 0;
  for (int i = 0; i < kernels::wavenet_generate.variant_count(device.type); ++i)
    code = std::max(code, measure(o, device, kernels::wavenet_generate.variant_name(device.type, i)));
  return code;
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
