#include "cases/driver.h"

#include <tapedeck/autograd/gradcheck.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/isa.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "cases/guard.h"

namespace tapedeck::cases {

DType dtype_of_case(const OpCase& c) {
  for (const Input& in : c.inputs)
    if (is_real(in.dtype)) return in.dtype;
  return DType::f32;
}

namespace {

using kernels::SlotBase;

struct Prefer {
  explicit Prefer(const std::string& variant) { kernels::prefer(variant); }
  ~Prefer() { kernels::prefer(""); }
  Prefer(const Prefer&) = delete;
};

struct Threads {
  explicit Threads(int n) : before(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
  Threads(const Threads&) = delete;
  int before;
};

struct Instructions {
  explicit Instructions(kernels::Isa isa) : before(kernels::isa()) { kernels::use_isa(isa); }
  ~Instructions() { kernels::use_isa(before); }
  Instructions(const Instructions&) = delete;
  kernels::Isa before;
};

// ---- magnitudes -----------------------------------------------------------------------------------------------------
// Real inputs as separate leaves of the shape of y: what each element of y depends on stands beside it.
std::vector<Tensor> leaves(Args inputs, const Shape& shape, Tape& tape) {
  std::vector<Tensor> out;
  for (const Tensor& x : inputs) {
    out.push_back(contiguous(expand(x, shape)));
    if (is_real(x.dtype())) tape.watch(out.back());
  }
  return out;
}
std::vector<Tensor> reals(Args inputs) {
  std::vector<Tensor> out;
  for (const Tensor& x : inputs)
    if (is_real(x.dtype())) out.push_back(x);
  return out;
}
// Adds |x t| to m, leaving out what is not finite.
void add_finite(std::vector<double>& m, const Tensor& x, const Tensor& t) {
  const auto a = values_of(x), b = values_of(t);
  for (std::size_t i = 0; i < m.size(); ++i)
    if (const double term = std::fabs(a[i] * b[i]); std::isfinite(term)) m[i] += term;
}
std::vector<double> absolute_values(const Tensor& x) {
  auto v = values_of(x);
  for (double& e : v) e = std::fabs(e);
  return v;
}

Magnitudes slopes(const OpCase& c, Args inputs, const Outputs& outputs) {
  Tape tape;
  const auto xs = leaves(inputs, outputs[0].sizes(), tape);
  const Outputs y = call_case(c, xs);
  const auto points = reals(xs), gradients = tape.gradients(y[0], points);
  Magnitudes m{absolute_values(outputs[0])};
  for (std::size_t i = 0; i < points.size(); ++i) add_finite(m[0], points[i], gradients[i]);
  return m;
}

std::vector<Tensor> absolutes(Args inputs) {
  std::vector<Tensor> out;
  for (const Tensor& x : inputs) out.push_back(is_real(x.dtype()) ? abs(x) : x);
  return out;
}

Magnitudes forward_magnitude(const OpCase& c, Args inputs, const Outputs& outputs) {
  Magnitudes m;
  if (c.relative == Relative::slope) m = slopes(c, inputs, outputs);
  if (c.relative == Relative::absolute)
    for (const Tensor& y : call_case(c, absolutes(inputs))) m.push_back(values_of(y));
  if (c.magnitude) m = c.magnitude(inputs, outputs);
  return m;
}

// ---- references -----------------------------------------------------------------------------------------------------
std::vector<Expected> reference(const OpCase& c, Args inputs) {
  if (c.oracle && c.relative == Relative::value && !c.magnitude) return c.oracle(inputs);
  const Prefer ref("ref");
  const auto wide = in_f64(inputs);
  const Outputs outputs = call_case(c, wide);
  std::vector<Expected> expected;
  if (c.oracle) {
    expected = c.oracle(inputs);
  } else {
    for (const Tensor& y : outputs)
      expected.push_back(expected_from(y, y.dtype() == DType::f64 ? dtype_of_case(c) : y.dtype()));
  }
  Magnitudes m = forward_magnitude(c, wide, outputs);
  for (std::size_t i = 0; i < m.size(); ++i) expected[i].magnitude = std::move(m[i]);
  return expected;
}

void compare_all(Outcome& out, const std::string& who, const Outputs& y, const std::vector<Expected>& r, Bound bound) {
  if (y.size() != r.size()) return out.faults.push_back(who + ": " + std::to_string(y.size()) + " outputs");
  for (std::size_t i = 0; i < y.size(); ++i) {
    const Comparison result = compare(y[i], r[i], bound);
    out.worst = std::max(out.worst, result.worst);
    if (!result.ok())
      out.faults.push_back(who + (y.size() > 1 ? " output " + std::to_string(i) : "") + ": " + result.fault);
  }
  ++out.comparisons;
}

bool all_same_bits(const Outputs& a, const Outputs& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_bits);
}

// What `call` gave as y it gives on any number of threads and with any vector instructions.
template <class F>
void check_same_bits(Outcome& out, const std::string& what, const Outputs& y, F&& call) {
  for (const int n : {1, 3, 8}) {
    const Threads threads(n);
    if (!all_same_bits(call(), y)) out.faults.push_back(what + std::to_string(n) + " threads give other bits");
  }
  if (kernels::isa() == kernels::Isa::avx2) return;
  const Instructions avx2(kernels::Isa::avx2);
  if (!all_same_bits(call(), y)) out.faults.push_back(what + "AVX2 gives other bits than AVX-512");
}

// ---- which variants ran ---------------------------------------------------------------------------------------------
std::uint64_t calls_of(const SlotBase& s, int variant, DeviceType d = DeviceType::cpu) {
  std::uint64_t n = 0;
  for (int t = 0; t < kDTypes; ++t) n += s.calls(d, variant, static_cast<DType>(t));
  return n;
}
std::vector<std::uint64_t> all_calls(DeviceType d = DeviceType::cpu) {
  std::vector<std::uint64_t> out;
  for (const SlotBase* s : kernels::all())
    for (int v = 0; v < s->variant_count(d); ++v) out.push_back(calls_of(*s, v, d));
  return out;
}
// Names of variants that slots called since `before` have besides those that ran.
std::set<std::string> rivals(const std::vector<std::uint64_t>& before, DeviceType d = DeviceType::cpu) {
  std::set<std::string> out;
  std::size_t at = 0;
  for (const SlotBase* s : kernels::all()) {
    const int n = s->variant_count(d);
    bool touched = false;
    for (int v = 0; v < n; ++v) touched = touched || calls_of(*s, v, d) != before[at + static_cast<std::size_t>(v)];
    for (int v = 0; touched && v < n; ++v)
      if (calls_of(*s, v, d) == before[at + static_cast<std::size_t>(v)]) out.insert(s->variant_name(d, v));
    at += static_cast<std::size_t>(n);
  }
  return out;
}

// All bytes of the storages, the gaps between the elements too.
std::string bytes_of(Args inputs) {
  std::string out;
  for (const Tensor& x : inputs)
    out.append(static_cast<const char*>(x.impl()->storage->data()), x.impl()->storage->bytes());
  return out;
}

template <class F>
void caught(Outcome& out, const std::string& who, F&& f) {
  try {
    f();
  } catch (const std::exception& e) {
    out.faults.push_back(who + " threw: " + e.what());
  }
}

void check_row_alone(Outcome& out, const OpCase& c, Args inputs, const Outputs& y) {
  const std::int64_t row = y[0].size(0) / 2;
  std::vector<Tensor> alone(inputs.begin(), inputs.end());
  for (std::size_t i = 0; i < alone.size(); ++i)
    if (c.rows >> i & 1u) alone[i] = detail::narrow(alone[i], 0, row, 1);
  const Outputs one = call_case(c, alone);
  for (std::size_t i = 0; i < y.size(); ++i)
    if (!same_bits(one[i], detail::narrow(y[i], 0, row, 1)))
      out.faults.push_back("row " + std::to_string(row) + " alone has other bits than in the batch");
}

}  // namespace

Outcome run_forward(const OpCase& c) {
  Outcome out;
  take_violations();
  caught(out, "forward", [&] {
    const NoGrad pause;
    const std::vector<Tensor> inputs = make_inputs(c);
    const std::string before = bytes_of(inputs);
    const auto expected = reference(c, inputs);
    const auto calls = all_calls();
    const Outputs y = call_case(c, inputs);
    const auto others = rivals(calls);
    compare_all(out, "default", y, expected, c.bound);
    for (const std::string& variant : others) {
      const Prefer chosen(variant);
      compare_all(out, variant, call_case(c, inputs), expected, c.bound);
    }
    check_same_bits(out, "", y, [&] { return call_case(c, inputs); });
    if (c.rows != 0 && !y.empty() && y[0].dim() > 0 && y[0].size(0) > 1) check_row_alone(out, c, inputs, y);
    if (bytes_of(inputs) != before) out.faults.push_back("an input was written to");
  });
  if (const std::string text = take_violations(); !text.empty()) out.faults.push_back(text);
  return out;
}

std::string run_forced(const OpCase& c, SlotBase& slot, const std::string& variant) {
  const NoGrad pause;
  Outcome out;
  const std::vector<Tensor> inputs = make_inputs(c);
  const auto expected = reference(c, inputs);
  const kernels::Use forced(slot, variant);
  compare_all(out, variant, call_case(c, inputs), expected, c.bound);
  return out.faults.empty() ? "" : out.faults[0];
}

// ---- gradients ------------------------------------------------------------------------------------------------------
namespace {

Tensor joined(const Outputs& y) {
  if (y.size() == 1) return y[0];
  std::vector<Tensor> flat;
  for (const Tensor& part : y) flat.push_back(reshape(part, {part.numel()}));
  return cat(flat);
}

// The same case with its real inputs replaced, in order; the others stay.
std::vector<Tensor> with_reals(Args inputs, Args points) {
  std::vector<Tensor> all(inputs.begin(), inputs.end());
  std::size_t next = 0;
  for (Tensor& x : all)
    if (is_real(x.dtype())) x = points[next++];
  return all;
}

struct Gradients {
  Outputs y;
  std::vector<Tensor> of;  // of the real inputs, in order; undefined where none was asked for or none arrived
};
Gradients gradients(const OpCase& c, Args inputs, const Tensor& gy, unsigned wanted = ~0u) {
  const auto points = reals(inputs);
  Tape tape;
  for (std::size_t i = 0; i < points.size(); ++i)
    if (wanted >> i & 1u) tape.watch(points[i]);
  Gradients g{call_case(c, inputs), {}};
  Tensor y = joined(g.y);
  for (const Tensor& x : points)  // an op that had nothing to do gave its input back: a leaf is no recorded output
    if (y.impl() == x.impl()) y = reshape(y, y.sizes());
  if (is_recorded(y)) tape.backward(y, gy);
  for (std::size_t i = 0; i < points.size(); ++i) g.of.push_back(wanted >> i & 1u ? tape.grad(points[i]) : Tensor());
  return g;
}

// |g| + the sum over inputs of |x dg/dx|, by gradients of gradients on inputs spread to the outputs' shape.
Magnitudes second_slopes(const OpCase& c, Args inputs, const Outputs& outputs, const Tensor& gy) {
  Magnitudes m;
  Tape tape;
  const auto xs = leaves(inputs, outputs[0].sizes(), tape);
  const auto points = reals(xs), originals = reals(inputs);
  const Outputs y = call_case(c, xs);
  const auto first = tape.gradients(y[0] * gy, points, {.create_graph = true});
  for (std::size_t i = 0; i < points.size(); ++i) {
    std::vector<double> here = absolute_values(first[i]);
    if (is_recorded(first[i])) {
      const auto second = tape.gradients(first[i], points);
      for (std::size_t j = 0; j < points.size(); ++j) add_finite(here, points[j], second[j]);
    }
    m.push_back(values_of(sum_to(tensor(here, first[i].sizes()), originals[i].sizes())));
  }
  return m;
}

Magnitudes gradient_magnitude(const OpCase& c, Args inputs, const Gradients& reference, const Tensor& gy) {
  Magnitudes m;
  if (c.gradient_relative == Relative::slope) m = second_slopes(c, inputs, reference.y, gy);
  if (c.gradient_relative == Relative::absolute)
    for (const Tensor& g : gradients(c, absolutes(inputs), abs(gy)).of)
      m.push_back(g.defined() ? values_of(g) : std::vector<double>{});
  if (c.gradient_magnitude) {
    const Magnitudes more = c.gradient_magnitude(inputs, reference.y, gy);
    m.resize(more.size());
    for (std::size_t i = 0; i < m.size(); ++i) {
      m[i].resize(more[i].size());
      for (std::size_t k = 0; k < m[i].size(); ++k) m[i][k] += more[i][k];
    }
  }
  return m;
}

void check_differences(Outcome& out, const OpCase& c) {
  std::vector<Tensor> inputs;
  for (Input in : c.inputs) {
    if (is_real(in.dtype)) in.values = Values::grid, in.low = c.low, in.high = c.high;
    if (is_real(in.dtype) && in.layout == Layout::expanded) in.layout = Layout::contiguous;  // moved one by one
    inputs.push_back(make_input(in, seed_of(c), static_cast<int>(inputs.size())));
  }
  const auto fn = [&](Args x) {
    const Tensor y = joined(call_case(c, with_reals(inputs, x)));
    return reshape(y, y.sizes());  // the op may have given its input back, which is no recorded output
  };
  const auto report = gradcheck(fn, reals(inputs), {.full_limit = 1024});
  ++out.comparisons;
  if (!report.ok) out.faults.push_back("gradcheck: " + report.where);
}

Tensor incoming(const OpCase& c, const Tensor& y) {
  return make_input({y.sizes(), y.dtype(), Layout::contiguous, Values::normal}, seed_of(c) + 1, 9);
}

// Zeros where no gradient arrived.
Outputs without_gaps(Gradients g, Args points) {
  for (std::size_t i = 0; i < g.of.size(); ++i)
    if (!g.of[i].defined()) g.of[i] = zeros_like(points[i]);
  return g.of;
}

// By f64 `ref`, with what the bounds are relative to.
std::vector<Expected> expected_gradients(const OpCase& c, Args inputs, const Tensor& gy) {
  const Prefer ref("ref");
  const auto wide = in_f64(inputs), points = reals(inputs);
  const Tensor wide_gy = cast(gy, DType::f64);
  const Gradients r = gradients(c, wide, wide_gy);
  const Magnitudes m = gradient_magnitude(c, wide, r, wide_gy);
  std::vector<Expected> expected;
  for (std::size_t i = 0; i < r.of.size(); ++i) {
    expected.push_back(expected_from(r.of[i].defined() ? r.of[i] : zeros_like(points[i]), points[i].dtype()));
    if (i < m.size()) expected[i].magnitude = m[i];
  }
  return expected;
}

void check_fast_gradients(Outcome& out, const OpCase& c) {
  const std::vector<Tensor> inputs = make_inputs(c);
  const auto points = reals(inputs);
  const Tensor gy = incoming_gradient(c, inputs);
  const auto expected = expected_gradients(c, inputs, gy);
  const auto whole = [&](Gradients g) { return without_gaps(std::move(g), points); };
  const auto calls = all_calls();
  const Outputs g = whole(gradients(c, inputs, gy));
  const auto others = rivals(calls);
  compare_all(out, "gradient", g, expected, c.gradient_bound);
  for (const std::string& variant : others) {
    const Prefer chosen(variant);
    compare_all(out, "gradient by " + variant, whole(gradients(c, inputs, gy)), expected, c.gradient_bound);
  }
  check_same_bits(out, "gradient: ", g, [&] { return whole(gradients(c, inputs, gy)); });
  for (std::size_t i = 0; points.size() > 1 && i < points.size(); ++i)
    if (!same_bits(whole(gradients(c, inputs, gy, 1u << i))[i], g[i]))
      out.faults.push_back("gradient of input " + std::to_string(i) + " alone has other bits");
  for (const Layout layout : {Layout::transposed, Layout::sliced})
    if (has_layout(gy.sizes(), layout) && !all_same_bits(whole(gradients(c, inputs, laid_out(gy, layout))), g))
      out.faults.push_back(std::string("gradient: a ") + name(layout) + " incoming gradient gives other bits");
  // Into a parameter that holds a gradient already: exactly twice as much, as adding it to itself is exact.
  for (const Tensor& x : points) x.set_requires_grad(true);
  for (int pass = 0; pass < 2; ++pass) gradients(c, inputs, gy, 0);
  for (std::size_t i = 0; i < points.size(); ++i) {
    points[i].set_requires_grad(false);
    const Tensor twice = points[i].grad().defined() ? points[i].grad() : zeros_like(points[i]);
    Expected doubled = expected_from(g[i] * 2, DType::f32);
    for (const double m : c.gradient_in_parts ? expected[i].magnitude : std::vector<double>{})
      doubled.magnitude.push_back(2 * m);
    if (const auto r = compare(twice, doubled, c.gradient_in_parts ? c.gradient_bound : kExact); !r.ok())
      out.faults.push_back("gradient of input " + std::to_string(i) + " added to itself: " + r.fault);
  }
}

}  // namespace

Tensor incoming_gradient(const OpCase& c, Args inputs) {
  const NoGrad pause;
  return incoming(c, joined(call_case(c, inputs)));
}

void run_once(const OpCase& c, Args inputs, const Tensor& gy, CallsSlot where) {
  if (where == CallsSlot::backward) {
    gradients(c, inputs, gy);
  } else {
    const NoGrad pause;
    call_case(c, inputs);
  }
}

CallsSlot where_called(const OpCase& c, SlotBase& slot) {
  const auto calls = [&slot] {
    std::uint64_t n = 0;
    for (int v = 0; v < slot.variant_count(DeviceType::cpu); ++v) n += calls_of(slot, v);
    return n;
  };
  const std::vector<Tensor> inputs = make_inputs(c);
  const std::uint64_t before = calls();
  const Tensor gy = incoming_gradient(c, inputs);
  if (calls() != before) return CallsSlot::forward;
  if (!has_gradient_case(c)) return CallsSlot::no;
  gradients(c, inputs, gy);
  return calls() != before ? CallsSlot::backward : CallsSlot::no;
}

std::vector<Outcome> run_variants(const OpCase& c, SlotBase& slot, const std::vector<std::string>& variants,
                                  CallsSlot where) {
  std::vector<Outcome> outcomes;
  const std::vector<Tensor> inputs = make_inputs(c);
  const std::string before = bytes_of(inputs);
  const bool backward = where == CallsSlot::backward;
  const Tensor gy = backward ? incoming_gradient(c, inputs) : Tensor();
  const auto expected = [&] {
    if (backward) return expected_gradients(c, inputs, gy);
    const NoGrad pause;
    return reference(c, inputs);
  }();
  for (const std::string& variant : variants) {
    Outcome& out = outcomes.emplace_back();
    take_violations();
    try {
      const kernels::Use forced(slot, variant);
      if (backward) {
        const Outputs g = without_gaps(gradients(c, inputs, gy), reals(inputs));
        compare_all(out, "gradient", g, expected, c.gradient_bound);
      } else {
        const NoGrad pause;
        compare_all(out, "forward", call_case(c, inputs), expected, c.bound);
      }
    } catch (const DeviceError& e) {
      out.faults.push_back(std::string("refuses: ") + e.what());
    } catch (const std::exception& e) {
      out.faults.push_back(std::string("threw: ") + e.what());
    }
    if (bytes_of(inputs) != before) out.faults.push_back("an input was written to");
    if (const std::string text = take_violations(); !text.empty()) out.faults.push_back(text);
  }
  return outcomes;
}

std::string run_forced_gradient(const OpCase& c, SlotBase& slot, const std::string& variant) {
  const kernels::Use forced(slot, variant);
  Outcome out;
  check_differences(out, c);
  return out.faults.empty() ? "" : out.faults[0];
}

bool has_gradient_case(const OpCase& c) {
  const DType t = dtype_of_case(c);
  return c.differentiable && (t == DType::f32 || t == DType::f64);
}

Outcome run_gradient(const OpCase& c) {
  Outcome out;
  take_violations();
  caught(out, "gradient", [&] {
    const Threads two(2);
    dtype_of_case(c) == DType::f64 ? check_differences(out, c) : check_fast_gradients(out, c);
  });
  if (const std::string text = take_violations(); !text.empty()) out.faults.push_back(text);
  return out;
}

// ---- another device -----------------------------------------------------------------------------------------------
namespace {

// The same view of a copy of the whole storage: any layout moves.
Tensor moved(const Tensor& x, Device to) {
  if (!x.defined() || x.device() == to) return x;
  const Storage& from = *x.impl()->storage;
  Storage* copy = Storage::create(from.bytes(), to);
  runtime(DeviceType::cuda).copy(copy->data(), to, from.data(), x.device(), from.bytes());
  return detail::make_tensor(copy, x.impl()->offset, x.sizes(), x.strides(), x.dtype());
}
std::vector<Tensor> moved(Args xs, Device to) {
  std::vector<Tensor> out;
  for (const Tensor& x : xs) out.push_back(moved(x, to));
  return out;
}

// `call` gives the outputs, on any device; by the usual variants, twice, and by each other one.
template <class F>
void judge_on(Outcome& out, Device device, const std::vector<Expected>& expected, Bound bound, bool creates, F&& run) {
  // In f64 the reference rounds as often as the device does.
  if (!expected.empty() && expected[0].dtype == DType::f64) bound.c *= 16, bound.ulps *= 4;
  const auto call = [&] {
    struct At {
      explicit At(Device d) { here() = d; }
      ~At() { here() = kCpu; }
    } at(device);
    return run();
  };
  const auto before = all_calls(device.type);
  const Outputs there = call(), y = moved(there, kCpu);
  const auto others = rivals(before, device.type);
  compare_all(out, "default", y, expected, bound);
  for (const Tensor& t : there)
    if (t.device() != device && t.numel() > 0 && !creates)
      out.faults.push_back("a result is on " + to_string(t.device()));
  if (!all_same_bits(moved(call(), kCpu), y)) out.faults.push_back("a second call gives other bits");
  for (const std::string& variant : others) {
    const Prefer chosen(variant);
    Bound its = bound;
    if (variant == "cufft") its.c *= 4;  // it works in the rows' own type, where ours take double for short rows of f32
    compare_all(out, variant, moved(call(), kCpu), expected, its);
  }
}

}  // namespace

Outcome run_forward_on(const OpCase& c, Device device) {
  Outcome out;
  take_violations();
  caught(out, "forward", [&] {
    const NoGrad pause;
    const std::vector<Tensor> inputs = make_inputs(c), there = moved(inputs, device);
    judge_on(out, device, reference(c, inputs), c.bound, inputs.empty(), [&] { return call_case(c, there); });
    if (bytes_of(moved(there, kCpu)) != bytes_of(inputs)) out.faults.push_back("an input was written to");
  });
  if (const std::string text = take_violations(); !text.empty()) out.faults.push_back(text);
  return out;
}

Outcome run_gradient_on(const OpCase& c, Device device) {
  Outcome out;
  take_violations();
  caught(out, "gradient", [&] {
    const std::vector<Tensor> inputs = make_inputs(c), there = moved(inputs, device);
    const Tensor gy = incoming_gradient(c, inputs), gy_there = moved(gy, device);
    judge_on(out, device, expected_gradients(c, inputs, gy), c.gradient_bound, false,
             [&] { return without_gaps(gradients(c, there, gy_there), reals(there)); });
  });
  if (const std::string text = take_violations(); !text.empty()) out.faults.push_back(text);
  return out;
}

}  // namespace tapedeck::cases
