// check_finite: who made the first NaN or infinity.
#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/autograd/recording.h>
#include <tapedeck/autograd/watchers.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/random.h>

#include <cmath>
#include <optional>

namespace tapedeck {
namespace {

using detail::Tensors;

struct Found {
  std::int64_t element;  // in row-major order
  double value;
};

template <class T>
std::optional<Found> find(const Tensor& x) {
  const T* p = x.data<T>();
  std::int64_t index[kMaxRank] = {};
  for (std::int64_t n = 0; n < x.numel(); ++n) {
    double value = 0;
    if constexpr (requires { p->to_float(); })
      value = p->to_float();
    else
      value = static_cast<double>(*p);
    if (!std::isfinite(value)) return Found{n, value};
    for (int d = x.dim() - 1; d >= 0; --d) {
      p += x.strides()[d];
      if (++index[d] < x.sizes()[d]) break;
      p -= x.sizes()[d] * x.strides()[d];
      index[d] = 0;
    }
  }
  return {};
}

// By a reduction where x is; only what has something to show moves to the host.
bool all_finite_there(const Tensor& x) {
  if (x.numel() == 0) return true;
  const TensorOptions flags{DType::boolean, x.device()};
  Shape one = x.sizes();
  for (int d = 0; d < one.rank(); ++d) one[d] = 1;
  const Tensor finite = empty(x.sizes(), flags), least = empty(one, flags);
  kernels::isfinite(x.device(), {x, finite});
  kernels::amin(x.device(), {finite, least, (1u << x.dim()) - 1u});
  return *least.to(kCpu).data<bool>();
}
Tensor on_host(const Tensor& x) {
  if (x.device() == kCpu) return x;
  const Tensor dense = empty(x.sizes(), x.options());  // only contiguous tensors move between devices
  kernels::copy(x.device(), {x, dense});
  return dense.to(kCpu);
}

std::optional<Found> not_finite(const Tensor& x) {
  if (!x.defined() || !is_real(x.dtype())) return {};
  if (x.device() != kCpu && all_finite_there(x)) return {};
  const Tensor host = on_host(x);
  switch (x.dtype()) {
    case DType::f32:
      return find<float>(host);
    case DType::f64:
      return find<double>(host);
    case DType::bf16:
      return find<BFloat16>(host);
    case DType::f16:
      return find<Float16>(host);
    default:
      return {};
  }
}

std::string module_part(std::uint64_t hash) {
  const std::string path = detail::module_name(hash);
  return path.empty() ? "" : "; module " + path;
}

}  // namespace

void check_finite(bool on) { detail::watch(detail::kWatchFinite, on); }

// What rules call, and what a checkpoint runs again, is not judged: a rule may mask what it computes on the way.
void detail::finite_op(const char* op, Tensors outputs, Tensors inputs) {
  if (*running_rule) return;
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    const auto found = not_finite(*outputs[j]);
    if (!found) continue;
    for (const Tensor* x : inputs)
      if (not_finite(*x)) return;
    std::string shapes;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i]->defined()) shapes += arg(("input " + std::to_string(i)).c_str(), *inputs[i]);
    TD_FAIL(ValueError, op, ": makes ", found->value, " from finite inputs: element ", found->element, " of output ", j,
            arg("output", *outputs[j]), shapes, module_part(module_path));
  }
}

void detail::finite_rule(const Node& node, const Tensor& gy, const Grads& grads, FunctionRef<void()> run) {
  bool finite = !not_finite(gy);
  for (int j = 1; j < node.outputs; ++j) finite = finite && !not_finite(grads.out(j));
  for (int i = 0; i < node.inputs; ++i) finite = finite && !not_finite(grads.so_far(i));
  run();
  for (int i = 0; finite && i < node.inputs; ++i) {
    const Tensor g = grads.so_far(i);
    if (const auto found = not_finite(g))
      TD_FAIL(ValueError, node.name, " backward: makes ", found->value, " from finite gradients: element ",
              found->element, " of the gradient of input ", i, arg("gradient", g), arg("incoming", gy),
              module_part(node.module));
  }
}

}  // namespace tapedeck
