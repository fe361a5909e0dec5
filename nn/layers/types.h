// The families of layers, each with its list of types (private to this folder's registry).
#pragma once
#include <tapedeck/nn/registry.h>

#include <vector>

namespace tapedeck::nn {

using namespace sample;

// The entry of a layer of the library.
template <class M>
ModuleType layer(Example example = {}) {
  ModuleType type = module_type<M>(std::move(example));
  type.kind = "layer";
  return type;
}
template <class M>
ModuleType layer(const typename M::Config& config, std::string shapes, std::vector<Sample> inputs) {
  ModuleType type = module_type<M>(config, std::move(shapes), std::move(inputs));
  type.kind = "layer";
  return type;
}
template <class... M>
std::vector<ModuleType> types_of() {
  return {layer<M>()...};
}

std::vector<ModuleType> linear_types();
std::vector<ModuleType> embedding_types();
std::vector<ModuleType> conv_types();
std::vector<ModuleType> norm_types();
std::vector<ModuleType> dropout_types();
std::vector<ModuleType> activation_types();
std::vector<ModuleType> pool_types();
std::vector<ModuleType> container_types();
std::vector<ModuleType> mlp_types();
std::vector<ModuleType> rnn_types();
std::vector<ModuleType> attention_types();
std::vector<ModuleType> transformer_types();
std::vector<ModuleType> position_types();
std::vector<ModuleType> resample_types();
std::vector<ModuleType> mix_types();
std::vector<ModuleType> framed_types();
std::vector<ModuleType> block_types();

}  // namespace tapedeck::nn
