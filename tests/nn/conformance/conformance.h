// What every registered module type must do, whatever it is: properties that are checked on the example that each type
// brings with it. Exceptions stand in one table with their reasons.
#pragma once
#include <tapedeck/nn/registry.h>

#include <string>
#include <vector>

namespace tapedeck::nn::conformance {

struct Property {
  const char *name, *what;
  bool (*applies)(const ModuleType& type);
  void (*check)(const ModuleType& type);  // throws what is wrong
};
const std::vector<Property>& properties();

struct Exception {
  const char *property, *types, *reason;  // types: names between spaces; "Type:option=value" with that alone
};
const std::vector<Exception>& exceptions();

enum class Outcome { passed, does_not_apply, excepted, failed };
struct Verdict {
  Outcome outcome = Outcome::passed;
  std::string why{};
};
// An exception that the type does not need is a failure too.
Verdict judge(const ModuleType& type, const Property& property);

// "12 passed, 0 failed" at the end; a line for each type before, and the reasons. The number of failures.
int print_table(const std::string& only = "");  // one property's name, or all

}  // namespace tapedeck::nn::conformance
