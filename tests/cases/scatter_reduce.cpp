// Scatter with reductions, against loops over positions in their order.
#include <tapedeck/autograd/ops.h>

#include <algorithm>
#include <cmath>

#include "cases/moves.h"

namespace tapedeck::cases {
namespace {

using Wide = long double;

std::size_t place(std::int64_t d) { return static_cast<std::size_t>(d); }

constexpr ScatterReduce kReduces[] = {ScatterReduce::sum, ScatterReduce::prod, ScatterReduce::mean, ScatterReduce::amax,
                                      ScatterReduce::amin};
const char* name_of(ScatterReduce r) {
  constexpr const char* names[] = {"sum", "prod", "mean", "amax", "amin"};
  return names[static_cast<int>(r)];
}

struct Lines {
  Shape x, index, source;  // source: at least as large as index
  int dim;
};
const Lines kLines[] = {{{}, {}, {}, 0},
                        {{7}, {12}, {12}, 0},
                        {{7}, {0}, {2}, 0},
                        {{3, 5}, {2, 2}, {3, 4}, 0},
                        {{3, 5}, {3, 9}, {3, 9}, -1},
                        {{2, 3, 4}, {2, 7, 3}, {2, 8, 4}, 1},
                        {{33, 17}, {60, 17}, {60, 17}, 0},
                        {{0, 3}, {0, 5}, {0, 5}, 1},
                        {{2, 900}, {2, 3000}, {2, 3000}, 1}};

// What has met at a place, in order.
struct Place {
  std::vector<Wide> terms;
  bool reached = false;
};
Wide reduced(const Place& p, ScatterReduce how, DType t) {
  if (p.terms.size() == 1) return p.terms[0];
  Wide r = p.terms[0];
  for (std::size_t k = 1; k < p.terms.size(); ++k) {
    const Wide v = p.terms[k];
    if (how == ScatterReduce::prod)
      r = is_real(t) ? r * v : static_cast<Wide>(static_cast<std::int64_t>(r) * static_cast<std::int64_t>(v));
    else if (how == ScatterReduce::amax)
      r = std::isnan(r) || r > v ? r : v;
    else if (how == ScatterReduce::amin)
      r = std::isnan(r) || r < v ? r : v;
    else
      r += v;
  }
  if (how == ScatterReduce::mean) r /= static_cast<Wide>(p.terms.size());
  return t == DType::u8 ? static_cast<std::uint8_t>(static_cast<std::int64_t>(r)) : r;
}

using To = std::function<Index(const Index& at)>;  // the place in x of a position of the source
std::vector<Expected> scattered(const Tensor& x, const Shape& positions, const Tensor& source, const To& to,
                                ScatterReduce how, bool include_self) {
  Expected r = expected_from(x, x.dtype());
  const Expected from = expected_from(source, x.dtype());
  std::vector<Place> places(r.value.size());
  each_index(positions, [&](const Index& at) {
    Place& p = places[flat(x.sizes(), to(at))];
    p.reached = true;
    p.terms.push_back(from.value[flat(source.sizes(), at)]);
  });
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (include_self || !places[i].reached) places[i].terms.insert(places[i].terms.begin(), r.value[i]);
    r.value[i] = reduced(places[i], how, x.dtype());
  }
  return {r};
}

Input drawn(const Shape& s, DType t, Layout layout, Values values, ScatterReduce how) {
  if (t == DType::f32 || t == DType::f64) {
    if (how == ScatterReduce::prod && values == Values::normal) return {s, t, layout, Values::range, 0.7, 1.4};
    return {s, t, layout, values};
  }
  return {s, t, layout, Values::range, is_real(t) || t == DType::u8 ? 1. : -4., is_real(t) ? 2. : 4.};
}

void add_case(std::vector<OpCase>& t, OpCase c, ScatterReduce how, const Shape& x) {
  const DType dtype = c.inputs[0].dtype;
  const bool real = dtype == DType::f32 || dtype == DType::f64, normal = c.inputs[0].values != Values::ties;
  const bool special = c.inputs[0].values == Values::nonfinite;
  c.text += std::string(" ") + name_of(how);
  const bool chooses = how == ScatterReduce::amax || how == ScatterReduce::amin;
  if (real && !chooses) c.bound = {.c = how == ScatterReduce::prod && dtype == DType::f64 ? 400. : 16.};
  if (real && !chooses && how != ScatterReduce::prod) c.relative = Relative::absolute;
  // Differences need distinct values where one is chosen; a full grid repeats them.
  const bool distinct = dtype == DType::f32 || x.numel() + c.inputs[2].shape.numel() <= 40;
  c.differentiable = real && normal && !special && (distinct || !chooses);
  if (how == ScatterReduce::prod) c.low = 0.6, c.high = 1.5;
  c.gradient_bound = {.c = 16};
  c.gradient_in_parts = true;
  t.push_back(std::move(c));
}

void add_lines(std::vector<OpCase>& t) {
  for (const auto& [s, is, ss, dim] : kLines)
    for (const Layout layout : layouts(s))
      for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32, DType::u8})
        for (const Values values : {Values::normal, Values::ties, Values::nonfinite})
          for (const ScatterReduce how : kReduces)
            for (const bool self : {true, false}) {
              const bool real = dtype == DType::f32 || dtype == DType::f64, large = s.numel() > 1000;
              if (!real && (values != Values::normal || layout != Layout::contiguous)) continue;
              if (!is_real(dtype) && how == ScatterReduce::mean) continue;
              if (is_real(dtype) && !real && how != ScatterReduce::amax && how != ScatterReduce::amin) continue;
              if (large && how == ScatterReduce::prod && !real) continue;
              const int d = s.rank() == 0 ? 0 : (dim + s.rank()) % s.rank();
              OpCase c{
                  .op = "scatter_reduce",
                  .text = "dim " + std::to_string(dim) + (self ? "" : " without self"),
                  .inputs = {drawn(s, dtype, layout, values, how),
                             {is, DType::i64, layout, Values::range, 0, s.rank() ? static_cast<double>(s[d]) : 1},
                             drawn(ss, dtype, layout, values, how)},
                  .call = [=, dim = dim](Args x) { return Outputs{scatter_reduce(x[0], dim, x[1], x[2], how, self)}; }};
              c.oracle = [=, is = is](Args x) {
                const auto i = x[1].to_vector<std::int64_t>();
                const auto to = [&](Index at) {
                  if (!at.empty()) at[place(d)] = i[flat(is, Index(at))];
                  return at;
                };
                return scattered(x[0], is, x[2], to, how, self);
              };
              if (d > 0 && is[0] == s[0] && ss[0] == s[0]) c.rows = 7;
              add_case(t, std::move(c), how, s);
            }
}

void add_rows(std::vector<OpCase>& t) {
  struct Rows {
    Shape x;
    int dim;
    std::int64_t count;
  };
  for (const auto& [s, dim, count] : std::vector<Rows>{{{7}, 0, 9}, {{3, 5}, 0, 4}, {{3, 5}, -1, 0}, {{2, 3, 4}, 1, 6}})
    for (const Layout layout : layouts(s))
      for (const DType dtype : {DType::f32, DType::f64, DType::i64})
        for (const ScatterReduce how : kReduces)
          for (const bool self : {true, false}) {
            if (!is_real(dtype) && how == ScatterReduce::mean) continue;
            const int d = (dim + s.rank()) % s.rank();
            Shape rows = s;
            rows[d] = count;
            OpCase c{
                .op = "index_reduce",
                .text = "dim " + std::to_string(dim) + (self ? "" : " without self"),
                .inputs = {drawn(s, dtype, layout, Values::normal, how),
                           {{count}, DType::i64, {}, Values::range, 0, static_cast<double>(s[d])},
                           drawn(rows, dtype, layout, Values::normal, how)},
                .call = [=, dim = dim](Args x) { return Outputs{index_reduce(x[0], dim, x[1], x[2], how, self)}; }};
            c.oracle = [=](Args x) {
              const auto i = x[1].to_vector<std::int64_t>();
              const auto to = [&](Index at) {
                at[place(d)] = i[place(at[place(d)])];
                return at;
              };
              return scattered(x[0], rows, x[2], to, how, self);
            };
            add_case(t, std::move(c), how, s);
          }
}

}  // namespace

void add_scatter_reduce(std::vector<OpCase>& t) {
  add_lines(t);
  add_rows(t);
}

}  // namespace tapedeck::cases
