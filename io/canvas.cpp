#include <png.h>
#include <tapedeck/io/canvas.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>

#include <cstring>

namespace tapedeck::io {
namespace {

constexpr int glyph_width = 5, glyph_height = 7, glyph_advance = 6;

struct Glyph {
  char letter;
  const char* rows;  // seven rows of five
};

// clang-format off
constexpr Glyph glyphs[] = {
    {'0', ".###." "#...#" "#..##" "#.#.#" "##..#" "#...#" ".###."},
    {'1', "..#.." ".##.." "..#.." "..#.." "..#.." "..#.." ".###."},
    {'2', ".###." "#...#" "....#" "..##." ".#..." "#...." "#####"},
    {'3', ".###." "#...#" "....#" "..##." "....#" "#...#" ".###."},
    {'4', "...#." "..##." ".#.#." "#..#." "#####" "...#." "...#."},
    {'5', "#####" "#...." "####." "....#" "....#" "#...#" ".###."},
    {'6', "..##." ".#..." "#...." "####." "#...#" "#...#" ".###."},
    {'7', "#####" "....#" "...#." "..#.." "..#.." "..#.." "..#.."},
    {'8', ".###." "#...#" "#...#" ".###." "#...#" "#...#" ".###."},
    {'9', ".###." "#...#" "#...#" ".####" "....#" "...#." ".##.."},
    {'.', "....." "....." "....." "....." "....." ".##.." ".##.."},
    {'-', "....." "....." "....." ".###." "....." "....." "....."},
    {'+', "....." "..#.." "..#.." "#####" "..#.." "..#.." "....."},
    {' ', "....." "....." "....." "....." "....." "....." "....."},
    {'s', "....." "....." ".####" "#...." ".###." "....#" "####."},
    {'H', "#...#" "#...#" "#...#" "#####" "#...#" "#...#" "#...#"},
    {'z', "....." "....." "#####" "...#." "..#.." ".#..." "#####"},
    {'k', "#...." "#...." "#..#." "#.#.." "##..." "#.#.." "#..#."},
    {'d', "....#" "....#" ".##.#" "#..##" "#...#" "#...#" ".####"},
    {'B', "####." "#...#" "#...#" "####." "#...#" "#...#" "####."},
};
// clang-format on
constexpr const char* unknown_glyph = "######...##...##...##...##...######";

const char* glyph_of(char letter) {
  for (const Glyph& g : glyphs) {
    if (g.letter == letter) return g.rows;
  }
  return unknown_glyph;
}

}  // namespace

Canvas::Canvas(int width, int height, Rgb background) : width_(width), height_(height) {
  constexpr int limit = 16384;
  TD_CHECK(width >= 1 && height >= 1 && width <= limit && height <= limit, ValueError, "Canvas: ", width, " x ", height,
           " pixels are not in 1 to ", limit, " a side");
  pixels_.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), background);
}

void Canvas::set(int x, int y, Rgb colour) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  pixels_[static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x)] = colour;
}

void Canvas::fill(int x, int y, int width, int height, Rgb colour) {
  for (int j = y; j < y + height; ++j) {
    for (int i = x; i < x + width; ++i) set(i, j, colour);
  }
}

void Canvas::frame(int x, int y, int width, int height, Rgb colour) {
  fill(x, y, width, 1, colour);
  fill(x, y + height - 1, width, 1, colour);
  fill(x, y, 1, height, colour);
  fill(x + width - 1, y, 1, height, colour);
}

void Canvas::text(int x, int y, std::string_view text, Rgb colour, Align align) {
  const int length = static_cast<int>(text.size()) * glyph_advance - (glyph_advance - glyph_width);
  if (align == Align::middle) x -= length / 2;
  if (align == Align::right) x -= length;
  for (const char letter : text) {
    const char* rows = glyph_of(letter);
    for (int i = 0; i < glyph_width * glyph_height; ++i) {
      if (rows[i] == '#') set(x + i % glyph_width, y + i / glyph_width, colour);
    }
    x += glyph_advance;
  }
}

void Canvas::save_png(const std::string& path, bool overwrite) const {
  static_assert(sizeof(Rgb) == 3);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_);
  image.height = static_cast<png_uint_32>(height_);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<std::byte> bytes(size);
  const bool good = png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels_.data(), 0, nullptr) != 0;
  TD_CHECK(good, IoError, printable(path), ": the picture cannot be made: ", image.message);
  bytes.resize(size);
  write_file_atomic(path, bytes, overwrite);
}

}  // namespace tapedeck::io
