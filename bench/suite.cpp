// tapedeck-bench: the benchmark suite. Every row stands beside the machine's ceiling, measured in the same run.
//   tapedeck-bench [--json FILE [--force]] [--filter REGEX] [--quick]    or the options of Google Benchmark
#include <benchmark/benchmark.h>
#include <spawn.h>
#include <sys/wait.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/file.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include "cases/driver.h"
#include "machine.h"
#include "models.h"
#include "shapes.h"

extern char** environ;

namespace tapedeck::bench {
namespace {

using std::int64_t;

std::vector<int> thread_counts() {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return cores > 1 ? std::vector<int>{1, cores} : std::vector<int>{1};
}

// What one run of a row needs at least: share = what the machine allows over what it took.
struct Work {
  double flops = 0, bytes = 0;  // bytes in and out, each once
  double working_set = 0;       // decides the level of memory; 0: bytes
};

void count(benchmark::State& state, const Work& work, int threads) {
  using benchmark::Counter;
  const auto rate = [&](double v) { return Counter(v, Counter::kIsIterationInvariantRate); };
  const Ceiling& c = machine().at(threads);
  if (work.flops > 0) state.counters["GFLOP/s"] = rate(work.flops * 1e-9);
  if (work.bytes > 0) state.counters["GB/s"] = rate(work.bytes * 1e-9);
  const Level level = machine().level_of(work.working_set > 0 ? work.working_set : work.bytes, threads);
  const double least = std::max(work.flops / (c.f32 * 1e9), work.bytes / (c.level[level].copy * 1e9));
  if (least > 0) state.counters["share"] = rate(least);
}

// A row for each thread count; on one thread in processor time, which other work does not lengthen.
void add(const std::string& name, const std::vector<int>& threads, const Work& work, std::function<void()> prepare,
         std::function<void()> run) {
  for (const int n : threads) {
    auto* row =
        benchmark::RegisterBenchmark((name + "/threads:" + std::to_string(n)).c_str(), [=](benchmark::State& state) {
          set_num_threads(n);
          prepare();
          for (auto _ : state) run();
          count(state, work, n);
        });
    if (n > 1) row->UseRealTime();
  }
}

// ---- ops ------------------------------------------------------------------------------------------------------------
void add_ops() {
  for (cases::OpCase& found : shapes()) {
    const auto c = std::make_shared<cases::OpCase>(std::move(found));
    for (const auto where : {cases::CallsSlot::forward, cases::CallsSlot::backward}) {
      const bool backward = where == cases::CallsSlot::backward;
      if (backward && !has_gradient_case(*c)) continue;
      const std::string name = std::string(backward ? "forward+backward/" : "forward/") + c->op + " " + describe(*c);
      for (const char* variant : {"simd", "eigen"}) {
        struct Kept {
          std::vector<Tensor> inputs;
          Tensor gy;
        };
        const auto kept = std::make_shared<Kept>();
        double bytes = c->bytes();  // of the inputs; elementwise ops give as much as they take
        if (c->flops == 0) bytes *= 2;
        add(
            name + "/" + variant, thread_counts(), {c->flops * (backward ? 3 : 1), bytes * (backward ? 2 : 1), bytes},
            [=] {
              kernels::prefer(variant);
              if (kept->inputs.empty()) kept->inputs = make_inputs(*c), kept->gy = incoming_gradient(*c, kept->inputs);
            },
            [=] { run_once(*c, kept->inputs, kept->gy, where); });
      }
    }
  }
}

void usual() { kernels::prefer(""); }

void add_small_ops() {
  const Tensor a = full({64}, 1.5), b = full({64}, 2.5), leaf = full({64}, 1.5).set_requires_grad(true);
  constexpr int kChain = 1000;
  const auto chain = [=](const Tensor& x) {
    Tensor y = x;
    for (int i = 0; i < kChain; ++i) y = tapedeck::add(y, b);
    return y;
  };
  add("1000 small ops/eager", {1}, {}, usual, [=] { benchmark::DoNotOptimize(chain(a)); });
  add("1000 small ops/recorded", {1}, {}, usual, [=] {
    Tape tape;
    benchmark::DoNotOptimize(chain(leaf));
  });
  add("1000 small ops/forward+backward", {1}, {}, usual, [=] {
    Tape tape;
    const Tensor y = chain(leaf);
    leaf.zero_grad();
    tape.backward(y, full({64}, 1));
  });
}

// ---- models ---------------------------------------------------------------------------------------------------------
void add_models() {
  for (const auto& [residual, skip] : {std::pair<int64_t, int64_t>{64, 256}, {32, 128}}) {
    const std::string name = "R=" + std::to_string(residual) + " S=" + std::to_string(skip);
    const auto step = std::make_shared<std::unique_ptr<TrainingStep>>();
    const auto prepare = [=, residual = residual, skip = skip] {
      usual();
      if (!*step) *step = std::make_unique<TrainingStep>(residual, skip, 4, 4000), (*step)->run();
    };
    const TrainingStep small(residual, skip, 1, 1);
    add("wavenet training step/" + name, thread_counts(), {small.flops() * 16000}, prepare, [=] { (*step)->run(); });
    for (const int64_t batch : {1, 16}) {
      struct Kept {
        std::unique_ptr<nn::GenerationPlan> plan;
        std::vector<int64_t> codes;
        std::vector<float> u;
        std::uint64_t draw = 0;
      };
      const auto kept = std::make_shared<Kept>();
      nn::WaveNet net(wavenet_config(residual, skip));
      nn::materialise(net), net.eval();
      // A step reads every weight but the table of codes once, for all streams together.
      const double weights = static_cast<double>(net.parameter_count() - 256 * residual);
      kept->plan = net.plan(batch);
      kept->plan->prime(full({batch, net.shift()}, 128, {DType::i64}));
      kept->codes.resize(static_cast<std::size_t>(batch)), kept->u.resize(kept->codes.size());
      add("wavenet generation/" + name + "/batch " + std::to_string(batch) + "/100 samples", {1},
          {200 * weights * static_cast<double>(batch), 400 * weights, 4 * weights}, usual, [=] {
            for (int i = 0; i < 100; ++i) {
              for (float& v : kept->u) v = static_cast<float>(mix64(7, kept->draw++) >> 40) * 0x1p-24f;
              kept->plan->step(kept->u, 1, kept->codes);
            }
          });
    }
  }
}

void add_signal() {
  const auto x = std::make_shared<Tensor>(), y = std::make_shared<Tensor>();
  const Tensor window = hann_window(2048);
  const StftOptions o{.hop_length = 512, .window = window};
  const auto prepare = [=] {
    usual();
    if (!x->defined()) *x = randn({44100 * 60}), *y = stft(*x, 2048, o);
  };
  add("stft 2048/512 of one minute", thread_counts(), {}, prepare, [=] { stft(*x, 2048, o); });
  add("istft 2048/512 of one minute", thread_counts(), {}, prepare, [=] { istft(*y, 2048, o); });
}

// ---- files and programs ---------------------------------------------------------------------------------------------
std::string folder_of_this_program() { return std::filesystem::read_symlink("/proc/self/exe").parent_path().string(); }

void add_files() {
  const auto folder = std::make_shared<std::string>();
  const auto tensors = std::make_shared<io::SafeTensors>();
  const auto prepare = [=] {
    if (!tensors->tensors.empty()) return;
    for (int i = 0; i < 16; ++i) tensors->tensors.push_back({"w" + std::to_string(i), randn({1024, 512})});
    *folder = (std::filesystem::temp_directory_path() / ("tapedeck-bench-" + std::to_string(getpid()))).string();
    std::filesystem::create_directory(*folder);
    io::save_checkpoint(*folder, 0, {{"model.safetensors", *tensors}});
  };
  const auto clean = [=] { std::filesystem::remove_all(*folder); };
  constexpr double kBytes = 16 * 1024 * 512 * 4;
  const auto row = [&](const char* name, std::function<void()> run) {
    benchmark::RegisterBenchmark(name, [=](benchmark::State& state) {
      prepare();
      for (auto _ : state) run();
      state.counters["GB/s"] = benchmark::Counter(kBytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
      clean(), tensors->tensors.clear();
    })->UseRealTime();
  };
  const auto step = std::make_shared<int64_t>(0);
  row("checkpoint/save 32 MiB", [=] { io::save_checkpoint(*folder, ++*step, {{"model.safetensors", *tensors}}); });
  row("checkpoint/verify and load 32 MiB", [=] {
    io::verify_checkpoint(*folder + "/step-0");
    io::read_safetensors(*folder + "/step-0/model.safetensors");
  });
  const std::string tool = folder_of_this_program() + "/tapedeck";
  if (access(tool.c_str(), X_OK) != 0) return;
  benchmark::RegisterBenchmark("start-up/tapedeck --version", [tool](benchmark::State& state) {
    for (auto _ : state) {
      posix_spawn_file_actions_t quiet;
      posix_spawn_file_actions_init(&quiet);
      posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", 1 /* O_WRONLY */, 0);
      const char* const args[] = {"tapedeck", "--version", nullptr};
      pid_t child = 0;
      if (posix_spawn(&child, tool.c_str(), &quiet, nullptr, const_cast<char**>(args), environ) == 0)
        waitpid(child, nullptr, 0);
      posix_spawn_file_actions_destroy(&quiet);
    }
  })->UseRealTime();
}

// ---- the table ------------------------------------------------------------------------------------------------------
// One line per row: the median time of its repetitions and, beside it, ratios to rows of the same run. What --json
// writes is kept until all is measured.
class Table : public benchmark::BenchmarkReporter {
 public:
  Table() { json_.SetOutputStream(&text_), json_.SetErrorStream(&text_); }
  std::string json() const { return text_.str(); }
  bool ReportContext(const Context& context) override { return json_.ReportContext(context); }
  void ReportRuns(const std::vector<Run>& runs) override {
    json_.ReportRuns(runs);
    for (const Run& r : runs) {
      if (r.run_type != Run::RT_Iteration || r.error_occurred) continue;
      const std::string name = r.benchmark_name();
      const bool real = name.find("/real_time") != std::string::npos;
      Row& row = rows_[name.substr(0, name.find("/real_time"))];
      if (row.times.empty()) order_.push_back(name.substr(0, name.find("/real_time")));
      row.times.push_back((real ? r.GetAdjustedRealTime() : r.GetAdjustedCPUTime()) /
                          benchmark::GetTimeUnitMultiplier(r.time_unit));
      for (const auto& [what, counter] : r.counters) row.counters[what].push_back(counter);
    }
  }
  void Finalize() override {
    json_.Finalize();
    std::printf("%12s %8s %8s %6s %9s %9s  %s\n", "time", "GFLOP/s", "GB/s", "share", "x eigen", "x 1 thread", "what");
    for (const std::string& name : order_) {
      Row& row = rows_[name];
      const double t = middle(row.times);
      std::printf("%9.3f %s %s %s %s %s %s  %s\n", t < 1e-3 ? t * 1e6 : t * 1e3, t < 1e-3 ? "us" : "ms",
                  cell(row, "GFLOP/s", 1, "%8.1f").c_str(), cell(row, "GB/s", 1, "%8.1f").c_str(),
                  cell(row, "share", 100, "%4.0f %%").c_str(), ratio(name, "/simd/", "/eigen/", t).c_str(),
                  ratio(name, "/threads:" + std::to_string(thread_counts().back()), "/threads:1", t).c_str(),
                  name.c_str());
    }
  }

 private:
  struct Row {
    std::vector<double> times;
    std::map<std::string, std::vector<double>> counters;
  };
  static double middle(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
  }
  static std::string cell(Row& row, const char* what, double scale, const char* format) {
    const auto found = row.counters.find(what);
    char text[32];
    if (found == row.counters.end()) return std::strchr(format, '8') ? "       -" : "     -";
    std::snprintf(text, sizeof text, format, scale * middle(found->second));
    return text;
  }
  // How many times as fast as the row whose name has `that` in the place of `mine`.
  std::string ratio(std::string name, const std::string& mine, const std::string& that, double t) {
    const std::size_t at = name.find(mine);
    if (at == std::string::npos || mine == that) return "        -";
    const auto found = rows_.find(name.replace(at, mine.size(), that));
    char text[32];
    if (found == rows_.end()) return "        -";
    std::snprintf(text, sizeof text, "%9.2f", middle(found->second.times) / t);
    return text;
  }
  std::map<std::string, Row> rows_;
  std::vector<std::string> order_;
  std::ostringstream text_;
  benchmark::JSONReporter json_;
};

int run(int argc, char** argv) {
  std::vector<std::string> args{argv[0], "--benchmark_repetitions=3", "--benchmark_enable_random_interleaving=true",
                                "--benchmark_min_time=0.05"};
  std::optional<std::string> json;
  bool force = false;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--json" && i + 1 < argc) {
      json = argv[++i];
    } else if (a == "--filter" && i + 1 < argc) {
      args.push_back("--benchmark_filter=" + std::string(argv[++i]));
    } else if (a == "--force") {
      force = true;
    } else if (a == "--quick") {
      args.insert(args.end(), {"--benchmark_repetitions=1", "--benchmark_min_time=0.005"});
    } else if (a.rfind("--benchmark_", 0) == 0) {
      args.push_back(a);
    } else {
      std::fprintf(stderr,
                   "usage: tapedeck-bench [--json FILE [--force]] [--filter REGEX] [--quick] [--benchmark_...]\n");
      return 2;
    }
  }
  if (json) io::OutputFile(*json, force);  // what cannot be written is said before minutes of measuring
  std::vector<char*> pointers;
  for (std::string& a : args) pointers.push_back(a.data());
  int n = static_cast<int>(pointers.size());
  benchmark::Initialize(&n, pointers.data());
  add_small_ops(), add_models(), add_signal(), add_files(), add_ops();
  benchmark::AddCustomContext("machine", to_json(machine()));
  std::printf("%s\n", to_table(machine()).c_str());
  std::fflush(stdout);
  Table table;
  TD_CHECK(benchmark::RunSpecifiedBenchmarks(&table) > 0, ValueError,
           "bench: no row fits the filter; tapedeck-bench --benchmark_list_tests lists them");
  if (json && !table.json().empty()) io::write_file_atomic(*json, table.json(), force);
  return 0;
}

}  // namespace
}  // namespace tapedeck::bench

int main(int argc, char** argv) {
  try {
    return tapedeck::bench::run(argc, argv);
  } catch (const std::exception& e) {  // as tapedeck ends, which becomes this program
    std::fprintf(stderr, "error: %s\n", e.what());
    return dynamic_cast<const tapedeck::ValueError*>(&e) ? 2 : 1;
  }
}
