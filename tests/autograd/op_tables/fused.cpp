#include "autograd/op_table.h"

namespace tapedeck::test {

void add_fused(Table& t) {
  t.add("gated_activation", {{2, 3, 4}}, [](Args a) { return gated_activation(a[0]); });
  t.add("gated_activation condition", {{2, 4}, {2, 4}}, [](Args a) { return gated_activation(a[0], a[1]); });
  t.add("dropout", {{4, 5}}, [](Args a) {
    const RandomScope scope(1, 2);
    return dropout(a[0], 0.4);
  });
}

}  // namespace tapedeck::test
