// track_memory: whose outputs hold how much.
#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/recording.h>
#include <tapedeck/autograd/watchers.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <unordered_map>

namespace tapedeck {
namespace {

using detail::Tensors;

// Blocks are known by their storage, which says when it ends.
struct Ledger {
  std::mutex mutex;
  std::map<std::string, OpMemory, std::less<>> ops;
  std::unordered_map<const Storage*, OpMemory*> blocks;
  std::int64_t live = 0, peak = 0;

  static Ledger& get() {
    static Ledger* ledger = new Ledger;  // never destroyed: storages with static lifetime may outlive any static
    return *ledger;
  }

  void made(const std::string& op, Storage& storage) {
    const std::lock_guard lock(mutex);
    OpMemory& row = ops.try_emplace(op, OpMemory{op}).first->second;
    if (!blocks.emplace(&storage, &row).second) return;
    storage.tell_end();
    const auto bytes = static_cast<std::int64_t>(storage.bytes());
    ++row.outputs;
    row.live_bytes += bytes, live += bytes;
    row.peak_bytes = std::max(row.peak_bytes, row.live_bytes);
    if (live <= peak) return;
    peak = live;
    for (auto& [name, other] : ops) other.bytes_at_peak = other.live_bytes;
  }
  void ended(const Storage& storage) {
    const std::lock_guard lock(mutex);
    const auto block = blocks.find(&storage);
    if (block == blocks.end()) return;
    const auto bytes = static_cast<std::int64_t>(storage.bytes());
    block->second->live_bytes -= bytes, live -= bytes;
    blocks.erase(block);
  }
};

}  // namespace

void track_memory(bool on) {
  Ledger& ledger = Ledger::get();
  if (on) {
    const std::lock_guard lock(ledger.mutex);
    ledger.blocks.clear(), ledger.ops.clear();
    ledger.live = ledger.peak = 0;
  }
  detail::storage_ended.store([](const Storage& s) { Ledger::get().ended(s); }, std::memory_order_release);
  detail::watch(detail::kWatchMemory, on);
}

std::vector<OpMemory> memory_by_op() {
  Ledger& ledger = Ledger::get();
  const std::lock_guard lock(ledger.mutex);
  std::vector<OpMemory> out;
  for (const auto& [name, row] : ledger.ops)
    if (row.outputs > 0) out.push_back(row);
  std::stable_sort(out.begin(), out.end(), [](const OpMemory& a, const OpMemory& b) {
    return std::pair(a.bytes_at_peak, a.peak_bytes) > std::pair(b.bytes_at_peak, b.peak_bytes);
  });
  return out;
}

std::string memory_report() {
  std::string out = "     at peak         peak         live    blocks  op (bytes)\n";
  OpMemory all{"all"};
  const auto line = [&](const OpMemory& m, bool total) {
    char text[128];
    const std::string peak = total ? "" : std::to_string(m.peak_bytes);
    std::snprintf(text, sizeof text, "%12lld %12s %12lld %9llu  ", static_cast<long long>(m.bytes_at_peak),
                  peak.c_str(), static_cast<long long>(m.live_bytes), static_cast<unsigned long long>(m.outputs));
    out += text + m.op + "\n";
  };
  for (const OpMemory& m : memory_by_op()) {
    line(m, false);
    all.bytes_at_peak += m.bytes_at_peak, all.live_bytes += m.live_bytes, all.outputs += m.outputs;
  }
  line(all, true);
  return out;
}

// A view's memory is that of what it looks at.
void detail::memory_op(const char* op, Tensors outputs, Tensors inputs) {
  for (const Tensor* y : outputs) {
    const auto shares = [&](const Tensor* x) { return x->defined() && x->shares_storage(*y); };
    if (std::any_of(inputs.begin(), inputs.end(), shares)) continue;
    Ledger::get().made(*running_rule ? std::string(running_rule) + " backward" : op, *y->impl()->storage);
  }
}

void detail::memory_rule(const Node& node, const Grads& grads) {
  for (int i = 0; i < node.inputs; ++i) {
    const Tensor g = grads.so_far(i);
    if (g.defined() && !g.impl()->storage->is_alias())  // a parameter's segment was there before
      Ledger::get().made(node.name + std::string(" backward"), *g.impl()->storage);
  }
}

}  // namespace tapedeck
