// Connectionist temporal classification: the checks; the recursions are kernels.
#include <tapedeck/autograd/loss_helpers.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/loss.h>
#include <tapedeck/tensor/detail_views.h>

namespace tapedeck {
namespace {

constexpr const char* kOp = "ctc_loss";

// Lengths of N rows, each in [0, most].
std::vector<std::int64_t> lengths(const char* name, const Tensor& x, std::int64_t rows, std::int64_t most) {
  detail::check_defined(kOp, name, x);
  TD_CHECK(x.dtype() == DType::i64, DTypeError, kOp, ": ", name, " must be i64", arg(name, x));
  TD_CHECK(x.dim() <= 1 && x.numel() == rows, ShapeError, kOp, ": ", name, " must have one element for each of ", rows,
           " rows", arg(name, x));
  const auto v = x.to_vector<std::int64_t>();
  for (const std::int64_t n : v)
    TD_CHECK(n >= 0 && n <= most, ValueError, kOp, ": ", name, " ", n, " is outside [0, ", most, "]", arg(name, x));
  return v;
}

// Where each row's labels start in the packed targets.
std::vector<std::int64_t> starts_of(const Tensor& targets, const std::vector<std::int64_t>& labels) {
  std::vector<std::int64_t> starts;
  std::int64_t next = 0;
  for (const std::int64_t n : labels) {
    starts.push_back(next);
    next += targets.dim() == 2 ? targets.size(1) : n;
  }
  TD_CHECK(targets.dim() == 2 || next == targets.numel(), ShapeError, kOp, ": target_lengths add up to ", next,
           ", but targets has ", targets.numel(), " labels", arg("targets", targets));
  return starts;
}

void check_labels(const Tensor& targets, const std::vector<std::int64_t>& starts,
                  const std::vector<std::int64_t>& labels, std::int64_t classes, std::int64_t blank) {
  const auto v = targets.to_vector<std::int64_t>();
  for (std::size_t n = 0; n < labels.size(); ++n)
    for (std::int64_t k = 0; k < labels[n]; ++k) {
      const std::int64_t label = v[static_cast<std::size_t>(starts[n] + k)];
      TD_CHECK(label >= 0 && label < classes && label != blank, ValueError, kOp, ": label ", label, " of row ", n,
               " is outside [0, ", classes, ") or the blank ", blank, arg("targets", targets));
    }
}

Tensor losses_of(const Tensor& log_probs, const Tensor& targets, const Tensor& starts, const Tensor& steps,
                 const Tensor& labels, std::int64_t blank, bool skip_infinite) {
  const Tensor losses = empty({log_probs.size(0)}, log_probs.options());
  kernels::ctc(log_probs.device(), {detail::rows_contiguous(log_probs), targets, starts, steps, labels, losses, blank});
  record(kOp, losses, {&log_probs},
         [x = save(log_probs, "log_probs"), targets = save(targets, "targets"), starts, steps, labels, blank,
          skip_infinite](const Tensor& gy, Grads& g) {
           TD_CHECK(!g.graph(), TapeError, kOp, ": this op has no gradient of its gradient");
           const Tensor gx = empty_like(x.get());
           kernels::ctc_backward(gy.device(), {gy, detail::rows_contiguous(x.get()), targets.get(), starts, steps,
                                               labels, gx, blank, skip_infinite});
           g.give(0, gx);
         });
  return losses;
}

}  // namespace

Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                const Tensor& target_lengths, std::int64_t blank, Reduction reduction, bool zero_infinity) {
  return detail::composed(kOp, [&] {
    detail::check_real(kOp, log_probs, "log_probs");
    detail::check_defined(kOp, "targets", targets);
    detail::check_reduction(kOp, reduction);
    const bool batched = log_probs.dim() == 3;
    TD_CHECK(batched || log_probs.dim() == 2, ShapeError, kOp, ": log_probs must be [N, T, C] or [T, C]",
             arg("log_probs", log_probs));
    TD_CHECK(targets.dtype() == DType::i64, DTypeError, kOp, ": targets must be i64 labels", arg("targets", targets));
    TD_CHECK(targets.device() == log_probs.device(), DeviceError, kOp, ": devices differ", arg("log_probs", log_probs),
             arg("targets", targets));
    const Tensor x = batched ? log_probs : unsqueeze(log_probs, 0);
    const std::int64_t rows = x.size(0), classes = x.size(2);
    TD_CHECK(targets.dim() == 1 || (targets.dim() == 2 && targets.size(0) == rows), ShapeError, kOp,
             ": targets must be [N, S] or all labels in one dimension", arg("log_probs", log_probs),
             arg("targets", targets));
    TD_CHECK(blank >= 0 && blank < classes, ValueError, kOp, ": the blank ", blank, " is outside [0, ", classes, ")",
             arg("log_probs", log_probs));
    const auto steps = lengths("input_lengths", input_lengths, rows, x.size(1));
    const auto labels = lengths("target_lengths", target_lengths, rows, targets.size(-1));
    const auto starts = starts_of(targets, labels);
    check_labels(targets, starts, labels, classes, blank);

    const auto there = [&](const std::vector<std::int64_t>& v) { return tensor(v, {rows}).to(x.device()); };
    Tensor each =
        losses_of(x, detail::packed(targets), there(starts), there(steps), there(labels), blank, zero_infinity);
    const Tensor none = scalar(0, x.options());
    if (zero_infinity) each = where(eq(each, scalar(std::numeric_limits<double>::infinity(), x.options())), none, each);
    if (reduction == Reduction::mean) each = each / cast(clamp(there(labels), 1), x.dtype());
    if (!batched && reduction == Reduction::none) return squeeze(each, 0);
    return detail::reduced_loss(each, reduction);
  });
}

}  // namespace tapedeck
