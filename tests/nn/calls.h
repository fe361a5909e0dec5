// Calling any module of the library with a list of tensors: what tests of all layers need.
#pragma once
#include <tapedeck/nn/layers.h>

#include <vector>

namespace tapedeck::nn {

inline std::vector<Tensor> outputs(const RnnResult& r) { return {r.output, r.h}; }
inline std::vector<Tensor> outputs(const LstmResult& r) { return {r.output, r.h, r.c}; }
inline std::vector<Tensor> outputs(const std::pair<Tensor, Tensor>& p) { return {p.first, p.second}; }

inline std::vector<Tensor> call(Module& module, const std::vector<Tensor>& x) {
  const auto at = [&](std::size_t i) { return i < x.size() ? x[i] : Tensor(); };
  if (auto* m = dynamic_cast<Layer*>(&module); m && x.size() == 1) return {(*m)(x[0])};
  if (auto* m = dynamic_cast<Bilinear*>(&module)) return {(*m)(at(0), at(1))};
  if (auto* m = dynamic_cast<EmbeddingBag*>(&module)) return {(*m)(at(0), at(1), at(2))};
  if (auto* m = dynamic_cast<FiLM*>(&module)) return {(*m)(at(0), at(1))};
  if (auto* m = dynamic_cast<RNN*>(&module)) return outputs((*m)(at(0), at(1)));
  if (auto* m = dynamic_cast<GRU*>(&module)) return outputs((*m)(at(0), at(1)));
  if (auto* m = dynamic_cast<LSTM*>(&module)) return outputs((*m)(at(0), at(1), at(2)));
  if (auto* m = dynamic_cast<RNNCell*>(&module)) return {(*m)(at(0), at(1))};
  if (auto* m = dynamic_cast<GRUCell*>(&module)) return {(*m)(at(0), at(1))};
  if (auto* m = dynamic_cast<LSTMCell*>(&module)) return outputs((*m)(at(0), at(1), at(2)));
  if (auto* m = dynamic_cast<MultiheadAttention*>(&module)) return {(*m)(at(0), at(1), at(2))};
  if (auto* m = dynamic_cast<TransformerDecoderLayer*>(&module)) return {(*m)(at(0), at(1))};
  if (auto* m = dynamic_cast<Transformer*>(&module)) return {(*m)(at(0), at(1))};
  if (auto* m = dynamic_cast<TransformerDecoder*>(&module)) return {(*m)(at(0), at(1))};
  TD_FAIL(ValueError, "call: ", module.type_name(), " is not known here");
}

}  // namespace tapedeck::nn
