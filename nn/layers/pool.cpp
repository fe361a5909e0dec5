#include <tapedeck/nn/layers/pool.h>
#include <tapedeck/nn/layers/types.h>

namespace tapedeck::nn {

std::vector<ModuleType> pool_types() {
  const std::string c = "channels", largest = "(@ + 2 * pad# - dilation# * (kernel_size# - 1) - 1) / stride# + 1",
                    means = "(@ + 2 * pad# - kernel_size#) / stride# + 1", given = "output_size#";
  const std::vector<Sample> x{reals({2, 7, 3})}, image{reals({2, 6, 5, 3})};
  return {
      layer<MaxPool1d>({.kernel_size = 3, .stride = 2, .pad = 1}, spatial<1>(c, c, largest), x),
      layer<MaxPool2d>({.kernel_size = {3, 2}, .stride = {2, 1}, .pad = {1, 0}}, spatial<2>(c, c, largest), image),
      layer<AvgPool1d>({.kernel_size = 3, .stride = 2, .pad = 1}, spatial<1>(c, c, means), x),
      layer<AvgPool2d>({.kernel_size = {3, 2}, .stride = {2, 1}, .pad = {1, 0}}, spatial<2>(c, c, means), image),
      layer<AdaptiveMaxPool1d>({.output_size = 3}, spatial<1>(c, c, given), x),
      layer<AdaptiveMaxPool2d>({.output_size = {3, 2}}, spatial<2>(c, c, given), image),
      layer<AdaptiveAvgPool1d>({.output_size = 3}, spatial<1>(c, c, given), x),
      layer<AdaptiveAvgPool2d>({.output_size = {3, 2}}, spatial<2>(c, c, given), image),
  };
}

}  // namespace tapedeck::nn
