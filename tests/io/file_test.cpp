#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>
#include <unistd.h>

#include <csignal>

#include "temp_folder.h"
#include "throws.h"

namespace tapedeck::io {
namespace {

using testing::HasSubstr;

TEST(File, RoundTripLeavesOnlyTheFile) {
  TempFolder folder;
  const std::string text("a\0b\n", 4);
  write_file_atomic(folder / "f", text);
  EXPECT_EQ(read_text_file(folder / "f", 4), text);
  EXPECT_EQ(read_file(folder / "f", 100).size(), 4u);
  EXPECT_EQ(folder.entries(), 1u);
  write_file_atomic(folder / "empty", std::string_view());
  EXPECT_EQ(read_text_file(folder / "empty", 0), "");
}

TEST(File, ReadsWhatGrewOrHasNoSize) {
  EXPECT_GT(read_text_file("/proc/self/status", 1 << 20).size(), 100u);
  EXPECT_THAT(error_of<IoError>([] { read_text_file("/proc/self/status", 50); }), HasSubstr("limit of 50 bytes"));
}

TEST(File, RefusesAnExistingNameUnlessTold) {
  TempFolder folder;
  write_file_atomic(folder / "f", "old");
  EXPECT_THAT(error_of<ValueError>([&] { write_file_atomic(folder / "f", "new"); }), HasSubstr("--force"));
  EXPECT_EQ(read_text_file(folder / "f", 9), "old");
  write_file_atomic(folder / "f", "new", true);
  EXPECT_EQ(read_text_file(folder / "f", 9), "new");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(File, ANameThatAppearsMeanwhileIsKept) {
  TempFolder folder;
  {
    OutputFile mine(folder / "f", false);
    mine.write(std::as_bytes(std::span(std::string_view("mine"))));
    write_file_atomic(folder / "f", "theirs");
    EXPECT_THROW(mine.commit(), ValueError);
  }
  EXPECT_EQ(read_text_file(folder / "f", 9), "theirs");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(File, WithoutCommitNothingIsLeft) {
  TempFolder folder;
  { OutputFile(folder / "f", false).write(std::as_bytes(std::span(std::string_view("x")))); }
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(File, OneSentencePerBadPath) {
  TempFolder folder;
  ::mkfifo((folder / "pipe").c_str(), 0600);
  const auto reading = [](const std::string& path) { return error_of<IoError>([&] { read_file(path, 10); }); };
  EXPECT_THAT(reading(folder / "none"), HasSubstr("No such file"));
  EXPECT_THAT(reading(folder.path()), HasSubstr("not a regular file"));
  EXPECT_THAT(reading(folder / "pipe"), HasSubstr("not a regular file"));  // and does not wait for a writer
  const auto writing = [](const std::string& path) {
    return error_of<IoError>([&] { write_file_atomic(path, "x", true); });
  };
  EXPECT_THAT(writing(folder / "no/such/f"), HasSubstr("No such file or directory"));
  EXPECT_THAT(writing(folder.path()), HasSubstr("not a regular file"));
  EXPECT_THAT(writing(folder / "pipe"), HasSubstr("not a regular file"));
  EXPECT_THAT(writing(folder / "x/"), HasSubstr("x/"));
  EXPECT_THAT(writing(""), HasSubstr("a file name is needed"));
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(File, TooLongAWriteLeavesNothingAndTheOldFile) {
  TempFolder folder;
  write_file_atomic(folder / "f", "old");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{}, small{1000, 0};
  ::getrlimit(RLIMIT_FSIZE, &before);
  small.rlim_max = before.rlim_max;
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = error_of<IoError>([&] { write_file_atomic(folder / "f", std::string(5000, 'x'), true); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(message, HasSubstr("File too large"));
  EXPECT_EQ(read_text_file(folder / "f", 9), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

// A file system of the test's own, 64 KiB large.
TEST(File, FullAndReadOnlyDisks) {
  TempFolder folder;
  const std::string mounted = folder / "disk";
  std::filesystem::create_directory(mounted);
  if (::mount("none", mounted.c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_SKIP() << "may not mount a tmpfs here";
  const std::string full = error_of<IoError>([&] { write_file_atomic(mounted + "/f", std::string(200'000, 'x')); });
  const bool nothing_left = std::filesystem::is_empty(mounted);
  ::mount("none", mounted.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, "size=64k");
  const std::string read_only = error_of<IoError>([&] { write_file_atomic(mounted + "/f", "x"); });
  ::umount(mounted.c_str());
  EXPECT_THAT(full, HasSubstr("No space left on device"));
  EXPECT_TRUE(nothing_left);
  EXPECT_THAT(read_only, HasSubstr("Read-only file system"));
}

TEST(File, NamesArePrintable) {
  EXPECT_EQ(printable("plain/é 音.wav"), "plain/é 音.wav");
  EXPECT_EQ(printable("a\nb\x1b[2J\\"), "a\\nb\\x1b[2J\\\\");
  EXPECT_EQ(printable("bad\xff\xc3"), "bad\\xff\\xc3");
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "x\xc2\x85"),
            "\\xe2\\x80\\xaex\\xc2\\x85");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate is not UTF-8
  std::string bytes;
  for (int a = 0; a < 256; ++a) {
    for (const char b : {'\0', '\n', '\\', 'n', 'x', '4', '\x85', '\xC2', '\xE2', '\xFF'}) {
      (bytes += static_cast<char>(a)) += b;
    }
  }
  for (const std::string& text : {bytes, std::string("a\\x41\\n\\"), std::string("\xe2\x80\xae")}) {
    EXPECT_EQ(from_printable(printable(text)), text);
  }
  EXPECT_EQ(from_printable("C:\\a \\x4 \\xzz \\"), "C:\\a \\x4 \\xzz \\");  // not ours: left as it is
}

}  // namespace
}  // namespace tapedeck::io
