#include "nn/conformance/conformance.h"

#include <tapedeck/autograd/gradcheck.h>
#include <tapedeck/nn/inspector.h>
#include <tapedeck/tensor/parallel.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <set>
#include <sstream>

#include "nn/conformance/shape_text.h"

namespace tapedeck::nn::conformance {
namespace {

using Tensors = std::vector<Tensor>;

template <class... A>
void expect(bool holds, const A&... sentence) {
  TD_CHECK(holds, ValueError, sentence...);
}

// ---- what the checks work on --------------------------------------------------------------------------------------

std::shared_ptr<Module> example_of(const ModuleType& type, const MaterialiseOptions& options = {.seed = 1}) {
  const auto module = build(type.example.hparams(), type.name);
  materialise(*module, options);
  return module;
}
ShapeText shapes_of(const ModuleType& type) {
  return {type.example.shapes, build(type.example.hparams(), type.name)->hparams(io::Save::extended)};
}
// The example's inputs and more of their kind behind each other: `times` as many rows along the batch.
Tensors batch_of(const ModuleType& type, int times, DType dtype = DType::f32, Device device = kCpu) {
  const ShapeText shapes = shapes_of(type);
  std::vector<Tensors> parts;
  for (int i = 0; i < times; ++i) parts.push_back(example_inputs(type, static_cast<std::uint64_t>(i), dtype, device));
  Tensors out;
  for (std::size_t i = 0; i < parts[0].size(); ++i) {
    const int dim = ShapeText::batch_of(shapes.inputs().at(i), parts[0][i].dim());
    Tensors rows;
    for (const Tensors& part : parts) rows.push_back(part[i]);
    out.push_back(dim < 0 ? rows[0] : cat(rows, dim));
  }
  return out;
}

// As in one training step: the same draws in every call.
Tensors call_in_scope(Module& module, const Tensors& inputs) {
  const RandomScope scope(7, 0);
  return call(module, inputs);
}

Tensor spread(const Shape& shape, std::uint64_t key, const TensorOptions& options) {
  std::vector<double> v(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<double>(mix64(key, i) >> 11) * 0x1p-52 - 1;
  return cast(tensor(v, shape), options.dtype).to(options.device);
}
// A number that depends on every output.
Tensor objective(const Tensors& outputs) {
  Tensor total;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].defined() || !is_real(outputs[i].dtype())) continue;
    const Tensor part = sum(outputs[i] * spread(outputs[i].sizes(), 100 + i, outputs[i].options()));
    total = total.defined() ? total + part : part;
  }
  return total;
}
Tensor distance(const Tensors& outputs) {  // from a fixed target
  Tensor total;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].defined() || !is_real(outputs[i].dtype())) continue;
    const Tensor part = mean(square(outputs[i] - spread(outputs[i].sizes(), 200 + i, outputs[i].options())));
    total = total.defined() ? total + part : part;
  }
  return total;
}
double step(Module& module, const Tensors& inputs, double rate) {
  module.zero_grad();
  const RandomScope scope(7, 0);
  Tape tape;
  const Tensor loss = distance(call(module, inputs));
  tape.backward(loss);
  const NoGrad pause;
  for (const Arena& arena : module.arenas()) add_(arena.values, arena.gradients * -rate);
  return loss.item();
}
// Outputs, and the gradients of parameters and real inputs.
Tensors outputs_and_gradients(Module& module, const Tensors& inputs) {
  module.zero_grad();
  const RandomScope scope(7, 0);
  Tape tape;
  for (const Tensor& x : inputs)
    if (is_real(x.dtype())) tape.watch(x);
  Tensors all = call(module, inputs);
  const Tensor y = objective(all);
  if (!y.defined() || !is_recorded(y)) return all;
  tape.backward(y);
  for (const Tensor& x : inputs)
    if (is_real(x.dtype())) all.push_back(tape.grad(x));
  for (const Arena& arena : module.arenas()) all.push_back(clone(arena.gradients));
  return all;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  if (a.sizes() != b.sizes() || a.dtype() != b.dtype()) return false;
  const Tensor x = contiguous(a), y = contiguous(b);
  return std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.numel()) * size_of(x.dtype())) == 0;
}
void expect_same(const Tensors& a, const Tensors& b, const std::string& what) {
  expect(a.size() == b.size(), what, ": ", a.size(), " tensors and ", b.size());
  for (std::size_t i = 0; i < a.size(); ++i) expect(same_bits(a[i], b[i]), what, ": tensor ", i, " is another");
}
void expect_same_state(const Module& a, const Module& b, const std::string& what) {
  const StateDict x = a.state_dict(), y = b.state_dict();
  expect(x.size() == y.size(), what, ": ", x.size(), " tensors in the state and ", y.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    expect(x[i].path == y[i].path, what, ": ", x[i].path, " and ", y[i].path);
    expect(same_bits(x[i].tensor, y[i].tensor), what, ": ", x[i].path, " is another");
  }
}
void expect_finite(const Tensor& x, const std::string& what) {
  if (!x.defined() || !is_real(x.dtype())) return;
  for (const double v : cast(x, DType::f64).to_vector<double>()) expect(std::isfinite(v), what, " holds ", v);
}

bool always(const ModuleType&) { return true; }
bool has_parameters(const ModuleType& type) {
  return !type.example.hparams || build(type.example.hparams())->parameter_count() > 0;
}
bool has_config(const ModuleType& type) { return type.config && type.example.hparams; }
bool has_device(const ModuleType&) {
  try {
    static_cast<void>(parse_device("cuda"));
    return true;
  } catch (const DeviceError&) {
    return false;
  }
}

// ---- the properties -----------------------------------------------------------------------------------------------

void expect_help(const io::table::Type& type, const std::string& path, std::set<const io::table::Type*>& seen) {
  if (!seen.insert(&type).second) return;
  for (const io::table::Field& field : type.fields) {
    expect(*field.meta.help != 0, "the member ", path, field.name, " has no help");
    expect_help(field.type(), path + field.name + ".", seen);
  }
  if (type.elements.type) expect_help(type.elements.type(), path, seen);
}
void check_described(const ModuleType& type) {
  const std::string what = type.doc.what;
  expect(!what.empty(), "it has no doc: what it is, in one sentence");
  expect(what.back() == '.' && what.find('\n') == std::string::npos, "its doc is no sentence: ", what);
  expect(type.example.hparams && !type.example.shapes.empty() && !type.example.inputs.empty(), "it has no example");
  const ShapeText text = shapes_of(type);
  expect(text.inputs().size() == type.example.inputs.size(), "the shapes name ", text.inputs().size(), " inputs, not ",
         type.example.inputs.size());
  expect(type.config || type.kind == "container", "it has no config, and is no container");
  std::set<const io::table::Type*> seen;
  if (type.config) expect_help(*type.config, "", seen);
}

void check_built(const ModuleType& type) {
  for (const bool example : {false, true}) {
    const auto module = build(example ? type.example.hparams() : type.defaults(), type.name);
    const std::string called = module->type_name();
    expect(called == type.name.substr(0, type.name.find(':')), "it calls itself ", called);
    const std::int64_t declared = module->parameter_count();
    for (const DType dtype : {DType::f32, DType::f64}) {
      materialise(*module, {.dtype = dtype});
      std::int64_t made = 0;
      for (const auto& [path, parameter] : module->named_parameters()) {
        expect(parameter.dtype() == dtype, path, " has another dtype");
        made += parameter.numel();
      }
      expect(made == declared, "it declares ", declared, " parameters and has ", made);
      for (const auto& [path, tensor] : module->state_dict()) expect_finite(tensor, path);
    }
  }
}

void check_shapes(const ModuleType& type) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto module = example_of(type, {.seed = 1, .dtype = dtype});
    const Tensors inputs = example_inputs(type, 0, dtype), outputs = call_in_scope(*module, inputs);
    std::vector<Shape> in, out;
    for (const Tensor& x : inputs) in.push_back(x.sizes());
    for (const Tensor& y : outputs) {
      expect(y.defined(), "an output is undefined");
      expect(!is_real(y.dtype()) || y.dtype() == dtype, "an output has another dtype than the module");
      expect_finite(y, "an output");
      out.push_back(y.sizes());
    }
    const std::string wrong = shapes_of(type).compare(in, out);
    expect(wrong.empty(), type.example.shapes, ": ", wrong);
  }
}

void check_hooks(const ModuleType& type) {
  const auto module = example_of(type);
  const Tensors inputs = example_inputs(type);
  Tensors seen;
  int calls = 0;
  const HookHandle handle(*module, "", [&](const Call& c) {
    ++calls;
    expect(c.inputs.size() == inputs.size(), "a hook sees ", c.inputs.size(), " of ", inputs.size(), " inputs");
    for (const Tensor* y : c.outputs) seen.push_back(*y);
  });
  const Tensors outputs = call_in_scope(*module, inputs);
  expect(calls == 1, "a hook ran ", calls, " times");
  expect_same(outputs, seen, "what a hook sees");
}

// The whole Jacobian, or `directions` random ones.
void compare_gradients(const ModuleType& type, std::int64_t full_limit, int directions) {
  for (const bool training : {true, false}) {
    const auto module = example_of(type, {.seed = 1, .dtype = DType::f64});
    module->train(training);
    const Tensors inputs = example_inputs(type, 0, DType::f64);
    Tensors wanted;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const bool constant = type.example.inputs[i].low == type.example.inputs[i].high;  // a target of 1, say
      if (is_real(inputs[i].dtype()) && !constant) wanted.push_back(inputs[i]);
    }
    for (const auto& [path, parameter] : module->named_parameters()) {
      parameter.set_requires_grad(false);  // a leaf of its own here
      wanted.push_back(parameter);
    }
    expect(!wanted.empty(), "there is nothing to differentiate");
    const auto fn = [&](std::span<const Tensor>) { return objective(call_in_scope(*module, inputs)); };
    const GradcheckReport report =
        gradcheck(fn, wanted, {.bound = 1e-8, .step = 2e-6, .full_limit = full_limit, .directions = directions});
    expect(report.ok, training ? "training" : "eval", ": differences of ", report.worst, " at ", report.where);
  }
}

void check_gradients(const ModuleType& type) { compare_gradients(type, 4096, 8); }

void check_learning(const ModuleType& type) {
  const auto module = example_of(type);
  const Tensors inputs = batch_of(type, 2);
  const double first = step(*module, inputs, 0.05);
  for (int i = 0; i < 8; ++i) step(*module, inputs, 0.05);
  const double last = step(*module, inputs, 0);
  expect(last < first, "the loss went from ", first, " to ", last);
}

void check_hparams(const ModuleType& type) {
  const auto module = example_of(type, {.seed = 5});
  const std::string text = io::dump_json(module->hparams());
  for (const io::Save how : {io::Save::full, io::Save::minimal, io::Save::extended}) {
    const auto again = build(io::parse_json(io::dump_json(module->hparams(how)), "hparams"));
    expect(io::dump_json(again->hparams()) == text, "other hyper-parameters: ", io::dump_json(again->hparams(), -1));
    materialise(*again, {.seed = 5});
    expect_same_state(*module, *again, "built again");
  }
}

void check_state(const ModuleType& type) {
  const auto module = example_of(type);
  const Tensors inputs = batch_of(type, 2);
  if (module->parameter_count() > 0) step(*module, inputs, 0.01);
  const auto fresh = example_of(type, {.seed = 2});
  StateDict state;
  for (const auto& [path, tensor] : module->state_dict()) state.push_back({path, clone(tensor)});
  fresh->load_state(state);
  expect_same_state(*module, *fresh, "loaded");
  module->eval(), fresh->eval();
  expect_same(call(*module, inputs), call(*fresh, inputs), "outputs of a loaded state");
}

void check_clone(const ModuleType& type) {
  const auto module = example_of(type);
  const Tensors inputs = batch_of(type, 2);
  if (module->parameter_count() > 0) step(*module, inputs, 0.01);
  module->eval();
  const Part<Module> copy = Part<Module>(module).clone();
  expect(copy->hparams() == module->hparams(), "the clone has other hyper-parameters");
  expect_same_state(*module, *copy, "cloned");
  expect(!copy->training(), "the clone is in another mode");
  const Tensors before = call(*module, inputs);
  expect_same(before, call(*copy, inputs), "outputs of a clone");
  if (module->parameter_count() == 0) return;
  step(*copy, inputs, 0.1);
  expect_same(before, call(*module, inputs), "training the clone");
}

void check_repeats(const ModuleType& type) {
  const auto module = example_of(type);
  const Tensors inputs = batch_of(type, 2);
  module->eval();
  expect_same(call(*module, inputs), call(*module, inputs), "a second call in eval mode");
  module->train();
  expect_same(call_in_scope(*module, inputs), call_in_scope(*module, inputs), "the same step once more");
}

void check_modes(const ModuleType& type) {
  const auto module = example_of(type);
  const Tensors inputs = batch_of(type, 2), training = call_in_scope(*module, inputs);
  module->eval();
  expect_same(training, call_in_scope(*module, inputs), "eval mode");
}

void check_rows(const ModuleType& type) {
  const auto module = example_of(type);
  module->eval();
  const ShapeText shapes = shapes_of(type);
  const Tensors inputs = batch_of(type, 3), whole = call(*module, inputs);
  const auto row_of = [](const Dims& dims, const Tensor& x, std::int64_t row) {
    const int dim = ShapeText::batch_of(dims, x.dim());
    return dim < 0 ? x : contiguous(narrow(x, dim, row, 1));
  };
  const int batch = ShapeText::batch_of(shapes.inputs()[0], inputs[0].dim());
  expect(batch >= 0, "no dimension of its first input is called batch");
  if (type.kind == "loss" && whole[0].dim() == 0) return;  // a mean or sum of all rows
  for (std::int64_t row = 0; row < inputs[0].size(batch); ++row) {
    Tensors alone, expected;
    for (std::size_t i = 0; i < inputs.size(); ++i) alone.push_back(row_of(shapes.inputs()[i], inputs[i], row));
    for (std::size_t i = 0; i < whole.size(); ++i) expected.push_back(row_of(shapes.outputs().at(i), whole[i], row));
    Tensors got = call(*module, alone);
    for (Tensor& y : got) y = contiguous(y);
    expect_same(expected, got, "row " + std::to_string(row) + " alone");
  }
}

void check_threads(const ModuleType& type) {
  const Tensors inputs = batch_of(type, 40);
  const int before = num_threads();
  struct Restore {
    int threads;
    ~Restore() { set_num_threads(threads); }
  } const restore{before};
  Tensors one;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto module = example_of(type);
    const Tensors got = outputs_and_gradients(*module, inputs);
    if (threads == 1) one = got;
    expect_same(one, got, std::to_string(threads) + " threads");
  }
}

// The example once for each other value of each of its flags and enums, also in configs inside; named by what differs.
void add_variants(const io::table::Type& type, const io::Node& node,
                  const std::function<void(io::Node, std::string)>& add) {
  for (const io::table::Field& field : type.fields) {
    const io::Node& now = node.at(field.name);
    const auto with = [&](const io::Node& value, const std::string& what) {
      io::Node changed = node;
      changed[field.name] = value;
      add(std::move(changed), field.name + what);
    };
    const bool may_be_null = field.type().kind == io::table::Kind::optional;
    const io::table::Type& held = may_be_null ? field.type().elements.type() : field.type();
    if (may_be_null && !now.is_null()) with({}, "=null");
    if (held.kind == io::table::Kind::boolean) with(!now.boolean(), now.boolean() ? "=false" : "=true");
    for (const auto& [value, name] : held.names)
      if (now != io::Node(name)) with(name, "=" + name);
    if (held.kind == io::table::Kind::object && now.is_object())
      add_variants(held, now, [&](io::Node inner, const std::string& what) { with(inner, "." + what); });
  }
}
int variants_tried = 0;
void check_options(const ModuleType& type) {
  static const Property again[] = {{"built", "", always, check_built},
                                   {"hooks", "", always, check_hooks},
                                   {"gradients", "", always, [](const ModuleType& t) { compare_gradients(t, 0, 2); }},
                                   {"hparams", "", always, check_hparams},
                                   {"state", "", always, check_state},
                                   {"clone", "", always, check_clone},
                                   {"repeats", "", always, check_repeats},
                                   {"rows", "", always, check_rows},
                                   {"threads", "", always, check_threads}};
  const Tensors inputs = example_inputs(type);
  std::string wrong;
  add_variants(*type.config, type.example.hparams(), [&](const io::Node& node, const std::string& what) {
    ModuleType variant = type;
    variant.example.hparams = [node] { return node; };
    try {
      call(*example_of(variant), inputs);
    } catch (const Error&) {
      return;  // no choice for an example of this size
    }
    variant.name = type.name + ":" + what, ++variants_tried;
    for (const Property& property : again)
      if (const Verdict v = judge(variant, property); v.outcome == Outcome::failed)
        wrong += "\n" + variant.name + ", " + property.name + ": " + v.why;
  });
  expect(wrong.empty(), wrong);
}

void check_device(const ModuleType& type) {
  const Device cuda = parse_device("cuda");
  const auto here = example_of(type);
  const Tensors inputs = batch_of(type, 2), expected = outputs_and_gradients(*here, inputs);
  const auto there = example_of(type);
  there->to(cuda, DType::f32);
  const Tensors got = outputs_and_gradients(*there, batch_of(type, 2, DType::f32, cuda));
  expect(got.size() == expected.size(), "another number of tensors");
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!expected[i].defined() || !is_real(expected[i].dtype())) continue;
    const auto a = expected[i].to_vector<float>(), b = got[i].to_vector<float>();
    float largest = 0;
    for (const float v : a) largest = std::max(largest, std::fabs(v));
    for (std::size_t k = 0; k < a.size(); ++k)
      expect(std::fabs(a[k] - b[k]) <= 1e-5f * (std::fabs(a[k]) + largest), "tensor ", i, " element ", k, ": ", b[k],
             " on the device, ", a[k], " here");
  }
}

}  // namespace

const std::vector<Property>& properties() {
  static const std::vector<Property> all{
      {"described", "doc, shapes, example, help of every member", always, check_described},
      {"built", "builds by default and from the example; declared and real parameters agree", always, check_built},
      {"shapes", "outputs have the declared shapes, the module's dtype, finite values", always, check_shapes},
      {"hooks", "a hook sees one call with all inputs and outputs", always, check_hooks},
      {"gradients", "finite differences in f64 of inputs and parameters, training and eval", always, check_gradients},
      {"learns", "steps down the gradient lower a loss", has_parameters, check_learning},
      {"hparams", "build(hparams()) has the same hyper-parameters, paths and initial bits", always, check_hparams},
      {"state", "a fresh module with the state gives the same bits", always, check_state},
      {"clone", "a clone gives the same bits and is independent", always, check_clone},
      {"repeats", "the same call gives the same bits, in eval mode and in one random scope", always, check_repeats},
      {"modes", "training and eval mode give the same bits", always, check_modes},
      {"rows", "a row alone has the bits that it has in its batch", always, check_rows},
      {"threads", "1, 2 and 3 threads give the same bits, gradients too", always, check_threads},
      {"options", "most of this for each other value of each flag and enum", has_config, check_options},
      {"device", "outputs and gradients on the accelerator are those of the CPU", has_device, check_device},
  };
  return all;
}

const std::vector<Exception>& exceptions() {
  static const std::vector<Exception> all{
      {"gradients", "OneHot Linearize MuLawDecoding LinearDecoding",
       "codes in and no parameters: nothing to differentiate"},
      {"gradients", "MuLawEncoding LinearEncoding", "codes out: steps have no slope"},
      {"gradients", "CTCLoss", "as PyTorch's, its gradient is that of the logits below log_softmax"},
      {"options", "CTCLoss", "the same gradient"},
      {"gradients", "Embedding:scale_grad_by_freq=true", "its gradient is no derivative, as asked for"},
      {"modes", "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout RReLU Gaussian Logistic", "draws while training"},
      {"modes", "TransformerEncoderLayer TransformerDecoderLayer TransformerEncoder TransformerDecoder Transformer",
       "dropout while training"},
      {"rows", "BatchNorm:track_running_stats=false", "it has no statistics but those of the batch"},
      {"modes", "BatchNorm ResBlock Bottleneck PreActBlock DenseUnit", "statistics of the batch while training"},
  };
  return all;
}

Verdict judge(const ModuleType& type, const Property& property) {
  if (!property.applies(type)) return {Outcome::does_not_apply};
  std::string reason;
  for (const Exception& e : exceptions()) {
    std::istringstream names(e.types);
    for (std::string name; names >> name;)
      if (name == type.name && property.name == std::string(e.property)) reason = e.reason;
  }
  std::string wrong;
  try {
    property.check(type);
  } catch (const std::exception& e) {
    wrong = *e.what() ? e.what() : "an error without words";
  }
  if (reason.empty()) return wrong.empty() ? Verdict{} : Verdict{Outcome::failed, wrong};
  if (wrong.empty()) return {Outcome::failed, "needs no exception (" + reason + ") any more"};
  return {Outcome::excepted, reason};
}

int print_table(const std::string& only) {
  const auto wanted = [&](const Property& p) { return only.empty() || only == p.name; };
  int passed = 0, failed = 0, excepted = 0;
  std::string notes;
  std::printf("%-24s %-9s", "type", "kind");
  for (const Property& p : properties())
    if (wanted(p)) std::printf(" %s", p.name);
  std::printf("\n");
  for (const std::string& name : module_types()) {
    const ModuleType& type = module_type(name);
    std::printf("%-24s %-9s", name.c_str(), type.kind.c_str());
    for (const Property& p : properties()) {
      if (!wanted(p)) continue;
      const Verdict v = judge(type, p);
      const char* words[] = {"ok", "-", "(ok)", "FAILED"};
      std::printf(" %-*s", static_cast<int>(std::strlen(p.name)), words[static_cast<int>(v.outcome)]);
      passed += v.outcome == Outcome::passed, failed += v.outcome == Outcome::failed;
      excepted += v.outcome == Outcome::excepted;
      if (v.outcome == Outcome::failed) notes += name + ", " + p.name + ": " + v.why + "\n";
    }
    std::printf("\n");
  }
  std::printf("\n");
  for (const Property& p : properties()) std::printf("%-10s %s\n", p.name, p.what);
  std::printf("\nexceptions, (ok) above:\n");
  for (const Exception& e : exceptions()) std::printf("%s: %s (%s)\n", e.property, e.reason, e.types);
  if (!has_device({})) std::printf("device: skipped, there is none\n");
  std::printf("%s%zu types, %zu properties, %d variants by options, %d excepted\n%d passed, %d failed\n", notes.c_str(),
              module_types().size(), properties().size(), variants_tried, excepted, passed, failed);
  return failed;
}

}  // namespace tapedeck::nn::conformance
