#include "machine.h"

#include <immintrin.h>
#include <sys/mman.h>
#include <tapedeck/kernels/cpu/isa.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "machine.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::bench {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using std::int64_t;
constexpr int kLanes = HWY_TARGET == HWY_AVX2 ? 8 : 16;
constexpr int kChains = 12;

// 2 * kChains * kLanes * n operations.
double fma_chains(int64_t n) {
  const D d;
  V acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = hn::Set(d, static_cast<float>(i));
  V x = hn::Set(d, 0.999f), y = hn::Set(d, 0.001f);
  for (int64_t r = 0; r < n; ++r) {
    HWY_UNROLL(12)
    for (int i = 0; i < kChains; ++i) acc[i] = hn::MulAdd(acc[i], x, y);
  }
  for (int i = 1; i < kChains; ++i) acc[0] = hn::Add(acc[0], acc[i]);
  return hn::GetLane(acc[0]);
}
double fma_operations() { return 2.0 * kChains * kLanes; }

// n: floats, a multiple of 8 vectors.
double read(const float* a, int64_t n) {
  const D d;
  V acc[8];
  for (V& v : acc) v = hn::Zero(d);
  for (int64_t i = 0; i < n; i += 8 * kLanes) {
    HWY_UNROLL(8)
    for (int j = 0; j < 8; ++j) acc[j] = hn::Add(acc[j], hn::Load(d, a + i + j * kLanes));
  }
  for (int j = 1; j < 8; ++j) acc[0] = hn::Add(acc[0], acc[j]);
  return hn::GetLane(acc[0]);
}
void write(float* a, int64_t n) {
  const D d;
  const V v = hn::Set(d, 1);
  for (int64_t i = 0; i < n; i += 8 * kLanes) {
    HWY_UNROLL(8)
    for (int j = 0; j < 8; ++j) hn::Store(v, d, a + i + j * kLanes);
  }
}
void copy(float* a, const float* b, int64_t n) {
  const D d;
  for (int64_t i = 0; i < n; i += 8 * kLanes) {
    HWY_UNROLL(8)
    for (int j = 0; j < 8; ++j) hn::Store(hn::Load(d, b + i + j * kLanes), d, a + i + j * kLanes);
  }
}
void triad(float* a, const float* b, const float* c, int64_t n) {
  const D d;
  const V s = hn::Set(d, 0.5f);
  for (int64_t i = 0; i < n; i += 8 * kLanes) {
    HWY_UNROLL(8)
    for (int j = 0; j < 8; ++j)
      hn::Store(hn::MulAdd(s, hn::Load(d, c + i + j * kLanes), hn::Load(d, b + i + j * kLanes)), d, a + i + j * kLanes);
  }
}

}  // namespace

struct Loops {
  static double chains(int64_t n) { return fma_chains(n); }
  static double operations() { return fma_operations(); }
  static double read_all(const float* a, int64_t n) { return read(a, n); }
  static void write_all(float* a, int64_t n) { write(a, n); }
  static void copy_all(float* a, const float* b, int64_t n) { copy(a, b, n); }
  static void triad_all(float* a, const float* b, const float* c, int64_t n) { triad(a, b, c, n); }
};

}  // namespace HWY_NAMESPACE
}  // namespace tapedeck::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::bench {
namespace {

using std::int64_t;
using Clock = std::chrono::steady_clock;

std::atomic<double> kept{0};  // what the loops computed, so that they are not left out

template <class F>
auto chosen(F&& f) {
  return kernels::use_avx512() ? f(N_AVX3::Loops()) : f(N_AVX2::Loops());
}

constexpr double kBf16Operations = 2.0 * 12 * 32;
__attribute__((target("avx512f,avx512bf16"))) double bf16_chains(int64_t n) {
  __m512 acc[12];
  for (int i = 0; i < 12; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512bh x = (__m512bh)_mm512_set1_epi16(0x3c00);
  for (int64_t r = 0; r < n; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) acc[i] = _mm512_dpbf16_ps(acc[i], x, x);
  }
  for (int i = 1; i < 12; ++i) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  return _mm512_cvtss_f32(acc[0]);
}

// Seconds that body(thread) takes on all threads from the first start to the last end.
double round_of(int threads, const std::function<void(int)>& body) {
  if (threads == 1) {
    const auto start = Clock::now();
    body(0);
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  std::atomic<int> waiting{threads};
  std::vector<Clock::time_point> starts(threads), ends(threads);
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      for (--waiting; waiting > 0;) std::this_thread::yield();
      starts[t] = Clock::now();
      body(t);
      ends[t] = Clock::now();
    });
  for (std::thread& t : pool) t.join();
  return std::chrono::duration<double>(*std::max_element(ends.begin(), ends.end()) -
                                       *std::min_element(starts.begin(), starts.end()))
      .count();
}

// Best rate of `work` per repetition, in 1e9 per second: body(thread, repetitions).
double best_rate(int threads, double seconds, double work, const std::function<void(int, int64_t)>& body) {
  int64_t repetitions = 1;
  for (double took = 0; took < 2e-4; repetitions *= 2) {
    took = round_of(1, [&](int t) { body(t, repetitions); });
    if (took >= 2e-4) break;
  }
  double best = 1e30;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do best = std::min(best, round_of(threads, [&](int t) { body(t, repetitions); }));
  while (Clock::now() < end);
  return work * threads * static_cast<double>(repetitions) / best * 1e-9;
}

struct Pages {
  explicit Pages(std::size_t size) : bytes(size) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::fprintf(stderr, "bench: no memory for %zu bytes\n", bytes), std::exit(1);
    madvise(memory, bytes, MADV_HUGEPAGE);
    chosen([&](auto loops) {
      return decltype(loops)::write_all(static_cast<float*>(memory), static_cast<int64_t>(bytes / 4 / 128 * 128));
    });
  }
  ~Pages() { munmap(memory, bytes); }
  Pages(const Pages&) = delete;
  std::size_t bytes;
  void* memory;
};

// `floats` of working memory for each thread.
Streams streams_of(int threads, int64_t floats, double seconds) {
  std::vector<std::unique_ptr<Pages>> pages;
  for (int t = 0; t < threads; ++t) pages.push_back(std::make_unique<Pages>(static_cast<std::size_t>(floats) * 4));
  const auto part = [floats](int64_t streams) { return floats / streams / 128 * 128; };
  const auto run = [&](int64_t streams, auto&& loop) {
    const int64_t n = part(streams);
    return best_rate(threads, seconds, 4.0 * static_cast<double>(n * streams), [&](int t, int64_t repetitions) {
      auto* a = static_cast<float*>(pages[t]->memory);
      for (int64_t r = 0; r < repetitions; ++r) loop(a, a + n, a + 2 * n, n);
    });
  };
  return chosen([&](auto loops) {
    using L = decltype(loops);
    Streams s;
    s.read = run(1, [](float* a, float*, float*, int64_t n) { kept = L::read_all(a, n); });
    s.write = run(1, [](float* a, float*, float*, int64_t n) { L::write_all(a, n); });
    s.copy = run(2, [](float* a, float* b, float*, int64_t n) { L::copy_all(a, b, n); });
    s.triad = run(3, [](float* a, float* b, float* c, int64_t n) { L::triad_all(a, b, c, n); });
    return s;
  });
}

// Of each thread, so that they live in that level.
int64_t working_bytes(const Machine& m, Level level, int threads) {
  const int64_t l3 = m.cache[2];
  const int64_t bytes[] = {m.cache[0] / 2, m.cache[1] / 2, std::max(2 * m.cache[1], l3 / 4 / threads),
                           std::max<int64_t>(4 * l3, 96 << 20) / threads};
  return bytes[level];
}

std::string processor_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

// Of a cache that the first core uses, as the kernel tells it.
int64_t cache_size(int level, int64_t otherwise) {
  for (int i = 0; i < 8; ++i) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i);
    std::ifstream level_file(folder + "/level"), type_file(folder + "/type"), size_file(folder + "/size");
    std::string type, unit;
    int64_t size = 0;
    int here = 0;
    if (!(level_file >> here) || here != level || !(type_file >> type) || type == "Instruction") continue;
    if (size_file >> size >> unit && size > 0) return size << (unit == "M" ? 20 : 10);
  }
  return otherwise;
}

}  // namespace

const Ceiling& Machine::at(int threads) const {
  return *std::min_element(ceilings.begin(), ceilings.end(), [=](const Ceiling& a, const Ceiling& b) {
    return std::abs(a.threads - threads) < std::abs(b.threads - threads);
  });
}

Level Machine::level_of(double bytes, int threads) const {
  for (int i = 0; i < 3; ++i)
    if (bytes <= static_cast<double>(cache[i]) * (i < 2 ? threads : 1)) return static_cast<Level>(i);
  return dram;
}

double f32_peak(int threads, double seconds) {
  return chosen([&](auto loops) {
    using L = decltype(loops);
    return best_rate(threads, seconds, L::operations() * 1000, [](int, int64_t n) { kept = L::chains(n * 1000); });
  });
}

double read_peak(Level level, int threads, double seconds) {
  return streams_of(threads, working_bytes(machine(), level, threads) / 4, seconds / 4).read;
}

Machine measure(double seconds) {
  Machine m;
  m.processor = processor_name();
  m.instructions = kernels::use_avx512() ? "AVX-512" : "AVX2";
  m.cache[0] = cache_size(1, 32 << 10);
  m.cache[1] = cache_size(2, 1 << 20);
  m.cache[2] = cache_size(3, 16 << 20);
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::vector<int> counts{1};
  if (cores > 1) counts.push_back(cores);
  const double slot = seconds / static_cast<double>(counts.size()) / (2 + 4 * kLevels);
  for (const int threads : counts) {
    Ceiling c;
    c.threads = threads;
    c.f32 = f32_peak(threads, slot);
    if (__builtin_cpu_supports("avx512bf16"))
      c.bf16 = best_rate(threads, slot, kBf16Operations * 1000, [](int, int64_t n) { kept = bf16_chains(n * 1000); });
    for (int level = 0; level < kLevels; ++level) {
      const int64_t bytes = working_bytes(m, static_cast<Level>(level), threads);
      c.level[level] = streams_of(threads, bytes / 4, slot);
    }
    m.ceilings.push_back(c);
  }
  return m;
}

const Machine& machine() {
  static const Machine m = measure(1.5);
  return m;
}

const char* name(Level level) {
  constexpr const char* names[] = {"L1", "L2", "L3", "DRAM"};
  return names[level];
}

std::string to_json(const Machine& m) {
  char text[512];
  std::snprintf(text, sizeof text, R"({"processor": "%s", "instructions": "%s", "cache_bytes": [%lld, %lld, %lld])",
                m.processor.c_str(), m.instructions.c_str(), static_cast<long long>(m.cache[0]),
                static_cast<long long>(m.cache[1]), static_cast<long long>(m.cache[2]));
  std::string out = text + std::string(", \"ceilings\": [");
  for (const Ceiling& c : m.ceilings) {
    std::snprintf(text, sizeof text, R"(%s{"threads": %d, "f32_gflops": %.1f, "bf16_gflops": %.1f)",
                  &c == m.ceilings.data() ? "" : ", ", c.threads, c.f32, c.bf16);
    out += text;
    for (int i = 0; i < kLevels; ++i) {
      const Streams& s = c.level[i];
      std::snprintf(text, sizeof text, R"(, "%s_gbs": {"read": %.1f, "write": %.1f, "copy": %.1f, "triad": %.1f})",
                    name(static_cast<Level>(i)), s.read, s.write, s.copy, s.triad);
      out += text;
    }
    out += "}";
  }
  return out + "]}";
}

std::string to_table(const Machine& m) {
  char text[256];
  std::snprintf(text, sizeof text, "%s, %s; caches %lld KiB, %lld KiB, %lld MiB\n", m.processor.c_str(),
                m.instructions.c_str(), static_cast<long long>(m.cache[0] >> 10),
                static_cast<long long>(m.cache[1] >> 10), static_cast<long long>(m.cache[2] >> 20));
  std::string out = text;
  for (const Ceiling& c : m.ceilings) {
    std::snprintf(text, sizeof text, "%d thread%s: %.0f GFLOP/s f32", c.threads, c.threads > 1 ? "s" : "", c.f32);
    out += text;
    if (c.bf16 > 0) std::snprintf(text, sizeof text, ", %.0f GFLOP/s bf16", c.bf16), out += text;
    out += "\n  GB/s      read    write     copy    triad\n";
    for (int i = 0; i < kLevels; ++i) {
      const Streams& s = c.level[i];
      std::snprintf(text, sizeof text, "  %-4s  %8.1f %8.1f %8.1f %8.1f\n", name(static_cast<Level>(i)), s.read,
                    s.write, s.copy, s.triad);
      out += text;
    }
  }
  return out;
}

}  // namespace tapedeck::bench
#endif
