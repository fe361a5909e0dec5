// Where a step stands in time, for layers that do not see it.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

namespace tapedeck::nn {

struct SinusoidalPositionsConfig {
  double base = 10000;
  static constexpr const char* type_name = "SinusoidalPositions";
  static constexpr io::Doc doc{"x plus sines and cosines of the positions, of periods in geometric steps.",
                               "Vaswani et al. 2017"};
  static constexpr void fields(auto&& f) {
    f("base", &SinusoidalPositionsConfig::base,
      io::Meta{.min = 1, .max = 1e12, .help = "longest period over 2 pi", .log = true});
  }
};
class SinusoidalPositions : public Configured<SinusoidalPositionsConfig>, public Callable<SinusoidalPositions> {
 public:
  explicit SinusoidalPositions(SinusoidalPositionsConfig config = {}) : Configured(config) {}
  using Callable<SinusoidalPositions>::operator();
  Tensor forward(const Tensor& x) override { return forward(x, std::int64_t{0}); }
  Tensor forward(const Tensor& x, std::int64_t offset);  // offset: position of the first step
};

// weight [max_length, channels].
struct LearnedPositionsConfig {
  std::int64_t max_length = 1024, channels = 1;
  static constexpr const char* type_name = "LearnedPositions";
  static constexpr io::Doc doc{"x plus a learned row for each position.", "Gehring et al. 2017"};
  static constexpr void fields(auto&& f) {
    f("max_length", &LearnedPositionsConfig::max_length, positive("positions"));
    f("channels", &LearnedPositionsConfig::channels, positive("channels"));
  }
};
class LearnedPositions : public Configured<LearnedPositionsConfig>, public Callable<LearnedPositions> {
 public:
  explicit LearnedPositions(LearnedPositionsConfig config = {});
  using Callable<LearnedPositions>::operator();
  Tensor forward(const Tensor& x) override { return forward(x, std::int64_t{0}); }
  Tensor forward(const Tensor& x, std::int64_t offset);  // ShapeError when a position is not below max_length
  Param weight;
};

// x [..., time, channels].
struct RotaryPositionsConfig {
  double base = 10000;
  bool interleaved = false;
  static constexpr const char* type_name = "RotaryPositions";
  static constexpr io::Doc doc{"Pairs of channels turned by angles that grow with the position: for queries and keys.",
                               "Su et al. 2021"};
  static constexpr void fields(auto&& f) {
    f("base", &RotaryPositionsConfig::base,
      io::Meta{.min = 1, .max = 1e12, .help = "longest period over 2 pi", .log = true});
    f("interleaved", &RotaryPositionsConfig::interleaved, io::Meta{.help = "pairs are neighbours, not halves"});
  }
};
class RotaryPositions : public Configured<RotaryPositionsConfig>, public Callable<RotaryPositions> {
 public:
  explicit RotaryPositions(RotaryPositionsConfig config = {}) : Configured(config) {}
  using Callable<RotaryPositions>::operator();
  Tensor forward(const Tensor& x) override { return forward(x, std::int64_t{0}); }
  Tensor forward(const Tensor& x, std::int64_t offset) {
    return rotary_embedding(x, offset, config().base, config().interleaved);
  }
};

}  // namespace tapedeck::nn
