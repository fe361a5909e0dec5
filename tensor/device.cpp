#include <sys/mman.h>
#include <tapedeck/tensor/device.h>
#include <tapedeck/tensor/error.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>

namespace tapedeck {

// Defined by the CUDA backend, in programs that have it.
[[gnu::weak]] const DeviceRuntime* cuda_runtime();

namespace {

constexpr std::size_t kAlignment = 64;  // one cache line, one AVX-512 vector
constexpr std::size_t kHugePage = 2 << 20;
constexpr std::size_t kWorthAsking = 64 << 20;

// Is there so much memory? A system that promises more than it has would kill the process when it is written to.
bool there_is(std::size_t bytes) {
  std::ifstream file("/proc/meminfo");
  std::size_t available = 0, kib = 0;
  bool known = false;
  for (std::string name; file >> name >> kib; file.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
    known = known || name == "MemAvailable:";
    if (name == "MemAvailable:" || name == "SwapFree:") available += kib * 1024;
  }
  return !known || bytes <= available;
}

// Large blocks lie on huge pages where the system gives them: fewer page faults and misses of the address cache.
void* allocate_cpu(int, std::size_t bytes) {
  if (bytes >= kWorthAsking && !there_is(bytes)) return nullptr;
  const bool large = bytes >= 2 * kHugePage;
  void* p = nullptr;  // not aligned_alloc, which wants whole multiples of the alignment
  if (::posix_memalign(&p, large ? kHugePage : kAlignment, bytes) != 0) return nullptr;
  if (large) madvise(p, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // a wish: a refusal changes nothing
  return p;
}

const DeviceRuntime cpu_runtime{
    "cpu",
    [] { return 1; },
    allocate_cpu,
    [](int, void* p) { std::free(p); },
    [](void* to, Device, const void* from, Device, std::size_t bytes) {
      if (bytes) std::memcpy(to, from, bytes);
    },
    [](int, void* p, std::size_t bytes) {
      if (bytes) std::memset(p, 0, bytes);
    },
    [](int) {},
    [] { return ""; },
};
const DeviceRuntime* runtimes[kDeviceTypes] = {&cpu_runtime, nullptr};

const DeviceRuntime* find_runtime(DeviceType type) {
  const DeviceRuntime* table = runtimes[static_cast<int>(type)];
  return !table && type == DeviceType::cuda && cuda_runtime ? cuda_runtime() : table;
}

}  // namespace

std::string to_string(Device d) {
  return d.type == DeviceType::cpu ? "cpu" : "cuda:" + std::to_string(static_cast<int>(d.index));
}

const DeviceRuntime& runtime(DeviceType type) {
  const DeviceRuntime* table = find_runtime(type);
  TD_CHECK(table, DeviceError,
           "device cuda: this build has no CUDA kernels; use --device cpu or build with -DTAPEDECK_CUDA=ON");
  return *table;
}

void set_runtime(DeviceType type, const DeviceRuntime* table) { runtimes[static_cast<int>(type)] = table; }

int device_count(DeviceType type) {
  const DeviceRuntime* table = find_runtime(type);
  return table ? table->count() : 0;
}

Device parse_device(const std::string& text) {
  if (text == "cpu") return kCpu;
  const bool indexed = text.size() == 6 && text.rfind("cuda:", 0) == 0 && text[5] >= '0' && text[5] <= '9';
  TD_CHECK(text == "cuda" || indexed, ValueError, "device: expected cpu, cuda or cuda:N, got \"", text, "\"");
  const int index = indexed ? text[5] - '0' : 0;
  const DeviceRuntime& cuda = runtime(DeviceType::cuda);
  const int count = cuda.count();
  TD_CHECK(index < count, DeviceError, "device ", text, ": this machine has ", count, " usable CUDA devices",
           count == 0 ? std::string(" (") + cuda.why_none() + ")" : "", "; use --device cpu",
           count > 0 ? " or an index below that" : "");
  return {DeviceType::cuda, static_cast<std::int8_t>(index)};
}

}  // namespace tapedeck
