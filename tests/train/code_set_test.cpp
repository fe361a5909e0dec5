#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>

#include <map>

#include "io/throws.h"
#include "train/small_run.h"

namespace tapedeck {
namespace {

class CodeSetTest : public testing::Test {
 protected:
  // Made before the members that read it.
  struct Folder : TempFolder {
    Folder() { write_sounds(path()); }
  };
  Folder folder;
  train::RunConfig config = small_config();
  train::Codec codec{train::Encoding::mulaw, 32};
  io::SoundSet sounds = sounds_of(folder.path(), config);
  train::CodeSet codes{sounds, codec, 8, 50};
};

TEST_F(CodeSetTest, DrawIsAPureFunctionWithinTheTrainingSide) {
  std::map<std::pair<std::int64_t, std::int64_t>, int> seen;
  for (std::int64_t step = 0; step < 200; ++step) {
    for (std::int64_t row = 0; row < 4; ++row) {
      const io::Window w = codes.draw(7, step, row), same = codes.draw(7, step, row);
      EXPECT_EQ(std::pair(w.file, w.start), std::pair(same.file, same.start));
      ++seen[{w.file, w.start}];
      bool inside = false;
      for (const io::Region& r : sounds.regions(io::Split::train)) {
        inside = inside || (r.file == w.file && w.start >= r.begin && w.start + codes.length() <= r.end);
      }
      EXPECT_TRUE(inside) << codes.name(w);
    }
  }
  EXPECT_GT(seen.size(), 700u);  // of 800 draws from thousands of windows
  EXPECT_NE(codes.draw(7, 0, 0).start, codes.draw(8, 0, 0).start);
}

TEST_F(CodeSetTest, StartsAreTheSameEachTimeAndEndLoudlyFirst) {
  const Tensor starts = codes.starts(3, codec.silence());
  EXPECT_EQ(starts.sizes(), (Shape{8, codes.length()}));
  const std::vector<std::int64_t> all = starts.to_vector<std::int64_t>();
  EXPECT_EQ(all, codes.starts(3, codec.silence()).to_vector<std::int64_t>());
  std::int64_t before = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t row = 0; row < 8; ++row) {
    std::int64_t loudness = 0;
    for (std::int64_t t = codes.length() * 3 / 4; t < codes.length(); ++t)
      loudness += std::abs(all[static_cast<std::size_t>(row * codes.length() + t)] - codec.silence());
    EXPECT_LE(loudness, before);
    before = loudness;
  }
  EXPECT_GT(before, 0);
}

TEST_F(CodeSetTest, BatchHoldsTheCodesOfItsWindows) {
  const io::Window w = codes.draw(7, 3, 1);
  const std::vector<std::int64_t> expected = codec.encode(sounds.samples(w, codes.length()));
  EXPECT_EQ(codes.batch(std::vector{w}).to_vector<std::int64_t>(), expected);
}

TEST_F(CodeSetTest, EveryHeldOutCodeIsScoredOnce) {
  const auto windows = codes.scored(io::Split::valid);
  std::map<std::pair<std::int64_t, std::int64_t>, int> times;
  for (const auto& w : windows) {
    for (std::int64_t i = 0; i < w.targets; ++i) ++times[{w.window.file, w.window.start + 8 + i}];
  }
  std::size_t expected = 0;
  for (const io::Region& r : sounds.regions(io::Split::valid)) {
    for (std::int64_t i = r.begin + 8; i < r.end; ++i) {
      const int n = times[{r.file, i}];
      EXPECT_EQ(n, 1) << r.file << ' ' << i;
      ++expected;
    }
  }
  EXPECT_EQ(times.size(), expected);
  const train::CodeSet::Pair pair = codes.pair(windows);
  EXPECT_EQ(pair.inputs.sizes(), Shape({std::ssize(windows), 57}));
  std::int64_t ignored = 0, total = 0;
  for (const std::int64_t t : pair.targets.to_vector<std::int64_t>()) ignored += t == -100, ++total;
  EXPECT_EQ(total - ignored, static_cast<std::int64_t>(expected));
}

TEST_F(CodeSetTest, ThinnedIsSpreadAndFixed) {
  const auto all = codes.scored(io::Split::valid);
  const auto some = train::CodeSet::thinned(all, 5);
  ASSERT_EQ(some.size(), 5u);
  EXPECT_EQ(some[0].window.start, all[0].window.start);
  EXPECT_EQ(train::CodeSet::thinned(all, 1 << 30).size(), all.size());
}

TEST_F(CodeSetTest, ScoreOfTheBaselinesIsThatOfTheTargets) {
  // By hand, over the same codes.
  std::vector<std::vector<std::uint16_t>> train_codes;
  std::vector<std::span<const std::uint16_t>> stretches;
  for (const io::Region& r : sounds.regions(io::Split::train)) {
    const auto c = codec.encode(sounds.samples({r.file, r.begin}, r.end - r.begin));
    train_codes.emplace_back(c.begin(), c.end());
  }
  for (const auto& c : train_codes) stretches.emplace_back(c);
  const train::Baselines baselines(32, stretches);
  double order0 = 0, order1 = 0, n = 0;
  for (const io::Region& r : sounds.regions(io::Split::valid)) {
    const auto c = codec.encode(sounds.samples({r.file, r.begin}, r.end - r.begin));
    for (std::size_t i = 8; i < c.size(); ++i, ++n) {
      order0 += baselines.order0(static_cast<std::uint16_t>(c[i]));
      order1 += baselines.order1(static_cast<std::uint16_t>(c[i - 1]), static_cast<std::uint16_t>(c[i]));
    }
  }
  const auto bits = codes.baseline_bits(codes.scored(io::Split::valid));
  EXPECT_NEAR(bits.order0, order0 / n, 1e-9);
  EXPECT_NEAR(bits.order1, order1 / n, 1e-9);
}

// A network's score in padded batches is what its loss says of each code.
TEST_F(CodeSetTest, ScoreOfTheNetworkIsItsLoss) {
  train::Trainer trainer = trainer_of(folder.path(), config);
  trainer.network().eval();
  double nats = 0;
  std::int64_t n = 0;
  for (const io::Region& r : sounds.regions(io::Split::valid)) {
    const auto c = codec.encode(sounds.samples({r.file, r.begin}, r.end - r.begin));
    nats += trainer.network().loss(tensor(c, {1, std::ssize(c)}), Reduction::sum).item();
    n += std::ssize(c) - trainer.network().shift();
  }
  const train::Score score = trainer.validate();
  EXPECT_EQ(score.targets, n);
  EXPECT_NEAR(score.bits, nats / static_cast<double>(n) / std::numbers::ln2, 1e-5);
}

TEST_F(CodeSetTest, TooShortIsADataError) {
  EXPECT_THAT(error_of<DataError>([&] { train::CodeSet(sounds, codec, 5000, 50); }),
              testing::HasSubstr("5050 samples"));
}

}  // namespace
}  // namespace tapedeck
