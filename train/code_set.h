// CodeSet: a set of recordings as codes, and the windows that training and validation take from it.
#pragma once
#include <tapedeck/io/dataset.h>
#include <tapedeck/tensor/tensor.h>
#include <tapedeck/train/baselines.h>
#include <tapedeck/train/codec.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tapedeck::train {

// A window with the number of its codes that are predicted (after the context); the rest, up to the length of a full
// window, lies beyond the end of the recording.
struct ScoredWindow {
  io::Window window;
  std::int64_t targets;
};

class CodeSet {
 public:
  // `context` codes stand before the first predicted one, `segment` are predicted: a window has context + segment.
  CodeSet(const io::SoundSet& sounds, const Codec& codec, std::int64_t context, std::int64_t segment);

  std::int64_t context() const { return context_; }
  std::int64_t segment() const { return segment_; }
  std::int64_t length() const { return context_ + segment_; }
  std::int64_t train_windows() const { return train_.size(); }

  // The window of row `row` of step `step`: a pure function of its arguments, every position equally likely.
  io::Window draw(std::uint64_t seed, std::int64_t step, std::int64_t row) const;
  // The codes of windows that lie within their recordings, i64 [windows, length].
  Tensor batch(std::span<const io::Window> windows) const;
  void batch(std::span<const io::Window> windows, std::span<std::int64_t> to) const;  // the same, row-major

  // Windows that predict every code of that side once, except each region's first `context`.
  std::vector<ScoredWindow> scored(io::Split split) const;
  // `most` of them, evenly spread; all when there are no more.
  static std::vector<ScoredWindow> thinned(const std::vector<ScoredWindow>& all, std::int64_t most);
  // Inputs [windows, length - 1] and targets [windows, segment], -100 beyond a recording's end.
  struct Pair {
    Tensor inputs, targets;
  };
  Pair pair(std::span<const ScoredWindow> windows) const;

  // Mean bits per predicted code of the two baselines, learned from the training side.
  struct BaselineBits {
    double order0 = 0, order1 = 0;
  };
  BaselineBits baseline_bits(std::span<const ScoredWindow> windows) const;

  // Excerpts that generation may start from, i64 [8, length]: of 64 drawn windows, those that end loudest.
  Tensor starts(std::uint64_t seed, std::int64_t silence) const;

  std::string name(io::Window window) const;  // "a.wav@1234" for messages

 private:
  std::vector<std::vector<std::uint16_t>> codes_;  // of each file
  std::vector<std::string> names_;
  std::vector<io::Region> regions_[2];
  std::int64_t context_, segment_;
  io::WindowIndex train_;
  Baselines baselines_;
};

}  // namespace tapedeck::train
