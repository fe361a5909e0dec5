// Our side of peers/models.py: reads the name of a row from each line, runs it once and prints its seconds and the
// peak of resident memory in MiB. `model_peer THREADS`; without a line, the names.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/random.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>

#include "models.h"

namespace {

using namespace tapedeck;
using std::int64_t;
using Row = std::function<std::function<void()>()>;  // makes the data, gives what is timed

Row training(int64_t residual, int64_t skip) {
  return [=]() -> std::function<void()> {
    const auto step = std::make_shared<bench::TrainingStep>(residual, skip, 4, 4000);
    return [step] { step->run(); };
  };
}

Row generation(int64_t residual, int64_t skip, int64_t batch) {
  return [=]() -> std::function<void()> {
    nn::WaveNet net(bench::wavenet_config(residual, skip));
    nn::materialise(net), net.eval();
    const std::shared_ptr<nn::GenerationPlan> plan = net.plan(batch);
    plan->prime(full({batch, net.shift()}, 128, {DType::i64}));
    return [=, draw = std::uint64_t{0}]() mutable {
      std::vector<int64_t> codes(static_cast<std::size_t>(batch));
      std::vector<float> u(codes.size());
      for (int i = 0; i < 100; ++i) {
        for (float& v : u) v = static_cast<float>(mix64(7, draw++) >> 40) * 0x1p-24f;
        plan->step(u, 1, codes);
      }
    };
  };
}

// f of leaves, and back from its sum.
Row both_ways(std::vector<Shape> shapes, std::function<Tensor(const std::vector<Tensor>&)> f) {
  return [=]() -> std::function<void()> {
    std::vector<Tensor> leaves;
    for (const Shape& s : shapes) leaves.push_back((randn(s) * 0.05).set_requires_grad(true));
    return [=] {
      for (const Tensor& x : leaves) x.zero_grad();
      Tape tape;
      tape.backward(sum(f(leaves)));
    };
  };
}

std::map<std::string, Row> rows() {
  std::map<std::string, Row> r;
  for (const auto& [residual, skip] : {std::pair<int64_t, int64_t>{64, 256}, {32, 128}}) {
    const std::string name = " R=" + std::to_string(residual) + " S=" + std::to_string(skip);
    r["wavenet training step" + name] = training(residual, skip);
    for (const int64_t batch : {1, 16})
      r["wavenet generation" + name + " batch " + std::to_string(batch)] = generation(residual, skip, batch);
    for (const int64_t dilation : {1, 512})
      r["conv1d" + name + " dilation " + std::to_string(dilation)] =
          both_ways({{4, 4000, residual}, {2 * residual, residual, 2}, {2 * residual}}, [=](const auto& x) {
            return conv1d(x[0], x[1], x[2], {1, dilation, 1, Padding::causal});
          });
  }
  for (const int64_t gates : {3, 4})
    r[gates == 3 ? "gru 64x512 steps of 512" : "lstm 64x512 steps of 512"] = both_ways(
        {{64, 512, 512}, {gates * 512, 512}, {gates * 512, 512}, {gates * 512}, {gates * 512}}, [=](const auto& x) {
          const std::vector<Tensor> w(x.begin() + 1, x.end());
          return gates == 3 ? gru(x[0], {}, w).output : lstm(x[0], {}, {}, w).output;
        });
  r["attention 8 heads of 64, 2048 steps"] =
      both_ways({{8, 2048, 64}, {8, 2048, 64}, {8, 2048, 64}},
                [](const auto& x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.is_causal = true}); });
  r["stft 2048/512 of one minute"] = []() -> std::function<void()> {
    const Tensor x = randn({44100 * 60}), window = hann_window(2048);
    return [=] { stft(x, 2048, {.hop_length = 512, .window = window}); };
  };
  r["istft 2048/512 of one minute"] = []() -> std::function<void()> {
    const StftOptions o{.hop_length = 512, .window = hann_window(2048)};
    const Tensor y = stft(randn({44100 * 60}), 2048, o);
    return [=] { istft(y, 2048, o); };
  };
  return r;
}

double now(bool processor) {
  timespec t;
  clock_gettime(processor ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double peak_mib() {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;)
    if (double kib = 0; word == "VmHWM:" && in >> kib) return kib / 1024;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  const auto all = rows();
  if (threads < 1 || threads > 256) {
    std::fprintf(stderr, "usage: model_peer THREADS <rows, one a line>; the rows are:\n");
    for (const auto& [name, row] : all) std::fprintf(stderr, "%s\n", name.c_str());
    return 2;
  }
  set_num_threads(threads);
  std::string current;
  std::function<void()> run;
  for (std::string name; std::getline(std::cin, name);) {
    const auto found = all.find(name);
    if (found == all.end()) return std::fprintf(stderr, "model_peer: no row \"%s\"\n", name.c_str()), 2;
    if (name != current) {
      run = nullptr, empty_cache();
      run = found->second(), current = name;
      run();  // warm
    }
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak counts from here on
    const double start = now(threads == 1);
    run();
    std::printf("%.9f %.1f\n", now(threads == 1) - start, peak_mib());
    std::fflush(stdout);
  }
  return 0;
}
