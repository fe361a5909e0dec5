// What the op tests share: error messages, values per element, and short names of what they write most.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "io/throws.h"

namespace tapedeck::test {

using tapedeck::error_of;  // the message of the error that a call throws
using V = std::vector<double>;

inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

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
