#include <tapedeck/autograd/ops.h>
#include <tapedeck/autograd/recording.h>
#include <tapedeck/nn/inspector.h>
#include <tapedeck/nn/tree.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace tapedeck::nn {
namespace {

struct Stopped {};  // thrown through the forward pass, caught by run()

struct Operation {
  std::set<const Module*> modules;
  Inspector::Index index;
  std::function<void(Entry&, CallRecord&)> in;
  std::function<void(const Call&, CallRecord&)> out;
  bool changes = true, stops = false;

  bool meant(const Module& module, std::int64_t call) const {
    if (!modules.contains(&module)) return false;
    if (!index) return true;
    TD_CHECK(!changes || tapedeck::detail::pass() != tapedeck::detail::Pass::first, ValueError,
             "inspector: an operation on call ", *index, " of ", module.type_name(), " \"", module.path(),
             "\" cannot be replayed by the checkpoint around it; leave out the index");
    return *index == call;
  }
};

Tensor ablated(const Tensor& y, Inspector::Ablation with) {
  if (with == Inspector::Ablation::zero) return zeros_like(y);
  std::vector<int> others;
  for (int d = 0; d + 1 < y.dim(); ++d) others.push_back(d);
  if (with == Inspector::Ablation::mean) return expand(mean(y, others, true), y.sizes());
  return mean(y) + std(y, {}, false, false) * randn_like(y);
}

void check_given(bool given, const char* what) {
  TD_CHECK(given, ValueError, "inspector: ", what, " needs a function, got an empty one");
}

// The same values as another tensor of the tape: its gradient is that of this call alone.
Tensor alias_of(const Tensor& x) { return squeeze(unsqueeze(x, 0), 0); }

}  // namespace

struct Inspector::State {
  Module* root;
  std::weak_ptr<Module*> alive;  // as long as the root
  bool running = false;          // inside run()
  std::vector<std::shared_ptr<Operation>> operations;
  std::deque<CallRecord> records;
  std::vector<GradHook> gradient_hooks;
  std::vector<std::pair<const Module*, std::shared_ptr<CallRecord>>> open;  // calls that have not ended
  std::map<const Module*, std::string> paths;

  void add(std::string_view glob, Operation operation) {
    TD_CHECK(!alive.expired(), ValueError, "inspector: the tree that it looks into is gone; make it anew for another");
    TD_CHECK(!operation.index || *operation.index >= 0, ValueError, "inspector: calls are counted from 0, got ",
             *operation.index);
    std::vector<std::string> known;
    root->apply([&](const std::string& path, Module& m) {
      known.push_back(path), paths[&m] = path;
      if (path_matches(glob, path)) operation.modules.insert(&m);
    });
    const std::string near = io::nearest(glob, known);
    TD_CHECK(!operation.modules.empty(), ValueError, "inspector: no module of ", root->type_name(), " matches \"", glob,
             "\"", near.empty() ? std::string() : "; did you mean \"" + near + "\"?");
    operations.push_back(std::make_shared<Operation>(std::move(operation)));
  }

  // The gradient of x goes to slot i of a record, when one will come.
  void follow(const Tensor& x, std::size_t i, std::vector<Tensor> CallRecord::*where, const std::string& path,
              std::int64_t index) {
    gradient_hooks.push_back(register_hook(x, [this, i, where, path, index](const Tensor& g) {
      for (CallRecord& r : records)
        if (r.path == path && r.index == index && i < (r.*where).size()) (r.*where)[i] = clone(detach(g));
    }));
  }
};

Inspector::Inspector(Module& root) : state_(std::make_shared<State>()) {
  const auto s = state_;  // kept by the hook, which may end this inspector
  s->root = &root, s->alive = TreeAccess::alive(root);
  HookOptions options{.in_replay = true};
  options.before = [s](Entry& entry) {
    auto record = std::make_shared<CallRecord>();
    record->path = s->paths[&entry.module], record->index = entry.index;
    s->open.emplace_back(&entry.module, record);
    const auto now = s->operations;
    for (const auto& o : now)
      if (o->in && o->meant(entry.module, entry.index)) o->in(entry, *record);
  };
  hook_ = HookHandle(
      root, "**",
      [s](const Call& call) {
        while (!s->open.empty() && s->open.back().first != &call.module) s->open.pop_back();  // an error ended those
        if (s->open.empty()) return;
        const auto record = s->open.back().second;
        s->open.pop_back();
        const auto now = s->operations;
        bool stops = false;
        for (auto o = now.rbegin(); o != now.rend(); ++o) {
          if (!(*o)->meant(call.module, call.index)) continue;
          if ((*o)->out) (*o)->out(call, *record);
          stops = stops || (*o)->stops;
        }
        if (!record->inputs.empty() || !record->outputs.empty() || !record->input_gradients.empty() ||
            !record->output_gradients.empty())
          s->records.push_back(*record);
        TD_CHECK(!stops || s->running, ValueError, "inspector: a stop behind ", call.module.type_name(), " \"",
                 call.module.path(), "\" was reached outside run(); make the call in run(), or clear() the operations");
        if (stops) throw Stopped{};
      },
      std::move(options));
}

void Inspector::capture(std::string_view glob, unsigned what) {
  State* s = state_.get();
  Operation o;
  o.changes = false;
  o.in = [s, what](Entry& entry, CallRecord& record) {
    for (std::size_t i = 0; i < entry.inputs.size(); ++i) {
      Tensor& x = *entry.inputs[i];
      if (what & inputs) record.inputs.push_back(x.defined() ? clone(detach(x)) : x);
      if (!(what & input_gradients)) continue;
      record.input_gradients.emplace_back();
      if (!x.defined() || !is_recorded(x)) continue;
      x = alias_of(x);
      s->follow(x, i, &CallRecord::input_gradients, record.path, record.index);
    }
  };
  o.out = [s, what](const Call& call, CallRecord& record) {
    for (std::size_t i = 0; i < call.outputs.size(); ++i) {
      Tensor& y = *call.outputs[i];
      if (what & outputs) record.outputs.push_back(y.defined() ? clone(detach(y)) : y);
      if (!(what & output_gradients)) continue;
      record.output_gradients.emplace_back();
      if (!y.defined() || !is_recorded(y)) continue;
      y = alias_of(y);
      s->follow(y, i, &CallRecord::output_gradients, record.path, record.index);
    }
  };
  s->add(glob, std::move(o));
}

void Inspector::patch(std::string_view glob, Change change, Index index) {
  check_given(static_cast<bool>(change), "patch");
  Operation o;
  o.index = index;
  o.out = [change = std::move(change)](const Call& call, CallRecord&) { *call.outputs[0] = change(*call.outputs[0]); };
  state_->add(glob, std::move(o));
}
void Inspector::patch(std::string_view glob, const Tensor& value, Index index) {
  patch(
      glob, [value](const Tensor&) { return value; }, index);
}
void Inspector::patch_input(std::string_view glob, Change change, Index index) {
  check_given(static_cast<bool>(change), "patch_input");
  Operation o;
  o.index = index;
  o.in = [change = std::move(change)](Entry& entry, CallRecord&) { *entry.inputs[0] = change(*entry.inputs[0]); };
  state_->add(glob, std::move(o));
}
void Inspector::ablate(std::string_view glob, Ablation with, Index index) {
  patch(
      glob, [with](const Tensor& y) { return ablated(y, with); }, index);
}
void Inspector::bypass(std::string_view glob, Index index) {
  Operation o;
  o.index = index;
  o.out = [](const Call& call, CallRecord&) {
    const Tensor &x = call.inputs[0], &y = *call.outputs[0];
    TD_CHECK(x.sizes() == y.sizes() && x.dtype() == y.dtype(), ShapeError, "inspector: ", call.module.type_name(),
             " \"", call.module.path(), "\" cannot be bypassed, because its output is not like its input",
             arg("input", x), arg("output", y));
    *call.outputs[0] = x;
  };
  state_->add(glob, std::move(o));
}
void Inspector::swap(std::string_view glob, Forward forward, Index index) {
  check_given(static_cast<bool>(forward), "swap");
  Operation o;
  o.index = index;
  o.in = [](Entry& entry, CallRecord&) { entry.skip = true; };
  o.out = [forward = std::move(forward)](const Call& call, CallRecord&) {
    TD_CHECK(call.outputs.size() == 1, ValueError, "inspector: swap replaces modules of one output; ",
             call.module.type_name(), " has ", call.outputs.size());
    *call.outputs[0] = forward(call.inputs);
  };
  state_->add(glob, std::move(o));
}
void Inspector::stop(std::string_view glob, Index index) {
  Operation o;
  o.index = index, o.stops = true, o.changes = false;
  state_->add(glob, std::move(o));
}

bool Inspector::run(const std::function<void()>& f) {
  restart();
  const auto state = state_;
  const bool outer = std::exchange(state->running, true);
  const auto leave = [&] { state->running = outer; };
  try {
    f();
  } catch (const Stopped&) {
    state->open.clear(), leave();
    return false;
  } catch (...) {
    leave();
    throw;
  }
  leave();
  return true;
}
void Inspector::restart() {
  state_->records.clear(), state_->gradient_hooks.clear(), state_->open.clear();
  hook_.restart();
}
void Inspector::clear() { state_->operations.clear(); }

const std::deque<CallRecord>& Inspector::records() const { return state_->records; }
const CallRecord& Inspector::record(std::string_view path, std::int64_t index) const {
  std::string known;
  for (const CallRecord& r : state_->records) {
    if (r.path == path && r.index == index) return r;
    known += (known.empty() ? "" : ", ") + ("\"" + r.path + "\" " + std::to_string(r.index));
  }
  TD_FAIL(ValueError, "inspector: nothing was captured of call ", index, " of \"", path,
          "\" (captured: ", known.empty() ? "nothing" : known, ")");
}

}  // namespace tapedeck::nn
