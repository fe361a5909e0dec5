#include "emulated_queues.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "emulated_memory.h"
#include "emulation.h"

namespace emulation {
namespace {

using tapedeck::Queue;
using Work = std::function<void()>;

struct Line {
  std::deque<Work> waiting;
  std::uint64_t given = 0, done = 0;
};
struct Event {
  Line* line = nullptr;
  std::uint64_t at = 0;  // of what the line was given
};
std::recursive_mutex mutex;
Line lines[kDevices][2];
bool early_copies = false;
thread_local std::vector<Work>* recorded = nullptr;
thread_local int recorded_device = -1;

Line& line(int device, Queue q) { return lines[device][static_cast<int>(q)]; }

void run_until(Line& l, std::uint64_t at) {
  const std::lock_guard lock(mutex);
  while (l.done < at && !l.waiting.empty()) {
    const Work work = std::move(l.waiting.front());
    l.waiting.pop_front();
    work();
    ++l.done;
  }
}
void give(int device, Queue q, Work work) {
  const std::lock_guard lock(mutex);
  Line& l = line(device, q);
  l.waiting.push_back(std::move(work)), ++l.given;
  if (early_copies && q == Queue::copy) run_until(l, l.given);
}

void record(int device, Queue q, void* event) {
  const std::lock_guard lock(mutex);
  *static_cast<Event*>(event) = {&line(device, q), line(device, q).given};
}
void wait(int device, Queue q, void* event) {
  const Event e = *static_cast<Event*>(event);
  if (e.line) give(device, q, [e] { run_until(*e.line, e.at); });
}
bool passed(int, void* event) {
  const std::lock_guard lock(mutex);
  const Event& e = *static_cast<Event*>(event);
  return !e.line || e.line->done >= e.at;
}
void copy(int device, void* to, const void* from, std::size_t bytes) {
  give(device, Queue::copy, [=] {
    const OpenMemory open;
    std::memcpy(to, from, bytes);
  });
}

void begin_recording(int device) { recorded = new std::vector<Work>, recorded_device = device; }
void* end_recording(int) { return recorded_device = -1, std::exchange(recorded, nullptr); }
void run(int device, void* graph) {
  for (const Work& work : *static_cast<std::vector<Work>*>(graph)) give(device, Queue::compute, work);
}
void drop_graph(int device, void* graph) {
  finish(device, Queue::compute);
  delete static_cast<std::vector<Work>*>(graph);
}

}  // namespace

const tapedeck::DeviceQueues queues{[](int, std::size_t bytes) { return std::malloc(bytes); },
                                    [](int, void* p) { std::free(p); },
                                    [](int) { return static_cast<void*>(new Event); },
                                    [](int, void* event) { delete static_cast<Event*>(event); },
                                    record,
                                    wait,
                                    passed,
                                    copy,
                                    begin_recording,
                                    end_recording,
                                    run,
                                    drop_graph};

void enqueue(int device, Work work) {
  if (recording(device)) return recorded->push_back(std::move(work));
  give(device, Queue::compute, std::move(work));
}
void finish(int device, Queue q) {
  const std::lock_guard lock(mutex);
  run_until(line(device, q), line(device, q).given);
}
void finish(int device) { finish(device, Queue::copy), finish(device, Queue::compute); }
void copies_run_early(bool on) { early_copies = on; }
bool recording(int device) { return recorded_device == device; }

}  // namespace emulation
