// Our side of peers/small_ops.py: one round; for each op a line with its name and ns of processor time
// per op unrecorded, recorded, and forward and backward.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/parallel.h>

#include <cstdio>
#include <ctime>

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
  const std::clock_t start = std::clock();
  for (int i = 0; i < repeats; ++i) run();
  return 1e9 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC / (repeats * kChain);
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
