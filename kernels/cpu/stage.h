// Hands strided operands to kernels of contiguous floats: what is not contiguous is staged through a small buffer.
#pragma once
#include <tapedeck/kernels/cpu/iterate.h>

namespace tapedeck::kernels {

// kernel(in, y, n): in is an array of N pointers to n contiguous floats. The last operand of the walk is the output.
template <int N, class Kernel>
void staged(const Walk<N + 1>& walk, std::int64_t cost, Kernel&& kernel) {
  constexpr std::int64_t kBlock = 256;
  walk.parallel_rows(
      [&](const auto& at, const auto& s, std::int64_t n) {
        const float* in[N];
        bool plain = s[N] == 1 || n == 1;
        for (int k = 0; k < N; ++k) {
          in[k] = reinterpret_cast<const float*>(at[k]);
          plain = plain && (s[k] == 1 || n == 1);
        }
        float* out = reinterpret_cast<float*>(at[N]);
        if (plain) return kernel(in, out, n);
        alignas(64) float buffer[N + 1][kBlock];
        const float* from[N];
        for (int k = 0; k < N; ++k) {
          from[k] = in[k];
          if (s[k] == 1) continue;
          in[k] = buffer[k];
          if (s[k] == 0) std::fill_n(buffer[k], std::min(n, kBlock), *from[k]);
        }
        for (std::int64_t i = 0; i < n; i += kBlock) {
          const std::int64_t m = std::min(kBlock, n - i);
          for (int k = 0; k < N; ++k) {
            if (s[k] == 1)
              in[k] = from[k] + i;
            else if (s[k] != 0)
              for (std::int64_t j = 0; j < m; ++j) buffer[k][j] = from[k][(i + j) * s[k]];
          }
          if (s[N] == 1) {
            kernel(in, out + i, m);
          } else {
            kernel(in, buffer[N], m);
            for (std::int64_t j = 0; j < m; ++j) out[(i + j) * s[N]] = buffer[N][j];
          }
        }
      },
      cost);
}

}  // namespace tapedeck::kernels
