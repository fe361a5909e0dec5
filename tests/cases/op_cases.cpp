// op_cases: runs the table of op cases through its drivers.
//   op_cases [--coverage]                  every case and what was never called; prints the calls too
//   op_cases --filter GLOB [--first]       some of the cases; up to the first failure
//   op_cases --sample N                    one case in N, and the broken arguments; no coverage
//   op_cases --replay 'conv1d#12'          one case in detail
//   op_cases --list | --count | --support  cases by name; how many of each op; slots by variant and dtype
//   op_cases --sweep [--full] [--filter GLOB] [--bits 0xPATTERN]   functions of one f32 over bit patterns of it
//   op_cases --hostile GLOB [--seconds N] [--seed N]   ops with broken arguments; a seed without seconds: one call
//   op_cases --device cuda|emulated [--filter GLOB] [--shard I/N]   every case on a GPU, or on its emulation; the part
//   I
//                                          of N of them
//   op_cases --check-matrix FILE           every case; FILE's support matrix must be current (--write-matrix mends it)
#include <fnmatch.h>
#include <tapedeck/kernels/generate.h>
#include <tapedeck/kernels/steps.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <chrono>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "cases/coverage.h"
#include "cases/driver.h"
#include "cases/guard.h"
#include "cases/hostile.h"
#include "cases/patterns.h"
#include "cuda/emulated_memory.h"
#include "cuda/emulated_runtime.h"

namespace tapedeck::cases {
namespace {

struct Named {
  const OpCase* c;
  std::string name;  // op#number in the table
};
std::vector<Named> named_table() {
  std::vector<Named> out;
  std::map<std::string, int> next;
  for (const OpCase& c : table()) out.push_back({&c, c.op + "#" + std::to_string(next[c.op]++)});
  return out;
}

void print(const Outcome& o, const Named& n, const char* driver) {
  for (const std::string& fault : o.faults)
    std::printf("FAILED %s: %s\n  %s\n  replay: op_cases --replay '%s'\n", driver, describe(*n.c).c_str(),
                fault.c_str(), n.name.c_str());
}

int replay(const std::string& name) {
  for (const Named& n : named_table()) {
    if (n.name != name) continue;
    std::printf("%s: %s, seed %llu\n", name.c_str(), describe(*n.c).c_str(),
                static_cast<unsigned long long>(seed_of(*n.c)));
    const auto inputs = make_inputs(*n.c);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      std::printf("input %zu: %s\n  %s\n", i, tapedeck::describe(inputs[i]).c_str(), to_string(inputs[i], 24).c_str());
    for (const Tensor& y : call_case(*n.c, inputs))
      std::printf("output: %s\n  %s\n", tapedeck::describe(y).c_str(), to_string(y, 24).c_str());
    const Outcome forward = run_forward(*n.c), gradient = has_gradient_case(*n.c) ? run_gradient(*n.c) : Outcome{};
    print(forward, n, "forward"), print(gradient, n, "gradient");
    std::printf("forward: %d comparisons, largest error %.3g of its bound", forward.comparisons, forward.worst);
    if (has_gradient_case(*n.c)) std::printf("; gradient: %d comparisons, %.3g", gradient.comparisons, gradient.worst);
    const bool ok = forward.faults.empty() && gradient.faults.empty();
    std::printf("\n%d passed, %d failed\n", ok, !ok);
    return ok ? 0 : 1;
  }
  std::printf("no case is named %s; op_cases --list names them\n", name.c_str());
  return 2;
}

int count() {
  struct Row {
    int forward = 0, gradient = 0;
  };
  std::map<std::string, Row> rows;
  Row all;
  for (const OpCase& c : table()) {
    Row& r = rows[c.op];
    ++r.forward, ++all.forward;
    if (has_gradient_case(c)) ++r.gradient, ++all.gradient;
  }
  for (const auto& [op, r] : rows) std::printf("%-22s %6d forward %6d gradient\n", op.c_str(), r.forward, r.gradient);
  std::printf("%zu ops, %d forward cases, %d gradient cases, %d in all\n", rows.size(), all.forward, all.gradient,
              all.forward + all.gradient);
  return 0;
}

constexpr int kHostileRounds = 200;  // of each op in a whole run

struct Wanted {
  std::string hostile;  // ops to call with broken arguments
  std::uint64_t seed = 0;
  double seconds = 0;
  int sample = 1;                                  // one case in so many
  std::string filter = "*", replay, check, write;  // the last two: files with a support matrix
  bool sweep = false, full = false, first = false;
  std::optional<std::uint32_t> bits;
  std::string device;
  std::uint64_t shard = 0, shards = 1;
  bool coverage = false, list = false, count = false, support = false;
};

// Variants by libraries that are opened at run time: a real device may be without them.
bool may_be_missing(const std::string& variant) {
  return (variant == "cudnn" || variant == "cufft") && runtime(DeviceType::cuda).name != std::string("emulated cuda");
}

// The slots without a kernel for the device, and kernels there that no case called.
int device_coverage(DeviceType d) {
  int missing = 0;
  std::string without, uncalled;
  for (const kernels::SlotBase* s : kernels::all()) {
    if (s == &kernels::steps || s == &kernels::wavenet_generate) continue;
    if (s->variant_count(d) == 0) without += std::string(" ") + s->name(), ++missing;
    for (int v = 0; v < s->variant_count(d); ++v) {
      std::uint64_t calls = 0;
      for (int t = 0; t < kDTypes; ++t) calls += s->calls(d, v, static_cast<DType>(t));
      if (calls > 0) continue;
      uncalled += std::string(" ") + s->name() + "=" + s->variant_name(d, v);
      missing += !may_be_missing(s->variant_name(d, v));
    }
  }
  std::printf("%zu slots; without a kernel for the device:%s; never called there:%s\n", kernels::all().size(),
              without.empty() ? " none" : without.c_str(), uncalled.empty() ? " none" : uncalled.c_str());
  return missing;
}

// Host code that touches device memory faults on the emulated device: the case fails, and the run goes on.
sigjmp_buf after_fault;
void on_fault(int) { siglongjmp(after_fault, 1); }
Outcome without_faults(Outcome (*f)(const OpCase&, Device), const OpCase& c, Device device) {
  if (sigsetjmp(after_fault, 1) == 0) return f(c, device);
  Outcome out;
  out.faults.push_back("host code touched memory of the device, or a kernel memory that is not its own");
  return out;
}

int run_on_device(const Wanted& w) {
  std::signal(SIGSEGV, on_fault);
  const Device device = parse_device("cuda");
  const auto start = std::chrono::steady_clock::now();
  int passed = 0, failed = 0, comparisons = 0;
  std::map<std::string, std::pair<int, int>> failures;  // by op: forward, gradient
  std::map<std::string, int> printed;
  std::map<std::string, double> worst;
  for (const Named& n : named_table()) {
    if (w.first && failed > 0) break;
    if (n.c->op == "kernel steps") continue;  // generation plans of the CPU
    const std::uint64_t seed = seed_of(*n.c);
    if (seed % static_cast<std::uint64_t>(w.sample) != 0 || seed / 7 % w.shards != w.shard) continue;
    if (fnmatch(w.filter.c_str(), n.name.c_str(), 0) != 0 && fnmatch(w.filter.c_str(), n.c->op.c_str(), 0) != 0)
      continue;
    const auto judge = [&](const Outcome& o, const char* driver, int& count) {
      o.faults.empty() ? ++passed : (++failed, ++count);
      comparisons += o.comparisons;
      worst[n.c->op] = std::max(worst[n.c->op], o.worst);
      if (!o.faults.empty() && printed[n.c->op]++ < 3) print(o, n, driver);
    };
    judge(without_faults(run_forward_on, *n.c, device), "forward on the device", failures[n.c->op].first);
    if (has_gradient_case(*n.c) && dtype_of_case(*n.c) == DType::f32)
      judge(without_faults(run_gradient_on, *n.c, device), "gradient on the device", failures[n.c->op].second);
  }
  for (const auto& [op, counts] : failures)
    if (counts.first + counts.second > 0)
      std::printf("%-26s %d forward and %d gradient cases failed\n", op.c_str(), counts.first, counts.second);
  const int missing = w.filter == "*" && w.sample == 1 && w.shards == 1 ? device_coverage(device.type) : 0;
  std::printf("%d comparisons on %s (%s) in %.1f s\n", comparisons, to_string(device).c_str(),
              runtime(device.type).name,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  std::printf("%d passed, %d failed\n", passed, failed + missing);
  return failed + missing == 0 ? 0 : 1;
}

int run(const Wanted& w) {
  set_num_threads(w.device.empty() ? 2 : 1);
  if (!w.device.empty()) return run_on_device(w);
  if (!w.replay.empty()) return replay(w.replay);
  if (!w.hostile.empty()) {
    if (w.seed != 0 && w.seconds == 0) return replay_hostile(w.seed, w.hostile);
    const int faults = run_hostile(w.hostile, w.seed, w.seconds > 0 ? 1 : kHostileRounds, w.seconds);
    std::printf("%d passed, %d failed\n", faults == 0, faults);
    return faults == 0 ? 0 : 1;
  }
  if (w.sweep) return sweep_patterns({.filter = w.filter, .all = w.full, .only = w.bits});
  if (w.count) return count();
  if (w.list) {
    for (const Named& n : named_table()) std::printf("%s: %s\n", n.name.c_str(), describe(*n.c).c_str());
    return 0;
  }
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  int passed = 0, failed = 0, comparisons = 0;
  std::map<std::string, int> printed;  // by op: the first failures are enough
  Callers callers;
  std::set<std::string> ops_run;
  std::map<std::string, std::pair<double, double>> worst;  // by op: forward, gradient
  std::map<std::string, double> seconds;
  for (const Named& n : named_table()) {
    if (w.first && failed > 0) break;
    if (seed_of(*n.c) % static_cast<std::uint64_t>(w.sample) != 0) continue;
    if (fnmatch(w.filter.c_str(), n.name.c_str(), 0) != 0 && fnmatch(w.filter.c_str(), n.c->op.c_str(), 0) != 0)
      continue;
    const auto begin = Clock::now();
    const auto judge = [&](const Outcome& o, const char* driver, double& most) {
      o.faults.empty() ? ++passed : ++failed;
      comparisons += o.comparisons;
      if (!(o.worst <= most)) most = o.worst;
      if (!o.faults.empty() && printed[n.c->op]++ < 10 && !w.support) print(o, n, driver);
    };
    auto& [forward, gradient] = worst[n.c->op];
    judge(run_forward(*n.c), "forward", forward);
    if (has_gradient_case(*n.c)) judge(run_gradient(*n.c), "gradient", gradient);
    ops_run.insert(n.c->op);
    callers.note(*n.c);
    seconds[n.c->op] += std::chrono::duration<double>(Clock::now() - begin).count();
  }
  if (w.support) return print_support(), 0;
  for (const auto& [op, errors] : worst)
    std::printf("%-22s largest error %.2f of its bound forward, %.2f gradient; %.2f s%s\n", op.c_str(), errors.first,
                errors.second, seconds[op],
                printed[op] > 0 ? (", " + std::to_string(printed[op]) + " failed").c_str() : "");
  int missing = 0;
  if (w.filter == "*" && w.sample == 1) {
    missing = coverage(callers, ops_run, w.coverage) + missing_ops();
    if (!w.write.empty() && !write_matrix(w.write)) ++missing;
    if (!w.check.empty() && !check_matrix(w.check)) ++missing;
  }
  if (w.filter == "*")
    missing += run_hostile("*", 0, std::max(1, kHostileRounds / w.sample), 0);  // last: its calls are not support
  std::printf("%d comparisons with a reference in %.1f s\n", comparisons,
              std::chrono::duration<double>(Clock::now() - start).count());
  std::printf("%d passed, %d failed\n", passed, failed + missing);
  return failed + missing == 0 ? 0 : 1;
}

int usage() {
  std::fprintf(
      stderr,
      "usage: op_cases [--coverage] [--check-matrix FILE | --write-matrix FILE] | --filter GLOB [--first] | --replay "
      "NAME | --sweep [--full] [--filter GLOB] [--bits PATTERN] | --list | --count | --support | --device "
      "cuda|emulated [--shard I/N]\n");
  return 2;
}

int main_of(int argc, char** argv) {
  Wanted w;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--filter" && i + 1 < argc)
      w.filter = argv[++i];
    else if (a == "--replay" && i + 1 < argc)
      w.replay = argv[++i];
    else if (a == "--hostile" && i + 1 < argc)
      w.hostile = argv[++i];
    else if (a == "--sample" && i + 1 < argc)
      w.sample = std::max(1, std::atoi(argv[++i]));
    else if (a == "--seed" && i + 1 < argc)
      w.seed = std::strtoull(argv[++i], nullptr, 10);
    else if (a == "--seconds" && i + 1 < argc)
      w.seconds = std::strtod(argv[++i], nullptr);
    else if (a == "--device" && i + 1 < argc)
      w.device = argv[++i];
    else if (a == "--shard" && i + 1 < argc)
      std::sscanf(argv[++i], "%lu/%lu", &w.shard, &w.shards), w.shards = std::max<std::uint64_t>(1, w.shards);
    else if (a == "--check-matrix" && i + 1 < argc)
      w.check = argv[++i];
    else if (a == "--write-matrix" && i + 1 < argc)
      w.write = argv[++i];
    else if (a == "--sweep")
      w.sweep = true;
    else if (a == "--full")
      w.full = true;
    else if (a == "--bits" && i + 1 < argc)
      w.bits = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 16));
    else if (a == "--first")
      w.first = true;
    else if (a == "--coverage")
      w.coverage = true;
    else if (a == "--list")
      w.list = true;
    else if (a == "--count")
      w.count = true;
    else if (a == "--support")
      w.support = true;
    else
      return usage();
  }
  if (!w.device.empty() && w.device != "cuda" && w.device != "emulated") return usage();
  if (w.device == "emulated") {
    kernels::cuda_emulated::install();
    emulation::on_violation = report_violation;
  }
  if (w.device != "cuda") guard_memory();  // a real device keeps its blocks
  return run(w);
}

}  // namespace
}  // namespace tapedeck::cases

int main(int argc, char** argv) {
  try {
    return tapedeck::cases::main_of(argc, argv);
  } catch (const tapedeck::DeviceError& e) {
    return std::fprintf(stderr, "op_cases: %s\n", e.what()), 5;
  }
}
