#include <tapedeck/train/version.h>

namespace tapedeck {
const char* version() { return TAPEDECK_VERSION; }
}  // namespace tapedeck
