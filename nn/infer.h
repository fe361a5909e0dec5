// What a bare file of weights tells of the network it belongs to: names and shapes give types and sizes. What shapes do
// not show is named, never guessed in silence.
#pragma once
#include <tapedeck/io/node.h>
#include <tapedeck/io/safetensors.h>

#include <string>
#include <vector>

namespace tapedeck::nn {

struct WeightInfo {
  std::string name;
  Shape shape;
  DType dtype = DType::f32;
};
std::vector<WeightInfo> weight_infos(const std::vector<io::NamedTensor>& tensors);

// One module that is recognised as a whole; modules inside it are not listed again.
struct InferredPart {
  std::string path;                  // "" for the root
  io::Node hparams;                  // for build(): type, sizes, and a plain choice for what is unknown
  std::vector<std::string> also;     // other types whose weights look the same
  std::vector<std::string> unknown;  // hyper-parameters that the weights do not show
  const std::string& type() const { return hparams.at("type").string(); }
};
struct Inferred {
  std::vector<InferredPart> parts;  // in the order of the file
  // The tree of all parts: build() makes a module that load_state gives these weights, strictly when all are placed
  // (weight norm in PyTorch's newer spelling through find_state). An empty object when nothing is recognised.
  io::Node hparams = io::Node::object();
  std::vector<std::string> unplaced;  // names of tensors that fit no layer here
  std::vector<std::string> unknown;   // for people: what the file cannot tell
};
// Any names and shapes are taken; nesting of more than 32 levels stays unplaced.
Inferred infer_hparams(const std::vector<WeightInfo>& weights);

}  // namespace tapedeck::nn
