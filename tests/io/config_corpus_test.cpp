// Replays the corpus of the config fuzzer. Names tell what is expected: good-* is taken, bad-* is refused.
#include <gtest/gtest.h>
#include <tapedeck/io/file.h>

#include <filesystem>

#include "fuzz/config_oracle.h"

namespace tapedeck::io {
namespace {

TEST(ConfigCorpus, EveryFileDoesAsItsNameSays) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TAPEDECK_TEST_DATA "/fuzz/corpus/config")) {
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    std::string refusal;
    EXPECT_EQ(config_broken_promise(read_text_file(entry.path(), 1 << 20), refusal), "");
    if (!name.starts_with("any-")) {
      EXPECT_EQ(refusal.empty(), name.starts_with("good-")) << refusal;
    }
    ++files;
  }
  EXPECT_GE(files, 100);
}

// No byte can be cut off, doubled or changed so that a promise breaks.
TEST(ConfigCorpus, CutAndChangedFilesKeepThePromises) {
  std::mt19937 random(3);
  for (const auto& entry : std::filesystem::directory_iterator(TAPEDECK_TEST_DATA "/fuzz/corpus/config")) {
    const std::string name = entry.path().filename().string(), text = read_text_file(entry.path(), 1 << 20);
    SCOPED_TRACE(name);
    if (!name.starts_with("good-")) continue;
    std::string refusal;
    for (int i = 0; i < 40; ++i) {
      std::string other = text;
      const auto at = std::uniform_int_distribution<std::size_t>(0, text.size() - 1)(random);
      if (i % 4 == 0) other.resize(at);
      if (i % 4 == 1) other[at] = static_cast<char>(other[at] ^ (1 << (random() % 7)));
      if (i % 4 == 2) other.insert(at, text.substr(at, random() % 20));
      if (i % 4 == 3) other.erase(at, random() % 20);
      EXPECT_EQ(config_broken_promise(other, refusal), "") << other;
    }
  }
}

}  // namespace
}  // namespace tapedeck::io
