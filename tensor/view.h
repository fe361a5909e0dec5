// TensorView: the plain data that kernels see. No ownership, no virtual, fit for host and device code (C++17).
#pragma once
#include <tapedeck/tensor/device.h>
#include <tapedeck/tensor/dtype.h>

#include <cstdint>
#include <cstring>

#ifndef TD_HD  // host and device code
#ifdef __CUDACC__
#define TD_HD __host__ __device__
#else
#define TD_HD
#endif
#endif

namespace tapedeck {

struct TensorView {
  void* data = nullptr;  // first element (offset applied); nullptr with rank -1 means "not given"
  DType dtype = DType::f32;
  Device device{};
  std::int32_t rank = -1;
  std::int64_t sizes[8];
  std::int64_t strides[8];  // in elements

  TensorView() = default;
  TensorView(const TensorView& o) { *this = o; }
  TensorView& operator=(const TensorView& o) {
    data = o.data, dtype = o.dtype, device = o.device, rank = o.rank;
    copy_dims(o.sizes, o.strides);
    return *this;
  }
  // All eight: a few vector moves, where a loop over the rank would be two calls.
  void copy_dims(const std::int64_t* from_sizes, const std::int64_t* from_strides) {
    std::memcpy(sizes, from_sizes, sizeof sizes);
    std::memcpy(strides, from_strides, sizeof strides);
  }

  TD_HD bool given() const { return rank >= 0; }
  TD_HD explicit operator bool() const { return given(); }
  TD_HD std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= sizes[i];
    return n;
  }
  TD_HD bool contiguous() const {
    std::int64_t step = 1;
    for (int i = rank - 1; i >= 0; --i) {
      if (sizes[i] == 1) continue;
      if (strides[i] != step) return false;
      step *= sizes[i];
    }
    return true;
  }
  template <class T>
  TD_HD T* ptr() const {
    return static_cast<T*>(data);
  }
};

}  // namespace tapedeck
