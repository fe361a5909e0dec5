// Our side of peers/small_ops.py: one round; for each op a line with its name and ns per op unrecorded, recorded, and
// forward and backward.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/parallel.h>

#include <chrono>
#include <cstdio>

namespace {
using namespace tapedeck;

constexpr int kChain = 1000;
using Op = Tensor (*)(const Tensor&, const Tensor&);

Tensor chain(Op op, Tensor x, const Tensor& w) {
  for (int i = 0; i < kChain; ++i) x = op(x, w);
  return x;
}

template <class F>
double timed(F&& run, int repeats) {
  run();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) run();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() /
         (repeats * kChain);
}

void round_of(const char* name, Op op) {
  const Tensor a = full({16}, 1.5), w = full({16}, 1), ones = full({16}, 1);
  const Tensor leaf = full({16}, 1.5).set_requires_grad(true);
  const double unrecorded = timed([&] { chain(op, a, w); }, 100);
  const double recorded = timed(
      [&] {
        Tape tape;
        chain(op, leaf, w);
      },
      100);
  const double both = timed(
      [&] {
        Tape tape;
        leaf.zero_grad();
        tape.backward(chain(op, leaf, w), ones);
      },
      100);
  std::printf("%s %.2f %.2f %.2f\n", name, unrecorded, recorded, both);
}
}  // namespace

int main() {
  tapedeck::set_num_threads(1);
  round_of("add", tapedeck::add);
  round_of("mul", tapedeck::mul);
}
