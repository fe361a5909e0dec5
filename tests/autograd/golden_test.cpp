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

// The file that golden/make_torch_ops.py wrote: name|shape, then lines of numbers: y and the gradient of every input.
std::map<std::string, std::vector<V>> golden() {
  std::map<std::string, std::vector<V>> all;
  std::ifstream file(TAPEDECK_TEST_DATA "/autograd/golden/torch_ops.txt");
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
void expect_equal(const V& got, const V& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double largest = 0;
  for (const double v : expected) largest = std::max(largest, std::fabs(v));
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_LE(std::fabs(got[i] - expected[i]), 1e-14 * std::fabs(expected[i]) + 1e-15 * largest)
        << what << " element " << i << ": " << got[i] << " is not " << expected[i];
}

TEST(Golden, ValuesAndGradientsArePyTorchs) {
  const auto torch = golden();
  ASSERT_GT(torch.size(), 100u);
  for (const test::OpCase& c : test::op_table()) {
    if (c.name == "dropout") continue;          // its mask is our own
    if (c.name == "div with itself") continue;  // its gradient is 0 but for the rounding of two equal terms
    ASSERT_TRUE(torch.contains(c.name)) << c.name << " has no golden values: run make_torch_ops.py";
    const std::vector<V>& rows = torch.at(c.name);
    const auto inputs = c.inputs(test::Layout::contiguous);
    ASSERT_EQ(rows.size(), inputs.size() + 1) << c.name;
    Tape tape;
    for (const Tensor& x : inputs) tape.watch(x);
    const Tensor y = c.fn(inputs);
    expect_equal(y.to_vector<double>(), rows[0], c.name);
    tape.backward(y, test::spread(y.sizes(), -1, 1, 3));
    for (std::size_t i = 0; i < inputs.size(); ++i)
      expect_equal(tape.grad(inputs[i]).to_vector<double>(), rows[i + 1], c.name + " gradient " + std::to_string(i));
  }
}

}  // namespace
}  // namespace tapedeck
