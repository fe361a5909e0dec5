#include "autograd/op_table.h"

namespace tapedeck::test {

void add_shape(Table& t) {
  t.add("embedding", {{5, 3}}, [](Args a) { return embedding(i64({4, 0, 0, 2}, {2, 2}), a[0]); });
  t.add("reshape", {{2, 3, 4}}, [](Args a) { return reshape(a[0], {4, -1}); });
  t.add("flatten", {{2, 3, 4}}, [](Args a) { return flatten(a[0], 1); });
  t.add("permute", {{2, 3, 4}}, [](Args a) { return permute(a[0], {2, 0, -2}); });
  t.add("transpose", {{2, 3, 4}}, [](Args a) { return transpose(a[0], 0, -1); });
  t.add("squeeze", {{2, 1, 4}}, [](Args a) { return squeeze(a[0], 1); });
  t.add("unsqueeze", {{2, 4}}, [](Args a) { return unsqueeze(a[0], -1); });
  t.add("expand", {{3, 1}}, [](Args a) { return expand(a[0], {2, -1, 4}); });
  t.add("slice", {{5, 4}}, [](Args a) { return slice(a[0], 0, 1, -1, 2); });
  t.add("narrow", {{5, 4}}, [](Args a) { return narrow(a[0], 1, 1, 2); });
  t.add("select", {{5, 4}}, [](Args a) { return select(a[0], 0, -2); });
  t.add("slices of one tensor", {{6}},
        [](Args a) { return slice(a[0], 0, 0, 4) * slice(a[0], 0, 2) + slice(a[0], 0, 1, 5); });
  t.add("unfold", {{2, 7}}, [](Args a) { return unfold(a[0], 1, 3, 2); });
  t.add("unfold first", {{7, 2}}, [](Args a) { return unfold(a[0], 0, 3, 1); });
  t.add("split", {{2, 6}}, [](Args a) {
    const auto parts = split(a[0], std::vector<std::int64_t>{1, 3, 2}, 1);
    return cat({parts[2], parts[0] * 2, parts[2]}, 1);
  });
  t.add("chunk", {{5, 2}}, [](Args a) { return chunk(a[0], 2)[1]; });
  t.add("cat", {{2, 3}, {2, 1}, {2, 0}}, [](Args a) { return cat({a[0], a[1], a[2], a[0]}, -1); });
  t.add("stack", {{2, 3}, {2, 3}}, [](Args a) { return stack({a[0], a[1]}, 1); });
  t.add("contiguous", {{2, 3}}, [](Args a) { return contiguous(transpose(a[0], 0, 1)); });
  t.add("clone", {{2, 3}}, [](Args a) { return clone(a[0]); });
}

}  // namespace tapedeck::test
