// op_cases: runs the table of op cases through its drivers.
//   op_cases [--coverage]                  every case and what was never called; prints the calls too
//   op_cases --filter GLOB                 some of the cases
//   op_cases --replay 'conv1d#12'          one case in detail
//   op_cases --list | --count | --support  cases by name; how many of each op; slots by variant and dtype
#include <fnmatch.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "cases/driver.h"
#include "cases/guard.h"
#include "op_declarations.h"

namespace tapedeck::cases {
namespace {

using kernels::SlotBase;

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

int support() {
  constexpr DType types[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                             DType::i64, DType::i32, DType::u8,   DType::boolean};
  std::printf("%-26s %-6s %-8s", "slot", "device", "variant");
  for (const DType t : types) std::printf(" %5s", tapedeck::name(t));
  std::printf("\n");
  for (const SlotBase* s : kernels::all())
    for (const DeviceType d : {DeviceType::cpu, DeviceType::cuda})
      for (int v = 0; v < s->variant_count(d); ++v) {
        std::printf("%-26s %-6s %-8s", s->name(), d == DeviceType::cpu ? "cpu" : "cuda", s->variant_name(d, v));
        for (const DType t : types) std::printf(" %5s", s->calls(d, v, t) > 0 ? "yes" : "-");
        std::printf("\n");
      }
  return 0;
}

// ---- coverage
// ---------------------------------------------------------------------------------------------------------
std::uint64_t calls_of(const SlotBase& s, DType t) {
  std::uint64_t n = 0;
  for (int v = 0; v < s.variant_count(DeviceType::cpu); ++v) n += s.calls(DeviceType::cpu, v, t);
  return n;
}

// A few cases for every slot and dtype that called it: what a variant that no case chose is forced to run on.
class Callers {
 public:
  void note(const OpCase& c) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      Entry& e = entries_[i];
      if (e.cases.size() == 4) continue;
      const DType t = i % 2 ? DType::f64 : DType::f32;
      const std::uint64_t now = calls_of(*kernels::all()[i / 2], t);
      // The reference of an f32 case calls slots in f64: forcing needs cases whose own type it is.
      if (now != e.calls && !c.inputs.empty() && c.inputs.back().dtype == t) e.cases.push_back(&c);
      e.calls = now;
    }
  }
  const std::vector<const OpCase*>& of(std::size_t slot, DType t) const {
    return entries_[2 * slot + (t == DType::f64)].cases;
  }

 private:
  struct Entry {
    std::uint64_t calls = 0;
    std::vector<const OpCase*> cases;
  };
  std::vector<Entry> entries_{2 * kernels::all().size()};  // slot by slot: f32, f64
};

// How many slots, variants and functions were never called. A variant that no case chose is forced on cases of its
// slot: it must give right results or refuse. `table`: prints what was called how often.
int coverage(const Callers& callers, const std::set<std::string>& ops_run, bool table) {
  int missing = 0;
  for (std::size_t i = 0; i < kernels::all().size(); ++i) {
    SlotBase* s = kernels::all()[i];
    std::uint64_t total = 0;
    for (int t = 0; t < kDTypes; ++t) total += calls_of(*s, static_cast<DType>(t));
    if (total == 0) std::printf("NOT COVERED slot %s: never called\n", s->name()), ++missing;
    for (int v = 0; v < s->variant_count(DeviceType::cpu); ++v) {
      const char* variant = s->variant_name(DeviceType::cpu, v);
      std::string faults, line;
      for (const DType t : {DType::f32, DType::f64}) {
        std::string refusal;
        for (const OpCase* c : callers.of(i, t)) {
          if (s->calls(DeviceType::cpu, v, t) > 0) break;
          try {
            faults += run_forced(*c, *s, variant);
            if (t == DType::f64 && has_gradient_case(*c)) faults += run_forced_gradient(*c, *s, variant);
          } catch (const DeviceError& e) {
            refusal = e.what();
          }
        }
        const std::uint64_t n = s->calls(DeviceType::cpu, v, t);
        const bool needed = !callers.of(i, t).empty() && refusal.empty();
        if (n > 0)
          line += std::string("  ") + tapedeck::name(t) + " " + std::to_string(n);
        else if (needed)
          faults += std::string("never called in ") + tapedeck::name(t);
        else
          line += std::string("  ") + tapedeck::name(t) + " refused" +
                  (refusal.empty() ? ": no op asks" : refusal.substr(refusal.rfind(": ")));
      }
      for (int t = static_cast<int>(DType::bf16); t < kDTypes; ++t)
        if (const auto n = s->calls(DeviceType::cpu, v, static_cast<DType>(t)); n > 0)
          line += std::string("  ") + tapedeck::name(static_cast<DType>(t)) + " " + std::to_string(n);
      if (table) std::printf("%-26s %-8s%s\n", s->name(), variant, line.c_str());
      if (!faults.empty()) std::printf("NOT COVERED %s %s: %s\n", s->name(), variant, faults.c_str()), ++missing;
    }
  }
  // Each declaration of ops.h needs a label of its own: "pow" and "pow scalar" are the two functions pow.
  std::map<std::string, int> declared, run;
  for (const char* op : kOpDeclarations) ++declared[op];
  for (const std::string& op : ops_run) ++run[op.substr(0, op.find(' '))];
  for (const auto& [op, n] : declared)
    if (run[op] < n)
      std::printf("NOT COVERED op %s: %d of %d declared in ops.h were called\n", op.c_str(), run[op], n), ++missing;
  std::printf("coverage: %zu slots, %zu functions of ops.h, %d without a case\n", kernels::all().size(),
              std::size(kOpDeclarations), missing);
  return missing;
}

struct Wanted {
  std::string filter = "*", replay;
  bool coverage = false, list = false, count = false, support = false;
};

int run(const Wanted& w) {
  set_num_threads(2);
  if (!w.replay.empty()) return replay(w.replay);
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
  if (w.support) return support();
  for (const auto& [op, errors] : worst)
    std::printf("%-22s largest error %.2f of its bound forward, %.2f gradient; %.2f s%s\n", op.c_str(), errors.first,
                errors.second, seconds[op],
                printed[op] > 0 ? (", " + std::to_string(printed[op]) + " failed").c_str() : "");
  const int missing = w.filter == "*" ? coverage(callers, ops_run, w.coverage) : 0;
  std::printf("%d comparisons with a reference in %.1f s\n", comparisons,
              std::chrono::duration<double>(Clock::now() - start).count());
  std::printf("%d passed, %d failed\n", passed, failed + missing);
  return failed + missing == 0 ? 0 : 1;
}

int usage() {
  std::fprintf(stderr, "usage: op_cases [--coverage] | --filter GLOB | --replay NAME | --list | --count | --support\n");
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
  return run(w);
}

}  // namespace
}  // namespace tapedeck::cases

int main(int argc, char** argv) {
  tapedeck::cases::guard_memory();
  return tapedeck::cases::main_of(argc, argv);
}
