#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/run_lock.h>
#include <tapedeck/tensor/error.h>
#include <unistd.h>

#include <optional>

#include "temp_folder.h"
#include "throws.h"

namespace tapedeck {
namespace {

TEST(RunLock, TheSecondIsToldWhoHasIt) {
  const TempFolder run;
  std::optional<io::RunLock> lock(run.path());
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  const std::string message = error_of<ValueError>([&] { io::RunLock second(run.path()); });
  EXPECT_NE(message.find("is in use by process " + std::to_string(::getpid()) + " on " + host), std::string::npos)
      << message;
  lock.reset();
  EXPECT_NO_THROW(io::RunLock third(run.path()));
  EXPECT_NE(error_of<IoError>([] { io::RunLock none("/no/such/folder"); }).find("run.lock: cannot be opened"),
            std::string::npos);
}

TEST(RunLock, AKilledProcessLeavesNoLock) {
  const TempFolder run;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const io::RunLock lock(run.path());
    [[maybe_unused]] const auto n = ::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char c;
  ASSERT_EQ(::read(ready[0], &c, 1), 1);
  const std::string message = error_of<ValueError>([&] { io::RunLock second(run.path()); });
  EXPECT_NE(message.find("process " + std::to_string(child)), std::string::npos) << message;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(io::RunLock again(run.path()));
}

TEST(RunLock, OfPairsStartedTogetherExactlyOneWins) {
  const TempFolder run;
  for (int pair = 0; pair < 50; ++pair) {
    int gate[2], done[2];
    ASSERT_EQ(::pipe(gate), 0);
    ASSERT_EQ(::pipe(done), 0);
    pid_t children[2];
    for (pid_t& child : children) {
      if ((child = ::fork()) != 0) continue;
      ::close(gate[1]);
      ::close(done[1]);
      char c;
      [[maybe_unused]] const auto n = ::read(gate[0], &c, 1);  // returns when the gate's other end closes
      int code = 1;
      try {
        const io::RunLock lock(run.path());
        code = 0;
        [[maybe_unused]] const auto m = ::read(done[0], &c, 1);  // holds it until both have tried
      } catch (const ValueError&) {
      }
      ::_exit(code);
    }
    ::close(gate[0]);
    ::close(done[0]);
    ::close(gate[1]);
    int status = 0, losers = 0;
    ::waitpid(-1, &status, 0);  // the loser ends first
    losers += WEXITSTATUS(status) == 1;
    ::close(done[1]);
    ::waitpid(-1, &status, 0);
    losers += WEXITSTATUS(status) == 1;
    ASSERT_EQ(losers, 1) << "pair " << pair;
  }
}

}  // namespace
}  // namespace tapedeck
