// Every file of the corpora of the .npy, .npz and .pth readers, whole, cut and with changed bits.
#include <gtest/gtest.h>
#include <tapedeck/io/file.h>

#include <filesystem>

#include "fuzz/npy_oracle.h"
#include "fuzz/torch_oracle.h"

namespace tapedeck {
namespace {

using Promise = std::string (*)(std::span<const std::byte>, std::string*);

void replay(const std::string& kind, Promise broken, std::size_t step) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TAPEDECK_TEST_DATA "/fuzz/corpus/" + kind)) {
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    std::vector<std::byte> content = io::read_file(entry.path().string(), 1 << 20);
    std::string refusal;
    EXPECT_EQ(broken(content, &refusal), "");
    if (!name.starts_with("any-")) {
      EXPECT_EQ(refusal.empty(), name.starts_with("good-")) << refusal;
    }
    for (std::size_t cut = 0; cut < content.size(); cut += step)
      EXPECT_EQ(broken(std::span(content).first(cut), &refusal), "") << "cut to " << cut << " bytes";
    for (std::size_t bit = 0; bit < content.size() * 8; bit += 3 * step) {
      content[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
      EXPECT_EQ(broken(content, &refusal), "") << "with bit " << bit << " changed";
      content[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    }
    ++files;
  }
  EXPECT_GE(files, 50);
}

TEST(ArrayCorpus, NumPyFilesKeepThePromises) { replay("npy", broken_npy_promise, 3); }
TEST(ArrayCorpus, PyTorchFilesKeepThePromises) { replay("torch", broken_torch_promise, 7); }

}  // namespace
}  // namespace tapedeck
