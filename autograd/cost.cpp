// count_ops: how much ops compute.
#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/recording.h>
#include <tapedeck/autograd/watchers.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

namespace tapedeck {
namespace {

using detail::Tensors;

struct Counts {
  std::mutex mutex;
  std::map<std::string, OpCost, std::less<>> ops;

  static Counts& get() {
    static Counts* counts = new Counts;  // never destroyed: threads may still work when statics are
    return *counts;
  }
};

double count(const Shape& s) { return static_cast<double>(s.numel()); }
double last(const Shape& s) { return s.rank() > 0 ? static_cast<double>(s[s.rank() - 1]) : 1; }

// One transform of n numbers, of each of the rows that there are.
double transform_flops(std::string_view op, const Shape& y, const Shape& x) {
  const bool complex = op == "fft", back = op == "irfft";
  const Shape& wide = back ? y : x;  // [..., n], or [..., n, 2]
  if (wide.rank() < (complex ? 2 : 1)) return 0;
  const double n = static_cast<double>(wide[wide.rank() - (complex ? 2 : 1)]);
  return n > 1 ? 2.5 * count(wide) * std::log2(n) : 0;
}

}  // namespace

double detail::flops_of(std::string_view op, Tensors outputs, Tensors inputs) {
  if (outputs.empty() || inputs.empty()) return 0;
  std::vector<Shape> in;
  for (const Tensor* x : inputs) in.push_back(x->defined() ? x->sizes() : Shape{0});
  const Shape &y = outputs[0]->sizes(), &a = in[0];
  if (op == "fft" || op == "rfft" || op == "irfft") return transform_flops(op, y, a);
  if (in.size() < 2) return 0;
  const Shape& b = in[1];
  if (op == "matmul" || op == "linear" || op == "linear_relu" || op == "bmm" || op == "dot")
    return 2 * count(y) * last(a);
  if ((op == "addmm" || op == "baddbmm") && in.size() > 2) return 2 * count(y) * last(b);
  if (op == "outer") return count(y);
  if (op == "rnn" || op == "gru" || op == "lstm")  // a product with weight_hh [gates, state] in each step
    return last(y) > 0 ? 2 * count(y) / last(y) * count(b) : 0;
  if (op == "scaled_dot_product_attention" && in.size() > 2)  // queries with keys, then weights with values
    return a.rank() > 1 && b.rank() > 1 ? 2 * (count(a) + count(y)) * static_cast<double>(b[b.rank() - 2]) : 0;
  if (op == "wavenet_layer" && in.size() > 6) {
    const auto rows = [](const Shape& s) { return last(s) > 0 ? count(s) / last(s) : 0; };
    return 2 * rows(y) * (count(in[2]) + count(in[4])) +
           (outputs.size() > 1 ? 2 * rows(outputs[1]->sizes()) * count(in[6]) : 0);
  }
  if (!op.starts_with("conv") || b.rank() < 1 || b[0] == 0) return 0;
  const bool adjoint = op.find("transpose") != std::string_view::npos;
  return 2 * count(adjoint ? a : y) * count(b) / static_cast<double>(b[0]);
}

void detail::count_op(const char* op, Tensors outputs, Tensors inputs) {
  if (*running_rule) return;
  std::int64_t elements = 0;
  for (const Tensor* y : outputs) {
    const auto shares = [&](const Tensor* x) { return x->defined() && x->shares_storage(*y); };
    if (y->defined() && std::none_of(inputs.begin(), inputs.end(), shares)) elements += y->numel();
  }
  Counts& counts = Counts::get();
  const std::lock_guard lock(counts.mutex);
  OpCost& row = counts.ops.try_emplace(op, OpCost{op}).first->second;
  ++row.calls;
  row.multiply_adds += flops_of(op, outputs, inputs) / 2;
  row.elements += elements;
}

void count_ops(bool on) {
  if (on) {
    Counts& counts = Counts::get();
    const std::lock_guard lock(counts.mutex);
    counts.ops.clear();
  }
  detail::watch(detail::kWatchCount, on);
}

std::vector<OpCost> op_costs() {
  Counts& counts = Counts::get();
  const std::lock_guard lock(counts.mutex);
  std::vector<OpCost> out;
  for (const auto& [name, row] : counts.ops) out.push_back(row);
  std::stable_sort(out.begin(), out.end(), [](const OpCost& a, const OpCost& b) {
    return std::pair(a.multiply_adds, a.elements) > std::pair(b.multiply_adds, b.elements);
  });
  return out;
}

}  // namespace tapedeck
