// The machine's ceilings: what no kernel can pass, measured in this process, so that every figure stands beside them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace tapedeck::bench {

enum Level { l1, l2, l3, dram };
inline constexpr int kLevels = 4;

// GB/s of bytes read plus bytes written, by plain loads and stores (as the kernels use them).
struct Streams {
  double read = 0;   // one stream in
  double write = 0;  // one out
  double copy = 0;   // one in, one out
  double triad = 0;  // two in, one out
};
struct Ceiling {
  int threads = 1;
  double f32 = 0, bf16 = 0;  // GFLOP/s of independent FMA chains in registers; bf16 0: the machine has no such product
  Streams level[kLevels];    // of all threads together; each has its own memory
};
struct Machine {
  std::string processor, instructions;  // instructions: what the default kernels run on
  std::int64_t cache[3] = {};           // bytes; l1 and l2 of one core, l3 of all
  std::vector<Ceiling> ceilings;        // one thread, then all

  const Ceiling& at(int threads) const;  // the nearest thread count
  // Where `bytes` of working memory live on `threads` threads.
  Level level_of(double bytes, int threads) const;
};

// GFLOP/s of independent FMA chains on all of `threads`, the best round within about `seconds`. It changes from minute
// to minute with the clock of the cores, so a share of it is best taken in turns with what it is a share of.
double f32_peak(int threads, double seconds);
double read_peak(Level level, int threads, double seconds);  // GB/s of a stream in, likewise

// Takes about `seconds`. The best of many short rounds: other work on the machine may only lengthen a round.
Machine measure(double seconds);
const Machine& machine();  // measured once, on the first call

const char* name(Level level);
std::string to_json(const Machine& m);   // one line
std::string to_table(const Machine& m);  // for people

}  // namespace tapedeck::bench
