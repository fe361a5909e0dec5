#include <tapedeck/tensor/env.h>

#include <cstdlib>

namespace tapedeck {

std::string env(const char* name, const std::string& fallback) {
  const char* value = std::getenv(name);
  return value && *value ? value : fallback;
}

}  // namespace tapedeck
