// Integers, permutations, draws by weights or by mixtures, dropout of channels, and what initialises weights.
#include "cases/draws.h"

#include <tapedeck/autograd/ops.h>

#include <algorithm>
#include <numeric>

namespace tapedeck::cases {
namespace {

std::string text_of(const Shape& shape, DType dtype) { return to_string(shape) + " " + tapedeck::name(dtype); }

void add_integers(std::vector<OpCase>& t) {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                         most = std::numeric_limits<std::int64_t>::max();
  struct Range {
    std::int64_t low, high;
  };
  for (const DType dtype : {DType::i64, DType::i32, DType::u8, DType::f32, DType::f64})
    for (const Shape& shape : kShapes)
      for (const auto& [low, high] : {Range{0, 10}, Range{5, 200}, Range{-7, 3}, Range{least, most}}) {
        if (dtype == DType::u8 && low < 0) continue;
        if (dtype != DType::i64 && low == least) continue;
        const auto expect = [=, low = low, high = high](const char* op) {
          return [=] {
            return drawn(shape, dtype, first_key(3, op, shape), [=](auto key, auto row, auto e) -> Wide {
              const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
              return static_cast<Wide>(
                  static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + scaled(long_word(key, row, e), range)));
            });
          };
        };
        const Here options{dtype};
        const std::string text = text_of(shape, dtype) + " in " + std::to_string(low) + " to " + std::to_string(high);
        t.push_back(seeded(
            "randint", text, 3, [=, low = low, high = high] { return randint(low, high, shape, options); },
            expect("randint")));
        t.push_back(seeded(
            "randint_like", text, 3,
            [=, low = low, high = high] { return randint_like(empty(shape, options), low, high); },
            expect("randint_like")));
        if (low == 0)
          t.push_back(seeded(
              "randint high", text, 3, [=, high = high] { return randint(high, shape, options); }, expect("randint")));
      }
}

void add_permutations(std::vector<OpCase>& t) {
  for (const std::int64_t n : {0, 1, 2, 3, 5, 8, 13, 64, 100, 1000, 4097, 20000})
    for (const std::uint64_t seed : {1, 2, 3, 4, 5})
      t.push_back(seeded(
          "randperm", std::to_string(n), seed, [=] { return randperm(n, Here{DType::i64}); },
          [=] {
            const std::uint64_t key = first_key(seed, "randperm", 1);
            std::vector<std::int64_t> p(static_cast<std::size_t>(n));
            std::iota(p.begin(), p.end(), 0);
            for (std::size_t i = p.size(); i-- > 1;) std::swap(p[i], p[scaled(long_word(key, 0, i), i + 1)]);
            return Expected{{n}, DType::i64, {p.begin(), p.end()}, {}};
          }));
}

void add_like(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kShapes)
      for (const std::uint64_t seed : {1, 2, 3}) {
        const Here options{dtype};
        t.push_back(seeded(
            "rand_like", text_of(shape, dtype), seed, [=] { return rand_like(empty(shape, options)); },
            [=] { return drawn(shape, dtype, first_key(seed, "rand_like", shape), unit); }));
        t.push_back(seeded(
            "randn_like", text_of(shape, dtype), seed, [=] { return randn_like(empty(shape, options)); },
            [=] { return drawn(shape, dtype, first_key(seed, "randn_like", shape), gauss); }));
        t.back().bound = {.ulps = 2};
        for (const double rate : {1., 0.25}) {
          t.push_back(seeded(
              "exponential_", text_of(shape, dtype) + " rate " + std::to_string(rate).substr(0, 4), seed,
              [=] { return clone(exponential_(empty(shape, options), rate)); },
              [=] {
                return drawn(
                    shape, dtype, first_key(seed, "exponential_", shape),
                    [=](auto key, auto row, auto e) -> Wide { return -std::log(Wide(open_unit(key, row, e))) / rate; });
              }));
          t.back().bound = {.c = 4};
        }
      }
}

void add_bernoulli(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i64, DType::u8, DType::boolean})
    for (const Shape& shape : kShapes)
      for (const double p : {0., 0.3, 1.}) {
        const auto expect = [=](const char* op) {
          return [=] {
            return drawn(shape, dtype, first_key(1, op, shape),
                         [=](auto key, auto row, auto e) -> Wide { return unit(key, row, e) < p; });
          };
        };
        const std::string text = text_of(shape, dtype) + " p " + std::to_string(p).substr(0, 3);
        t.push_back(seeded(
            "bernoulli scalar", text, 1,
            [=] {
              return bernoulli(empty(shape, {dtype, here()}), p);
            },
            expect("bernoulli")));
        t.push_back(seeded(
            "bernoulli_", text, 1,
            [=] {
              return clone(bernoulli_(laid_out(zeros(shape, {dtype, here()}), Layout::sliced), p));
            },
            expect("bernoulli_")));
      }
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kShapes)
      for (const Layout layout : layouts(shape)) {
        OpCase c{.op = "bernoulli", .text = "", .inputs = {{shape, dtype, layout, Values::range, 0, 1}}};
        c.call = [](Args x) {
          const RandomScope scope(1, 1);
          return Outputs{bernoulli(x[0])};
        };
        c.oracle = [](Args x) {
          const auto p = values_of(cast(x[0], DType::f64));
          std::size_t at = 0;
          return std::vector{drawn(x[0].sizes(), x[0].dtype(), first_key(1, "bernoulli", x[0].sizes()),
                                   [&](auto key, auto row, auto e) -> Wide { return unit(key, row, e) < p[at++]; })};
        };
        t.push_back(std::move(c));
      }
}

// The first class whose running sum exceeds u of the total; a drawn one leaves when it is not put back.
void add_multinomial(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{1}, Shape{7}, Shape{1, 1}, Shape{3, 5}, Shape{4, 64}, Shape{2, 3, 17}, Shape{0, 4},
                               Shape{2, 1000}, Shape{5, 33}})
      for (const Layout layout : layouts(shape))
        for (const bool replacement : {false, true})
          for (const std::int64_t wanted : {0, 1, 4, 100}) {
            const std::int64_t classes = shape[shape.rank() - 1];
            const std::int64_t samples = replacement ? wanted : std::min(wanted, classes);
            OpCase c{.op = "multinomial",
                     .text = std::to_string(samples) + (replacement ? " with replacement" : ""),
                     .inputs = {{shape, dtype, layout, Values::range, 0.01, 3}}};
            c.call = [=](Args x) {
              const RandomScope scope(2, 1);
              return Outputs{multinomial(x[0], samples, replacement)};
            };
            c.oracle = [=](Args x) {
              Shape out = shape;
              out[shape.rank() - 1] = samples;
              Expected r{out, DType::i64, {}, {}};
              const std::int64_t each = shape.rank() > 1 ? shape[0] : 1;
              const std::uint64_t key = first_key(2, "multinomial", each);
              const auto w = values_of(cast(x[0], DType::f64));
              for (std::size_t row = 0; row * static_cast<std::size_t>(classes) < w.size(); ++row) {
                std::vector<Wide> left(w.begin() + static_cast<std::ptrdiff_t>(row) * classes,
                                       w.begin() + static_cast<std::ptrdiff_t>(row + 1) * classes);
                for (std::int64_t s = 0; s < samples; ++s) {
                  const Wide u = static_cast<Wide>(long_word(key, row, static_cast<std::uint64_t>(s)) >> 11) * 0x1p-53L;
                  const Wide bound = u * std::accumulate(left.begin(), left.end(), Wide(0));
                  std::size_t k = 0;
                  for (Wide running = left[0]; running <= bound; running += left[++k]) {
                  }
                  r.value.push_back(static_cast<Wide>(k));
                  if (!replacement) left[k] = 0;
                }
              }
              return std::vector{r};
            };
            t.push_back(std::move(c));
          }
}

// Dropout of channels: one draw for each, of a tensor with size 1 between.
void add_channel_dropout(std::vector<OpCase>& t) {
  using Op = Tensor (*)(const Tensor&, double, bool);
  struct Kind {
    const char* op;
    Op call;
    std::vector<Shape> shapes;
    int batched;  // the rank with a batch
  };
  const Kind kinds[] = {
      {"dropout1d", dropout1d, {{5, 7}, {3, 5, 4}, {2, 0, 3}, {1, 1, 1}, {2, 33, 17}, {4097, 2}}, 3},
      {"dropout2d", dropout2d, {{3, 5, 7}, {2, 3, 4, 5}, {2, 0, 3, 1}, {1, 1, 1, 1}, {2, 9, 5, 17}, {1, 3, 2, 700}}, 4},
      {"feature_dropout", feature_dropout, {{5, 7}, {3, 5, 4}, {2, 3, 4, 5}, {0, 3}, {1, 1}, {2, 33, 17}}, 0}};
  for (const Kind& k : kinds)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape : k.shapes)
        for (const Layout layout : layouts(shape))
          for (const double p : {0., 0.4, 1.}) {
            OpCase c{.op = k.op, .text = "p " + std::to_string(p).substr(0, 3), .inputs = {{shape, dtype, layout}}};
            c.call = [=, f = k.call](Args x) {
              const RandomScope scope(4, 1);
              return Outputs{f(x[0], p, true)};
            };
            const bool batched = k.batched == 0 || shape.rank() == k.batched;
            c.oracle = [=, op = k.op](Args x) {
              const auto v = values_of(cast(x[0], DType::f64));
              const std::int64_t channels = shape[shape.rank() - 1];
              const std::uint64_t key = first_key(4, op, batched ? shape[0] : shape.rank() > 1 ? 1 : channels);
              Expected r{shape, x[0].dtype(), {}, {}};
              for (std::size_t i = 0; i < v.size(); ++i) {
                const auto at = static_cast<std::int64_t>(i);
                const std::int64_t row = batched ? at / (shape.numel() / shape[0]) : 0;
                const bool kept =
                    unit(key, static_cast<std::uint64_t>(row), static_cast<std::uint64_t>(at % channels)) >= p;
                r.value.push_back(p == 0 ? v[i] : kept ? Wide(v[i]) / (1 - p) : std::copysign(0., v[i]));
              }
              return std::vector{r};
            };
            c.bound = {.ulps = 3};
            c.differentiable = true;
            c.gradient_bound = {.ulps = 3};
            t.push_back(std::move(c));
          }
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kShapes)
      for (const Layout layout : layouts(shape))
        for (const double p : {0., 0.2, 0.7}) {
          OpCase c{
              .op = "alpha_dropout", .text = "p " + std::to_string(p).substr(0, 3), .inputs = {{shape, dtype, layout}}};
          c.call = [=](Args x) {
            const RandomScope scope(4, 1);
            return Outputs{alpha_dropout(x[0], p, true)};
          };
          c.oracle = [=](Args x) {
            const auto v = values_of(cast(x[0], DType::f64));
            const Wide low = -1.0507009873554804934193349852946L * 1.6732632423543772848170429916717L;
            const Wide a = 1 / std::sqrt((1 - Wide(p)) * (1 + p * low * low)), b = -a * low * p;
            std::size_t at = 0;
            Expected r = drawn(shape, x[0].dtype(), first_key(4, "alpha_dropout", shape),
                               [&](auto key, auto row, auto e) -> Wide {
                                 const Wide from = v[at++];
                                 return p == 0 ? from : a * (unit(key, row, e) < p ? low : from) + b;
                               });
            for (const double from : v)
              r.magnitude.push_back(p == 0 ? 0 : static_cast<double>(a * (std::fabs(from) + 2) + 2));
            return std::vector{r};
          };
          c.bound = {.c = 4};
          c.differentiable = true;
          c.gradient_bound = {.ulps = 2};
          t.push_back(std::move(c));
        }
}

// Kept or drawn again, attempt by attempt, in double.
double truncated(std::uint64_t key, std::uint64_t row, std::uint64_t e, double mean, double std, double low,
                 double high) {
  const double alpha = (low - mean) / std, beta = (high - mean) / std;
  const double inside = 0.5 * (std::erfc(alpha / std::sqrt(2.)) - std::erfc(beta / std::sqrt(2.)));
  for (std::uint64_t n = 0;; ++n) {
    const std::uint64_t first = mix64(key, 2 * n), second = mix64(key, 2 * n + 1);
    if (inside > 0.25) {
      const double y = mean + std * gauss(first, row, e);
      if (y >= low && y <= high) return y;
      continue;
    }
    const double sign = alpha + beta < 0 ? -1 : 1, start = sign > 0 ? alpha : -beta, end = sign > 0 ? beta : -alpha;
    const double rate = std::max(start, 0.), u = unit(first, row, e);
    const double step = rate > 0 ? -std::log(1 - u + u * std::exp(-rate * (end - start))) / rate : u * (end - start);
    const double off = step + start - rate;
    if (unit(second, row, e) < std::exp(-off * off / 2)) return (sign > 0 ? low : high) + sign * std * step;
  }
}

void add_truncated_normal(std::vector<OpCase>& t) {
  struct Kind {
    double mean, std, low, high;
  };
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (const Kind& k : {Kind{0, 1, -2, 2}, Kind{1, 0.02, 0.96, 1.04}, Kind{0, 1, 3, 5}, Kind{0, 1, -inf, -4},
                        Kind{2, 3, 1.9, 2.3}, Kind{0, 1, -inf, inf}})
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape : kShapes) {
        const auto& [mean, std, low, high] = k;
        t.push_back(seeded(
            "truncated_normal_",
            text_of(shape, dtype) + " mean " + std::to_string(mean) + " std " + std::to_string(std) + " in " +
                std::to_string(low) + " to " + std::to_string(high),
            5,
            [=] {
              const Tensor y = clone(truncated_normal_(empty(shape, {dtype, here()}), k.mean, k.std, k.low, k.high));
              for (const double v : values_of(cast(y, DType::f64)))
                TD_CHECK(v >= k.low && v <= k.high, ValueError, v, " is outside");
              return y;
            },
            [=] {
              Expected r = drawn(shape, dtype, first_key(5, "truncated_normal_", shape),
                                 [&](auto key, auto row, auto e) -> Wide {
                                   return truncated(key, row, e, k.mean, k.std, k.low, k.high);
                                 });
              for (const Wide v : r.value)
                r.magnitude.push_back(static_cast<double>(std::fabs(v)) + std::fabs(k.mean) + k.std);
              return r;
            }));
        t.back().bound = {.c = 8};
      }
}

}  // namespace

void add_more_random(std::vector<OpCase>& t) {
  add_integers(t), add_permutations(t), add_like(t), add_bernoulli(t), add_multinomial(t), add_channel_dropout(t);
  add_truncated_normal(t);
}

}  // namespace tapedeck::cases
