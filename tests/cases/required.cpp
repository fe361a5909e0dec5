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
  const char* family;
  const char* ops;
};

constexpr Promise kPromises[] = {
    // 100: computes; 60: moves, selects, compares or draws
    {100, "elementwise",
     "neg abs sign exp expm1 log log1p log2 log10 sqrt rsqrt square reciprocal sin cos tan asin acos atan sinh "
     "cosh asinh acosh atanh erf sigmoid logsigmoid tanh relu relu6 leaky_relu prelu elu selu celu gelu silu "
     "mish softplus softsign softshrink hardtanh hardsigmoid hardswish snake floor ceil round trunc frac clamp "
     "nan_to_num clamp_min clamp_max logaddexp add sub mul div pow fmod remainder maximum minimum atan2 hypot lerp "
     "addcmul addcdiv "
     "gated_activation"},
    {100, "reductions and scans",
     "sum nansum mean nanmean prod amax amin max min argmax argmin var std norm logsumexp any all count_nonzero cumsum "
     "cumprod "
     "cummax logcumsumexp median kthvalue quantile topk sort argsort searchsorted bucketize bincount histc"},
    {100, "index", "scatter_add scatter_reduce index_reduce index_add embedding_bag fold arange linspace"},
    {100, "linear algebra",
     "matmul linear linear_relu bmm addmm baddbmm outer dot einsum cdist cosine_similarity normalize"},
    {100, "convolution and resampling",
     "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d max_pool1d max_pool2d avg_pool1d "
     "avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d interpolate"},
    {100, "normalisation",
     "layer_norm rms_norm group_norm batch_norm instance_norm weight_norm spectral_norm local_response_norm"},
    {100, "losses",
     "softmax log_softmax gumbel_softmax cross_entropy nll_loss binary_cross_entropy "
     "binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss huber_loss kl_div gaussian_nll_loss "
     "poisson_nll_loss hinge_embedding_loss cosine_embedding_loss triplet_margin_loss margin_ranking_loss "
     "ctc_loss discretized_mix_logistic_loss mix_gaussian_loss soft_margin_loss multi_margin_loss "
     "multilabel_soft_margin_loss multilabel_margin_loss"},
    {100, "sequences", "rnn gru lstm wavenet_layer scaled_dot_product_attention rotary_embedding sinusoidal_positions"},
    {100, "signal", "rfft irfft fft ifft stft istft overlap_add"},
    {60, "windows", "hann_window hamming_window blackman_window bartlett_window kaiser_window"},
    {100, "random",
     "dropout dropout1d dropout2d feature_dropout alpha_dropout multinomial truncated_normal_ exponential_"},
    {60, "predicates", "isnan isinf isfinite logical_not eq ne lt le gt ge logical_and logical_or logical_xor where"},
    {60, "shape and index",
     "reshape flatten permute transpose squeeze unsqueeze expand repeat repeat_interleave tile cat stack split "
     "chunk narrow slice select flip roll pad unfold gather scatter index_select index_put take_along_dim "
     "masked_fill masked_select nonzero diag tril triu one_hot embedding meshgrid pixel_shuffle contiguous "
     "clone cast"},
    {60, "random draws",
     "rand randn randint randperm bernoulli normal_ uniform_ truncated_normal_ xavier_uniform_ xavier_normal_ "
     "kaiming_uniform_ kaiming_normal_ orthogonal_ eye_ dirac_ bernoulli_ rand_like randn_like randint_like "
     "sample_from_discretized_mix_logistic sample_from_mix_gaussian"},
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
