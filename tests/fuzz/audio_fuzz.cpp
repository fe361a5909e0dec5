// libFuzzer entry for the audio reader; seeds in corpus/audio, made by make_audio_corpus.py.
#include <cstdio>
#include <cstdlib>

#include "audio_oracle.h"
#include "library_leaks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string refusal;
  const std::string broken = tapedeck::broken_promise(std::as_bytes(std::span(data, size)), &refusal);
  if (!broken.empty()) {
    std::fprintf(stderr, "%s\n", broken.c_str());
    std::abort();
  }
  return 0;
}
