// Libraries that may be missing.
#include <gtest/gtest.h>
#include <tapedeck/kernels/cuda/library.h>

namespace tapedeck::kernels::cuda {
namespace {

TEST(Library, TheFirstThatIsThereOrNone) {
  double (*cosine)(double) = nullptr;
  const Library math({"libno_such_thing.so.1", "libm.so.6"});
  ASSERT_TRUE(math.found());
  ASSERT_TRUE(math.find("cos", &cosine));
  EXPECT_EQ(cosine(0), 1);
  EXPECT_FALSE(math.find("no_such_function", &cosine));
  EXPECT_EQ(cosine, nullptr);

  const Library none({"libno_such_thing.so.1"});
  EXPECT_FALSE(none.found());
  EXPECT_FALSE(none.find("cos", &cosine));
  EXPECT_FALSE(Library({}).found());
}

}  // namespace
}  // namespace tapedeck::kernels::cuda
