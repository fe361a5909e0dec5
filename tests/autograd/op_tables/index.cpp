#include "autograd/op_table.h"

namespace tapedeck::test {
namespace {

Tensor mask(std::vector<int> values, const Shape& shape) {
  return cast(i64(std::vector<std::int64_t>(values.begin(), values.end()), shape), DType::boolean);
}

void add_lookups(Table& t) {
  t.add("embedding", {{5, 3}}, [](Args a) { return embedding(i64({4, 0, 0, 2}, {2, 2}), a[0]); });
  t.add("embedding 0-d", {{5, 3}}, [](Args a) { return embedding(i64({1}, {}), a[0]); });
  t.add("embedding nothing", {{5, 3}}, [](Args a) { return embedding(i64({}, {0, 2}), a[0]); });
  t.add("embedding padding not met", {{5, 3}}, [](Args a) { return embedding(i64({3, 1, 3, 0}, {4}), a[0], -3); });
  const BagMode modes[] = {BagMode::sum, BagMode::mean, BagMode::max};
  const char* names[] = {"sum", "mean", "max"};
  for (int m = 0; m < 3; ++m) {
    const BagMode mode = modes[m];
    const std::string op = std::string("embedding_bag ") + names[m];
    t.add(op, {{5, 3}}, [mode](Args a) {
      return embedding_bag(i64({4, 0, 0, 2, 1, 3}, {2, 3}), a[0], {}, {}, {.mode = mode});
    });
    t.add(op + " offsets", {{5, 3}}, [mode](Args a) {
      return embedding_bag(i64({4, 0, 0, 2, 1}, {5}), a[0], i64({0, 2, 2, 5}, {4}), {}, {.mode = mode});
    });
    t.add(op + " padding", {{5, 3}}, [mode](Args a) {
      return embedding_bag(i64({4, 0, 0, 2, 1, 4}, {6}), a[0], i64({0, 1, 3, 6}, {4}), {},
                           {.mode = mode, .include_last_offset = true, .padding_idx = 4});
    });
  }
  t.add("embedding_bag weights", {{5, 3}, {6}}, [](Args a) {
    return embedding_bag(i64({4, 0, 0, 2, 1, 3}, {6}), a[0], i64({0, 4}, {2}), a[1], {.mode = BagMode::sum});
  });
}

void add_rows(Table& t) {
  t.add("index_select", {{4, 3}}, [](Args a) { return index_select(a[0], 0, i64({3, 0, 3, 3}, {4})); });
  t.add("index_select last", {{2, 4}}, [](Args a) { return index_select(a[0], -1, i64({1, 1, 0}, {3})); });
  t.add("index_select nothing", {{2, 4}}, [](Args a) { return index_select(a[0], 1, i64({}, {0})); });
  t.add("index_select 0-d", {{}}, [](Args a) { return index_select(a[0], 0, i64({0}, {1})); });
  t.add("index_add", {{4, 3}, {5, 3}}, [](Args a) { return index_add(a[0], 0, i64({3, 0, 3, 3, 0}, {5}), a[1]); });
  t.add("index_add alpha", {{2, 4}, {2, 3}}, [](Args a) {
    return index_add(a[0], 1, i64({2, 2, 0}, {3}), a[1], -1.5);
  });
  t.add("index_add middle", {{2, 3, 2}, {2, 4, 2}}, [](Args a) {
    return index_add(a[0], -2, i64({0, 1, 1, 0}, {4}), a[1]);
  });
  t.add("index_copy", {{4, 3}, {2, 3}}, [](Args a) { return index_copy(a[0], 0, i64({3, 0}, {2}), a[1]); });
  t.add("index_copy last", {{2, 4}, {2, 3}}, [](Args a) { return index_copy(a[0], -1, i64({2, 0, 1}, {3}), a[1]); });
  t.add("index_copy nothing", {{2, 4}, {2, 0}}, [](Args a) { return index_copy(a[0], 1, i64({}, {0}), a[1]); });
  t.add("index_fill", {{4, 3}}, [](Args a) { return index_fill(a[0], 0, i64({3, -4, 3}, {3}), 2.5); });
  t.add("index_fill last", {{4, 3}}, [](Args a) { return index_fill(a[0], 1, i64({1}, {1}), -1); });
  t.add("index_fill nothing", {{4, 3}}, [](Args a) { return index_fill(a[0], 1, i64({}, {0}), -1); });
}

void add_lines(Table& t) {
  t.add("gather", {{2, 4}}, [](Args a) { return gather(a[0], 1, i64({3, 3, 0, 1, 1, 1}, {2, 3})); });
  t.add("gather first", {{3, 4}}, [](Args a) { return gather(a[0], 0, i64({2, 0, 2, 2, 0, 1}, {3, 2})); });
  t.add("gather smaller", {{3, 4, 2}}, [](Args a) { return gather(a[0], -2, i64({3, 0, 3, 3, 1}, {1, 5, 1})); });
  t.add("gather 0-d", {{}}, [](Args a) { return gather(a[0], 0, i64({0, 0}, {2})); });
  t.add("scatter", {{2, 4}, {2, 3}}, [](Args a) { return scatter(a[0], 1, i64({3, 0, 1, 1, 2, 0}, {2, 3}), a[1]); });
  t.add("scatter first", {{3, 2}, {3, 3}}, [](Args a) { return scatter(a[0], 0, i64({1, 2, 2, 0}, {2, 2}), a[1]); });
  t.add("scatter smaller", {{3, 4, 2}, {2, 3, 2}}, [](Args a) {
    return scatter(a[0], -2, i64({3, 0}, {1, 2, 1}), a[1]);
  });
  t.add("scatter value", {{2, 4}}, [](Args a) { return scatter(a[0], 1, i64({3, 3, 0, 1}, {2, 2}), 1.5); });
  t.add("scatter value first", {{3, 2}}, [](Args a) { return scatter(a[0], 0, i64({2, 2}, {1, 2}), -1); });
  t.add("scatter value nothing", {{3, 2}}, [](Args a) { return scatter(a[0], 0, i64({}, {0, 2}), -1); });
  t.add("scatter_add", {{2, 4}, {2, 3}}, [](Args a) {
    return scatter_add(a[0], 1, i64({3, 3, 1, 1, 1, 1}, {2, 3}), a[1]);
  });
  t.add("scatter_add first", {{3, 2}, {4, 3}}, [](Args a) {
    return scatter_add(a[0], 0, i64({1, 2, 1, 0, 1, 2, 1, 1}, {4, 2}), a[1]);
  });
  t.add("scatter_add smaller", {{3, 4, 2}, {2, 3, 2}}, [](Args a) {
    return scatter_add(a[0], -2, i64({3, 3}, {1, 2, 1}), a[1]);
  });
  t.add("take_along_dim", {{2, 4}}, [](Args a) { return take_along_dim(a[0], i64({3, 0, 0}, {1, 3}), 1); });
  t.add("take_along_dim flat", {{2, 4}}, [](Args a) { return take_along_dim(a[0], i64({7, 0, 7, 3}, {2, 2})); });
  t.add("take_along_dim both ways", {{1, 4}}, [](Args a) { return take_along_dim(a[0], i64({2, 2, 0}, {3, 1}), -1); });
}

void add_reductions(Table& t) {
  constexpr const char* names[] = {"sum", "prod", "mean", "amax", "amin"};
  const Tensor at = i64({3, 0, 3, 3, 2, 0}, {2, 3});
  for (int r = 0; r < 5; ++r)
    for (const bool self : {true, false}) {
      const auto how = static_cast<ScatterReduce>(r);
      const std::string tail = std::string(" ") + names[r] + (self ? "" : " without self");
      t.add("scatter_reduce" + tail, {{2, 4}, {2, 3}},
            [=](Args a) { return scatter_reduce(a[0], 1, at, a[1], how, self); });
      t.add("scatter_reduce first" + tail, {{3, 2}, {4, 3}}, [=](Args a) {
        return scatter_reduce(a[0], 0, i64({1, 2, 1, 0, 1, 2, 1, 1}, {4, 2}), a[1], how, self);
      });
      t.add("index_reduce" + tail, {{4, 3}, {5, 3}}, [=](Args a) {
        return index_reduce(a[0], 0, i64({3, 0, 3, 3, 0}, {5}), a[1], how, self);
      });
    }
  // Zeros in products: the first form only.
  t.add(
      "scatter_reduce of zeros", {{5}, {6}},
      [](Args a) {
        return scatter_reduce(with_zeros(a[0], 1, 3), 0, i64({0, 0, 1, 2, 2, 4}, {6}), with_zeros(a[1], 1, 4),
                              ScatterReduce::prod);
      },
      -1, 1, false);
}

void add_places(Table& t) {
  t.add("index", {{4, 3}}, [](Args a) { return index(a[0], {i64({-1, 0, 3, 3}, {2, 2})}); });
  t.add("index second", {{2, 3, 4}}, [](Args a) { return index(a[0], {Tensor(), i64({2, -3, 2}, {3})}); });
  t.add("index both", {{3, 4}}, [](Args a) { return index(a[0], {i64({0, 2}, {2, 1}), i64({1, 1, -1}, {3})}); });
  t.add("index apart", {{2, 3, 4}}, [](Args a) {
    return index(a[0], {i64({0, 1, 1}, {3}), Tensor(), i64({3, 0, 0}, {3})});
  });
  t.add("index mask", {{3, 4}}, [](Args a) { return index(a[0], {mask({1, 0, 1}, {3})}); });
  t.add("index_put", {{4, 3}, {2, 3}}, [](Args a) { return index_put(a[0], {i64({-1, 0}, {2})}, a[1]); });
  t.add("index_put broadcast", {{3, 4}, {}}, [](Args a) {
    return index_put(a[0], {i64({0, 2}, {2, 1}), i64({1, -1}, {2})}, a[1]);
  });
  t.add("index_put apart", {{2, 3, 4}, {2, 3}}, [](Args a) {
    return index_put(a[0], {i64({0, 1}, {2}), Tensor(), i64({3, 0}, {2})}, a[1]);
  });
  t.add("index_put add", {{4, 3}, {4, 3}}, [](Args a) {
    return index_put(a[0], {i64({3, 0, 3, 3}, {4})}, a[1], true);
  });
  t.add("index_put add apart", {{2, 3, 4}, {3, 3}}, [](Args a) {
    return index_put(a[0], {i64({0, 1, 1}, {3}), Tensor(), i64({3, 0, 0}, {3})}, a[1], true);
  });
  t.add("index_put mask", {{3, 4}, {4}}, [](Args a) { return index_put(a[0], {mask({1, 0, 1}, {3})}, a[1]); });
}

void add_masks(Table& t) {
  t.add("masked_fill", {{2, 3}}, [](Args a) { return masked_fill(a[0], mask({1, 0, 1}, {3}), -2); });
  t.add("masked_fill spreads", {{3}}, [](Args a) { return masked_fill(a[0], mask({1, 0}, {2, 1}), 0.5); });
  t.add("masked_fill tensor", {{2, 3}, {}}, [](Args a) { return masked_fill(a[0], mask({1, 0}, {2, 1}), a[1]); });
  t.add("masked_select", {{2, 3}}, [](Args a) { return masked_select(a[0], mask({1, 0, 1, 1, 1, 0}, {2, 3})); });
  t.add("masked_select spreads", {{3}}, [](Args a) { return masked_select(a[0], mask({1, 0, 1, 1, 1, 0}, {2, 3})); });
  t.add("masked_select none", {{2, 3}}, [](Args a) { return masked_select(a[0], mask({0, 0}, {2, 1})); });
  const auto found = [](const Tensor& x) { return cast(nonzero(x), DType::f64); };
  t.add("nonzero", {{4, 2}}, [=](Args a) { return a[0] * found(i64({0, 3, 1, 0, -1, 2}, {2, 3})); });
  t.add("nonzero mask", {{2, 1}}, [=](Args a) { return a[0] * found(mask({0, 1, 0, 1}, {4})); });
  t.add("nonzero none", {{0, 2}}, [=](Args a) { return a[0] * found(i64({0, 0}, {1, 2})); });
  const auto hot = [](const Tensor& x, std::int64_t classes) { return one_hot(x, classes, DType::f64); };
  t.add("one_hot", {{2, 2, 5}}, [=](Args a) { return a[0] * hot(i64({0, 4, 2, 2}, {2, 2}), 5); });
  t.add("one_hot as needed", {{3, 4}}, [=](Args a) { return a[0] * hot(i64({0, 3, 1}, {3}), -1); });
  t.add("one_hot 0-d", {{3}}, [=](Args a) { return a[0] * hot(i64({1}, {}), 3); });
}

}  // namespace

void add_index(Table& t) {
  add_lookups(t);
  add_rows(t);
  add_lines(t);
  add_reductions(t);
  add_places(t);
  add_masks(t);
}

}  // namespace tapedeck::test
