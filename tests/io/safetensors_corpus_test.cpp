#include <gtest/gtest.h>
#include <tapedeck/io/file.h>

#include <filesystem>

#include "fuzz/safetensors_oracle.h"

namespace tapedeck {
namespace {

std::vector<std::pair<std::string, std::vector<std::byte>>> corpus() {
  std::vector<std::pair<std::string, std::vector<std::byte>>> files;
  for (const auto& entry : std::filesystem::directory_iterator(TAPEDECK_TEST_DATA "/fuzz/corpus/safetensors")) {
    files.emplace_back(entry.path().filename().string(), io::read_file(entry.path().string(), 1 << 20));
  }
  return files;
}

TEST(SafeTensorsCorpus, EveryFileKeepsThePromises) {
  int files = 0;
  for (const auto& [name, content] : corpus()) {
    SCOPED_TRACE(name);
    std::string refusal;
    EXPECT_EQ(broken_safetensors_promise(content, &refusal), "");
    if (!name.starts_with("any-")) {
      EXPECT_EQ(refusal.empty(), name.starts_with("good-")) << refusal;
    }
    ++files;
  }
  EXPECT_GE(files, 50);
}

// No byte of a good file can be missing, and every changed bit is survived.
TEST(SafeTensorsCorpus, CutAndChangedFilesKeepThemToo) {
  for (auto& [name, content] : corpus()) {
    SCOPED_TRACE(name);
    std::string refusal;
    for (std::size_t cut = 0; cut < std::min<std::size_t>(content.size(), 160); ++cut) {
      EXPECT_EQ(broken_safetensors_promise(std::span(content).first(cut), &refusal), "");
      if (name.starts_with("good-")) {
        EXPECT_NE(refusal, "") << "cut to " << cut << " bytes";
      }
    }
    for (std::size_t bit = 0; bit < std::min<std::size_t>(content.size(), 160) * 8; bit += 5) {
      content[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
      EXPECT_EQ(broken_safetensors_promise(content, &refusal), "");
      content[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    }
  }
}

}  // namespace
}  // namespace tapedeck
