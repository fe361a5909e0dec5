#include <tapedeck/nn/layers/dropout.h>
#include <tapedeck/nn/layers/types.h>

namespace tapedeck::nn {

std::vector<ModuleType> dropout_types() { return types_of<Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout>(); }

}  // namespace tapedeck::nn
