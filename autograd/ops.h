// Every public op: PyTorch's names, argument order and semantics; activations are [batch, time, channels]. Inputs are
// never written to. Mixed dtypes are a DTypeError; shapes that do not fit are a ShapeError; both name the arguments.
#pragma once
#include <tapedeck/autograd/spatial.h>
#include <tapedeck/autograd/tape.h>
#include <tapedeck/tensor/tensor.h>

#include <array>
#include <concepts>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace tapedeck {

// ---- elementwise: unary ----
Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor sign(const Tensor& x);  // -1, 0 or 1; 0 for NaN; no slope anywhere, like floor, ceil, round and trunc
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor round(const Tensor& x);  // half to even
Tensor trunc(const Tensor& x);
Tensor frac(const Tensor& x);  // x - trunc(x)
Tensor exp(const Tensor& x);
Tensor exp2(const Tensor& x);
Tensor expm1(const Tensor& x);
Tensor log(const Tensor& x);
Tensor log1p(const Tensor& x);
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor asinh(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor erfc(const Tensor& x);
Tensor logit(const Tensor& x, std::optional<double> eps = {});  // log(x / (1 - x)), x first within [eps, 1 - eps]
Tensor clamp(const Tensor& x, double low = -std::numeric_limits<double>::infinity(),
             double high = std::numeric_limits<double>::infinity());
// Bounds that broadcast with x, either of them undefined; high wins where they cross. A bound that holds has the slope.
Tensor clamp(const Tensor& x, const Tensor& low, const Tensor& high);
Tensor clamp_min(const Tensor& x, double low);
Tensor clamp_min(const Tensor& x, const Tensor& low);
Tensor clamp_max(const Tensor& x, double high);
Tensor clamp_max(const Tensor& x, const Tensor& high);
Tensor pow(const Tensor& x, double exponent);
Tensor pow(double base, const Tensor& exponent);
// Replaces NaN and the infinities; by default the infinities become the dtype's largest numbers.
Tensor nan_to_num(const Tensor& x, double nan = 0, std::optional<double> posinf = {},
                  std::optional<double> neginf = {});
Tensor isnan(const Tensor& x);  // bool, of any dtype, like the next three
Tensor isinf(const Tensor& x);
Tensor isfinite(const Tensor& x);
Tensor logical_not(const Tensor& x);

// ---- elementwise: activations; at an infinity they give their limit ----
Tensor sigmoid(const Tensor& x);
Tensor logsigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor relu6(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
Tensor prelu(const Tensor& x, const Tensor& weight);  // weight: one element, or one per channel (last dimension of x)
Tensor elu(const Tensor& x, double alpha = 1);
Tensor selu(const Tensor& x);
Tensor celu(const Tensor& x, double alpha = 1);
enum class Approximate { none, tanh };  // of gelu: x times the normal distribution function, or its tanh form
Tensor gelu(const Tensor& x, Approximate approximate = Approximate::none);
Tensor silu(const Tensor& x);
Tensor mish(const Tensor& x);
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);  // x itself where beta x > threshold
Tensor softsign(const Tensor& x);
Tensor softshrink(const Tensor& x, double lambd = 0.5);
Tensor hardshrink(const Tensor& x, double lambd = 0.5);
Tensor hardtanh(const Tensor& x, double min_val = -1, double max_val = 1);  // no slope at the bounds; clamp has one
Tensor threshold(const Tensor& x, double threshold, double value);          // value where x is not above threshold
Tensor glu(const Tensor& x, int dim = -1);  // the first half times sigmoid of the second
Tensor hardsigmoid(const Tensor& x);
Tensor hardswish(const Tensor& x);
Tensor snake(const Tensor& x, double alpha = 1);     // x + sin^2(alpha x) / alpha
Tensor snake(const Tensor& x, const Tensor& alpha);  // alpha broadcasts: [C] is one per channel; 0 gives x

// ---- elementwise: binary and ternary, with NumPy broadcasting ----
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);                // real tensors only
Tensor add(const Tensor& a, const Tensor& b, double alpha);  // a + alpha b
Tensor sub(const Tensor& a, const Tensor& b, double alpha);  // a - alpha b
enum class Rounding { none, trunc, floor };                  // of a quotient, which is rounded to the dtype first
Tensor div(const Tensor& a, const Tensor& b, Rounding rounding);
Tensor xlogy(const Tensor& a, const Tensor& b);      // a log b, 0 where a is
Tensor logaddexp(const Tensor& a, const Tensor& b);  // log(exp a + exp b), without overflow
Tensor maximum(const Tensor& a, const Tensor& b);    // a tie gives half of the gradient to each
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor max(const Tensor& a, const Tensor& b);  // maximum and minimum
Tensor min(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Tensor& b);
Tensor fmod(const Tensor& a, const Tensor& b);       // the sign of a; integers: ValueError when b has a 0
Tensor remainder(const Tensor& a, const Tensor& b);  // the sign of b, as Python's %
Tensor atan2(const Tensor& y, const Tensor& x);
Tensor hypot(const Tensor& a, const Tensor& b);
// A scalar takes the tensor's dtype; a real scalar on an integer tensor is a DTypeError.
Tensor add(const Tensor& a, double b);
Tensor sub(const Tensor& a, double b);
Tensor mul(const Tensor& a, double b);
Tensor div(const Tensor& a, double b);
Tensor fmod(const Tensor& a, double b);
Tensor remainder(const Tensor& a, double b);
Tensor eq(const Tensor& a, const Tensor& b);  // comparisons give bool and have no gradient
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor eq(const Tensor& a, double b);
Tensor ne(const Tensor& a, double b);
Tensor lt(const Tensor& a, double b);
Tensor le(const Tensor& a, double b);
Tensor gt(const Tensor& a, double b);
Tensor ge(const Tensor& a, double b);
// |a - b| <= atol + rtol |b|, or equal; any dtype.
Tensor isclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
Tensor logical_and(const Tensor& a, const Tensor& b);  // of any dtype: true is what is not 0
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);  // condition bool; all three broadcast
Tensor where(const Tensor& condition, const Tensor& a, double b);         // the number takes the tensor's dtype
Tensor where(const Tensor& condition, double a, const Tensor& b);
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight);  // start + weight (end - start)
Tensor lerp(const Tensor& start, const Tensor& end, double weight);
Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);  // x + value a b
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);  // x + value a / b; reals only
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, double b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, double b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, double b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, double b) { return div(a, b); }
inline Tensor operator+(double a, const Tensor& b) { return add(b, a); }
inline Tensor operator*(double a, const Tensor& b) { return mul(b, a); }
inline Tensor operator-(double a, const Tensor& b) { return add(neg(b), a); }
Tensor operator/(double a, const Tensor& b);  // real tensors only
inline Tensor operator-(const Tensor& a) { return neg(a); }

// ---- reductions (no dims: over everything, giving a 0-d tensor). NaN wins in extremes; empty sums are 0 ----
struct ValuesIndices {
  Tensor values, indices;  // indices i64: places along the dimension, without gradient
};
struct VarMean {
  Tensor var, mean;
};
struct StdMean {
  Tensor std, mean;
};
Tensor sum(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);      // of integers and bools: i64
Tensor mean(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);     // real tensors only
Tensor nansum(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);   // NaN count as 0
Tensor nanmean(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);  // of what is not NaN
Tensor prod(const Tensor& x);                                                              // of integers and bools: i64
Tensor prod(const Tensor& x, int dim, bool keepdim = false);
Tensor amax(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);  // ties share the gradient
Tensor amin(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);
Tensor max(const Tensor& x);  // amax over everything
Tensor min(const Tensor& x);
ValuesIndices max(const Tensor& x, int dim, bool keepdim = false);  // the first of equals, which takes the gradient
ValuesIndices min(const Tensor& x, int dim, bool keepdim = false);
// The first of equals, i64, no gradient; no dim: its place in x flattened.
Tensor argmax(const Tensor& x, std::optional<int> dim = {}, bool keepdim = false);
Tensor argmin(const Tensor& x, std::optional<int> dim = {}, bool keepdim = false);
// Squares over n - correction (at least 0), n the number of elements: true is unbiased, false is biased.
Tensor var(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false, double correction = 1);
Tensor std(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false, double correction = 1);
VarMean var_mean(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false, double correction = 1);
StdMean std_mean(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false, double correction = 1);
// (sum |x|^p)^(1/p) for any real p; inf and -inf: the largest and the smallest |x|; 0: how many are not 0. p = 2
// overflows only where the result does. The gradient is 0 where the norm is, and (p < 1) where x is.
Tensor norm(const Tensor& x, double p = 2, const std::vector<int>& dims = {}, bool keepdim = false);
Tensor logsumexp(const Tensor& x, int dim, bool keepdim = false);  // -inf of nothing
Tensor logsumexp(const Tensor& x, const std::vector<int>& dims, bool keepdim = false);
Tensor any(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);  // bool; NaN is not zero
Tensor all(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);
Tensor count_nonzero(const Tensor& x, const std::vector<int>& dims = {});  // i64
Tensor sum_to(const Tensor& x, const Shape& shape);                        // undoes broadcasting: sums down to `shape`

// ---- scans along a dimension (0-d tensors have one of size 1, here and in sorting) ----
Tensor cumsum(const Tensor& x, int dim);  // of integers and bools: i64
Tensor cumprod(const Tensor& x, int dim);
ValuesIndices cummax(const Tensor& x, int dim);  // the last of equals; NaN wins from where it stands
ValuesIndices cummin(const Tensor& x, int dim);
Tensor logcumsumexp(const Tensor& x, int dim);
Tensor diff(const Tensor& x, std::int64_t n = 1, int dim = -1);  // of neighbours, n times

// ---- sorting and searching: stable; NaN is larger than all numbers, -0 equals 0 ----
ValuesIndices sort(const Tensor& x, int dim = -1, bool descending = false);
Tensor argsort(const Tensor& x, int dim = -1, bool descending = false);
// Of equals the first are taken. `sorted` promises an order; without it the order is the same.
ValuesIndices topk(const Tensor& x, std::int64_t k, int dim = -1, bool largest = true, bool sorted = true);
Tensor median(const Tensor& x);  // the lower of two; NaN where there is one; ties share the gradient evenly
ValuesIndices median(const Tensor& x, int dim, bool keepdim = false);  // the first of equals, which takes the gradient
// The k-th smallest (from 1), NaN being the largest; of equals the first, which takes the gradient.
ValuesIndices kthvalue(const Tensor& x, std::int64_t k, int dim = -1, bool keepdim = false);
enum class QuantileMode { linear, lower, higher, midpoint, nearest };  // between two elements; nearest: half to even
// q in [0, 1]; no dim: over everything. A list of them becomes a new first dimension. NaN where there is one.
Tensor quantile(const Tensor& x, double q, std::optional<int> dim = {}, bool keepdim = false,
                QuantileMode mode = QuantileMode::linear);
Tensor quantile(const Tensor& x, const std::vector<double>& q, std::optional<int> dim = {}, bool keepdim = false,
                QuantileMode mode = QuantileMode::linear);
// How many elements of the sorted sequence are less than each value (right: or equal): where it would be inserted.
// sorted [N] with values [...], or sorted [..., N] with values [..., M]; one dtype. i64 in the shape of values.
// sorter: the places (i64, of sorted's shape) that put `sorted` in order, as argsort gives them.
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right = false, const Tensor& sorter = {});
Tensor bucketize(const Tensor& x, const Tensor& boundaries, bool right = false);  // boundaries [N], sorted
// How often 0, 1, 2, … stand in the integers x [N] (i64), or the sums of their weights [N]; no gradient.
Tensor bincount(const Tensor& x, const Tensor& weights = {}, std::int64_t minlength = 0);
// How many elements of real x fall into each of `bins` equal parts of [min, max], in x's dtype; others and NaN do not
// count. min == max: the range of x.
Tensor histc(const Tensor& x, std::int64_t bins = 100, double min = 0, double max = 0);

// ---- softmax family and losses ----
Tensor softmax(const Tensor& x, int dim);
Tensor log_softmax(const Tensor& x, int dim);
Tensor softmin(const Tensor& x, int dim);  // softmax(-x)
// softmax((logits + Gumbel noise) / tau); hard: the one-hot of its largest, with the gradient of the soft one.
Tensor gumbel_softmax(const Tensor& logits, double tau = 1, bool hard = false, int dim = -1);
enum class Reduction {
  none,
  mean,
  sum,
  batchmean
};  // batchmean (the sum over the size of dimension 0): kl_div's alone
struct CrossEntropyOptions {
  Tensor weight{};  // of each class [C], or undefined
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;  // mean over the targets that are not ignored, weighted as they are
  double label_smoothing = 0;             // in [0, 1]: the part of the target that is spread evenly over all classes
};
// x [..., C] logits (classes last: our layout); nats. target i64 [...], ValueError outside [0, C); or probabilities of
// x's dtype and shape (mean is then over the rows; ignore_index has no meaning).
Tensor cross_entropy(const Tensor& x, const Tensor& target, CrossEntropyOptions options = {});
// x [..., C] logarithms of probabilities, target i64 [...]; weight [C] or undefined.
Tensor nll_loss(const Tensor& x, const Tensor& target, const Tensor& weight = {}, std::int64_t ignore_index = -100,
                Reduction reduction = Reduction::mean);

// ---- losses of pairs: x and target have one shape; weights broadcast; targets have gradients too
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, double beta = 1);
Tensor huber_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, double delta = 1);
// x in [0, 1] (ValueError outside); its logarithms end at -100.
Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                            Reduction reduction = Reduction::mean);
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                                        Reduction reduction = Reduction::mean, const Tensor& pos_weight = {});
// x: logarithms of probabilities; log_target: the target too.
Tensor kl_div(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, bool log_target = false);
// var (ValueError below 0) has the shape of x, or without its last dimension, or 1 there; at least eps is used.
Tensor gaussian_nll_loss(const Tensor& x, const Tensor& target, const Tensor& var, bool full = false, double eps = 1e-6,
                         Reduction reduction = Reduction::mean);
Tensor poisson_nll_loss(const Tensor& x, const Tensor& target, bool log_input = true, bool full = false,
                        double eps = 1e-8, Reduction reduction = Reduction::mean);
Tensor soft_margin_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin = 1,
                            Reduction reduction = Reduction::mean);
Tensor margin_ranking_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, double margin = 0,
                           Reduction reduction = Reduction::mean);

// ---- losses of rows: the last dimension is reduced
// x [..., C], target i64 [...], p 1 or 2, weight [C] or undefined.
Tensor multi_margin_loss(const Tensor& x, const Tensor& target, double p = 1, double margin = 1,
                         const Tensor& weight = {}, Reduction reduction = Reduction::mean);
// x [..., C], target i64 [..., C]: the row's classes, up to the first -1. Each of them against each class beside them.
Tensor multilabel_margin_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);
// x, target [..., C]; weight broadcasts to them.
Tensor multilabel_soft_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                                   Reduction reduction = Reduction::mean);
// x1, x2 [..., D], target [...] of 1 and -1.
Tensor cosine_embedding_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, double margin = 0,
                             Reduction reduction = Reduction::mean);
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin = 1,
                           double p = 2, double eps = 1e-6, bool swap = false, Reduction reduction = Reduction::mean);
// Connectionist temporal classification. log_probs [N, T, C] (our layout; PyTorch's is [T, N, C]) or [T, C], made by
// log_softmax: as in PyTorch, the gradient is the one that log_softmax's gradient turns into that of the logits.
// targets i64 [N, S] (padded) or all rows in one; input_lengths, target_lengths i64 [N]. ValueError when a label that
// counts is outside [0, C) or blank, or a length is too large. mean: each loss over its target's length, then over N.
Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                const Tensor& target_lengths, std::int64_t blank = 0, Reduction reduction = Reduction::mean,
                bool zero_infinity = false);

// ---- mixtures: x [..., 3 K] holds K logits of the weights, K means, K logarithms of scales (at least log_scale_min)
// -log P of bins of width 2 / (classes - 1) around y [...] in [-1, 1]; the first and last reach to infinity. Nats. No
// difference of sigmoids is ever formed: no bin is too small for the formula.
Tensor discretized_mix_logistic_loss(const Tensor& x, const Tensor& y, std::int64_t classes = 256,
                                     double log_scale_min = -32.23619130191664, Reduction reduction = Reduction::mean);
Tensor mix_gaussian_loss(const Tensor& x, const Tensor& y, double log_scale_min = -32.23619130191664,
                         Reduction reduction = Reduction::mean);  // -log of the density; the scale is a deviation
// One number per row, in [-1, 1]: a component by its weight, then one draw of it. No gradient. temperature multiplies
// the scales and divides the logits; 0 gives the mean of the likeliest component.
Tensor sample_from_discretized_mix_logistic(const Tensor& x, double log_scale_min = -32.23619130191664,
                                            double temperature = 1);
Tensor sample_from_mix_gaussian(const Tensor& x, double log_scale_min = -32.23619130191664, double temperature = 1);

// ---- matrix products ----
// a [..., M, K] @ b [..., K, N], batch dimensions broadcast; 1-d operands as in PyTorch.
Tensor matmul(const Tensor& a, const Tensor& b);
// x [..., in] @ weight[out, in]^T + bias [out]; bias may be undefined.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
Tensor linear_relu(const Tensor& x, const Tensor& weight, const Tensor& bias = {});  // max(0, linear); NaN stays

// ---- linear algebra ----
Tensor mm(const Tensor& a, const Tensor& b);     // [M, K] @ [K, N]
Tensor mv(const Tensor& a, const Tensor& x);     // [M, K] @ [K]
Tensor bmm(const Tensor& a, const Tensor& b);    // [B, M, K] @ [B, K, N], nothing broadcasts
Tensor dot(const Tensor& a, const Tensor& b);    // [N] and [N] -> 0-d
Tensor outer(const Tensor& a, const Tensor& b);  // [M] and [N] -> [M, N]
// Sums over the last `dims` dimensions of a and the first of b, or over pairs of them; the others stay, a's in front.
Tensor tensordot(const Tensor& a, const Tensor& b, int dims = 2);
Tensor tensordot(const Tensor& a, const Tensor& b, const std::vector<int>& dims_a, const std::vector<int>& dims_b);
Tensor trace(const Tensor& x);  // of a matrix
// beta * x + alpha * (a @ b), a and b as in mm (bmm); x broadcasts to the product. With beta 0, x is not looked at.
Tensor addmm(const Tensor& x, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);
Tensor baddbmm(const Tensor& x, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);
// Einstein's summation, "bij,bjk->bik": one letter per dimension; a letter that is repeated in an operand takes the
// diagonal; letters that the output lacks are summed; "..." stands for dimensions that broadcast; size 1 broadcasts;
// without "->" the output has what appears once, in order of the alphabet, behind the "...". Operands are contracted
// from left to right. ValueError names the place in the equation.
Tensor einsum(const std::string& equation, const std::vector<Tensor>& operands);
// x1 [..., P, M], x2 [..., R, M] -> [..., P, R], the p-norms of all differences, by subtraction for every p in
// [0, infinity]. Where a distance is 0 so is its gradient.
Tensor cdist(const Tensor& x1, const Tensor& x2, double p = 2);
// The p-norm of x1 - x2 + eps along the last dimension; the two broadcast. Gradient 0 where the norm is 0.
Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p = 2, double eps = 1e-6, bool keepdim = false);
// The sum of x1 / max(|x1|, eps) * x2 / max(|x2|, eps); the two broadcast. A norm below eps has no gradient.
Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, int dim = 1, double eps = 1e-8);
Tensor normalize(const Tensor& x, double p = 2, int dim = 1, double eps = 1e-12);  // x / max(|x|_p, eps)

// ---- normalisation: channels last; weight and bias may be undefined ----
// (x - mean) / sqrt(variance + eps) * weight + bias over the last dimensions, whose sizes are `shape` (weight's, too).
Tensor layer_norm(const Tensor& x, const Shape& shape, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);
// x / sqrt(mean(x^2) + eps) * weight; without eps, the distance from 1 to the next number of the dtype.
Tensor rms_norm(const Tensor& x, const Shape& shape, const Tensor& weight = {}, std::optional<double> eps = {});
// x [B, ..., C]: statistics of each of num_groups runs of channels, over everything but the batch.
Tensor group_norm(const Tensor& x, std::int64_t num_groups, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);
// x [B, ..., C]: statistics of each channel, over everything else. training: of x; running_mean and running_var [C]
// (undefined: none) move towards them by `momentum` in place, the variance unbiased. Else: the running ones.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight = {},
                  const Tensor& bias = {}, bool training = false, double momentum = 0.1, double eps = 1e-5);
// x [B, ..., C]: statistics of each channel of each part of the batch; running ones as in batch_norm, by their mean.
Tensor instance_norm(const Tensor& x, const Tensor& running_mean = {}, const Tensor& running_var = {},
                     const Tensor& weight = {}, const Tensor& bias = {}, bool use_input_stats = true,
                     double momentum = 0.1, double eps = 1e-5);
// x / (k + alpha * m)^beta, m the mean of x^2 over `size` neighbouring channels, zeros beyond the ends. x [B, ..., C].
Tensor local_response_norm(const Tensor& x, std::int64_t size, double alpha = 1e-4, double beta = 0.75, double k = 1);
// v * (g / |v|), one norm for each index of `dim`, or one for all of v; g broadcasts to v (PyTorch's [d, 1, ...]).
Tensor weight_norm(const Tensor& v, const Tensor& g, std::optional<int> dim = 0);
struct SpectralNorm {
  Tensor weight, u;  // weight / sigma; u [weight.size(dim)], a constant: give it to the next call
};
// sigma, the largest singular value of weight as a matrix [size(dim), the rest], by `iterations` steps of the power
// method from u. The two vectors count as constants in the gradient.
SpectralNorm spectral_norm(const Tensor& weight, const Tensor& u, int iterations = 1, double eps = 1e-12, int dim = 0);

// ---- convolution ----
// x [B, T, I], weight [O, I/groups, K], bias [O] or undefined -> [B, T', O]; images are [B, H, W, I] with weights
// [O, I/groups, KH, KW], volumes [B, D, H, W, I] with [O, I/groups, KD, KH, KW].
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Conv1dOptions options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Conv2dOptions options = {});
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Conv3dOptions options = {});
// The adjoints: weight [I, O/groups, K...]; (T - 1) * stride - padding + (K - 1) * dilation + output_padding + 1 steps.
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        ConvTranspose1dOptions options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        ConvTranspose2dOptions options = {});
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        ConvTranspose3dOptions options = {});

// ---- pooling of [B, T, C] and [B, H, W, C] ----
// The last NaN of a window wins, else the first of equals. Indices are i64 positions in the unpadded plane, h * W + w.
Tensor max_pool1d(const Tensor& x, PerDim<1> kernel_size, MaxPool1dOptions options = {});
Tensor max_pool2d(const Tensor& x, PerDim<2> kernel_size, MaxPool2dOptions options = {});
ValuesIndices max_pool1d_with_indices(const Tensor& x, PerDim<1> kernel_size, MaxPool1dOptions options = {});
ValuesIndices max_pool2d_with_indices(const Tensor& x, PerDim<2> kernel_size, MaxPool2dOptions options = {});
Tensor avg_pool1d(const Tensor& x, PerDim<1> kernel_size, AvgPool1dOptions options = {});
Tensor avg_pool2d(const Tensor& x, PerDim<2> kernel_size, AvgPool2dOptions options = {});
Tensor adaptive_max_pool1d(const Tensor& x, PerDim<1> output_size);
Tensor adaptive_max_pool2d(const Tensor& x, PerDim<2> output_size);
ValuesIndices adaptive_max_pool1d_with_indices(const Tensor& x, PerDim<1> output_size);
ValuesIndices adaptive_max_pool2d_with_indices(const Tensor& x, PerDim<2> output_size);
Tensor adaptive_avg_pool1d(const Tensor& x, PerDim<1> output_size);
Tensor adaptive_avg_pool2d(const Tensor& x, PerDim<2> output_size);

// ---- other sizes of [B, T, C] and [B, H, W, C] ----
Tensor interpolate(const Tensor& x, InterpolateOptions options);  // linear: [B, T, C] only; bilinear: [B, H, W, C] only
// [B, T, C * r] -> [B, T * r, C], [B, H, W, C * r * r] -> [B, H * r, W * r, C]; the channel is c * r * r + row * r +
// col.
Tensor pixel_shuffle(const Tensor& x, std::int64_t upscale_factor);
Tensor pixel_unshuffle(const Tensor& x, std::int64_t downscale_factor);

// ---- lookups by integer index (i64; ValueError names an index outside and the bound). Repeated indices: sums go in
// the order of positions on any number of threads, a plain write keeps the last, and only that one gets a gradient.
// ---- index [...], table [V, D] -> [..., D]. The row padding_idx (negative from the end) gets no gradient.
Tensor embedding(const Tensor& index, const Tensor& table, std::optional<std::int64_t> padding_idx = {});
enum class BagMode { sum, mean, max };
struct EmbeddingBagOptions {
  BagMode mode = BagMode::mean;               // an empty bag gives zeros
  bool include_last_offset = false;           // offsets end with the number of indices
  std::optional<std::int64_t> padding_idx{};  // entries that count as absent
};
// index [B, N], or [N] with offsets i64 [B]: where each bag starts. per_sample_weights as index (sum only). -> [B, D].
Tensor embedding_bag(const Tensor& index, const Tensor& table, const Tensor& offsets = {},
                     const Tensor& per_sample_weights = {}, EmbeddingBagOptions options = {});
// [...] -> [..., classes]; -1: one more than the largest index. f32 where PyTorch gives i64: it feeds matrix products.
Tensor one_hot(const Tensor& index, std::int64_t classes = -1, DType dtype = DType::f32);
Tensor index_select(const Tensor& x, int dim, const Tensor& index);  // index [N] (or 0-d)
Tensor index_add(const Tensor& x, int dim, const Tensor& index, const Tensor& source, double alpha = 1);
Tensor index_copy(const Tensor& x, int dim, const Tensor& index, const Tensor& source);
Tensor index_fill(const Tensor& x, int dim, const Tensor& index, double value);
// Along dim, line by line: index has x's rank and may be smaller in the other dimensions; source at least as large.
Tensor gather(const Tensor& x, int dim, const Tensor& index);
Tensor scatter(const Tensor& x, int dim, const Tensor& index, const Tensor& source);
Tensor scatter(const Tensor& x, int dim, const Tensor& index, double value);
Tensor scatter_add(const Tensor& x, int dim, const Tensor& index, const Tensor& source);
// sources that meet at a place are summed, multiplied, averaged, or the largest or smallest stays; include_self: with
// what x has there. Extremes share the gradient among equals. prod has a second form where nothing is 0 (TapeError).
enum class ScatterReduce { sum, prod, mean, amax, amin };
Tensor scatter_reduce(const Tensor& x, int dim, const Tensor& index, const Tensor& source, ScatterReduce reduce,
                      bool include_self = true);
// The same of whole rows, as index_add. No sum: that is index_add.
Tensor index_reduce(const Tensor& x, int dim, const Tensor& index, const Tensor& source, ScatterReduce reduce,
                    bool include_self = true);
Tensor take_along_dim(const Tensor& x, const Tensor& index, std::optional<int> dim = {});  // broadcasts; no dim: flat
// x[i, j, ...]: one tensor per leading dimension of x, i64 (negative from the end; all broadcast) or a bool mask (for
// as many dimensions as it has); an undefined one takes the whole dimension. The result's place of theirs is NumPy's.
Tensor index(const Tensor& x, const std::vector<Tensor>& indices);
Tensor index_put(const Tensor& x, const std::vector<Tensor>& indices, const Tensor& values, bool accumulate = false);
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);         // mask bool, broadcast to x
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);  // value 0-d
Tensor masked_select(const Tensor& x, const Tensor& mask);                     // 1-d; x and mask broadcast
Tensor nonzero(const Tensor& x);  // i64 [count, dimensions], in row-major order

// ---- sequences ----
// Recurrent layers. x [batch, time, channels]; h0, c0 [layers x directions, batch, state] or undefined (zeros).
// weights: for each layer, and in it for each direction, weight_ih [G state, in], weight_hh [G state, state], bias_ih
// and bias_hh [G state] (or undefined), with G = 1, 3 (order r z n) or 4 (order i f g o). No second form.
struct RnnOptions {
  int num_layers = 1;
  bool bidirectional = false;
  double dropout = 0;  // between layers, when training
  bool training = true;
  Tensor lengths{};  // i64 [batch], 0 to time: rows end earlier: later inputs are not read, later outputs are 0
};
struct RnnResult {
  Tensor output;  // [batch, time, directions x state]
  Tensor h;       // [layers x directions, batch, state]: after the last step of each row
};
struct LstmResult {
  Tensor output, h, c;
};
enum class RnnNonlinearity { tanh, relu };
RnnResult rnn(const Tensor& x, const Tensor& h0, const std::vector<Tensor>& weights,
              RnnNonlinearity nonlinearity = RnnNonlinearity::tanh, const RnnOptions& options = {});
RnnResult gru(const Tensor& x, const Tensor& h0, const std::vector<Tensor>& weights, const RnnOptions& options = {});
LstmResult lstm(const Tensor& x, const Tensor& h0, const Tensor& c0, const std::vector<Tensor>& weights,
                const RnnOptions& options = {});
// A layer of WaveNet (van den Oord et al., 2016) in one pass: u = conv1d(x, weight, bias), c = gated_activation(u).
// x [batch, time, in]; skips [batch, keep, S] or undefined (zeros), which those of this layer are added to. weights:
// weight [2C, in, k], bias [2C], residual [in, C, 1], residual_bias [in], skip [S, C, 1], skip_bias [S]; biases,
// residual and skip may be undefined.
struct WaveNetLayerOptions {
  std::int64_t dilation = 1;
  Padding padding = Padding::valid;                              // or causal
  std::int64_t keep = std::numeric_limits<std::int64_t>::max();  // skips are made of the last `keep` steps
};
struct WaveNetLayerResult {
  Tensor
      output;    // [batch, time', in] = the last steps of x + conv1d(c, residual); without residual c [batch, time', C]
  Tensor skips;  // [batch, min(keep, time'), S] = skips + conv1d(c, skip); without skip the skips that were given
};
WaveNetLayerResult wavenet_layer(const Tensor& x, const Tensor& skips, const std::vector<Tensor>& weights,
                                 const WaveNetLayerOptions& options = {});
struct AttentionOptions {
  Tensor mask{};           // bool (true: take part) or real (added to the scores), broadcasts to [..., queries, keys]
  double dropout_p = 0;    // of the weights
  bool is_causal = false;  // query i sees the keys 0 … past + i
  std::int64_t past = 0;   // keys that stood in a cache before the first query
  std::optional<double> scale{};  // of the scores: 1 / sqrt(channels)
  bool enable_gqa = false;        // heads (dimension -3) of query are a multiple of those of key and value, in groups
};
// query [..., queries, channels], key [..., keys, channels], value [..., keys, C] -> [..., queries, C]. A query that
// sees no key gives 0.
Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const AttentionOptions& options = {});
// x [..., time, channels] with channels even: pairs are turned by position / base^(2k / channels). The pairs are (k, k
// + channels / 2), or neighbours when interleaved (Su et al., "RoFormer", 2021). offset: position of the first step.
Tensor rotary_embedding(const Tensor& x, std::int64_t offset = 0, double base = 10000, bool interleaved = false);
// [time, channels]: sines in the even channels, cosines in the odd ones (Vaswani et al., 2017).
Tensor sinusoidal_positions(std::int64_t time, std::int64_t channels, std::int64_t offset = 0, double base = 10000,
                            TensorOptions options = {});

// ---- shape: views never copy; reshape copies only when strides force it ----
Tensor reshape(const Tensor& x, const Shape& shape);  // one size may be -1
Tensor flatten(const Tensor& x, int start = 0, int end = -1);
Tensor unflatten(const Tensor& x, int dim, const Shape& sizes);  // dim becomes several; one may be -1
Tensor permute(const Tensor& x, const std::vector<int>& order);
Tensor transpose(const Tensor& x, int a, int b);
Tensor movedim(const Tensor& x, int source, int destination);
Tensor movedim(const Tensor& x, const std::vector<int>& source, const std::vector<int>& destination);
Tensor squeeze(const Tensor& x);           // every dimension of size 1
Tensor squeeze(const Tensor& x, int dim);  // x as it is when that size is not 1
Tensor unsqueeze(const Tensor& x, int dim);
Tensor expand(const Tensor& x, const Shape& shape);  // -1 keeps a size
Tensor broadcast_to(const Tensor& x, const Shape& shape);
Tensor slice(const Tensor& x, int dim, std::int64_t start, std::int64_t end = std::numeric_limits<std::int64_t>::max(),
             std::int64_t step = 1);
Tensor narrow(const Tensor& x, int dim, std::int64_t start, std::int64_t length);
Tensor select(const Tensor& x, int dim, std::int64_t index);
Tensor diagonal(const Tensor& x, std::int64_t offset = 0, int dim1 = 0, int dim2 = 1);
// Windows of `size` along dim, one every `step`, as a new last dimension.
Tensor unfold(const Tensor& x, int dim, std::int64_t size, std::int64_t step);
std::vector<Tensor> unbind(const Tensor& x, int dim = 0);
std::vector<Tensor> split(const Tensor& x, std::int64_t size, int dim = 0);
std::vector<Tensor> split(const Tensor& x, const std::vector<std::int64_t>& sizes, int dim = 0);
std::vector<Tensor> chunk(const Tensor& x, std::int64_t chunks, int dim = 0);
enum class Indexing { ij, xy };
std::vector<Tensor> meshgrid(const std::vector<Tensor>& axes, Indexing indexing = Indexing::ij);  // each 1-d or 0-d

// ---- shape: copies ----
Tensor cat(const std::vector<Tensor>& parts, int dim = 0);
Tensor stack(const std::vector<Tensor>& parts, int dim = 0);
Tensor contiguous(const Tensor& x);  // x itself when it is
Tensor clone(const Tensor& x);       // a copy, always
Tensor detach(const Tensor& x);      // the same values as a constant
Tensor cast(const Tensor& x, DType dtype);
Tensor repeat(const Tensor& x, const Shape& repeats);  // at least one number per dimension
Tensor tile(const Tensor& x, const Shape& repeats);    // missing numbers in front are 1
// Each element `repeats` times (a count, or i64 [1] or one per element of dim); no dim: of x flattened.
Tensor repeat_interleave(const Tensor& repeats);  // each place 0, 1, … of repeats [N] as often as it says, i64
Tensor repeat_interleave(const Tensor& x, std::int64_t repeats, std::optional<int> dim = {});
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int> dim = {});
Tensor flip(const Tensor& x, const std::vector<int>& dims);
Tensor roll(const Tensor& x, std::int64_t shift, std::optional<int> dim = {});  // no dim: of x flattened
Tensor roll(const Tensor& x, const std::vector<std::int64_t>& shifts, const std::vector<int>& dims = {});
enum class PadMode { constant, reflect, replicate, circular };
// Pairs {before, after} from the last dimension backwards; negative ones cut. Any dimension in any mode.
Tensor pad(const Tensor& x, const std::vector<std::int64_t>& pads, PadMode mode = PadMode::constant, double value = 0);
// Overlap-add, the adjoint of unfold: windows [..., n at dim, ..., size] -> [..., length at dim, ...].
Tensor fold(const Tensor& windows, int dim, std::int64_t length, std::int64_t step);
struct FoldOptions {  // height, width
  std::array<std::int64_t, 2> kernel_size{}, dilation{1, 1}, padding{0, 0}, stride{1, 1};
};
// Patches of images [B, H, W, C] -> [B, patches, C * kernel area] (channels slowest, as PyTorch's), and their adjoint.
Tensor unfold(const Tensor& x, const FoldOptions& options);
Tensor fold(const Tensor& patches, std::array<std::int64_t, 2> output_size, const FoldOptions& options);
Tensor diag(const Tensor& x, std::int64_t diagonal = 0);  // a matrix of a vector, or the other way round
Tensor diag_embed(const Tensor& x, std::int64_t offset = 0, int dim1 = -2, int dim2 = -1);
Tensor tril(const Tensor& x, std::int64_t diagonal = 0);  // zeros above that diagonal of the last two dimensions
Tensor triu(const Tensor& x, std::int64_t diagonal = 0);

// ---- signal: complex numbers are a last dimension of 2 (re, im) ----
enum class FftNorm { backward, ortho, forward };  // which direction is divided by n; ortho: both by sqrt(n)
// Any length n >= 1: x is cut or continued with zeros to it. dim counts without the dimension of (re, im).
Tensor fft(const Tensor& x, std::optional<std::int64_t> n = {}, int dim = -1, FftNorm norm = FftNorm::backward);
Tensor ifft(const Tensor& x, std::optional<std::int64_t> n = {}, int dim = -1, FftNorm norm = FftNorm::backward);
// Real x -> the bins 0 … n/2 in place of dim, and a last dimension of 2.
Tensor rfft(const Tensor& x, std::optional<std::int64_t> n = {}, int dim = -1, FftNorm norm = FftNorm::backward);
// The inverse of rfft: n (else 2 (bins - 1)) real samples; what the bins 0 and n/2 have of im is ignored.
Tensor irfft(const Tensor& x, std::optional<std::int64_t> n = {}, int dim = -1, FftNorm norm = FftNorm::backward);
// Frequencies of the bins of fft and rfft in cycles per unit of d, the spacing of the samples.
Tensor fftfreq(std::int64_t n, double d = 1, TensorOptions options = {});
Tensor rfftfreq(std::int64_t n, double d = 1, TensorOptions options = {});
Tensor complex_mul(const Tensor& a, const Tensor& b);
Tensor complex_conj(const Tensor& x);
Tensor complex_abs(const Tensor& x);                   // [..., 2] -> [...], without overflow; its gradient at 0 is 0
Tensor complex_angle(const Tensor& x);                 // radians in (-pi, pi]; its gradient at 0 is 0
Tensor polar(const Tensor& abs, const Tensor& angle);  // -> [..., 2]
// Windows of n samples; periodic: for spectra (one period of n), else symmetric.
Tensor hann_window(std::int64_t n, bool periodic = true, TensorOptions options = {});
Tensor hamming_window(std::int64_t n, bool periodic = true, double alpha = 0.54, double beta = 0.46,
                      TensorOptions options = {});
Tensor blackman_window(std::int64_t n, bool periodic = true, TensorOptions options = {});
Tensor bartlett_window(std::int64_t n, bool periodic = true, TensorOptions options = {});
Tensor kaiser_window(std::int64_t n, bool periodic = true, double beta = 12, TensorOptions options = {});
// [..., frames, size] -> [..., (frames - 1) hop + size]: the sum of the frames, each hop samples after the last.
Tensor overlap_add(const Tensor& frames, std::int64_t hop);
struct StftOptions {
  std::optional<std::int64_t> hop_length{};  // n_fft / 4
  std::optional<std::int64_t> win_length{};  // n_fft; a shorter window stands in the middle of the frame
  Tensor window{};                           // [win_length] of x's dtype; undefined: ones
  bool center = true;                        // frames are centred on their samples: n_fft / 2 are padded on both sides
  PadMode pad_mode = PadMode::reflect;
  bool normalized = false;  // divided by sqrt(n_fft)
  bool onesided = true;     // the bins 0 … n_fft / 2
};
// x [time] or [batch, time] -> [batch, frames, bins, 2]: time before channels, unlike PyTorch's [batch, bins, frames].
Tensor stft(const Tensor& x, std::int64_t n_fft, const StftOptions& options = {});
// The least-squares inverse (Griffin and Lim, 1984). length: cuts or continues with zeros. ValueError where the squares
// of the windows do not cover a sample.
Tensor istft(const Tensor& x, std::int64_t n_fft, const StftOptions& options = {},
             std::optional<std::int64_t> length = {});

// ---- creation (empty, zeros, full, zeros_like: tensor/tensor.h) ----
// A number as it is written: arange(5) is i64, arange(5.) f32.
struct Number {
  Number(std::integral auto v) : real(static_cast<double>(v)), whole(static_cast<std::int64_t>(v)), is_whole(true) {}
  Number(std::floating_point auto v) : real(v) {}
  double real;
  std::int64_t whole = 0;
  bool is_whole = false;
};
Tensor arange(Number end);  // start, start + step, ... before end: each computed in f64 or i64 and rounded once
Tensor arange(Number end, TensorOptions options);
Tensor arange(Number start, Number end, Number step = 1);
Tensor arange(Number start, Number end, Number step, TensorOptions options);
Tensor linspace(double start, double end, std::int64_t steps, TensorOptions options = {});
Tensor logspace(double start, double end, std::int64_t steps, double base = 10, TensorOptions options = {});
Tensor eye(std::int64_t rows, std::int64_t columns = -1, TensorOptions options = {});  // -1: as many as rows
Tensor ones(const Shape& shape, TensorOptions options = {});
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, double value);

// ---- fused and random ----
// x [..., 2C] (+ condition of the same shape, or undefined) -> tanh(first half) * sigmoid(second half), [..., C].
Tensor gated_activation(const Tensor& x, const Tensor& condition = {});
Tensor dropout(const Tensor& x, double p, bool training = true);
Tensor dropout1d(const Tensor& x, double p = 0.5, bool training = true);  // whole channels of [B, T, C] or [T, C]
Tensor dropout2d(const Tensor& x, double p = 0.5, bool training = true);  // of [B, H, W, C] or [H, W, C]
Tensor feature_dropout(const Tensor& x, double p, bool training = true);  // of [B, ..., C]
Tensor alpha_dropout(const Tensor& x, double p = 0.5,
                     bool training = true);                   // keeps mean and variance of selu's output
Tensor rand(const Shape& shape, TensorOptions options = {});  // uniform in [0, 1)
Tensor randn(const Shape& shape, TensorOptions options = {});
Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape, TensorOptions options = {DType::i64, kCpu});
Tensor randint(std::int64_t high, const Shape& shape, TensorOptions options = {DType::i64, kCpu});  // in [0, high)
Tensor randperm(std::int64_t n, TensorOptions options = {DType::i64, kCpu});  // 0 … n-1 in random order
Tensor rand_like(const Tensor& x);
Tensor randn_like(const Tensor& x);
Tensor randint_like(const Tensor& x, std::int64_t low, std::int64_t high);
Tensor bernoulli(const Tensor& p);            // 1 with the probability that each element says, else 0
Tensor bernoulli(const Tensor& x, double p);  // like x, 1 with probability p
// Indices i64 [..., num_samples] drawn by weights [..., C] >= 0, which need not sum to 1; without replacement none
// twice (ValueError when too few weights are positive).
Tensor multinomial(const Tensor& weights, std::int64_t num_samples, bool replacement = false);
// One class per row of logits [..., C] by inverse CDF at u f32 [...] in [0, 1); temperature 0 takes the largest. No
// gradient.
Tensor sample_categorical(const Tensor& logits, const Tensor& u, double temperature = 1);

// ---- in place (raise the version; for init, optimizers and state, never for recorded tensors) ----
const Tensor& copy_(const Tensor& to, const Tensor& from);
const Tensor& fill_(const Tensor& x, double value);
const Tensor& add_(const Tensor& x, const Tensor& y);  // x += y, same shape
const Tensor& mul_(const Tensor& x, double factor);
const Tensor& uniform_(const Tensor& x, double low = 0, double high = 1);
const Tensor& normal_(const Tensor& x, double mean = 0, double std = 1);
const Tensor& truncated_normal_(const Tensor& x, double mean = 0, double std = 1, double low = -2,
                                double high = 2);  // never outside [low, high]
const Tensor& exponential_(const Tensor& x, double rate = 1);
const Tensor& bernoulli_(const Tensor& x, double p = 0.5);

// ---- initialisers: in place, of weights [out, in, kernel...]
enum class Nonlinearity { linear, conv, sigmoid, tanh, relu, leaky_relu, selu };
enum class Fan { fan_in, fan_out };
double calculate_gain(Nonlinearity nonlinearity, double param = 0.01);  // param: leaky_relu's slope
const Tensor& xavier_uniform_(const Tensor& x, double gain = 1);
const Tensor& xavier_normal_(const Tensor& x, double gain = 1);
const Tensor& kaiming_uniform_(const Tensor& x, double a = 0, Fan mode = Fan::fan_in,
                               Nonlinearity nonlinearity = Nonlinearity::leaky_relu);
const Tensor& kaiming_normal_(const Tensor& x, double a = 0, Fan mode = Fan::fan_in,
                              Nonlinearity nonlinearity = Nonlinearity::leaky_relu);
const Tensor& orthogonal_(const Tensor& x, double gain = 1);  // rows (or columns, the fewer) of [out, in * kernel...]
const Tensor& eye_(const Tensor& x);
const Tensor& dirac_(const Tensor& x, std::int64_t groups = 1);  // a convolution that passes its input on

// Copies that an op had to make because a kernel does not take the layout (bytes since start): zero on training paths.
std::int64_t packed_bytes();

}  // namespace tapedeck
