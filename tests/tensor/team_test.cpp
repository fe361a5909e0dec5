#include <gtest/gtest.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/team.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace tapedeck {
namespace {

TEST(Team, EveryThreadWorksInEveryRun) {
  for (const int threads : {1, 2, 5}) {
    Team team(threads);
    EXPECT_EQ(team.size(), threads);
    std::vector<int> runs(static_cast<std::size_t>(threads));
    std::vector<std::thread::id> who(runs.size());
    for (int i = 0; i < 200; ++i)
      team.run([&](int t) {
        ++runs[static_cast<std::size_t>(t)], who[static_cast<std::size_t>(t)] = std::this_thread::get_id();
      });
    EXPECT_EQ(runs, std::vector<int>(runs.size(), 200));
    EXPECT_EQ(who[0], std::this_thread::get_id());
    for (std::size_t t = 1; t < who.size(); ++t) EXPECT_NE(who[t], who[t - 1]);
  }
}

// Each thread adds its neighbour's number of the round before: wrong as soon as one runs ahead or sees old memory.
TEST(Team, MarksOrderWhatThreadsWrite) {
  constexpr int kThreads = 3, kRounds = 300;
  Team team(kThreads);
  std::vector<std::vector<long>> number(kRounds + 1, std::vector<long>(kThreads, 1));
  for (int repeat = 0; repeat < 5; ++repeat)
    team.run([&](int t) {
      for (int round = 1; round <= kRounds; ++round) {
        team.wait_for(round - 1);
        number[round][t] = (number[round - 1][(t + 1) % kThreads] + number[round - 1][t]) % 1000003;
        team.passed(t, round);
      }
    });
  long expected = 1;
  for (int round = 0; round < kRounds; ++round) expected = 2 * expected % 1000003;
  EXPECT_EQ(number[kRounds], std::vector<long>(kThreads, expected));
}

TEST(Team, WakesUpAgain) {
  Team team(2);
  std::atomic<int> runs = 0;
  for (int i = 0; i < 3; ++i) {
    team.run([&](int t) { runs += t; });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // longer than threads spin
  }
  EXPECT_EQ(runs, 3);
}

TEST(Team, RefusesOtherSizes) {
  EXPECT_THROW(Team(0), ValueError);
  EXPECT_THROW(Team(65), ValueError);
}

}  // namespace
}  // namespace tapedeck
