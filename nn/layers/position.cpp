#include <tapedeck/nn/layers/position.h>
#include <tapedeck/nn/layers/types.h>

namespace tapedeck::nn {

Tensor SinusoidalPositions::forward(const Tensor& x, std::int64_t offset) {
  TD_CHECK(x.defined() && x.dim() == 3, ShapeError, "SinusoidalPositions: x must be [batch, time, channels]",
           arg("x", x));
  return x + sinusoidal_positions(x.size(1), x.size(2), offset, config().base, x.options());
}

LearnedPositions::LearnedPositions(LearnedPositionsConfig config) : Configured(config) {
  weight =
      parameter("weight", {this->config().max_length, this->config().channels}, init::normal(0, 0.02), "embedding");
}
Tensor LearnedPositions::forward(const Tensor& x, std::int64_t offset) {
  const LearnedPositionsConfig& c = config();
  TD_CHECK(x.defined() && x.dim() == 3 && x.size(2) == c.channels && offset >= 0 && offset <= c.max_length &&
               x.size(1) <= c.max_length - offset,
           ShapeError, "LearnedPositions: x must be [batch, time, ", c.channels, "] with positions ", offset,
           " to below ", c.max_length, arg("x", x));
  return x + narrow(weight, 0, offset, x.size(1));
}

std::vector<ModuleType> position_types() {
  const std::string same = "x [batch, time, channels] -> [batch, time, channels]";
  return {
      layer<SinusoidalPositions>({}, same, {reals({2, 5, 4})}),
      layer<LearnedPositions>({.max_length = 6, .channels = 4}, same, {reals({2, 5, 4})}),
      layer<RotaryPositions>({}, "x [batch, ..., time, channels] -> [batch, ..., time, channels]",
                             {reals({2, 3, 5, 4})}),
  };
}

}  // namespace tapedeck::nn
