#include "autograd/bad_options.h"

namespace tapedeck::test {

// Options beside the plain functions: bounds and numbers in place of tensors, rounded quotients, scatter with
// reductions.
void add_bad_bounds(BadCalls& t) {
  t.binary({{"max pair", max},
            {"min pair", min},
            {"logaddexp", logaddexp},
            {"clamp_min tensor", [](const Tensor& a, const Tensor& b) { return clamp_min(a, b); }},
            {"clamp_max tensor", [](const Tensor& a, const Tensor& b) { return clamp_max(a, b); }},
            {"add alpha", [](const Tensor& a, const Tensor& b) { return add(a, b, 2); }},
            {"sub alpha", [](const Tensor& a, const Tensor& b) { return sub(a, b, 2); }},
            {"div rounding", [](const Tensor& a, const Tensor& b) { return div(a, b, Rounding::floor); }}});
  t.dtype("add alpha", {"0.5", "i64"}, [](In g) { add(g.whole, g.whole, 0.5); });
  t.dtype("sub alpha", {"0.5", "i64"}, [](In g) { sub(g.whole, g.whole, 0.5); });
  t.dtype("div rounding", {"i64"}, [](In g) { div(g.whole, g.whole, Rounding::trunc); });
  t.dtype("logaddexp", {"i64"}, [](In g) { logaddexp(g.whole, g.whole); });
  t.dtype("clamp tensors", {"f32", "i64"}, [](In g) { clamp(g.m, g.whole, {}); });
  t.shape("clamp tensors", {"[3,4]", "[6]"}, [](In g) { clamp(g.m, g.m, g.v); });
  t.missing("clamp tensors", [](In g) { clamp(g.m, g.none, g.none); });
  t.missing("clamp tensors", [](In g) { clamp(g.none, g.m, g.m); });
  for (const double bound : {0.5, 1.5}) {
    t.dtype("clamp_min", {word(bound), "i64"}, [=](In g) { clamp_min(g.whole, bound); });
    t.dtype("clamp_max", {word(bound), "i64"}, [=](In g) { clamp_max(g.whole, bound); });
  }
  t.missing("clamp_min", [](In g) { clamp_min(g.none, 1); });
  t.missing("clamp_max", [](In g) { clamp_max(g.none, 1); });
  t.missing("pow base", [](In g) { pow(2, g.none); });
  t.dtype("pow base", {"i64"}, [](In g) { pow(2, g.whole); });
  t.missing("where right", [](In g) { where(g.mask, g.none, 1); });
  t.missing("where left", [](In g) { where(g.mask, 1, g.none); });
  t.dtype("where right", {"0.5", "i64"}, [](In g) { where(g.mask, g.whole, 0.5); });
  t.dtype("where left", {"0.5", "i64"}, [](In g) { where(g.mask, 0.5, g.whole); });
  t.dtype("where right", {"f32"}, [](In g) { where(g.m, g.m, 1); });
  t.shape("where left", {"[3,4]", "[6]"}, [](In g) { where(g.mask, 1, g.v); });

  for (const auto& [op, f] : {std::pair{"nansum", &nansum}, {"nanmean", &nanmean}}) {
    t.missing(op, [f = f](In g) { f(g.none, {}, false); });
    t.dims(op, 3, [f = f](In g, int d) { f(g.x, {d}, false); });
    t.value(op, {"twice"}, [f = f](In g) { f(g.x, {0, -3}, false); });
  }
  t.dtype("nanmean", {"i64"}, [](In g) { nanmean(g.whole); });
  t.missing("kthvalue", [](In g) { kthvalue(g.none, 1); });
  t.dims("kthvalue", 3, [](In g, int d) { kthvalue(g.x, 1, d); });
  t.values("kthvalue", {0, -1, 5, kHuge}, [](In g, std::int64_t k) { kthvalue(g.m, k); });
  t.shape("searchsorted", {"[3,4]", "[6]"}, [](In g) { searchsorted(g.m, g.m, false, cast(g.v, DType::i64)); });
  t.value("searchsorted", {"7"}, [](In g) { searchsorted(detail::narrow(g.v, 0, 0, 3), g.v, false, g.far); });

  constexpr auto kSum = ScatterReduce::sum, kMean = ScatterReduce::mean, kLargest = ScatterReduce::amax;
  for (const auto how : {kSum, ScatterReduce::prod, kMean, kLargest, ScatterReduce::amin}) {
    t.value("scatter_reduce", {"2", "[0, 2)"},
            [=](In g) { scatter_reduce(detail::narrow(g.m, 0, 0, 2), 0, g.whole, g.m, how); });
    t.value("index_reduce", {"7", "[0, 3)"}, [=](In g) { index_reduce(g.m, 0, g.far, g.m, how); });
    t.missing("scatter_reduce", [=](In g) { scatter_reduce(g.m, 0, g.whole, g.none, how); });
    t.missing("index_reduce", [=](In g) { index_reduce(g.m, 0, g.none, g.m, how); });
  }
  t.dims("scatter_reduce", 2, [](In g, int d) { scatter_reduce(g.m, d, g.whole, g.m, kLargest); });
  t.dims("index_reduce", 2, [](In g, int d) { index_reduce(g.m, d, g.places, g.m, kLargest); });
  t.shape("scatter_reduce", {"[3,4]", "[6]"}, [](In g) { scatter_reduce(g.m, 0, g.whole, g.v, kLargest); });
  t.shape("index_reduce", {"[3,4]", "[4,4]"}, [](In g) { index_reduce(g.m, 0, g.places, g.square, kLargest); });
  t.dtype("scatter_reduce", {"bool"}, [](In g) { scatter_reduce(g.mask, 0, g.whole, g.mask, kLargest); });
  t.dtype("scatter_reduce", {"i64"}, [](In g) { scatter_reduce(g.whole, 0, g.whole, g.whole, kMean); });
  t.dtype("index_reduce", {"f32"}, [](In g) { index_reduce(g.m, 0, g.v, g.m, kSum); });

  t.missing("repeat_interleave places", [](In g) { repeat_interleave(g.none); });
  t.dtype("repeat_interleave places", {"f32"}, [](In g) { repeat_interleave(g.v); });
  t.shape("repeat_interleave places", {"[3,4]"}, [](In g) { repeat_interleave(g.whole); });
  t.value("repeat_interleave places", {"-1"}, [](In g) { repeat_interleave(g.places - 1); });
  t.missing("unflatten", [](In g) { unflatten(g.none, 0, {1}); });
  t.dims("unflatten", 3, [](In g, int d) { unflatten(g.x, d, {1, -1}); });
  t.shape("unflatten", {"[3,4]"}, [](In g) { unflatten(g.m, 0, {}); });
  for (const Shape& sizes : {Shape{2, 2}, Shape{-1, 2}, Shape{-1, -1}, Shape{-3, -1}, Shape{kHuge, 4}})
    t.shape("unflatten", {to_string(sizes)}, [=](In g) { unflatten(g.m, 0, sizes); });

  t.missing("multilabel_margin_loss", [](In g) { multilabel_margin_loss(g.m, g.none); });
  t.missing("multilabel_margin_loss", [](In g) { multilabel_margin_loss(g.none, g.whole); });
  t.dtype("multilabel_margin_loss", {"f32"}, [](In g) { multilabel_margin_loss(g.m, g.m); });
  t.shape("multilabel_margin_loss", {"[3,4]", "[3]"}, [](In g) { multilabel_margin_loss(g.m, g.places); });
  t.value("multilabel_margin_loss", {"-2"}, [](In g) { multilabel_margin_loss(g.m, g.whole - 2); });
  t.value("multilabel_margin_loss", {"4"}, [](In g) { multilabel_margin_loss(g.m, g.whole + 2); });
  t.value("multilabel_margin_loss", {"batchmean"},
          [](In g) { multilabel_margin_loss(g.m, g.whole, Reduction::batchmean); });
}

}  // namespace tapedeck::test
