// The ops that the library promises. One table; names as in ops.h.
#include <cstdio>
#include <map>
#include <sstream>

#include "cases/coverage.h"
#include "cases/driver.h"

namespace tapedeck::cases {
namespace {

struct Promise {
  int cases;  // forward and gradient cases together
  const char* ops;
};

constexpr Promise kPromises[] = {
    // Ops that compute.
    {100,
     "neg abs exp log log1p sqrt rsqrt square reciprocal sin cos sigmoid logsigmoid tanh relu leaky_relu elu gelu silu "
     "mish softplus clamp pow add sub mul div maximum minimum "
     "sum mean prod amax amin max min argmax argmin var std var_mean std_mean norm logsumexp any all count_nonzero "
     "cumsum cumprod cummax cummin logcumsumexp sort argsort topk median quantile searchsorted bucketize bincount "
     "histc "
     "softmax log_softmax cross_entropy mse_loss "
     "matmul linear dropout gated_activation "
     "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d max_pool1d max_pool2d "
     "max_pool1d_with_indices max_pool2d_with_indices avg_pool1d avg_pool2d adaptive_max_pool1d adaptive_max_pool2d "
     "adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_avg_pool1d adaptive_avg_pool2d "
     "interpolate fold index_add scatter_add embedding_bag arange linspace logspace"},
    // Ops that move, select or compare.
    {60,
     "eq ne lt le gt ge where embedding one_hot reshape flatten permute transpose squeeze unsqueeze expand slice "
     "narrow "
     "select unfold split chunk cat stack contiguous clone cast pixel_shuffle pixel_unshuffle "
     "movedim broadcast_to diagonal unbind meshgrid repeat repeat_interleave tile flip roll pad diag diag_embed tril "
     "triu index_select index_copy index_fill gather scatter take_along_dim index index_put masked_fill "
     "masked_select nonzero eye ones ones_like full_like"},
};

}  // namespace

int missing_ops() {
  std::map<std::string, int> have;
  for (const OpCase& c : table()) have[c.op.substr(0, c.op.find(' '))] += 1 + has_gradient_case(c);
  int missing = 0, promised = 0;
  for (const Promise& p : kPromises) {
    std::istringstream ops(p.ops);
    for (std::string op; ops >> op; ++promised)
      if (have[op] < p.cases) std::printf("TOO FEW CASES of %s: %d of %d\n", op.c_str(), have[op], p.cases), ++missing;
  }
  std::printf("promised: %d ops, %d with too few cases\n", promised, missing);
  return missing;
}

}  // namespace tapedeck::cases
