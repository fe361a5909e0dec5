// Functions of one element and predicates: the functors of common/elementwise_math.h, f32 in float unless it loses the
// result (kWide), then in double (float_math.h).
#include <tapedeck/kernels/cuda/elementwise.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

template <class F, class T>
struct UnaryOf {
  Working<F, T> p, q;
  __device__ T operator()(T x) const { return finish<T>(Form<F, T>::value(start<F>(x), p, q)); }
};
template <class F, class T>
struct PredicateOf {
  __device__ bool operator()(T x) const { return F::value(load(x)); }
};

template <class F>
void unary(const UnaryArgs& a) {
  each_type<F>(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    map<T, T>(UnaryOf<F, T>{parameter<F, T>(a.p0), parameter<F, T>(a.p1)}, a.y, a.x);
  });
}
template <class F>
void predicate(const UnaryArgs& a) {
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    map<bool, T>(PredicateOf<F, T>{}, a.y, a.x);
  });
}

}  // namespace

void add_elementwise() {
#define TD_ADD(name, Name) name.add(DeviceType::cuda, "cuda", unary<math::Name>, takes<math::Name, UnaryArgs>);
  TD_UNARY_LIST(TD_ADD)
  TD_MAP_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(DeviceType::cuda, "cuda", predicate<math::Name>);
  TD_PREDICATE_LIST(TD_ADD)
#undef TD_ADD
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
