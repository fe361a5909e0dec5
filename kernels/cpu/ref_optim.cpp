// Reference optimizer steps: computed in double, rounded once into each state.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/optim.h>

#include <algorithm>
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

template <class T>
void step(const SgdArgs& a) {
  const double kept = a.step == 1 ? 0 : a.momentum, taken = a.step == 1 ? 1 : 1 - a.dampening;
  parallel_for(a.p.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double p = a.p.ptr<T>()[i], g = a.gscale * a.g.ptr<const T>()[i] + a.weight_decay * p;
      double move = g;
      if (a.buf) {
        const double buf = (a.step == 1 ? 0 : kept * a.buf.ptr<T>()[i]) + taken * g;
        a.buf.ptr<T>()[i] = static_cast<T>(buf);
        move = a.nesterov ? g + a.momentum * buf : buf;
      }
      a.p.ptr<T>()[i] = static_cast<T>(p - a.lr * move);
    }
  });
}

template <class T>
void step(const RmspropArgs& a) {
  parallel_for(a.p.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double p = a.p.ptr<T>()[i], g = a.gscale * a.g.ptr<const T>()[i] + a.weight_decay * p;
      double v = a.alpha * a.v.ptr<T>()[i] + (1 - a.alpha) * g * g;
      a.v.ptr<T>()[i] = static_cast<T>(v);
      if (a.mean) {
        const double mean = a.alpha * a.mean.ptr<T>()[i] + (1 - a.alpha) * g;
        a.mean.ptr<T>()[i] = static_cast<T>(mean);
        v = std::max(v - mean * mean, 0.);
      }
      double move = g / (std::sqrt(v) + a.eps);
      if (a.buf) {
        move += a.momentum * a.buf.ptr<T>()[i];
        a.buf.ptr<T>()[i] = static_cast<T>(move);
      }
      a.p.ptr<T>()[i] = static_cast<T>(p - a.lr * move);
    }
  });
}

template <class T>
void step(const AdagradArgs& a) {
  parallel_for(a.p.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double p = a.p.ptr<T>()[i], g = a.gscale * a.g.ptr<const T>()[i] + a.weight_decay * p;
      const double sum = a.sum.ptr<T>()[i] + g * g;
      a.sum.ptr<T>()[i] = static_cast<T>(sum);
      a.p.ptr<T>()[i] = static_cast<T>(p - a.lr * (g / (std::sqrt(sum) + a.eps)));
    }
  });
}

template <class T>
void step(const AverageArgs& a) {
  parallel_for(a.y.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      a.y.ptr<T>()[i] = static_cast<T>(a.keep * a.y.ptr<T>()[i] + (1 - a.keep) * a.x.ptr<const T>()[i]);
  });
}

template <class Args>
void add(KernelSlot<Args>& slot) {
  slot.add(
      DeviceType::cpu, "ref", [](const Args& a) { a.dtype() == DType::f32 ? step<float>(a) : step<double>(a); },
      [](const Args& a) -> const char* {
        return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
      });
}

}  // namespace

void add_ref_optim() { add(adam), add(sgd), add(rmsprop), add(adagrad), add(average); }

}  // namespace tapedeck::kernels
