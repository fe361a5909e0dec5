// Random options of elementwise functions, losses, layers and signals.
#include "cases/hostile_options.h"

namespace tapedeck::cases {
namespace {

using S = Source&;

Reduction reduction(S s) { return s.one_of<Reduction>(4); }

void add_functions(OptionCalls& t) {
  t.add("clamp", [](S s) { return clamp(s.any(), s.real(), s.real()); });
  t.add("clamp_min", [](S s) { return clamp_min(s.any(), s.real()); });
  t.add("clamp_max", [](S s) { return clamp_max(s.any(), s.real()); });
  t.add("add alpha", [](S s) { return add(s.any(), s.of({3}), s.real()); });
  t.add("sub alpha", [](S s) { return sub(s.any(), s.of({3}), s.real()); });
  t.add("div rounding", [](S s) { return div(s.any(), s.any(), s.one_of<Rounding>(3)); });
  t.add("where scalar", [](S s) { return where(s.mask({3}), s.any(), s.real()); });
  t.add("pow base", [](S s) { return pow(s.real(), s.any()); });
  t.add("pow", [](S s) { return pow(s.any(), s.real()); });
  t.add("nan_to_num", [](S s) { return nan_to_num(s.any(), s.real(), s.real(), s.real()); });
  t.add("leaky_relu", [](S s) { return leaky_relu(s.any(), s.real()); });
  t.add("elu", [](S s) { return elu(s.any(), s.real()); });
  t.add("celu", [](S s) { return celu(s.any(), s.real()); });
  t.add("softplus", [](S s) { return softplus(s.any(), s.real(), s.real()); });
  t.add("softshrink", [](S s) { return softshrink(s.any(), s.real()); });
  t.add("hardshrink", [](S s) { return hardshrink(s.any(), s.real()); });
  t.add("hardtanh", [](S s) { return hardtanh(s.any(), s.real(), s.real()); });
  t.add("snake", [](S s) { return snake(s.any(), s.real()); });
  using Scalar = Tensor (*)(const Tensor&, double);
  for (const auto& [op, f] : {std::pair<const char*, Scalar>{"add", add},
                              {"sub", sub},
                              {"mul", mul},
                              {"div", div},
                              {"fmod", fmod},
                              {"remainder", remainder},
                              {"eq", eq},
                              {"ne", ne},
                              {"lt", lt},
                              {"le", le},
                              {"gt", gt},
                              {"ge", ge}})
    t.add(op, [f = f](S s) { return f(s.any(), s.real()); });
  t.add("lerp", [](S s) { return lerp(s.of({2, 3}), s.of({3}), s.real()); });
  t.add("addcmul", [](S s) { return addcmul(s.any(), s.of({3}), s.of({2, 3}), s.real()); });
  t.add("addcdiv", [](S s) { return addcdiv(s.of({2, 3}), s.of({3}), s.of({2, 3}), s.real()); });
  t.add("softmax", [](S s) { return softmax(s.any(), s.dim()); });
  t.add("log_softmax", [](S s) { return log_softmax(s.any(), s.dim()); });
  t.add("gumbel_softmax", [](S s) { return gumbel_softmax(s.any(), s.real(), s.flag(), s.dim()); });
}

void add_losses(OptionCalls& t) {
  t.add("cross_entropy", [](S s) {
    return cross_entropy(s.of({3, 4}), s.index({3}),
                         {s.flag() ? s.of({4}) : Tensor(), s.count(), reduction(s), s.part()});
  });
  t.add("nll_loss", [](S s) { return nll_loss(s.of({3, 4}), s.index({3}), {}, s.count(), reduction(s)); });
  t.add("smooth_l1_loss", [](S s) { return smooth_l1_loss(s.of({3, 4}), s.of({3, 4}), reduction(s), s.real()); });
  t.add("huber_loss", [](S s) { return huber_loss(s.of({3, 4}), s.of({3, 4}), reduction(s), s.real()); });
  t.add("kl_div", [](S s) { return kl_div(s.of({3, 4}), s.of({3, 4}), reduction(s), s.flag()); });
  t.add("gaussian_nll_loss", [](S s) {
    return gaussian_nll_loss(s.of({3, 4}), s.of({3, 4}), s.of({3, 4}), s.flag(), s.real(), reduction(s));
  });
  t.add("poisson_nll_loss", [](S s) {
    return poisson_nll_loss(s.of({3, 4}), s.of({3, 4}), s.flag(), s.flag(), s.real(), reduction(s));
  });
  t.add("hinge_embedding_loss", [](S s) {
    return hinge_embedding_loss(s.of({3, 4}), s.of({3, 4}), s.real(), reduction(s));
  });
  t.add("margin_ranking_loss",
        [](S s) { return margin_ranking_loss(s.of({4}), s.of({4}), s.of({4}), s.real(), reduction(s)); });
  t.add("multi_margin_loss", [](S s) {
    return multi_margin_loss(s.of({3, 4}), s.index({3}), s.flag() ? s.real() : 2, s.real(), {}, reduction(s));
  });
  t.add("multilabel_margin_loss", [](S s) {
    return multilabel_margin_loss(s.of({3, 4}), s.index({3, 4}), reduction(s));
  });
  t.add("cosine_embedding_loss", [](S s) {
    return cosine_embedding_loss(s.of({3, 4}), s.of({3, 4}), s.of({3}), s.real(), reduction(s));
  });
  t.add("triplet_margin_loss", [](S s) {
    return triplet_margin_loss(s.of({3, 4}), s.of({3, 4}), s.of({3, 4}), s.real(), s.real(), s.real(), s.flag(),
                               reduction(s));
  });
  t.add("ctc_loss", [](S s) {
    return ctc_loss(s.of({2, 5, 4}), s.index({2, 3}), s.index({2}), s.index({2}), s.count(), reduction(s), s.flag());
  });
  t.add("discretized_mix_logistic_loss", [](S s) {
    return discretized_mix_logistic_loss(s.of({3, 6}), s.of({3}), s.count(), s.real(), reduction(s));
  });
  t.add("mix_gaussian_loss", [](S s) { return mix_gaussian_loss(s.of({3, 6}), s.of({3}), s.real(), reduction(s)); });
  t.add("sample_from_discretized_mix_logistic", [](S s) {
    return sample_from_discretized_mix_logistic(s.of({3, 6}), -s.real(), s.real());
  });
  t.add("sample_from_mix_gaussian", [](S s) { return sample_from_mix_gaussian(s.of({3, 6}), -s.real(), s.real()); });
}

void add_rows(OptionCalls& t) {
  t.add("addmm", [](S s) { return addmm(s.of({3, 4}), s.of({3, 2}), s.of({2, 4}), s.real(), s.real()); });
  t.add("baddbmm", [](S s) { return baddbmm(s.any(), s.of({2, 3, 2}), s.of({2, 2, 4}), s.real(), s.real()); });
  t.add("einsum", [](S s) {  // an equation of random letters
    std::string equation;
    for (int n = s.one_of<int>(12); n > 0; --n) equation += "ijkA.,-> 1"[s.one_of<int>(10)];
    return einsum(equation, s.list());
  });
  t.add("cdist", [](S s) { return cdist(s.reals(2), s.of({3, 4}), s.real()); });
  t.add("pairwise_distance", [](S s) {
    return pairwise_distance(s.of({3, 4}), s.of({3, 4}), s.real(), s.real(), s.flag());
  });
  t.add("cosine_similarity", [](S s) { return cosine_similarity(s.of({3, 4}), s.of({3, 4}), s.dim(), s.real()); });
  t.add("normalize", [](S s) { return normalize(s.any(), s.real(), s.dim(), s.real()); });
  t.add("layer_norm", [](S s) { return layer_norm(s.any(), s.shape(), {}, {}, s.real()); });
  t.add("rms_norm", [](S s) { return rms_norm(s.any(), s.shape(), {}, s.real()); });
  t.add("group_norm", [](S s) { return group_norm(s.of({2, 3, 4}), s.count(), s.of({4}), s.of({4}), s.real()); });
  t.add("batch_norm", [](S s) {
    return batch_norm(s.of({2, 3, 4}), s.buffer({4}), s.buffer({4}), {}, {}, s.flag(), s.part(), s.real());
  });
  t.add("instance_norm", [](S s) {
    return instance_norm(s.of({2, 3, 4}), s.buffer({4}), s.buffer({4}), {}, {}, s.flag(), s.part(), s.real());
  });
  t.add("local_response_norm",
        [](S s) { return local_response_norm(s.reals(3), s.count(), s.real(), s.real(), s.real()); });
  t.add("weight_norm", [](S s) { return weight_norm(s.of({3, 4}), s.reals(2), s.maybe_dim()); });
  t.add("spectral_norm", [](S s) {
    return spectral_norm(s.of({4, 4}), s.of({4}), static_cast<int>(s.count() % 8), s.real(), s.dim());
  });
}

template <int N>
ConvPadding<N> padding(S s) {
  if (s.flag()) return s.one_of<Padding>(3);
  if constexpr (N == 1)
    return {s.count(), s.count()};
  else
    return {s.per_dim<N>(), s.per_dim<N>()};
}
template <int N>
ConvOptions<N> conv_options(S s) {
  return {s.per_dim<N>(), s.per_dim<N>(), s.flag() ? 1 : s.count(), padding<N>(s)};
}
template <int N>
ConvTransposeOptions<N> transpose_options(S s) {
  return {s.per_dim<N>(), padding<N>(s), s.flag() ? PerDim<N>(0) : s.per_dim<N>(), s.flag() ? 1 : s.count(),
          s.per_dim<N>()};
}
template <int N>
MaxPoolOptions<N> max_options(S s) {
  return {s.per_dim<N>(), s.flag() ? PerDim<N>(0) : s.per_dim<N>(), s.flag() ? PerDim<N>(1) : s.per_dim<N>(), s.flag()};
}
template <int N>
AvgPoolOptions<N> avg_options(S s) {
  return {s.per_dim<N>(), s.flag() ? PerDim<N>(0) : s.per_dim<N>(), s.flag(), s.flag(), s.flag() ? 0 : s.count()};
}

void add_images(OptionCalls& t) {
  t.add("conv1d", [](S s) { return conv1d(s.of({2, 9, 4}), s.of({4, 4, 2}), {}, conv_options<1>(s)); });
  t.add("conv2d", [](S s) { return conv2d(s.of({1, 7, 8, 4}), s.of({4, 2, 2, 3}), {}, conv_options<2>(s)); });
  t.add("conv3d", [](S s) { return conv3d(s.of({1, 4, 5, 6, 2}), s.of({2, 2, 2, 2, 1}), {}, conv_options<3>(s)); });
  t.add("conv_transpose1d", [](S s) {
    return conv_transpose1d(s.of({2, 5, 4}), s.of({4, 2, 3}), {}, transpose_options<1>(s));
  });
  t.add("conv_transpose2d", [](S s) {
    return conv_transpose2d(s.of({1, 3, 4, 4}), s.of({4, 2, 2, 3}), {}, transpose_options<2>(s));
  });
  t.add("conv_transpose3d", [](S s) {
    return conv_transpose3d(s.of({1, 2, 3, 3, 2}), s.of({2, 2, 2, 2, 1}), {}, transpose_options<3>(s));
  });
  t.add("max_pool1d", [](S s) { return max_pool1d(s.reals(3), s.count(), max_options<1>(s)); });
  t.add("max_pool2d", [](S s) { return max_pool2d(s.reals(4), s.per_dim<2>(), max_options<2>(s)); });
  t.add("max_pool1d_with_indices",
        [](S s) { return max_pool1d_with_indices(s.reals(3), s.count(), max_options<1>(s)); });
  t.add("max_pool2d_with_indices",
        [](S s) { return max_pool2d_with_indices(s.reals(4), s.per_dim<2>(), max_options<2>(s)); });
  t.add("avg_pool1d", [](S s) { return avg_pool1d(s.reals(3), s.count(), avg_options<1>(s)); });
  t.add("avg_pool2d", [](S s) { return avg_pool2d(s.reals(4), s.per_dim<2>(), avg_options<2>(s)); });
  t.add("adaptive_max_pool1d", [](S s) { return adaptive_max_pool1d(s.reals(3), s.count()); });
  t.add("adaptive_max_pool2d", [](S s) { return adaptive_max_pool2d(s.reals(4), s.per_dim<2>()); });
  t.add("adaptive_max_pool1d_with_indices",
        [](S s) { return adaptive_max_pool1d_with_indices(s.reals(3), s.count()); });
  t.add("adaptive_max_pool2d_with_indices",
        [](S s) { return adaptive_max_pool2d_with_indices(s.reals(4), s.per_dim<2>()); });
  t.add("adaptive_avg_pool1d", [](S s) { return adaptive_avg_pool1d(s.reals(3), s.count()); });
  t.add("adaptive_avg_pool2d", [](S s) { return adaptive_avg_pool2d(s.reals(4), s.per_dim<2>()); });
  t.add("interpolate", [](S s) {
    InterpolateOptions o{.mode = s.one_of<Interpolation>(5), .align_corners = s.flag()};
    if (s.flag()) o.size = s.wholes(true);
    if (s.flag()) o.scale_factor = {s.real()};
    return interpolate(s.reals(s.flag() ? 3 : 4), o);
  });
  t.add("pixel_shuffle", [](S s) { return pixel_shuffle(s.reals(s.flag() ? 3 : 4), s.count()); });
  t.add("pixel_unshuffle", [](S s) { return pixel_unshuffle(s.reals(s.flag() ? 3 : 4), s.count()); });
}

void add_sequences(OptionCalls& t) {
  const auto weights = [](S s, std::int64_t gates) {
    return std::vector{s.of({gates * 3, 4}), s.of({gates * 3, 3}), s.of({gates * 3}), s.of({gates * 3})};
  };
  const auto options = [](S s) {
    return RnnOptions{s.flag() ? 1 : s.dim(), s.flag() && s.flag(), s.part(), s.flag(),
                      s.flag() ? s.index({2}) : Tensor()};
  };
  t.add("rnn", [=](S s) { return rnn(s.of({2, 5, 4}), {}, weights(s, 1), s.one_of<RnnNonlinearity>(2), options(s)); });
  t.add("gru", [=](S s) { return gru(s.of({2, 5, 4}), {}, weights(s, 3), options(s)); });
  t.add("lstm", [=](S s) { return lstm(s.of({2, 5, 4}), {}, s.any(), weights(s, 4), options(s)); });
  t.add("scaled_dot_product_attention", [](S s) {
    AttentionOptions o{.dropout_p = s.part(), .is_causal = s.flag(), .past = s.flag() ? 0 : s.count()};
    if (s.flag()) o.mask = s.mask({3, 5});
    if (s.flag()) o.scale = s.real();
    o.enable_gqa = s.flag();
    return scaled_dot_product_attention(s.of({2, 4, 3, 4}), s.of({2, 2, 5, 4}), s.of({2, 2, 5, 3}), o);
  });
  t.add("rotary_embedding", [](S s) { return rotary_embedding(s.of({2, 3, 4}), s.count(), s.real(), s.flag()); });
}

void add_signals(OptionCalls& t) {
  using Transform = Tensor (*)(const Tensor&, std::optional<std::int64_t>, int, FftNorm);
  for (const auto& [op, f] : {std::pair<const char*, Transform>{"fft", fft}, {"ifft", ifft}, {"irfft", irfft}})
    t.add(op, [f = f](S s) { return f(s.of({3, 4, 2}), s.maybe_count(), s.dim(), s.one_of<FftNorm>(3)); });
  t.add("rfft", [](S s) { return rfft(s.reals(2), s.maybe_count(), s.dim(), s.one_of<FftNorm>(3)); });
  t.add("overlap_add", [](S s) { return overlap_add(s.reals(3), s.count()); });
  const auto options = [](S s) {
    return StftOptions{s.maybe_count(), s.maybe_count(),      s.flag() ? s.of({4}) : Tensor(),
                       s.flag(),        s.one_of<PadMode>(4), s.flag(),
                       s.flag()};
  };
  t.add("stft", [=](S s) { return stft(s.of({2, 9}), s.count(), options(s)); });
  t.add("istft", [=](S s) { return istft(s.of({2, 3, 3, 2}), s.flag() ? 4 : s.count(), options(s), s.maybe_count()); });
}

}  // namespace

void add_layer_options(OptionCalls& t) {
  add_functions(t);
  add_losses(t);
  add_rows(t);
  add_images(t);
  add_sequences(t);
  add_signals(t);
}

}  // namespace tapedeck::cases
