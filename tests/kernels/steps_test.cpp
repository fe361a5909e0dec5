#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/isa.h>
#include <tapedeck/kernels/matmul.h>

#include "kernels/contraction.h"
#include "kernels/packed_step.h"

namespace tapedeck {
namespace {

using kernels::StepThen;
using kernels::Use;
using std::int64_t;

// y = x w + bias by matmul. x [1,rows,K], w [N,K], bias [N].
std::vector<float> product(Operand<float>& x, Operand<float>& w, Operand<float>* bias) {
  TensorView b = w.view();  // [N,K] as [1,K,N]
  const int64_t n = b.sizes[0], k = b.sizes[1], rows = x.view().sizes[1];
  b.rank = 3, b.sizes[0] = 1, b.sizes[1] = k, b.sizes[2] = n, b.strides[0] = 0, b.strides[1] = 1, b.strides[2] = k;
  Operand<float> y({1, rows, n});
  kernels::matmul(kCpu, {x.view(), b, bias ? bias->view() : TensorView(), y.view(), 0});
  return y.values();
}

// A row in segments is the row in one piece of matmul, for every variant, number of threads and of rows, and what
// follows the sums is the op of that name.
void check(int64_t rows, int64_t n, const std::vector<int64_t>& lengths, StepThen then, bool with_bias) {
  SCOPED_TRACE("rows " + std::to_string(rows) + " n " + std::to_string(n) + " segments " +
               std::to_string(lengths.size()) + " then " + std::to_string(static_cast<int>(then)));
  const int64_t k = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const int64_t outputs = then == StepThen::gate ? 2 * n : n;
  Operand<float> x({1, rows, k}), w({outputs, k}), bias({outputs}), add({rows, n}, {}, 1), y({rows, n}, {}, 3);
  x.random(1 + k), w.random(2 + n), bias.random(3), add.random(4);
  y.fill(std::numeric_limits<float>::quiet_NaN());
  std::vector<float> expected = product(x, w, with_bias ? &bias : nullptr);
  if (then == StepThen::add) {
    const std::vector<float> a = add.values();
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = a[i] + expected[i];
  } else if (then == StepThen::gate) {
    Operand<float> u({rows, outputs}), gated({rows, n});
    std::size_t i = 0;
    u.each([&](float& v) { v = expected[i++]; });
    kernels::GateArgs args;
    args.x = u.view(), args.y = gated.view();
    kernels::gated_activation(kCpu, args);
    expected = gated.values();
  }

  std::vector<Operand<float>> pieces;  // each in memory of its own, rows further apart than its length
  int64_t from = 0;
  const std::vector<float> xv = x.values();
  for (const int64_t l : lengths) {
    Operand<float>& piece = pieces.emplace_back(Operand<float>({rows, l}, {}, 2));
    int64_t i = 0;
    piece.each([&](float& v) { v = xv[i / l * k + from + i % l], ++i; });
    from += l;
  }
  for (const int threads : {1, 2, 3}) {
    PackedStep step(w.view(), with_bias ? bias.view() : TensorView(), then, DType::f32, threads);
    kernels::StepProduct& p = step.part.product;
    p.segments = static_cast<int>(lengths.size()), p.rows = rows;
    for (std::size_t s = 0; s < lengths.size(); ++s)
      p.x[s] = {pieces[s].view().ptr<const float>(), lengths[s], pieces[s].view().strides[0]};
    p.add = add.view().ptr<const float>(), p.add_row = add.view().strides[0];
    p.y = y.view().ptr<float>(), p.y_row = y.view().strides[0];
    Team team(threads);
    for (const char* v : {"simd", "ref"}) {
      if (then == StepThen::gate && v[0] == 'r') continue;  // its tanh is another one
      const Use use(kernels::steps, v);
      for (const kernels::Isa isa : {kernels::best_isa(), kernels::Isa::avx2}) {
        kernels::use_isa(isa);
        y.restore();
        step.run(threads > 1 ? &team : nullptr);
        kernels::use_isa(kernels::best_isa());
        ASSERT_TRUE(same_bits(y.values(), expected)) << v << ", " << threads << " threads";
        ASSERT_TRUE(y.outside_untouched()) << v;
      }
    }
  }
}

TEST(Steps, EqualMatmulAndWhatFollows) {
  for (const int64_t n : {1, 7, 8, 15, 16, 17, 33, 64, 96, 100, 128, 129, 200, 320}) {
    for (const int64_t rows : {1, 2, 3, 4, 7, 17}) {
      check(rows, n, {64}, StepThen::store, n % 2 == 0);
      check(rows, n, {32, 33}, StepThen::add, n % 2 == 1);
      check(rows, n, {32, 33}, StepThen::gate, n % 2 == 1);
    }
    check(1, n, {1, 2, 3, 4, 5, 6, 7, 8}, StepThen::store, true);
    check(3, n, {256, 256, 1}, StepThen::add, true);
    check(2, n, {100, 300, 255, 2}, StepThen::gate, true);
    check(1, n, {}, StepThen::store, true);
    check(1, n, {0, 5, 0, 3}, StepThen::add, false);
  }
  check(4, 3000, {1024}, StepThen::store, true);  // wide enough for parallel_for
}

// A step over a ring of past inputs equals the convolution of the whole sequence, bit for bit, and ref equals simd.
TEST(Steps, EqualConvolution) {
  const int64_t time = 60, in = 61, out = 40, taps = 5, dilation = 3;
  Operand<float> x({1, time, in}), w({out, in, taps}), bias({out}), y({1, time, out});
  x.random(1), w.random(2), bias.random(3), y.fill(0);
  kernels::conv1d(kCpu, {x.view(), w.view(), bias.view(), y.view(), {1, dilation, 1, (taps - 1) * dilation}, 0});
  const std::vector<float> expected = y.values(), zeros(in, 0.0f);
  PackedStep packed(w.view(), bias.view());
  for (const char* v : {"simd", "ref"}) {
    const Use use(kernels::steps, v);
    for (int64_t t = 0; t < time; ++t) {
      kernels::StepProduct& p = packed.part.product;
      p.segments = taps;
      for (int64_t k = 0; k < taps; ++k) {
        const int64_t at = t - (taps - 1 - k) * dilation;
        p.x[k] = {at < 0 ? zeros.data() : x.view().ptr<const float>() + at * in, in, 0};
      }
      std::vector<float> step(out);
      p.y = step.data();
      packed.run();
      ASSERT_TRUE(same_bits(step, {expected.begin() + t * out, expected.begin() + (t + 1) * out})) << v << " " << t;
    }
  }
}

// A product that goes on from sums of its first indices, made for more rows than one at a time, is the whole product.
void check_begun(int64_t rows, int64_t n, int64_t begun_k, int64_t k, StepThen then, DType dtype) {
  SCOPED_TRACE("rows " + std::to_string(rows) + " n " + std::to_string(n) + " k " + std::to_string(begun_k) + " of " +
               std::to_string(k) + " then " + std::to_string(static_cast<int>(then)));
  const int64_t outputs = then == StepThen::gate ? 2 * n : n;
  Operand<float> x({rows, k}), w({outputs, k}), bias({outputs}), add({rows, n}), y({rows, n}, {}, 3);
  x.random(1 + k), w.random(2 + n), bias.random(3), add.random(4);
  const float* x0 = x.view().ptr<const float>();
  const auto columns = [&](int64_t from, int64_t count) {
    TensorView v = w.view();
    v.data = v.ptr<float>() + from, v.sizes[1] = count;
    return v;
  };
  for (const int threads : {1, 2, 3}) {
    PackedStep whole(w.view(), bias.view(), then, dtype, threads);
    PackedStep first(columns(0, begun_k), {}, then, dtype, threads);
    PackedStep rest(columns(begun_k, k - begun_k), bias.view(), then, dtype, threads);
    kernels::StepProduct &a = whole.part.product, &b = first.part.product, &c = rest.part.product;
    const int64_t width = kernels::step_columns(c);
    Operand<float> sums({rows, width}, {}, 1);
    a.segments = b.segments = c.segments = 1;
    a.x[0] = {x0, k, k}, b.x[0] = {x0, begun_k, k}, c.x[0] = {x0 + begun_k, k - begun_k, k};
    a.rows = b.rows = c.rows = rows;
    for (kernels::StepProduct* p : {&a, &c}) {
      p->add = add.view().ptr<const float>(), p->add_row = n;
      p->y = y.view().ptr<float>(), p->y_row = y.view().strides[0];
    }
    b.partial = true, b.y = sums.view().ptr<float>(), b.y_row = sums.view().strides[0];
    c.begun = b.y, c.begun_k = begun_k, c.begun_row = b.y_row;
    Team team(threads);
    kernels::StepPart parts[] = {first.part, whole.part, rest.part};
    parts[1].idle = true;  // nothing of it is done
    for (const char* v : {"simd", "ref"}) {
      const Use use(kernels::steps, v);
      for (const kernels::Isa isa : {kernels::best_isa(), kernels::Isa::avx2}) {
        kernels::use_isa(isa);
        y.restore();
        whole.run(threads > 1 ? &team : nullptr);
        const std::vector<float> expected = y.values();
        y.restore(), sums.restore();
        kernels::steps(kCpu, {parts, 3, threads > 1 ? &team : nullptr});
        kernels::use_isa(kernels::best_isa());
        ASSERT_TRUE(same_bits(y.values(), expected)) << v << ", " << threads << " threads";
        ASSERT_TRUE(y.outside_untouched() && sums.outside_untouched()) << v;
      }
    }
  }
}

TEST(Steps, GoOnFromSumsThatWereBegun) {
  for (const int64_t n : {1, 16, 17, 33, 64, 129, 200})
    for (const int64_t rows : {1, 2, 3, 8, 13})
      for (const auto& [begun, k] : {std::pair<int64_t, int64_t>{1, 2}, {32, 64}, {33, 300}, {256, 257}, {255, 600}}) {
        check_begun(rows, n, begun, k, StepThen::store, n % 2 ? DType::f32 : DType::bf16);
        check_begun(rows, n, begun, k, StepThen::gate, n % 2 ? DType::bf16 : DType::f32);
        check_begun(rows, n, begun, k, StepThen::add, DType::f32);
      }
}

// Weights of half the bytes are the rounded ones.
TEST(Steps, Bf16WeightsAreRoundedOnes) {
  for (const auto& [n, then] : {std::pair{1, StepThen::store}, {40, StepThen::store}, {130, StepThen::gate}}) {
    const int64_t k = 300, outputs = then == StepThen::gate ? 2 * n : n;
    Operand<float> x({k}), w({outputs, k}), rounded({outputs, k}), bias({outputs});
    x.random(1), w.random(2), rounded.random(2), bias.random(3);
    rounded.each([](float& v) { v = BFloat16::from(v).to_float(); });
    std::vector<float> y[2];
    for (const bool half : {false, true}) {
      PackedStep step(half ? w.view() : rounded.view(), bias.view(), then, half ? DType::bf16 : DType::f32, 2);
      step.part.product.segments = 1, step.part.product.x[0] = {x.view().ptr<const float>(), k, 0};
      y[half].resize(static_cast<std::size_t>(n));
      step.part.product.y = y[half].data();
      step.run();
    }
    EXPECT_TRUE(same_bits(y[0], y[1])) << n;
  }
}

// Parts that need others see what these wrote, calls included: a chain y = W y, forwards and back through calls.
TEST(Steps, PartsWaitForWhatTheyNeed) {
  const int64_t n = 96;
  Operand<float> w({n, n}), x({n});
  w.random(1), x.random(2);
  std::vector<float> alone;
  for (const int threads : {1, 2, 4}) {
    PackedStep packed(w.view(), {}, StepThen::store, DType::f32, threads);
    std::vector<std::vector<float>> rows(41, std::vector<float>(n));
    rows[0] = x.values();
    struct Halve {
      std::vector<float>* row;
      static void run(void* self) {
        for (float& v : *static_cast<Halve*>(self)->row) v *= 0.25f;
      }
    };
    std::vector<Halve> calls(40);
    std::vector<kernels::StepPart> parts;
    for (std::size_t i = 0; i < 40; ++i) {
      kernels::StepPart part = packed.part;
      part.needs = static_cast<int>(parts.size()) - 1;
      part.product.segments = 1, part.product.x[0] = {rows[i].data(), n, n}, part.product.y = rows[i + 1].data();
      parts.push_back(part);
      kernels::StepPart call;
      calls[i].row = &rows[i + 1];
      call.needs = static_cast<int>(parts.size()) - 1, call.call = Halve::run, call.with = &calls[i];
      parts.push_back(call);
    }
    Team team(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      kernels::steps(kCpu, {parts.data(), std::ssize(parts), threads > 1 ? &team : nullptr});
      if (alone.empty()) alone = rows[40];
      ASSERT_TRUE(same_bits(rows[40], alone)) << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace tapedeck
