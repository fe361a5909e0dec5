// Shapes, views, copies and conversions: exact. What they show is worked out here index by index.
#include <tapedeck/autograd/ops.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "cases/moves.h"

namespace tapedeck::cases {
namespace {

std::vector<Move> views() {
  std::vector<Move> all;
  const auto add = [&](const char* op, std::string text, const Shape& shape, std::function<Tensor(const Tensor&)> f,
                       std::function<std::vector<Expected>(Args)> oracle) {
    all.push_back({op, std::move(text), shape, [f](Args x) { return Outputs{f(x[0])}; }, std::move(oracle)});
  };
  const auto reorder = [&](const char* op, const std::string& text, const Shape& s,
                           std::function<Tensor(const Tensor&)> f, const Shape& to,
                           From from) { all.push_back(moved(op, text, s, std::move(f), to, std::move(from))); };
  for (const auto& [from, to, wish] : std::vector<std::tuple<Shape, Shape, Shape>>{{{2, 3, 4}, {4, 6}, {4, -1}},
                                                                                   {{2, 3, 4}, {24}, {-1}},
                                                                                   {{6, 4}, {2, 3, 4}, {2, 3, 4}},
                                                                                   {{}, {1, 1}, {1, 1}},
                                                                                   {{1}, {}, {}},
                                                                                   {{0, 3}, {3, 0}, {3, 0}},
                                                                                   {{33, 17}, {17, 33}, {17, -1}},
                                                                                   {{2, 3, 4, 5}, {6, 20}, {6, 20}}})
    add(
        "reshape", to_string(wish), from, [wish = wish](const Tensor& x) { return reshape(x, wish); },
        [to = to](Args x) { return same_order(x, to); });
  for (const auto& [from, to, dim, sizes] :
       std::vector<std::tuple<Shape, Shape, int, Shape>>{{{6, 4}, {2, 3, 4}, 0, {2, 3}},
                                                         {{6, 4}, {6, 2, 2}, -1, {-1, 2}},
                                                         {{2, 12, 5}, {2, 3, 4, 5}, 1, {3, -1}},
                                                         {{0, 3}, {0, 2, 3}, 0, {0, 2}},
                                                         {{33, 17}, {33, 17, 1}, 1, {17, 1}}})
    add(
        "unflatten", std::to_string(dim) + " as " + to_string(sizes), from,
        [dim = dim, sizes = sizes](const Tensor& x) { return unflatten(x, dim, sizes); },
        [to = to](Args x) { return same_order(x, to); });
  for (const auto& [from, to, a, b] : std::vector<std::tuple<Shape, Shape, int, int>>{{{2, 3, 4}, {24}, 0, -1},
                                                                                      {{2, 3, 4}, {6, 4}, 0, 1},
                                                                                      {{2, 3, 4}, {2, 12}, 1, 2},
                                                                                      {{}, {1}, 0, -1},
                                                                                      {{7}, {7}, 0, 0},
                                                                                      {{3, 0, 2}, {0}, 0, -1},
                                                                                      {{2, 3, 4, 5}, {2, 12, 5}, 1, -2},
                                                                                      {{33, 17}, {561}, 0, 1}})
    add(
        "flatten", std::to_string(a) + " to " + std::to_string(b), from,
        [a = a, b = b](const Tensor& x) { return flatten(x, a, b); }, [to = to](Args x) { return same_order(x, to); });
  for (const auto& [s, order] : std::vector<std::pair<Shape, std::vector<int>>>{{{2, 3, 4}, {2, 0, 1}},
                                                                                {{2, 3, 4}, {0, 2, 1}},
                                                                                {{2, 3, 4, 5}, {3, 1, 0, 2}},
                                                                                {{33, 17}, {1, 0}},
                                                                                {{7}, {0}},
                                                                                {{}, {}},
                                                                                {{3, 0, 2}, {1, 2, 0}},
                                                                                {{2, 3, 4}, {-1, 0, -2}}}) {
    Shape to = s;
    std::string text;
    for (std::size_t d = 0; d < order.size(); ++d)
      to[static_cast<int>(d)] = s[(order[d] + s.rank()) % s.rank()], text += std::to_string(order[d]) + " ";
    reorder(
        "permute", text, s, [order = order](const Tensor& x) { return permute(x, order); }, to,
        [order = order, rank = s.rank()](const Index& at) {
          Index i(at.size());
          for (std::size_t d = 0; d < at.size(); ++d) i[static_cast<std::size_t>((order[d] + rank) % rank)] = at[d];
          return i;
        });
  }
  for (const Shape& s : {Shape{3, 5}, Shape{2, 3, 4}, Shape{2, 3, 4, 5}, Shape{3, 0, 2}, Shape{33, 17}})
    for (int a = 0; a < s.rank(); ++a)
      for (int b = a + 1; b < s.rank(); ++b) {
        Shape to = s;
        std::swap(to[a], to[b]);
        reorder(
            "transpose", std::to_string(a) + " " + std::to_string(b), s,
            [=, rank = s.rank()](const Tensor& x) { return transpose(x, a, b - rank); }, to,
            [=](Index at) {
              std::swap(at[static_cast<std::size_t>(a)], at[static_cast<std::size_t>(b)]);
              return at;
            });
      }
  for (const auto& [s, dim] : std::vector<std::pair<Shape, int>>{
           {{1}, 0}, {{2, 1, 4}, 1}, {{1, 7}, 0}, {{33, 17, 1}, -1}, {{0, 1}, 1}, {{1, 1, 1}, 1}}) {
    Shape to = s;
    to.erase((dim + s.rank()) % s.rank());
    add(
        "squeeze", std::to_string(dim), s, [dim = dim](const Tensor& x) { return squeeze(x, dim); },
        [to](Args x) { return same_order(x, to); });
  }
  for (const auto& [s, dim] : std::vector<std::pair<Shape, int>>{{{}, 0}, {{3, 5}, 0}, {{2, 1, 4}, -1}, {{0, 1}, 0}})
    add(
        "squeeze", "not 1: " + std::to_string(dim), s, [dim = dim](const Tensor& x) { return squeeze(x, dim); },
        [s = s](Args x) { return same_order(x, s); });
  for (const Shape& s :
       {Shape{}, Shape{1}, Shape{7}, Shape{1, 7}, Shape{2, 1, 4}, Shape{1, 1, 1}, Shape{33, 1, 17, 1}, Shape{0, 1}}) {
    Shape to;
    for (const std::int64_t n : s)
      if (n != 1) to.push(n);
    add(
        "squeeze all", "", s, [](const Tensor& x) { return squeeze(x); }, [to](Args x) { return same_order(x, to); });
  }
  for (const auto& [s, from, to] : std::vector<std::tuple<Shape, int, int>>{{{7}, 0, 0},
                                                                            {{2, 3, 4}, 0, 2},
                                                                            {{2, 3, 4}, -1, 0},
                                                                            {{2, 3, 4, 5}, 1, -1},
                                                                            {{2, 3, 4, 5}, 3, 1},
                                                                            {{33, 17}, 1, 0},
                                                                            {{3, 0, 2}, 2, 1},
                                                                            {{1, 4097}, 0, -1}}) {
    std::vector<int> order(static_cast<std::size_t>(s.rank()));
    std::iota(order.begin(), order.end(), 0);
    const int rank = s.rank(), a = (from + rank) % rank, b = (to + rank) % rank;
    order.erase(order.begin() + a);
    order.insert(order.begin() + b, a);
    Shape shape = s;
    for (int d = 0; d < rank; ++d) shape[d] = s[order[static_cast<std::size_t>(d)]];
    const auto back = [order](const Index& at) {
      Index i(at.size());
      for (std::size_t d = 0; d < at.size(); ++d) i[static_cast<std::size_t>(order[d])] = at[d];
      return i;
    };
    const std::string text = std::to_string(from) + " to " + std::to_string(to);
    reorder(
        "movedim", text, s, [from = from, to = to](const Tensor& x) { return movedim(x, from, to); }, shape, back);
    // The same as a list: all dimensions, each to its place.
    std::vector<int> places(order.size());
    std::iota(places.begin(), places.end(), 0);
    reorder(
        "movedim lists", text, s, [order, places](const Tensor& x) { return movedim(x, order, places); }, shape, back);
  }
  reorder(
      "movedim lists", "0 1 to -1 0", {2, 3, 4},
      [](const Tensor& x) {
        return movedim(x, std::vector<int>{0, 1}, std::vector<int>{-1, 0});
      },
      {3, 4, 2},
      [](const Index& at) {
        return Index{at[2], at[0], at[1]};
      });
  for (const Shape& s : {Shape{}, Shape{7}, Shape{3, 5}, Shape{2, 3, 4}, Shape{0, 3}, Shape{33, 17}})
    for (int dim = 0; dim <= s.rank(); ++dim) {
      Shape to = s;
      to.insert(dim, 1);
      add(
          "unsqueeze", std::to_string(dim), s,
          [=, rank = s.rank()](const Tensor& x) { return unsqueeze(x, dim == rank ? -1 : dim); },
          [to](Args x) { return same_order(x, to); });
    }
  const std::int64_t far_away = std::numeric_limits<std::int64_t>::max();
  for (const auto& [s, to, wish] : std::vector<std::tuple<Shape, Shape, Shape>>{{{1}, {5}, {5}},
                                                                                {{3, 1}, {3, 4}, {-1, 4}},
                                                                                {{}, {2, 3}, {2, 3}},
                                                                                {{4}, {2, 4}, {2, -1}},
                                                                                {{2, 1, 3}, {2, 5, 3}, {2, 5, 3}},
                                                                                {{3, 1}, {2, 3, 4}, {2, 3, 4}},
                                                                                {{1, 3}, {0, 3}, {0, 3}},
                                                                                {{33, 1}, {33, 17}, {33, 17}},
                                                                                {{2, 3}, {2, 3}, {2, 3}}})
    for (const auto& [op, f] : {std::pair{"expand", &expand}, {"broadcast_to", &broadcast_to}})
      reorder(
          op, to_string(wish), s, [wish = wish, f = f](const Tensor& x) { return f(x, wish); }, to,
          [s = s](const Index& at) {
            Index i(at.end() - s.rank(), at.end());
            for (int d = 0; d < s.rank(); ++d)
              if (s[d] == 1) i[static_cast<std::size_t>(d)] = 0;
            return i;
          });
  for (const auto& [s, offset, a, b] :
       std::vector<std::tuple<Shape, std::int64_t, int, int>>{{{3, 5}, 0, 0, 1},
                                                              {{3, 5}, 2, 0, 1},
                                                              {{3, 5}, -1, 0, 1},
                                                              {{3, 5}, 5, 0, 1},
                                                              {{3, 5}, far_away, 0, 1},
                                                              {{3, 5}, -far_away - 1, 0, 1},
                                                              {{2, 3, 4}, 1, -2, -1},
                                                              {{2, 3, 4}, -1, 2, 0},
                                                              {{33, 17}, -20, 0, 1},
                                                              {{0, 3}, 0, 0, 1},
                                                              {{2, 3, 4, 5}, 1, 1, 3}}) {
    const int row = (a + s.rank()) % s.rank(), column = (b + s.rank()) % s.rank();
    Shape to = s;
    for (const int d : {std::max(row, column), std::min(row, column)}) to.erase(d);
    std::int64_t length = 0;
    for (std::int64_t i = 0; i < s[row]; ++i)
      for (std::int64_t k = 0; k < s[column]; ++k) length += k - i == offset;
    to.push(length);
    reorder(
        "diagonal", std::to_string(offset) + " of " + std::to_string(a) + " " + std::to_string(b), s,
        [offset = offset, a = a, b = b](const Tensor& x) { return diagonal(x, offset, a, b); }, to,
        [=, offset = offset](Index at) {
          const std::int64_t k = at.back();
          at.pop_back();
          for (const int d : {std::min(row, column), std::max(row, column)})
            at.insert(at.begin() + d,
                      d == row ? k - std::min<std::int64_t>(offset, 0) : k + std::max<std::int64_t>(offset, 0));
          return at;
        });
  }
  const std::int64_t far = std::numeric_limits<std::int64_t>::max();
  for (const auto& [s, dim, start, end, step] :
       std::vector<std::tuple<Shape, int, std::int64_t, std::int64_t, std::int64_t>>{{{7}, 0, 2, 5, 1},
                                                                                     {{7}, 0, 0, far, 3},
                                                                                     {{7}, 0, -3, far, 1},
                                                                                     {{3, 5}, 1, 1, -1, 2},
                                                                                     {{2, 3, 4}, 1, 1, 2, 1},
                                                                                     {{2, 3, 4}, -1, 3, 3, 1},
                                                                                     {{33, 17}, 0, 5, 29, 4},
                                                                                     {{33, 17}, 1, 1, 16, 1},
                                                                                     {{0, 3}, 0, 0, far, 1},
                                                                                     {{2, 3, 4, 5}, 2, 0, 100, 2}}) {
    const int d = (dim + s.rank()) % s.rank();
    const std::int64_t n = s[d], first = start < 0 ? start + n : start, last = std::min(end < 0 ? end + n : end, n);
    Shape to = s;
    to[d] = std::max<std::int64_t>(0, (last - first + step - 1) / step);
    const auto from = [=, step = step](Index at) {
      at[static_cast<std::size_t>(d)] = first + at[static_cast<std::size_t>(d)] * step;
      return at;
    };
    reorder(
        "slice", std::to_string(dim) + " from " + std::to_string(start) + " step " + std::to_string(step), s,
        [dim = dim, start = start, end = end, step = step](const Tensor& x) { return slice(x, dim, start, end, step); },
        to, from);
    if (step == 1)
      reorder(
          "narrow", std::to_string(dim) + " from " + std::to_string(first), s,
          [dim = dim, first, length = to[d]](const Tensor& x) { return narrow(x, dim, first, length); }, to, from);
  }
  for (const Shape& s : {Shape{7}, Shape{3, 5}, Shape{2, 3, 4}, Shape{33, 17}, Shape{0, 3}})
    for (int dim = 0; dim < s.rank(); ++dim)
      for (const std::int64_t i : {std::int64_t{0}, s[dim] / 2, std::int64_t{-1}}) {
        if (s[dim] == 0) continue;
        Shape to = s;
        to.erase(dim);
        reorder(
            "select", std::to_string(dim) + " at " + std::to_string(i), s,
            [=](const Tensor& x) { return select(x, dim, i); }, to,
            [=, n = s[dim]](Index at) {
              at.insert(at.begin() + dim, i < 0 ? i + n : i);
              return at;
            });
      }
  for (const auto& [s, dim, size, step] :
       std::vector<std::tuple<Shape, int, std::int64_t, std::int64_t>>{{{7}, 0, 3, 1},
                                                                       {{7}, 0, 3, 2},
                                                                       {{7}, 0, 2, 5},
                                                                       {{7}, 0, 7, 1},
                                                                       {{3, 9}, 1, 4, 3},
                                                                       {{9, 3}, 0, 4, 2},
                                                                       {{2, 10, 3}, 1, 4, 2},
                                                                       {{33, 17}, 0, 8, 4},
                                                                       {{33, 17}, 1, 5, 12},
                                                                       {{0, 5}, 1, 2, 1}}) {
    Shape to = s;
    to[dim] = (s[dim] - size) / step + 1;
    to.push(size);
    reorder(
        "unfold", std::to_string(dim) + " size " + std::to_string(size) + " step " + std::to_string(step), s,
        [dim = dim, size = size, step = step](const Tensor& x) { return unfold(x, dim, size, step); }, to,
        [dim = dim, step = step](const Index& at) {
          Index i(at.begin(), at.end() - 1);
          i[static_cast<std::size_t>(dim)] = i[static_cast<std::size_t>(dim)] * step + at.back();
          return i;
        });
  }
  for (const Shape& s : shapes()) {
    add("contiguous", "", s, contiguous, [s](Args x) { return same_order(x, s); });
    add("clone", "", s, clone, [s](Args x) { return same_order(x, s); });
  }
  // Parts along a dimension.
  const auto parts = [&](const char* op, const std::string& text, const Shape& s, int dim,
                         const std::vector<std::int64_t>& sizes, std::function<Outputs(Args)> call) {
    all.push_back({op, text, s, std::move(call), [=](Args x) {
                     std::vector<Expected> r;
                     std::int64_t start = 0;
                     for (const std::int64_t size : sizes) {
                       Shape to = s;
                       to[dim] = size;
                       r.push_back(gathered(x[0], to, [=](Index at) {
                         at[static_cast<std::size_t>(dim)] += start;
                         return at;
                       }));
                       start += size;
                     }
                     return r;
                   }});
  };
  for (const Shape& s : {Shape{7}, Shape{9, 5}, Shape{5, 9}, Shape{2, 7, 3}, Shape{0, 6}})
    for (int dim = 0; dim < s.rank(); ++dim) {
      const std::int64_t n = s[dim];
      for (const std::int64_t size : {1, 2, 4, 100}) {
        std::vector<std::int64_t> sizes;
        for (std::int64_t at = 0; at < n; at += size) sizes.push_back(std::min(size, n - at));
        if (sizes.empty()) sizes.push_back(0);
        parts("split", std::to_string(size) + " dim " + std::to_string(dim), s, dim, sizes,
              [=](Args x) { return split(x[0], size, dim); });
      }
      for (const std::int64_t chunks : {1, 2, 3}) {
        const std::int64_t size = std::max<std::int64_t>((n + chunks - 1) / chunks, 1);
        std::vector<std::int64_t> sizes;
        for (std::int64_t at = 0; at < n; at += size) sizes.push_back(std::min(size, n - at));
        if (sizes.empty()) sizes.resize(static_cast<std::size_t>(chunks));  // of nothing, as many as asked for
        parts("chunk", std::to_string(chunks) + " dim " + std::to_string(dim), s, dim, sizes,
              [=](Args x) { return chunk(x[0], chunks, dim - s.rank()); });
      }
      std::vector<Shape> rows(static_cast<std::size_t>(n), s);
      for (Shape& row : rows) row.erase(dim);
      if (n > 0)
        all.push_back({"unbind", "dim " + std::to_string(dim), s, [=](Args x) { return unbind(x[0], dim - s.rank()); },
                       [=](Args x) {
                         std::vector<Expected> r;
                         for (std::size_t i = 0; i < rows.size(); ++i)
                           r.push_back(gathered(x[0], rows[i], [=](Index at) {
                             at.insert(at.begin() + dim, static_cast<std::int64_t>(i));
                             return at;
                           }));
                         return r;
                       }});
      if (n < 3) continue;
      for (const auto& sizes : {std::vector<std::int64_t>{1, n - 1}, {n - 2, 0, 2}, {n}, {1, 1, n - 2}})
        parts("split sizes", "dim " + std::to_string(dim) + " first " + std::to_string(sizes[0]), s, dim, sizes,
              [=](Args x) { return split(x[0], sizes, dim); });
    }
  return all;
}

// detach gives the same values, as a constant.
void add_detach(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : shapes())
      for (const Layout layout : layouts(shape))
        t.push_back({.op = "detach",
                     .text = "",
                     .inputs = {{shape, dtype, layout}},
                     .call =
                         [](Args x) {
                           Tape tape;
                           if (x[0].defined() && is_real(x[0].dtype())) tape.watch(x[0]);
                           const Tensor y = detach(x[0]);
                           TD_CHECK(!is_recorded(y) && y.shares_storage(x[0]), TapeError,
                                    "detach: not a constant view");
                           return Outputs{y};
                         },
                     .oracle = [shape](Args x) { return same_order(x, shape); }});
}

Expected joined(Args parts, int dim) {
  Shape to = parts[0].sizes();
  to[dim] = 0;
  for (const Tensor& p : parts) to[dim] += p.sizes()[dim];
  Expected r{to, parts[0].dtype(), std::vector<long double>(static_cast<std::size_t>(to.numel())), {}};
  std::int64_t inner = 1, start = 0;
  for (int d = dim + 1; d < to.rank(); ++d) inner *= to[d];
  for (const Tensor& p : parts) {
    const auto from = expected_from(p, p.dtype()).value;
    const std::int64_t run = p.sizes()[dim] * inner;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const auto k = static_cast<std::int64_t>(i);
      r.value[static_cast<std::size_t>(k / run * to[dim] * inner + start * inner + k % run)] = from[i];
    }
    start += p.sizes()[dim];
  }
  return r;
}

void add_joining(std::vector<OpCase>& t) {
  struct Parts {
    std::vector<Shape> shapes;
    int dim;
  };
  for (const DType dtype : {DType::f32, DType::f64, DType::i64})
    for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced, Layout::expanded})
      for (const auto& [shapes, dim] : std::vector<Parts>{{{{3}, {4}}, 0},
                                                          {{{3}}, 0},
                                                          {{{2, 3}, {2, 1}, {2, 0}}, 1},
                                                          {{{2, 3}, {5, 3}}, 0},
                                                          {{{2, 3, 4}, {2, 2, 4}}, 1},
                                                          {{{2, 3, 4}, {2, 3, 1}, {2, 3, 2}}, -1},
                                                          {{{0, 3}, {0, 3}}, 0},
                                                          {{{33, 17}, {33, 5}}, 1},
                                                          {{{40, 7}, {3, 7}}, 0},
                                                          {{{1}, {1}, {1}, {1}}, 0}}) {
        std::vector<Input> inputs;
        for (const Shape& s : shapes) inputs.push_back({s, dtype, layout, Values::range, -50, 50});
        const int at = (dim + shapes[0].rank()) % shapes[0].rank();
        OpCase c{.op = "cat", .text = "dim " + std::to_string(dim), .inputs = inputs, .call = [dim = dim](Args x) {
                   return Outputs{cat({x.begin(), x.end()}, dim)};
                 }};
        c.oracle = [at](Args x) { return std::vector{joined(x, at)}; };
        c.differentiable = dtype != DType::i64;
        t.push_back(c);
        for (int where = 0; where <= shapes[0].rank(); ++where) {
          for (Input& in : inputs) in.shape = shapes[0];
          OpCase s{.op = "stack",
                   .text = "dim " + std::to_string(where),
                   .inputs = inputs,
                   .call = [=, rank = shapes[0].rank()](Args x) {
                     return Outputs{stack({x.begin(), x.end()}, where == rank ? -1 : where)};
                   }};
          s.oracle = [where](Args x) {
            std::vector<Tensor> raised;
            Shape to = x[0].sizes();
            to.insert(where, 1);
            for (const Tensor& p : x) raised.push_back(reshape(clone(p), to));
            return std::vector{joined(raised, where)};
          };
          s.differentiable = dtype != DType::i64;
          t.push_back(std::move(s));
        }
      }
}

void add_meshgrid(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i64})
    for (const Indexing indexing : {Indexing::ij, Indexing::xy})
      for (const auto& sizes : std::vector<std::vector<Shape>>{
               {{3}}, {{}}, {{3}, {4}}, {{2}, {}, {3}}, {{0}, {2}}, {{33}, {17}}, {{2}, {3}, {4}, {2}}})
        for (const Layout layout : {Layout::contiguous, Layout::sliced, Layout::expanded}) {
          OpCase c{.op = "meshgrid", .text = indexing == Indexing::ij ? "ij" : "xy", .inputs = {}, .call = [=](Args x) {
                     return meshgrid({x.begin(), x.end()}, indexing);
                   }};
          for (const Shape& s : sizes) c.inputs.push_back({s, dtype, layout, Values::range, -50, 50});
          c.oracle = [=](Args x) {
            const bool swap = indexing == Indexing::xy && x.size() > 1;
            std::vector<Expected> all;
            for (std::size_t k = 0; k < x.size(); ++k) {
              Shape to;
              for (const Tensor& axis : x) to.push(axis.numel());
              if (swap) std::swap(to[0], to[1]);
              const std::size_t place = swap && k < 2 ? 1 - k : k;
              all.push_back(
                  gathered(x[k], to, [&](const Index& at) { return x[k].dim() == 0 ? Index{} : Index{at[place]}; }));
            }
            return all;
          };
          c.differentiable = dtype != DType::i64;
          c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
          t.push_back(std::move(c));
        }
}

// ---- cast: every ordered pair of types
// -------------------------------------------------------------------------------- To the nearest number of `digits`
// bits of mantissa and least exponent `low` (of the unit of 2^low), ties to even.
long double rounded(long double v, int digits, int low, long double largest) {
  if (std::isnan(v) || std::isinf(v) || v == 0) return v;
  int exponent;
  std::frexp(v, &exponent);
  const int unit = std::max(exponent - digits, low);
  const long double r = std::ldexp(std::nearbyint(std::ldexp(v, -unit)), unit);
  return std::fabs(r) > largest ? std::copysign(std::numeric_limits<long double>::infinity(), v) : std::copysign(r, v);
}
long double whole(long double v, long double low, long double high) {
  return std::isnan(v) ? 0 : v <= low ? low : v >= high ? high : std::trunc(v) + 0.0L;
}
long double converted(long double v, DType to) {
  switch (to) {
    case DType::f32:
      return rounded(v, 24, -149, std::numeric_limits<float>::max());
    case DType::f64:
      return rounded(v, 53, -1074, std::numeric_limits<double>::max());
    case DType::bf16:
      return rounded(v, 8, -133, std::ldexp(255.0L, 120));
    case DType::f16:
      return rounded(v, 11, -24, 65504);
    case DType::i64:
      return whole(v, -0x1p63L, 0x1p63L - 1);
    case DType::i32:
      return whole(v, -0x1p31L, 0x1p31L - 1);
    case DType::u8:
      return whole(v, 0, 255);
    case DType::boolean:
      return v != 0;
  }
  return v;
}

void add_cast(std::vector<OpCase>& t) {
  constexpr DType all[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                           DType::i64, DType::i32, DType::u8,   DType::boolean};
  for (const DType from : all)
    for (const DType to : all)
      for (const Shape& shape : {Shape{}, Shape{0}, Shape{33, 17}, Shape{3, 5}})
        for (const Layout layout : layouts(shape))
          for (const auto& [values, high] :
               {std::pair{Values::special, 1.}, {Values::range, 300.}, {Values::range, 9e18}, {Values::ties, 1.}}) {
            OpCase c{.op = "cast",
                     .text = std::string("to ") + tapedeck::name(to),
                     .inputs = {{shape, from, layout, values, -high, high}},
                     .call = [to](Args x) { return Outputs{cast(x[0], to)}; }};
            c.oracle = [to](Args x) {
              Expected r = expected_from(x[0], to);
              for (long double& v : r.value) v = converted(v, to);
              return std::vector{r};
            };
            if (shape.rank() > 0 && shape[0] > 0) c.rows = 1;
            t.push_back(std::move(c));
          }
  for (const auto& [from, to] : {std::pair{DType::f32, DType::f64},
                                 {DType::f32, DType::bf16},
                                 {DType::f32, DType::f16},
                                 {DType::f32, DType::f32}})
    for (const Shape& shape : shapes())
      t.push_back({.op = "cast",
                   .text = std::string("there and back by ") + tapedeck::name(to),
                   .inputs = {{shape, from}},
                   .call =
                       [to = to](Args x) {
                         // The reference runs on f64: it goes the same way through the type in the middle.
                         const Tensor y = cast(cast(x[0], DType::f32), to);
                         return Outputs{cast(y, x[0].dtype())};
                       },
                   .differentiable = to == DType::f64 || to == DType::f32,
                   .gradient_bound = {.c = 2}});
}

}  // namespace

void add_shape(std::vector<OpCase>& t) {
  for (const Move& m : views()) add_move(t, m);
  add_detach(t);
  add_joining(t);
  add_meshgrid(t);
  add_cast(t);
}

}  // namespace tapedeck::cases
