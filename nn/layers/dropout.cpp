#include <tapedeck/nn/layers/dropout.h>
#include <tapedeck/nn/layers/types.h>

namespace tapedeck::nn {

std::vector<ModuleType> dropout_types() {
  return {
      layer<Dropout>({}, "x [...] -> [...]", {reals({2, 5, 3})}),
      layer<Dropout1d>({}, "x [batch, time, channels] -> [batch, time, channels]", {reals({2, 5, 3})}),
      layer<Dropout2d>({}, "x [batch, height, width, channels] -> [batch, height, width, channels]",
                       {reals({2, 3, 4, 3})}),
      layer<Dropout3d>({}, "x [batch, depth, height, width, channels] -> [batch, depth, height, width, channels]",
                       {reals({2, 2, 3, 2, 3})}),
      layer<AlphaDropout>({}, "x [...] -> [...]", {reals({2, 5, 3})}),
  };
}

}  // namespace tapedeck::nn
