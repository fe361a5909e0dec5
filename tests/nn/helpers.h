// What the tests of nn/ share.
#pragma once
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/module.h>

#include <cstring>
#include <string>
#include <vector>

namespace tapedeck::nn {

inline bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes() || a.dtype() != b.dtype()) return false;
  const Tensor x = contiguous(a), y = contiguous(b);
  return std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.numel()) * size_of(x.dtype())) == 0;
}

// Both trees have the same parameters: names, order, shapes and bits.
inline void expect_same_state(const Module& a, const Module& b) {
  const StateDict x = a.state_dict(), y = b.state_dict();
  ASSERT_EQ(x.size(), y.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(x[i].path, y[i].path);
    EXPECT_TRUE(same_bits(x[i].tensor, y[i].tensor)) << x[i].path;
  }
}

// The message of the E that f throws; fails when it throws none.
template <class E, class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another error: " << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

inline void expect_has(const std::string& text, const std::vector<std::string>& parts) {
  for (const auto& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in: " << text;
}

// i64 [batch, n], spread over [0, classes) by a fixed rule.
inline Tensor some_codes(std::int64_t batch, std::int64_t n, std::int64_t classes, std::uint64_t seed = 1) {
  std::vector<std::int64_t> v(static_cast<std::size_t>(batch * n));
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = static_cast<std::int64_t>(mix64(seed, i) % static_cast<std::uint64_t>(classes));
  return tensor(v, {batch, n});
}

}  // namespace tapedeck::nn
