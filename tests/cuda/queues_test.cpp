// What runs beside the kernels: uploads through pinned memory, and the batches of training. The emulated device does
// copies as late as it may, or as early (emulated_queues.h), so that a wait that is missing shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/upload.h>
#include <tapedeck/train/optim.h>

#include <optional>
#include <string>
#include <vector>

#include "emulated_memory.h"
#include "emulated_queues.h"
#include "io/throws.h"
#include "train/small_run.h"

namespace tapedeck {
namespace {

const Device kCuda{DeviceType::cuda, 0};
const Device kSecond{DeviceType::cuda, 1};

// Another table of queues, or none, while it lives.
class OtherQueues {
 public:
  explicit OtherQueues(std::optional<DeviceQueues> q) : before_(&runtime(DeviceType::cuda)), table_(*before_) {
    if (q) queues_ = *q;
    table_.queues = q ? &queues_ : nullptr;
    set_runtime(DeviceType::cuda, &table_);
  }
  ~OtherQueues() { set_runtime(DeviceType::cuda, before_); }

 private:
  const DeviceRuntime* before_;
  DeviceQueues queues_{};
  DeviceRuntime table_;
};

class Uploads : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { emulation::copies_run_early(GetParam()); }
  void TearDown() override { emulation::copies_run_early(false); }
};
INSTANTIATE_TEST_SUITE_P(CopiesRun, Uploads, testing::Bool(),
                         [](const auto& at) { return at.param ? "early" : "late"; });

std::vector<float> numbers(std::size_t n, float first) {
  std::vector<float> v(n);
  for (std::size_t i = 0; i < n; ++i) v[i] = first + static_cast<float>(i);
  return v;
}
Upload filled(const std::vector<float>& v, Device device = kCuda) {
  Upload u({std::ssize(v)}, {DType::f32, device});
  std::ranges::copy(v, u.host<float>().begin());
  return u;
}

TEST_P(Uploads, ArriveForTheKernelsThatFollow) {
  for (const DType t : {DType::f32, DType::f64, DType::bf16, DType::i64, DType::boolean}) {
    const Tensor x = cast(randint(0, 2, {3, 5, 70}), t);
    Upload u = upload(x, kCuda);
    const Tensor there = clone(u.get());
    EXPECT_EQ(there.device(), kCuda);
    const Tensor back = there.to(kCpu);
    EXPECT_EQ(std::memcmp(x.data(), back.data(), static_cast<std::size_t>(x.numel()) * size_of(t)), 0) << name(t);
  }
  EXPECT_EQ(upload(zeros({0, 3}), kCuda).get().to(kCpu).numel(), 0);
}

TEST_P(Uploads, ReachTheDeviceThatTheyAreFor) {
  if (device_count(DeviceType::cuda) < 2) GTEST_SKIP() << "one device only";
  const std::vector<float> a = numbers(100, 1), b = numbers(100, 500);
  Upload first = filled(a), second = filled(b, kSecond);
  first.start(), second.start();
  EXPECT_EQ((second.get() + 1).to_vector<float>(), numbers(100, 501));
  EXPECT_EQ((first.get() + 1).to_vector<float>(), numbers(100, 2));
}

// Memory that kernels still read when its tensor is gone.
TEST_P(Uploads, WaitForTheKernelsThatUsedTheMemoryBefore) {
  const std::size_t n = 5000;
  Tensor x = tensor(numbers(n, 1), {static_cast<std::int64_t>(n)}).to(kCuda);
  const Tensor y = x * 2;
  const void* const place = x.data();
  x = Tensor();
  Upload u = filled(numbers(n, 70000));
  u.start();
  const Tensor z = u.get() + 1;
  if (emulation::kCached) {
    EXPECT_EQ(u.get().data(), place) << "the test needs the same memory";
  }
  EXPECT_EQ(y.to_vector<float>(), (tensor(numbers(n, 1), {static_cast<std::int64_t>(n)}) * 2).to_vector<float>());
  EXPECT_EQ(z.to_vector<float>(), numbers(n, 70001));
}

// The other way round: memory of a copy that nobody waited for.
TEST_P(Uploads, GiveTheirMemoryBackBehindTheCopy) {
  const std::size_t n = 5000;
  {
    Upload u = filled(numbers(n, 1));
    u.start();
  }
  const Tensor next = zeros({static_cast<std::int64_t>(n)}, {DType::f32, kCuda});
  EXPECT_EQ(next.to_vector<float>(), std::vector<float>(n, 0.0f));
  if (std::string(runtime(DeviceType::cuda).name) == "emulated cuda") emulation::finish(0);
  EXPECT_EQ(next.to_vector<float>(), std::vector<float>(n, 0.0f)) << "the copy came afterwards";
}

TEST_P(Uploads, UsePinnedMemoryAgainWhenItWasRead) {
  runtime(DeviceType::cuda).synchronize(0);
  empty_cache();  // and no other pinned memory is there
  std::vector<Tensor> sums;
  for (int i = 0; i < 5; ++i) {
    Upload u = filled(numbers(300, static_cast<float>(1000 * i)));
    u.start();
    sums.push_back(u.get() + 1);
  }
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(sums[static_cast<std::size_t>(i)].to_vector<float>(), numbers(300, static_cast<float>(1000 * i + 1)));
  runtime(DeviceType::cuda).synchronize(0);
  const std::int64_t pinned = memory_stats(kCuda).pinned_bytes;
  EXPECT_GT(pinned, 0);
  for (int i = 0; i < 20; ++i) EXPECT_EQ((upload(zeros({300}), kCuda).get() + 1).to_vector<float>()[299], 1);
  EXPECT_EQ(memory_stats(kCuda).pinned_bytes, pinned);
  empty_cache();
  EXPECT_EQ(memory_stats(kCuda).pinned_bytes, 0);
}

TEST(Upload, RefusesWhatCannotBeRight) {
  Upload u = filled(numbers(8, 1));
  EXPECT_THROW(static_cast<void>(u.host<double>()), DTypeError);
  u.start();
  EXPECT_THROW(u.start(), ValueError);
  EXPECT_THAT(error_of<ValueError>([&] { static_cast<void>(u.host<float>()); }), testing::HasSubstr("on their way"));
  EXPECT_THROW(static_cast<void>(upload(transpose(randn({2, 3}), 0, 1), kCuda)), ShapeError);
  EXPECT_THROW(static_cast<void>(upload(randn({2, 3}).to(kCuda), kCuda)), ShapeError);
}

TEST(Upload, WithoutQueuesItIsACopy) {
  Upload here = filled(numbers(8, 1), kCpu);
  EXPECT_EQ(here.get().to_vector<float>(), numbers(8, 1));
  const OtherQueues none(std::nullopt);
  EXPECT_EQ(filled(numbers(8, 1)).get().to_vector<float>(), numbers(8, 1));
}

TEST(Upload, WithoutPinnedMemoryItSaysSo) {
  empty_cache();
  DeviceQueues q = *runtime(DeviceType::cuda).queues;
  q.pin = [](int, std::size_t) -> void* { return nullptr; };
  const OtherQueues poor(q);
  const std::int64_t live = memory_stats(kCuda).live_bytes;
  EXPECT_THAT(error_of<MemoryError>([] { static_cast<void>(filled(numbers(8, 1))); }),
              testing::AllOf(testing::HasSubstr("pinned host memory"), testing::HasSubstr("reduce the batch")));
  EXPECT_EQ(memory_stats(kCuda).live_bytes, live);
}

// ---- training -------------------------------------------------------------------------------------------------------
struct Course {
  std::vector<double> bits;
  std::string state;
};
Course course(const std::string& folder, std::int64_t shards) {
  train::RunConfig config = small_config();
  config.train.shards = shards, config.train.max_steps = 6;
  train::Trainer trainer(config, train::build_network(config), sounds_of(folder, config), kCuda);
  Course c;
  while (!trainer.finished()) c.bits.push_back(trainer.advance().bits);
  c.state = state_bytes(trainer);
  return c;
}

TEST_P(Uploads, OfBatchesTrainWithTheSameBits) {
  const TempFolder folder;
  write_sounds(folder.path());
  for (const std::int64_t shards : {1, 2}) {
    const Course ahead = course(folder.path(), shards);
    const OtherQueues none(std::nullopt);
    const Course plain = course(folder.path(), shards);
    EXPECT_EQ(ahead.bits, plain.bits) << shards;
    EXPECT_EQ(ahead.state, plain.state) << shards;
  }
}

// After a restore another batch is wanted than the one that is on its way.
TEST_P(Uploads, OfBatchesFollowARestore) {
  const TempFolder folder, other;
  write_sounds(folder.path());
  train::RunConfig config = small_config();
  const auto make = [&] {
    return train::Trainer(config, train::build_network(config), sounds_of(folder.path(), config), kCuda);
  };
  train::Trainer whole = make(), broken = make();
  for (int i = 0; i < 5; ++i) whole.advance();
  for (int i = 0; i < 2; ++i) broken.advance();
  const auto saved = io::save_checkpoint(other / "checkpoints", broken.step(), broken.checkpoint_files());
  for (int i = 0; i < 2; ++i) broken.advance();
  broken.restore(saved.folder);
  for (int i = 0; i < 3; ++i) broken.advance();
  EXPECT_EQ(state_bytes(broken), state_bytes(whole));
}

}  // namespace
}  // namespace tapedeck
