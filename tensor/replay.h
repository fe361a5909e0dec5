// Replay: a step of the same kernels in the same memory, again and again. On a device that can (CUDA's graphs) it is
// recorded once and then started by one call.
#pragma once
#include <tapedeck/tensor/device.h>

#include <functional>
#include <memory>
#include <string>

namespace tapedeck {

// The first call runs `step`; the second records it; from then on `step` itself is not called any more. What it must
// keep to, in order to be recorded:
// - all that it does is given to `device`; nothing comes from the host or goes there (copies, item(), to_vector()), and
//   it changes nothing on the host that a second call could not do again;
// - it needs no more memory of the device than the call before, and has given all of it back when it returns: what it
//   leaves behind goes into tensors that were there before. Its memory is kept for it alone.
// Both are checked. A step that breaks a rule is run plainly each time, with the same results, and why_not() says what
// stood against it; so is one on a device without such a thing.
class Replay {
 public:
  Replay(Device device, std::function<void()> step);
  ~Replay();
  Replay(const Replay&) = delete;
  void operator()();  // what the step throws, unless it is recorded
  bool recorded() const;
  const std::string& why_not() const;  // "" as long as nothing is known against it

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// While this thread records: what would have to be read back in order to be checked (indices) was checked before.
bool recording();

}  // namespace tapedeck
