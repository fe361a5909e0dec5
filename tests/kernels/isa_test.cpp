// The vector instructions can be limited; that results do not depend on them is an assertion of every op case.
#include <gtest/gtest.h>
#include <tapedeck/kernels/isa.h>
#include <tapedeck/tensor/error.h>

namespace tapedeck {
namespace {

using kernels::Isa;

TEST(Isa, IsTheBestUntilChanged) {
  EXPECT_EQ(kernels::isa(), kernels::best_isa());
  kernels::use_isa(Isa::avx2);
  EXPECT_EQ(kernels::isa(), Isa::avx2);
  kernels::use_isa(kernels::best_isa());
  EXPECT_EQ(kernels::isa(), kernels::best_isa());
  if (kernels::best_isa() == Isa::avx2) {
    EXPECT_THROW(kernels::use_isa(Isa::avx512), ValueError);
  }
}

}  // namespace
}  // namespace tapedeck
