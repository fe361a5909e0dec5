// What is proven of every function of ops.h that has a gradient: differences in f64 at 1e-8 of sum |g v|, differences
// of its gradient, and three cases at least of PyTorch's values and gradients. Exceptions stand here with their reason.
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "autograd/op_table.h"
#include "cases/op_case.h"
#include "op_declarations.h"

namespace tapedeck {
namespace {

using Names = std::set<std::string>;

std::string first_word(const std::string& name) { return name.substr(0, name.find(' ')); }

struct Exception {
  const char *ops, *reason;
};
const Exception kUnchecked[] = {
    {"cast", "rounding has no differences; its gradients are compared with PyTorch's"},
};
const Exception kFirstOrderOnly[] = {
    {"cast", "no differences, as above; it is linear"},
    {"operator+ operator- operator* operator/", "add, sub, mul and div by another name"},
    {"rnn gru lstm cdist ctc_loss discretized_mix_logistic_loss mix_gaussian_loss",
     "fused rules, outside the families that promise a second form; gradients of gradients are a TapeError"},
    {"spectral_norm", "its vectors count as constants and move with the weight"},
};
const Exception kWithoutTwin[] = {
    {"operator+ operator- operator* operator/", "add, sub, mul and div by another name"},
    {"dropout dropout1d dropout2d feature_dropout alpha_dropout gumbel_softmax", "random: the draws are our own"},
};
template <std::size_t n>
Names names_of(const Exception (&list)[n]) {
  Names all;
  for (const Exception& e : list) {
    std::istringstream ops(e.ops);
    for (std::string op; ops >> op;) all.insert(op);
  }
  return all;
}

// Does a call record its result, when every real input is watched?
bool records(const cases::OpCase& c) {
  const std::vector<Tensor> inputs = cases::make_inputs(c);
  Tape tape;
  for (const Tensor& x : inputs)
    if (is_real(x.dtype())) tape.watch(x);
  const cases::Outputs outputs = cases::call_case(c, inputs);
  return std::any_of(outputs.begin(), outputs.end(), [](const Tensor& y) { return is_recorded(y); });
}

struct Proof {
  Names differentiable, checked, second;
  std::map<std::string, int> golden;
};

const Proof& proof() {
  static const Proof all = [] {
    const Names declared(std::begin(kOpDeclarations), std::end(kOpDeclarations));
    Proof p;
    std::map<std::string, int> tried;
    for (const cases::OpCase& c : cases::table()) {
      const std::string op = first_word(c.op);
      const auto wide = [](const cases::Input& x) { return x.dtype == DType::f64; };
      if (!declared.contains(op) || std::none_of(c.inputs.begin(), c.inputs.end(), wide)) continue;
      if (c.differentiable) p.checked.insert(op);
      if (!c.prepares && !p.differentiable.contains(op) && tried[op]++ < 20 && records(c)) p.differentiable.insert(op);
    }
    for (const test::Family& family : test::families()) {
      test::Table table;
      family.add(table);
      for (const test::OpCase& c : table.cases) {
        if (c.derivative) p.checked.insert(first_word(c.name));
        if (c.derivative && c.second) p.second.insert(first_word(c.name));
      }
      std::ifstream file(TAPEDECK_TEST_DATA "/autograd/golden/" + std::string(family.name) + ".txt");
      for (std::string line; std::getline(file, line);)
        if (const std::size_t bar = line.find('|'); bar != std::string::npos)
          ++p.golden[first_word(line.substr(0, bar))];
    }
    return p;
  }();
  return all;
}

// Every differentiable function is in `have` or among the exceptions, and none of these without need.
void expect_all(const char* what, const Names& have, const Names& exceptions) {
  const Names& wanted = proof().differentiable;
  std::string missing, needless;
  std::size_t proven = 0;
  for (const std::string& op : wanted) {
    proven += have.contains(op);
    if (!have.contains(op) && !exceptions.contains(op)) missing += " " + op;
  }
  for (const std::string& op : exceptions)
    if (!wanted.contains(op) || have.contains(op)) needless += " " + op;
  EXPECT_EQ(missing, "") << what;
  EXPECT_EQ(needless, "") << what << ": exceptions that need none";
  std::printf("%s: %zu of %zu functions with a gradient, %zu excepted\n", what, proven, wanted.size(),
              exceptions.size());
}

TEST(Proof, EveryGradientIsComparedWithDifferences) {
  EXPECT_GE(proof().differentiable.size(), 240u);
  expect_all("gradcheck", proof().checked, names_of(kUnchecked));
}

TEST(Proof, EveryGradientOfAGradientIsComparedWithDifferences) {
  expect_all("gradgradcheck", proof().second, names_of(kFirstOrderOnly));
}

TEST(Proof, EveryFunctionIsComparedWithPyTorch) {
  Names have;
  int cases = 0;
  for (const auto& [op, n] : proof().golden) {
    cases += n;
    if (n >= 3) have.insert(op);
  }
  std::printf("%d golden cases\n", cases);
  EXPECT_GE(cases, 1500);
  expect_all("three golden cases", have, names_of(kWithoutTwin));
}

}  // namespace
}  // namespace tapedeck
