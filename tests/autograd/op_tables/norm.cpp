#include "autograd/op_table.h"

namespace tapedeck::test {

void add_norm(Table& t) {
  constexpr double kAccuracy = 1e-12;  // offsets cost digits
  const auto add = [&](const std::string& name, std::vector<Shape> shapes, std::function<Tensor(Args)> fn,
                       double low = -1,
                       double high = 1) { t.add(name, std::move(shapes), std::move(fn), low, high, true, kAccuracy); };
  for (const auto& [x, shape] : std::vector<std::pair<Shape, Shape>>{
           {{2, 3, 4}, {4}}, {{2, 3, 4}, {3, 4}}, {{5}, {5}}, {{3, 2, 2}, {2, 2}}, {{0, 3}, {3}}, {{2, 17}, {17}}}) {
    const std::string tail = " " + to_string(x) + " over " + to_string(shape);
    add("layer_norm" + tail, {x, shape, shape}, [=](Args a) { return layer_norm(a[0], shape, a[1], a[2]); });
    add("layer_norm plain" + tail, {x}, [=](Args a) { return layer_norm(a[0], shape, {}, {}, 0.1); });
    add("rms_norm" + tail, {x, shape}, [=](Args a) { return rms_norm(a[0], shape, a[1]); });
    add("rms_norm plain" + tail, {x}, [=](Args a) { return rms_norm(a[0], shape, {}, 0.1); });
  }
  add("layer_norm bias", {{2, 4}, {4}}, [](Args a) { return layer_norm(a[0], {4}, {}, a[1]); });
  add(
      "layer_norm offset", {{2, 5}, {5}}, [](Args a) { return layer_norm(a[0], {5}, a[1]); }, 20, 120);
  for (const Shape& x : {Shape{2, 3, 4}, Shape{2, 4}, Shape{1, 2, 3, 4}, Shape{2, 0, 4}})
    for (const std::int64_t groups : {1, 2, 4}) {
      if (groups > 1 && x.rank() == 2) continue;  // of two values only the sign is left
      const std::string tail = " " + to_string(x) + " in " + std::to_string(groups);
      add("group_norm" + tail, {x, {4}, {4}}, [=](Args a) { return group_norm(a[0], groups, a[1], a[2]); });
      add("group_norm plain" + tail, {x}, [=](Args a) { return group_norm(a[0], groups, {}, {}, 0.01); });
    }
  const auto numbers = [] { return spread({3}, 0.5, 2, 3); };
  for (const Shape& x : {Shape{4, 3}, Shape{2, 5, 3}, Shape{2, 2, 2, 3}}) {
    add("batch_norm " + to_string(x), {x, {3}, {3}}, [](Args a) { return batch_norm(a[0], {}, {}, a[1], a[2], true); });
    add("batch_norm plain " + to_string(x), {x},
        [](Args a) { return batch_norm(a[0], {}, {}, {}, {}, true, 0.1, 0.1); });
    add("batch_norm running " + to_string(x), {x, {3}, {3}},
        [=](Args a) { return batch_norm(a[0], numbers() * -1, numbers(), a[1], a[2]); });
    if (x.rank() == 2) continue;
    add("instance_norm " + to_string(x), {x, {3}, {3}}, [](Args a) { return instance_norm(a[0], {}, {}, a[1], a[2]); });
    add("instance_norm plain " + to_string(x), {x},
        [](Args a) { return instance_norm(a[0], {}, {}, {}, {}, true, 0.1, 0.1); });
    add("instance_norm running " + to_string(x), {x, {3}, {3}},
        [=](Args a) { return instance_norm(a[0], numbers() * -1, numbers(), a[1], a[2], false); });
  }
  const std::size_t first = t.cases.size();
  // What the running statistics become, and what comes out meanwhile.
  add("batch_norm follows", {{2, 5, 3}}, [=](Args a) {
    const Tensor mean = numbers() * -1, var = numbers();
    const Tensor y = batch_norm(a[0], mean, var, {}, {}, true, 0.3);
    return cat({y, expand(stack({mean, var}), {2, 2, 3})}, 1);
  });
  add("instance_norm follows", {{2, 5, 3}}, [=](Args a) {
    const Tensor mean = numbers() * -1, var = numbers();
    const Tensor y = instance_norm(a[0], mean, var, {}, {}, true, 0.3);
    return cat({y, expand(stack({mean, var}), {2, 2, 3})}, 1);
  });
  for (const int iterations : {0, 1, 3})
    for (const int dim : {0, 1})
      add("spectral_norm " + std::to_string(iterations) + " dim " + std::to_string(dim), {{3, 4, 2}}, [=](Args a) {
        const SpectralNorm s = spectral_norm(a[0], spread({dim ? 4 : 3}, -1, 1, 2), iterations, 1e-12, dim);
        return cat({flatten(s.weight), s.u});
      });
  for (std::size_t i = first; i < t.cases.size(); ++i) t.cases[i].derivative = false;
  for (const std::int64_t size : {1, 2, 3, 4, 9})
    add("local_response_norm " + std::to_string(size), {{2, 3, 5}},
        [=](Args a) { return local_response_norm(a[0], size, 0.5, 0.75, 0.7); });
  add("local_response_norm images", {{1, 2, 2, 4}}, [](Args a) { return local_response_norm(a[0], 3); });
  add("weight_norm 0", {{3, 2, 2}, {3, 1, 1}}, [](Args a) { return weight_norm(a[0], a[1]); });
  add("weight_norm 1", {{3, 2, 2}, {1, 2, 1}}, [](Args a) { return weight_norm(a[0], a[1], 1); });
  add("weight_norm last", {{3, 2, 2}, {1, 1, 2}}, [](Args a) { return weight_norm(a[0], a[1], -1); });
  add("weight_norm all", {{3, 2}, {}}, [](Args a) { return weight_norm(a[0], a[1], {}); });
}

}  // namespace tapedeck::test
