// Checks that the op tests share: error messages, and values per element.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace tapedeck::test {

// The message of the error that a call throws.
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

inline bool says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

// Per element, relative; NaN equals NaN only, an infinity itself only.
inline void expect_close(const std::vector<double>& got, const std::vector<double>& expected, double relative,
                         const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(got[i])) << what << " element " << i << ": " << got[i];
    } else if (std::isinf(expected[i])) {
      EXPECT_EQ(got[i], expected[i]) << what << " element " << i;
    } else {
      EXPECT_LE(std::fabs(got[i] - expected[i]), relative * std::fabs(expected[i]))
          << what << " element " << i << ": " << got[i] << " is not " << expected[i];
    }
  }
}

}  // namespace tapedeck::test
