// The version of this library.
#pragma once

namespace tapedeck {
const char* version();  // "0.1.0"
}  // namespace tapedeck
