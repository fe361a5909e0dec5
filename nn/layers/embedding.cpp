#include <tapedeck/nn/layers/embedding.h>
#include <tapedeck/nn/layers/types.h>

#include <string>

namespace tapedeck::nn {
namespace {

void check_padding(const std::optional<std::int64_t>& padding_idx, std::int64_t rows, io::Issues& issues) {
  if (padding_idx && (*padding_idx < -rows || *padding_idx >= rows))
    issues.add("/padding_idx",
               "must be a row of the table: from " + std::to_string(-rows) + " to " + std::to_string(rows - 1));
}
Init rows_but(const std::optional<std::int64_t>& padding_idx, std::int64_t rows) {
  Init out = init::normal();
  if (padding_idx) out.zero_row = *padding_idx < 0 ? *padding_idx + rows : *padding_idx;
  return out;
}

}  // namespace

void EmbeddingConfig::validate(io::Issues& issues) const { check_padding(padding_idx, num_embeddings, issues); }
Embedding::Embedding(EmbeddingConfig config) : Configured(std::move(config)) {
  const EmbeddingConfig& c = this->config();
  weight =
      parameter("weight", {c.num_embeddings, c.embedding_dim}, rows_but(c.padding_idx, c.num_embeddings), "embedding");
}

void Embedding::shrink(const Tensor& codes) const {
  const NoGrad pause;
  const EmbeddingConfig& c = config();
  const Tensor& table = weight;
  const Tensor used = gt(bincount(reshape(codes, {-1}), {}, c.num_embeddings), 0);
  const Tensor norms = norm(table, c.norm_type, {1}, true);
  const Tensor large = logical_and(reshape(used, {-1, 1}), gt(norms, *c.max_norm));
  if (any(large).item() == 0) return;
  copy_(table, where(large, table * (*c.max_norm / (norms + 1e-7)), table));
}
Tensor Embedding::forward(const Tensor& codes) {
  const EmbeddingConfig& c = config();
  if (c.max_norm && codes.numel() > 0) shrink(codes);
  const Tensor y = tapedeck::embedding(codes, weight, c.padding_idx);
  if (!c.scale_grad_by_freq || !is_recorded(y)) return y;
  const Tensor flat = reshape(codes, {-1});
  const Tensor times = index_select(bincount(flat, {}, c.num_embeddings), 0, flat);
  // The values of y, whose gradient is that of the share.
  const Tensor share = y / unsqueeze(cast(reshape(times, codes.sizes()), y.dtype()), -1);
  return detach(y) + (share - detach(share));
}

void EmbeddingBagConfig::validate(io::Issues& issues) const { check_padding(padding_idx, num_embeddings, issues); }
EmbeddingBag::EmbeddingBag(EmbeddingBagConfig config) : Configured(std::move(config)) {
  const EmbeddingBagConfig& c = this->config();
  weight =
      parameter("weight", {c.num_embeddings, c.embedding_dim}, rows_but(c.padding_idx, c.num_embeddings), "embedding");
}
Tensor EmbeddingBag::forward(const Tensor& codes, const Tensor& offsets, const Tensor& per_sample_weights) {
  const EmbeddingBagConfig& c = config();
  return embedding_bag(codes, weight, offsets, per_sample_weights, {c.mode, c.include_last_offset, c.padding_idx});
}

Tensor Linearize::forward(const Tensor& codes) {
  return unsqueeze(sub(mul(cast(codes, dtype()), 2.0 / static_cast<double>(config().classes)), 1.0), -1);
}

std::vector<ModuleType> embedding_types() {
  return {
      layer<Embedding>({.num_embeddings = 5, .embedding_dim = 3}, "codes [...] -> [..., embedding_dim]",
                       {codes({2, 4}, 5)}),
      layer<EmbeddingBag>({.num_embeddings = 5, .embedding_dim = 3}, "codes [batch, time] -> [batch, embedding_dim]",
                          {codes({2, 4}, 5)}),
      layer<OneHot>({.classes = 5}, "codes [...] -> [..., classes]", {codes({2, 4}, 5)}),
      layer<Linearize>({.classes = 5}, "codes [...] -> [..., 1]", {codes({2, 4}, 5)}),
  };
}

}  // namespace tapedeck::nn
