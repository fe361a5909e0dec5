// The conformance table of all module types: conformance [--property NAME] [--device emulated]. Without --device, "cuda"
// is the GPU of this machine, if there is one.
#include <cstdio>
#include <cstring>

#include "cuda/emulated_runtime.h"
#include "nn/conformance/conformance.h"

int main(int argc, char** argv) {
  std::string only;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 < argc && std::strcmp(argv[i], "--property") == 0) {
      only = argv[i + 1];
    } else if (i + 1 < argc && std::strcmp(argv[i], "--device") == 0 && std::strcmp(argv[i + 1], "emulated") == 0) {
      tapedeck::kernels::cuda_emulated::install();
    } else {
      return std::fprintf(stderr, "usage: conformance [--property NAME] [--device emulated]\n"), 2;
    }
  }
  return tapedeck::nn::conformance::print_table(only) == 0 ? 0 : 1;
}
