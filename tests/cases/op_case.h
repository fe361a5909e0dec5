// One object per case: what to call, with which inputs, and how near the result must be. Tests, gradient checks,
// benchmarks and the support matrix walk the same table.
#pragma once
#include <functional>
#include <span>

#include "cases/compare.h"
#include "cases/sweep.h"

namespace tapedeck::cases {

using Args = std::span<const Tensor>;
using Outputs = std::vector<Tensor>;
using Magnitudes = std::vector<std::vector<double>>;  // one list per output (or input), row-major

// What a bound is relative to, besides a function of the case's own.
enum class Relative {
  value,     // |r|
  slope,     // |r| + the sum over inputs of |x f'(x)|: elementwise ops
  absolute,  // the same call on |inputs|: the sum of the absolute terms of a contraction
};

struct OpCase {
  std::string op;    // a function of ops.h; an overload has a word behind it; a slot without an op is "kernel NAME"
  std::string text;  // parameters in words
  std::vector<Input> inputs;
  std::function<Outputs(Args)> call;

  Bound bound{};  // exact unless the family says otherwise
  Relative relative = Relative::value;
  // In f64: of the inputs and of the outputs of the reference.
  std::function<Magnitudes(Args, const Outputs&)> magnitude{};
  // Expected values by other means than the `ref` kernels; without it those compute them in f64.
  std::function<std::vector<Expected>(Args)> oracle{};
  unsigned rows = 0;  // inputs (bits) whose dimension 0 is the outputs' and whose rows do not mix; 0: no such promise

  // Gradients of the real inputs. The f64 case checks them by differences on kink-free inputs in [low, high), the f32
  // case compares the fast ones with those of f64 `ref`.
  bool differentiable = false;
  double low = -1, high = 1;
  Bound gradient_bound{};
  bool gradient_in_parts = false;  // the op is made of several: added to a gradient that is there it rounds otherwise
  Relative gradient_relative = Relative::value;
  std::function<Magnitudes(Args, const Outputs&, const Tensor& gy)> gradient_magnitude{};

  bool prepares = false;  // `call` does more than the op: errors of broken arguments may name others
  double flops = 0;       // multiplications and additions of a contraction, else 0
  double bytes() const;   // of the inputs
};

// The table, in a fixed order.
const std::vector<OpCase>& table();

// One function per file; each appends its family.
void add_elementwise(std::vector<OpCase>& t);
void add_reduce(std::vector<OpCase>& t);
void add_moments(std::vector<OpCase>& t);
void add_scan(std::vector<OpCase>& t);
void add_sort(std::vector<OpCase>& t);
void add_softmax(std::vector<OpCase>& t);
void add_loss(std::vector<OpCase>& t);
void add_sequence_loss(std::vector<OpCase>& t);
void add_matmul(std::vector<OpCase>& t);
void add_linalg(std::vector<OpCase>& t);
void add_norm(std::vector<OpCase>& t);
void add_conv(std::vector<OpCase>& t);
void add_pool(std::vector<OpCase>& t);
void add_interpolate(std::vector<OpCase>& t);
void add_index(std::vector<OpCase>& t);
void add_shape(std::vector<OpCase>& t);
void add_copies(std::vector<OpCase>& t);
void add_gather(std::vector<OpCase>& t);
void add_create(std::vector<OpCase>& t);
void add_random(std::vector<OpCase>& t);
void add_more_random(std::vector<OpCase>& t);
void add_init(std::vector<OpCase>& t);
void add_fused(std::vector<OpCase>& t);
void add_optim(std::vector<OpCase>& t);
void add_sequence(std::vector<OpCase>& t);
void add_signal(std::vector<OpCase>& t);
void add_bounds(std::vector<OpCase>& t);
void add_composed(std::vector<OpCase>& t);
void add_halves(std::vector<OpCase>& t);
void add_scatter_reduce(std::vector<OpCase>& t);

// Where a case makes tensors: the device that it runs on.
Device& here();
struct Here {  // options of that device at the time of the call
  DType dtype;
  operator TensorOptions() const { return {dtype, here()}; }
};

std::string describe(const OpCase& c);   // parameters and inputs
std::uint64_t seed_of(const OpCase& c);  // of op and description: a case keeps its values when others come
std::vector<Tensor> make_inputs(const OpCase& c);
Outputs call_case(const OpCase& c, Args inputs);  // with the case's random numbers

// In f64, by the `ref` kernels.
std::vector<Tensor> in_f64(Args inputs);
inline std::vector<double> values_of(const Tensor& x) { return x.to_vector<double>(); }

}  // namespace tapedeck::cases
