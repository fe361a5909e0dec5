// What the table of recurrent layers cannot say: dropout between layers.
#include <tapedeck/autograd/ops.h>

#include "autograd/checks.h"

namespace tapedeck {
namespace {

Tensor some(const Shape& shape, int turn) {
  return sin(reshape(arange(1.0 * turn, 1.0 * turn + static_cast<double>(shape.numel())), shape));
}

// Everything dropped: the second layer sees zeros, and the first layer's last state is as it was.
TEST(Rnn, DropoutStandsBetweenLayersWhenTraining) {
  const std::int64_t in = 3, width = 4;
  const Tensor x = some({2, 5, in}, 1);
  const std::vector<Tensor> first = {some({3 * width, in}, 2), some({3 * width, width}, 3), some({3 * width}, 4),
                                     some({3 * width}, 5)},
                            second = {some({3 * width, width}, 6), some({3 * width, width}, 7), some({3 * width}, 8),
                                      some({3 * width}, 9)};
  std::vector<Tensor> both = first;
  both.insert(both.end(), second.begin(), second.end());
  const auto plain = gru(x, {}, both, {.num_layers = 2});
  const auto dropped = gru(x, {}, both, {.num_layers = 2, .dropout = 1});
  EXPECT_EQ(dropped.output.to_vector<float>(), gru(zeros({2, 5, width}), {}, second).output.to_vector<float>());
  EXPECT_EQ(select(dropped.h, 0, 0).to_vector<float>(), select(plain.h, 0, 0).to_vector<float>());
  EXPECT_NE(dropped.output.to_vector<float>(), plain.output.to_vector<float>());
  const auto evaluated = gru(x, {}, both, {.num_layers = 2, .dropout = 1, .training = false});
  EXPECT_EQ(evaluated.output.to_vector<float>(), plain.output.to_vector<float>());
  const auto one = gru(x, {}, first, {.dropout = 1});  // nothing lies behind the only layer
  EXPECT_EQ(one.output.to_vector<float>(), gru(x, {}, first).output.to_vector<float>());
}

}  // namespace
}  // namespace tapedeck
