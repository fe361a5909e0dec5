// libFuzzer entry for the safetensors reader; seeds in corpus/safetensors, made by make_safetensors_corpus.py.
#include <cstdio>
#include <cstdlib>

#include "safetensors_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string refusal;
  const std::string broken = tapedeck::broken_safetensors_promise(std::as_bytes(std::span(data, size)), &refusal);
  if (!broken.empty()) {
    std::fprintf(stderr, "%s\n", broken.c_str());
    std::abort();
  }
  return 0;
}
