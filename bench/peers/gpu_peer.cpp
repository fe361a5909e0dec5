// Our side of peers/gpu.py: reads the name of a row from each line, runs it on the GPU for a while and prints the
// seconds of one run and the peak of the device's memory in MiB, or "none" and why. `gpu_peer cuda`; without, the
// names.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/fft.h>
#include <tapedeck/kernels/rnn.h>
#include <tapedeck/kernels/wavenet.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/tensor/random.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
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

Device device;

Tensor draw(const Shape& shape, DType dtype = DType::f32) { return cast(randn(shape) * 0.05, dtype).to(device); }
const char* suffix(DType t) { return t == DType::f32 ? "" : " bf16"; }

Row forward(std::vector<Shape> shapes, DType dtype, std::function<void(const std::vector<Tensor>&)> f) {
  return [=]() -> std::function<void()> {
    std::vector<Tensor> x;
    for (const Shape& s : shapes) x.push_back(draw(s, dtype));
    return [=] { f(x); };
  };
}
// f of leaves, and back from its sum.
Row both_ways(std::vector<Shape> shapes, DType dtype, std::function<Tensor(const std::vector<Tensor>&)> f) {
  return [=]() -> std::function<void()> {
    std::vector<Tensor> leaves;
    for (const Shape& s : shapes) leaves.push_back(draw(s, dtype).set_requires_grad(true));
    return [=] {
      for (const Tensor& x : leaves) x.zero_grad();
      Tape tape;
      tape.backward(sum(f(leaves)));
    };
  };
}

// The same with a variant of these slots asked for by name.
Row by(std::string variant, Row row, std::vector<kernels::SlotBase*> slots) {
  return [=]() -> std::function<void()> {
    return [=, run = row()] {
      std::vector<std::unique_ptr<kernels::Use>> forced;
      for (kernels::SlotBase* s : slots) forced.push_back(std::make_unique<kernels::Use>(*s, variant, device.type));
      run();
    };
  };
}

std::map<std::string, Row> rows() {
  std::map<std::string, Row> r;
  const Shape large{64 << 20};
  r["copy 256 MiB"] = forward({large}, DType::f32, [](const auto& x) { clone(x[0]); });
  r["add 256 MiB"] = forward({large, large}, DType::f32, [](const auto& x) { static_cast<void>(x[0] + x[1]); });
  r["tanh 256 MiB"] = forward({large}, DType::f32, [](const auto& x) { tanh(x[0]); });
  r["gelu 256 MiB"] = forward({large}, DType::f32, [](const auto& x) { gelu(x[0]); });
  r["sum 256 MiB"] = forward({large}, DType::f32, [](const auto& x) { sum(x[0]); });
  r["sum rows 64k x 1k"] = forward({{65536, 1024}}, DType::f32, [](const auto& x) { sum(x[0], {1}); });
  r["sum columns 64k x 1k"] = forward({{65536, 1024}}, DType::f32, [](const auto& x) { sum(x[0], {0}); });
  r["softmax 64k x 1k"] = forward({{65536, 1024}}, DType::f32, [](const auto& x) { softmax(x[0], -1); });
  r["layer norm 64k x 1k"] =
      forward({{65536, 1024}, {1024}, {1024}}, DType::f32, [](const auto& x) { layer_norm(x[0], {1024}, x[1], x[2]); });
  r["cumsum 64k x 1k"] = forward({{65536, 1024}}, DType::f32, [](const auto& x) { cumsum(x[0], 1); });
  r["sort 16k x 1k"] = forward({{16384, 1024}}, DType::f32, [](const auto& x) { sort(x[0], 1); });
  for (const DType t : {DType::f32, DType::bf16}) {
    const std::string s = suffix(t);
    for (const auto& [m, n, k] : {std::array<int64_t, 3>{4096, 4096, 4096},
                                  {16384, 128, 64},
                                  {16384, 256, 64},
                                  {1024, 1024, 1024},
                                  {512, 64, 256}})
      r["matmul " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + s] =
          forward({{m, k}, {k, n}}, t, [](const auto& x) { matmul(x[0], x[1]); });
    for (const int64_t residual : {64, 128}) {
      const std::string name = "conv1d R=" + std::to_string(residual) + " both ways" + s;
      r[name] = both_ways({{16, 4000, residual}, {2 * residual, residual, 2}, {2 * residual}}, t, [](const auto& x) {
        return conv1d(x[0], x[1], x[2], {1, 64, 1, Padding::causal});
      });
      r[name + ", cudnn"] =
          by("cudnn", r[name], {&kernels::conv1d, &kernels::conv1d_input_grad, &kernels::conv1d_weight_grad});
    }
    for (const auto& [residual, skip] : {std::pair<int64_t, int64_t>{64, 256}, {128, 512}})
      for (const char* way :
           {"", "units", "own", "cublas", "composed"})  // of the layers: the usual one, or one of its variants
        r["wavenet training step R=" + std::to_string(residual) + " S=" + std::to_string(skip) + s +
          (*way ? std::string(", layers ") + way : "")] = [=]() -> std::function<void()> {
          const auto step = std::make_shared<bench::TrainingStep>(residual, skip, 16, 4000, device, t);
          return [=] {
            const kernels::Use forward(kernels::wavenet_layer, way, device.type);
            const kernels::Use backward(kernels::wavenet_layer_backward, way, device.type);
            step->run();
          };
        };
    r["attention 4 x 16 heads of 64, 2048 steps" + s] =
        both_ways({{64, 2048, 64}, {64, 2048, 64}, {64, 2048, 64}}, t,
                  [](const auto& x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.is_causal = true}); });
    r["attention 4 x 16 heads of 64, 2048 steps" + s + ", flash"] =
        r["attention 4 x 16 heads of 64, 2048 steps" + s];  // beside another kernel of PyTorch
  }
  for (const int64_t gates : {3, 4})
    for (const DType t : {DType::f32, DType::bf16}) {
      const std::string name =
          std::string(gates == 3 ? "gru" : "lstm") + " 64x512 steps of 512" + (t == DType::f32 ? "" : " bf16");
      r[name] = both_ways({{64, 512, 512}, {gates * 512, 512}, {gates * 512, 512}, {gates * 512}, {gates * 512}}, t,
                          [=](const auto& x) {
                            const std::vector<Tensor> w(x.begin() + 1, x.end());
                            return gates == 3 ? gru(x[0], {}, w).output : lstm(x[0], {}, {}, w).output;
                          });
      r[name + ", steps"] = by("steps", r[name], {&kernels::rnn_sequence, &kernels::rnn_sequence_backward});
      r[name + ", cudnn"] = by("cudnn", r[name], {&kernels::rnn_layer});
    }
  for (const auto& [n, hop] : {std::pair<int64_t, int64_t>{2048, 512}, {1200, 300}})
    for (const char* way : {"", "cufft"})  // of the transforms of frames: the usual one, or the vendor's library
      for (const bool back : {false, true})
        r[(back ? "istft " : "stft ") + std::to_string(n) + "/" + std::to_string(hop) + " of 16 minutes" +
          (*way ? std::string(", ") + way : "")] = [=]() -> std::function<void()> {
          const Tensor x = draw({16, 44100 * 60}), window = hann_window(n).to(device);
          const StftOptions options{.hop_length = hop, .window = window};
          const Tensor from = back ? stft(x, n, options) : x;
          return [=] {
            const kernels::Use there(kernels::rfft, way, device.type), here(kernels::irfft, way, device.type);
            back ? istft(from, n, options) : stft(from, n, options);
          };
        };
  for (const auto& [residual, skip] : {std::pair<int64_t, int64_t>{64, 256}, {32, 128}})
    for (const int64_t batch : {1, 128})
      r["wavenet generation R=" + std::to_string(residual) + " S=" + std::to_string(skip) + " batch " +
        std::to_string(batch) + ", 1000 samples"] = [=]() -> std::function<void()> {
        nn::WaveNet net(bench::wavenet_config(residual, skip));
        nn::materialise(net), net.eval(), net.to(device, DType::f32);
        const std::shared_ptr<nn::GenerationPlan> plan = net.plan(batch);
        plan->prime(full({batch, net.shift()}, 128, {DType::i64}));
        return [=, draws = std::uint64_t{0}]() mutable {
          std::vector<int64_t> codes(static_cast<std::size_t>(1000 * batch));
          std::vector<float> u(codes.size());
          for (float& v : u) v = static_cast<float>(mix64(7, draws++) >> 40) * 0x1p-24f;
          plan->steps(u, 1, codes);
        };
      };
  return r;
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
void wait() { runtime(device.type).synchronize(device.index); }

// Seconds of one run: as many as fill 50 ms.
double timed(const std::function<void()>& run) {
  wait();
  for (int n = 1;; n *= 4) {
    const double start = now();
    for (int i = 0; i < n; ++i) run();
    wait();
    const double seconds = now() - start;
    if (seconds > 0.05 || n >= 1024) return seconds / n;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: gpu_peer cuda <rows, one a line>; the rows are:\n");
    for (const auto& [name, row] : rows()) std::fprintf(stderr, "%s\n", name.c_str());
    return 2;
  }
  try {
    device = parse_device(argv[1]);
  } catch (const Error& e) {
    std::fprintf(stderr, "gpu_peer: %s\n", e.what());
    return 5;
  }
  const auto all = rows();
  std::string current;
  std::function<void()> run;
  for (std::string name; std::getline(std::cin, name);) {
    try {
      const auto found = all.find(name);
      TD_CHECK(found != all.end(), ValueError, "there is no such row");
      if (name != current) {
        run = nullptr, current = "", empty_cache();
        run = found->second();
        run(), wait();
        current = name;
      }
      reset_peak_memory(device);
      const double seconds = timed(run);
      std::printf("%.9f %.1f\n", seconds, static_cast<double>(memory_stats(device).peak_live_bytes) / (1 << 20));
    } catch (const std::exception& e) {
      std::string text = e.what();
      std::replace(text.begin(), text.end(), '\n', ' ');
      std::printf("none %s\n", text.c_str());
    }
    std::fflush(stdout);
  }
  return 0;
}
