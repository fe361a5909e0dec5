// Saved: a tensor kept for the backward pass, which notices when it was written to since.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <cstdint>

namespace tapedeck {

class Saved {
 public:
  const Tensor& get() const;  // TapeError naming op and input when the storage was written to since

 private:
  friend Saved save(const Tensor&, const char*);
  Tensor tensor_;
  std::uint64_t version_ = 0;
  const char* name_ = "";
};
Saved save(const Tensor& x, const char* name = "tensor");  // undefined tensors are fine

}  // namespace tapedeck
