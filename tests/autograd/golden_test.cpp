#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using test::values;
using V = std::vector<double>;

// The file that golden/make.py wrote: name|shape, then lines of numbers: y and the gradient of every input.
std::map<std::string, std::vector<V>> golden(const std::string& family) {
  std::map<std::string, std::vector<V>> all;
  std::ifstream file(TAPEDECK_TEST_DATA "/autograd/golden/" + family + ".txt");
  std::vector<V>* current = nullptr;
  for (std::string line; std::getline(file, line);) {
    if (const std::size_t bar = line.find('|'); bar != std::string::npos) {
      current = &all[line.substr(0, bar)];
      continue;
    }
    std::istringstream numbers(line);
    V& row = current->emplace_back();
    for (double v; numbers >> v;) row.push_back(v);
  }
  return all;
}

// Per element; what cancels is judged against the largest element of its tensor.
void expect_equal(const V& got, const V& expected, double accuracy, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double largest = 0;
  for (const double v : expected) largest = std::max(largest, std::fabs(v));
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_LE(std::fabs(got[i] - expected[i]), accuracy * (std::fabs(expected[i]) + 0.1 * largest))
        << what << " element " << i << ": " << got[i] << " is not " << expected[i];
}

void check_family(const test::Family& family) {
  const auto torch = golden(family.name);
  ASSERT_FALSE(torch.empty()) << family.name;
  test::Table table;
  family.add(table);
  for (const test::OpCase& c : table.cases) {
    if (c.name.find("dropout") != std::string::npos || c.name == "gumbel_softmax") continue;  // draws are our own
    if (c.name == "div with itself") continue;  // its gradient is 0 but for the rounding of two equal terms
    ASSERT_TRUE(torch.contains(c.name)) << c.name << " has no golden values: run golden/make.py " << family.name;
    const std::vector<V>& rows = torch.at(c.name);
    const auto inputs = c.inputs(test::Layout::contiguous);
    ASSERT_EQ(rows.size(), inputs.size() + 1) << c.name;
    Tape tape;
    for (const Tensor& x : inputs) tape.watch(x);
    const Tensor y = c.fn(inputs);
    expect_equal(y.to_vector<double>(), rows[0], c.accuracy, c.name);
    tape.backward(y, test::spread(y.sizes(), -1, 1, 3));
    for (std::size_t i = 0; i < inputs.size(); ++i)
      expect_equal(tape.grad(inputs[i]).to_vector<double>(), rows[i + 1], c.accuracy,
                   c.name + " gradient " + std::to_string(i));
  }
}

TEST(Golden, ValuesAndGradientsArePyTorchs) {
  for (const test::Family& family : test::families()) check_family(family);
}

}  // namespace
}  // namespace tapedeck
