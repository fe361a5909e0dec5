#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/shape.h>

#include <algorithm>

namespace tapedeck {

Shape::Shape(std::span<const std::int64_t> sizes) : rank_(static_cast<int>(sizes.size())) {
  TD_CHECK(sizes.size() <= kMaxRank, ShapeError, "shape: at most ", kMaxRank, " dimensions, got ", sizes.size());
  std::copy(sizes.begin(), sizes.end(), sizes_);
}

void Shape::insert(int at, std::int64_t size) {
  TD_CHECK(rank_ < kMaxRank, ShapeError, "shape: at most ", kMaxRank, " dimensions; ", to_string(*this),
           " has no room");
  std::copy_backward(sizes_ + at, sizes_ + rank_, sizes_ + rank_ + 1);
  sizes_[at] = size;
  ++rank_;
}

void Shape::push(std::int64_t size) { insert(rank_, size); }

void Shape::erase(int at) {
  std::copy(sizes_ + at + 1, sizes_ + rank_, sizes_ + at);
  --rank_;
}

std::string to_string(const Shape& s) {
  std::string out = "[";
  for (int i = 0; i < s.rank(); ++i) out += (i ? "," : "") + std::to_string(s[i]);
  return out + "]";
}

Strides contiguous_strides(const Shape& s) {
  Strides strides = s;
  std::int64_t step = 1;
  for (int i = s.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= std::max<std::int64_t>(s[i], 1);
  }
  return strides;
}

bool addressable(const Shape& s) {
  std::int64_t n = 1;
  for (const std::int64_t size : s)
    if (size < 0 || __builtin_mul_overflow(n, std::max<std::int64_t>(size, 1), &n) || n >= std::int64_t{1} << 59)
      return false;
  return true;
}

std::int64_t checked_numel(const Shape& s) {
  if (!addressable(s)) {
    for (const std::int64_t size : s) TD_CHECK(size >= 0, ShapeError, "shape: sizes must be >= 0, got ", to_string(s));
    TD_FAIL(ShapeError, "shape: ", to_string(s), " has too many elements to address");
  }
  return s.numel();
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  Shape out = a.rank() >= b.rank() ? a : b;
  const Shape& small = a.rank() >= b.rank() ? b : a;
  const int lead = out.rank() - small.rank();
  for (int i = 0; i < small.rank(); ++i) {
    std::int64_t& size = out[lead + i];
    if (small[i] == size || small[i] == 1) continue;
    TD_CHECK(size == 1, ShapeError, op, ": shapes ", to_string(a), " and ", to_string(b),
             " do not broadcast: sizes must be equal or 1 from the last dimension on");
    size = small[i];
  }
  return out;
}

int normalize_dim(const char* op, int dim, int rank) {
  TD_CHECK(dim >= -rank && dim < rank, ShapeError, op, ": dimension ", dim, " is outside [", -rank, ", ", rank, ")");
  return dim < 0 ? dim + rank : dim;
}

}  // namespace tapedeck
