// The small parts: sums of shards, progress, lines in files, generation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/train/generate.h>
#include <tapedeck/train/metrics.h>
#include <tapedeck/train/progress.h>
#include <tapedeck/train/shard_sum.h>

#include "io/throws.h"
#include "train/size_limit.h"
#include "train/small_run.h"

namespace tapedeck {
namespace {

TEST(ShardSum, AddsInTheOrderOfATree) {
  const std::vector<float> x{1.0f, 1e-8f, -1.0f, 3e-8f, 5e-8f, 7e-8f, 1e8f};  // every order has its own rounding
  const auto total = [&](std::size_t n) {
    train::ShardSum sum;
    for (std::size_t i = 0; i < n; ++i) sum.add({full({3}, x[i])});
    return sum.total()[0].to_vector<float>()[2];
  };
  EXPECT_EQ(total(1), x[0]);
  EXPECT_EQ(total(2), x[0] + x[1]);
  EXPECT_EQ(total(3), (x[0] + x[1]) + x[2]);
  EXPECT_EQ(total(4), (x[0] + x[1]) + (x[2] + x[3]));
  EXPECT_EQ(total(6), ((x[0] + x[1]) + (x[2] + x[3])) + (x[4] + x[5]));
  EXPECT_EQ(total(7), ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + x[6]));
  train::ShardSum none;
  error_of<ValueError>([&] { none.total(); });
}

struct Screen {
  std::FILE* file = std::tmpfile();
  ~Screen() { std::fclose(file); }
  std::string text() const {
    std::rewind(file);
    std::string all(4096, '\0');
    all.resize(std::fread(all.data(), 1, all.size(), file));
    return all;
  }
};

TEST(Progress, RedrawsOneLineOnATerminal) {
  Screen screen;
  double now = 100;
  {
    train::Progress progress(0, 1000, train::Progress::Style::terminal, screen.file, [&] { return now; });
    for (int step = 1; step <= 10; ++step) {
      now += 0.5;
      progress.update(step, [] { return std::string("loss 1.5 bits"); });
    }
  }
  EXPECT_THAT(screen.text(), testing::HasSubstr("\rstep 10/1000 loss 1.5 bits 2 it/s ETA 8m15s\n"));
  EXPECT_EQ(std::ranges::count(screen.text(), '\n'), 1);
}

TEST(Progress, PlainLinesComeEveryTenSeconds) {
  Screen screen;
  double now = 0;
  train::Progress progress(0, 100, train::Progress::Style::plain, screen.file, [&] { return now; });
  for (int step = 1; step <= 25; ++step) {
    now += 1;
    progress.update(step, [] { return std::string("x"); });
  }
  EXPECT_EQ(screen.text(), "step 10/100 x 1 it/s ETA 1m30s\nstep 20/100 x 1 it/s ETA 1m20s\n");
}

TEST(Progress, DurationsAreReadable) {
  EXPECT_EQ(train::duration_text(0), "0s");
  EXPECT_EQ(train::duration_text(59.4), "59s");
  EXPECT_EQ(train::duration_text(456), "7m36s");
  EXPECT_EQ(train::duration_text(7500), "2h05m");
  EXPECT_EQ(train::duration_text(-1), "-");
  EXPECT_EQ(train::duration_text(std::nan("")), "-");
}

TEST(LineFile, CutsWhatCameAfterTheCheckpoint) {
  TempFolder folder;
  std::int64_t after_two = 0;
  {
    train::LineFile file(folder / "metrics.jsonl", 0);
    file.append("one");
    file.append("two");
    after_two = file.bytes();
    file.append("three");
  }
  train::LineFile file(folder / "metrics.jsonl", after_two);
  file.append("four");
  EXPECT_EQ(io::read_text_file(folder / "metrics.jsonl", 100), "one\ntwo\nfour\n");
  EXPECT_THAT(error_of<FormatError>([&] { train::LineFile(folder / "metrics.jsonl", 1000); }),
              testing::HasSubstr("holds 13 bytes"));
}

TEST(LineFile, KeepsWhatCannotBeWritten) {
  TempFolder folder;
  train::LineFile file(folder / "train.log", 0);
  {
    const SizeLimit full(6);
    file.append("one");
    file.append("two");  // half of it would fit
    EXPECT_EQ(file.bytes(), 4);
    EXPECT_THAT(file.problem(), testing::HasSubstr("too large"));
    EXPECT_EQ(io::read_text_file(folder / "train.log", 100), "one\n");
  }
  file.append("three");
  EXPECT_EQ(file.problem(), "");
  EXPECT_EQ(io::read_text_file(folder / "train.log", 100), "one\ntwo\nthree\n");
}

class GenerateTest : public testing::Test {
 protected:
  GenerateTest() {
    network = train::build_network(small_config());
    nn::materialise(*network, {.seed = 3});
    for (const nn::NamedTensor& p : network->named_parameters()) mul_(p.tensor, 5);  // decided opinions
    network->eval();
  }
  std::vector<std::vector<std::int64_t>> make(std::int64_t streams, std::uint64_t seed,
                                              std::vector<std::int64_t> prompt = {}, double temperature = 1) {
    return train::generate(*network, codec, {prompt},
                           {.samples = 60, .streams = streams, .temperature = temperature, .seed = seed});
  }
  nn::Part<nn::Network> network;
  train::Codec codec{train::Encoding::mulaw, 32};
};

TEST_F(GenerateTest, StreamDoesNotDependOnTheOthersOrOnThreads) {
  const auto three = make(3, 5);
  EXPECT_EQ(make(1, 5)[0], three[0]);
  EXPECT_EQ(make(2, 5)[1], three[1]);
  EXPECT_NE(three[0], three[1]);
  EXPECT_NE(make(1, 6)[0], three[0]);
  const int threads = num_threads();
  set_num_threads(threads == 1 ? 2 : 1);
  EXPECT_EQ(make(3, 5), three);
  set_num_threads(threads);
}

TEST_F(GenerateTest, PromptMattersAndShortOnesFollowSilence) {
  const std::vector<std::int64_t> prompt{1, 30, 1, 30};
  std::vector<std::int64_t> padded(static_cast<std::size_t>(network->receptive_field()) - prompt.size(),
                                   codec.silence());
  padded.insert(padded.end(), prompt.begin(), prompt.end());
  EXPECT_EQ(make(1, 5, prompt, 0.01), make(1, 5, padded, 0.01));
  EXPECT_NE(make(1, 5, prompt, 0.01), make(1, 5, {}, 0.01));
}

TEST_F(GenerateTest, StreamsTakeTurnsWithThePrompts) {
  const train::Codes a{1, 30, 1, 30}, b{7, 7, 9, 9};
  const auto both = train::generate(*network, codec, {a, b}, {.samples = 60, .streams = 3, .seed = 5});
  const auto only_a = make(3, 5, a), only_b = make(3, 5, b);
  EXPECT_EQ(both[0], only_a[0]);
  EXPECT_EQ(both[1], only_b[1]);
  EXPECT_EQ(both[2], only_a[2]);
  EXPECT_NE(only_a[1], only_b[1]);
}

TEST_F(GenerateTest, CodesFollowTheForward) {
  const auto codes = train::generate(*network, codec, {}, {.samples = 30, .temperature = 0})[0];
  std::vector<std::int64_t> all(static_cast<std::size_t>(network->receptive_field()), codec.silence());
  for (const std::int64_t code : codes) {
    const Tensor logits = (*network)(tensor(all, {1, std::ssize(all)}));
    const std::vector<float> row = logits.to_vector<float>();
    const auto last = row.end() - 32;
    EXPECT_EQ(code, std::max_element(last, row.end()) - last);
    all.push_back(code);
  }
}

TEST_F(GenerateTest, PredictionsThatAreNotFiniteMakeNoSound) {
  const train::GenerateOptions options{.samples = 60, .streams = 2, .name = "run/step-3"};
  const auto refusal = [&] { return error_of<Error>([&] { train::generate(*network, codec, {{1, 30}}, options); }); };
  const std::vector<nn::NamedTensor> parameters = network->named_parameters();
  const Tensor bias = parameters.back().tensor;  // of the last layer: the logits are it and something
  for (const float x : {NAN, INFINITY}) {
    bias.data<float>()[1] = x;
    EXPECT_THAT(refusal(), testing::HasSubstr("run/step-3: the network predicts values that are not finite")) << x;
  }
  bias.data<float>()[1] = -INFINITY;  // a code that is ruled out
  for (const auto& codes : train::generate(*network, codec, {{1, 30}}, options))
    EXPECT_EQ(std::ranges::count(codes, 1), 0);
  for (const nn::NamedTensor& p : parameters) fill_(p.tensor, 1e30);
  EXPECT_THAT(refusal(), testing::HasSubstr("not finite"));
}

TEST(Codec, SilenceDecodesNearZero) {
  for (const auto encoding : {train::Encoding::mulaw, train::Encoding::linear}) {
    const train::Codec codec(encoding, 256);
    EXPECT_LT(std::abs(codec.decode(std::vector{codec.silence()})[0]), 0.004);
  }
}

}  // namespace
}  // namespace tapedeck
