// The families of layers, each with its list of types (private to this folder's registry).
#pragma once
#include <tapedeck/nn/registry.h>

#include <string>
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
// The shapes of layers over N sizes and channels. `size`: that of each output size, with @ for the input size and # for
// the index into members that have one number for each.
template <int N>
std::string spatial(const std::string& in, const std::string& out, const std::string& size) {
  const std::vector<std::string> names = N == 1   ? std::vector<std::string>{"time"}
                                         : N == 2 ? std::vector<std::string>{"height", "width"}
                                                  : std::vector<std::string>{"depth", "height", "width"};
  std::string x = "x [batch, ", y = "[batch, ";
  for (std::size_t d = 0; d < names.size(); ++d) {
    x += names[d] + ", ";
    for (const char c : size)
      y += c == '@' ? names[d] : c == '#' ? (N == 1 ? "" : "[" + std::to_string(d) + "]") : std::string(1, c);
    y += ", ";
  }
  return x + in + "] -> " + y + out + "]";
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
std::vector<ModuleType> loss_types();     // ../losses.h
std::vector<ModuleType> feature_types();  // ../features.h

}  // namespace tapedeck::nn
