#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/team.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
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

#ifndef TAPEDECK_SANITIZED  // ThreadSanitizer knows no threads after a fork, and no sanitizer runs in little memory
// Exit status of a process of its own that runs f; it is killed after 20 s.
template <class F>
int in_a_child(const F& f) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    f();
    std::exit(7);  // with what runs at exit
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::int64_t sum_by_pool() {
  std::atomic<std::int64_t> sum{0};
  parallel_for(1000, 1, [&](std::int64_t i, std::int64_t) { sum += i; });
  return sum;
}
int sum_by_team(Team& team) {
  std::atomic<int> sum{0};
  team.run([&](int thread) {
    sum += thread + 1;
    team.passed(thread, 1), team.wait_for(1);
  });
  return sum;
}

// Threads stay behind when a process forks: the child makes its own.
TEST(Team, AForkedProcessHasItsOwnThreads) {
  set_num_threads(2);
  Team team(3);
  ASSERT_EQ(sum_by_pool(), 499500);
  ASSERT_EQ(sum_by_team(team), 6);
  EXPECT_EQ(in_a_child([] {}), 7);
  EXPECT_EQ(in_a_child([&] {
              if (sum_by_pool() != 499500 || sum_by_team(team) != 6) std::exit(1);
              set_num_threads(3);
              if (sum_by_pool() != 499500 || sum_by_team(team) != 6) std::exit(2);
            }),
            7);
  EXPECT_EQ(in_a_child([] { set_num_threads(1); }), 7);
  EXPECT_EQ(in_a_child([] {
              auto own = std::make_unique<Team>(2);
              const int status = in_a_child([&] { own.reset(); });  // a child of the child
              if (status != 7 || sum_by_team(*own) != 3) std::exit(3);
            }),
            7);
  EXPECT_EQ(sum_by_team(team), 6);
}

TEST(Team, SaysWhenTheSystemGivesNoMoreThreads) {
  EXPECT_EQ(in_a_child([] {
              const rlimit little{std::uint64_t{64} << 20, std::uint64_t{64} << 20};
              if (setrlimit(RLIMIT_AS, &little) != 0) std::exit(1);
              try {
                Team team(64);
              } catch (const MemoryError& e) {
                const std::string text = e.what();
                std::exit(text.find("of 64 threads") != std::string::npos ? 7 : 2);
              }
              std::exit(3);
            }),
            7);
}
#endif

TEST(Team, RefusesOtherSizes) {
  EXPECT_THROW(Team(0), ValueError);
  EXPECT_THROW(Team(65), ValueError);
}

}  // namespace
}  // namespace tapedeck
