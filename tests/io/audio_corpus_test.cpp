#include <gtest/gtest.h>
#include <tapedeck/io/file.h>

#include <algorithm>
#include <filesystem>

#include "fuzz/audio_oracle.h"
#ifdef TAPEDECK_SANITIZED
#include "fuzz/library_leaks.h"
#endif

namespace tapedeck {
namespace {

// The names say what must happen: good-*, odd-* (read with a note), bad-* (refused); any-* only has to be survived.
TEST(AudioCorpus, EveryFileKeepsThePromises) {
  int files = 0, bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TAPEDECK_TEST_DATA "/fuzz/corpus/audio")) {
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    const auto content = io::read_file(entry.path().string(), 1 << 20);
    std::string refusal;
    EXPECT_EQ(broken_promise(content, &refusal), "");
    if (name.starts_with("bad-")) {
      EXPECT_NE(refusal, "");
    } else if (!name.starts_with("any-")) {
      EXPECT_EQ(refusal, "");
      const bool quiet = refusal.empty() && io::decode_audio(content, "x").notes.empty();
      EXPECT_EQ(quiet, name.starts_with("good-"));
    }
    ++files;
    bytes += static_cast<int>(content.size());
  }
  EXPECT_GE(files, 50);
  EXPECT_LT(bytes, 200'000);
}

// Each seed cut at every 13th byte, and each with single bytes changed.
TEST(AudioCorpus, CutAndChangedFilesKeepThemToo) {
  for (const auto& entry : std::filesystem::directory_iterator(TAPEDECK_TEST_DATA "/fuzz/corpus/audio")) {
    SCOPED_TRACE(entry.path().filename().string());
    auto content = io::read_file(entry.path().string(), 1 << 20);
    std::string refusal;
    for (std::size_t cut = 0; cut < std::min<std::size_t>(content.size(), 260); cut += 13) {
      EXPECT_EQ(broken_promise(std::span(content).first(cut), &refusal), "");
    }
    for (std::size_t at = 0; at < std::min<std::size_t>(content.size(), 64); at += 3) {
      const std::byte old = content[at];
      content[at] ^= static_cast<std::byte>(1u << at % 8);
      EXPECT_EQ(broken_promise(content, &refusal), "");
      content[at] = old;
    }
  }
}

}  // namespace
}  // namespace tapedeck
