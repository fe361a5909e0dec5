#include <tapedeck/train/version.h>

#include "tapedeck_commit.h"  // written by version.cmake

namespace tapedeck {
const char* version() { return TAPEDECK_VERSION; }
const char* commit() { return TAPEDECK_COMMIT; }
const char* full_version() { return *TAPEDECK_COMMIT ? TAPEDECK_VERSION " (" TAPEDECK_COMMIT ")" : TAPEDECK_VERSION; }
}  // namespace tapedeck
