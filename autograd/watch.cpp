// The way from ops and rules to those who look: one file for each of them.
#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/recording.h>
#include <tapedeck/autograd/tape.h>
#include <tapedeck/autograd/watchers.h>
#include <tapedeck/tensor/env.h>

#include <mutex>
#include <unordered_map>

namespace tapedeck {
namespace {

std::once_flag environment_read;

// Throws again with every op when the environment asks for what cannot be.
unsigned who() {
  std::call_once(environment_read, [] {
    if (const std::string text = env("TAPEDECK_CHECK_FINITE"); !text.empty() && text != "0") check_finite(true);
    if (const std::string file = env("TAPEDECK_TRACE"); !file.empty()) trace_to(file);
    detail::watchers.fetch_and(~unsigned{detail::kWatchUnread});
  });
  return detail::watchers.load(std::memory_order_relaxed);
}

struct ModuleNames {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, std::string> of;
};
ModuleNames& module_names() {
  static ModuleNames* names = new ModuleNames;  // never destroyed: a trace is completed at exit
  return *names;
}

}  // namespace

namespace detail {

std::atomic<unsigned> watchers{kWatchUnread};

void watch(unsigned kind, bool on) { on ? watchers.fetch_or(kind) : watchers.fetch_and(~kind); }

void watch_op(const char* op, Tensors outputs, Tensors inputs) {
  const unsigned watching = who();
  if (watching & kWatchFinite) finite_op(op, outputs, inputs);
  if (watching & kWatchMemory) memory_op(op, outputs, inputs);
  if (watching & kWatchCount) count_op(op, outputs, inputs);
  if (watching & kWatchTrace) trace_op(op, outputs, inputs);
}

void watch_rule(Node& node, const Tensor& gy, Grads& grads) {
  const unsigned watching = who();
  const double start = watching & kWatchTrace ? trace_now() : 0;
  const auto run = [&] { node.rule(gy, grads); };
  watching& kWatchFinite ? finite_rule(node, gy, grads, run) : run();
  if (watching & kWatchMemory) memory_rule(node, grads);
  if (watching & kWatchTrace) trace_rule(node, gy, grads, start);
}

void name_module(std::uint64_t path_hash, std::string_view path) {
  const std::lock_guard lock(module_names().mutex);
  module_names().of.try_emplace(path_hash, path);
}
std::string module_name(std::uint64_t path_hash) {
  const std::lock_guard lock(module_names().mutex);
  const auto found = module_names().of.find(path_hash);
  return found == module_names().of.end() ? "" : found->second;
}

}  // namespace detail
}  // namespace tapedeck
