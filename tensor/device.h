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

// What tensor/ needs of a device. The CPU's stands in device.cpp; a backend installs its own with set_runtime().
struct DeviceRuntime {
  const char* name;
  int (*count)();                                   // usable devices; any failure counts as none
  void* (*allocate)(int index, std::size_t bytes);  // nullptr when out of memory
  void (*release)(int index, void* p);
  void (*copy)(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes);
  void (*zero)(int index, void* p, std::size_t bytes);
  void (*synchronize)(int index);
  const char* (*why_none)();  // what the driver said when count() is 0
};
const DeviceRuntime& runtime(DeviceType type);  // DeviceError when this build has none
void set_runtime(DeviceType type, const DeviceRuntime* table);
int device_count(DeviceType type);  // 0 when the build or the machine has none

}  // namespace tapedeck
