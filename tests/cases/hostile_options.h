// Calls of every op that has options, with random ones: mostly of a size that fits, else whatever the type can hold.
#pragma once
#include <tapedeck/autograd/ops.h>

#include <functional>
#include <string>
#include <vector>

#include "cases/dice.h"
#include "cases/op_case.h"

namespace tapedeck::cases {

// What a call draws: the same seed draws the same. It keeps what it gave, in words and to see that nobody wrote to it.
class Source {
 public:
  Source(std::uint64_t seed, Tape* tape) : dice_(seed), tape_(tape) {}

  std::int64_t whole();  // any
  std::int64_t count();  // mostly 1 to 6
  int dim();             // mostly -4 to 3
  double real();         // any
  double part();         // mostly in [0, 1]
  bool flag();
  DType dtype();  // mostly f32
  template <class E>
  E one_of(int choices) {
    return static_cast<E>(note(dice_.below(choices)));
  }
  std::optional<int> maybe_dim() { return flag() ? std::optional(dim()) : std::nullopt; }
  std::optional<std::int64_t> maybe_count() { return flag() ? std::optional(count()) : std::nullopt; }
  std::vector<int> dims();
  std::vector<std::int64_t> wholes(bool counts);
  Shape shape();  // mostly small
  template <int N>
  PerDim<N> per_dim() {
    PerDim<N> p;
    for (std::int64_t& v : p.values) v = count();
    return p;
  }
  TensorOptions options() { return {dtype(), kCpu}; }

  Tensor any();                      // of any shape and dtype, or none
  Tensor reals(int rank);            // f32 or f64 in [0, 1), mostly of that rank, sizes mostly 1 to 5
  Tensor of(const Shape& shape);     // f32 in [0, 1), of that shape
  Tensor index(const Shape& shape);  // i64, mostly 0 to 3
  Tensor mask(const Shape& shape);
  Tensor buffer(const Shape& shape);  // f32, to be written to; its elements may share memory
  std::vector<Tensor> list();

  const std::string& words() const { return words_; }
  bool unchanged(bool buffers_too) const;

 private:
  template <class T>
  T note(T v) {
    words_ += (words_.empty() ? "" : ", ") + detail::join({v});
    return v;
  }
  Tensor keep(Tensor x, bool is_buffer = false);

  struct Kept {
    Tensor x;
    std::string bytes;
    bool is_buffer;
  };
  Dice dice_;
  Tape* tape_;
  std::string words_;
  std::vector<Kept> kept_;
};

struct OptionCall {
  std::string op;
  std::function<Outputs(Source&)> call;
};

class OptionCalls {
 public:
  template <class F>
  void add(const char* op, F f) {
    calls.push_back({op, [f](Source& s) { return outputs(f(s)); }});
  }
  std::vector<OptionCall> calls;

 private:
  static Outputs outputs(const Tensor& y) { return {y}; }
  static Outputs outputs(std::vector<Tensor> y) { return y; }
  static Outputs outputs(const ValuesIndices& y) { return {y.values, y.indices}; }
  static Outputs outputs(const VarMean& y) { return {y.var, y.mean}; }
  static Outputs outputs(const StdMean& y) { return {y.std, y.mean}; }
  static Outputs outputs(const SpectralNorm& y) { return {y.weight, y.u}; }
  static Outputs outputs(const RnnResult& y) { return {y.output, y.h}; }
  static Outputs outputs(const LstmResult& y) { return {y.output, y.h, y.c}; }
};

const std::vector<OptionCall>& option_calls();
void add_array_options(OptionCalls& t);    // creation, shapes, indices, reductions
void add_layer_options(OptionCalls& t);    // elementwise, losses, layers, signals
void add_writing_options(OptionCalls& t);  // random numbers, writes in place, initialisers

// One call. "" when the op gave a result or threw an Error that names it, and left arguments and tape as they were.
// Memory is short meanwhile, so that what is legal but huge is refused at once. words: what was drawn.
std::string option_fault(const OptionCall& c, std::uint64_t seed, std::string* words);

}  // namespace tapedeck::cases
