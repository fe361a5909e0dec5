#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/io/dataset.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/hash.h>
#include <tapedeck/tensor/error.h>

#include <filesystem>
#include <limits>
#include <numeric>
#include <set>

#include "sound_bytes.h"
#include "temp_folder.h"
#include "throws.h"

namespace tapedeck::io {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// n samples counting up from `first` in steps of 2^-15, so that each sample tells where it is from.
void put(const std::string& path, int n, int first = 0, int rate = 8000) {
  fs::create_directories(fs::path(path).parent_path());
  std::vector<float> samples(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) samples[static_cast<std::size_t>(i)] = static_cast<float>(first + i) * 0x1p-15f;
  write_wav(path, samples, 1, rate, WavFormat::pcm16, true);
}

std::vector<std::string> names(const SoundSet& set) {
  std::vector<std::string> out;
  for (const SoundFile& f : set.files()) out.push_back(f.path);
  return out;
}

TEST(SoundFiles, FolderGlobAndFile) {
  TempFolder folder;
  for (const char* name : {"b.wav", "a.WAV", "sub/c.wav", "sub/deep/d.wav", ".hidden.wav", ".git/e.wav"})
    put(folder / name, 10);
  write_file_atomic(folder / "notes.txt", "text");
  EXPECT_THAT(names(SoundSet(folder.path())), ElementsAre("a.WAV", "b.wav", "sub/c.wav", "sub/deep/d.wav"));
  EXPECT_THAT(names(SoundSet(folder.path() + "//")), ElementsAre("a.WAV", "b.wav", "sub/c.wav", "sub/deep/d.wav"));
  EXPECT_EQ(find_sound_files(folder.path()).other_files, 1);
  EXPECT_THAT(names(SoundSet(folder / "*.wav")), ElementsAre("b.wav"));
  EXPECT_THAT(names(SoundSet(folder / "[ab].[wW]*")), ElementsAre("a.WAV", "b.wav"));
  EXPECT_THAT(names(SoundSet(folder / "*/?.wav")), ElementsAre("sub/c.wav"));
  EXPECT_THAT(names(SoundSet(folder / "**/*.wav")), ElementsAre("b.wav", "sub/c.wav", "sub/deep/d.wav"));
  EXPECT_THAT(names(SoundSet(folder / "sub/**")), ElementsAre("c.wav", "deep/d.wav"));
  EXPECT_THAT(names(SoundSet(folder / "sub/c.wav")), ElementsAre("c.wav"));
  put(folder / "odd[1]*.wav", 10);  // a name that looks like a pattern
  EXPECT_THAT(names(SoundSet(folder / "odd[1]*.wav")), ElementsAre("odd[1]*.wav"));
}

TEST(SoundFiles, LinksAreFollowedOnceAndLoopsEnd) {
  TempFolder folder;
  put(folder / "real/a.wav", 10);
  fs::create_directory_symlink("..", folder / "real/up");
  fs::create_directory_symlink("real", folder / "alias");
  fs::create_symlink("real/a.wav", folder / "link.wav");
  fs::create_symlink("nowhere.wav", folder / "dead.wav");
  fs::create_symlink("self.wav", folder / "self.wav");
  const SoundFiles found = find_sound_files(folder.path());
  EXPECT_THAT(found.paths, ElementsAre("link.wav", "real/a.wav"));
  ASSERT_EQ(found.skipped.size(), 2u);
  EXPECT_EQ(found.skipped[0].path, "dead.wav");
  EXPECT_THAT(found.skipped[0].reason, HasSubstr("link to nothing"));
}

// The sounds that a run makes are not its data, wherever the run is.
TEST(SoundFiles, RunFoldersAreLeftOut) {
  TempFolder folder;
  for (const char* name : {"a.wav", "x/run/samples/b.wav", "x/run/c.wav", "half/d.wav"}) put(folder / name, 10);
  for (const char* name : {"x/run/run.json", "x/run/config.json", "half/run.json"}) {
    write_file_atomic(folder / name, "{}");
  }
  for (const std::string& source : {folder.path(), folder / "**/*.wav", folder / "**"}) {
    const SoundFiles found = find_sound_files(source);
    EXPECT_THAT(found.runs, ElementsAre("x/run"));
    EXPECT_THAT(found.paths, testing::Contains("half/d.wav"));
    EXPECT_THAT(found.paths, testing::Not(testing::Contains(HasSubstr("x/run"))));
  }
  const SoundSet set(folder.path());
  EXPECT_THAT(set.report_text(), HasSubstr("1 run folder left out\n    x/run\n"));
  EXPECT_EQ(set.report().at("run_folders").items()[0].string(), "x/run");
  // What is asked for by name is taken.
  EXPECT_THAT(names(SoundSet(folder / "x/run/samples")), ElementsAre("b.wav"));
  EXPECT_THAT(names(SoundSet(folder / "x/run")), ElementsAre("c.wav", "samples/b.wav"));
  EXPECT_THAT(error_of<DataError>([&] { SoundSet s(folder / "x"); }), HasSubstr("1 run folder left out"));
}

TEST(SoundFiles, MetadataCsv) {
  TempFolder folder;
  for (const char* name : {"a.wav", "x/b.wav", "with, comma.wav", "unlisted.wav"}) put(folder / name, 10);
  write_file_atomic(folder / "metadata.csv",
                    "\xEF\xBB\xBFlabel,file_name\r\nvoice,a.wav\r\n\"two\nlines\",x/b.wav\n,\"with, comma.wav\"\n"
                    "v,gone.wav\nv,../a.wav\nv,/etc/passwd\nv,a.wav\nv\n");
  for (const std::string& source : {folder.path(), folder / "metadata.csv"}) {
    const SoundSet set(source);
    EXPECT_THAT(names(set), ElementsAre("a.wav", "with, comma.wav", "x/b.wav"));
    ASSERT_EQ(set.skipped().size(), 4u);
    EXPECT_THAT(set.report_text(), AllOf(HasSubstr("(metadata.csv)"), HasSubstr("gone.wav: does not exist"),
                                         HasSubstr("../a.wav: leaves the folder"), HasSubstr("a row names no file")));
  }
}

TEST(SoundFiles, LjSpeechList) {
  TempFolder folder;
  put(folder / "wavs/LJ001-0001.wav", 10);
  put(folder / "wavs/LJ001-0002.wav", 10, 5);
  write_file_atomic(folder / "metadata.csv",
                    "LJ001-0001|Printing, in \"the|Printing\nLJ001-0002|b|b\nLJ001-0003|c|c\n");
  const SoundSet set(folder.path());
  EXPECT_THAT(names(set), ElementsAre("wavs/LJ001-0001.wav", "wavs/LJ001-0002.wav"));
  EXPECT_THAT(set.report_text(), AllOf(HasSubstr("LJSpeech"), HasSubstr("wavs/LJ001-0003.wav: does not exist")));
  write_file_atomic(folder / "metadata.csv", "name,text\na,b\n", true);
  EXPECT_THAT(error_of<DataError>([&] { SoundSet s(folder.path()); }), HasSubstr("no column file_name"));
  write_file_atomic(folder / "metadata.csv", "", true);
  EXPECT_THAT(error_of<DataError>([&] { SoundSet s(folder.path()); }), HasSubstr("metadata.csv: is empty"));
}

TEST(SoundSet, NothingUsableSaysWhatWasLookedFor) {
  TempFolder folder;
  const auto refusal = [](const std::string& source, SoundSetOptions options = {}) {
    return error_of<DataError>([&] { SoundSet set(source, options); });
  };
  EXPECT_THAT(refusal(folder.path()),
              AllOf(HasSubstr("holds no sound file; looked for .wav"), HasSubstr("its 0 files")));
  EXPECT_THAT(refusal(folder / "none"), HasSubstr("no such file or folder"));
  EXPECT_THAT(refusal(folder / "*.wav"), HasSubstr("no file matches"));
  write_file_atomic(folder / "text.wav", "Dear reader, this is text.");
  write_file_atomic(folder / "empty.wav", "");
  EXPECT_THAT(refusal(folder.path()),
              AllOf(HasSubstr("2 skipped: empty.wav: is empty (0 bytes)"), HasSubstr("text.wav: is not a sound file")));
  EXPECT_THAT(refusal(folder / "text.wav"), HasSubstr("text.wav: is not a sound file"));
  put(folder / "short.wav", 99);
  EXPECT_THAT(refusal(folder.path(), {.min_samples = 100}),
              HasSubstr("short.wav: needs >= 100 samples at 8000 Hz, has 99"));
  for (double fraction : {0.0, 1.0, -1.0, std::nan("")}) {
    EXPECT_THROW(SoundSet(folder.path(), {.valid_fraction = fraction}), ValueError);
  }
  EXPECT_THROW(SoundSet(folder.path(), {.sample_rate = -1}), ValueError);
  EXPECT_THROW(SoundSet(folder.path(), {.channel = all_channels}), ValueError);
  put(folder / "one.wav", 1, 0, 192000);  // less than one sample at the lower rate
  EXPECT_THAT(refusal(folder / "one.wav", {.sample_rate = 8000}), HasSubstr("needs >= 1 samples at 8000 Hz, has 0"));
}

TEST(SoundSet, SkipsWithReasonsAndGoesOn) {
  TempFolder folder;
  put(folder / "good.wav", 500);
  put(folder / "good2.wav", 400, 7);
  put(folder / "short.wav", 99);
  write_file_atomic(folder / "a\nb.wav", "");
  WavBytes nan;
  nan.code = 3, nan.align = 4, nan.bits = 32, nan.data = raw<float>({0, 0, std::numeric_limits<float>::quiet_NaN()});
  write_file_atomic(folder / "nan.wav", nan.bytes());
  WavBytes cut;
  cut.promised = 5000;
  write_file_atomic(folder / "cut.wav", cut.bytes());
  const SoundSet set(folder.path(), {.min_samples = 100});
  EXPECT_THAT(names(set), ElementsAre("cut.wav", "good.wav", "good2.wav"));
  std::vector<std::string> reasons;
  for (const auto& s : set.skipped()) reasons.push_back(s.reason);
  EXPECT_THAT(reasons,
              ElementsAre("is empty (0 bytes)", HasSubstr("NaN at frame 2"), HasSubstr("needs >= 100 samples")));
  EXPECT_THAT(set.report_text(), AllOf(HasSubstr("a\\nb.wav: is empty"), HasSubstr("cut.wav: its header promises 5000"),
                                       HasSubstr("skipped 3 files"), HasSubstr("used      3 files")));
  EXPECT_THAT(names(SoundSet(folder.path(), {.strict = true, .repair = true})),
              ElementsAre("good.wav", "good2.wav", "nan.wav", "short.wav"));
}

TEST(SoundSet, OneRateTheMostCommon) {
  TempFolder folder;
  put(folder / "a.wav", 8000, 0, 8000);
  put(folder / "b.wav", 8000, 1, 8000);
  put(folder / "c.wav", 16000, 2, 16000);
  const SoundSet set(folder.path());
  EXPECT_EQ(set.sample_rate(), 8000);
  EXPECT_NEAR(double(set.files()[2].samples.size()), 8000, 1);
  EXPECT_THAT(set.files()[2].notes, ElementsAre("resampled from 16000 Hz to 8000 Hz"));
  EXPECT_EQ(set.files()[2].info.sample_rate, 16000);
  const SoundSet fast(folder.path(), {.sample_rate = 16000});
  EXPECT_NEAR(double(fast.files()[0].samples.size()), 16000, 1);
  EXPECT_EQ(fast.files()[2].samples.size(), 16000u);
  fs::remove(folder / "b.wav");
  EXPECT_EQ(SoundSet(folder.path()).sample_rate(), 8000);  // of two as common, the lower
}

TEST(SoundSet, MemoryLimit) {
  TempFolder folder;
  put(folder / "a.wav", 100);
  put(folder / "b.wav", 100, 1);
  EXPECT_NO_THROW(SoundSet(folder.path(), {.max_bytes = 800}));
  EXPECT_THAT(error_of<MemoryError>([&] { SoundSet s(folder.path(), {.max_bytes = 799}); }),
              HasSubstr("limit of 799 bytes"));
  EXPECT_THROW(SoundSet(folder.path(), {.sample_rate = 16000, .max_bytes = 800}), MemoryError);
}

std::set<std::string> held_out(const SoundSet& set) {
  std::set<std::string> out;
  for (const Region& r : set.regions(Split::valid)) out.insert(set.files()[std::size_t(r.file)].path);
  return out;
}

TEST(SoundSet, SplitGoesByContentAndAddingFilesMovesNone) {
  TempFolder folder;
  for (int i = 0; i < 60; ++i) put(folder / ("f" + std::to_string(i) + ".wav"), 50, 100 * i);
  const SoundSetOptions options{.valid_fraction = 0.3};
  const SoundSet before(folder.path(), options);
  const auto valid = held_out(before);
  EXPECT_GT(valid.size(), 8u);
  EXPECT_LT(valid.size(), 30u);
  EXPECT_EQ(before.regions(Split::train).size() + valid.size(), 60u);
  for (int i = 60; i < 90; ++i) put(folder / ("f" + std::to_string(i) + ".wav"), 50, 100 * i);
  const auto more = held_out(SoundSet(folder.path(), options));
  for (int i = 0; i < 60; ++i) {
    const std::string name = "f" + std::to_string(i) + ".wav";
    EXPECT_EQ(more.contains(name), valid.contains(name)) << name;
  }
  fs::rename(folder / *valid.begin(), folder / "renamed.wav");
  EXPECT_TRUE(held_out(SoundSet(folder.path(), options)).contains("renamed.wav"));
}

TEST(SoundSet, SplitHasBothSides) {
  for (double fraction : {1e-9, 1 - 1e-9}) {
    for (int files : {2, 3, 5}) {
      TempFolder folder;
      for (int i = 0; i < files; ++i) put(folder / (std::to_string(i) + ".wav"), 50, i);
      const SoundSet set(folder.path(), {.valid_fraction = fraction});
      EXPECT_EQ(set.regions(fraction < 0.5 ? Split::valid : Split::train).size(), 1u);
      EXPECT_EQ(set.regions(fraction < 0.5 ? Split::train : Split::valid).size(), std::size_t(files - 1));
    }
  }
  TempFolder folder;
  for (const char* name : {"a.wav", "b.wav", "c.wav"}) put(folder / name, 50);  // all the same bytes
  EXPECT_EQ(held_out(SoundSet(folder.path())), std::set<std::string>{"c.wav"});
}

TEST(SoundSet, OneFileIsSplitByPosition) {
  TempFolder folder;
  put(folder / "a.wav", 1000);
  const auto ends = [&](SoundSetOptions options) {
    const SoundSet set(folder / "a.wav", options);
    const Region t = set.regions(Split::train)[0], v = set.regions(Split::valid)[0];
    EXPECT_EQ(t.begin, 0);
    EXPECT_EQ(t.end, v.begin);
    EXPECT_EQ(v.end, 1000);
    EXPECT_EQ(set.samples(Split::train), t.end);
    return t.end;
  };
  EXPECT_EQ(ends({}), 950);
  EXPECT_EQ(ends({.min_samples = 200}), 800);
  EXPECT_EQ(ends({.min_samples = 500}), 500);
  EXPECT_EQ(ends({.min_samples = 100, .valid_fraction = 0.99}), 100);
  EXPECT_THAT(error_of<DataError>([&] { ends({.min_samples = 501}); }), HasSubstr("needs >= 1002 samples"));
}

TEST(WindowIndex, CountsAndNeverCrossesARegion) {
  const std::vector<Region> regions = {{0, 0, 10}, {1, 0, 3}, {2, 5, 9}, {3, 0, 4}, {4, 0, 0}};
  for (std::int64_t length = 1; length <= 11; ++length) {
    for (std::int64_t stride = 1; stride <= 5; ++stride) {
      const WindowIndex index(regions, length, stride);
      std::vector<std::pair<std::int64_t, std::int64_t>> expected;
      for (const Region& r : regions) {
        for (auto s = r.begin; s + length <= r.end; s += stride) expected.emplace_back(r.file, s);
      }
      ASSERT_EQ(index.size(), std::ssize(expected)) << length << " " << stride;
      for (std::int64_t i = 0; i < index.size(); ++i) {
        EXPECT_EQ(index[i].file, expected[std::size_t(i)].first);
        EXPECT_EQ(index[i].start, expected[std::size_t(i)].second);
      }
      EXPECT_THROW(index[index.size()], ValueError);
      EXPECT_THROW(index[-1], ValueError);
    }
  }
  EXPECT_EQ(WindowIndex(regions, 4, 1).too_short().size(), 2u);
  EXPECT_EQ(WindowIndex(regions, std::numeric_limits<std::int64_t>::max(), 1).size(), 0);
  EXPECT_THROW(WindowIndex(regions, 0, 1), ValueError);
  EXPECT_THROW(WindowIndex(regions, 1, 0), ValueError);
}

TEST(SoundSet, WindowsHoldTheRightSamples) {
  TempFolder folder;
  for (int i = 0; i < 5; ++i) put(folder / (std::to_string(i) + ".wav"), 20 + 7 * i, 1000 * i);
  const SoundSet set(folder.path());
  for (Split split : {Split::train, Split::valid}) {
    const WindowIndex index = set.windows(split, 8, 3);
    for (std::int64_t i = 0; i < index.size(); ++i) {
      const auto window = set.samples(index[i], 8);
      ASSERT_EQ(window.size(), 8u);
      const auto first = static_cast<float>(1000 * index[i].file + index[i].start);
      for (int k = 0; k < 8; ++k) ASSERT_EQ(window[std::size_t(k)], (first + static_cast<float>(k)) * 0x1p-15f);
    }
  }
  EXPECT_EQ(set.unused(Split::train, 30).size() + set.unused(Split::valid, 30).size(), 2u);
  const auto all = set.unused(Split::valid, 1000);
  EXPECT_THAT(all[0], HasSubstr(".wav: needs >= 1000 samples, has "));
  EXPECT_THROW(set.samples({0, 15}, 8), ValueError);
  EXPECT_THROW(set.samples({9, 0}, 1), ValueError);
}

TEST(SoundSet, NamesWhatChanged) {
  TempFolder folder;
  for (const char* name : {"a.wav", "b.wav", "c.wav"}) put(folder / name, 20, name[0]);
  const SoundSet before(folder.path());
  const Node saved = parse_json(dump_json(before.manifest()), "manifest");
  EXPECT_EQ(SoundSet(folder.path()).describe_change(saved), "");
  EXPECT_EQ(SoundSet(folder.path()).fingerprint(), before.fingerprint());
  EXPECT_EQ(before.files()[0].sha256, sha256_file(folder / "a.wav"));
  fs::remove(folder / "a.wav");
  put(folder / "b.wav", 21);
  put(folder / "new\n.wav", 20);
  const SoundSet after(folder.path(), {.sample_rate = 4000});
  EXPECT_NE(after.fingerprint(), before.fingerprint());
  EXPECT_EQ(
      after.describe_change(saved),
      "1 file added (new\\n.wav), 1 file removed (a.wav), 1 file changed (b.wav), sample rate 8000 Hz became 4000 Hz");
  EXPECT_THROW(after.describe_change(Node::object()), FormatError);
}

TEST(SoundSet, ReportTellsEverything) {
  TempFolder folder;
  put(folder / "a.wav", 16000);
  write_wav(folder / "silent.wav", std::vector<float>(8000), 1, 8000);
  write_file_atomic(folder / "bad.wav", "");
  const SoundSet set(folder.path());
  const Node report = set.report();
  EXPECT_EQ(report.at("sample_rate").integer(), 8000);
  EXPECT_EQ(report.at("files").size(), 2u);
  const Node& a = report.at("files").items()[0];
  EXPECT_EQ(a.at("path").string(), "a.wav");
  EXPECT_EQ(a.at("seconds").real(), 2);
  EXPECT_EQ(a.at("peak").real(), 15999 * 0x1p-15);
  EXPECT_NEAR(a.at("rms").real(), 15999 * 0x1p-15 / std::sqrt(3), 1e-4);
  EXPECT_EQ(a.at("format").string(), "wav pcm16");
  const Node& silent = report.at("files").items()[1];
  EXPECT_EQ(silent.at("silence").real(), 1);
  EXPECT_EQ(silent.at("notes").items()[0].string(), "is all silence");
  EXPECT_EQ(report.at("skipped").items()[0].at("reason").string(), "is empty (0 bytes)");
  EXPECT_EQ(report.at("train").at("files").integer() + report.at("valid").at("files").integer(), 2);
  EXPECT_THAT(set.report_text(), AllOf(HasSubstr("2 files, 3.0 s at 8000 Hz"), HasSubstr("by file hash: 1 file (")));
}

}  // namespace
}  // namespace tapedeck::io
