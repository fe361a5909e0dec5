// ab: two variants of one kernel against each other. Correct first, then fast.
//   ab SLOT A B [--cases GLOB] [--plugin FILE]… [--threads N] [--seconds S] [--cold] [--json]
//   ab --list [GLOB]     slots and their variants
#include <fnmatch.h>
#include <sys/wait.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/config.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/parallel.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <vector>

#include "cases/driver.h"
#include "cases/guard.h"
#include "machine.h"
#include "shapes.h"

namespace tapedeck::bench {
namespace {

using cases::CallsSlot;
using cases::OpCase;
using kernels::SlotBase;
using Clock = std::chrono::steady_clock;

constexpr const char* kUsage =
    "usage: ab SLOT A B [--cases GLOB] [--plugin FILE]... [--threads N] [--seconds S] [--cold] [--json]\n"
    "       ab --list [GLOB] [--plugin FILE]...\n"
    "  SLOT      a kernel (ab --list); A, B: two of its variants, or `forced`: what TAPEDECK_KERNELS asks for\n"
    "  --cases   cases whose op, op#number or text fits (of the table of op cases and of the built-in shapes); "
    "without\n"
    "            it: the built-in WaveNet and SampleRNN shapes that call the kernel, else the op's cases\n"
    "  --plugin  adds the variants of a shared object (kernels/README.md)\n"
    "  --cold    empties the caches before every call\n"
    "exit 0: both are right in every case; 1: one is wrong; 2: bad arguments\n";

struct Bad {  // a mistake in the arguments
  std::string text;
};

struct Wanted {
  std::string slot, variants[2], cases;
  std::vector<std::string> plugins;
  int threads = 1;
  double seconds = 0.5;  // for each case
  bool cold = false, json = false, list = false;
};

std::string meant(const std::string& word, const std::vector<std::string>& names) {
  const std::string near = io::nearest(word, names);
  return near.empty() ? "" : "; did you mean " + near + "?";
}

double number(const std::string& option, const char* text, double low, double high) {
  char* end = nullptr;
  const double v = std::strtod(text, &end);
  if (end == text || *end != 0 || !(v >= low && v <= high))
    throw Bad{option + " takes a number from " + std::to_string(static_cast<int>(low)) + " to " +
              std::to_string(static_cast<int>(high)) + ", not \"" + text + "\""};
  return v;
}

Wanted parse(int argc, char** argv) {
  Wanted w;
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    const auto value = [&] {
      if (i + 1 >= argc) throw Bad{a + " needs a value"};
      return argv[++i];
    };
    if (a == "--cases")
      w.cases = value();
    else if (a == "--plugin")
      w.plugins.emplace_back(value());
    else if (a == "--threads")
      w.threads = static_cast<int>(number(a, value(), 1, 256));
    else if (a == "--seconds")
      w.seconds = number(a, value(), 0, 3600);
    else if (a == "--cold")
      w.cold = true;
    else if (a == "--json")
      w.json = true;
    else if (a == "--list")
      w.list = true;
    else if (a == "--help" || a == "-h")
      std::printf("%s", kUsage), std::exit(0);
    else if (a.rfind("--", 0) == 0)
      throw Bad{"no option " + a +
                meant(a, {"--cases", "--plugin", "--threads", "--seconds", "--cold", "--json", "--list", "--help"})};
    else
      words.push_back(a);
  }
  if (w.list) {
    if (words.size() > 1) throw Bad{"--list takes one pattern"};
    w.slot = words.empty() ? "*" : words[0];
  } else if (words.size() != 3) {
    throw Bad{"SLOT, A and B are needed (ab --help)"};
  } else {
    w.slot = words[0], w.variants[0] = words[1], w.variants[1] = words[2];
  }
  return w;
}

std::vector<std::string> variants_of(const SlotBase& s) {
  std::vector<std::string> names;
  for (int i = 0; i < s.variant_count(DeviceType::cpu); ++i) names.emplace_back(s.variant_name(DeviceType::cpu, i));
  return names;
}

SlotBase& find_slot(const std::string& name) {
  std::vector<std::string> names;
  for (SlotBase* s : kernels::all()) {
    if (name == s->name()) return *s;
    names.emplace_back(s->name());
  }
  throw Bad{"no kernel is named \"" + name + "\"" + meant(name, names) + " (ab --list names them)"};
}

void check_variants(const SlotBase& slot, Wanted& w) {
  const auto names = variants_of(slot);
  for (std::string& v : w.variants) {
    if (v == "forced") {
      v = slot.used(DeviceType::cpu);
      if (v.empty()) throw Bad{w.slot + ": TAPEDECK_KERNELS forces no variant of it"};
    }
    if (std::find(names.begin(), names.end(), v) != names.end()) continue;
    std::string all;
    for (const std::string& n : names) all += " " + n;
    throw Bad{w.slot + " has no variant \"" + v + "\"" + meant(v, names) + " (it has:" + all + ")"};
  }
}

void list(const std::string& glob) {
  for (const SlotBase* s : kernels::all()) {
    if (fnmatch(glob.c_str(), s->name(), 0) != 0) continue;
    std::printf("%-28s", s->name());
    for (int i = 0; i < s->variant_count(DeviceType::cpu); ++i) {
      const char* note = s->variant_note(DeviceType::cpu, i);
      std::printf(" %s%s%s%s", s->variant_name(DeviceType::cpu, i), *note ? " (" : "", note, *note ? ")" : "");
    }
    std::printf("\n");
  }
}

// ---- cases ----------------------------------------------------------------------------------------------------------
struct Named {
  OpCase c;
  std::string name;
};

std::vector<Named> candidates(const Wanted& w) {
  std::vector<Named> heavy, light;
  for (OpCase& c : shapes()) {
    const std::string name = c.op + ": " + describe(c);
    heavy.push_back({std::move(c), name});
  }
  std::map<std::string, int> next;
  const std::string slot = w.slot, op = slot.substr(0, slot.find("_backward"));
  const auto fits = [&](const OpCase& c, const std::string& name) {
    const std::string& g = w.cases;
    return fnmatch(g.c_str(), c.op.c_str(), 0) == 0 || fnmatch(g.c_str(), name.c_str(), 0) == 0 ||
           fnmatch(g.c_str(), (c.op + ": " + describe(c)).c_str(), 0) == 0;
  };
  for (const OpCase& c : cases::table()) {
    const std::string name = c.op + "#" + std::to_string(next[c.op]++);
    if (w.cases.empty() ? c.op == op || c.op == "kernel " + slot : fits(c, name))
      light.push_back({c, name + ": " + describe(c)});
  }
  if (!w.cases.empty()) std::erase_if(heavy, [&](const Named& n) { return !fits(n.c, n.name); });
  heavy.insert(heavy.end(), light.begin(), light.end());
  return heavy;
}

// ---- correctness, in a process of its own: guarded memory, and a kernel that crashes is a wrong kernel
// ---------------
enum class Verdict { right, wrong, refused };
struct Judged {
  std::size_t at;  // among the candidates
  CallsSlot where = CallsSlot::no;
  Verdict verdict[2] = {};
  double worst[2] = {};
  std::string fault[2];
};

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return text;
}

// Judges the candidates from number `first` on (`some`: others were judged before) and writes "index where" before and
// "verdict worst fault" lines after.
void judge(const Wanted& w, SlotBase& slot, std::size_t first, bool some, FILE* out) {
  cases::guard_memory();
  set_num_threads(w.threads);
  const kernels::Use usual(slot, "");  // TAPEDECK_KERNELS is not for the reference
  const auto all = candidates(w);
  const std::size_t heavy = w.cases.empty() ? shapes().size() : 0;
  for (std::size_t i = first; i < all.size(); ++i) {
    if (i == heavy && some && w.cases.empty()) break;  // the built-in shapes are enough
    std::fprintf(out, "%zu\n", i), std::fflush(out);
    const CallsSlot where = where_called(all[i].c, slot);
    std::fprintf(out, "%d\n", static_cast<int>(where)), std::fflush(out);
    if (where == CallsSlot::no) continue;
    some = true;
    for (const auto& o : run_variants(all[i].c, slot, {w.variants[0], w.variants[1]}, where)) {
      const std::string fault = o.faults.empty() ? "" : one_line(o.faults[0]);
      const Verdict v = fault.empty()                      ? Verdict::right
                        : fault.rfind("refuses: ", 0) == 0 ? Verdict::refused
                                                           : Verdict::wrong;
      std::fprintf(out, "%d\t%.17g\t%s\n", static_cast<int>(v), o.worst, fault.c_str());
    }
    std::fflush(out);
  }
  std::fprintf(out, "end\n"), std::fflush(out);
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return std::string("the process died: ") + strsignal(WTERMSIG(status));
  return "the process ended with exit code " + std::to_string(WEXITSTATUS(status));
}

std::vector<Judged> judge_all(const Wanted& w, SlotBase& slot) {
  std::vector<Judged> judged;
  for (std::size_t first = 0;;) {
    int ends[2];
    if (pipe(ends) != 0) throw Bad{"cannot make a pipe"};
    std::fflush(stdout);
    const pid_t child = fork();
    if (child < 0) throw Bad{"cannot fork"};
    if (child == 0) {
      close(ends[0]);
      FILE* out = fdopen(ends[1], "w");
      try {
        judge(w, slot, first, !judged.empty(), out);
      } catch (const std::exception& e) {
        std::fprintf(stderr, "ab: %s\n", e.what());
        _exit(3);
      }
      _exit(0);
    }
    close(ends[1]);
    FILE* in = fdopen(ends[0], "r");
    char* line = nullptr;
    std::size_t room = 0;
    bool done = false;
    const auto next = [&]() -> std::string {
      const ssize_t n = getline(&line, &room, in);
      return n <= 0 ? "" : std::string(line, static_cast<std::size_t>(n - (line[n - 1] == '\n')));
    };
    for (std::string text; !(text = next()).empty();) {
      if (text == "end") {
        done = true;
        break;
      }
      Judged j{std::strtoul(text.c_str(), nullptr, 10), CallsSlot::no, {}, {}, {}};
      first = j.at + 1;
      if ((text = next()).empty()) break;
      j.where = static_cast<CallsSlot>(std::atoi(text.c_str()));
      if (j.where == CallsSlot::no) continue;
      int heard = 0;
      for (; heard < 2 && !(text = next()).empty(); ++heard) {
        const std::size_t tab = text.find('\t'), second = text.find('\t', tab + 1);
        j.verdict[heard] = static_cast<Verdict>(std::atoi(text.c_str()));
        j.worst[heard] = std::strtod(text.c_str() + tab + 1, nullptr);
        j.fault[heard] = text.substr(second + 1);
      }
      judged.push_back(j);
      if (heard < 2) judged.back().verdict[0] = Verdict::wrong, judged.back().fault[0] = "?";
    }
    std::free(line), std::fclose(in);
    int status = 0;
    waitpid(child, &status, 0);
    if (done) return judged;
    if (judged.empty() || judged.back().fault[0] != "?")
      throw Bad{"the check of results failed: " + how_it_ended(status)};
    judged.back().fault[0] = how_it_ended(status) + " (in one of the two)";
  }
}

// ---- time -----------------------------------------------------------------------------------------------------------
// What the slot's kernel takes within the op: by the watch that a slot calls before and after. One thread's kernels of
// some length are measured in processor time, which other work on the machine does not lengthen.
struct Watched {
  const char* slot = nullptr;
  bool processor = false;
  double seconds = 0, start = 0;
  int calls = 0, depth = 0;
} watched;

double now(bool processor) {
  timespec t;
  clock_gettime(processor ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void on_kernel(const char* slot, const char*, kernels::detail::KernelEvent event) {
  if (slot != watched.slot) return;
  if (event == kernels::detail::KernelEvent::begins) {
    if (watched.depth++ == 0) watched.start = now(watched.processor);
  } else if (--watched.depth == 0) {
    watched.seconds += now(watched.processor) - watched.start;
    ++watched.calls;
  }
}

double clock_cost(bool processor) {
  double least = 1;
  for (int i = 0; i < 1000; ++i) {
    const double start = now(processor);
    least = std::min(least, now(processor) - start);
  }
  return least;
}

void empty_caches() {
  static std::vector<float> memory(static_cast<std::size_t>(machine().cache[2]) / 2);  // twice the last cache
  volatile float kept = 0;
  float sum = 0;
  for (std::size_t i = 0; i < memory.size(); i += 16) sum += memory[i] += 1;
  kept = sum;
  (void)kept;
}

double middle(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return (v[v.size() / 2] + v[(v.size() - 1) / 2]) / 2;
}

struct Interval {
  double low, median, high;
};
// The median and what holds it with 95 % confidence: order statistics, whatever the distribution.
Interval median_of(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  const double n = static_cast<double>(v.size()), reach = 0.98 * std::sqrt(n);
  const auto at = [&](double place) { return v[static_cast<std::size_t>(std::clamp(place, 0.0, n - 1))]; };
  return {at(std::floor(n / 2 - reach)), middle(v), at(std::ceil(n / 2 + reach) - 1)};
}

struct Timed {
  Interval time[2], speedup;  // seconds per op; how many times B is as fast as A
  double best[2];
  double flops, bytes, floor;  // of the slot's calls in one op; the least seconds that the machine allows
  bool computes;               // the floor is that of arithmetic
  Level level;
  bool processor;  // processor time, not time on the wall
  std::size_t rounds;
};

Timed time_case(const Wanted& w, SlotBase& slot, const OpCase& c, CallsSlot where) {
  const std::vector<Tensor> inputs = cases::make_inputs(c);
  const Tensor gy = where == CallsSlot::backward ? cases::incoming_gradient(c, inputs) : Tensor();
  bool processor = false;
  const double costs[] = {clock_cost(false), clock_cost(true)};
  const auto run = [&](int variant, int times) {  // seconds per op
    const kernels::Use forced(slot, w.variants[variant]);
    watched = {slot.name(), processor};
    for (int i = 0; i < times; ++i) {
      if (w.cold) empty_caches();
      cases::run_once(c, inputs, gy, where);
    }
    return std::max(1e-9, (watched.seconds - watched.calls * costs[processor]) / times);
  };
  kernels::detail::watch_kernels(on_kernel, true);
  run(0, 1), run(1, 1);
  const double once = std::min(run(0, 1), run(1, 1));
  processor = w.threads == 1 && once > 2e-5;
  const int times = w.cold ? 1 : static_cast<int>(std::clamp(2e-5 / once, 1.0, 200.0));
  std::vector<double> seconds[2], ratios;
  const auto end = Clock::now() + std::chrono::duration<double>(w.seconds);
  for (std::size_t round = 0; round < 11 || (Clock::now() < end && round < 2001); ++round) {
    double t[2];
    for (const int k : {0, 1}) {  // who goes first takes turns
      const int variant = (k + static_cast<int>(round)) % 2;
      t[variant] = run(variant, times);
    }
    seconds[0].push_back(t[0]), seconds[1].push_back(t[1]), ratios.push_back(t[0] / t[1]);
  }
  const int calls = watched.calls / times;
  kernels::detail::watch_kernels(on_kernel, false);
  const NoGrad pause;
  const double products = w.slot.ends_with("_backward") ? 2 : 1;  // one for inputs, one for weights
  const double in = bytes_of(inputs), out = bytes_of(cases::call_case(c, inputs));
  Timed r{{median_of(seconds[0]), median_of(seconds[1])},
          median_of(ratios),
          {},
          c.flops * calls * products,
          (in + out) * (where == CallsSlot::backward ? calls : 1),
          0,
          false,
          dram,
          processor,
          ratios.size()};
  for (const int v : {0, 1}) r.best[v] = *std::min_element(seconds[v].begin(), seconds[v].end());
  const Ceiling& ceiling = machine().at(w.threads);
  r.level = w.cold ? dram : machine().level_of(in + out, w.threads);
  const Streams& s = ceiling.level[r.level];
  const double arithmetic = r.flops / (ceiling.f32 * 1e9), memory = r.bytes / ((out < in / 8 ? s.read : s.copy) * 1e9);
  r.computes = arithmetic > memory, r.floor = std::max(arithmetic, memory);
  return r;
}

void print(const Wanted& w, const Named& n, const Judged& j, const Timed& t) {
  std::printf("%s%s\n", n.name.c_str(), j.where == CallsSlot::backward ? " (backward)" : "");
  for (const int v : {0, 1}) {
    const double s = t.time[v].median;
    std::printf("  %-12s %10.2f us [%.2f, %.2f] best %.2f", w.variants[v].c_str(), s * 1e6, t.time[v].low * 1e6,
                t.time[v].high * 1e6, t.best[v] * 1e6);
    if (t.flops > 0) std::printf("  %7.1f GFLOP/s", t.flops / s * 1e-9);
    std::printf("  %7.1f GB/s  %3.0f %% of %s  error %.2f of its bound\n", t.bytes / s * 1e-9, 100 * t.floor / s,
                t.computes ? "peak" : name(t.level), j.worst[v]);
  }
  std::printf("  %s is %.3f times as fast as %s [%.3f, %.3f], %zu rounds%s\n", w.variants[1].c_str(), t.speedup.median,
              w.variants[0].c_str(), t.speedup.low, t.speedup.high, t.rounds, t.processor ? ", processor time" : "");
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return out + "\"";
}

void print_json(const Wanted& w, const Named& n, const Judged& j, const Timed* t) {
  std::printf(R"({"slot": %s, "case": %s, "backward": %s, "threads": %d, "cold": %s, "variants": [)",
              quoted(w.slot).c_str(), quoted(n.name).c_str(), j.where == CallsSlot::backward ? "true" : "false",
              w.threads, w.cold ? "true" : "false");
  constexpr const char* verdicts[] = {"right", "wrong", "refused"};
  for (const int v : {0, 1}) {
    std::printf(R"(%s{"name": %s, "verdict": "%s", "error_of_bound": %.4g)", v ? ", " : "",
                quoted(w.variants[v]).c_str(), verdicts[static_cast<int>(j.verdict[v])],
                std::isfinite(j.worst[v]) ? j.worst[v] : -1);
    if (!j.fault[v].empty()) std::printf(R"(, "fault": %s)", quoted(j.fault[v]).c_str());
    if (t)
      std::printf(
          R"(, "seconds": %.6g, "low": %.6g, "high": %.6g, "best": %.6g, "gflops": %.5g, "gbs": %.5g, "share": %.4g)",
          t->time[v].median, t->time[v].low, t->time[v].high, t->best[v], t->flops / t->time[v].median * 1e-9,
          t->bytes / t->time[v].median * 1e-9, t->floor / t->time[v].median);
    std::printf("}");
  }
  std::printf("]");
  if (t)
    std::printf(R"(, "clock": "%s", "ceiling": "%s", "speedup": %.4g, "speedup_low": %.4g, "speedup_high": %.4g, )"
                R"("rounds": %zu)",
                t->processor ? "processor" : "wall", t->computes ? "peak" : name(t->level), t->speedup.median,
                t->speedup.low, t->speedup.high, t->rounds);
  std::printf("}\n");
}

int run(Wanted w) {
  for (const std::string& file : w.plugins) {
    try {
      kernels::load_plugin(file);
    } catch (const std::exception& e) {
      throw Bad{e.what()};
    }
  }
  if (w.list) return list(w.slot), 0;
  SlotBase& slot = find_slot(w.slot);
  check_variants(slot, w);
  const auto judged = judge_all(w, slot);  // before this process makes threads: it forks
  if (judged.empty())
    throw Bad{(w.cases.empty() ? "no case" : "no case that fits \"" + w.cases + "\"") + " calls " + w.slot +
              "; --cases 'OP*' chooses others"};
  set_num_threads(w.threads);
  if (!w.json) std::printf("%s\n", to_table(machine()).c_str());
  const auto all = candidates(w);
  int right = 0, wrong = 0, refused = 0;
  std::vector<double> logs;
  for (const Judged& j : judged) {
    const Named& n = all[j.at];
    const auto any = [&](Verdict v) { return j.verdict[0] == v || j.verdict[1] == v; };
    if (any(Verdict::wrong) || any(Verdict::refused)) {
      any(Verdict::wrong) ? ++wrong : ++refused;
      if (w.json) print_json(w, n, j, nullptr);
      for (const int v : {0, 1})
        if (!w.json && !j.fault[v].empty())
          std::printf("%s %s: %s\n  %s\n", j.verdict[v] == Verdict::wrong ? "WRONG" : "refused", w.variants[v].c_str(),
                      n.name.c_str(), j.fault[v].c_str());
      continue;
    }
    ++right;
    const Timed t = time_case(w, slot, n.c, j.where);
    logs.push_back(std::log(t.speedup.median));
    w.json ? print_json(w, n, j, &t) : print(w, n, j, t);
    std::fflush(stdout);
  }
  if (!w.json) {
    double sum = 0;
    for (const double l : logs) sum += l;
    std::printf("%d cases right, %d wrong, %d refused", right, wrong, refused);
    if (right > 0)
      std::printf("; %s is %.3f times as fast as %s (geometric mean)", w.variants[1].c_str(),
                  std::exp(sum / static_cast<double>(logs.size())), w.variants[0].c_str());
    std::printf("\n");
  }
  return wrong > 0 ? 1 : 0;
}

}  // namespace
}  // namespace tapedeck::bench

int main(int argc, char** argv) {
  using namespace tapedeck::bench;
  try {
    return run(parse(argc, argv));
  } catch (const Bad& b) {
    std::fprintf(stderr, "ab: %s\n", b.text.c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "ab: %s\n", e.what());
  }
  return 2;
}
