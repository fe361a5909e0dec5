#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <tapedeck/io/audio.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>

#include <csignal>
#include <limits>

#include "sound_bytes.h"
#include "temp_folder.h"
#include "throws.h"

namespace tapedeck::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::span<const std::byte> bytes_of(const std::string& s) { return std::as_bytes(std::span(s)); }
Audio decode(const std::string& bytes, ReadOptions options = {}) {
  return decode_audio(bytes_of(bytes), "x.wav", options);
}
std::string refusal(const std::string& bytes, ReadOptions options = {}) {
  return error_of<DataError>([&] { decode(bytes, options); });
}

TEST(ReadAudio, PcmValuesAreExact) {
  WavBytes wav;
  wav.data = raw<std::int16_t>({0, 1, -1, 32767, -32768, 12345});
  EXPECT_THAT(decode(wav.bytes()).samples, ElementsAre(0, 0x1p-15f, -0x1p-15f, 32767 * 0x1p-15f, -1, 12345 * 0x1p-15f));
  wav.align = 1, wav.bits = 8, wav.data = raw<std::uint8_t>({128, 129, 127, 255, 0});
  EXPECT_THAT(decode(wav.bytes()).samples, ElementsAre(0, 0x1p-7f, -0x1p-7f, 127 * 0x1p-7f, -1));
  wav.align = 3, wav.bits = 24, wav.data = std::string("\1\0\0\xff\xff\xff\xff\xff\x7f\0\0\x80", 12);
  EXPECT_THAT(decode(wav.bytes()).samples, ElementsAre(0x1p-23f, -0x1p-23f, 8388607 * 0x1p-23f, -1));
  wav.align = 4, wav.bits = 32, wav.data = raw<std::int32_t>({1, -1, 1 << 30, std::numeric_limits<int>::min()});
  EXPECT_THAT(decode(wav.bytes()).samples, ElementsAre(0x1p-31f, -0x1p-31f, 0.5f, -1));
  wav.code = 3, wav.data = raw<float>({0.1f, -1, 1e-30f});
  EXPECT_THAT(decode(wav.bytes()).samples, ElementsAre(0.1f, -1, 1e-30f));
  wav.align = 8, wav.bits = 64, wav.data = raw<double>({0.1, -1});
  EXPECT_THAT(decode(wav.bytes()).samples, ElementsAre(0.1f, -1));
}

// Every container and depth, 1 to 8 channels, 8 to 192 kHz: the right frames come back, each channel in its place.
TEST(ReadAudio, EveryFormatChannelCountAndRate) {
  struct Format {
    const char* name;
    int code;
    double error;
  };
  const Format formats[] = {{"wav pcm8", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 0.009},
                            {"wav pcm16", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 4e-5},
                            {"wav pcm24", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 2e-7},
                            {"wav pcm32", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 6e-8},
                            {"wav float32", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 6e-8},
                            {"wav float64", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 6e-8},
                            {"wav pcm24", SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 2e-7},
                            {"wav pcm16", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 4e-5},
                            {"wav mu-law", SF_FORMAT_WAV | SF_FORMAT_ULAW, 0.02},
                            {"wav a-law", SF_FORMAT_WAV | SF_FORMAT_ALAW, 0.02},
                            {"aiff pcm16", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 4e-5},
                            {"aiff pcm24", SF_FORMAT_AIFF | SF_FORMAT_PCM_24, 2e-7},
                            {"aiff float32", SF_FORMAT_AIFF | SF_FORMAT_FLOAT, 6e-8},
                            {"flac pcm16", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 4e-5},
                            {"flac pcm24", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 2e-7},
                            {"ogg vorbis", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 0.1},
                            {"ogg opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, -1},
                            {"mp3 layer 3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, -1}};
  TempFolder folder;
  int made = 0;
  for (const Format& f : formats) {
    for (int channels : {1, 2, 3, 5, 6, 8}) {
      for (int rate : {8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000}) {
        const int frames = rate / 5;
        const std::string path = folder / "sound";
        if (!make_sound(path, f.code, channels, rate, sines(channels, rate, frames))) continue;
        SCOPED_TRACE(std::string(f.name) + " " + std::to_string(channels) + " x " + std::to_string(rate));
        ++made;
        ReadOptions all;
        all.channel = all_channels;
        const Audio audio = read_audio(path, all);
        ASSERT_EQ(audio.channels, channels);
        const AudioInfo info = probe_audio(path);
        EXPECT_EQ(info.format, f.name);
        EXPECT_EQ(info.channels, channels);
        EXPECT_EQ(info.sample_rate, audio.sample_rate);
        if (f.error < 0) {  // MP3 pads with its coder's delay, and both bend the waveform: the loudness must fit
          EXPECT_NEAR(double(audio.frames()), frames, 3000);
          double energy = 0;
          for (float x : audio.samples) energy += x * x;
          EXPECT_NEAR(std::sqrt(energy / (double(frames) * channels)), 0.5 / std::sqrt(2), 0.12);
          continue;
        }
        EXPECT_THAT(audio.notes, IsEmpty());
        EXPECT_EQ(audio.sample_rate, rate);
        ASSERT_EQ(audio.frames(), frames);
        const auto expected = sines(channels, rate, frames);
        double worst = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
          worst = std::max(worst, std::abs(expected[i] - audio.samples[i]));
        const bool coded = f.error >= 0.1 && channels > 2;  // Vorbis low-passes the sixth channel
        EXPECT_LE(worst, coded ? 0.6 : f.error);
        const Audio mixed = read_audio(path);
        EXPECT_EQ(mixed.channels, 1);
        EXPECT_EQ(mixed.frames(), frames);
        EXPECT_EQ(mixed.notes.size(), channels > 1 ? 1u : 0u);
      }
    }
  }
  EXPECT_GT(made, 550);
}

TEST(ReadAudio, SixtyFourChannelsAndNoMore) {
  WavBytes wav;
  wav.channels = 64, wav.align = 128, wav.data = std::string(256, '\1');
  EXPECT_EQ(decode(wav.bytes(), {.channel = all_channels}).samples.size(), 128u);
  wav.channels = 65, wav.align = 130, wav.data = std::string(260, '\1');
  EXPECT_THAT(refusal(wav.bytes()), HasSubstr("says 65 channels, but 1 to 64"));
}

TEST(ReadAudio, ChannelPolicies) {
  WavBytes wav;
  wav.channels = 2, wav.align = 4, wav.data = raw<std::int16_t>({16384, 8192, -16384, 0});
  EXPECT_THAT(decode(wav.bytes()).samples, ElementsAre(0.375f, -0.25f));
  EXPECT_THAT(decode(wav.bytes(), {.channel = channel_policy("left")}).samples, ElementsAre(0.5f, -0.5f));
  EXPECT_THAT(decode(wav.bytes(), {.channel = channel_policy("1")}).samples, ElementsAre(0.25f, 0));
  EXPECT_THAT(decode(wav.bytes(), {.channel = channel_policy("all")}).samples, ElementsAre(0.5f, 0.25f, -0.5f, 0));
  EXPECT_THAT(refusal(wav.bytes(), {.channel = 2}), HasSubstr("has no channel 2, only 2"));
  EXPECT_EQ(channel_policy("mix"), mix_channels);
  for (const char* bad : {"", "both", "-1", "64", "1x"}) EXPECT_THROW(channel_policy(bad), ValueError) << bad;
}

TEST(ReadAudio, RefusesWithTheRuleAndTheNumbers) {
  const WavBytes good;
  const auto with = [&](auto change) {
    WavBytes wav = good;
    change(wav);
    return refusal(wav.bytes());
  };
  EXPECT_EQ(refusal(""), "x.wav: is empty (0 bytes)");
  EXPECT_THAT(refusal("Dear sir, this is no sound at all."), HasSubstr("x.wav: is not a sound file"));
  EXPECT_THAT(refusal(std::string(5000, '\0')), HasSubstr("is not a sound file"));
  for (std::size_t cut : {4u, 11u, 12u, 19u, 20u, 30u, 36u, 43u}) {
    EXPECT_THAT(refusal(good.bytes().substr(0, cut)), HasSubstr("header is cut off")) << cut;
  }
  EXPECT_THAT(refusal(good.bytes().substr(0, 44)), HasSubstr("holds no samples"));
  EXPECT_THAT(with([](WavBytes& w) { w.data = ""; }), HasSubstr("holds no samples"));
  EXPECT_THAT(with([](WavBytes& w) { w.channels = 0; }), HasSubstr("says 0 channels"));
  EXPECT_THAT(with([](WavBytes& w) { w.rate = 0; }), HasSubstr("sample rate of 0 Hz"));
  EXPECT_THAT(with([](WavBytes& w) { w.rate = 768'001; }), HasSubstr("sample rate of 768001 Hz"));
  EXPECT_THAT(with([](WavBytes& w) { w.rate = 0xFFFFFFFF; }), HasSubstr("sample rate of 4294967295 Hz"));
  EXPECT_THAT(with([](WavBytes& w) { w.bits = 12; }), HasSubstr("says 12 bits per sample"));
  EXPECT_THAT(with([](WavBytes& w) { w.bits = 0; }), HasSubstr("says 0 bits per sample"));
  EXPECT_THAT(with([](WavBytes& w) { w.align = 7; }),
              HasSubstr("says 7 bytes per frame, but 1 channels of 16 bits take 2"));
  EXPECT_THAT(with([](WavBytes& w) { w.align = 0; }), HasSubstr("says 0 bytes per frame"));
  EXPECT_THAT(with([](WavBytes& w) { w.code = 17; }), HasSubstr("WAV encoding 17 is not read"));
  EXPECT_THAT(with([](WavBytes& w) { w.code = 0xFFFE; }), HasSubstr("needs 40"));
  const std::string no_format = "RIFF....WAVE" + WavBytes::chunk("data", "abcd");
  EXPECT_THAT(refusal(no_format), HasSubstr("without a 'fmt ' chunk"));
  EXPECT_THAT(refusal("fLaC" + std::string(100, '\0')), HasSubstr("not a readable flac file"));
  EXPECT_THAT(refusal("OggS" + std::string(100, '\0')), HasSubstr("not a readable ogg file"));
  EXPECT_THAT(refusal("\xff\xfb\x90\x64" + std::string(10, '\0')), HasSubstr("x.wav"));
  EXPECT_THAT(refusal("FORM....AIFF"), HasSubstr("header is cut off"));
  TempFolder folder;
  EXPECT_THAT(error_of<DataError>([&] { read_audio(folder / "none.wav"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of<DataError>([&] { read_audio(folder.path()); }), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of<DataError>([&] { read_audio(folder / "a\nb"); }), HasSubstr("a\\nb"));
}

TEST(ReadAudio, AHeaderThatPromisesTooMuch) {
  WavBytes wav;
  wav.promised = 100'000;
  const Audio audio = decode(wav.bytes());
  EXPECT_EQ(audio.frames(), 100);
  EXPECT_THAT(audio.notes, ElementsAre(HasSubstr("promises 100000 bytes of samples, but the file has 200")));
  EXPECT_THAT(refusal(wav.bytes(), {.strict = true}), HasSubstr("promises 100000 bytes"));
  wav.promised = 0xFFFFFFFF;  // a stream that nobody closed
  EXPECT_EQ(decode(wav.bytes()).frames(), 100);
  EXPECT_THAT(decode(wav.bytes()).notes, ElementsAre(HasSubstr("does not say how long it is; it has 100 frames")));
  wav.promised = 0;  // the same from another recorder
  EXPECT_EQ(decode(wav.bytes()).frames(), 100);
  EXPECT_THAT(refusal(wav.bytes(), {.strict = true}), HasSubstr("does not say how long it is"));
  WavBytes empty;
  empty.data = "", empty.after = WavBytes::chunk("LIST", "INFO");
  EXPECT_THAT(refusal(empty.bytes()), HasSubstr("holds no samples"));
  wav.promised = -1;
  wav.data += '\1';
  EXPECT_EQ(decode(wav.bytes()).frames(), 100);
  EXPECT_THAT(decode(wav.bytes()).notes, ElementsAre(HasSubstr("last frame has 1 of 2 bytes")));
}

TEST(ReadAudio, OtherChunksAreSkipped) {
  WavBytes wav;
  wav.before = WavBytes::chunk("LIST", "INFOabc") + WavBytes::chunk("bext", std::string(602, 'b')) +
               WavBytes::chunk("fact", "abcd") + WavBytes::chunk("odd ", "12345");
  wav.after = WavBytes::chunk("cue ", std::string(4, '\0')) + WavBytes::chunk("id3 ", "junk");
  EXPECT_EQ(decode(wav.bytes(), {.strict = true}).frames(), 100);
}

TEST(ReadAudio, TruncatedFilesOfEveryContainer) {
  TempFolder folder;
  for (int format :
       {SF_FORMAT_WAV | SF_FORMAT_PCM_24, SF_FORMAT_AIFF | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
        SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III}) {
    SCOPED_TRACE(format);
    const std::string path = folder / "sound";
    auto noise = sines(1, 16000, 64000);  // which no coder can shrink to a single page
    for (std::size_t i = 0; i < noise.size(); ++i) noise[i] += 0.3 * double(i * i * 2654435761u % 1000) / 1000;
    ASSERT_TRUE(make_sound(path, format, 1, 16000, noise));
    const std::string whole = read_text_file(path, 1 << 20);
    const std::string half = whole.substr(0, whole.size() * 6 / 10);
    const Audio audio = decode(half);
    EXPECT_GT(audio.frames(), 16000);
    EXPECT_LT(audio.frames(), 48000);
    EXPECT_EQ(audio.notes.size(), 1u);
    EXPECT_THAT(refusal(half, {.strict = true}), HasSubstr("x.wav"));
    for (std::size_t cut = 0; cut < 400; cut += 7) {
      try {
        decode(whole.substr(0, cut));
      } catch (const DataError&) {
      }
    }
  }
}

TEST(ReadAudio, SamplesThatAreNoNumbersOrBeyondFullScale) {
  WavBytes wav;
  wav.code = 3, wav.channels = 2, wav.align = 8, wav.bits = 32;
  wav.data = raw<float>({0, 0, 0.5f, std::numeric_limits<float>::quiet_NaN(), 1, 1});
  EXPECT_THAT(refusal(wav.bytes()), HasSubstr("sample NaN at frame 1"));
  const Audio repaired = decode(wav.bytes(), {.channel = all_channels, .repair = true});
  EXPECT_THAT(repaired.samples, ElementsAre(0, 0, 0.5f, 0, 1, 1));
  EXPECT_THAT(repaired.notes, ElementsAre(HasSubstr("1 NaN or Inf samples were set to 0")));
  wav.data = raw<float>({0, 0, 0, 0, -std::numeric_limits<float>::infinity(), 0});
  EXPECT_THAT(refusal(wav.bytes()), HasSubstr("sample Inf at frame 2"));
  wav.data = raw<float>({0, -2.5f});
  EXPECT_THAT(decode(wav.bytes(), {.channel = 1}).notes, ElementsAre(HasSubstr("peak 2.5")));
  wav.align = 16, wav.bits = 64, wav.data = raw<double>({0, 1e300});  // finite, but not as a float
  EXPECT_THAT(refusal(wav.bytes()), HasSubstr("Inf at frame 0"));
}

TEST(ReadAudio, MemoryIsBoundedByALimit) {
  WavBytes wav;
  EXPECT_THAT(refusal(wav.bytes(), {.max_bytes = 399}), HasSubstr("limit of 399 bytes"));
  EXPECT_EQ(decode(wav.bytes(), {.max_bytes = 400}).frames(), 100);
  EXPECT_THAT(refusal(wav.bytes(), {.sample_rate = 16000, .max_bytes = 400}), HasSubstr("limit of 400"));
}

TEST(ReadAudio, ResamplesAndSaysSo) {
  TempFolder folder;
  for (int rate : {8000, 11025, 44100, 48000, 192000}) {
    SCOPED_TRACE(rate);
    ASSERT_TRUE(make_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 1, rate, sines(1, rate, rate)));
    const Audio audio = read_audio(folder / "a.wav", {.sample_rate = 16000});
    EXPECT_EQ(audio.sample_rate, 16000);
    EXPECT_NEAR(double(audio.frames()), 16000, 1);
    const auto expected = sines(1, 16000, 16000);
    double worst = 0;
    for (std::size_t i = 1000; i < 15000; ++i) worst = std::max(worst, std::abs(expected[i] - audio.samples[i]));
    EXPECT_LE(worst, 1e-5);
    EXPECT_THAT(audio.notes, ElementsAre("resampled from " + std::to_string(rate) + " Hz to 16000 Hz"));
  }
}

TEST(Resample, RemovesWhatTheNewRateCannotHold) {
  std::vector<float> tone(32000);
  for (std::size_t i = 0; i < tone.size(); ++i) tone[i] = std::sin(2 * std::numbers::pi * 6000 * double(i) / 32000);
  const auto low = resample(tone, 1, 32000, 8000);
  double worst = 0;
  for (std::size_t i = 500; i + 500 < low.size(); ++i) worst = std::max(worst, double(std::abs(low[i])));
  EXPECT_LE(worst, 1e-5);
  EXPECT_THROW(resample(tone, 0, 1, 1), ValueError);
  EXPECT_THROW(resample(tone, 3, 1, 1), ValueError);
}

TEST(WriteWav, EveryCodeOfPcm16AndPcm24ComesBack) {
  TempFolder folder;
  for (auto [format, bits] : {std::pair(WavFormat::pcm16, 16), std::pair(WavFormat::pcm24, 24)}) {
    std::vector<float> codes;
    const float scale = std::ldexp(1.0f, bits - 1);
    for (int n = -(1 << (bits - 1)); n < 1 << (bits - 1); ++n) codes.push_back(static_cast<float>(n) / scale);
    EXPECT_EQ(write_wav(folder / "codes.wav", codes, 1, 48000, format, true), 0);
    const Audio audio = read_audio(folder / "codes.wav", {.strict = true});
    EXPECT_TRUE(audio.samples == codes) << bits;
    EXPECT_THAT(audio.notes, IsEmpty());
  }
}

TEST(WriteWav, FloatKeepsEveryBitAndChannels) {
  TempFolder folder;
  const std::vector<float> samples = {0, 1.5f, -1e-30f, 0.1f, -1, 1};
  EXPECT_EQ(write_wav(folder / "f.wav", samples, 3, 44100, WavFormat::float32), 0);
  const Audio audio = read_audio(folder / "f.wav", {.channel = all_channels, .strict = true});
  EXPECT_EQ(audio.samples, samples);
  EXPECT_EQ(audio.channels, 3);
  EXPECT_EQ(audio.sample_rate, 44100);
  EXPECT_EQ(write_wav(folder / "odd.wav", std::vector<float>{0.5f}, 1, 8000, WavFormat::pcm24), 0);
  EXPECT_EQ(std::filesystem::file_size(folder / "odd.wav"), 48u);  // 44 + 3 + 1 of padding
  EXPECT_THAT(read_audio(folder / "odd.wav", {.strict = true}).samples, ElementsAre(0.5f));
}

TEST(WriteWav, ClipsAndCounts) {
  TempFolder folder;
  const std::vector<float> samples = {1.0f, 1.01f, -1.0f, -7, 0.25f};
  EXPECT_EQ(write_wav(folder / "c.wav", samples, 1, 8000), 2);
  const float top = 32767.0f / 32768;
  EXPECT_THAT(read_audio(folder / "c.wav").samples, ElementsAre(top, top, -1, -1, 0.25f));
}

TEST(WriteWav, RefusesAndLeavesNothing) {
  TempFolder folder;
  const std::vector<float> good(10, 0.5f), bad = {0, 0, 0, NAN};
  const std::string path = folder / "a.wav";
  EXPECT_THAT(error_of<ValueError>([&] { write_wav(path, bad, 2, 8000); }), HasSubstr("NaN at frame 1"));
  EXPECT_THROW(write_wav(path, good, 0, 8000), ValueError);
  EXPECT_THROW(write_wav(path, good, 3, 8000), ValueError);
  EXPECT_THROW(write_wav(path, good, 1, 0), ValueError);
  EXPECT_EQ(folder.entries(), 0u);
  write_wav(path, good, 1, 8000);
  EXPECT_THAT(error_of<ValueError>([&] { write_wav(path, good, 1, 8000); }), HasSubstr("--force"));
  write_wav(path, good, 2, 8000, WavFormat::pcm24, true);
  EXPECT_EQ(probe_audio(path).format, "wav pcm24");
  EXPECT_THAT(error_of<IoError>([&] { write_wav(folder / "no/a.wav", good, 1, 8000); }), HasSubstr("No such file"));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto full = error_of<IoError>([&] { write_wav(folder / "b.wav", std::vector<float>(5000), 1, 8000); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(full, HasSubstr("File too large"));
  EXPECT_EQ(folder.entries(), 1u);
}

}  // namespace
}  // namespace tapedeck::io
