#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/replay.h>
#include <tapedeck/tensor/reserve.h>

#include <exception>
#include <utility>

namespace tapedeck {
namespace {
constinit thread_local bool is_recording = false;
}

bool recording() { return is_recording; }

struct Replay::State {
  State(Device d, std::function<void()> f) : device(d), step(std::move(f)), memory(d) {}
  Device device;
  std::function<void()> step;
  detail::Reserve memory;
  const DeviceQueues* queues = nullptr;
  void* graph = nullptr;
  int calls = 0;
  std::string why_not;

  void run() {
    const detail::Reserve::Open open(memory);
    step();
  }
  // Nothing runs meanwhile; the graph, or why there is none.
  void record() {
    const std::size_t out = memory.out();
    queues->begin_recording(device.index);
    is_recording = true;
    try {
      memory.strict(true);
      run();
    } catch (const std::exception& e) {  // the plain run that follows throws what is not about recording
      why_not = e.what();
    }
    is_recording = false;
    memory.strict(false);
    try {
      graph = queues->end_recording(device.index);
    } catch (const DeviceError& e) {
      if (why_not.empty()) why_not = e.what();
    }
    if (why_not.empty() && memory.out() != out)
      why_not = detail::join({"a recorded step has to give back all of its memory, and ", memory.out() - out,
                              " of its blocks are still in use"});
    if (!why_not.empty() && graph) queues->drop_graph(device.index, std::exchange(graph, nullptr));
  }
};

Replay::Replay(Device device, std::function<void()> step) : state_(std::make_unique<State>(device, std::move(step))) {
  state_->queues = runtime(device.type).queues;
  if (!state_->queues) state_->why_not = to_string(device) + " records nothing";
}
Replay::~Replay() {
  if (!state_->graph) return;
  try {
    state_->queues->drop_graph(state_->device.index, state_->graph);
  } catch (const Error&) {  // a device that failed: the next call that waits for it says so
  }
}

bool Replay::recorded() const { return state_->graph != nullptr; }
const std::string& Replay::why_not() const { return state_->why_not; }

void Replay::operator()() {
  State& s = *state_;
  if (is_recording) return s.step();  // a part of what is recorded
  if (s.calls++ == 1 && s.why_not.empty()) {
    try {
      s.record();
    } catch (const DeviceError& e) {  // it did not even begin
      s.why_not = e.what();
    }
  }
  if (s.graph) return s.queues->run(s.device.index, s.graph);
  if (s.why_not.empty()) return s.run();
  s.step();
}

}  // namespace tapedeck
