// A small picture to draw on: pixels, rectangles, labels of digits and units; saved as PNG.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tapedeck::io {

struct Rgb {
  std::uint8_t r, g, b;
};

enum class Align { left, middle, right };

class Canvas {
 public:
  Canvas(int width, int height, Rgb background);  // ValueError beyond 1 to 16384 pixels a side
  int width() const { return width_; }
  int height() const { return height_; }
  Rgb at(int x, int y) const { return pixels_[static_cast<std::size_t>(y) * width_ + x]; }

  // What lies outside is cut off. y counts downwards.
  void set(int x, int y, Rgb colour);
  void fill(int x, int y, int width, int height, Rgb colour);
  void frame(int x, int y, int width, int height, Rgb colour);  // one pixel wide
  // Letters are 5 x 7 pixels, 6 apart, their top at y: digits, + - . and the letters of s, Hz, kHz, dB; others: a box.
  void text(int x, int y, std::string_view text, Rgb colour, Align align);

  void save_png(const std::string& path, bool overwrite) const;  // atomic, as io/file.h

 private:
  int width_, height_;
  std::vector<Rgb> pixels_;
};

}  // namespace tapedeck::io
