// libFuzzer entry for the JSON reader and config loading; seeds in corpus/json.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "json_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (bool comments : {false, true}) {
    const std::string broken = tapedeck::json_broken_promise({reinterpret_cast<const char*>(data), size}, comments);
    if (!broken.empty()) {
      std::fprintf(stderr, "%s\n", broken.c_str());
      std::abort();
    }
  }
  return 0;
}
