// Devices and the table of functions that each device runtime provides.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace tapedeck {

enum class DeviceType : std::uint8_t { cpu, cuda };
inline constexpr int kDeviceTypes = 2;

struct Device {
  DeviceType type = DeviceType::cpu;
  std::int8_t index = 0;
  bool operator==(const Device&) const = default;
};
inline constexpr Device kCpu{};

std::string to_string(Device d);               // "cpu", "cuda:0"
Device parse_device(const std::string& text);  // "cpu", "cuda", "cuda:1"; ValueError otherwise; DeviceError when absent

// The two queues of a device, which run side by side: kernels and plain copies in one, copies out of pinned memory in
// the other. A block of memory belongs to the compute queue: who uses one in the other makes the queues wait for each
// other (upload.h).
enum class Queue : std::uint8_t { compute, copy };
struct DeviceQueues {
  void* (*pin)(int index, std::size_t bytes);  // host memory that the device reads by itself; nullptr: refused
  void (*unpin)(int index, void* p);
  void* (*make_event)(int index);
  void (*drop_event)(int index, void* event);
  void (*record)(int index, Queue q, void* event);  // it has passed when all that q was given so far is done
  void (*wait)(int index, Queue q, void* event);    // what q is given from now on waits for it; the host does not
  bool (*passed)(int index, void* event);           // one that was never recorded has
  void (*copy)(int index, void* to, const void* pinned, std::size_t bytes);  // in the copy queue
  // Between the two, what this thread gives to the compute queue is noted and not run (replay.h). end_recording gives
  // the graph; DeviceError when something was refused, and there is none.
  void (*begin_recording)(int index);
  void* (*end_recording)(int index);
  void (*run)(int index, void* graph);  // in the compute queue
  void (*drop_graph)(int index, void* graph);
};

// What tensor/ needs of a device. The CPU's stands in device.cpp; a backend installs its own with set_runtime().
struct DeviceRuntime {
  const char* name;
  int (*count)();                                   // usable devices; any failure counts as none
  void* (*allocate)(int index, std::size_t bytes);  // nullptr when out of memory
  void (*release)(int index, void* p);
  void (*copy)(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes);
  void (*zero)(int index, void* p, std::size_t bytes);
  void (*synchronize)(int index);
  const char* (*why_none)();             // what the driver said when count() is 0
  const DeviceQueues* queues = nullptr;  // nullptr: every call has done its work when it returns
};
const DeviceRuntime& runtime(DeviceType type);  // DeviceError when this build has none
void set_runtime(DeviceType type, const DeviceRuntime* table);
int device_count(DeviceType type);  // 0 when the build or the machine has none

}  // namespace tapedeck
