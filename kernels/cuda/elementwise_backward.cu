// Gradients of the functions of one element.
#include <tapedeck/kernels/cuda/elementwise.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

template <class F, class T>
struct GradientOf {
  Working<F, T> p, q;
  __device__ T operator()(T gy, T x, T y) const {
    return finish<T>(Form<F, T>::grad(start<F>(gy), start<F>(x), start<F>(y), p, q));
  }
};

template <class F>
void backward(const UnaryGradArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    map<T, T, T, T>(GradientOf<F, T>{parameter<F, T>(a.p0), parameter<F, T>(a.p1)}, a.gx, a.gy, a.x, a.y);
  });
}

}  // namespace

void add_elementwise_backward() {
#define TD_ADD(name, Name) \
  name##_backward.add(DeviceType::cuda, "cuda", backward<math::Name>, takes_real<UnaryGradArgs>);
  TD_UNARY_LIST(TD_ADD)
#undef TD_ADD
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
