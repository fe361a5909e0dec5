// The version of this library.
#pragma once

namespace tapedeck {
const char* version();  // "0.1.0"
// The git commit it was built from: "1a2b3c4d5e6f", with "+" after it when tracked files differed from it; "" unknown.
const char* commit();
const char* full_version();  // "0.1.0 (1a2b3c4d5e6f)", or as version() when the commit is unknown
}  // namespace tapedeck
