// Random options of what makes, moves, looks up and reduces.
#include "cases/hostile_options.h"

namespace tapedeck::cases {
namespace {

using S = Source&;

void add_creation(OptionCalls& t) {
  const auto number = [](S s) -> Number { return s.flag() ? Number(s.whole()) : Number(s.real()); };
  t.add("arange", [=](S s) { return arange(number(s)); });
  t.add("arange end options", [=](S s) { return arange(number(s), s.options()); });
  t.add("arange step", [=](S s) { return arange(number(s), number(s), number(s)); });
  t.add("arange step options", [=](S s) { return arange(number(s), number(s), number(s), s.options()); });
  t.add("arange small", [](S s) { return arange(s.count(), s.count(), s.real(), s.options()); });
  t.add("linspace", [](S s) { return linspace(s.real(), s.real(), s.count(), s.options()); });
  t.add("logspace", [](S s) { return logspace(s.real(), s.real(), s.count(), s.real(), s.options()); });
  t.add("eye", [](S s) { return eye(s.count(), s.count(), s.options()); });
  t.add("ones", [](S s) { return ones(s.shape(), s.options()); });
  t.add("full_like", [](S s) { return full_like(s.any(), s.real()); });
  t.add("ones_like", [](S s) { return ones_like(s.any()); });
  t.add("one_hot", [](S s) { return one_hot(s.index({3}), s.count(), s.dtype()); });
  t.add("sinusoidal_positions",
        [](S s) { return sinusoidal_positions(s.count(), s.count(), s.count(), s.real(), s.options()); });
  t.add("hann_window", [](S s) { return hann_window(s.count(), s.flag(), s.options()); });
  t.add("fftfreq", [](S s) { return fftfreq(s.count(), s.real(), s.options()); });
  t.add("rfftfreq", [](S s) { return rfftfreq(s.count(), s.real(), s.options()); });
  t.add("hamming_window", [](S s) { return hamming_window(s.count(), s.flag(), s.real(), s.real(), s.options()); });
  t.add("blackman_window", [](S s) { return blackman_window(s.count(), s.flag(), s.options()); });
  t.add("bartlett_window", [](S s) { return bartlett_window(s.count(), s.flag(), s.options()); });
  t.add("kaiser_window", [](S s) { return kaiser_window(s.count(), s.flag(), s.real(), s.options()); });
}

void add_views(OptionCalls& t) {
  t.add("reshape", [](S s) { return reshape(s.any(), s.shape()); });
  t.add("flatten", [](S s) { return flatten(s.any(), s.dim(), s.dim()); });
  t.add("unflatten", [](S s) { return unflatten(s.any(), s.dim(), s.shape()); });
  t.add("permute", [](S s) { return permute(s.reals(3), s.dims()); });
  t.add("transpose", [](S s) { return transpose(s.any(), s.dim(), s.dim()); });
  t.add("movedim", [](S s) { return movedim(s.any(), s.dim(), s.dim()); });
  t.add("movedim list", [](S s) { return movedim(s.any(), s.dims(), s.dims()); });
  t.add("squeeze", [](S s) { return squeeze(s.any(), s.dim()); });
  t.add("unsqueeze", [](S s) { return unsqueeze(s.any(), s.dim()); });
  // Only small sizes: a large expanded view is legal and takes for ever to add up.
  t.add("expand", [](S s) { return expand(s.any(), {s.dim(), s.dim(), s.dim()}); });
  t.add("broadcast_to", [](S s) { return broadcast_to(s.any(), {s.dim(), s.dim()}); });
  t.add("sum_to", [](S s) { return sum_to(s.any(), s.shape()); });
  t.add("slice", [](S s) { return slice(s.any(), s.dim(), s.whole(), s.whole(), s.count()); });
  t.add("narrow", [](S s) { return narrow(s.any(), s.dim(), s.count(), s.count()); });
  t.add("select", [](S s) { return select(s.any(), s.dim(), s.count()); });
  t.add("diagonal", [](S s) { return diagonal(s.any(), s.whole(), s.dim(), s.dim()); });
  t.add("unfold", [](S s) { return unfold(s.any(), s.dim(), s.count(), s.count()); });
  t.add("unbind", [](S s) { return unbind(s.any(), s.dim()); });
  t.add("split", [](S s) { return split(s.any(), s.count(), s.dim()); });
  t.add("split list", [](S s) { return split(s.any(), s.wholes(true), s.dim()); });
  t.add("chunk", [](S s) { return chunk(s.any(), s.count(), s.dim()); });
  t.add("meshgrid", [](S s) { return meshgrid({s.reals(1), s.of({2}), s.of({3})}, s.one_of<Indexing>(2)); });
  t.add("meshgrid list", [](S s) { return meshgrid(s.list(), s.one_of<Indexing>(2)); });
}

void add_copies(OptionCalls& t) {
  t.add("cat", [](S s) { return cat(s.list(), s.dim()); });
  t.add("stack", [](S s) { return stack(s.list(), s.dim()); });
  t.add("cast", [](S s) { return cast(s.any(), s.dtype()); });
  t.add("repeat", [](S s) { return repeat(s.any(), s.shape()); });
  t.add("tile", [](S s) { return tile(s.any(), s.shape()); });
  t.add("repeat_interleave", [](S s) { return repeat_interleave(s.any(), s.count(), s.maybe_dim()); });
  t.add("repeat_interleave tensor",
        [](S s) { return repeat_interleave(s.reals(2), s.index({s.one_of<std::int64_t>(6)}), s.maybe_dim()); });
  t.add("repeat_interleave places", [](S s) { return repeat_interleave(s.index({4})); });
  t.add("flip", [](S s) { return flip(s.any(), s.dims()); });
  t.add("roll", [](S s) { return roll(s.any(), s.whole(), s.maybe_dim()); });
  t.add("roll list", [](S s) { return roll(s.any(), s.wholes(false), s.dims()); });
  t.add("pad", [](S s) { return pad(s.any(), s.wholes(true), s.one_of<PadMode>(4), s.real()); });
  t.add("pad any", [](S s) { return pad(s.any(), {s.whole(), s.whole()}, s.one_of<PadMode>(4)); });
  t.add("fold", [](S s) { return fold(s.any(), s.dim(), s.count(), s.count()); });
  const auto patches = [](S s) {
    return FoldOptions{.kernel_size = {s.count(), s.count()},
                       .dilation = {s.count(), 1},
                       .padding = {s.count(), 0},
                       .stride = {1, s.count()}};
  };
  t.add("unfold image", [=](S s) { return unfold(s.reals(4), patches(s)); });
  t.add("fold image", [=](S s) { return fold(s.reals(3), {s.count(), s.count()}, patches(s)); });
  t.add("diag", [](S s) { return diag(s.any(), s.whole()); });
  t.add("diag_embed", [](S s) { return diag_embed(s.any(), s.count(), s.dim(), s.dim()); });
  t.add("tril", [](S s) { return tril(s.any(), s.whole()); });
  t.add("triu", [](S s) { return triu(s.any(), s.whole()); });
}

void add_lookups(OptionCalls& t) {
  t.add("embedding", [](S s) { return embedding(s.index({3}), s.reals(2), s.maybe_count()); });
  t.add("embedding_bag", [](S s) {
    const EmbeddingBagOptions o{s.one_of<BagMode>(3), s.flag(), s.maybe_count()};
    return s.flag() ? embedding_bag(s.index({6}), s.reals(2), s.index({3}), {}, o)
                    : embedding_bag(s.index({2, 3}), s.reals(2), {}, s.flag() ? s.of({2, 3}) : Tensor(), o);
  });
  t.add("index_select", [](S s) { return index_select(s.any(), s.dim(), s.index({2})); });
  t.add("index_add", [](S s) { return index_add(s.of({3, 4}), s.dim(), s.index({3}), s.of({3, 4}), s.real()); });
  t.add("index_copy", [](S s) { return index_copy(s.of({3, 4}), s.dim(), s.index({3}), s.of({3, 4})); });
  t.add("index_fill", [](S s) { return index_fill(s.any(), s.dim(), s.index({3}), s.real()); });
  t.add("gather", [](S s) { return gather(s.of({3, 4}), s.dim(), s.index({3, 4})); });
  t.add("scatter", [](S s) { return scatter(s.of({3, 4}), s.dim(), s.index({3, 4}), s.of({3, 4})); });
  t.add("scatter value", [](S s) { return scatter(s.any(), s.dim(), s.index({2, 3}), s.real()); });
  t.add("scatter_add", [](S s) { return scatter_add(s.of({3, 4}), s.dim(), s.index({3, 4}), s.of({3, 4})); });
  t.add("scatter_reduce", [](S s) {
    return scatter_reduce(s.of({3, 4}), s.dim(), s.index({3, 4}), s.of({3, 4}), s.one_of<ScatterReduce>(5), s.flag());
  });
  t.add("index_reduce", [](S s) {
    return index_reduce(s.of({3, 4}), s.dim(), s.index({3}), s.of({3, 4}), s.one_of<ScatterReduce>(5), s.flag());
  });
  t.add("take_along_dim", [](S s) { return take_along_dim(s.any(), s.index({3, 4}), s.maybe_dim()); });
  t.add("index", [](S s) { return index(s.reals(3), {s.index({2}), s.flag() ? Tensor() : s.index({2})}); });
  t.add("index_put", [](S s) { return index_put(s.reals(2), {s.index({2}), s.index({2})}, s.of({2}), s.flag()); });
  t.add("masked_fill", [](S s) { return masked_fill(s.any(), s.mask({3, 4}), s.real()); });
  t.add("masked_select", [](S s) { return masked_select(s.any(), s.mask({3, 4})); });
}

void add_reductions(OptionCalls& t) {
  t.add("sum", [](S s) { return sum(s.any(), s.dims(), s.flag()); });
  t.add("mean", [](S s) { return mean(s.any(), s.dims(), s.flag()); });
  t.add("nansum", [](S s) { return nansum(s.any(), s.dims(), s.flag()); });
  t.add("nanmean", [](S s) { return nanmean(s.any(), s.dims(), s.flag()); });
  t.add("prod", [](S s) { return prod(s.any(), s.dim(), s.flag()); });
  t.add("amax", [](S s) { return amax(s.any(), s.dims(), s.flag()); });
  t.add("amin", [](S s) { return amin(s.any(), s.dims(), s.flag()); });
  t.add("max", [](S s) { return max(s.any(), s.dim(), s.flag()); });
  t.add("min", [](S s) { return min(s.any(), s.dim(), s.flag()); });
  t.add("argmax", [](S s) { return argmax(s.any(), s.maybe_dim(), s.flag()); });
  t.add("argmin", [](S s) { return argmin(s.any(), s.maybe_dim(), s.flag()); });
  t.add("var", [](S s) { return var(s.any(), s.dims(), s.flag(), s.real()); });
  t.add("std", [](S s) { return tapedeck::std(s.any(), s.dims(), s.flag(), s.real()); });
  t.add("var_mean", [](S s) { return var_mean(s.any(), s.dims(), s.flag(), s.real()); });
  t.add("std_mean", [](S s) { return std_mean(s.any(), s.dims(), s.flag(), s.real()); });
  t.add("norm", [](S s) { return norm(s.any(), s.real(), s.dims(), s.flag()); });
  t.add("logsumexp", [](S s) { return logsumexp(s.any(), s.dim(), s.flag()); });
  t.add("logsumexp list", [](S s) { return logsumexp(s.any(), s.dims(), s.flag()); });
  t.add("any", [](S s) { return any(s.any(), s.dims(), s.flag()); });
  t.add("all", [](S s) { return all(s.any(), s.dims(), s.flag()); });
  t.add("count_nonzero", [](S s) { return count_nonzero(s.any(), s.dims()); });
  t.add("cumsum", [](S s) { return cumsum(s.any(), s.dim()); });
  t.add("cumprod", [](S s) { return cumprod(s.any(), s.dim()); });
  t.add("cummax", [](S s) { return cummax(s.any(), s.dim()); });
  t.add("cummin", [](S s) { return cummin(s.any(), s.dim()); });
  t.add("logcumsumexp", [](S s) { return logcumsumexp(s.any(), s.dim()); });
  t.add("sort", [](S s) { return sort(s.any(), s.dim(), s.flag()); });
  t.add("argsort", [](S s) { return argsort(s.any(), s.dim(), s.flag()); });
  t.add("topk", [](S s) { return topk(s.any(), s.count(), s.dim(), s.flag(), s.flag()); });
  t.add("kthvalue", [](S s) { return kthvalue(s.any(), s.count(), s.dim(), s.flag()); });
  t.add("median", [](S s) { return median(s.any(), s.dim(), s.flag()); });
  t.add("quantile",
        [](S s) { return quantile(s.any(), s.part(), s.maybe_dim(), s.flag(), s.one_of<QuantileMode>(5)); });
  t.add("quantile list", [](S s) {
    return quantile(s.any(), std::vector{s.part(), s.part()}, s.maybe_dim(), s.flag(), s.one_of<QuantileMode>(5));
  });
  t.add("searchsorted",
        [](S s) { return searchsorted(s.of({4}), s.of({3}), s.flag(), s.flag() ? s.index({4}) : Tensor()); });
  t.add("bucketize", [](S s) { return bucketize(s.any(), s.reals(1), s.flag()); });
  t.add("bincount", [](S s) { return bincount(s.index({4}), s.flag() ? s.of({4}) : Tensor(), s.count()); });
  t.add("histc", [](S s) { return histc(s.any(), s.count(), s.real(), s.real()); });
}

}  // namespace

void add_array_options(OptionCalls& t) {
  add_creation(t);
  add_views(t);
  add_copies(t);
  add_lookups(t);
  add_reductions(t);
}

}  // namespace tapedeck::cases
