// Tensors of two devices.
#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_two_devices(BadCalls& t) {
  t.device("where", [](In g) { where(g.mask, g.m, g.away); });
  t.device("where", [](In g) { where(g.mask, g.away, g.away); });
  t.device("lerp", [](In g) { lerp(g.m, g.m, g.away); });
  t.device("addcmul", [](In g) { addcmul(g.m, g.away, g.m); });
  t.device("addcdiv", [](In g) { addcdiv(g.m, g.m, g.away); });
  t.device("prelu", [](In g) { prelu(g.m, g.away); });
  t.device("snake tensor", [](In g) { snake(g.m, g.away); });
  t.device("gated_activation", [](In g) { gated_activation(g.m, g.away); });
  t.device("searchsorted", [](In g) { searchsorted(g.m, g.away); });
  t.device("bincount", [](In g) { bincount(g.places, detail::narrow(detail::select(g.away, 0, 0), 0, 0, 3)); });

  t.device("matmul", [](In g) { matmul(g.square, g.away); });
  t.device("linear", [](In g) { linear(g.m, g.away); });
  t.device("linear", [](In g) { linear(g.m, g.square, detail::select(g.away, 0, 0)); });
  t.device("linear_relu", [](In g) { linear_relu(g.m, g.away); });
  t.device("mm", [](In g) { mm(g.square, g.away); });
  t.device("dot", [](In g) { dot(g.buffer, detail::select(g.away, 0, 0)); });
  t.device("addmm", [](In g) { addmm(g.away, g.m, g.square); });
  t.device("einsum", [](In g) { einsum("ij,ij->i", {g.m, g.away}); });
  t.device("cdist", [](In g) { cdist(g.m, g.away); });
  t.device("pairwise_distance", [](In g) { pairwise_distance(g.m, g.away); });
  t.device("cosine_similarity", [](In g) { cosine_similarity(g.m, g.away); });
  t.device("layer_norm", [](In g) { layer_norm(g.m, {4}, detail::select(g.away, 0, 0)); });
  t.device("rms_norm", [](In g) { rms_norm(g.m, {4}, detail::select(g.away, 0, 0)); });
  t.device("group_norm", [](In g) { group_norm(g.x, 2, {}, detail::select(g.away, 0, 0)); });
  t.device("batch_norm", [](In g) { batch_norm(g.x, g.buffer, detail::select(g.away, 0, 0)); });
  t.device("weight_norm", [](In g) { weight_norm(g.m, g.away); });
  t.device("spectral_norm", [](In g) { spectral_norm(g.square, detail::select(g.away, 0, 0)); });
  t.device("conv1d", [](In g) { conv1d(g.x, detail::try_reshape(g.away, {3, 4, 1})); });
  t.device("conv1d", [](In g) { conv1d(g.x, g.w1, detail::select(g.away, 0, 0)); });
  t.device("conv_transpose1d", [](In g) { conv_transpose1d(g.x, detail::try_reshape(g.away, {4, 3, 1})); });

  t.device("cross_entropy", [](In g) { cross_entropy(g.m, detail::select(g.away_whole, 1, 0)); });
  t.device("nll_loss", [](In g) { nll_loss(g.m, detail::select(g.away_whole, 1, 0)); });
  t.device("multi_margin_loss", [](In g) { multi_margin_loss(g.m, detail::select(g.away_whole, 1, 0)); });
  t.device("kl_div", [](In g) { kl_div(g.m, g.away); });
  t.device("margin_ranking_loss", [](In g) { margin_ranking_loss(g.m, g.m, g.away); });
  t.device("triplet_margin_loss", [](In g) { triplet_margin_loss(g.m, g.m, g.away); });
  t.device("ctc_loss", [](In g) {
    const Tensor one = tensor(std::vector<std::int64_t>{3}, {1});
    ctc_loss(g.m, detail::select(g.away_whole, 0, 0), one, one, 3);
  });

  t.device("embedding", [](In g) { embedding(g.places, g.away); });
  t.device("index_select", [](In g) { index_select(g.m, 0, detail::select(g.away_whole, 1, 0)); });
  t.device("index_add", [](In g) { index_add(g.m, 0, g.places, g.away); });
  t.device("index_copy", [](In g) { index_copy(g.m, 0, g.places, g.away); });
  t.device("gather", [](In g) { gather(g.m, 0, g.away_whole); });
  t.device("scatter", [](In g) { scatter(g.m, 0, g.whole, g.away); });
  t.device("scatter_add", [](In g) { scatter_add(g.m, 0, g.whole, g.away); });
  t.device("take_along_dim", [](In g) { take_along_dim(g.m, g.away_whole, 0); });
  t.device("index_put", [](In g) { index_put(g.m, {g.places}, g.away); });
  t.device("masked_fill", [](In g) { masked_fill(g.away, g.mask, 0.0); });
  t.device("masked_select", [](In g) { masked_select(g.away, g.mask); });
  t.device("cat", [](In g) { cat({g.m, g.away}); });
  t.device("stack", [](In g) { stack({g.m, g.away}); });
  t.device("meshgrid", [](In g) { meshgrid({g.v, detail::select(g.away, 0, 0)}); });
  t.device("add_", [](In g) { add_(zeros({3, 4}), g.away); });
  t.device("scaled_dot_product_attention", [](In g) { scaled_dot_product_attention(g.m, g.m, g.away); });
  t.device("polar", [](In g) { polar(g.m, g.away); });
  t.device("istft", [](In g) {
    istft(detail::try_reshape(g.m, {2, 3, 2}), 4, {.window = detail::select(g.away, 0, 0)});
  });
}

}  // namespace tapedeck::test
