// libFuzzer entry for typed reading of a config with members of every kind, and for overrides; seeds in corpus/config.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "config_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string refusal;
  const std::string broken = tapedeck::config_broken_promise({reinterpret_cast<const char*>(data), size}, refusal);
  if (!broken.empty()) {
    std::fprintf(stderr, "%s\n", broken.c_str());
    std::abort();
  }
  return 0;
}
