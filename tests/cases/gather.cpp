// Reading and writing at indices, repeated ones too: checked by loops over positions in their order.
#include <tapedeck/autograd/ops.h>

#include <algorithm>
#include <cmath>

#include "cases/moves.h"

namespace tapedeck::cases {
namespace {

std::size_t place(std::int64_t d) { return static_cast<std::size_t>(d); }
std::vector<std::int64_t> whole(const Tensor& x) { return x.to_vector<std::int64_t>(); }

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                            DType::i64, DType::i32, DType::u8,   DType::boolean};
bool computes(DType t) { return t == DType::f32 || t == DType::f64; }
// What elements of a type are drawn from: sums of them are exact but in f32 and f64.
Input drawn(const Shape& s, DType t, Layout layout, Values values = Values::normal) {
  if (t == DType::f32 || t == DType::f64) return {s, t, layout, values};
  return {s, t, layout, t == DType::i64 || t == DType::i32 ? Values::range : Values::ties, -50, 50};
}
Input index_in(const Shape& s, std::int64_t size, Layout layout = Layout::contiguous) {
  return {s, DType::i64, layout, Values::range, 0, static_cast<double>(size)};
}
// Sums are rounded once; in f64 each addition is.
void bound_sums(OpCase& c, DType t) {
  if (!computes(t)) return;
  c.bound = {.c = t == DType::f64 ? 16. : 4.}, c.relative = Relative::absolute;
}
// Sums of bytes wrap.
std::vector<Expected> wrapped(Expected r) {
  if (r.dtype == DType::u8)
    for (long double& v : r.value) v = static_cast<std::uint8_t>(static_cast<std::int64_t>(v));
  return {r};
}

struct Along {
  Shape x;
  int dim;
  std::int64_t count;
};
const Along kAlong[] = {{{7}, 0, 4},          {{1}, 0, 3},       {{7}, 0, 0},        {{3, 5}, 0, 4},
                        {{3, 5}, 1, 9},       {{2, 3, 4}, 0, 3}, {{2, 3, 4}, 1, 5},  {{2, 3, 4}, -1, 7},
                        {{33, 17}, 0, 40},    {{33, 17}, 1, 12}, {{0, 3}, 1, 4},     {{3, 0, 2}, 0, 2},
                        {{2, 3, 4, 5}, 2, 3}, {{5, 300}, 0, 20}, {{300, 5}, -2, 11}, {{1, 4097}, 1, 50},
                        {{5, 3}, 0, 66},      {{3, 7}, 1, 70}};  // many meet, more than are searched one by one

std::string dim_text(int dim) { return "dim " + std::to_string(dim); }

void add_rows(std::vector<OpCase>& t) {
  for (const auto& [s, dim, count] : kAlong)
    for (const Layout layout : layouts(s))
      for (const DType dtype : kTypes)
        for (const Values values : {Values::normal, Values::special}) {
          const bool real = computes(dtype);
          if (!real && (values == Values::special || layout == Layout::expanded)) continue;
          const int d = (dim + s.rank()) % s.rank();
          const std::int64_t n = s[d];
          Shape rows = s;
          rows[d] = count;
          const Layout index_layout = layout == Layout::transposed ? Layout::sliced : layout;
          const Input index = index_in({count}, n, index_layout);
          const Values sums = values == Values::special ? Values::nonfinite : values;  // sums of the largest overflow
          // y = x with rows of it somewhere else.
          OpCase c{.op = "index_select",
                   .text = dim_text(dim),
                   .inputs = {drawn(s, dtype, layout, values), index},
                   .call = [dim = dim](Args x) { return Outputs{index_select(x[0], dim, x[1])}; }};
          c.oracle = [=](Args x) {
            const auto i = whole(x[1]);
            return std::vector{gathered(x[0], rows, [&](Index at) {
              at[place(d)] = i[place(at[place(d)])];
              return at;
            })};
          };
          if (d > 0) c.rows = 1;
          c.differentiable = real && values == Values::normal;
          c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
          t.push_back(c);

          c.op = "index_copy";
          c.inputs = {drawn(s, dtype, layout, values), index, drawn(rows, dtype, layout, values)};
          c.call = [dim = dim](Args x) { return Outputs{index_copy(x[0], dim, x[1], x[2])}; };
          c.oracle = [=](Args x) {
            const auto i = whole(x[1]);
            const Expected from = expected_from(x[2], dtype);
            Expected r = expected_from(x[0], dtype);
            each_index(rows, [&](const Index& at) {
              Index to = at;
              to[place(d)] = i[place(at[place(d)])];
              r.value[flat(s, to)] = from.value[flat(rows, at)];
            });
            return std::vector{r};
          };
          c.rows = 0;
          c.gradient_bound = kExact, c.gradient_relative = Relative::value;
          t.push_back(c);

          c.op = "index_fill";
          c.inputs = {
              drawn(s, dtype, layout, values),
              {{count}, DType::i64, index_layout, Values::range, static_cast<double>(-n), static_cast<double>(n)}};
          c.call = [dim = dim](Args x) { return Outputs{index_fill(x[0], dim, x[1], 1)}; };
          c.oracle = [=](Args x) {
            const auto i = whole(x[1]);
            Expected r = expected_from(x[0], dtype);
            each_index(s, [&](const Index& at) {
              const std::int64_t k = at[place(d)];
              for (const std::int64_t v : i)
                if (v == k || v + n == k) r.value[flat(s, at)] = 1;
            });
            return std::vector{r};
          };
          t.push_back(c);

          if (dtype == DType::boolean) continue;
          for (const double alpha : {1., -2.}) {
            if (alpha != 1 && dtype == DType::u8) continue;
            OpCase a{.op = "index_add",
                     .text = dim_text(dim) + (alpha == 1 ? "" : " alpha -2"),
                     .inputs = {drawn(s, dtype, layout, sums), index, drawn(rows, dtype, layout, sums)},
                     .call = [dim = dim, alpha](Args x) { return Outputs{index_add(x[0], dim, x[1], x[2], alpha)}; }};
            bound_sums(a, dtype);
            a.relative = Relative::value;
            if (real)
              a.magnitude = [dim = dim, alpha](Args x, const Outputs&) {
                return Magnitudes{values_of(index_add(abs(x[0]), dim, x[1], abs(x[2]), std::fabs(alpha)))};
              };
            a.oracle = [=](Args x) {
              const auto i = whole(x[1]);
              const Expected from = expected_from(x[2], dtype);
              Expected r = expected_from(x[0], dtype);
              each_index(rows, [&](const Index& at) {
                Index to = at;
                to[place(d)] = i[place(at[place(d)])];
                r.value[flat(s, to)] += static_cast<long double>(alpha) * from.value[flat(rows, at)];
              });
              return wrapped(r);
            };
            a.differentiable = real && values == Values::normal;
            t.push_back(std::move(a));
          }
        }
}

struct Lines {
  Shape x, index, source;  // source: at least as large as index
  int dim;
};
const Lines kLines[] = {{{7}, {4}, {4}, 0},
                        {{1}, {3}, {5}, 0},
                        {{7}, {0}, {2}, 0},
                        {{3, 5}, {3, 4}, {3, 4}, 1},
                        {{3, 5}, {6, 5}, {6, 5}, 0},
                        {{3, 5}, {2, 2}, {3, 4}, 0},
                        {{2, 3, 4}, {2, 3, 6}, {2, 3, 6}, -1},
                        {{2, 3, 4}, {2, 7, 3}, {2, 8, 4}, 1},
                        {{2, 3, 4}, {1, 3, 4}, {1, 3, 4}, 0},
                        {{33, 17}, {33, 20}, {33, 20}, 1},
                        {{33, 17}, {60, 17}, {60, 17}, 0},
                        {{0, 3}, {0, 5}, {0, 5}, 1},
                        {{3, 0, 2}, {5, 0, 2}, {5, 0, 2}, 0},
                        {{2, 3, 4, 5}, {2, 9, 4, 5}, {2, 9, 4, 5}, 1},
                        {{1, 4097}, {1, 300}, {1, 300}, 1},
                        {{300, 70}, {40, 70}, {40, 70}, 0}};

void add_lines(std::vector<OpCase>& t) {
  for (const auto& [s, is, ss, dim] : kLines)
    for (const Layout layout : layouts(s))
      for (const DType dtype : kTypes)
        for (const Values values : {Values::normal, Values::special}) {
          const bool real = computes(dtype);
          if (!real && (values == Values::special || layout == Layout::expanded)) continue;
          const int d = (dim + s.rank()) % s.rank();
          const Input index = index_in(is, s[d], layout);
          const Values sums = values == Values::special ? Values::nonfinite : values;
          const auto to_place = [d](const Index& at, std::int64_t i) {
            Index to = at;
            to[place(d)] = i;
            return to;
          };
          OpCase c{.op = "gather",
                   .text = dim_text(dim),
                   .inputs = {drawn(s, dtype, layout, values), index},
                   .call = [dim = dim](Args x) { return Outputs{gather(x[0], dim, x[1])}; }};
          c.oracle = [=, is = is](Args x) {
            const auto i = whole(x[1]);
            return std::vector{gathered(x[0], is, [&](const Index& at) { return to_place(at, i[flat(is, at)]); })};
          };
          if (d > 0 && is[0] == s[0]) c.rows = 3;
          c.differentiable = real && values == Values::normal;
          c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
          t.push_back(c);

          // f(r, position in r, position in source) for every index in its order.
          const auto scattered = [=, is = is](Args x, const auto& f) {
            const auto i = whole(x[1]);
            Expected r = expected_from(x[0], dtype);
            each_index(is, [&](const Index& at) { f(r.value[flat(s, to_place(at, i[flat(is, at)]))], at); });
            return r;
          };
          c.op = "scatter value";
          c.call = [dim = dim](Args x) { return Outputs{scatter(x[0], dim, x[1], 1)}; };
          c.oracle = [=](Args x) { return std::vector{scattered(x, [](long double& v, const Index&) { v = 1; })}; };
          c.gradient_bound = kExact, c.gradient_relative = Relative::value;
          t.push_back(c);

          c.op = "scatter";
          c.inputs = {drawn(s, dtype, layout, values), index, drawn(ss, dtype, layout, values)};
          c.call = [dim = dim](Args x) { return Outputs{scatter(x[0], dim, x[1], x[2])}; };
          c.oracle = [=, ss = ss](Args x) {
            const Expected from = expected_from(x[2], dtype);
            return std::vector{scattered(x, [&](long double& v, const Index& at) { v = from.value[flat(ss, at)]; })};
          };
          if (c.rows) c.rows = ss[0] == s[0] ? 7 : 0;
          t.push_back(c);

          if (dtype == DType::boolean) continue;
          c.op = "scatter_add";
          c.inputs = {drawn(s, dtype, layout, sums), index, drawn(ss, dtype, layout, sums)};
          c.call = [dim = dim](Args x) { return Outputs{scatter_add(x[0], dim, x[1], x[2])}; };
          c.oracle = [=, ss = ss](Args x) {
            const Expected from = expected_from(x[2], dtype);
            return wrapped(scattered(x, [&](long double& v, const Index& at) { v += from.value[flat(ss, at)]; }));
          };
          bound_sums(c, dtype);
          t.push_back(c);
        }
  struct Taken {
    Shape x, index;
    int dim;
  };
  for (const auto& [s, is, dim] : std::vector<Taken>{{{7}, {3}, 0},
                                                     {{3, 5}, {3, 2}, 1},
                                                     {{3, 5}, {1, 4}, -1},
                                                     {{1, 5}, {4, 2}, 1},
                                                     {{2, 3, 4}, {1, 6, 4}, 1},
                                                     {{2, 1, 4}, {1, 3, 1}, 2},
                                                     {{33, 17}, {9, 1}, 0},
                                                     {{0, 3}, {1, 2}, 1}})
    for (const Layout layout : layouts(s))
      for (const DType dtype : kTypes)
        for (const Values values : {Values::normal, Values::special}) {
          if (!computes(dtype) && values == Values::special) continue;
          const int d = (dim + s.rank()) % s.rank();
          OpCase c{.op = "take_along_dim",
                   .text = dim_text(dim),
                   .inputs = {drawn(s, dtype, layout, values), index_in(is, s[d])},
                   .call = [dim = dim](Args x) { return Outputs{take_along_dim(x[0], x[1], dim)}; }};
          c.oracle = [=, s = s, is = is](Args x) {
            const auto i = whole(x[1]);
            Shape to = is;
            for (int k = 0; k < s.rank(); ++k)
              if (k != d) to[k] = s[k] == 1 ? is[k] : s[k];
            return std::vector{gathered(x[0], to, [&](const Index& at) {
              Index from = at, which = at;
              for (int k = 0; k < s.rank(); ++k) {
                if (is[k] == 1) which[place(k)] = 0;
                if (s[k] == 1) from[place(k)] = 0;
              }
              from[place(d)] = i[flat(is, which)];
              return from;
            })};
          };
          c.differentiable = computes(dtype) && values == Values::normal;
          c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
          t.push_back(c);
          c.text = "flat";
          c.inputs[1] = index_in(is, std::max<std::int64_t>(s.numel(), 1));
          if (s.numel() == 0) continue;
          c.call = [](Args x) { return Outputs{take_along_dim(x[0], x[1])}; };
          c.oracle = [=](Args x) {
            const Expected from = expected_from(x[0], dtype);
            Expected r{{x[1].numel()}, dtype, {}, {}};
            for (const std::int64_t i : whole(x[1])) r.value.push_back(from.value[place(i)]);
            return std::vector{r};
          };
          t.push_back(std::move(c));
        }
}

void add_masks(std::vector<OpCase>& t) {
  struct Pair {
    Shape x, mask;
  };
  for (const auto& [s, ms] : std::vector<Pair>{{{}, {}},
                                               {{7}, {7}},
                                               {{3, 5}, {5}},
                                               {{3, 5}, {3, 1}},
                                               {{2, 3, 4}, {3, 4}},
                                               {{4}, {3, 4}},
                                               {{0, 3}, {3}},
                                               {{33, 17}, {33, 17}},
                                               {{1, 4097}, {1, 4097}},
                                               {{2, 3, 4, 5}, {4, 1}}})
    for (const Layout layout : layouts(s))
      for (const DType dtype : kTypes)
        for (const Values values : {Values::normal, Values::special}) {
          if (!computes(dtype) && values == Values::special) continue;
          const Shape both = broadcast_shapes("case", s, ms);
          const auto part = [](const Index& at, const Shape& of) {  // of a broadcast tensor
            Index i(at.end() - of.rank(), at.end());
            for (int d = 0; d < of.rank(); ++d)
              if (of[d] == 1) i[place(d)] = 0;
            return flat(of, i);
          };
          OpCase c{.op = "masked_fill",
                   .text = "",
                   .inputs = {drawn(s, dtype, layout, values), {ms, DType::boolean, Layout::contiguous}},
                   .call = [](Args x) { return Outputs{masked_fill(x[0], x[1], 1)}; }};
          const auto filled = [=, s = s, ms = ms](Args x, long double value) {
            const Expected from = expected_from(x[0], dtype), mask = expected_from(x[1], DType::boolean);
            Expected r{both, dtype, {}, {}};
            each_index(both, [&](const Index& at) {
              r.value.push_back(mask.value[part(at, ms)] != 0 ? value : from.value[part(at, s)]);
            });
            return std::vector{r};
          };
          c.oracle = [=](Args x) { return filled(x, 1); };
          c.differentiable = computes(dtype) && values == Values::normal;
          c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
          c.gradient_in_parts = true;
          t.push_back(c);

          c.op = "masked_select";
          c.call = [](Args x) { return Outputs{masked_select(x[0], x[1])}; };
          c.oracle = [=, s = s, ms = ms](Args x) {
            const Expected from = expected_from(x[0], dtype), mask = expected_from(x[1], DType::boolean);
            Expected r{{0}, dtype, {}, {}};
            each_index(both, [&](const Index& at) {
              if (mask.value[part(at, ms)] != 0) r.value.push_back(from.value[part(at, s)]), ++r.shape[0];
            });
            return std::vector{r};
          };
          t.push_back(c);

          c.op = "masked_fill tensor";
          c.inputs.push_back(drawn({}, dtype, Layout::contiguous, values));
          c.call = [](Args x) { return Outputs{masked_fill(x[0], x[1], x[2])}; };
          c.oracle = [=](Args x) { return filled(x, expected_from(x[2], dtype).value[0]); };
          t.push_back(c);

          if (ms.rank() != s.rank()) continue;
          c.op = "nonzero";
          for (const Values which : {Values::ties, Values::special, Values::positive}) {
            if (which == Values::special && !computes(dtype)) continue;
            c.text = "";
            c.inputs = {{s, dtype, layout, which}};
            c.call = [](Args x) { return Outputs{nonzero(x[0])}; };
            c.oracle = [](Args x) {
              const Expected from = expected_from(x[0], x[0].dtype());
              Expected r{{0, x[0].dim()}, DType::i64, {}, {}};
              std::size_t n = 0;
              each_index(x[0].sizes(), [&](const Index& at) {
                if (from.value[n++] == 0) return;
                ++r.shape[0];
                r.value.insert(r.value.end(), at.begin(), at.end());
              });
              return std::vector{r};
            };
            c.differentiable = false;
            t.push_back(c);
          }
        }
}

// ---- x[i, j, …] -----------------------------------------------------------------------------------------------------
struct Picked {
  const char* text;
  Shape x;
  std::vector<std::optional<Shape>> indices;  // of each dimension; none: the whole of it
  Shape result;
  // Of an index of the result: of x, given what stands in each index tensor.
  std::function<Index(const Index& at, const std::vector<std::function<std::int64_t(Index)>>& i)> from;
};

const std::vector<Picked>& picked() {
  using At = std::vector<std::function<std::int64_t(Index)>>;
  static const std::vector<Picked> all{
      {"[i]", {7}, {Shape{4}}, {4}, [](const Index& a, const At& i) { return Index{i[0]({a[0]})}; }},
      {"[i] 0-d", {7}, {Shape{}}, {}, [](const Index&, const At& i) { return Index{i[0]({})}; }},
      {"[i] of rows",
       {5, 3},
       {Shape{2, 4}},
       {2, 4, 3},
       [](const Index& a, const At& i) {
         return Index{i[0]({a[0], a[1]}), a[2]};
       }},
      {"[:, i]",
       {3, 5},
       {{}, Shape{4}},
       {3, 4},
       [](const Index& a, const At& i) {
         return Index{a[0], i[0]({a[1]})};
       }},
      {"[i, j]",
       {3, 5},
       {Shape{6}, Shape{6}},
       {6},
       [](const Index& a, const At& i) {
         return Index{i[0]({a[0]}), i[1]({a[0]})};
       }},
      {"[i, j] broadcast",
       {3, 5},
       {Shape{2, 1}, Shape{4}},
       {2, 4},
       [](const Index& a, const At& i) {
         return Index{i[0]({a[0], 0}), i[1]({a[1]})};
       }},
      {"[:, i, j]",
       {2, 3, 4},
       {{}, Shape{5}, Shape{5}},
       {2, 5},
       [](const Index& a, const At& i) {
         return Index{a[0], i[0]({a[1]}), i[1]({a[1]})};
       }},
      {"[i, :, j]",
       {2, 3, 4},
       {Shape{5}, {}, Shape{5}},
       {5, 3},
       [](const Index& a, const At& i) {
         return Index{i[0]({a[0]}), a[1], i[1]({a[0]})};
       }},
      {"[:, i, :, j]",
       {2, 3, 4, 5},
       {{}, Shape{2, 2}, {}, Shape{2}},
       {2, 2, 2, 4},
       [](const Index& a, const At& i) {
         return Index{a[2], i[0]({a[0], a[1]}), a[3], i[1]({a[1]})};
       }},
      {"[i] none", {7}, {Shape{0}}, {0}, [](const Index&, const At&) { return Index{0}; }},
      {"[i] many",
       {33, 17},
       {Shape{90}},
       {90, 17},
       [](const Index& a, const At& i) {
         return Index{i[0]({a[0]}), a[1]};
       }},
      {"[:]", {3, 5}, {}, {3, 5}, [](const Index& a, const At&) { return a; }}};
  return all;
}

void add_places(std::vector<OpCase>& t) {
  for (const Picked& p : picked())
    for (const Layout layout : layouts(p.x))
      for (const DType dtype : kTypes)
        for (const Values values : {Values::normal, Values::special}) {
          if (!computes(dtype) && (values == Values::special || layout == Layout::expanded)) continue;
          std::vector<Input> inputs{drawn(p.x, dtype, layout, values)};
          for (std::size_t d = 0; d < p.indices.size(); ++d)
            if (p.indices[d]) {
              const double n = static_cast<double>(p.x[static_cast<int>(d)]);
              inputs.push_back({*p.indices[d], DType::i64, Layout::contiguous, Values::range, -n, n});
            }
          const auto tensors = [&p](Args x) {
            std::vector<Tensor> all;
            std::size_t next = 1;
            for (const auto& shape : p.indices) all.push_back(shape ? x[next++] : Tensor());
            return all;
          };
          // The place in x of an index of the result.
          const auto place_of = [&p](Args x) {
            std::vector<std::function<std::int64_t(Index)>> read;
            for (std::size_t k = 1, d = 0; d < p.indices.size(); ++d) {
              if (!p.indices[d]) continue;
              const auto values_of_index = whole(x[k++]);
              read.push_back([=, n = p.x[static_cast<int>(d)], s = *p.indices[d]](const Index& at) {
                const std::int64_t i = values_of_index[flat(s, at)];
                return i < 0 ? i + n : i;
              });
            }
            return [&p, read](const Index& at) { return p.from(at, read); };
          };
          OpCase c{.op = "index", .text = p.text, .inputs = inputs, .call = [=](Args x) {
                     return Outputs{index(x[0], tensors(x))};
                   }};
          c.oracle = [=, &p](Args x) { return std::vector{gathered(x[0], p.result, place_of(x))}; };
          c.differentiable = computes(dtype) && values == Values::normal;
          c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
          t.push_back(c);
          for (const bool add : {false, true}) {
            if (add && dtype == DType::boolean) continue;
            const Values here = add && values == Values::special ? Values::nonfinite : values;
            OpCase put{.op = "index_put",
                       .text = std::string(p.text) + (add ? " accumulate" : ""),
                       .inputs = inputs,
                       .call = [=](Args x) { return Outputs{index_put(x[0], tensors(x), x.back(), add)}; }};
            put.inputs[0] = drawn(p.x, dtype, layout, here);
            Shape broadcast = p.result;  // the values may repeat
            if (broadcast.rank() > 1) broadcast.erase(0);
            put.inputs.push_back(
                drawn(layout == Layout::sliced ? broadcast : p.result, dtype, Layout::contiguous, here));
            put.oracle = [=, &p](Args x) {
              const auto to = place_of(x);
              const Expected from = expected_from(x.back(), dtype);
              Expected r = expected_from(x[0], dtype);
              const Shape& vs = x.back().sizes();
              each_index(p.result, [&](const Index& at) {
                const long double v = from.value[flat(vs, Index(at.end() - vs.rank(), at.end()))];
                long double& place = r.value[flat(p.x, to(at))];
                place = add ? place + v : v;
              });
              return wrapped(r);
            };
            if (add) bound_sums(put, dtype);
            put.differentiable = c.differentiable;
            put.gradient_bound = {.c = 4}, put.gradient_relative = Relative::absolute;
            put.gradient_in_parts = true;
            t.push_back(std::move(put));
          }
        }
  // Masks as indices.
  for (const auto& [s, ms] :
       std::vector<std::pair<Shape, Shape>>{{{7}, {7}}, {{3, 5}, {3}}, {{3, 5}, {3, 5}}, {{33, 17}, {33}}})
    for (const Layout layout : layouts(s))
      for (const DType dtype : {DType::f32, DType::f64, DType::i64}) {
        OpCase c{.op = "index",
                 .text = "[mask]",
                 .inputs = {drawn(s, dtype, layout), {ms, DType::boolean, Layout::contiguous}},
                 .call = [](Args x) { return Outputs{index(x[0], {x[1]})}; }};
        c.oracle = [=, ms = ms](Args x) {
          const Expected from = expected_from(x[0], dtype), mask = expected_from(x[1], DType::boolean);
          Expected r{x[0].sizes(), dtype, {}, {}};
          for (int d = 0; d < ms.rank(); ++d) r.shape.erase(0);
          r.shape.insert(0, 0);
          for (const long double m : mask.value) r.shape[0] += m != 0;
          const std::size_t row = from.value.size() / mask.value.size();
          for (std::size_t i = 0; i < from.value.size(); ++i)
            if (mask.value[i / row] != 0) r.value.push_back(from.value[i]);
          return std::vector{r};
        };
        c.differentiable = dtype != DType::i64;
        t.push_back(std::move(c));
      }
}

}  // namespace

void add_gather(std::vector<OpCase>& t) {
  add_rows(t);
  add_lines(t);
  add_masks(t);
  add_places(t);
}

}  // namespace tapedeck::cases
