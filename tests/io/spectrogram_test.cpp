#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>
#include <tapedeck/io/canvas.h>
#include <tapedeck/io/spectrogram.h>
#include <tapedeck/tensor/error.h>

#include <cmath>
#include <numbers>

#include "temp_folder.h"
#include "throws.h"

namespace tapedeck::io {
namespace {

using testing::HasSubstr;

struct Picture {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;
  int brightness(int x, int y) const {
    const auto* p =
        rgb.data() + 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x));
    return (299 * p[0] + 587 * p[1] + 114 * p[2]) / 1000;  // luma, 0 to 255
  }
};

Picture read_png(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&image, path.c_str())) return {};
  image.format = PNG_FORMAT_RGB;
  Picture out{static_cast<int>(image.width), static_cast<int>(image.height), {}};
  out.rgb.resize(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, out.rgb.data(), 0, nullptr));
  return out;
}

std::vector<float> sine(double hz, int rate, int n) {
  std::vector<float> out;
  for (int i = 0; i < n; ++i) out.push_back(static_cast<float>(std::sin(2 * std::numbers::pi * hz * i / rate)));
  return out;
}

TEST(Fft, EqualsTheDefinition) {
  for (std::size_t n : {1u, 2u, 4u, 8u, 64u, 256u}) {
    std::vector<std::complex<double>> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = {std::sin(3.0 * double(i * i)), std::cos(7.0 * double(i))};
    auto y = x;
    fft(y);
    for (std::size_t k = 0; k < n; ++k) {
      std::complex<double> sum = 0;
      for (std::size_t i = 0; i < n; ++i)
        sum += x[i] * std::polar(1.0, -2 * std::numbers::pi * double(i * k % n) / double(n));
      EXPECT_NEAR(std::abs(y[k] - sum), 0, 1e-12 * double(n));
    }
  }
  std::vector<std::complex<double>> three(3);
  EXPECT_THROW(fft(three), ValueError);
}

TEST(Spectrogram, AFullScaleSineIsZeroDecibelsAtItsFrequency) {
  const Spectrogram s = spectrogram(sine(1000, 8000, 8000), 256, 64);
  EXPECT_EQ(s.frames, 125);
  EXPECT_EQ(s.bins, 129);
  for (std::int64_t t = 2; t < 120; ++t) {
    const auto row = std::span(s.db).subspan(static_cast<std::size_t>(t * s.bins), 129);
    EXPECT_EQ(std::ranges::max_element(row) - row.begin(), 32);  // 1000 / 8000 * 256
    EXPECT_NEAR(row[32], 0, 1e-3);
    EXPECT_LT(row[64], -100);
  }
  EXPECT_EQ(spectrogram(std::vector<float>(100), 16, 1).db[50], floor_db);
  EXPECT_EQ(spectrogram({}, 16, 1).frames, 0);
  EXPECT_THROW(spectrogram({}, 100, 1), ValueError);
  EXPECT_THROW(spectrogram({}, 16, 0), ValueError);
  EXPECT_THROW(spectrogram(std::vector<float>{0, NAN}, 16, 1), ValueError);
}

TEST(Spectrogram, PngShowsTheTone) {
  TempFolder folder;
  write_spectrogram_png(folder / "a.png", sine(1000, 8000, 16000), 8000);
  const Picture p = read_png(folder / "a.png");
  EXPECT_GT(p.width, 900);
  EXPECT_GT(p.height, 400);
  for (int x = 100; x < 900; x += 50) {  // the tone lies a quarter up, and nothing else is bright
    int best = 0;
    for (int y = 20; y < 415; ++y) {
      if (p.brightness(x, y) > p.brightness(x, best == 0 ? 20 : best)) best = y;
    }
    EXPECT_NEAR(best, 18 + 300, 4);
    EXPECT_LT(p.brightness(x, 100), 25);
  }
  for (int y = 30; y < 410; ++y) {  // the colour bar brightens upwards
    EXPECT_GE(p.brightness(940, y), p.brightness(940, y + 1)) << y;
  }
}

TEST(Spectrogram, AnySoundThatThereIs) {
  TempFolder folder;
  for (int rate : {1, 50, 8000, 44100, 768000}) {
    for (int n : {1, 2, 1000, 5000}) {
      write_spectrogram_png(folder / "a.png", sine(rate / 10.0, rate, n), rate, true);
      EXPECT_GT(read_png(folder / "a.png").width, 900) << rate << " " << n;
    }
  }
  write_spectrogram_png(folder / "silent.png", std::vector<float>(4000), 8000);
  EXPECT_LT(read_png(folder / "silent.png").brightness(500, 200), 25);
}

TEST(Spectrogram, RefusesWithoutLeavingAFile) {
  TempFolder folder;
  const std::vector<float> good(100, 0.5f);
  EXPECT_THAT(error_of<ValueError>([&] { write_spectrogram_png(folder / "a.png", {}, 8000); }),
              HasSubstr("no samples"));
  EXPECT_THROW(write_spectrogram_png(folder / "a.png", std::vector<float>{NAN}, 8000), ValueError);
  EXPECT_THROW(write_spectrogram_png(folder / "a.png", good, 0), ValueError);
  EXPECT_THROW(write_spectrogram_png(folder / "no/a.png", good, 8000), IoError);
  EXPECT_EQ(folder.entries(), 0u);
  write_spectrogram_png(folder / "a.png", good, 8000);
  EXPECT_THAT(error_of<ValueError>([&] { write_spectrogram_png(folder / "a.png", good, 8000); }), HasSubstr("--force"));
}

TEST(Canvas, TextIsAlignedAndCutOff) {
  const auto ink = [](const Canvas& c) {  // first and last column with ink
    std::pair<int, int> out{-1, -1};
    for (int x = 0; x < c.width(); ++x) {
      for (int y = 0; y < c.height(); ++y) {
        if (c.at(x, y).r == 0) out = {out.first < 0 ? x : out.first, x};
      }
    }
    return out;
  };
  for (auto [align, from, to] :
       {std::tuple(Align::left, 20, 30), std::tuple(Align::middle, 15, 25), std::tuple(Align::right, 9, 19)}) {
    Canvas c(40, 12, {255, 255, 255});
    c.text(20, 2, "HH", {0, 0, 0}, align);
    EXPECT_EQ(ink(c), std::pair(from, to));
  }
  Canvas small(4, 4, {255, 255, 255});
  small.text(-3, -2, "0123456789+-. sHzkdB?", {0, 0, 0}, Align::left);
  small.fill(-5, -5, 100, 100, {0, 0, 0});
  EXPECT_EQ(ink(small), std::pair(0, 3));
  EXPECT_THROW(Canvas(0, 5, {0, 0, 0}), ValueError);
}

}  // namespace
}  // namespace tapedeck::io
