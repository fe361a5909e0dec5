// Creation, random numbers, writes in place, initialisers.
#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_create(BadCalls& t) {
  const std::string huge = std::to_string(kHuge);
  const auto sized = [&](const char* op, const std::function<void(const Shape&)>& f) {
    t.shape(op, {"[2,-1]"}, [=](In) { f({2, -1}); });
    t.shape(op, {huge}, [=](In) { f({kHuge}); });
    t.shape(op, {huge, "2"}, [=](In) { f({kHuge, 2}); });
    t.shape(op, {"4294967296"}, [=](In) { f({std::int64_t{1} << 32, std::int64_t{1} << 32}); });
  };
  sized("ones", [](const Shape& s) { ones(s); });
  sized("rand", [](const Shape& s) { rand(s); });
  sized("randn", [](const Shape& s) { randn(s); });
  sized("randint", [](const Shape& s) { randint(0, 5, s); });
  sized("randint high", [](const Shape& s) { randint(5, s); });
  t.missing("ones_like", [](In g) { ones_like(g.none); });
  t.missing("full_like", [](In g) { full_like(g.none, 1); });
  t.dtype("full_like", {"0.5", "i64"}, [](In g) { full_like(g.whole, 0.5); });
  t.reals("arange", {-1, kNan, kInfinity}, [](In, double end) { arange(end); });
  t.values("arange options", {-1, -kHuge}, [](In, std::int64_t end) { arange(end, {DType::i64}); });
  t.shapes("arange options", {kHuge}, [](In, std::int64_t end) { arange(end, {DType::i64}); });
  t.dtype("arange options", {"0.5", "i64"}, [](In) { arange(0.5, {DType::i64}); });
  t.dtype("arange options", {"300", "u8"}, [](In) { arange(301, {DType::u8}); });
  t.dtype("arange options", {"bool"}, [](In) { arange(2, {DType::boolean}); });
  t.reals("arange step", {0, -1, kNan}, [](In, double step) { arange(0., 5., step); });
  t.value("arange step options", {"-1", "5"}, [](In) { arange(0, 5, -1, {DType::f32}); });
  t.value("arange step options", {huge}, [](In) { arange(-kHuge, kHuge, 1, {DType::i64}); });
  t.value("arange step options", {"too many"}, [](In) { arange(0., 1., 1e-300, {DType::f32}); });
  t.values("linspace", {-1, -kHuge}, [](In, std::int64_t n) { linspace(0, 1, n); });
  t.shapes("linspace", {kHuge}, [](In, std::int64_t n) { linspace(0, 1, n); });
  t.values("logspace", {-1, -kHuge}, [](In, std::int64_t n) { logspace(0, 1, n); });
  t.shapes("logspace", {kHuge}, [](In, std::int64_t n) { logspace(0, 1, n); });
  t.values("eye", {-1, -kHuge}, [](In, std::int64_t n) { eye(n); });
  t.values("eye", {-2, -kHuge}, [](In, std::int64_t n) { eye(2, n); });
  t.shapes("eye", {kHuge}, [](In, std::int64_t n) { eye(n); });

  using Dropout = Tensor (*)(const Tensor&, double, bool);
  for (const auto& [op, f] : std::vector<std::pair<const char*, Dropout>>{{"dropout", dropout},
                                                                          {"dropout1d", dropout1d},
                                                                          {"feature_dropout", feature_dropout},
                                                                          {"alpha_dropout", alpha_dropout}}) {
    t.reals(op, {-0.1, 1.5, kNan, kInfinity}, [f = f](In g, double p) { f(g.x, p, true); });
    t.reals(op, {-0.1, kNan}, [f = f](In g, double p) { f(g.x, p, false); });
    t.dtype(op, {"i64"}, [f = f](In g) { f(g.whole, 0.5, true); });
  }
  t.reals("dropout2d", {-0.1, 1.5, kNan}, [](In g, double p) { dropout2d(g.image, p); });
  t.shape("dropout1d", {"[6]"}, [](In g) { dropout1d(g.v); });
  t.shape("dropout2d", {"[3,4]"}, [](In g) { dropout2d(g.m); });
  t.shape("feature_dropout", {"[6]"}, [](In g) { feature_dropout(g.v, 0.5); });
  t.dtype("rand", {"i64"}, [](In) { rand({2}, {DType::i64}); });
  t.dtype("rand", {"bf16"}, [](In) { rand({2}, {DType::bf16}); });
  t.dtype("randint", {"f16"}, [](In) { randint(0, 5, {2}, {DType::f16}); });
  t.dtype("normal_", {"f16[2]"}, [](In) { normal_(zeros({2}, {DType::f16})); });
  t.dtype("randn", {"bool"}, [](In) { randn({2}, {DType::boolean}); });
  t.unary({{"rand_like", rand_like}, {"randn_like", randn_like}}, false);
  t.dtype("rand_like", {"i64"}, [](In g) { rand_like(g.whole); });
  t.dtype("randn_like", {"i64"}, [](In g) { randn_like(g.whole); });
  t.value("randint", {"5", "4"}, [](In) { randint(5, 4, {2}); });
  t.values("randint high", {0, -1, -kHuge}, [](In, std::int64_t n) { randint(n, {2}); });
  t.dtype("randint", {"300", "u8"}, [](In) { randint(0, 301, {2}, {DType::u8}); });
  t.value("randint_like", {"5", "5"}, [](In g) { randint_like(g.whole, 5, 5); });
  t.missing("randint_like", [](In g) { randint_like(g.none, 0, 5); });
  t.shapes("randperm", {-1, -kHuge, kHuge}, [](In, std::int64_t n) { randperm(n); });
  t.dtype("randperm", {"f32"}, [](In) { randperm(4, {DType::f32}); });
  t.value("bernoulli", {"-0."}, [](In g) { bernoulli(detach(g.m) - 1); });
  t.value("bernoulli", {"[3,4]"}, [](In g) { bernoulli(full_like(g.m, kNan)); });
  t.dtype("bernoulli", {"i64"}, [](In g) { bernoulli(g.whole); });
  t.reals("bernoulli p", {-0.1, 1.5, kNan}, [](In g, double p) { bernoulli(g.m, p); });
  t.values("multinomial", {-1, -kHuge}, [](In g, std::int64_t n) { multinomial(g.m, n); });
  t.shapes("multinomial", {kHuge}, [](In g, std::int64_t n) { multinomial(g.m, n, true); });
  t.value("multinomial", {"5 weights", "4"}, [](In g) { multinomial(g.m, 5); });
  t.value("multinomial", {"-0."}, [](In g) { multinomial(detach(g.m) - 1, 1); });
  t.value("multinomial", {"inf"}, [](In g) { multinomial(full_like(g.m, kInfinity), 1); });
  t.shape("multinomial", {"f32[]"}, [](In) { multinomial(scalar(1), 1); });
  t.reals("sample_categorical", {-1, kNan}, [](In g, double s) { sample_categorical(g.m, full({3}, 0.5), s); });
  t.shape("sample_categorical", {"[3]", "[6]"}, [](In g) { sample_categorical(g.m, g.v); });

  // In place: also what is on the tape, and what shares memory with itself.
  using Write = std::function<void(const Tensor&)>;
  for (const auto& [op, f] :
       std::vector<std::pair<const char*, Write>>{{"copy_", [](const Tensor& x) { copy_(x, scalar(1)); }},
                                                  {"fill_", [](const Tensor& x) { fill_(x, 1); }},
                                                  {"add_",
                                                   [](const Tensor& x) {
                                                     add_(x, zeros({3, 4}));
                                                   }},
                                                  {"mul_", [](const Tensor& x) { mul_(x, 2); }},
                                                  {"uniform_", [](const Tensor& x) { uniform_(x); }},
                                                  {"normal_", [](const Tensor& x) { normal_(x); }},
                                                  {"truncated_normal_", [](const Tensor& x) { truncated_normal_(x); }},
                                                  {"exponential_", [](const Tensor& x) { exponential_(x); }},
                                                  {"bernoulli_", [](const Tensor& x) { bernoulli_(x); }},
                                                  {"xavier_uniform_", [](const Tensor& x) { xavier_uniform_(x); }},
                                                  {"xavier_normal_", [](const Tensor& x) { xavier_normal_(x); }},
                                                  {"kaiming_uniform_", [](const Tensor& x) { kaiming_uniform_(x); }},
                                                  {"kaiming_normal_", [](const Tensor& x) { kaiming_normal_(x); }},
                                                  {"orthogonal_", [](const Tensor& x) { orthogonal_(x); }},
                                                  {"eye_", [](const Tensor& x) { eye_(x); }}}) {
    t.tape(op, {"f32[3,4]"}, [f = f](In g) { f(g.m); });
    t.value(op, {"share memory", "[3,4]"}, [f = f](In g) { f(g.shared); });
    t.missing(op, [f = f](In g) { f(g.none); });
  }
  t.tape("dirac_", {"f32[4,4,2]"}, [](In g) { dirac_(g.w1); });
  t.shape("copy_", {"[4]", "[3,4]"}, [](In g) { copy_(g.buffer, zeros({3, 4})); });
  t.tape("copy_", {"from"}, [](In g) { copy_(zeros({6}), g.v); });
  t.dtype("fill_", {"0.5", "i64"}, [](In g) { fill_(g.places, 0.5); });
  t.shape("add_", {"[4]", "[4,4]"}, [](In g) { add_(g.buffer, g.weight); });
  t.dtype("add_", {"i64[3]"}, [](In g) { add_(g.buffer, g.places); });
  t.dtype("mul_", {"0.5", "i64"}, [](In g) { mul_(g.places, 0.5); });
  t.dtype("uniform_", {"i64"}, [](In g) { uniform_(g.places); });
  for (const auto& [low, high] : {std::pair{2., 1.}, {kNan, 1.}, {0., kInfinity}, {-kInfinity, 0.}})
    t.value("uniform_", {word(low), word(high)}, [=](In g) { uniform_(g.buffer, low, high); });
  t.reals("normal_", {-1, kNan}, [](In g, double s) { normal_(g.buffer, 0, s); });
  t.reals("truncated_normal_", {-1, kNan, kInfinity}, [](In g, double s) { truncated_normal_(g.buffer, 0, s); });
  t.reals("truncated_normal_", {kNan, kInfinity}, [](In g, double m) { truncated_normal_(g.buffer, m); });
  for (const auto& [low, high] : {std::pair{2., 1.}, {kNan, 1.}, {0., kNan}})
    t.value("truncated_normal_", {word(low), word(high)}, [=](In g) { truncated_normal_(g.buffer, 0, 1, low, high); });
  t.reals("exponential_", {0, -1, kNan}, [](In g, double r) { exponential_(g.buffer, r); });
  t.reals("bernoulli_", {-0.1, 1.5, kNan}, [](In g, double p) { bernoulli_(g.buffer, p); });
  t.shape("xavier_uniform_", {"[4]"}, [](In g) { xavier_uniform_(g.buffer); });
  t.shape("kaiming_normal_", {"[4]"}, [](In g) { kaiming_normal_(g.buffer); });
  t.shape("orthogonal_", {"[4]"}, [](In g) { orthogonal_(g.buffer); });
  t.shape("eye_", {"[4]"}, [](In g) { eye_(g.buffer); });
  t.reals("xavier_uniform_", {kNan, kInfinity}, [](In g, double gain) { xavier_uniform_(g.weight, gain); });
  t.reals("xavier_normal_", {kNan, kInfinity}, [](In g, double gain) { xavier_normal_(g.weight, gain); });
  t.reals("kaiming_uniform_", {kNan}, [](In g, double a) { kaiming_uniform_(g.weight, a); });
  t.reals("kaiming_normal_", {kNan}, [](In g, double a) { kaiming_normal_(g.weight, a); });
  t.reals("orthogonal_", {kNan, kInfinity}, [](In g, double gain) { orthogonal_(g.weight, gain); });
  t.values("dirac_", {0, -1, 3, kHuge}, [](In, std::int64_t n) { dirac_(zeros({4, 4, 2}), n); });
  t.shape("dirac_", {"[4,4]"}, [](In g) { dirac_(g.weight); });
}

}  // namespace tapedeck::test
