#include "autograd/op_table.h"

namespace tapedeck::test {

void add_reduce(Table& t) {
  for (const auto& dims : std::vector<std::vector<int>>{{}, {0}, {-1}, {0, 2}, {1}})
    for (const bool keep : {false, true}) {
      std::string tail = keep ? " keep" : "";
      for (const int d : dims) tail += " " + std::to_string(d);
      t.add("sum" + tail, {{2, 3, 4}}, [=](Args x) { return sum(x[0], dims, keep); });
      t.add("mean" + tail, {{2, 3, 4}}, [=](Args x) { return mean(x[0], dims, keep); });
      t.add("amax" + tail, {{2, 3, 4}}, [=](Args x) { return amax(x[0], dims, keep); });
      t.add("amin" + tail, {{2, 3, 4}}, [=](Args x) { return amin(x[0], dims, keep); });
      t.add("var" + tail, {{2, 3, 4}}, [=](Args x) { return var(x[0], dims, keep, !keep); });
    }
  t.add("sum empty", {{0, 3}}, [](Args x) { return sum(x[0], {0}); });
  t.add("sum 0-d", {{}}, [](Args x) { return sum(x[0]); });
  t.add("sum_to", {{2, 3, 4}}, [](Args x) { return sum_to(x[0], {3, 1}); });
}

}  // namespace tapedeck::test
