#include <gtest/gtest.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/philox.h>
#include <tapedeck/tensor/random.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <limits>
#include <mutex>
#include <numeric>
#include <thread>

#include "io/throws.h"

namespace tapedeck {
namespace {

Tensor counting(const Shape& shape) {
  std::vector<float> v(static_cast<std::size_t>(shape.numel()));
  std::iota(v.begin(), v.end(), 0.f);
  return tensor(v, shape);
}

TEST(Tensor, HandleIsOnePointerAndSharesTheStorage) {
  static_assert(sizeof(Tensor) == sizeof(void*));
  const Tensor a = counting({2, 3});
  const Tensor b = a;
  EXPECT_TRUE(a.shares_storage(b));
  EXPECT_EQ(a.data(), b.data());
  EXPECT_EQ(a.numel(), 6);
  EXPECT_EQ(a.size(-1), 3);
  EXPECT_EQ(describe(a), "f32[2,3] cpu");
}

TEST(Tensor, EmptyAndZeroDimensionalAreLegal) {
  EXPECT_EQ(empty({3, 0, 2}).numel(), 0);
  EXPECT_TRUE(empty({3, 0, 2}).to_vector<float>().empty());
  EXPECT_EQ(scalar(2.5).dim(), 0);
  EXPECT_EQ(scalar(2.5).item(), 2.5);
  EXPECT_TRUE(std::signbit(full({1}, -0.0).item()));
}

TEST(Tensor, BadShapesAreErrorsThatNameTheNumbers) {
  EXPECT_EQ(error_of<ShapeError>([] { empty({2, -1}); }), "shape: sizes must be >= 0, got [2,-1]");
  EXPECT_NE(error_of<ShapeError>([] { empty({1LL << 40, 1LL << 40}); }).find("too many elements"), std::string::npos);
  EXPECT_NE(error_of<MemoryError>([] { empty({1LL << 55}); }).find("refused"), std::string::npos);
  EXPECT_EQ(error_of<ShapeError>([] { counting({2}).item(); }), "item: needs exactly one element; x f32[2] cpu");
  EXPECT_EQ(error_of<DTypeError>([] { counting({2}).data<double>(); }), "data: asked for f64 elements of f32[2] cpu");
  EXPECT_NE(error_of<ValueError>([] { tensor(std::vector<float>(3), {2, 2}); }).find("3 values"), std::string::npos);
}

// More than there is at the moment, though no more than the machine has: refused, before anything is written to it.
TEST(Tensor, MemoryThatIsNotThereIsRefused) {
  std::ifstream file("/proc/meminfo");
  std::int64_t all = 0, kib = 0;
  bool known = false;
  for (std::string name, line; file >> name >> kib; std::getline(file, line)) {
    known = known || name == "MemAvailable:";
    if (name == "MemTotal:" || name == "SwapTotal:") all += kib * 1024;
  }
  if (!known) GTEST_SKIP() << "the system does not say what is there";
  EXPECT_NE(error_of<MemoryError>([&] { empty({all / 1000 * 999 / 4}); }).find("refused"), std::string::npos);
}

TEST(Tensor, IntegersAreShownWhole) {
  const std::vector<std::int64_t> v{std::numeric_limits<std::int64_t>::max(), (std::int64_t{1} << 53) + 1, -7};
  EXPECT_EQ(to_string(tensor(v, {3})), "i64[3] cpu {9223372036854775807, 9007199254740993, -7}");
}

TEST(Views, ShareMemoryAndFollowStrides) {
  const Tensor x = counting({4, 6});
  const Tensor t = detail::transpose(x, 0, 1);
  EXPECT_EQ(t.sizes(), (Shape{6, 4}));
  EXPECT_FALSE(t.is_contiguous());
  EXPECT_EQ(t.to_vector<float>()[1], 6.f);
  const Tensor s = detail::slice(x, 1, 1, 6, 2);
  EXPECT_EQ(s.to_vector<float>(), (std::vector<float>{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23}));
  EXPECT_EQ(detail::select(x, 0, -1).to_vector<float>()[0], 18.f);
  EXPECT_EQ(detail::expand(detail::narrow(x, 1, 2, 1), {4, 3}).to_vector<float>()[2], 2.f);
  const Tensor u = detail::unfold(counting({5}), 0, 3, 1);
  EXPECT_EQ(u.to_vector<float>(), (std::vector<float>{0, 1, 2, 1, 2, 3, 2, 3, 4}));
  for (const Tensor& v : {t, s, u}) EXPECT_TRUE(v.defined());
  EXPECT_TRUE(x.shares_storage(s));
  EXPECT_EQ(detail::slice(x, 0, -100, 100).sizes(), x.sizes());
  EXPECT_EQ(detail::slice(x, 0, 3, 1).numel(), 0);
}

TEST(Views, ReshapeIsAViewWhenStridesAllowIt) {
  const Tensor x = counting({2, 3, 4});
  EXPECT_EQ(detail::try_reshape(x, {6, -1}).sizes(), (Shape{6, 4}));
  const Tensor front = detail::narrow(x, 2, 0, 2);  // rows keep their distance: the first two dimensions still merge
  const Tensor merged = detail::try_reshape(front, {6, 2});
  ASSERT_TRUE(merged.defined());
  EXPECT_EQ(merged.to_vector<float>(), front.to_vector<float>());
  EXPECT_FALSE(detail::try_reshape(detail::transpose(x, 0, 1), {6, 4}).defined());
  const Tensor split = detail::try_reshape(detail::transpose(x, 0, 2), {2, 2, 3, 2});
  ASSERT_TRUE(split.defined());
  EXPECT_EQ(split.to_vector<float>(), detail::transpose(x, 0, 2).to_vector<float>());
  EXPECT_TRUE(detail::try_reshape(counting({1, 3, 1}), {3}).defined());
  EXPECT_NE(error_of<ShapeError>([&] { detail::try_reshape(x, {5, -1}); }).find("24 elements"), std::string::npos);
  EXPECT_NE(error_of<ShapeError>([&] { detail::try_reshape(x, {-1, -1}); }).find("at most one"), std::string::npos);
}

TEST(Views, OutOfRangeIsAnError) {
  const Tensor x = counting({4, 6});
  EXPECT_EQ(error_of<ShapeError>([&] { detail::narrow(x, 1, 4, 3); }),
            "narrow: [4, 4+3) is outside dimension 1; x f32[4,6] cpu");
  EXPECT_NE(error_of<ShapeError>([&] { detail::select(x, 0, 4); }).find("index 4"), std::string::npos);
  EXPECT_NE(error_of<ShapeError>([&] { detail::transpose(x, 0, 2); }).find("outside [-2, 2)"), std::string::npos);
  EXPECT_NE(error_of<ShapeError>([&] { detail::expand(x, {4, 7}); }).find("cannot become 7"), std::string::npos);
  const int twice[] = {0, 0};
  EXPECT_NE(error_of<ValueError>([&] { detail::permute(x, twice); }).find("given twice"), std::string::npos);
}

TEST(Views, SizesThatOverflowAreErrors) {
  const std::int64_t huge = std::int64_t{1} << 32, most = std::numeric_limits<std::int64_t>::max();
  EXPECT_THROW(detail::try_reshape(zeros({0}), {huge, huge}), ShapeError);  // the product is 0 modulo 2^64
  EXPECT_THROW(detail::expand(zeros({1, 1}), {huge, huge}), ShapeError);
  EXPECT_THROW(detail::unfold(detail::expand(zeros({1}), {huge}), 0, huge / 2, 1), ShapeError);
  EXPECT_EQ(detail::slice(tensor({1, 2, 3}), 0, 1, most, most).to_vector<float>(), std::vector<float>{2});
  EXPECT_EQ(detail::unfold(tensor({1, 2, 3}), 0, 2, most).to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(Tensor, ATensorWithoutElementsIsContiguous) {
  EXPECT_TRUE(zeros({3, 0}).is_contiguous());
  EXPECT_NO_THROW(zeros({3, 0}).fill_from({}));
}

TEST(Tensor, UsingAnUndefinedOneIsAnError) {
  const Tensor none;
  EXPECT_THROW(none.dim(), ValueError);
  EXPECT_THROW(none.numel(), ValueError);
  EXPECT_THROW(none.item(), ValueError);
  EXPECT_THROW(none.grad(), ValueError);
  EXPECT_THROW(none.is_contiguous(), ValueError);
  EXPECT_THROW(none.set_requires_grad(true), ValueError);
  EXPECT_FALSE(none.view().given());
}

TEST(Tensor, FullRefusesWhatTheElementTypeCannotHold) {
  EXPECT_THROW(full({2}, 2.5, {DType::i64}), DTypeError);
  EXPECT_THROW(full({2}, std::nan(""), {DType::i64}), DTypeError);
  EXPECT_THROW(full({2}, 0x1p63, {DType::i64}), DTypeError);
  EXPECT_THROW(full({2}, 0x1p31, {DType::i32}), DTypeError);
  EXPECT_THROW(full({2}, 256, {DType::u8}), DTypeError);
  EXPECT_EQ(full({1}, -0x1p63, {DType::i64}).item(), -0x1p63);
}

TEST(Tensor, AGradientBufferMustBeContiguous) {
  const Tensor x = zeros({2});
  EXPECT_THROW(x.set_grad_buffer(detail::expand(zeros({1}), {2})), ShapeError);
}

TEST(Views, OverlapIsSeen) {
  const Tensor x = zeros({4, 3});
  EXPECT_FALSE(detail::overlaps_itself(detail::transpose(x, 0, 1)));
  EXPECT_FALSE(detail::overlaps_itself(detail::slice(x, 0, 0, 4, 2)));
  EXPECT_FALSE(detail::overlaps_itself(detail::unfold(x, 0, 2, 2)));
  EXPECT_TRUE(detail::overlaps_itself(detail::unfold(x, 0, 2, 1)));
  EXPECT_TRUE(detail::overlaps_itself(detail::expand(zeros({1}), {2})));
  EXPECT_TRUE(detail::overlap(detail::narrow(x, 0, 0, 2), detail::narrow(x, 0, 1, 2)));
  EXPECT_FALSE(detail::overlap(detail::narrow(x, 0, 0, 2), detail::narrow(x, 0, 2, 2)));
}

TEST(Shapes, Broadcast) {
  EXPECT_EQ(broadcast_shapes("add", {3, 1}, {4}), (Shape{3, 4}));
  EXPECT_EQ(broadcast_shapes("add", {}, {2, 0}), (Shape{2, 0}));
  EXPECT_EQ(broadcast_shapes("add", {1}, {0}), (Shape{0}));
  EXPECT_NE(error_of<ShapeError>([] { broadcast_shapes("add", {3}, {4}); }).find("[3] and [4]"), std::string::npos);
}

TEST(Storage, VersionsAndAliases) {
  const Tensor arena = zeros({8});
  const Tensor a = detail::alias(arena, 0, {2, 2}), b = detail::alias(arena, 4, {4});
  const float ones[] = {1, 1, 1, 1};
  b.fill_from(std::as_bytes(std::span(ones)));
  EXPECT_EQ(a.version(), 0u) << "writing one parameter must not touch another's version";
  EXPECT_EQ(b.version(), 1u);
  EXPECT_EQ(arena.to_vector<float>(), (std::vector<float>{0, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_THROW(detail::alias(arena, 6, {3}), ValueError);
  Tensor alone;
  {
    const Tensor owner = full({3}, 7);
    alone = detail::alias(owner, 1, {2});
  }
  EXPECT_EQ(alone.to_vector<float>(), (std::vector<float>{7, 7})) << "an alias keeps its owner alive";
}

#ifndef TAPEDECK_SANITIZED
TEST(Allocator, ReusesBlocksAndCounts) {
  { const Tensor warm = empty({3000}); }
  const MemoryStats before = memory_stats();
  for (int i = 0; i < 100; ++i) const Tensor t = empty({3000});
  const MemoryStats after = memory_stats();
  EXPECT_EQ(after.device_allocations, before.device_allocations);
  EXPECT_EQ(after.allocations, before.allocations + 100);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  const Tensor large = empty({3 << 20});
  EXPECT_EQ(memory_stats().live_bytes - before.live_bytes, 12 << 20);
}
#endif

TEST(Allocator, LiveBytesReturnToWhatTheyWereAcrossThreads) {
  const std::int64_t before = memory_stats().live_bytes;
  {
    Tensor t;
    std::thread([&] { t = counting({100}); }).join();
    std::thread([moved = std::move(t)] { EXPECT_EQ(moved.numel(), 100); }).join();
  }
  EXPECT_EQ(memory_stats().live_bytes, before);
}

TEST(Allocator, PeakIsThatOfTheWholeLife) {
  { const Tensor warm = empty({1000}); }
  reset_peak_memory();
  const MemoryStats before = memory_stats();
  EXPECT_EQ(before.peak_live_bytes, before.live_bytes);
  {
    const Tensor a = empty({1000}), b = empty({1000}), large = empty({1 << 20});
    EXPECT_EQ(memory_stats().live_blocks, before.live_blocks + 3);
  }
  const MemoryStats after = memory_stats();
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(after.live_blocks, before.live_blocks);
  EXPECT_GE(after.peak_live_bytes - before.live_bytes, (4 << 20) + 8000);
  EXPECT_LE(after.peak_live_bytes - before.live_bytes, (4 << 20) + 8192);
  const std::int64_t peak = after.peak_live_bytes;
  { const Tensor small = empty({10}); }
  EXPECT_EQ(memory_stats().peak_live_bytes, peak);
}

TEST(Allocator, CountsWhatThreadsThatEndedDid) {
  const MemoryStats before = memory_stats();
  std::atomic<std::int64_t> seen{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        const Tensor x = empty({i % 50 + 1}), y = empty({20000 * (i % 100 == 0)});
        if (i % 100 == 0) seen += memory_stats().live_bytes > 0;  // asked for while others work
      }
    });
  for (std::thread& t : threads) t.join();
  const MemoryStats after = memory_stats();
  EXPECT_EQ(after.allocations, before.allocations + 8000);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(after.live_blocks, before.live_blocks);
  EXPECT_EQ(seen.load(), 40);
}

TEST(DTypes, HalfConversionsAreExactBothWays) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const Float16 h{static_cast<std::uint16_t>(bits)};
    const BFloat16 b{static_cast<std::uint16_t>(bits)};
    if (!std::isnan(h.to_float()))
      EXPECT_EQ(Float16::from(h.to_float()).bits, bits);
    else
      EXPECT_TRUE(std::isnan(Float16::from(h.to_float()).to_float()));
    if (!std::isnan(b.to_float()))
      EXPECT_EQ(BFloat16::from(b.to_float()).bits, bits);
    else
      EXPECT_TRUE(std::isnan(BFloat16::from(b.to_float()).to_float()));
  }
}

TEST(DTypes, HalfRoundsToNearestEven) {
  // Every tie and its neighbours between two halves, against the definition.
  for (std::uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const double low = Float16{static_cast<std::uint16_t>(bits)}.to_float();
    const double high = Float16{static_cast<std::uint16_t>(bits + 1)}.to_float();
    const auto middle = static_cast<float>((low + high) / 2);
    EXPECT_EQ(Float16::from(middle).bits, bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(Float16::from(std::nextafter(middle, 0.f)).bits, bits);
    EXPECT_EQ(Float16::from(std::nextafter(middle, 1e9f)).bits, bits + 1);
  }
  EXPECT_EQ(Float16::from(65519.996f).bits, 0x7bff);
  EXPECT_EQ(Float16::from(65520.f).bits, 0x7c00);
}

TEST(Devices, NamesAndAbsentCuda) {
  EXPECT_EQ(parse_device("cpu"), kCpu);
  EXPECT_NE(error_of<ValueError>([] { parse_device("tpu"); }).find("\"tpu\""), std::string::npos);
  if (device_count(DeviceType::cuda) == 0) {
    EXPECT_THROW(parse_device("cuda"), DeviceError);
  }
}

TEST(Parallel, EveryIndexOnceWithTheSameChunksForAnyThreadCount) {
  std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>> seen;
  const int before = num_threads();
  for (const int threads : {1, 2, 4}) {
    set_num_threads(threads);
    std::vector<std::atomic<int>> hits(1003);
    std::mutex mutex;
    std::vector<std::pair<std::int64_t, std::int64_t>> chunks;
    parallel_for(1003, 10, [&](std::int64_t b, std::int64_t e) {
      for (std::int64_t i = b; i < e; ++i) hits[static_cast<std::size_t>(i)]++;
      const std::lock_guard lock(mutex);
      chunks.emplace_back(b, e);
    });
    for (auto& h : hits) EXPECT_EQ(h.load(), 1);
    std::sort(chunks.begin(), chunks.end());
    seen.push_back(chunks);
  }
  set_num_threads(before);
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_EQ(seen[0], seen[2]);
}

// Threads of a host: at once, one after another, backwards, or fewer than were asked for. The chunks are the same.
TEST(Parallel, RunsOnAHostsThreads) {
  const int before = num_threads();
  set_num_threads(3);
  std::atomic<int> calls{0};
  const std::vector<Executor> hosts = {[&](int n, FunctionRef<void(int)> task) {
                                         std::vector<std::thread> threads;
                                         for (int i = 0; i < n; ++i) threads.emplace_back([task, i] { task(i); });
                                         for (auto& t : threads) t.join();
                                         ++calls;
                                       },
                                       [&](int n, FunctionRef<void(int)> task) {
                                         for (int i = n - 1; i >= 0; --i) task(i);
                                         ++calls;
                                       },
                                       [&](int, FunctionRef<void(int)>) { ++calls; }};
  for (const Executor& host : hosts) {
    set_executor(host);
    calls = 0;
    std::vector<std::atomic<int>> met(1003);
    parallel_for(1003, 10, [&](std::int64_t b, std::int64_t e) {
      EXPECT_EQ(b % 10, 0);
      parallel_for(e - b, 1, [&](std::int64_t c, std::int64_t d) {  // nested: inline
        for (std::int64_t k = c; k < d; ++k) ++met[static_cast<std::size_t>(b + k)];
      });
    });
    for (const auto& m : met) ASSERT_EQ(m, 1);
    EXPECT_EQ(calls, 1);
    EXPECT_THROW(parallel_for(100, 1, [](std::int64_t b, std::int64_t) { TD_CHECK(b < 40, ValueError, "chunk"); }),
                 ValueError);
    EXPECT_THROW(parallel_for(4, 1, [](std::int64_t, std::int64_t) { set_executor({}); }), ValueError);
    EXPECT_EQ(calls, 3);
  }
  set_executor({});
  parallel_for(1003, 10, [](std::int64_t, std::int64_t) {});
  EXPECT_EQ(calls, 3);
  set_num_threads(before);
}

TEST(Parallel, ErrorsNestingAndManyCallers) {
  const int before = num_threads();
  set_num_threads(3);
  EXPECT_EQ(error_of<ValueError>([] {
              parallel_for(100, 1, [](std::int64_t b, std::int64_t) { TD_CHECK(b < 40, ValueError, "chunk ", b); });
            }),
            "chunk 40");
  std::atomic<int> total{0};
  parallel_for(8, 1, [&](std::int64_t, std::int64_t) {
    parallel_for(10, 1, [&](std::int64_t b, std::int64_t e) { total += static_cast<int>(e - b); });
  });
  EXPECT_EQ(total.load(), 80);
  total = 0;
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i)
        parallel_for(50, 5, [&](std::int64_t b, std::int64_t e) { total += static_cast<int>(e - b); });
    });
  for (auto& c : callers) c.join();
  EXPECT_EQ(total.load(), 4 * 200 * 50);
  set_num_threads(before);
  EXPECT_THROW(set_num_threads(0), ValueError);
}

// Workers sleep between jobs, or have missed one that was over before they woke up: the next one still wakes them.
TEST(Parallel, SleepingWorkersAreWoken) {
  const int before = num_threads();
  set_num_threads(2);
  for (int round = 0; round < 20; ++round) {
    parallel_for(2, 1, [](std::int64_t, std::int64_t) {});
    std::this_thread::sleep_for(std::chrono::milliseconds(2));                              // asleep by now
    for (int i = 0; i < round; ++i) parallel_for(2, 1, [](std::int64_t, std::int64_t) {});  // done before it is awake
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 3));
    std::atomic<int> here{0};
    std::atomic<bool> met{true};
    parallel_for(2, 1, [&](std::int64_t, std::int64_t) {  // each chunk waits for the other one
      ++here;
      const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (here < 2 && std::chrono::steady_clock::now() < patience) std::this_thread::yield();
      if (here < 2) met = false;
    });
    ASSERT_TRUE(met) << "round " << round;
  }
  set_num_threads(before);
}

TEST(Parallel, TheThreadCountMayChangeWhileOthersWork) {
  const int threads = num_threads();
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 2; ++t) {
    callers.emplace_back([&] {
      while (!stop) {
        std::atomic<std::int64_t> sum{0};
        parallel_for(100, 7, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
        if (sum != 100) ++wrong;
      }
    });
  }
  for (int i = 0; i < 60; ++i) set_num_threads(1 + i % 3);
  stop = true;
  for (auto& c : callers) c.join();
  EXPECT_EQ(wrong, 0);
  set_num_threads(2);
  EXPECT_THROW(parallel_for(4, 1, [](std::int64_t, std::int64_t) { set_num_threads(1); }), ValueError);
  EXPECT_EQ(num_threads(), 2);
  parallel_for(3, std::numeric_limits<std::int64_t>::max(),
               [](std::int64_t begin, std::int64_t end) { EXPECT_EQ(end - begin, 3); });
  set_num_threads(threads);
}

TEST(Philox, KnownAnswers) {  // vectors of the Random123 distribution
  const Philox4 zero = philox(0, 0, 0), ones = philox(~0ull, ~0ull, ~0ull);
  EXPECT_EQ(zero.word[0], 0x6627e8d5u);
  EXPECT_EQ(zero.word[3], 0x9b00dbd8u);
  EXPECT_EQ(ones.word[0], 0x408f276du);
  EXPECT_EQ(ones.word[3], 0x6d5451fdu);
  const Philox4 pi = philox(0x299f31d0a4093822ull, 0x85a308d3243f6a88ull, 0x0370734413198a2eull);
  EXPECT_EQ(pi.word[0], 0xd16cfe09u);
  EXPECT_EQ(pi.word[1], 0x94fdccebu);
  EXPECT_EQ(pi.word[2], 0x5001e420u);
  EXPECT_EQ(pi.word[3], 0x24126ea1u);
}

TEST(RandomScope, KeysDependOnSeedStepPathOpAndDraw) {
  auto key = [](std::uint64_t seed, std::uint64_t step, std::uint64_t path, const char* op, int draw) {
    const RandomScope scope(seed, step);
    const RandomPath inside(path);
    std::uint64_t k = 0;
    for (int i = 0; i <= draw; ++i) k = next_stream(op, 1).key;
    return k;
  };
  const std::uint64_t base = key(1, 2, 3, "dropout", 0);
  EXPECT_EQ(base, key(1, 2, 3, "dropout", 0));
  EXPECT_NE(base, key(2, 2, 3, "dropout", 0));
  EXPECT_NE(base, key(1, 3, 3, "dropout", 0));
  EXPECT_NE(base, key(1, 2, 4, "dropout", 0));
  EXPECT_NE(base, key(1, 2, 3, "rand", 0));
  EXPECT_NE(base, key(1, 2, 3, "dropout", 1));
}

TEST(RandomScope, RowIdsApplyToTheBatchAndStateReplays) {
  const RandomScope scope(1, 1, {40, 41});
  EXPECT_EQ(next_stream("a", 2).row(1), 41u);
  EXPECT_EQ(next_stream("a", 3).row(1), 1u);
  const RandomState state = RandomState::capture();
  const std::uint64_t first = next_stream("a", 2).key;
  EXPECT_NE(first, next_stream("a", 2).key);
  state.restore();
  EXPECT_EQ(first, next_stream("a", 2).key);
}

TEST(RandomScope, OutsideAScopeAGeneratorCountsDraws) {
  manual_seed(5);
  const std::uint64_t a = next_stream("rand", 1).key, b = next_stream("rand", 1).key;
  EXPECT_NE(a, b);
  manual_seed(5);
  EXPECT_EQ(a, next_stream("rand", 1).key);
}

}  // namespace
}  // namespace tapedeck
