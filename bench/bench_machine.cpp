// bench_machine [--json] [SECONDS]: the machine's ceilings; see machine.h.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "machine.h"

int main(int argc, char** argv) {
  bool json = false;
  double seconds = 1.5;
  for (int i = 1; i < argc; ++i) {
    char* end = nullptr;
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (seconds = std::strtod(argv[i], &end); *end != 0 || !(seconds > 0 && seconds <= 600)) {
      std::fprintf(stderr, "usage: bench_machine [--json] [SECONDS]\n");
      return 2;
    }
  }
  const auto m = tapedeck::bench::measure(seconds);
  std::printf("%s%s", (json ? to_json(m) : to_table(m)).c_str(), json ? "\n" : "");
  return 0;
}
