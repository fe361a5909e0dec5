// Lookups by index and mask.
#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_index(BadCalls& t) {
  t.value("embedding", {"index 7", "[0, 3)"}, [](In g) { embedding(g.far, g.m); });
  t.value("embedding", {"index -1", "[0, 3)"}, [](In g) { embedding(g.places - 1, g.m); });
  t.values("embedding", {3, -4, kHuge}, [](In g, std::int64_t n) { embedding(g.places, g.m, n); });
  t.dtype("embedding", {"f32"}, [](In g) { embedding(g.v, g.m); });
  t.shape("embedding", {"[6]"}, [](In g) { embedding(g.places, g.v); });
  t.value("embedding_bag", {"index 7", "[0, 3)"}, [](In g) { embedding_bag(reshape(g.far, {1, 3}), g.m); });
  t.values("embedding_bag", {3, -4, kHuge},
           [](In g, std::int64_t n) { embedding_bag(g.whole, g.m, {}, {}, {.padding_idx = n}); });
  const auto offsets = [](std::int64_t a, std::int64_t b) { return tensor(std::vector{a, b}, {2}); };
  t.values("embedding_bag", {4, kHuge}, [=](In g, std::int64_t n) { embedding_bag(g.places, g.m, offsets(0, n)); });
  t.values("embedding_bag", {1, -1}, [=](In g, std::int64_t n) { embedding_bag(g.places, g.m, offsets(n, 3)); });
  t.values("embedding_bag", {-1, -kHuge}, [=](In g, std::int64_t n) { embedding_bag(g.places, g.m, offsets(0, n)); });
  t.value("embedding_bag", {"sum"}, [](In g) { embedding_bag(g.whole, g.m, {}, detach(g.m)); });
  t.shape("embedding_bag", {"[3,4]", "[6]"},
          [](In g) { embedding_bag(g.whole, g.m, {}, detach(g.v), {.mode = BagMode::sum}); });
  t.values("one_hot", {-2, -kHuge}, [](In g, std::int64_t n) { one_hot(g.places, n); });
  t.shapes("one_hot", {kHuge}, [](In g, std::int64_t n) { one_hot(g.places, n); });
  t.value("one_hot", {"index 2", "[0, 2)"}, [](In g) { one_hot(g.places, 2); });
  t.value("one_hot", {"index -1"}, [](In g) { one_hot(g.places - 1); });

  using Along = std::function<void(In, int, const Tensor&)>;
  for (const auto& [op, f] : std::vector<std::pair<const char*, Along>>{
           {"index_select", [](In g, int d, const Tensor&i) { index_select(g.m, d, i); }},
           {"index_add", [](In g, int d, const Tensor&i) { index_add(g.m, d, i, g.m); }},
           {"index_copy", [](In g, int d, const Tensor&i) { index_copy(g.m, d, i, g.m); }},
           {"index_fill", [](In g, int d, const Tensor&i) { index_fill(g.m, d, i, 1); }}}) {
    t.dims(op, 2, [f = f](In g, int d) { f(g, d, g.places); });
    t.value(op, {"index 7", "3"}, [f = f](In g) { f(g, 0, g.far); });
    t.dtype(op, {"f32[6]"}, [f = f](In g) { f(g, 0, g.v); });
    t.missing(op, [f = f](In g) { f(g, 0, g.none); });
  }
  t.value("index_select", {"index -1", "[0, 3)"}, [](In g) { index_select(g.m, 0, g.places - 1); });
  t.shape("index_select", {"[3,4]"}, [](In g) { index_select(g.m, 0, g.whole); });
  t.shape("index_add", {"[3,4]", "[4,4]"}, [](In g) { index_add(g.m, 0, g.places, g.square); });
  t.dtype("index_add", {"0.5", "i64"}, [](In g) { index_add(g.whole, 0, g.places, g.whole, 0.5); });
  t.shape("index_copy", {"[3,4]", "[4,4]"}, [](In g) { index_copy(g.m, 0, g.places, g.square); });
  t.dtype("index_fill", {"0.5", "i64"}, [](In g) { index_fill(g.whole, 0, g.places, 0.5); });

  const auto far = [](In g) { return expand(reshape(g.far, {3, 1}), {3, 4}); };
  for (const auto& [op, f] : std::vector<std::pair<const char*, Along>>{
           {"gather", [](In g, int d, const Tensor&i) { gather(g.m, d, i); }},
           {"scatter", [](In g, int d, const Tensor&i) { scatter(g.m, d, i, g.m); }},
           {"scatter scalar", [](In g, int d, const Tensor&i) { scatter(g.m, d, i, 1); }},
           {"scatter_add", [](In g, int d, const Tensor&i) { scatter_add(g.m, d, i, g.m); }},
           {"take_along_dim", [](In g, int d, const Tensor&i) { take_along_dim(g.m, i, d); }}}) {
    t.dims(op, 2, [f = f](In g, int d) { f(g, d, g.whole); });
    t.value(op, {"index 7", "[0, 3)"}, [f = f, far](In g) { f(g, 0, far(g)); });
    t.value(op, {"index -1", "[0, 3)"}, [f = f](In g) { f(g, 0, g.whole - 1); });
    t.shape(op, {"[3]", "[3,4]"}, [f = f](In g) { f(g, 0, g.places); });
    t.dtype(op, {"f32[3,4]"}, [f = f](In g) { f(g, 0, g.m); });
    t.missing(op, [f = f](In g) { f(g, 0, g.none); });
  }
  t.shape("scatter", {"[3,4]", "[6]"}, [](In g) { scatter(g.m, 0, g.whole, g.v); });
  t.dtype("scatter scalar", {"0.5", "i64"}, [](In g) { scatter(g.whole, 0, g.whole, 0.5); });
  t.shape("scatter_add", {"[3,4]", "[6]"}, [](In g) { scatter_add(g.m, 0, g.whole, g.v); });
  t.value("take_along_dim", {"index 7", "[0, 6)"}, [](In g) { take_along_dim(g.v, g.far); });

  t.value("index", {"7"}, [](In g) { index(g.m, {g.far}); });
  t.value("index", {"-4"}, [](In g) { index(g.m, {g.places - 4}); });
  t.shape("index", {"3", "[6]"}, [](In g) { index(g.v, {g.places, g.places, g.places}); });
  t.shape("index", {"[3,4]", "[6]"}, [](In g) { index(g.v, {g.mask}); });
  t.dtype("index", {"f32"}, [](In g) { index(g.m, {g.v}); });
  t.value("index_put", {"7"}, [](In g) { index_put(g.m, {g.far}, g.m); });
  t.shape("index_put", {"[3,4]", "[6]"}, [](In g) { index_put(g.m, {g.places}, g.v); });
  t.shape("masked_fill", {"[6]", "[3,4]"}, [](In g) { masked_fill(g.v, g.mask, 0.0); });
  t.dtype("masked_fill", {"0.5", "i64"}, [](In g) { masked_fill(g.whole, g.mask, 0.5); });
  t.dtype("masked_fill", {"f32[3,4]"}, [](In g) { masked_fill(g.m, g.m, 0.0); });
  t.shape("masked_fill tensor", {"[6]"}, [](In g) { masked_fill(g.m, g.mask, g.v); });
  t.shape("masked_select", {"[6]", "[3,4]"}, [](In g) { masked_select(g.v, g.mask); });
  t.dtype("masked_select", {"f32[3,4]"}, [](In g) { masked_select(g.m, g.m); });
  t.missing("nonzero", [](In g) { nonzero(g.none); });
}

}  // namespace tapedeck::test
