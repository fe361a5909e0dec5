// Kernels that lack a barrier, a fence or a wait: each race is reported, in any order of the threads; nothing is when
// what is missing is there.
#define TAPEDECK_EMULATED
#include <gtest/gtest.h>
#include <tapedeck/kernels/cuda/tensor_core.h>

#include <string>
#include <utility>

#include "cuda/emulated_memory.h"

#ifdef TAPEDECK_RACES
namespace tapedeck::kernels::cuda_emulated {
namespace {

constexpr int kThreads = 96;
float* device;     // memory of the device
unsigned* counts;  // the same, zeros
std::string reports;

float* shared() { return static_cast<float*>(emulation::dynamic_shared()); }
int me() { return static_cast<int>(threadIdx.x); }
int my_block() { return static_cast<int>(blockIdx.x); }

// Calls of `kernel` that reported something, of so many.
constexpr int kCalls = 9;
struct Form {
  unsigned blocks = 1, threads = kThreads;
  emulation::Together together = {};
};
template <class F>
int reporting(const Form& form, const char* memory, F kernel) {
  const auto usual = std::exchange(emulation::on_violation, [](const std::string& text) { reports += text; });
  device = static_cast<float*>(emulation::allocate(0, 4096 * sizeof(float)));
  counts = reinterpret_cast<unsigned*>(device + 2048);
  int out = 0;
  for (int i = 0; i < kCalls; ++i) {
    emulation::races::forget(), reports.clear();
    {
      const emulation::OpenMemory open;
      for (int k = 0; k < 64; ++k) counts[k] = 0;
    }
    emulation::run({form.blocks, 1, 1}, {form.threads, 1, 1}, 8192, form.together, kernel);
    if (reports.find(std::string("a race for ") + memory + " memory: ") != std::string::npos) ++out;
  }
  emulation::release(0, device);
  emulation::on_violation = usual;
  return out;
}
#define EXPECT_RACE(form, memory, kernel)                                \
  EXPECT_EQ(reporting(form, memory, kernel<true>), 0) << reports;        \
  EXPECT_EQ(reporting(form, memory, kernel<false>), kCalls) << "missed"; \
  EXPECT_NE(reports.find("races_test.cpp:"), std::string::npos) << reports

template <bool kRight>
void handed_over() {
  __shared__ float row[kThreads];
  row[me()] = 1;
  if (kRight) __syncthreads();
  device[me()] = row[kThreads - 1 - me()];
}
template <bool kRight>
void overwritten() {
  float* const row = shared();
  row[me()] = 1;
  __syncthreads();
  const float v = row[(me() + 1) % kThreads];
  if (kRight) __syncthreads();
  row[me()] = v + 1;
}
template <bool kRight>
void handed_over_in_the_warp() {
  float* const row = shared();
  row[me()] = 1;
  if (kRight) __syncwarp();
  device[me()] = row[me() ^ 1];
}
template <bool kRight>
void handed_over_behind_a_shuffle() {
  float* const row = shared();
  row[me()] = 1;
  if (__shfl_xor_sync(kAllLanes, 1, 1) != 1 || __ballot_sync(kAllLanes, 1) == 0 || __any_sync(kAllLanes, 0)) return;
  if (kRight) __syncwarp();
  device[me()] = row[me() ^ 1];
}
template <bool kRight>
void handed_to_another_warp() {
  float* const row = shared();
  row[me()] = 1;
  __syncwarp();
  if (kRight) __syncthreads();
  device[me()] = row[(me() + 32) % kThreads];
}
TEST(Races, OfSharedMemory) {
  EXPECT_RACE(Form{}, "shared", handed_over);
  EXPECT_RACE(Form{}, "shared", overwritten);
  EXPECT_RACE(Form{}, "shared", handed_over_in_the_warp);
  EXPECT_RACE(Form{}, "shared", handed_over_behind_a_shuffle);
  EXPECT_RACE(Form{}, "shared", handed_to_another_warp);
  EXPECT_RACE(Form{.blocks = 3}, "shared", overwritten);
}

template <bool kRight>
void met_at_a_barrier_of_some() {
  float* const row = shared();
  row[me()] = 1;
  if (me() < 64) emulation::wait_some(1, 64);
  if (me() < 64) device[me()] = row[kRight ? 63 - me() : kThreads - 1 - me()];
}
template <bool kRight>
void passed_on_by_a_warp() {  // the third warp knows of the first through the second
  float* const row = shared();
  if (me() < 32) row[me()] = 1;
  if (me() < 64) emulation::wait_some(1, 64);
  if (kRight && me() >= 32 && me() < 64) __syncwarp();
  if (kRight ? me() >= 32 : me() >= 64) kRight ? emulation::wait_some(2, 64) : __syncwarp();
  if (me() >= 64) device[me()] = row[me() - 64];
}
TEST(Races, OfNamedBarriers) {
  EXPECT_RACE(Form{}, "shared", met_at_a_barrier_of_some);
  EXPECT_RACE(Form{}, "shared", passed_on_by_a_warp);
}

template <bool kRight>
void written_by_two_blocks() {
  if (me() == 0) device[kRight ? my_block() : 0] = 1;
}
template <bool kRight>
void written_by_many_blocks() {  // after a barrier, by threads that differ
  __syncthreads();
  if (me() == my_block()) device[kRight ? my_block() : 7] = 1;
}
template <bool kRight>
void read_by_another_block() {
  device[my_block() * kThreads + me()] = 1;
  __syncthreads();
  const float v = device[(kRight ? my_block() : 1) * kThreads + me()];
  if (v != 1) shared()[me()] = v;
}
template <bool kRight>
void written_within_a_block() {
  device[me()] = 1;
  if (kRight) __syncthreads();
  device[kThreads - 1 - me()] = 2;
}
template <bool kRight>
void neighbours_of_two_bytes() {
  auto* const row = reinterpret_cast<std::uint16_t*>(device);
  row[me() + (kRight ? 0 : my_block() * 95)] = 1;
}
TEST(Races, OfDeviceMemory) {
  EXPECT_RACE(Form{.blocks = 2}, "device", written_by_two_blocks);
  EXPECT_RACE(Form{.blocks = 50}, "device", written_by_many_blocks);
  EXPECT_RACE((Form{.blocks = 3, .together = {true}}), "device", written_by_two_blocks);
  EXPECT_RACE(Form{.blocks = 3}, "device", read_by_another_block);
  EXPECT_RACE(Form{}, "device", written_within_a_block);
  EXPECT_EQ(reporting({}, "device", neighbours_of_two_bytes<true>), 0) << reports;
  EXPECT_EQ(reporting({.blocks = 2}, "device", neighbours_of_two_bytes<false>), kCalls) << "a half that both wrote";
}

// Fences before the flag and behind it.
template <bool kBefore, bool kBehind>
void flagged() {
  if (my_block() == 0) {
    device[me()] = 1;
    __syncwarp();
    if (me() != 0) return;
    if (kBefore) __threadfence();
    atomicExch(counts, 1u);
  } else {
    while (*static_cast<volatile unsigned*>(counts) == 0) __nanosleep(100);
    if (kBehind) __threadfence();
    device[me() + 64] = device[me()];
  }
}
// The last block to arrive adds what all wrote.
template <bool kRight>
void added_by_the_last() {
  unsigned* const ticket = reinterpret_cast<unsigned*>(shared());
  device[my_block() * kThreads + me()] = 1;
  __syncthreads();
  if (me() == 0) {
    if (kRight) __threadfence();
    *ticket = atomicAdd(counts, 1u);
    if (kRight) __threadfence();
  }
  __syncthreads();
  if (*ticket + 1 < gridDim.x) return;
  float sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += device[static_cast<int>(b) * kThreads + me()];
  device[1024 + me()] = sum;
}
template <bool kRight>
void fenced_for_the_block_alone() {
  if (my_block() == 0) {
    device[me()] = 1;
    kRight ? __threadfence() : __threadfence_block();
    atomicAdd(counts, 1u);
  } else {
    while (*static_cast<volatile unsigned*>(counts) < 32) __nanosleep(100);
    __threadfence();
    device[me() + 64] = device[me()];
  }
}
TEST(Races, OfFences) {
  const Form pair{.blocks = 2, .threads = 32, .together = {true}};
  const auto reports_of = [&](auto kernel) { return reporting(pair, "device", kernel); };
  EXPECT_EQ(reports_of(flagged<true, true>), 0) << reports;
  EXPECT_EQ(reports_of(flagged<false, true>), kCalls);
  EXPECT_EQ(reports_of(flagged<true, false>), kCalls);
  EXPECT_RACE(Form{.blocks = 4}, "device", added_by_the_last);
  EXPECT_RACE(pair, "device", fenced_for_the_block_alone);
}

template <bool kRight>
void counted() {
  atomicAdd(counts + me() % 3, 1u);
  atomicMax(counts + 3, static_cast<unsigned>(me()));
  if (kRight) __syncthreads();
  if (me() == 5) device[0] = static_cast<float>(counts[kRight ? 1 : 3]);
}
template <bool kRight>
void polled() {  // values that carry all that is to be known
  auto* const box = reinterpret_cast<std::uint64_t*>(shared());
  if (me() < 32) box[me()] = 0;
  if (kRight) __syncthreads();
  if (me() < 32) emulation::strong_store(box + me(), std::uint64_t{7});
  if (me() < 32 || me() >= 64) return;
  while (emulation::strong_load(box + me() - 32) != 7) __nanosleep(100);
}
TEST(Races, OfAtomics) {
  EXPECT_RACE(Form{}, "device", counted);
  EXPECT_RACE(Form{}, "shared", polled);
}

template <bool kRight>
void read_before_it_was_waited_for() {
  float* const row = shared() + 4 * me();
  cores::copy_16(cores::spot(row), device + 4 * me(), true);
  cores::close_copies();
  if (kRight) cores::wait_copies<0>();
  const float v = row[1];
  cores::wait_copies<0>();
  device[1024 + me()] = v;
}
template <bool kRight>
void read_by_others_without_a_barrier() {
  float* const row = shared();
  cores::copy_16(cores::spot(row + 4 * me()), device + 4 * me(), true);
  cores::close_copies();
  if (!kRight) __syncthreads();
  cores::wait_copies<0>();
  if (kRight) __syncthreads();
  device[1024 + me()] = row[4 * ((me() + 1) % kThreads)];
}
template <bool kRight>
void overwritten_by_a_copy() {
  float* const row = shared();
  row[4 * me()] = 1;
  __syncthreads();
  device[1024 + me()] = row[4 * ((me() + 1) % kThreads)];
  if (kRight) __syncthreads();
  cores::copy_16(cores::spot(row + 4 * me()), nullptr, false);
  cores::close_copies();
  cores::wait_copies<0>();
}
template <bool kRight>
void source_overwritten() {
  cores::copy_16(cores::spot(shared() + 4 * me()), device + 4 * me(), true);
  cores::close_copies();
  if (kRight) cores::wait_copies<0>();
  device[4 * me() + 2] = 1;
  cores::wait_copies<0>();
}
TEST(Races, OfCopiesInTheBackground) {
  EXPECT_RACE(Form{}, "shared", read_before_it_was_waited_for);
  EXPECT_RACE(Form{}, "shared", read_by_others_without_a_barrier);
  EXPECT_RACE(Form{}, "shared", overwritten_by_a_copy);
  EXPECT_RACE(Form{}, "device", source_overwritten);
}

template <bool kRight>
void read_from_a_neighbour() {
  float* const row = shared();
  row[me()] = 1;
  kRight ? emulation::wait_cluster() : __syncthreads();
  const unsigned mine = blockIdx.x, other = mine ^ 1u;
  device[my_block() * kThreads + me()] = static_cast<float*>(emulation::shared_of(other, row))[me()];
}
template <bool kRight>
void read_from_another_cluster() {  // by way of device memory
  device[my_block() * kThreads + me()] = 1;
  emulation::wait_cluster();
  const float v = device[(my_block() ^ (kRight ? 1 : 2)) * kThreads + me()];
  if (v != 1) shared()[me()] = v;
}
TEST(Races, OfClusters) {
  EXPECT_RACE((Form{.blocks = 4, .together = {false, 2}}), "shared", read_from_a_neighbour);
  EXPECT_RACE((Form{.blocks = 4, .together = {false, 2}}), "device", read_from_another_cluster);
}

}  // namespace
}  // namespace tapedeck::kernels::cuda_emulated
#endif
