// Looking over the shoulder: non-finite values, the trace, memory by op, the graph.
#include <gtest/gtest.h>
#include <tapedeck/autograd/inspect.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using test::Args;
using test::error_of;
using test::f64;
using test::says;
using test::values;

struct CheckFinite : testing::Test {
  CheckFinite() { check_finite(); }
  ~CheckFinite() override { check_finite(false); }
};

TEST_F(CheckFinite, NamesTheOpThatMadeIt) {
  const Tensor x = f64({1, 0, 2}, {3});
  const Tensor fine = x * 3;
  const std::string what = error_of<ValueError>([&] { static_cast<void>(log(fine) * 2); });
  EXPECT_EQ(what, "log: makes -inf from finite inputs: element 1 of output 0; output f64[3] cpu; input 0 f64[3] cpu");
  EXPECT_TRUE(says(error_of<ValueError>([&] { static_cast<void>(x / x); }), "div: makes "));
}

TEST_F(CheckFinite, InEveryRealTypeAndLayout) {
  for (const DType t : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    const Tensor x = transpose(cast(f64({1, 2, 0, 4, 5, 6}, {2, 3}), t), 0, 1);
    const Tensor big = cast(f64({1, 2, t == DType::f16 ? 6e4 : t == DType::f64 ? 1e308 : 3e38, 4}, {4}), t);
    EXPECT_NO_THROW(clone(x));
    if (t == DType::f16 || t == DType::bf16) continue;  // storage types: arithmetic needs a cast
    EXPECT_TRUE(says(error_of<ValueError>([&] { static_cast<void>(reciprocal(x)); }), "element 4 of output 0"));
    EXPECT_TRUE(says(error_of<ValueError>([&] { static_cast<void>(big * 10); }), "mul: makes inf")) << name(t);
  }
  EXPECT_TRUE(says(error_of<ValueError>([] { static_cast<void>(cast(f64({1, 1e300}, {2}), DType::f32)); }), "cast: "));
}

TEST_F(CheckFinite, BlamesNobodyForWhatWasThere) {
  const Tensor x = f64({1, std::nan(""), INFINITY}, {3});
  EXPECT_NO_THROW(static_cast<void>(sum(exp(x) * 2)));
  EXPECT_NO_THROW(static_cast<void>(where(gt(x, f64({0}, {1})), x, scalar(-INFINITY, {DType::f64}))));
}

TEST_F(CheckFinite, NamesTheRuleThatMadeIt) {
  const Tensor x = f64({4, 0}, {2});
  Tape tape;
  tape.watch(x);
  const Tensor y = sum(sqrt(x) * 2);
  const std::string what = error_of<ValueError>([&] { tape.backward(y); });
  EXPECT_EQ(
      what,
      "sqrt backward: makes inf from finite gradients: element 1 of the gradient of input 0; gradient f64[2] cpu; "
      "incoming f64[2] cpu");
}

TEST_F(CheckFinite, LetsRulesMaskWhatTheyComputeOnTheWay) {
  const Tensor a = f64({0, 2}, {2}), b = f64({3, 2}, {2});
  Tape tape;
  tape.watch(a);
  tape.watch(b);
  tape.backward(sum(pow(a, b)));
  EXPECT_EQ(values(tape.grad(b))[0], 0);
}

TEST_F(CheckFinite, ParametersAndCheckpointsToo) {
  const Tensor w = f64({0}, {1}).set_requires_grad(true);
  Tape tape;
  const Tensor y = sum(checkpoint([&](Args a) { return sqrt(w) * a[0]; }, {f64({1}, {1})}));
  EXPECT_TRUE(says(error_of<ValueError>([&] { tape.backward(y); }), "sqrt backward: makes inf"));
}

TEST_F(CheckFinite, LeavesTheTapeAsItWas) {
  const Tensor x = f64({0}, {1});
  Tape tape;
  tape.watch(x);
  const Tensor y = x + 1;
  EXPECT_THROW(static_cast<void>(log(x)), ValueError);
  EXPECT_EQ(tape.size(), 1u);
  tape.backward(y);
  EXPECT_EQ(tape.grad(x).item(), 1);
}

// ---- trace ----------------------------------------------------------------------------------------------------------
struct Trace : testing::Test {
  std::string path = testing::TempDir() + "tapedeck_trace_" + std::to_string(getpid()) + ".json";
  ~Trace() override {
    trace_to("");
    std::filesystem::remove(path);
  }
  std::string text() const {
    std::ifstream in(path);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }
  // The line of the first event with this name that is no kernel's.
  std::string event(const std::string& name) const {
    std::stringstream all(text());
    for (std::string line; std::getline(all, line);)
      if (line.starts_with("{\"name\":\"" + name + "\"") && !says(line, "\"kernel\"")) return line;
    return "";
  }
};

TEST(Costs, CountWhatOpsCompute) {
  const Tensor x = test::spread({2, 5, 4}, -1, 1), w = test::spread({3, 4, 2}, -1, 1).set_requires_grad(true);
  const auto of = [](const std::string& op) {
    for (const OpCost& c : op_costs())
      if (c.op == op) return c;
    return OpCost{};
  };
  count_ops();
  {
    Tape tape;
    tape.backward(sum(transpose(conv1d(x, w), 1, 2)));
  }
  static_cast<void>(matmul(x, test::spread({4, 7}, -1, 1)));
  static_cast<void>(rfft(test::spread({3, 16}, -1, 1)));
  static_cast<void>(fft(test::spread({3, 32, 2}, -1, 1)));
  const Tensor w_ih = test::spread({12, 4}, -1, 1), w_hh = test::spread({12, 3}, -1, 1);
  static_cast<void>(lstm(x, {}, {}, {w_ih, w_hh, {}, {}}));
  count_ops(false);
  static_cast<void>(x * 2);
  EXPECT_EQ(of("conv1d").multiply_adds, 2 * 4 * 3 * 4 * 2);  // the rule's own are not counted
  EXPECT_EQ(of("conv1d").elements, 2 * 4 * 3);
  EXPECT_EQ(of("conv1d").calls, 1u);
  EXPECT_EQ(of("transpose").calls, 1u);
  EXPECT_EQ(of("transpose").elements, 0);  // a view
  EXPECT_EQ(of("matmul").multiply_adds, 2 * 5 * 7 * 4);
  EXPECT_EQ(of("rfft").multiply_adds, 1.25 * 3 * 16 * 4);
  EXPECT_EQ(of("fft").multiply_adds, 2.5 * 3 * 32 * 5);
  EXPECT_EQ(of("lstm").multiply_adds, 2 * 5 * 12 * 3);
  EXPECT_EQ(of("mul").calls, 0u);
  EXPECT_EQ(op_costs().front().op, "fft");  // the most first
  count_ops();
  EXPECT_TRUE(op_costs().empty());
  count_ops(false);
}

TEST_F(Trace, HasShapesBytesOperationsAndModules) {
  const Tensor x = test::spread({2, 5, 4}, -1, 1), w = test::spread({3, 4, 2}, -1, 1).set_requires_grad(true);
  detail::name_module(hash64("blocks.\"0\".conv"), "blocks.\"0\".conv");
  trace_to(path);
  {
    Tape tape;
    tape.watch(x);
    const RandomPath module(hash64("blocks.\"0\".conv"));
    tape.backward(sum(conv1d(x, w)));
  }
  trace_to("");
  const std::string forward = event("conv1d"), backward = event("conv1d backward");
  EXPECT_TRUE(says(forward, R"("inputs":["f64[2,5,4]","f64[3,4,2]","none"],"outputs":["f64[2,4,3]"],"bytes":704,)"))
      << text();
  EXPECT_TRUE(says(forward, R"("flops":384.000)")) << forward;
  EXPECT_TRUE(says(forward, R"("module":"blocks.\"0\".conv")")) << forward;
  EXPECT_TRUE(says(backward, R"("flops":768.000)")) << backward;
  EXPECT_TRUE(says(backward, R"("module":"blocks.\"0\".conv")")) << backward;
  EXPECT_TRUE(says(event("sum backward"), "\"cat\":\"backward\""));
  EXPECT_TRUE(says(text(), "\"cat\":\"kernel\"")) << text();
  EXPECT_TRUE(says(text(), "{\"name\":\"memory\",\"ph\":\"C\""));
  const std::string before = text();
  static_cast<void>(x * 2);
  EXPECT_EQ(text(), before);  // it is complete
}

TEST_F(Trace, TellsThreadsApart) {
  trace_to(path);
  static_cast<void>(exp(f64({1}, {1})));
  std::thread([] { static_cast<void>(sin(f64({1}, {1}))); }).join();
  trace_to("");
  const auto thread_of = [](const std::string& line) { return line.substr(line.find("\"tid\":"), 8); };
  EXPECT_NE(thread_of(event("exp")), thread_of(event("sin")));
}

TEST_F(Trace, NeverReplacesAnotherFile) {
  std::ofstream(path) << "a recording that took a year and is longer than the head of a trace";
  const std::string what = error_of<IoError>([&] { trace_to(path); });
  EXPECT_TRUE(says(what, "exists and is no trace")) << what;
  EXPECT_TRUE(says(text(), "a year"));
  EXPECT_TRUE(says(error_of<IoError>([] { trace_to("/nowhere/at/all.json"); }), "No such file"));
  std::filesystem::remove(path);
  trace_to(path);
  trace_to(path);  // an earlier trace may go
  trace_to("");
  EXPECT_TRUE(text().ends_with("\n]\n"));
}

// ---- memory ---------------------------------------------------------------------------------------------------------
const OpMemory* find(const std::vector<OpMemory>& rows, const std::string& op) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const OpMemory& m) { return m.op == op; });
  return found == rows.end() ? nullptr : &*found;
}

TEST(Memory, LiveAndPeakByOp) {
  const Tensor x = test::spread({10}, -1, 1);
  track_memory();
  Tensor kept = exp(x);
  {
    const Tensor a = sin(x), b = sin(a), view = reshape(a, {2, 5});
    static_cast<void>(cos(b));
  }
  auto rows = memory_by_op();
  ASSERT_EQ(rows.size(), 3u) << memory_report();  // reshape made nothing
  EXPECT_EQ(find(rows, "exp")->live_bytes, 80);
  EXPECT_EQ(find(rows, "sin")->live_bytes, 0);
  EXPECT_EQ(find(rows, "sin")->peak_bytes, 160);
  EXPECT_EQ(find(rows, "sin")->outputs, 2u);
  EXPECT_EQ(rows[0].op, "sin");
  EXPECT_EQ(rows[0].bytes_at_peak, 160);
  EXPECT_EQ(find(rows, "cos")->bytes_at_peak, 80);
  kept = Tensor();
  EXPECT_EQ(find(memory_by_op(), "exp")->live_bytes, 0);
  EXPECT_TRUE(says(memory_report(), "sin"));
  track_memory(false);
}

TEST(Memory, NamesWhatRulesMade) {
  const Tensor x = test::spread({10}, -1, 1);
  track_memory();
  Tape tape;
  tape.watch(x);
  tape.backward(sum(tanh(x)));
  const auto rows = memory_by_op();
  track_memory(false);
  ASSERT_TRUE(find(rows, "tanh backward")) << memory_report();
  EXPECT_EQ(find(rows, "tanh backward")->live_bytes, 80);
  EXPECT_TRUE(find(rows, "sum backward"));
}

// ---- graph ----------------------------------------------------------------------------------------------------------
TEST(Graph, AsDot) {
  const Tensor x = f64({1, 2}, {2}), w = f64({3, 4}, {2}).set_requires_grad(true);
  detail::name_module(hash64("head"), "head");
  Tape tape;
  tape.watch(x);
  Tensor y;
  {
    const RandomPath module(hash64("head"));
    y = x * w;
  }
  static_cast<void>(sum(y));
  EXPECT_EQ(to_dot(tape), R"(digraph tape {
  node [shape=box, fontname=monospace];
  leaf0 [label="watched f64[2]", style=rounded];
  leaf1 [label="parameter f64[2]", style=rounded];
  op0 [label="mul\nhead\nsaves 32 B"];
  leaf0 -> op0 [label="f64[2]"];
  leaf1 -> op0 [label="f64[2]"];
  op1 [label="sum\nsaves 0 B"];
  op0 -> op1 [label="f64[2]"];
  end3 [label="f64[]", shape=plaintext];
  op1 -> end3;
}
)");
}

TEST(Graph, CountsWhatEachRuleKeepsWhateverCameBetween) {
  const Tensor x = f64({1, 2}, {2});
  static_cast<void>(exp(x));  // saves, and is not recorded
  Tape tape;
  static_cast<void>(exp(x));
  tape.watch(x);
  {
    const NoGrad pause;
    static_cast<void>(exp(x));
  }
  static_cast<void>(exp(x));
  EXPECT_TRUE(says(to_dot(tape), R"(op0 [label="exp\nsaves 16 B"])")) << to_dot(tape);
}

}  // namespace
}  // namespace tapedeck
