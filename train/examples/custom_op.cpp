// An op of one's own, in one's own file: it is recorded, checked and differentiated twice like those of the library.
#include <tapedeck/train/tapedeck.h>

#include <cmath>
#include <cstdio>

using namespace tapedeck;

// y = x / sqrt(1 + x^2): a limiter with a soft knee.
Tensor limiter(const Tensor& input) {
  TD_CHECK(input.defined() && input.dtype() == DType::f64, DTypeError, "limiter: needs an f64 tensor");
  const Tensor x = contiguous(input);
  const Tensor y = empty_like(x);
  const double* from = x.data<double>();
  double* to = y.data<double>();
  for (std::int64_t i = 0; i < x.numel(); ++i) to[i] = from[i] / std::sqrt(1 + from[i] * from[i]);
  record("limiter", y, {&x}, [x = save(x, "x")](const Tensor& gy, Grads& g) {
    if (g.graph()) {  // the second form: in ops, which have gradients of their own
      const Tensor r = rsqrt(square(x.get()) + 1);
      return g.give(0, gy * (r * r * r));
    }
    const Tensor gx = empty_like(x.get()), incoming = contiguous(gy);  // the first form: as fast as one can
    for (std::int64_t i = 0; i < gx.numel(); ++i) {
      const double v = x.get().data<double>()[i];
      gx.data<double>()[i] = incoming.data<double>()[i] * std::pow(1 + v * v, -1.5);
    }
    g.give(0, gx);
  });
  return y;
}

int main() {
  manual_seed(1);
  const Tensor x = cast(randn({3, 4}), DType::f64);
  const auto f = [](std::span<const Tensor> in) { return limiter(in[0]); };
  const GradcheckReport first = gradcheck(f, {x}), second = gradgradcheck(f, {x});
  std::printf("gradients %s, off by %.1e\n", first.ok ? "right" : first.where.c_str(), first.worst);
  std::printf("gradients of gradients %s, off by %.1e\n", second.ok ? "right" : second.where.c_str(), second.worst);

  const Tensor loud = full({2}, 3, {DType::f64});
  Tape tape;
  tape.watch(loud);
  tape.backward(sum(limiter(loud * 2)));
  std::printf("gradient of limiter(2 * 3): %s\n", to_string(tape.grad(loud)).c_str());
  return first.ok && second.ok ? 0 : 1;
}
