// The message of the error that a call throws, for tests of messages.
#pragma once
#include <gtest/gtest.h>

#include <string>

namespace tapedeck {

template <class E, class F>
std::string error_of(F&& call) {
  try {
    call();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another error: " << e.what();
    return {};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

}  // namespace tapedeck
