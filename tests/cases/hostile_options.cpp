#include "cases/hostile_options.h"

#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/random.h>

#include <limits>

#include "cases/guard.h"

namespace tapedeck::cases {
namespace {

constexpr std::size_t kMemory = std::size_t{1} << 20;  // of one block
constexpr std::int64_t kElements = 2000;               // of a tensor that a call gets

std::string bytes_of(const Tensor& x) {
  return {static_cast<const char*>(x.impl()->storage->data()), x.impl()->storage->bytes()};
}

}  // namespace

std::int64_t Source::whole() {
  using L = std::numeric_limits<std::int64_t>;
  constexpr std::int64_t one = 1;
  return note(dice_.any({L::min(),        -(one << 62), -(one << 40),    -(one << 31) - 1, -(one << 31),
                         -one * 1000,     -one * 7,     -one * 3,        -one * 2,         -one,
                         one * 0,         one,          one * 2,         one * 3,          one * 4,
                         one * 5,         one * 8,      one * 100,       (one << 31) - 1,  one << 31,
                         (one << 32) + 1, one << 40,    (one << 40) + 1, one << 59,        one << 62,
                         L::max() - 1,    L::max()}));
}
std::int64_t Source::count() { return dice_.one_in(4) ? whole() : note<std::int64_t>(1 + dice_.below(6)); }

int Source::dim() {
  using L = std::numeric_limits<int>;
  return note(dice_.one_in(8) ? dice_.any({L::min(), L::max(), -9, 8, 100}) : dice_.below(8) - 4);
}

double Source::real() {
  constexpr double inf = std::numeric_limits<double>::infinity();
  return note(dice_.any({0.,     -0., 1.,   -1.,  0.5,   2.,    1.5,   -3., 1e-6, 1e-40,
                         1e-300, 1e6, 1e15, 1e30, -1e30, 1e300, 1e308, inf, -inf, std::nan("")}));
}
double Source::part() { return dice_.one_in(3) ? real() : note(dice_.any({0., 0.1, 0.5, 0.9, 1.})); }
bool Source::flag() { return note(dice_.below(2)) == 1; }
DType Source::dtype() {
  const DType t = dice_.one_in(3) ? dice_.type() : DType::f32;
  note(tapedeck::name(t));
  return t;
}

std::vector<int> Source::dims() {
  std::vector<int> out;
  for (int n = dice_.below(4); n > 0; --n) out.push_back(dim());
  return out;
}
std::vector<std::int64_t> Source::wholes(bool counts) {
  std::vector<std::int64_t> out;
  for (int n = dice_.below(6); n > 0; --n) out.push_back(counts ? count() : whole());
  return out;
}

Shape Source::shape() {
  Shape s;
  for (int rank = dice_.one_in(12) ? kMaxRank : dice_.below(5); rank > 0; --rank)
    s.push(dice_.one_in(8) ? whole() : note<std::int64_t>(dice_.below(5)));
  return s;
}

Tensor Source::keep(Tensor x, bool is_buffer) {
  note(tapedeck::describe(x));
  if (tape_ && !is_buffer && is_real(x.dtype())) tape_->watch(x);
  kept_.push_back({x, bytes_of(x), is_buffer});
  return x;
}

Tensor Source::any() {
  if (dice_.one_in(16)) return {};
  Input in{dice_.shape(), dice_.one_in(2) ? DType::f32 : dice_.type()};
  in.layout = dice_.any({Layout::contiguous, Layout::contiguous, Layout::transposed, Layout::sliced, Layout::expanded});
  while (in.shape.numel() > kElements) in.shape.erase(0);
  if (in.shape.rank() > 5 && in.layout == Layout::sliced) in.layout = Layout::contiguous;  // it takes 2^rank the room
  if (!has_layout(in.shape, in.layout)) in.layout = Layout::contiguous;
  return keep(make_input(in, dice_.word(), 0));
}

Tensor Source::reals(int rank) {
  if (dice_.one_in(12)) return any();
  Input in{{}, dice_.one_in(3) ? DType::f64 : DType::f32, Layout::contiguous, Values::positive};
  for (; rank > 0; --rank) in.shape.push(dice_.one_in(12) ? 0 : 1 + dice_.below(5));
  return keep(make_input(in, dice_.word(), 0));
}

Tensor Source::of(const Shape& shape) {
  if (dice_.one_in(12)) return any();
  return keep(make_input({shape, DType::f32, Layout::contiguous, Values::positive}, dice_.word(), 0));
}

Tensor Source::index(const Shape& shape) {
  if (dice_.one_in(12)) return any();
  const Tensor x = make_input({shape, DType::i64, Layout::contiguous, Values::range, 0, 4}, dice_.word(), 0);
  if (x.numel() > 0 && dice_.one_in(4)) x.data<std::int64_t>()[dice_.below(static_cast<int>(x.numel()))] = whole();
  return keep(x);
}

Tensor Source::mask(const Shape& shape) {
  if (dice_.one_in(12)) return any();
  return keep(make_input({shape, DType::boolean}, dice_.word(), 0));
}

Tensor Source::buffer(const Shape& shape) {
  const auto layout = dice_.any({Layout::contiguous, Layout::contiguous, Layout::transposed, Layout::expanded});
  return keep(make_input({shape, dice_.one_in(4) ? dice_.type() : DType::f32, layout}, dice_.word(), 0), true);
}

std::vector<Tensor> Source::list() {
  std::vector<Tensor> out;
  for (int n = dice_.one_in(12) ? 9 : dice_.below(4); n > 0; --n) out.push_back(dice_.one_in(6) ? any() : of({2, 3}));
  return out;
}

bool Source::unchanged(bool buffers_too) const {
  for (const Kept& k : kept_)
    if ((!k.is_buffer || buffers_too) && bytes_of(k.x) != k.bytes) return false;
  return true;
}

const std::vector<OptionCall>& option_calls() {
  static const std::vector<OptionCall> all = [] {
    OptionCalls t;
    add_array_options(t), add_layer_options(t), add_writing_options(t);
    return std::move(t.calls);
  }();
  return all;
}

std::string option_fault(const OptionCall& c, std::uint64_t seed, std::string* words) {
  const RandomScope scope(seed, 1);
  const ShortMemory limit(kMemory);
  Tape tape;
  const bool on_tape = mix64(seed, 1) % 2 == 0;
  Source s(seed, on_tape ? &tape : nullptr);
  Outputs y;
  std::string fault;
  bool done = false;
  try {
    y = c.call(s);
    done = true;
  } catch (const Error& e) {
    const std::string message = e.what();
    if (message.find(c.op.substr(0, c.op.find(' '))) == std::string::npos)
      fault = "the error does not name the op: " + message;
    if (tape.size() != 0) fault = "threw and left the tape longer: " + message;
  } catch (const std::exception& e) {
    fault = std::string("threw what is no tapedeck::Error: ") + e.what();
  }
  try {
    for (const Tensor& t : y)
      if (t.defined() && is_recorded(t) && is_real(t.dtype())) {
        tape.backward(t, detach(expand(scalar(1, t.options()), t.sizes())));
        break;
      }
  } catch (const Error&) {  // a gradient may be refused
  } catch (const std::exception& e) {
    fault = std::string("backward threw what is no tapedeck::Error: ") + e.what();
  }
  if (!s.unchanged(!done)) fault += " an argument was written to";
  *words = s.words() + (on_tape ? " on a tape" : "");
  return fault;
}

}  // namespace tapedeck::cases
