// Sorting and searching. An op finds places; what stands there is a gather, which has the gradient.
#include <tapedeck/autograd/along.h>
#include <tapedeck/kernels/sort.h>
#include <tapedeck/tensor/detail_views.h>

#include <cmath>
#include <limits>

namespace tapedeck {
namespace {

Tensor number(double value, const Tensor& like) { return scalar(value, like.options()); }
Tensor is_nan(const Tensor& x) { return ne(x, x); }

// The first `count` places of the order along dim; -1: all.
Tensor places(const char* op, const kernels::KernelSlot<kernels::SortArgs>& f, const Tensor& x, int dim,
              std::int64_t count, bool descending) {
  const NoGrad pause;
  return detail::along(op, x, dim, [&](const Tensor& line, int d) {
    Shape shape = line.sizes();
    TD_CHECK(count <= shape[d], ValueError, op, ": k ", count, " is more than the ", shape[d],
             " elements of dimension ", d, arg("x", x));
    if (count >= 0) shape[d] = count;
    const Tensor y = empty(shape, {DType::i64, x.device()});
    detail::composed(op, [&] { f(x.device(), {line, y, d, descending}); });
    return y;
  });
}

std::int64_t line_length(const char* op, const Tensor& x, int dim) {
  return x.dim() == 0 ? normalize_dim(op, dim, 1) + 1 : x.size(normalize_dim(op, dim, x.dim()));
}

// The place of the element at `rank` of the order along dim, with size 1 there; nan_wins: of a NaN, where there is one.
Tensor place_of(const char* op, const Tensor& x, int dim, std::int64_t rank, bool nan_wins) {
  const NoGrad pause;
  return detail::along(op, x, dim, [&](const Tensor& line, int d) {
    Shape shape = line.sizes();
    shape[d] = 1;
    const Tensor y = empty(shape, {DType::i64, x.device()});
    detail::composed(op, [&] { kernels::select_rank(x.device(), {line, y, d, rank, nan_wins}); });
    return y;
  });
}

Tensor median_place(const Tensor& x, int dim) {
  const std::int64_t n = line_length("median", x, dim);
  TD_CHECK(n > 0, ShapeError, "median: nothing to choose from in dimension ", dim, arg("x", x));
  return place_of("median", x, dim, (n - 1) / 2, true);
}

// What stands at places that have size 1 along dim.
ValuesIndices chosen_at(const Tensor& x, int dim, const Tensor& places, bool keepdim) {
  const Tensor values = gather(x, dim, places);
  if (keepdim || x.dim() == 0) return {values, places};
  return {squeeze(values, dim), detail::squeeze(places, dim)};
}

}  // namespace

ValuesIndices sort(const Tensor& x, int dim, bool descending) {
  const Tensor indices = places("sort", kernels::sort, x, dim, -1, descending);
  return {gather(x, dim, indices), indices};
}

Tensor argsort(const Tensor& x, int dim, bool descending) {
  return places("argsort", kernels::sort, x, dim, -1, descending);
}

ValuesIndices topk(const Tensor& x, std::int64_t k, int dim, bool largest, bool /*sorted*/) {
  detail::check_defined("topk", "x", x);
  TD_CHECK(k >= 0, ValueError, "topk: k must be >= 0, got ", k);
  TD_CHECK(x.dim() > 0 || k == 1, ValueError, "topk: k must be 1 for a 0-d tensor, got ", k);
  const Tensor indices = places("topk", kernels::topk, x, dim, k, largest);
  return {gather(x, dim, indices), indices};
}

Tensor median(const Tensor& x) {
  detail::check_defined("median", "x", x);
  TD_CHECK(x.numel() > 0, ShapeError, "median: nothing to choose from, x has no elements", arg("x", x));
  const Tensor y = detail::composed("median", [&] {
    const NoGrad pause;
    const Tensor flat = reshape(x, {x.numel()});
    return reshape(gather(flat, 0, median_place(flat, 0)), {});
  });
  record("median", y, {&x}, [x = save(x, "x"), y = save(y, "y")](const Tensor& gy, Grads& g) {
    const Tensor equal = cast(eq(x.get(), y.get()), gy.dtype());
    const Tensor chosen = where(is_nan(x.get()), number(1, gy), equal);
    g.give(0, chosen * (gy / sum(chosen)));
  });
  return y;
}

ValuesIndices median(const Tensor& x, int dim, bool keepdim) {
  detail::check_defined("median", "x", x);
  return chosen_at(x, dim, median_place(x, dim), keepdim);
}

ValuesIndices kthvalue(const Tensor& x, std::int64_t k, int dim, bool keepdim) {
  const char* op = "kthvalue";
  detail::check_defined(op, "x", x);
  const std::int64_t n = line_length(op, x, dim);
  TD_CHECK(k >= 1 && k <= n, ValueError, op, ": k ", k, " is outside [1, ", n, "], the elements of dimension ", dim,
           arg("x", x));
  return chosen_at(x, dim, place_of(op, x, dim, k - 1, false), keepdim);
}

namespace {

// One quantile of lines that are sorted along their last dimension, NaN last.
Tensor between(const Tensor& sorted, double q, QuantileMode mode) {
  const std::int64_t n = sorted.size(-1);
  const double at = q * static_cast<double>(n - 1), floor = std::floor(at), part = at - floor;
  const auto element = [&](double place) { return narrow(sorted, -1, static_cast<std::int64_t>(place), 1); };
  const Tensor low = element(floor), high = element(std::ceil(at));
  if (part == 0 || mode == QuantileMode::lower) return low;
  if (mode == QuantileMode::higher) return high;
  if (mode == QuantileMode::nearest) return element(std::nearbyint(at));
  const double weight = mode == QuantileMode::midpoint ? 0.5 : part;
  // From the nearer end; infinite ones by their weights.
  const Tensor gap = high - low, mixed = weight < 0.5 ? low + gap * weight : high - gap * (1 - weight);
  return where(eq(gap - gap, number(0, gap)), mixed, low * (1 - weight) + high * weight);
}

// The quantiles along the last dimension, which the result keeps with size 1; one tensor for each q.
std::vector<Tensor> quantiles(const Tensor& x, const std::vector<double>& q, QuantileMode mode) {
  const Tensor sorted = sort(x, -1).values, last = narrow(sorted, -1, sorted.size(-1) - 1, 1);
  std::vector<Tensor> out;
  for (const double one : q) out.push_back(where(is_nan(last), last, between(sorted, one, mode)));
  return out;
}

std::vector<Tensor> quantiles_along(const Tensor& x, const std::vector<double>& q, std::optional<int> dim, bool keepdim,
                                    QuantileMode mode) {
  const char* op = "quantile";
  detail::check_real(op, x);
  for (const double one : q) TD_CHECK(one >= 0 && one <= 1, ValueError, op, ": q must be in [0, 1], got ", one);
  const bool flat = !dim || x.dim() == 0;
  const std::int64_t n = flat ? x.numel() : line_length(op, x, *dim);
  if (dim) line_length(op, x, *dim);  // names a wrong one for 0-d tensors too
  TD_CHECK(n > 0, ShapeError, op, ": nothing to choose from", arg("x", x));
  std::vector<Tensor> out = quantiles(flat ? reshape(x, {n}) : transpose(x, *dim, -1), q, mode);
  Shape kept = x.sizes();
  for (int d = 0; d < kept.rank(); ++d)
    if (flat || d == normalize_dim(op, *dim, kept.rank())) kept[d] = 1;
  for (Tensor& y : out) {
    if (flat)
      y = reshape(y, keepdim ? kept : Shape{});
    else
      y = keepdim ? transpose(y, *dim, -1) : squeeze(transpose(y, *dim, -1), *dim);
  }
  return out;
}

}  // namespace

Tensor quantile(const Tensor& x, double q, std::optional<int> dim, bool keepdim, QuantileMode mode) {
  return detail::composed("quantile", [&] { return quantiles_along(x, {q}, dim, keepdim, mode)[0]; });
}

Tensor quantile(const Tensor& x, const std::vector<double>& q, std::optional<int> dim, bool keepdim,
                QuantileMode mode) {
  TD_CHECK(!q.empty(), ValueError, "quantile: the list of q is empty");
  return detail::composed("quantile", [&] { return stack(quantiles_along(x, q, dim, keepdim, mode)); });
}

namespace {

Tensor search(const char* op, const char* sequence_name, const Tensor& sorted, const char* values_name,
              const Tensor& values, bool right) {
  detail::check_same(op, sequence_name, sorted, values_name, values);
  TD_CHECK(sorted.dim() > 0, ShapeError, op, ": ", sequence_name, " must have a dimension", arg(sequence_name, sorted));
  const bool one_for_all = sorted.dim() == 1;
  if (!one_for_all) {
    bool fits = values.dim() == sorted.dim();
    for (int d = 0; fits && d + 1 < sorted.dim(); ++d) fits = values.sizes()[d] == sorted.sizes()[d];
    TD_CHECK(fits, ShapeError, op, ": all dimensions but the last must agree", arg(sequence_name, sorted),
             arg(values_name, values));
  }
  const NoGrad pause;
  const std::int64_t rows = one_for_all ? 1 : detail::row_count(sorted), n = sorted.size(-1);
  const std::int64_t m = one_for_all ? values.numel() : values.size(-1);
  const Tensor y = empty(values.sizes(), {DType::i64, values.device()});
  detail::composed(op, [&] {
    kernels::searchsorted(values.device(), {reshape(sorted, {rows, n}), reshape(values, {rows, m}),
                                            detail::try_reshape(y, {rows, m}), right});
  });
  return y;
}

}  // namespace

Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right, const Tensor& sorter) {
  const char* op = "searchsorted";
  if (!sorter.defined()) return search(op, "sorted", sorted, "values", values, right);
  detail::check_defined(op, "sorted", sorted);
  TD_CHECK(sorter.sizes() == sorted.sizes(), ShapeError, op, ": sorter must have the shape of sorted",
           arg("sorted", sorted), arg("sorter", sorter));
  const NoGrad pause;
  return detail::composed(op, [&] {
    const Tensor ordered = sorted.dim() == 0 ? sorted : gather(sorted, -1, sorter);
    return search(op, "sorted", ordered, "values", values, right);
  });
}

Tensor bucketize(const Tensor& x, const Tensor& boundaries, bool right) {
  detail::check_defined("bucketize", "boundaries", boundaries);
  TD_CHECK(boundaries.dim() == 1, ShapeError, "bucketize: boundaries must be 1-d", arg("boundaries", boundaries));
  return search("bucketize", "boundaries", boundaries, "x", x, right);
}

Tensor bincount(const Tensor& x, const Tensor& weights, std::int64_t minlength) {
  const char* op = "bincount";
  detail::check_defined(op, "x", x);
  TD_CHECK(!is_real(x.dtype()) && x.dtype() != DType::boolean, DTypeError, op, ": x must be of integers", arg("x", x));
  TD_CHECK(x.dim() == 1, ShapeError, op, ": x must be 1-d", arg("x", x));
  TD_CHECK(minlength >= 0, ValueError, op, ": minlength must be >= 0, got ", minlength);
  if (weights.defined()) {
    detail::check_real(op, weights, "weights");
    TD_CHECK(weights.sizes() == x.sizes(), ShapeError, op, ": weights must have the shape of x", arg("x", x),
             arg("weights", weights));
    TD_CHECK(weights.device() == x.device(), DeviceError, op, ": devices differ", arg("x", x), arg("weights", weights));
  }
  const NoGrad pause;
  const Tensor index = cast(x, DType::i64);
  std::int64_t bins = minlength;
  if (index.numel() > 0) {
    const double least = min(index).item();
    TD_CHECK(least >= 0, ValueError, op, ": x must be >= 0, but there is ", least, arg("x", x));
    const std::int64_t most = max(index).to_vector<std::int64_t>()[0];
    TD_CHECK(most < std::numeric_limits<std::int64_t>::max(), MemoryError, op, ": too many bins for ", most);
    bins = std::max(bins, most + 1);
  }
  const Tensor y = detail::empty_for(op, {bins}, {weights.defined() ? weights.dtype() : DType::i64, x.device()});
  kernels::bincount(x.device(), {index, weights, y});
  return y;
}

Tensor histc(const Tensor& x, std::int64_t bins, double min, double max) {
  const char* op = "histc";
  detail::check_real(op, x);
  TD_CHECK(bins > 0, ValueError, op, ": bins must be >= 1, got ", bins);
  const NoGrad pause;
  if (min == max && x.numel() > 0)
    detail::composed(op, [&] { min = tapedeck::min(x).item(), max = tapedeck::max(x).item(); });
  TD_CHECK(std::isfinite(min) && std::isfinite(max) && min <= max, ValueError, op,
           ": the range must be finite and in order, got [", min, ", ", max, "]", arg("x", x));
  if (min == max) min -= 1, max += 1;
  const Tensor y = detail::empty_for(op, {bins}, x.options());
  kernels::histc(x.device(), {x, y, min, max});
  return y;
}

}  // namespace tapedeck
