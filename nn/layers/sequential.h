// Layers made of layers.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/module.h>

#include <memory>
#include <vector>

namespace tapedeck::nn {

// Layers one after the other; paths "0", "1", …
class Sequential : public Layer {
 public:
  static constexpr const char* registered_name = "Sequential";
  static constexpr const char* kind = "container";
  static constexpr io::Doc doc{"Layers one after the other."};
  explicit Sequential(const std::vector<Part<Layer>>& layers = {});
  static std::shared_ptr<Sequential> from_hparams(const io::Node& node, Builder& builder);
  const char* type_name() const override { return registered_name; }
  io::Node describe(Describer& d) const override;
  Tensor forward(const Tensor& x) override;
  std::size_t size() const { return layers_.size(); }
  const Part<Layer>& operator[](std::size_t i) const;  // ValueError outside

 private:
  std::vector<std::unique_ptr<Part<Layer>>> layers_;
};

}  // namespace tapedeck::nn
