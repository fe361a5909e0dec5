#include <tapedeck/nn/layers/pool.h>
#include <tapedeck/nn/layers/types.h>

namespace tapedeck::nn {

std::vector<ModuleType> pool_types() {
  return types_of<MaxPool1d, MaxPool2d, AvgPool1d, AvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveAvgPool1d,
                  AdaptiveAvgPool2d>();
}

}  // namespace tapedeck::nn
