// Reference Adam: computed in double, rounded once into each state.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/optim.h>

#include <cmath>

namespace tapedeck::kernels {
namespace {

template <class T>
void step(const AdamArgs& a) {
  const double t = static_cast<double>(a.step);
  const double rate = a.lr / (1 - std::pow(a.beta1, t)), root = std::sqrt(1 - std::pow(a.beta2, t));
  const double keep = a.decoupled ? 1 - a.lr * a.weight_decay : 1, pull = a.decoupled ? 0 : a.weight_decay;
  parallel_for(a.p.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double p = a.p.ptr<T>()[i], g = a.gscale * a.g.ptr<const T>()[i] + pull * p;
      const double m = a.beta1 * a.m.ptr<T>()[i] + (1 - a.beta1) * g;
      const double v = a.beta2 * a.v.ptr<T>()[i] + (1 - a.beta2) * g * g;
      a.m.ptr<T>()[i] = static_cast<T>(m);
      a.v.ptr<T>()[i] = static_cast<T>(v);
      a.p.ptr<T>()[i] = static_cast<T>(keep * p - rate * m / (std::sqrt(v) / root + a.eps));
    }
  });
}

const char* supports(const AdamArgs& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

}  // namespace

void add_ref_optim() {
  adam.add(
      DeviceType::cpu, "ref", [](const AdamArgs& a) { a.dtype() == DType::f32 ? step<float>(a) : step<double>(a); },
      supports);
}

}  // namespace tapedeck::kernels
