// Tests "on cuda": with TAPEDECK_TEST_DEVICE=cuda on a real device, where this build and machine have one; else on the
// emulated one.
#include <gtest/gtest.h>
#include <tapedeck/tensor/device.h>
#include <tapedeck/tensor/env.h>

#include <cstdio>

#include "emulated_memory.h"
#include "emulated_runtime.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const bool real = tapedeck::env("TAPEDECK_TEST_DEVICE") == std::string("cuda");
  if (!real) {
    tapedeck::kernels::cuda_emulated::install();
    emulation::on_violation = [](const std::string& what) { ADD_FAILURE() << "device memory: " << what; };
  } else if (tapedeck::device_count(tapedeck::DeviceType::cuda) == 0) {
    std::printf("cuda_test: TAPEDECK_TEST_DEVICE=cuda, but there is no CUDA device: all tests are SKIPPED\n");
    return 0;
  }
  std::printf("cuda_test: on the %s device\n", real ? "real" : "emulated");
  return RUN_ALL_TESTS();
}
