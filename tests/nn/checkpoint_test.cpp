// Modules inside checkpoints: what runs again is no new call.
#include <gtest/gtest.h>
#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace tapedeck::nn {
namespace {

// Counts its calls and keeps a mean of its inputs, as layers with running statistics do.
class Statistics : public Layer {
 public:
  Statistics() : mean_(buffer("mean", {})) {}
  const char* type_name() const override { return "Statistics"; }
  Tensor forward(const Tensor& x) override {
    if (!replaying()) {
      const NoGrad pause;
      ++calls;
      copy_(mean_, mul(mean_, 0.5) + mul(mean(x), 0.5));
    }
    return x * 2;
  }
  double mean_now() const { return mean_.get().item(); }
  int calls = 0;

 private:
  Param mean_;
};

struct Net : Layer {
  Part<Linear> linear = make<Linear>(LinearConfig{2, 2});
  Part<Statistics> statistics = make<Statistics>();
  bool checkpoints = false;
  Net() {
    child("linear", linear), child("statistics", statistics);
    materialise(*this, {.seed = 3});
  }
  const char* type_name() const override { return "Net"; }
  Tensor forward(const Tensor& x) override {
    const auto block = [this](const std::vector<Tensor>& a) { return tanh(statistics(linear(a[0]))); };
    return checkpoints ? checkpoint(block, {x}) : block({x});
  }
  std::vector<float> gradient(const Tensor& x) {
    zero_grad();
    Tape tape;
    tape.backward(sum((*this)(x)));
    return arenas()[0].gradients.to_vector<float>();
  }
};

TEST(Checkpoint, ReplaySilencesHooksCountsAndStatistics) {
  const Tensor x = tensor({1, 2, 3, 4, 5, 6});
  int hooked[2] = {}, calls[2] = {};
  double mean[2] = {};
  std::vector<float> gradient[2];
  for (const int checkpoints : {0, 1}) {
    Net net;
    net.checkpoints = checkpoints;
    const HookHandle hook(net, "**", [&](const Call&) { ++hooked[checkpoints]; });
    gradient[checkpoints] = net.gradient(reshape(x, {3, 2}));
    calls[checkpoints] = net.statistics->calls;
    mean[checkpoints] = net.statistics->mean_now();
  }
  EXPECT_EQ(hooked[0], 3);
  EXPECT_EQ(hooked[1], 3);
  EXPECT_EQ(calls[1], calls[0]);
  EXPECT_EQ(mean[1], mean[0]);
  EXPECT_NE(mean[0], 0);
  EXPECT_EQ(gradient[1], gradient[0]);
}

TEST(Checkpoint, AHookThatReplacesOutputsMustRunInTheReplay) {
  const Tensor x = reshape(tensor({1, 2, 3, 4, 5, 6}), {3, 2});
  const auto doubles = [](const Call& call) { *call.outputs[0] = *call.outputs[0] * 2; };
  Net net;
  std::vector<float> gradient[2];
  for (const int checkpoints : {0, 1}) {
    net.checkpoints = checkpoints;
    const HookHandle hook(net, "linear", doubles, {.in_replay = true});
    gradient[checkpoints] = net.gradient(x);
  }
  EXPECT_EQ(gradient[1], gradient[0]);
  const HookHandle silent(net, "linear", doubles);
  try {
    net.gradient(x);
    FAIL();
  } catch (const ValueError& e) {
    EXPECT_NE(std::string(e.what()).find("hook: it replaced an output of Linear \"linear\" in a checkpoint"),
              std::string::npos)
        << e.what();
  }
  net.checkpoints = false;
  EXPECT_EQ(net.gradient(x), gradient[0]);  // outside of checkpoints it may
}

// ---- who looks on knows where the op was called ---------------------------------------------------------------------
TEST(Inspect, NamesTheModule) {
  Net net;
  fill_(net.linear->weight, 1), fill_(net.linear->bias, 0);
  const auto said = [&](double input, double incoming) -> std::string {
    try {
      Tape tape;
      const Tensor y = sum(net(full({1, 2}, input)));
      tape.backward(y, full({}, incoming));
    } catch (const ValueError& e) {
      return e.what();
    }
    return "";
  };
  check_finite();
  const std::string forward = said(3e38, 1), backward = said(0, 3e38);
  check_finite(false);
  EXPECT_TRUE(forward.starts_with("linear: makes inf") && forward.ends_with("; module linear")) << forward;
  EXPECT_TRUE(backward.starts_with("mul backward: makes inf") && backward.ends_with("; module statistics")) << backward;
}

TEST(Inspect, DrawsAndTracesModules) {
  const std::string path = testing::TempDir() + "tapedeck_module_trace.json";
  Net net;
  trace_to(path);
  {
    Tape tape;
    const Tensor y = sum(net(full({1, 2}, 1)));
    EXPECT_NE(to_dot(tape).find("linear\\nlinear\\nsaves"), std::string::npos) << to_dot(tape);
    tape.backward(y);
  }
  trace_to("");
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_NE(text.str().find("\"module\":\"linear\""), std::string::npos) << text.str();
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace tapedeck::nn
