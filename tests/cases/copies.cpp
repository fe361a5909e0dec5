// Repeating, turning round, padding, windows and diagonals: checked index by index.
#include <tapedeck/autograd/ops.h>

#include <algorithm>
#include <limits>

#include "cases/moves.h"

namespace tapedeck::cases {
namespace {

std::size_t place(int d) { return static_cast<std::size_t>(d); }
std::string list(const auto& values) {
  std::string out;
  for (const auto v : values) out += (out.empty() ? "" : " ") + std::to_string(v);
  return out;
}

// The same element of x again and again in every dimension; x may have fewer of them.
void add_repeats(std::vector<OpCase>& t) {
  for (const auto& [s, repeats] : std::vector<std::pair<Shape, Shape>>{{{3}, {2}},
                                                                       {{3}, {2, 3}},
                                                                       {{}, {3}},
                                                                       {{}, {}},
                                                                       {{3, 5}, {1, 1}},
                                                                       {{3, 5}, {2, 5}},
                                                                       {{2, 3, 4}, {1, 7, 1}},
                                                                       {{2, 3, 4}, {3, 1, 2}},
                                                                       {{3, 5}, {0, 2}},
                                                                       {{0, 3}, {2, 2}},
                                                                       {{33, 17}, {3, 2}},
                                                                       {{2, 1, 2, 1, 2}, {1, 2, 1, 3, 2}},
                                                                       {{1, 4097}, {9, 1}}}) {
    Shape to = repeats;
    const int lead = repeats.rank() - s.rank();
    for (int d = lead; d < to.rank(); ++d) to[d] *= s[d - lead];
    const auto from = [s = s, lead](const Index& at) {
      Index i(at.begin() + lead, at.end());
      for (int d = 0; d < s.rank(); ++d) i[place(d)] %= s[d];
      return i;
    };
    for (const auto& [op, f] : {std::pair{"repeat", &repeat}, {"tile", &tile}})
      add_move(t, moved(
                      op, list(repeats), s, [f = f, r = repeats](const Tensor& x) { return f(x, r); }, to, from));
  }
  for (const Shape& s : {Shape{3, 5}, Shape{2, 3, 4}}) {  // fewer numbers than dimensions
    Shape to = s;
    to[s.rank() - 1] *= 3;
    add_move(t, moved(
                    "tile", "last", s, [](const Tensor& x) { return tile(x, {3}); }, to,
                    [n = s[s.rank() - 1]](Index at) {
                      at.back() %= n;
                      return at;
                    }));
  }
  for (const Shape& s :
       {Shape{7}, Shape{3, 5}, Shape{2, 3, 4}, Shape{33, 17}, Shape{0, 3}, Shape{2, 1, 2, 1, 2, 1, 2, 1}})
    for (int dim = 0; dim < std::min(s.rank(), 3); ++dim)
      for (const std::int64_t repeats : {0, 1, 3}) {
        Shape to = s;
        to[dim] *= repeats;
        add_move(t, moved(
                        "repeat_interleave", std::to_string(repeats) + " dim " + std::to_string(dim), s,
                        [=](const Tensor& x) { return repeat_interleave(x, repeats, dim - s.rank()); }, to,
                        [=](Index at) {
                          at[place(dim)] /= repeats;
                          return at;
                        }));
      }
  add_move(t, moved(
                  "repeat_interleave", "all", {2, 3}, [](const Tensor& x) { return repeat_interleave(x, 2); }, {12},
                  [](const Index& at) {
                    return Index{at[0] / 6, at[0] / 2 % 3};
                  }));
  add_move(t, moved(
                  "repeat_interleave", "0-d", {}, [](const Tensor& x) { return repeat_interleave(x, 2); }, {2},
                  [](const Index&) { return Index{}; }));
  for (const Shape& s : {Shape{5}, Shape{5, 3}, Shape{3, 5}, Shape{2, 5, 4}, Shape{5, 33}})
    for (int dim = 0; dim < s.rank(); ++dim)
      for (const auto& some :
           std::vector<std::vector<std::int64_t>>{{2, 0, 1, 3, 1}, {0, 0, 0, 0, 0}, {1, 1, 1, 1, 9}, {2}}) {
        if (some.size() > 1 && s[dim] != 5) continue;
        Index source;
        for (std::int64_t i = 0; i < s[dim]; ++i)
          source.insert(source.end(), static_cast<std::size_t>(some[some.size() > 1 ? static_cast<std::size_t>(i) : 0]),
                        i);
        Shape to = s;
        to[dim] = static_cast<std::int64_t>(source.size());
        const Tensor counts = tensor(some, {static_cast<std::int64_t>(some.size())});
        add_move(t, moved(
                        "repeat_interleave counts", list(some) + " dim " + std::to_string(dim), s,
                        [=](const Tensor& x) { return repeat_interleave(x, counts, dim); }, to,
                        [=](Index at) {
                          at[place(dim)] = source[static_cast<std::size_t>(at[place(dim)])];
                          return at;
                        }));
      }
}

void add_repeated_places(std::vector<OpCase>& t) {
  for (const std::int64_t n : {0, 1, 2, 5, 8, 33, 300})
    for (const std::int64_t most : {1, 2, 4, 20})
      for (const Layout layout : layouts({n})) {
        OpCase c{.op = "repeat_interleave places",
                 .text = "below " + std::to_string(most),
                 .inputs = {{{n}, DType::i64, layout, Values::range, 0, static_cast<double>(most)}},
                 .call = [](Args x) { return Outputs{repeat_interleave(x[0])}; }};
        c.oracle = [](Args x) {
          Expected r{{0}, DType::i64, {}, {}};
          long double at = 0;
          for (const std::int64_t count : x[0].to_vector<std::int64_t>())
            r.value.insert(r.value.end(), static_cast<std::size_t>(count), at++), r.shape[0] += count;
          return std::vector{r};
        };
        t.push_back(std::move(c));
      }
}

void add_turns(std::vector<OpCase>& t) {
  for (const auto& [s, dims] : std::vector<std::pair<Shape, std::vector<int>>>{{{7}, {0}},
                                                                               {{}, {}},
                                                                               {{3, 5}, {}},
                                                                               {{3, 5}, {0}},
                                                                               {{3, 5}, {1, 0}},
                                                                               {{2, 3, 4}, {-1}},
                                                                               {{2, 3, 4}, {0, 2}},
                                                                               {{3, 0, 2}, {0, 1}},
                                                                               {{33, 17}, {1}},
                                                                               {{1, 4097}, {0, 1}},
                                                                               {{2, 3, 4, 5}, {1, 2, -4}}})
    add_move(t, moved(
                    "flip", list(dims), s, [dims = dims](const Tensor& x) { return flip(x, dims); }, s,
                    [s = s, dims = dims](Index at) {
                      for (const int d : dims) {
                        const int k = (d + s.rank()) % s.rank();
                        at[place(k)] = s[k] - 1 - at[place(k)];
                      }
                      return at;
                    }));
  constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();
  for (const auto& [s, shifts, dims] :
       std::vector<std::tuple<Shape, std::vector<std::int64_t>, std::vector<int>>>{{{7}, {3}, {0}},
                                                                                   {{7}, {-10}, {0}},
                                                                                   {{7}, {kFar}, {-1}},
                                                                                   {{3, 5}, {1, 2}, {0, 1}},
                                                                                   {{3, 5}, {1, 1}, {0, 0}},
                                                                                   {{2, 3, 4}, {-1, 2}, {2, 0}},
                                                                                   {{3, 0, 2}, {1, 1}, {1, 2}},
                                                                                   {{33, 17}, {0}, {0}},
                                                                                   {{33, 17}, {16}, {1}},
                                                                                   {{1, 4097}, {-1}, {1}}}) {
    const auto from = [s = s, shifts = shifts, dims = dims](Index at) {
      for (std::size_t k = 0; k < dims.size(); ++k) {
        const int d = (dims[k] + s.rank()) % s.rank();
        at[place(d)] = ((at[place(d)] - shifts[k] % s[d]) % s[d] + s[d]) % s[d];
      }
      return at;
    };
    const std::string text = list(shifts) + " dims " + list(dims);
    add_move(t, moved(
                    "roll lists", text, s, [a = shifts, d = dims](const Tensor& x) { return roll(x, a, d); }, s, from));
    if (dims.size() == 1)
      add_move(t,
               moved(
                   "roll", text, s, [a = shifts[0], d = dims[0]](const Tensor& x) { return roll(x, a, d); }, s, from));
  }
  for (const std::int64_t shift : {2, -5})
    add_move(
        t, moved(
               "roll", "all " + std::to_string(shift), {2, 3}, [=](const Tensor& x) { return roll(x, shift); }, {2, 3},
               [=](const Index& at) {
                 const std::int64_t n = (at[0] * 3 + at[1] - shift + 12) % 6;
                 return Index{n / 3, n % 3};
               }));
}

// Where place i of a padded line comes from: PyTorch's rule, one step at a time.
std::optional<std::int64_t> padded_from(std::int64_t i, std::int64_t n, PadMode mode) {
  while (i < 0 || i >= n) {
    if (mode == PadMode::constant) return {};
    if (mode == PadMode::replicate) i += i < 0 ? 1 : -1;
    if (mode == PadMode::circular) i += i < 0 ? n : -n;
    if (mode == PadMode::reflect) i = i < 0 ? -i : 2 * (n - 1) - i;
  }
  return i;
}

void add_pads(std::vector<OpCase>& t) {
  struct Pad {
    Shape s;
    std::vector<std::int64_t> pads;
  };
  const char* names[] = {"constant", "reflect", "replicate", "circular"};
  for (const PadMode mode : {PadMode::constant, PadMode::reflect, PadMode::replicate, PadMode::circular})
    for (const auto& [s, pads] : std::vector<Pad>{{{7}, {2, 3}},
                                                  {{7}, {0, 6}},
                                                  {{7}, {-2, 1}},
                                                  {{7}, {3, -4}},
                                                  {{7}, {-3, -4}},
                                                  {{3, 5}, {1, 2}},
                                                  {{3, 5}, {0, 0, 2, 1}},
                                                  {{3, 5}, {4, 1, 2, 2}},
                                                  {{2, 3, 4}, {0, 0, 1, 2}},
                                                  {{2, 3, 4}, {3, -1, -1, 1, 1, 0}},
                                                  {{2, 3, 4}, {}},
                                                  {{2, 3, 4}, {0, 0, 0, 0}},
                                                  {{33, 17}, {5, 16}},
                                                  {{33, 17}, {0, 0, 30, 1}},
                                                  {{0, 3}, {1, 2}},
                                                  {{1, 1, 1}, {0, 0}},
                                                  {{2, 3, 4, 5}, {1, 1, 2, 2, 1, 0}}})
      for (const double value : {0., 1.}) {
        if (mode != PadMode::constant && value != 0) continue;
        Shape to = s, cut = s;
        Index before(place(s.rank()));
        for (std::size_t i = 0; i < pads.size(); ++i) {
          const int d = s.rank() - 1 - static_cast<int>(i / 2);
          to[d] += pads[i];
          if (i % 2 == 0) before[place(d)] = pads[i];
        }
        // A circle goes round what is left of x.
        Index first(place(s.rank()));
        if (mode == PadMode::circular)
          for (std::size_t i = 0; i < pads.size(); ++i) {
            const int d = s.rank() - 1 - static_cast<int>(i / 2);
            if (pads[i] >= 0) continue;
            cut[d] += pads[i];
            if (i % 2 == 0) first[place(d)] = -pads[i], before[place(d)] = 0;
          }
        add_move(
            t, moved(
                   "pad", std::string(names[static_cast<int>(mode)]) + " " + list(pads) + (value != 0 ? " with 1" : ""),
                   s, [=, pads = pads](const Tensor& x) { return pad(x, pads, mode, value); }, to,
                   [=](const Index& at) -> std::optional<Index> {
                     Index i(at.size());
                     for (std::size_t d = 0; d < at.size(); ++d) {
                       const auto from = padded_from(at[d] - before[d], cut[static_cast<int>(d)], mode);
                       if (!from) return {};
                       i[d] = *from + first[d];
                     }
                     return i;
                   },
                   value));
      }
}

// ---- windows --------------------------------------------------------------------------------------------------------
// Sums in the order of windows: bounded by the sum of the absolute terms.
void add_folds(std::vector<OpCase>& t) {
  struct Fold {
    Shape windows;
    int dim;
    std::int64_t length, step;
  };
  for (const auto& [s, dim, length, step] : std::vector<Fold>{{{1, 1}, 0, 1, 1},
                                                              {{5, 3}, 0, 7, 1},
                                                              {{3, 3}, 0, 8, 2},
                                                              {{2, 3}, 0, 9, 5},
                                                              {{1, 3}, 0, 3, 100},
                                                              {{2, 4, 3}, 1, 6, 1},
                                                              {{4, 2, 3}, 0, 9, 2},
                                                              {{2, 5, 3, 8}, 1, 24, 4},
                                                              {{0, 4, 3}, 1, 6, 1},
                                                              {{2, 33, 2, 64}, 1, 576, 16}})
    for (const Layout layout : layouts(s))
      for (const auto& [dtype, values] : {std::pair{DType::f32, Values::normal},
                                          {DType::f32, Values::nonfinite},
                                          {DType::f32, Values::positive},
                                          {DType::f64, Values::normal},
                                          {DType::f64, Values::nonfinite},
                                          {DType::bf16, Values::ties},
                                          {DType::f16, Values::ties},
                                          {DType::i64, Values::range},
                                          {DType::i32, Values::range},
                                          {DType::u8, Values::ties}}) {
        OpCase c{.op = "fold",
                 .text = std::to_string(dim) + " to " + std::to_string(length) + " step " + std::to_string(step),
                 .inputs = {{s, dtype, layout, values, -50, 50}},
                 .call = [=, s = s, dim = dim, length = length, step = step](Args x) {
                   return Outputs{fold(x[0], dim - s.rank() + 1, length, step)};
                 }};
        if (dtype == DType::f32 || dtype == DType::f64) c.bound = {.c = 4}, c.relative = Relative::absolute;
        c.oracle = [=, dim = dim, length = length, step = step](Args x) {
          const Expected from = expected_from(x[0], x[0].dtype());
          Expected r{x[0].sizes(), x[0].dtype(), {}, {}};
          r.shape.erase(x[0].dim() - 1);
          r.shape[dim] = length;
          r.value.resize(static_cast<std::size_t>(r.shape.numel()));
          std::size_t n = 0;
          each_index(x[0].sizes(), [&](Index at) {
            const std::int64_t k = at.back();
            at.pop_back();
            at[place(dim)] = at[place(dim)] * step + k;
            r.value[flat(r.shape, at)] += from.value[n++];
          });
          if (x[0].dtype() == DType::u8)
            for (long double& v : r.value) v = static_cast<std::uint8_t>(static_cast<std::int64_t>(v));
          return std::vector{r};
        };
        c.differentiable = values == Values::normal;
        t.push_back(std::move(c));
      }
  struct Patches {
    Shape image;
    FoldOptions o;
  };
  for (const auto& [image, o] : std::vector<Patches>{
           {{1, 1, 1, 1}, {.kernel_size = {1, 1}}},
           {{2, 4, 5, 3}, {.kernel_size = {2, 3}}},
           {{1, 5, 4, 2}, {.kernel_size = {3, 1}, .padding = {1, 0}}},
           {{2, 5, 6, 1}, {.kernel_size = {2, 2}, .dilation = {2, 3}, .padding = {0, 1}}},
           {{1, 6, 7, 2}, {.kernel_size = {3, 3}, .padding = {1, 2}, .stride = {2, 2}}},
           {{1, 7, 7, 1}, {.kernel_size = {2, 2}, .stride = {3, 4}}},
           {{0, 4, 4, 2}, {.kernel_size = {2, 2}}},
           {{2, 3, 3, 0}, {.kernel_size = {2, 2}}},
           {{2, 9, 8, 5}, {.kernel_size = {3, 2}, .dilation = {2, 1}, .padding = {2, 1}, .stride = {1, 2}}}}) {
    std::int64_t count[2];
    for (std::size_t i = 0; i < 2; ++i)
      count[i] = (image[static_cast<int>(i) + 1] + 2 * o.padding[i] - o.dilation[i] * (o.kernel_size[i] - 1) - 1) /
                     o.stride[i] +
                 1;
    const std::int64_t area = o.kernel_size[0] * o.kernel_size[1], columns = count[1];
    const Shape to{image[0], count[0] * count[1], image[3] * area};
    const std::string text = "kernel " + list(o.kernel_size) + " dilation " + list(o.dilation) + " padding " +
                             list(o.padding) + " stride " + list(o.stride);
    const auto from = [=, image = image, o = o](const Index& at) -> std::optional<Index> {
      const std::int64_t k = at[2] % area;
      const std::int64_t y = at[1] / columns * o.stride[0] + k / o.kernel_size[1] * o.dilation[0] - o.padding[0];
      const std::int64_t x = at[1] % columns * o.stride[1] + k % o.kernel_size[1] * o.dilation[1] - o.padding[1];
      if (y < 0 || y >= image[1] || x < 0 || x >= image[2]) return {};
      return Index{at[0], y, x, at[2] / area};
    };
    add_move(t, moved(
                    "unfold 2d", text, image, [o = o](const Tensor& x) { return unfold(x, o); }, to, from));
    for (const Layout layout : layouts(to))
      for (const auto& [dtype, values] : {std::pair{DType::f32, Values::normal},
                                          {DType::f32, Values::nonfinite},
                                          {DType::f64, Values::normal},
                                          {DType::i64, Values::range}}) {
        OpCase c{.op = "fold 2d",
                 .text = text,
                 .inputs = {{to, dtype, layout, values, -50, 50}},
                 .call = [o = o, image = image](Args x) {
                   return Outputs{fold(x[0], {image[1], image[2]}, o)};
                 }};
        if (is_real(dtype)) c.bound = {.c = 8}, c.relative = Relative::absolute;
        c.oracle = [=, image = image](Args x) {
          const Expected p = expected_from(x[0], x[0].dtype());
          Expected r{image, x[0].dtype(), std::vector<long double>(static_cast<std::size_t>(image.numel())), {}};
          std::size_t n = 0;
          each_index(to, [&](const Index& at) {
            const auto i = from(at);
            if (i) r.value[flat(image, *i)] += p.value[n];
            ++n;
          });
          return std::vector{r};
        };
        c.differentiable = values == Values::normal;
        t.push_back(std::move(c));
      }
  }
  const Shape one{4, 5, 2};  // without a batch
  add_move(t, moved(
                  "unfold 2d", "one image", one,
                  [](const Tensor& x) {
                    return unfold(x, {.kernel_size = {2, 2}});
                  },
                  {12, 8},
                  [](const Index& at) {
                    return Index{at[0] / 4 + at[1] % 4 / 2, at[0] % 4 + at[1] % 2, at[1] / 4};
                  }));
}

// ---- diagonals ------------------------------------------------------------------------------------------------------
void add_diagonals(std::vector<OpCase>& t) {
  constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();
  for (const Shape& s :
       {Shape{3, 5}, Shape{5, 3}, Shape{4, 4}, Shape{2, 3, 4}, Shape{33, 17}, Shape{0, 3}, Shape{2, 1, 1}})
    for (const std::int64_t k :
         {std::int64_t{0}, std::int64_t{1}, std::int64_t{-2}, std::int64_t{20}, kFar, -kFar - 1}) {
      const auto from = [=](bool upper) {
        return [=](const Index& at) -> std::optional<Index> {
          const std::int64_t d = at[at.size() - 1] - at[at.size() - 2];
          return (upper ? d >= k : d <= k) ? std::optional(at) : std::nullopt;
        };
      };
      add_move(t, moved(
                      "tril", std::to_string(k), s, [=](const Tensor& x) { return tril(x, k); }, s, from(false)));
      add_move(t, moved(
                      "triu", std::to_string(k), s, [=](const Tensor& x) { return triu(x, k); }, s, from(true)));
    }
  for (const Shape& s : {Shape{0}, Shape{1}, Shape{4}, Shape{33}})
    for (const std::int64_t k : {0, 2, -3}) {
      const std::int64_t n = s[0] + std::abs(k);
      add_move(t, moved(
                      "diag", std::to_string(k), s, [=](const Tensor& x) { return diag(x, k); }, {n, n},
                      [=](const Index& at) -> std::optional<Index> {
                        if (at[1] - at[0] != k) return {};
                        return Index{std::min(at[0], at[1])};
                      }));
    }
  for (const Shape& s : {Shape{3, 5}, Shape{4, 4}, Shape{0, 3}})
    for (const std::int64_t k : {0, 1, -1, 9}) {
      std::int64_t length = 0;
      for (std::int64_t i = 0; i < s[0]; ++i)
        for (std::int64_t j = 0; j < s[1]; ++j) length += j - i == k;
      add_move(t, moved(
                      "diag", std::to_string(k), s, [=](const Tensor& x) { return diag(x, k); }, {length},
                      [=](const Index& at) {
                        return Index{at[0] + std::max<std::int64_t>(-k, 0), at[0] + std::max<std::int64_t>(k, 0)};
                      }));
    }
  for (const auto& [s, k, a, b] : std::vector<std::tuple<Shape, std::int64_t, int, int>>{{{4}, 0, -2, -1},
                                                                                         {{4}, 1, -2, -1},
                                                                                         {{2, 3}, -1, 0, 2},
                                                                                         {{2, 3}, 0, -1, 0},
                                                                                         {{2, 3, 4}, 2, 1, -1},
                                                                                         {{0}, 1, 0, 1},
                                                                                         {{2, 0}, 0, 0, 1},
                                                                                         {{17}, -3, 1, 0}}) {
    const int rank = s.rank() + 1, row = (a + rank) % rank, column = (b + rank) % rank;
    const std::int64_t n = s[s.rank() - 1] + std::abs(k);
    Shape to = s;
    to.erase(s.rank() - 1);
    for (const int d : {std::min(row, column), std::max(row, column)}) to.insert(d, n);
    add_move(t, moved(
                    "diag_embed", std::to_string(k) + " in " + std::to_string(a) + " " + std::to_string(b), s,
                    [k = k, a = a, b = b](const Tensor& x) { return diag_embed(x, k, a, b); }, to,
                    [=, k = k](Index at) -> std::optional<Index> {
                      const std::int64_t i = at[place(row)], j = at[place(column)];
                      if (j - i != k) return {};
                      for (const int d : {std::max(row, column), std::min(row, column)}) at.erase(at.begin() + d);
                      at.push_back(std::min(i, j));
                      return at;
                    }));
  }
}

}  // namespace

void add_copies(std::vector<OpCase>& t) {
  add_repeats(t);
  add_repeated_places(t);
  add_turns(t);
  add_pads(t);
  add_folds(t);
  add_diagonals(t);
}

}  // namespace tapedeck::cases
