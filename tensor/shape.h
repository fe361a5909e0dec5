// Shape: up to 8 sizes held inline. Strides use the same type and count elements.
#pragma once
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>

namespace tapedeck {

inline constexpr int kMaxRank = 8;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const std::int64_t> sizes);  // ShapeError above kMaxRank
  Shape(const Shape& o) { *this = o; }
  Shape& operator=(const Shape& o) {  // all eight: two vector moves, where a loop over the rank would be a call
    rank_ = o.rank_;
    std::memcpy(sizes_, o.sizes_, sizeof sizes_);
    return *this;
  }

  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return sizes_[i]; }
  std::int64_t& operator[](int i) { return sizes_[i]; }
  const std::int64_t* begin() const { return sizes_; }
  const std::int64_t* end() const { return sizes_ + rank_; }
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= sizes_[i];
    return n;
  }
  bool operator==(const Shape& o) const {
    bool same = rank_ == o.rank_;
    for (int i = 0; same && i < rank_; ++i) same = sizes_[i] == o.sizes_[i];
    return same;
  }

  void push(std::int64_t size);  // appends a dimension; ShapeError above kMaxRank
  void insert(int at, std::int64_t size);
  void erase(int at);

 private:
  int rank_ = 0;
  std::int64_t sizes_[kMaxRank];
};
using Strides = Shape;

std::string to_string(const Shape& s);       // "[8,1600,64]"
Strides contiguous_strides(const Shape& s);  // row-major
// No size is negative, and the product of those that are not 0 is below 2^59: what a tensor may have.
bool addressable(const Shape& s);
std::int64_t checked_numel(const Shape& s);                              // ShapeError when it is not addressable
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);  // NumPy rules; ShapeError naming both
int normalize_dim(const char* op, int dim, int rank);  // -1 is the last; ShapeError outside [-rank, rank)

}  // namespace tapedeck
