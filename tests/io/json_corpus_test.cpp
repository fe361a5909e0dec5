// Replays the corpus of the JSON fuzzer. Names tell what is expected: ok-* is read, no-* is refused.
#include <gtest/gtest.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/node.h>
#include <tapedeck/tensor/error.h>

#include <filesystem>

#include "fuzz/json_oracle.h"

namespace tapedeck::io {
namespace {

TEST(JsonCorpus, EveryFileDoesAsItsNameSays) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TAPEDECK_TEST_DATA "/fuzz/corpus/json")) {
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    const std::string text = read_text_file(entry.path(), 1 << 20);
    for (bool comments : {false, true}) EXPECT_EQ(json_broken_promise(text, comments), "");
    if (name.starts_with("ok-")) {
      EXPECT_NO_THROW(parse_json(text, name));
    } else if (name.starts_with("no-")) {
      EXPECT_THROW(parse_json(text, name), FormatError);
    }
    ++files;
  }
  EXPECT_GE(files, 50);
}

}  // namespace
}  // namespace tapedeck::io
