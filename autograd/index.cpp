// Lookups by integer index.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>
#include <limits>

namespace tapedeck {
namespace {

Tensor flat_index(const Tensor& index) { return detail::try_reshape(detail::packed(index), {index.numel()}); }

// The shape of index with another dimension behind.
Shape with_channels(const char* op, const Tensor& index, std::int64_t channels) {
  TD_CHECK(index.dim() < kMaxRank, ShapeError, op, ": an index has at most ", kMaxRank - 1, " dimensions",
           arg("index", index));
  Shape shape = index.sizes();
  shape.push(channels);
  return shape;
}

// The row that gets no gradient; -1 for none.
std::int64_t padding_row(const char* op, const Tensor& table, std::optional<std::int64_t> padding_idx) {
  if (!padding_idx) return -1;
  const std::int64_t rows = table.size(0), row = *padding_idx;
  TD_CHECK(row >= -rows && row < rows, ValueError, op, ": padding_idx ", row, " is outside [", -rows, ", ", rows, ")",
           arg("table", table));
  return row < 0 ? row + rows : row;
}

}  // namespace

Tensor embedding(const Tensor& index, const Tensor& table, std::optional<std::int64_t> padding_idx) {
  detail::check_real("embedding", table, "table");
  TD_CHECK(table.dim() == 2, ShapeError, "embedding: the table must be [entries, channels]", arg("table", table));
  detail::check_index("embedding", "index", index, table.size(0));
  TD_CHECK(index.device() == table.device(), DeviceError, "embedding: devices differ", arg("index", index),
           arg("table", table));
  const std::int64_t padding = padding_row("embedding", table, padding_idx);
  const Tensor flat = flat_index(index);
  const Tensor rows = empty({index.numel(), table.size(1)}, table.options());
  kernels::embedding(table.device(), {detail::rows_contiguous(table), flat, rows});
  const Shape shape = with_channels("embedding", index, table.size(1));
  const Tensor y = detail::try_reshape(rows, shape);
  record("embedding", y, {&table}, [index = save(flat, "index"), padding](const Tensor& gy, Grads& g) {
    if (g.graph()) {
      Tensor rows = reshape(gy, {index.get().numel(), gy.size(-1)});
      if (padding >= 0)
        rows = masked_fill(rows, unsqueeze(eq(index.get(), scalar(static_cast<double>(padding), {DType::i64})), 1), 0);
      return g.give(0, index_add(zeros(g.shape(0), gy.options()), 0, index.get(), rows));
    }
    const auto [buffer, beta] = g.into(0);
    kernels::embedding_backward(gy.device(), {detail::as_rows(gy), index.get(), buffer, beta, padding});
  });
  return y;
}

namespace {

// The entries of bags one after the other: which bag each is in, and how many there are.
struct Bags {
  std::vector<std::int64_t> entry, bag;  // positions among the indices; bags in ascending order
  std::vector<std::int64_t> count;       // by bag
};

Bags bags_of(const Tensor& index, const Tensor& offsets, const EmbeddingBagOptions& o, std::int64_t padding) {
  const char* op = "embedding_bag";
  std::vector<std::int64_t> start;  // of each bag, and the end
  if (offsets.defined()) {
    TD_CHECK(offsets.dtype() == DType::i64, DTypeError, op, ": offsets must be i64", arg("offsets", offsets));
    TD_CHECK(index.dim() == 1 && offsets.dim() == 1, ShapeError, op, ": with offsets, index and offsets must be 1-d",
             arg("index", index), arg("offsets", offsets));
    start = offsets.to_vector<std::int64_t>();
    TD_CHECK(!start.empty() || !o.include_last_offset, ShapeError, op, ": the last offset is missing");
    if (!o.include_last_offset) start.push_back(index.numel());
    TD_CHECK(start[0] == 0 || start.size() == 1, ValueError, op, ": the first offset must be 0, got ", start[0]);
    for (std::size_t i = 1; i < start.size(); ++i)
      TD_CHECK(start[i] >= start[i - 1], ValueError, op, ": offsets must ascend up to ", index.numel(), ", but ",
               start[i], " follows ", start[i - 1]);
    TD_CHECK(start.back() <= index.numel(), ValueError, op, ": the last offset ", start.back(), " is beyond the ",
             index.numel(), " indices");
  } else {
    TD_CHECK(index.dim() == 2, ShapeError, op, ": index must be [bags, entries], or 1-d with offsets",
             arg("index", index));
    for (std::int64_t i = 0; i <= index.size(0); ++i) start.push_back(i * index.size(1));
  }
  const auto rows = index.to_vector<std::int64_t>();
  Bags b;
  for (std::size_t i = 0; i + 1 < start.size(); ++i) {
    const std::size_t before = b.entry.size();
    for (std::int64_t k = start[i]; k < start[i + 1]; ++k) {
      if (rows[static_cast<std::size_t>(k)] == padding) continue;
      b.entry.push_back(k);
      b.bag.push_back(static_cast<std::int64_t>(i));
    }
    b.count.push_back(static_cast<std::int64_t>(b.entry.size() - before));
  }
  return b;
}

Tensor column(const std::vector<std::int64_t>& v, Device device) {
  return tensor(v, {static_cast<std::int64_t>(v.size())}).to(device);
}

// The largest entries of each bag (of equals the first, which gets the gradient): bags are filled up to one length with
// their first entry. rows [N, D], N > 0.
Tensor largest_of_bags(const Tensor& rows, const Bags& b) {
  const std::int64_t length = *std::max_element(b.count.begin(), b.count.end());
  std::vector<std::int64_t> at;
  std::int64_t start = 0;
  for (const std::int64_t n : b.count) {
    for (std::int64_t k = 0; k < length; ++k) at.push_back(n == 0 ? 0 : start + (k < n ? k : 0));
    start += n;
  }
  const auto bags = static_cast<std::int64_t>(b.count.size());
  const Tensor filled = reshape(index_select(rows, 0, column(at, rows.device())), {bags, length, rows.size(1)});
  const Tensor y = squeeze(gather(filled, 1, argmax(filled, 1, true)), 1);
  const Tensor none = eq(column(b.count, rows.device()), zeros({}, {DType::i64, rows.device()}));
  return masked_fill(y, unsqueeze(none, 1), 0);
}

}  // namespace

Tensor embedding_bag(const Tensor& index, const Tensor& table, const Tensor& offsets, const Tensor& per_sample_weights,
                     EmbeddingBagOptions options) {
  return detail::composed("embedding_bag", [&] {
    const char* op = "embedding_bag";
    detail::check_real(op, table, "table");
    TD_CHECK(table.dim() == 2, ShapeError, op, ": the table must be [entries, channels]", arg("table", table));
    detail::check_index(op, "index", index, table.size(0));
    const Bags b = bags_of(index, offsets, options, padding_row(op, table, options.padding_idx));
    const Device device = table.device();
    const Tensor entries = column(b.entry, device), which = column(b.bag, device);
    Tensor rows = embedding(index_select(flat_index(index), 0, entries), table);
    if (per_sample_weights.defined()) {
      TD_CHECK(options.mode == BagMode::sum, ValueError, op, ": per_sample_weights need the mode sum");
      detail::check_same(op, "table", table, "per_sample_weights", per_sample_weights);
      TD_CHECK(per_sample_weights.sizes() == index.sizes(), ShapeError, op,
               ": per_sample_weights must have the shape of index", arg("index", index),
               arg("per_sample_weights", per_sample_weights));
      rows = rows * unsqueeze(index_select(reshape(per_sample_weights, {index.numel()}), 0, entries), 1);
    }
    if (options.mode == BagMode::max && !b.entry.empty()) return largest_of_bags(rows, b);
    const auto bags = static_cast<std::int64_t>(b.count.size());
    const Tensor sums = index_add(zeros({bags, table.size(1)}, table.options()), 0, which, rows);
    if (options.mode != BagMode::mean) return sums;
    std::vector<std::int64_t> counts = b.count;
    for (std::int64_t& n : counts) n = std::max<std::int64_t>(n, 1);
    return sums / cast(unsqueeze(column(counts, device), 1), table.dtype());
  });
}

Tensor one_hot(const Tensor& index, std::int64_t classes, DType dtype) {
  return detail::composed("one_hot", [&] {
    const char* op = "one_hot";
    detail::check_defined(op, "index", index);
    TD_CHECK(classes >= -1, ValueError, op, ": classes must be >= 0, or -1 for as many as needed, got ", classes);
    if (classes == -1) {
      TD_CHECK(index.numel() > 0 && index.dtype() == DType::i64, ValueError, op,
               ": the number of classes is not known from this index", arg("index", index));
      std::int64_t range[2];
      kernels::index_range(index.device(), {index, range});
      TD_CHECK(range[1] < std::numeric_limits<std::int64_t>::max(), ValueError, op, ": index ", range[1],
               " is too large");
      classes = std::max<std::int64_t>(range[1] + 1, 0);
    }
    detail::check_index(op, "index", index, classes);
    const Tensor y = empty({index.numel(), classes}, {dtype, index.device()});
    kernels::one_hot(index.device(), {flat_index(index), y});
    const Shape shape = with_channels("one_hot", index, classes);
    return detail::try_reshape(y, shape);
  });
}

Tensor sample_categorical(const Tensor& logits, const Tensor& u, double temperature) {
  const char* op = "sample_categorical";
  detail::check_real(op, logits, "logits");
  detail::check_defined(op, "u", u);
  TD_CHECK(u.dtype() == DType::f32 && u.device() == logits.device(), DTypeError, op,
           ": u must be f32 on the device of logits", arg("logits", logits), arg("u", u));
  TD_CHECK(temperature >= 0, ValueError, op, ": temperature must be >= 0, got ", temperature);
  TD_CHECK(logits.dim() >= 1 && logits.size(-1) >= 1, ShapeError, op, ": logits need a last dimension of classes",
           arg("logits", logits));
  Shape shape = logits.sizes();
  shape.erase(logits.dim() - 1);
  TD_CHECK(u.sizes() == shape, ShapeError, op, ": u must have shape ", to_string(shape), arg("logits", logits),
           arg("u", u));
  const Tensor y = empty({u.numel()}, {DType::i64, logits.device()});
  kernels::sample_categorical(
      logits.device(), {detail::as_rows(logits), detail::try_reshape(detail::packed(u), {u.numel()}), y, temperature});
  return detail::try_reshape(y, shape);
}

}  // namespace tapedeck
