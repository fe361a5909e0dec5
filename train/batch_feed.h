// BatchFeed: the batches of a run on their way to its device.
#pragma once
#include <tapedeck/tensor/upload.h>
#include <tapedeck/train/code_set.h>

#include <optional>
#include <span>
#include <vector>

namespace tapedeck::train {

class BatchFeed {
 public:
  explicit BatchFeed(Device device) : device_(device) {}

  // Whether fetch() has a use: on a device that copies beside its kernels.
  bool ahead() const { return device_ != kCpu; }
  // The codes of these windows on the device, i64 [windows, length].
  Tensor take(const CodeSet& codes, std::span<const io::Window> windows);
  // To be called after the kernels that read what take() gave: starts to bring what will be asked for next. Another
  // batch than that may still be taken.
  void fetch(const CodeSet& codes, std::span<const io::Window> windows);

 private:
  Device device_;
  std::optional<Upload> next_;  // its memory was free before the kernels of this step
  std::vector<io::Window> coming_;
};

}  // namespace tapedeck::train
