// Environment variables: the only file of the project that reads them is env.cpp; README.md lists them.
#pragma once
#include <string>

namespace tapedeck {

// Value of an environment variable, or `fallback` when unset or empty.
std::string env(const char* name, const std::string& fallback = "");

}  // namespace tapedeck
