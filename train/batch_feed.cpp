#include <tapedeck/train/batch_feed.h>

#include <algorithm>

namespace tapedeck::train {

Tensor BatchFeed::take(const CodeSet& codes, std::span<const io::Window> windows) {
  if (!ahead()) return codes.batch(windows);
  if (coming_.empty() || !std::ranges::equal(windows, coming_)) {
    next_.reset(), coming_.clear();
    fetch(codes, windows);
  }
  const Tensor batch = next_->get();
  coming_.clear();
  next_.emplace(batch.sizes(), batch.options());
  return batch;
}

void BatchFeed::fetch(const CodeSet& codes, std::span<const io::Window> windows) {
  if (!ahead()) return;
  const Shape shape{std::ssize(windows), codes.length()};
  if (!next_ || !coming_.empty() || next_->sizes() != shape)
    next_.emplace(shape, TensorOptions{.dtype = DType::i64, .device = device_});
  coming_.clear();
  codes.batch(windows, next_->host<std::int64_t>());
  next_->start();
  coming_.assign(windows.begin(), windows.end());
}

}  // namespace tapedeck::train
