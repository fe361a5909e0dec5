// Who looks over the shoulder of ops and rules: nobody costs one branch. What they do is in inspect.h.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <atomic>
#include <span>

namespace tapedeck {

class Grads;

namespace detail {
struct Node;

enum : unsigned { kWatchFinite = 1, kWatchTrace = 2, kWatchMemory = 4, kWatchUnread = 8, kWatchCount = 16 };
extern std::atomic<unsigned> watchers;  // kWatchUnread: the environment has not been asked yet
inline bool watched() { return watchers.load(std::memory_order_relaxed) != 0; }

// An op has computed its outputs; a rule is to be run on gy.
void watch_op(const char* op, std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs);
void watch_rule(Node& node, const Tensor& gy, Grads& grads);
}  // namespace detail

}  // namespace tapedeck
