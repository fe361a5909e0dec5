// A few training steps on two threads, as watch_test.sh looks at them.   watched_steps [bad]
#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/random.h>

#include <cstdio>
#include <cstring>
#include <thread>

using namespace tapedeck;

namespace {

void steps(const char* module, double start) {
  detail::name_module(hash64(module), module);
  const Tensor w = full({3, 4, 2}, 0.1).set_requires_grad(true), x = full({2, 9, 4}, start);
  for (int step = 0; step < 3; ++step) {
    Tape tape;
    Tensor loss;
    {
      const RandomPath path(hash64(module));
      loss = mean(log(sum(square(conv1d(x, w)), {-1})));
    }
    tape.backward(loss);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const double start = argc > 1 && std::strcmp(argv[1], "bad") == 0 ? 0 : 1;
    steps("first \"quoted\"\\", start);
    std::thread([] { steps("second", 1); }).join();
    std::puts("done");
    return 0;
  } catch (const Error& e) {
    std::printf("%s\n", e.what());
    return 1;
  }
}
