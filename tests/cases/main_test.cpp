#include <gtest/gtest.h>

#include "cases/guard.h"

int main(int argc, char** argv) {
  tapedeck::cases::guard_memory();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
