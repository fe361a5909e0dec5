#include "cases/hostile.h"

#include <fnmatch.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/random.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <set>

#include "cases/dice.h"
#include "cases/guard.h"
#include "cases/hostile_options.h"
#include "cases/op_case.h"
#include "op_declarations.h"

namespace tapedeck::cases {
namespace {

void change_shape(Shape& s, Dice& dice) {
  if (s.rank() == 0 || dice.one_in(3)) {
    s = dice.shape();
    return;
  }
  const int d = dice.below(s.rank());
  switch (dice.below(5)) {
    case 0:
      s[d] += 1;
      break;
    case 1:
      s[d] = std::max<std::int64_t>(0, s[d] - 1);
      break;
    case 2:
      s[d] = 0;
      break;
    case 3:
      s[d] = 1;
      break;
    default:
      s.erase(d);
  }
}

// Numbers that break what counts, indexes or divides.
void plant_numbers(const Tensor& x, Dice& dice) {
  using L = std::numeric_limits<std::int64_t>;
  const double reals[] = {0, -1, 1e30, 1e-40, std::numeric_limits<double>::infinity(), std::nan("")};
  const std::int64_t whole[] = {-1, -2, 0, 1, 1'000'000'000'000, L::max(), L::min(), L::max() - 1};
  for (int k = 1 + dice.below(3); k > 0 && x.numel() > 0; --k) {
    Tensor one = x;
    while (one.dim() > 0)
      one = detail::select(one, 0, dice.below(static_cast<int>(std::min<std::int64_t>(one.size(0), 1000))));
    visit(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      T& element = *static_cast<T*>(one.data());
      if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>)
        element = T::from(static_cast<float>(dice.any(reals)));
      else if constexpr (std::is_same_v<T, bool>)
        element = dice.one_in(2);
      else if constexpr (std::is_integral_v<T>)
        element = static_cast<T>(dice.any(whole));
      else
        element = static_cast<T>(dice.any(reals));
    });
  }
}

std::vector<Tensor> broken_inputs(const OpCase& c, Dice& dice) {
  std::vector<Input> specs = c.inputs;
  std::vector<bool> missing(specs.size()), numbers(specs.size());
  for (int faults = 1 + dice.below(3); faults > 0; --faults) {
    const auto i = static_cast<std::size_t>(dice.below(static_cast<int>(specs.size())));
    Input& in = specs[i];
    switch (dice.below(8)) {
      case 0:
        missing[i] = true;
        break;
      case 1:
        in.dtype = dice.type();
        break;
      case 2:
        in.layout = dice.any({Layout::contiguous, Layout::transposed, Layout::sliced, Layout::expanded});
        break;
      case 3:
        numbers[i] = true;
        break;
      case 4:
        std::swap(specs[i], specs[static_cast<std::size_t>(dice.below(static_cast<int>(specs.size())))]);
        break;
      default:
        change_shape(in.shape, dice);
    }
  }
  std::vector<Tensor> out;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (missing[i]) {
      out.emplace_back();
      continue;
    }
    if (!has_layout(specs[i].shape, specs[i].layout)) specs[i].layout = Layout::contiguous;
    out.push_back(make_input(specs[i], dice.word(), static_cast<int>(i)));
    if (numbers[i]) plant_numbers(out.back(), dice);
  }
  return out;
}

std::string bytes_of(Args inputs) {
  std::string out;
  for (const Tensor& x : inputs)
    if (x.defined()) out.append(static_cast<const char*>(x.impl()->storage->data()), x.impl()->storage->bytes());
  return out;
}

std::string in_words(Args inputs) {
  std::string out;
  for (const Tensor& x : inputs) out += (out.empty() ? "" : ", ") + (x.defined() ? tapedeck::describe(x) : "none");
  return out;
}

// "" when the op behaved. An Error must name the op: the first word of the case's name, or a part of it.
std::string fault_of(const OpCase& c, Args inputs, bool on_tape) {
  const std::string before = bytes_of(inputs);
  std::string fault;
  {
    Tape tape;
    if (on_tape)
      for (const Tensor& x : inputs)
        if (x.defined() && is_real(x.dtype())) tape.watch(x);
    const std::size_t nodes = tape.size();
    Outputs y;
    bool done = false;
    try {
      y = call_case(c, inputs);
      done = true;
    } catch (const Error& e) {
      if (!c.prepares && tape.size() != nodes) fault = std::string("threw and left the tape longer: ") + e.what();
      const std::string op = c.op.substr(0, c.op.find(' '));
      if (!c.prepares && op.find("operator") == std::string::npos &&
          std::string(e.what()).find(op) == std::string::npos)
        fault = "the error does not name " + op + ": " + e.what();
    } catch (const std::exception& e) {
      fault = std::string("threw what is no tapedeck::Error: ") + e.what();
    }
    try {
      for (const Tensor& t : y)
        if (done && on_tape && t.defined() && is_recorded(t) && is_real(t.dtype())) {
          tape.backward(t, detach(expand(scalar(1, t.options()), t.sizes())));
          break;
        }
    } catch (const Error&) {  // a gradient may be refused
    } catch (const std::exception& e) {
      fault = std::string("backward threw what is no tapedeck::Error: ") + e.what();
    }
  }
  if (bytes_of(inputs) != before) fault += " an input was written to";
  return fault;
}

using Named = std::map<std::string, std::vector<const OpCase*>>;
Named by_op(const std::string& filter) {
  Named out;
  for (const OpCase& c : table())
    if (!c.op.starts_with("kernel ") && !c.inputs.empty() && c.inputs[0].shape.numel() < 5000 &&
        fnmatch(filter.c_str(), c.op.c_str(), 0) == 0)
      out[c.op].push_back(&c);
  return out;
}

struct Round {
  const OpCase* c;
  std::vector<Tensor> inputs;
  bool on_tape;
};
Round make_round(const std::vector<const OpCase*>& cases, std::uint64_t seed) {
  Dice dice(seed);
  Round r{cases[static_cast<std::size_t>(dice.below(static_cast<int>(cases.size())))], {}, dice.one_in(2)};
  r.inputs = broken_inputs(*r.c, dice);
  return r;
}

// One call of an op of the table, or one with random options.
struct Call {
  std::string words, fault;
};
using Calls = std::map<std::string, std::function<Call(std::uint64_t seed)>>;
Calls calls_of(const std::string& filter) {
  Calls out;
  for (const auto& [op, cases] : by_op(filter))
    out[op] = [cases = cases](std::uint64_t seed) {
      const Round r = make_round(cases, seed);
      const std::string words = r.c->text + " (" + in_words(r.inputs) + ")" + (r.on_tape ? " on a tape" : "");
      return Call{words, fault_of(*r.c, r.inputs, r.on_tape)};
    };
  for (const OptionCall& c : option_calls())
    if (const std::string name = c.op + ": options"; fnmatch(filter.c_str(), name.c_str(), 0) == 0)
      out[name] = [&c](std::uint64_t seed) {
        Call call;
        call.fault = option_fault(c, seed, &call.words);
        return call;
      };
  return out;
}

// A crash says which call it was.
char replay_line[200];
void say_and_die(int signal) {
  if (::write(2, replay_line, std::strlen(replay_line)) < 0) std::_Exit(1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

int run_hostile(const std::string& filter, std::uint64_t seed, int rounds, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const Calls calls = calls_of(filter);
  for (const int signal : {SIGABRT, SIGFPE}) std::signal(signal, say_and_die);
  std::map<std::string, int> faults;
  std::uint64_t made = 0;
  for (int round = 0; round < rounds || std::chrono::duration<double>(Clock::now() - start).count() < seconds; ++round)
    for (const auto& [op, call] : calls) {
      const std::uint64_t own = hash64(op) + seed + static_cast<std::uint64_t>(round);
      ++made;
      std::snprintf(replay_line, sizeof replay_line, "CRASHED; replay: op_cases --hostile '%s' --seed %llu\n",
                    op.c_str(), static_cast<unsigned long long>(own));
      const auto [words, fault] = call(own);
      if (fault.empty() || ++faults[op] > 3) continue;
      std::printf("FAILED %s: %s\n  %s\n  replay: op_cases --hostile '%s' --seed %llu\n", op.c_str(), words.c_str(),
                  fault.c_str(), op.c_str(), static_cast<unsigned long long>(own));
      std::fflush(stdout);
    }
  if (const std::string broken = take_violations(); !broken.empty())
    std::printf("FAILED: written outside of memory: %s\n", broken.c_str()), ++faults["canaries"];
  if (filter == "*") {
    std::set<std::string> reached;
    for (const auto& [op, call] : calls) reached.insert(op.substr(0, op.find_first_of(" :")));
    for (const char* op : kOpDeclarations)
      if (!reached.contains(op)) std::printf("NOT REACHED: %s\n", op), ++faults[op];
  }
  int total = 0;
  for (const auto& [op, n] : faults) total += n;
  std::printf("hostile: %zu ops, %llu calls, %d faults in %zu ops\n", calls.size(),
              static_cast<unsigned long long>(made), total, faults.size());
  return total;
}

int replay_hostile(std::uint64_t seed, const std::string& name) {
  const Calls calls = calls_of(name);
  if (!calls.contains(name)) return std::printf("no op is named %s\n", name.c_str()), 2;
  const auto [words, fault] = calls.at(name)(seed);
  std::printf("%s: %s\n%s\n%d passed, %d failed\n", name.c_str(), words.c_str(), fault.c_str(), fault.empty(),
              !fault.empty());
  return !fault.empty();
}

}  // namespace tapedeck::cases
