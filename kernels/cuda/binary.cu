// Functions of two and three elements, comparisons, where.
#include <tapedeck/kernels/cuda/elementwise.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

template <class F, class T>
struct BinaryOf {
  __device__ T operator()(T a, T b) const {
    if constexpr (!kReal<T> && any_of<F, math::Fmod, math::Remainder>) {
      if (static_cast<std::int64_t>(b) == -1) return T(0);  // the quotient of the least number by it has no room
    }
    return finish<T>(F::value(start<F>(a), start<F>(b)));
  }
};
template <class F, class T>
struct CompareOf {
  __device__ bool operator()(T a, T b) const { return F::value(load(a), load(b)); }
};
template <class F, class T>
struct TernaryOf {
  Working<F, T> p;
  __device__ T operator()(T a, T b, T c) const { return finish<T>(F::value(start<F>(a), start<F>(b), start<F>(c), p)); }
};
template <class T>
struct Choice {
  __device__ T operator()(bool condition, T a, T b) const { return condition ? a : b; }
};

template <class F>
void binary(const BinaryArgs& a) {
  each_type<F>(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    map<T, T, T>(BinaryOf<F, T>{}, a.y, a.a, a.b);
  });
}
template <class F>
void compare(const BinaryArgs& a) {
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    map<bool, T, T>(CompareOf<F, T>{}, a.y, a.a, a.b);
  });
}
template <class F>
void ternary(const TernaryArgs& a) {
  each_type<F>(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    map<T, T, T, T>(TernaryOf<F, T>{parameter<F, T>(a.p0)}, a.y, a.a, a.b, a.c);
  });
}
void choose(const WhereArgs& a) {
  with_size(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    map<T, bool, T, T>(Choice<T>{}, a.y, a.condition, a.a, a.b);
  });
}

}  // namespace

void add_binary() {
#define TD_ADD(name, Name) name.add(DeviceType::cuda, "cuda", binary<math::Name>, takes<math::Name, BinaryArgs>);
  TD_BINARY_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(DeviceType::cuda, "cuda", compare<math::Name>);
  TD_COMPARE_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(DeviceType::cuda, "cuda", ternary<math::Name>, takes<math::Name, TernaryArgs>);
  TD_TERNARY_LIST(TD_ADD)
#undef TD_ADD
  where.add(DeviceType::cuda, "cuda", choose);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
