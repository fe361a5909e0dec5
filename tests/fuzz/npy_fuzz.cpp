// libFuzzer entry for the reader of .npy and .npz files; seeds in corpus/npy, made by make_array_corpus.py.
#include <cstdio>
#include <cstdlib>

#include "npy_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string refusal;
  const std::string broken = tapedeck::broken_npy_promise(std::as_bytes(std::span(data, size)), &refusal);
  if (!broken.empty()) {
    std::fprintf(stderr, "%s\n", broken.c_str());
    std::abort();
  }
  return 0;
}
