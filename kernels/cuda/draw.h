// Philox on the device: element e of row r of a stream, whatever slice is made.
#pragma once
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/plan.h>
#include <tapedeck/tensor/philox.h>
#include <tapedeck/tensor/random.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

struct Rows {
  std::uint64_t key;
  const std::int64_t* ids;  // of rows; nullptr: 0, 1, 2, …
  __device__ std::uint64_t id(std::int64_t row) const { return static_cast<std::uint64_t>(ids ? ids[row] : row); }
  // Word k of 64 bits of a row.
  __device__ std::uint64_t long_word(std::int64_t row, std::int64_t k) const {
    const Philox4 r = philox(key, static_cast<std::uint64_t>(k) / 2, id(row));
    const int half = static_cast<int>(k % 2) * 2;
    return r.word[half] | std::uint64_t{r.word[half + 1]} << 32;
  }
};
// A stream's row ids live on the device while this does.
struct DeviceRows {
  Scratch ids;
  Rows rows;
  DeviceRows(Device d, const RandomStream& s)
      : ids(s.rows.empty() ? Scratch() : upload(d, s.rows.data(), s.rows.size_bytes())),
        rows{s.key, ids.as<const std::int64_t>()} {}
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
