#include <tapedeck/io/file.h>
#include <tapedeck/tensor/philox.h>
#include <tapedeck/tensor/random.h>
#include <tapedeck/train/code_set.h>

#include <algorithm>
#include <cstdlib>

namespace tapedeck::train {
namespace {

std::vector<std::vector<std::uint16_t>> encode_files(const io::SoundSet& sounds, const Codec& codec) {
  std::vector<std::vector<std::uint16_t>> all;
  for (const io::SoundFile& file : sounds.files()) {
    const std::vector<std::int64_t> codes = codec.encode(file.samples);
    all.emplace_back(codes.begin(), codes.end());
  }
  return all;
}

std::vector<std::span<const std::uint16_t>> stretches(const std::vector<std::vector<std::uint16_t>>& codes,
                                                      const std::vector<io::Region>& regions) {
  std::vector<std::span<const std::uint16_t>> all;
  for (const io::Region& r : regions) {
    all.push_back(std::span(codes[static_cast<std::size_t>(r.file)])
                      .subspan(static_cast<std::size_t>(r.begin), static_cast<std::size_t>(r.end - r.begin)));
  }
  return all;
}

}  // namespace

CodeSet::CodeSet(const io::SoundSet& sounds, const Codec& codec, std::int64_t context, std::int64_t segment)
    : codes_(encode_files(sounds, codec)),
      regions_{sounds.regions(io::Split::train), sounds.regions(io::Split::valid)},
      context_(context),
      segment_(segment),
      train_(regions_[0], context + segment, 1),
      baselines_(codec.levels(), stretches(codes_, regions_[0])) {
  for (const io::SoundFile& file : sounds.files()) names_.push_back(file.path);
  TD_CHECK(train_.size() > 0, DataError, io::printable(sounds.source()),
           ": no recording to train on is long enough: a window needs ", length(), " samples (", context,
           " of context and train.segment = ", segment, ")");
}

io::Window CodeSet::draw(std::uint64_t seed, std::int64_t step, std::int64_t row) const {
  const std::uint64_t key = mix64(mix64(seed, hash64("window")), static_cast<std::uint64_t>(step));
  const Philox4 bits = philox(key, 0, static_cast<std::uint64_t>(row));
  const std::uint64_t u = std::uint64_t{bits.word[0]} << 32 | bits.word[1];
  return train_[static_cast<std::int64_t>(u % static_cast<std::uint64_t>(train_.size()))];  // even up to size / 2^64
}

Tensor CodeSet::batch(std::span<const io::Window> windows) const {
  const Tensor all = empty({std::ssize(windows), length()}, {.dtype = DType::i64});
  batch(windows, {all.data<std::int64_t>(), static_cast<std::size_t>(all.numel())});
  return all;
}

void CodeSet::batch(std::span<const io::Window> windows, std::span<std::int64_t> all) const {
  TD_CHECK(std::ssize(all) == std::ssize(windows) * length(), ShapeError, "batch: ", windows.size(), " windows of ",
           length(), " codes do not fill ", all.size(), " places");
  auto to = all.begin();
  for (const io::Window& w : windows) {
    const auto& codes = codes_[static_cast<std::size_t>(w.file)];
    TD_CHECK(w.start >= 0 && w.start + length() <= std::ssize(codes), ValueError, "batch: window ", name(w), " of ",
             length(), " samples reaches beyond its recording");
    to = std::copy_n(codes.begin() + w.start, length(), to);
  }
}

Tensor CodeSet::starts(std::uint64_t seed, std::int64_t silence) const {
  constexpr std::int64_t drawn = 64, kept = 8;
  std::vector<std::pair<std::int64_t, io::Window>> by_loudness;
  for (std::int64_t i = 0; i < drawn; ++i) {
    const io::Window w = draw(mix64(seed, hash64("starts")), 0, i);
    const auto first = codes_[static_cast<std::size_t>(w.file)].begin() + w.start;
    std::int64_t loudness = 0;
    for (std::int64_t t = length() * 3 / 4; t < length(); ++t) loudness += std::abs(first[t] - silence);
    by_loudness.emplace_back(-loudness, w);
  }
  std::stable_sort(by_loudness.begin(), by_loudness.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<io::Window> loudest;
  for (std::int64_t i = 0; i < kept; ++i) loudest.push_back(by_loudness[static_cast<std::size_t>(i)].second);
  return batch(loudest);
}

std::vector<ScoredWindow> CodeSet::scored(io::Split split) const {
  std::vector<ScoredWindow> all;
  for (const io::Region& r : regions_[static_cast<int>(split)]) {
    for (std::int64_t start = r.begin; start + context_ < r.end; start += segment_) {
      all.push_back({{r.file, start}, std::min(segment_, r.end - start - context_)});
    }
  }
  return all;
}

std::vector<ScoredWindow> CodeSet::thinned(const std::vector<ScoredWindow>& all, std::int64_t most) {
  if (std::ssize(all) <= most) return all;
  std::vector<ScoredWindow> some;
  for (std::int64_t i = 0; i < most; ++i) some.push_back(all[static_cast<std::size_t>(i * std::ssize(all) / most)]);
  return some;
}

CodeSet::Pair CodeSet::pair(std::span<const ScoredWindow> windows) const {
  const Pair p{zeros({std::ssize(windows), length() - 1}, {.dtype = DType::i64}),
               full({std::ssize(windows), segment_}, -100, {.dtype = DType::i64})};
  std::int64_t* input = p.inputs.data<std::int64_t>();
  std::int64_t* target = p.targets.data<std::int64_t>();
  for (const ScoredWindow& w : windows) {
    const auto first = codes_[static_cast<std::size_t>(w.window.file)].begin() + w.window.start;
    std::copy_n(first, context_ + w.targets - 1, input);
    std::copy_n(first + context_, w.targets, target);
    input += length() - 1;
    target += segment_;
  }
  return p;
}

CodeSet::BaselineBits CodeSet::baseline_bits(std::span<const ScoredWindow> windows) const {
  BaselineBits sum;
  std::int64_t count = 0;
  for (const ScoredWindow& w : windows) {
    const auto& codes = codes_[static_cast<std::size_t>(w.window.file)];
    const auto first = static_cast<std::size_t>(w.window.start + context_);
    for (std::size_t i = first; i < first + static_cast<std::size_t>(w.targets); ++i) {
      sum.order0 += baselines_.order0(codes[i]);
      sum.order1 += baselines_.order1(codes[i - 1], codes[i]);
    }
    count += w.targets;
  }
  const double n = static_cast<double>(std::max<std::int64_t>(count, 1));
  return {sum.order0 / n, sum.order1 / n};
}

std::string CodeSet::name(io::Window window) const {
  return io::printable(names_[static_cast<std::size_t>(window.file)]) + "@" + std::to_string(window.start);
}

}  // namespace tapedeck::train
