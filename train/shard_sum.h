// Sums the parts of a step in the order of a fixed binary tree, so that it does not matter where each was computed.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <utility>
#include <vector>

namespace tapedeck::train {

// Parts come one after the other, each a list of tensors of the same shapes. Part 2i and 2i + 1 are added, then these
// sums in the same way, and so on; at most log2(parts) + 1 lists are kept at a time.
class ShardSum {
 public:
  void add(std::vector<Tensor> part);  // takes the tensors over: they are written to
  std::vector<Tensor> total();         // of all parts; what is left over joins from the right

 private:
  void join();
  std::vector<std::pair<int, std::vector<Tensor>>> stack_;  // height in the tree, sum
};

}  // namespace tapedeck::train
