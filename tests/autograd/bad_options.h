// Calls of every op with arguments that cannot be: options out of range, sizes that overflow, tensors that are missing
// or do not fit. One row says what is called, which error comes and what its message holds besides the op's name.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/detail_views.h>

#include <functional>
#include <string>
#include <vector>

namespace tapedeck::test {

inline constexpr std::int64_t kHuge = std::int64_t{1} << 62;
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// What the calls get. Nothing of it may change.
struct Given {
  Tensor v, m, square, x, image, volume;  // on the tape: [6], [3,4], [4,4], [2,5,4], [2,5,6,4], [1,3,4,4,2]
  Tensor w1, w2, w3;                      // on the tape: weights [4,4,2], [4,4,2,2], [2,2,2,2,2]
  Tensor whole, places, far, mask;        // i64 [3,4], [3] of 0 to 2 and [3] with one that is 7; bool [3,4]
  Tensor buffer, weight, shared;          // constants: [4], [4,4] and [3,4], whose elements share memory
  Tensor away, away_whole;                // constants on another device: f32 and i64 [3,4]
  Tensor none;                            // undefined
  Given();
  std::vector<Tensor> all() const;
  std::vector<Tensor> recorded() const { return {v, m, square, x, image, volume, w1, w2, w3}; }
};
using In = const Given&;

enum class Kind { shape, value, dtype, device, tape };

struct BadCall {
  std::string op;  // a function of ops.h; an overload has a word behind it
  Kind kind;
  std::vector<std::string> words;  // parts of the message
  std::function<void(In)> call;
};

inline std::string word(std::integral auto v) { return std::to_string(v); }
inline std::string word(double v) { return detail::join({v}); }

class BadCalls {
 public:
  using Call = std::function<void(In)>;
  void shape(const char* op, std::vector<std::string> words, Call f) { add(op, Kind::shape, words, f); }
  void value(const char* op, std::vector<std::string> words, Call f) { add(op, Kind::value, words, f); }
  void dtype(const char* op, std::vector<std::string> words, Call f) { add(op, Kind::dtype, words, f); }
  // Tensors of two devices; the message names the other one.
  void device(const char* op, Call f) { add(op, Kind::device, {"cuda:0"}, f); }
  void tape(const char* op, std::vector<std::string> words, Call f) { add(op, Kind::tape, words, f); }
  void missing(const char* op, Call f) { add(op, Kind::value, {"undefined"}, f); }

  // f(in, n) for each of the numbers, which the message must hold.
  template <class T>
  void each(const char* op, Kind kind, std::vector<T> numbers, const std::function<void(In, T)>& f) {
    for (const T n : numbers) add(op, kind, {word(n)}, [f, n](In g) { f(g, n); });
  }
  using Whole = std::vector<std::int64_t>;
  using WholeCall = std::function<void(In, std::int64_t)>;
  using RealCall = std::function<void(In, double)>;
  void shapes(const char* op, Whole numbers, const WholeCall& f) { each(op, Kind::shape, numbers, f); }
  void values(const char* op, Whole numbers, const WholeCall& f) { each(op, Kind::value, numbers, f); }
  void reals(const char* op, std::vector<double> numbers, const RealCall& f) { each(op, Kind::value, numbers, f); }
  // Dimensions outside [-rank, rank).
  void dims(const char* op, int rank, const std::function<void(In, int)>& f) {
    each(op, Kind::shape, std::vector{rank, -rank - 1, 1'000'000, std::numeric_limits<int>::min()}, f);
  }

  // A function of one tensor: a missing one; for those of reals, integers.
  struct Unary {
    const char* op;
    Tensor (*f)(const Tensor&);
  };
  void unary(const std::vector<Unary>& ops, bool of_reals);
  // Of two that broadcast and have one dtype.
  struct Binary {
    const char* op;
    Tensor (*f)(const Tensor&, const Tensor&);
  };
  void binary(const std::vector<Binary>& ops);

  std::vector<BadCall> rows;

 private:
  void add(const char* op, Kind kind, std::vector<std::string> words, Call f) {
    rows.push_back({op, kind, std::move(words), std::move(f)});
  }
};

// One function per file of bad_options/.
void add_bad_elementwise(BadCalls& t);
void add_bad_reduce(BadCalls& t);
void add_bad_losses(BadCalls& t);
void add_bad_linalg(BadCalls& t);
void add_bad_conv(BadCalls& t);
void add_bad_index(BadCalls& t);
void add_bad_shape(BadCalls& t);
void add_bad_sequence(BadCalls& t);
void add_bad_signal(BadCalls& t);
void add_bad_create(BadCalls& t);
void add_two_devices(BadCalls& t);
void add_bad_bounds(BadCalls& t);
void add_bad_composed(BadCalls& t);

}  // namespace tapedeck::test
