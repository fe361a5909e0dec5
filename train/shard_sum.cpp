#include <tapedeck/autograd/ops.h>
#include <tapedeck/train/shard_sum.h>

namespace tapedeck::train {

void ShardSum::join() {
  const std::vector<Tensor> right = std::move(stack_.back().second);
  stack_.pop_back();
  auto& [height, left] = stack_.back();
  for (std::size_t i = 0; i < left.size(); ++i) add_(left[i], right[i]);
  ++height;
}

void ShardSum::add(std::vector<Tensor> part) {
  stack_.emplace_back(0, std::move(part));
  while (stack_.size() > 1 && stack_.end()[-1].first == stack_.end()[-2].first) join();
}

std::vector<Tensor> ShardSum::total() {
  TD_CHECK(!stack_.empty(), ValueError, "ShardSum: no part was added");
  while (stack_.size() > 1) join();
  std::vector<Tensor> sum = std::move(stack_.front().second);
  stack_.clear();
  return sum;
}

}  // namespace tapedeck::train
