#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/hash.h>
#include <tapedeck/io/node.h>
#include <tapedeck/tensor/philox.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "temp_folder.h"
#include "throws.h"

namespace tapedeck {
namespace {

namespace fs = std::filesystem;
using io::SaveOptions;

std::vector<io::CheckpointFile> files_of(double value) {
  io::SafeTensors model;
  model.tensors = {{"conv.weight", full({5, 3}, value)}, {"conv.bias", full({5}, -value)}};
  return {{"config.json", "{}\n"}, {"model.safetensors", model}};
}

void append(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::app) << text; }

void flip(const std::string& path, std::int64_t bit) {
  auto bytes = io::read_file(path, 1 << 20);
  bytes[static_cast<std::size_t>(bit / 8)] ^= static_cast<std::byte>(1 << bit % 8);
  io::write_file_atomic(path, bytes, true);
}

// The same number of bytes, in place: no disk has to wait for it.
void rewrite(const std::string& path, const std::vector<std::byte>& bytes) {
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& e : fs::directory_iterator(folder)) names.push_back(e.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}
using Names = std::vector<std::string>;

TEST(Checkpoint, WhatIsSavedIsFound) {
  const TempFolder run;
  const std::string dir = run / "checkpoints";
  EXPECT_EQ(io::find_checkpoint(dir, true).folder, "");
  const auto saved = io::save_checkpoint(dir, 12, files_of(1.5), {.best = true});
  EXPECT_EQ(saved.folder, dir + "/step-12");
  EXPECT_TRUE(saved.finite);
  EXPECT_EQ(names_in(dir), (Names{"BEST", "LATEST", "step-12"}));
  EXPECT_EQ(names_in(saved.folder), (Names{"config.json", "manifest.json", "model.safetensors"}));
  EXPECT_EQ(io::read_text_file(dir + "/LATEST", 100), "step-12\n");
  const auto found = io::find_checkpoint(dir, false);
  EXPECT_EQ(found.folder, saved.folder);
  EXPECT_EQ(found.step, 12);
  EXPECT_TRUE(found.notes.empty());
  EXPECT_EQ(io::best_checkpoint(dir), saved.folder);
  EXPECT_NO_THROW(io::verify_checkpoint(saved.folder));
  const auto model = io::read_safetensors(saved.folder + "/model.safetensors");
  EXPECT_EQ(model.find("conv.bias")->to_vector<float>(), std::vector<float>(5, -1.5f));

  const io::Node manifest = io::read_json(saved.folder + "/manifest.json");
  const io::Node& entry = manifest.at("files").at("model.safetensors");
  EXPECT_EQ(entry.at("sha256").string(), io::sha256_file(saved.folder + "/model.safetensors"));
  EXPECT_EQ(entry.at("bytes").integer(), static_cast<std::int64_t>(fs::file_size(saved.folder + "/model.safetensors")));
  EXPECT_EQ(entry.at("crc32c").at("conv.bias").integer(), io::crc32c(io::raw_bytes(*model.find("conv.bias"))));
  EXPECT_EQ(saved.bytes, entry.at("bytes").integer() + 3);
}

TEST(Checkpoint, StepsAreOrderedByNumber) {
  const TempFolder run;
  for (const std::int64_t step : {9, 100, 20}) io::save_checkpoint(run.path(), step, files_of(1));
  fs::create_directory(run / "step-0200");
  fs::create_directory(run / "step-300.old");
  EXPECT_EQ(io::find_checkpoint(run.path(), true).step, 100);
}

TEST(Checkpoint, OldOnesGoButTheBestAndTwoVerifiedStay) {
  const TempFolder run;
  for (int step = 1; step <= 6; ++step) {
    io::save_checkpoint(run.path(), step, files_of(step), {.keep_last = 2, .best = step == 3});
  }
  EXPECT_EQ(names_in(run.path()), (Names{"BEST", "LATEST", "step-3", "step-5", "step-6"}));

  const TempFolder other;
  for (int step = 1; step <= 3; ++step) io::save_checkpoint(other.path(), step, files_of(step));
  append(other / "step-3/config.json", "x");  // of the newest two, only one is good
  io::save_checkpoint(other.path(), 4, files_of(4), {.keep_last = 1});
  EXPECT_EQ(names_in(other.path()), (Names{"LATEST", "step-2", "step-3", "step-4"}));
  append(other / "step-4/config.json", "x");
  io::save_checkpoint(other.path(), 5, files_of(5), {.keep_last = 1});
  EXPECT_EQ(names_in(other.path()), (Names{"LATEST", "step-2", "step-3", "step-4", "step-5"}));
}

TEST(Checkpoint, TheSameStepAgain) {
  const TempFolder run;
  io::save_checkpoint(run.path(), 1, files_of(1));
  fs::remove(run / "LATEST");
  io::save_checkpoint(run.path(), 1, files_of(1));  // the same content
  EXPECT_EQ(io::read_text_file(run / "LATEST", 100), "step-1\n");
  const std::string message = error_of<ValueError>([&] { io::save_checkpoint(run.path(), 1, files_of(2)); });
  EXPECT_NE(message.find("step-1: exists already with other content"), std::string::npos) << message;
  EXPECT_EQ(names_in(run.path()), (Names{"LATEST", "step-1"}));
  append(run / "step-1/config.json", "x");
  const auto saved = io::save_checkpoint(run.path(), 1, files_of(2));
  EXPECT_EQ(names_in(run.path()), (Names{"LATEST", "corrupt", "step-1"}));
  ASSERT_EQ(saved.notes.size(), 1u);
  EXPECT_NE(saved.notes[0].find("config.json has 4 bytes but 3 were saved"), std::string::npos) << saved.notes[0];
}

TEST(Checkpoint, ValuesThatAreNotFiniteGoToBad) {
  const TempFolder run;
  io::save_checkpoint(run.path(), 1, files_of(1));
  for (const double bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    const auto saved = io::save_checkpoint(run.path(), 2, files_of(bad), {.keep_last = 1, .best = true});
    EXPECT_FALSE(saved.finite);
    ASSERT_EQ(saved.notes.size(), 2u);
    EXPECT_EQ(saved.notes[0], "model.safetensors: tensor \"conv.weight\" has values that are not finite");
  }
  EXPECT_EQ(names_in(run.path()), (Names{"LATEST", "bad", "step-1"}));
  EXPECT_EQ(names_in(run / "bad"), (Names{"step-2", "step-2-2"}));
  EXPECT_EQ(io::read_text_file(run / "LATEST", 100), "step-1\n");
  EXPECT_TRUE(io::checkpoint_problems(run / "bad/step-2").empty());
}

TEST(Checkpoint, TornOnesAreMovedAsideAndNoted) {
  const TempFolder run;
  for (int step = 1; step <= 5; ++step) io::save_checkpoint(run.path(), step, files_of(step), {.keep_last = 9});
  fs::remove(run / "step-5/manifest.json");
  fs::resize_file(run / "step-4/model.safetensors", 40);
  fs::remove(run / "step-3/config.json");
  const auto looked = io::find_checkpoint(run.path(), false);
  EXPECT_EQ(looked.step, 2);
  EXPECT_TRUE(fs::exists(run / "step-5"));
  const auto found = io::find_checkpoint(run.path(), true);
  EXPECT_EQ(found.folder, run / "step-2");
  ASSERT_EQ(found.notes.size(), 3u);
  EXPECT_NE(found.notes[0].find("step-5: manifest.json is missing; moved to "), std::string::npos) << found.notes[0];
  EXPECT_NE(found.notes[1].find("model.safetensors has 40 bytes but "), std::string::npos) << found.notes[1];
  EXPECT_NE(found.notes[2].find("config.json is missing"), std::string::npos) << found.notes[2];
  EXPECT_EQ(names_in(run / "corrupt"), (Names{"step-3", "step-4", "step-5"}));
}

TEST(Checkpoint, WhenNoneVerifiesEachIsNamedAndStays) {
  const TempFolder run;
  for (int step = 1; step <= 2; ++step) io::save_checkpoint(run.path(), step, files_of(step));
  fs::remove(run / "step-2/manifest.json");
  fs::remove(run / "step-1/config.json");
  for (const bool repair : {true, false, true}) {
    const std::string message = error_of<FormatError>([&] { io::find_checkpoint(run.path(), repair); });
    EXPECT_NE(message.find("bring one back"), std::string::npos) << message;
    EXPECT_NE(message.find("step-2: manifest.json is missing"), std::string::npos) << message;
    EXPECT_NE(message.find("step-1: config.json is missing"), std::string::npos) << message;
  }
  EXPECT_EQ(names_in(run.path()), (Names{"LATEST", "step-1", "step-2"}));
  for (const char* step : {"step-1", "step-2"}) fs::remove_all(run / step);
  const std::string message = error_of<FormatError>([&] { io::find_checkpoint(run.path(), true); });
  EXPECT_NE(message.find("LATEST names step-2 but no checkpoint is here"), std::string::npos) << message;
  fs::remove(run / "LATEST");
  EXPECT_EQ(io::find_checkpoint(run.path(), true).folder, "");
}

TEST(Checkpoint, MarksThatWereNotWrittenArePutRight) {
  const TempFolder run;
  for (int step = 1; step <= 3; ++step) io::save_checkpoint(run.path(), step, files_of(step));
  fs::remove(run / "LATEST");
  io::find_checkpoint(run.path(), false);
  EXPECT_FALSE(fs::exists(run / "LATEST"));
  io::find_checkpoint(run.path(), true);
  EXPECT_EQ(io::read_text_file(run / "LATEST", 100), "step-3\n");
  io::mark_best(run.path(), 2);
  EXPECT_EQ(io::best_checkpoint(run.path()), run / "step-2");
  fs::remove(run / "step-3/manifest.json");
  for (const int none : {3, 7}) io::mark_best(run.path(), none);  // torn, and not there
  EXPECT_EQ(io::best_checkpoint(run.path()), run / "step-2");
  fs::rename(run / "step-2", run / "aside");  // as find_checkpoint does with what is torn
  io::mark_best(run.path(), -1);
  EXPECT_FALSE(fs::exists(run / "BEST"));
}

TEST(Checkpoint, ABestOneThatCannotBeUsedIsNamed) {
  const TempFolder run;
  for (int step = 1; step <= 2; ++step) io::save_checkpoint(run.path(), step, files_of(step));
  EXPECT_EQ(io::best_checkpoint(run.path()), "");
  fs::remove(run / "step-2/manifest.json");
  for (const auto& [name, problem] : {std::pair{"step-2\n",
                                                "BEST: names step-2, which cannot be used: manifest.json is "
                                                "missing; bring it back from a copy, or take the latest"},
                                      {"step-7\n", "BEST: names step-7, which cannot be used: it is not here;"},
                                      {"nonsense", "BEST: names no step-N"}}) {
    io::write_file_atomic(run / "BEST", std::string_view(name), true);
    const std::string message = error_of<FormatError>([&] { io::best_checkpoint(run.path()); });
    EXPECT_NE(message.find(problem), std::string::npos) << message;
  }
}

TEST(Checkpoint, EveryDifferenceIsListedAndNamesTheTensor) {
  const TempFolder run;
  io::save_checkpoint(run.path(), 1, files_of(1));
  const std::string model = run / "step-1/model.safetensors";
  flip(model, static_cast<std::int64_t>(fs::file_size(model)) * 8 - 1);
  append(run / "step-1/config.json", "x");
  const std::string message = error_of<FormatError>([&] { io::verify_checkpoint(run / "step-1"); });
  EXPECT_NE(message.find("config.json has 4 bytes but 3 were saved\n"), std::string::npos) << message;
  EXPECT_NE(message.find("model.safetensors changed since it was saved in tensor \"conv.bias\": its SHA-256 is "),
            std::string::npos)
      << message;
}

// Another release's checkpoint, or one without permission, is not torn.
TEST(Checkpoint, WhatCannotBeReadStaysWhereItIs) {
  const TempFolder run;
  io::save_checkpoint(run.path(), 1, files_of(1));
  io::save_checkpoint(run.path(), 2, files_of(2));
  io::Node manifest = io::read_json(run / "step-2/manifest.json");
  manifest["format_version"] = 7;
  manifest.erase("sha256");
  const std::string sum = io::sha256_hex(io::dump_json(manifest));
  manifest["sha256"] = sum;
  io::write_file_atomic(run / "step-2/manifest.json", io::dump_json(manifest) + "\n", true);
  const auto found = io::find_checkpoint(run.path(), true);
  EXPECT_EQ(found.step, 1);
  ASSERT_EQ(found.notes.size(), 1u);
  EXPECT_NE(found.notes[0].find("format version 7 but this program reads version 1; skipped"), std::string::npos);
  fs::remove_all(run / "step-1");
  EXPECT_NE(error_of<FormatError>([&] { io::find_checkpoint(run.path(), true); }).find("format version 7"),
            std::string::npos);
  EXPECT_TRUE(fs::exists(run / "step-2"));
}

TEST(Checkpoint, TemporaryFoldersOfDeadProcessesAreRemoved) {
  const TempFolder run;
  io::save_checkpoint(run.path(), 1, files_of(1));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  const std::string dead = ".tmp-step-2-" + std::to_string(child), alive = ".tmp-step-2-" + std::to_string(::getppid());
  for (const std::string& name : {dead, alive, std::string(".tmp-step-x")})
    fs::create_directories(run / (name + "/deep"));
  io::find_checkpoint(run.path(), false);
  EXPECT_TRUE(fs::exists(run / dead));
  io::find_checkpoint(run.path(), true);
  EXPECT_FALSE(fs::exists(run / dead));
  EXPECT_TRUE(fs::exists(run / alive));
  EXPECT_TRUE(fs::exists(run / ".tmp-step-x"));
}

TEST(Checkpoint, RequestsThatMakeNoSenseAreRefused) {
  const TempFolder run;
  const auto refuse = [&](std::vector<io::CheckpointFile> files, std::int64_t step = 1, SaveOptions options = {}) {
    return error_of<ValueError>([&] { io::save_checkpoint(run.path(), step, files, options); });
  };
  EXPECT_NE(refuse({{"a/b", "x"}}).find("no plain file name"), std::string::npos);
  EXPECT_NE(refuse({{"..", "x"}}).find("no plain file name"), std::string::npos);
  EXPECT_NE(refuse({{"a", "x"}, {"a", "y"}}).find("two files are called \"a\""), std::string::npos);
  EXPECT_NE(refuse({{"manifest.json", "x"}}).find("two files"), std::string::npos);
  EXPECT_NE(refuse({}, -1).find("-1"), std::string::npos);
  EXPECT_NE(refuse({}, 1, {.keep_last = 0}).find("keep_last"), std::string::npos);
  EXPECT_EQ(run.entries(), 0u);
}

TEST(Checkpoint, AFailedWriteLeavesTheOldOnesAndNothingElse) {
  const TempFolder run;
  io::save_checkpoint(run.path(), 1, files_of(1));
  io::SafeTensors big;
  big.tensors = {{"w", full({100'000}, 1)}};
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit tight{100'000, before.rlim_max};
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const std::string message = error_of<IoError>([&] {
    io::save_checkpoint(run.path(), 2, {{"model.safetensors", big}});
  });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("model.safetensors: "), std::string::npos) << message;
  EXPECT_NE(message.find("File too large"), std::string::npos) << message;
  EXPECT_EQ(names_in(run.path()), (Names{"LATEST", "step-1"}));

  io::write_file_atomic(run / "file", "x");
  EXPECT_NE(error_of<IoError>([&] { io::save_checkpoint(run / "file", 1, files_of(1)); }).find("file: this folder"),
            std::string::npos);
}

// Bit rot: any single changed bit of any file is found, and the file is named.
TEST(Checkpoint, TwoThousandBitFlipsAreAllDetected) {
  const TempFolder run;
  const std::string folder = io::save_checkpoint(run.path(), 1, files_of(0.1)).folder;
  const std::vector<std::string> names = names_in(folder);
  std::vector<std::vector<std::byte>> contents;
  std::int64_t bits = 0;
  for (const auto& name : names) {
    contents.push_back(io::read_file(folder + "/" + name, 1 << 20));
    bits += std::ssize(contents.back()) * 8;
  }
  int detected = 0, named = 0;
  for (std::uint64_t trial = 0; trial < 2000; ++trial) {
    auto bit = static_cast<std::int64_t>(philox(7, trial, 0).word[0] % static_cast<std::uint64_t>(bits));
    std::size_t f = 0;
    while (bit >= std::ssize(contents[f]) * 8) bit -= std::ssize(contents[f++]) * 8;
    auto changed = contents[f];
    changed[static_cast<std::size_t>(bit / 8)] ^= static_cast<std::byte>(1 << bit % 8);
    const std::string path = folder + "/" + names[f];
    rewrite(path, changed);
    const auto problems = io::checkpoint_problems(folder);
    detected += problems.size() == 1;
    named += !problems.empty() && problems[0].find(names[f]) != std::string::npos;
    rewrite(path, contents[f]);
  }
  EXPECT_EQ(detected, 2000);
  EXPECT_EQ(named, 2000);
  EXPECT_TRUE(io::checkpoint_problems(folder).empty());
}

}  // namespace
}  // namespace tapedeck
