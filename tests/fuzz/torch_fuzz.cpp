// libFuzzer entry for the reader of PyTorch's files; seeds in corpus/torch, made by make_array_corpus.py.
#include <cstdio>
#include <cstdlib>

#include "torch_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string refusal;
  const std::string broken = tapedeck::broken_torch_promise(std::as_bytes(std::span(data, size)), &refusal);
  if (!broken.empty()) {
    std::fprintf(stderr, "%s\n", broken.c_str());
    std::abort();
  }
  return 0;
}
