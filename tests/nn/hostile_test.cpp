// Every registered layer with inputs that it was not made for: an error of ours or a result, never anything else.
#include <tapedeck/nn/registry.h>

#include <cmath>
#include <cstdio>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

std::vector<Tensor> hostile_tensors() {
  const TensorOptions codes{DType::i64, kCpu}, wide{DType::f64, kCpu}, flags{DType::boolean, kCpu};
  return {Tensor(),
          zeros({}),
          zeros({0}),
          zeros({3}),
          zeros({2, 3}),
          zeros({2, 3, 4}),
          transpose(zeros({2, 1, 5}), 1, 2),
          zeros({2, 0, 1}),
          zeros({0, 3, 1}),
          zeros({1, 2, 3, 4}),
          zeros({2, 4, 4, 1}),
          zeros({1, 2, 2, 2, 1}),
          zeros({1, 1, 1, 1, 1, 1, 1, 1}),
          full({2, 3, 1}, NAN),
          zeros({2, 3, 1}, wide),
          zeros({2, 3, 64}),
          zeros({2, 3}, codes),
          full({2, 3}, 1e9, codes),
          full({2, 3}, -1, codes),
          zeros({0, 3}, codes),
          zeros({2, 3}, flags)};
}

TEST(EveryLayer, BadInputIsAnErrorOfOurs) {
  const std::vector<Tensor> all = hostile_tensors();
  std::size_t calls = 0, refused = 0;
  for (const std::string& type : module_types()) {
    if (type.starts_with("Test")) continue;
    SCOPED_TRACE(type);
    const auto module = build(module_defaults(type));
    const auto attempt = [&](const std::vector<Tensor>& x) {
      ++calls;
      try {
        Tape tape;
        static_cast<void>(call(*module, x));
      } catch (const Error&) {
        ++refused;
      } catch (const std::exception& e) {
        ADD_FAILURE() << "not an error of ours: " << e.what();
      }
    };
    attempt({all[5]});  // not materialised
    materialise(*module);
    const bool several = dynamic_cast<Layer*>(module.get()) == nullptr;
    for (const bool training : {true, false}) {
      module->train(training);
      for (const Tensor& x : all) {
        attempt({x});
        if (!several) continue;
        for (const Tensor& y : all) {
          attempt({x, y});
          attempt({x, y, y}), attempt({x, y, x});
        }
      }
    }
  }
  std::printf("%zu calls, %zu refused\n", calls, refused);
}

// A state that does not fit is refused as a whole, and names what is wrong.
TEST(EveryLayer, AWrongStateIsRefused) {
  for (const std::string& type : module_types()) {
    if (type.starts_with("Test")) continue;
    SCOPED_TRACE(type);
    const auto module = build(module_defaults(type));
    materialise(*module, {.seed = 1});
    StateDict state;
    for (const auto& [path, t] : module->state_dict()) state.push_back({path, clone(detach(t))});
    state.push_back({"no_such_thing", zeros({1})});
    expect_has(message_of<FormatError>([&] { module->load_state(state); }), {"unexpected no_such_thing f32[1]"});
    state.pop_back();
    EXPECT_NO_THROW(module->load_state(state));
    if (state.empty()) continue;
    const std::string name = state.back().path;
    state.back().tensor = zeros({7, 7, 7, 7, 7});
    expect_has(message_of<FormatError>([&] { module->load_state(state); }), {"mis-shaped " + name});
    state.pop_back();
    expect_has(message_of<FormatError>([&] { module->load_state(state); }), {"missing " + name});
    EXPECT_EQ(module->load_state(state, {.strict = false}).missing.size(), 1u);
  }
}

// In f64 all of it is f64; the same seed gives the same weights, whatever the type.
TEST(EveryLayer, OtherTypesHaveTheSameWeights) {
  for (const std::string& type : module_types()) {
    if (type.starts_with("Test")) continue;
    SCOPED_TRACE(type);
    const auto one = build(module_defaults(type)), two = build(module_defaults(type));
    materialise(*one, {.seed = 8, .dtype = DType::f64});
    materialise(*two, {.seed = 8, .dtype = DType::bf16});
    const StateDict a = one->state_dict(), b = two->state_dict();
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      const bool counts = a[i].tensor.dtype() == DType::i64;
      EXPECT_EQ(a[i].tensor.dtype(), counts ? DType::i64 : DType::f64) << a[i].path;
      EXPECT_EQ(b[i].tensor.dtype(), counts ? DType::i64 : DType::bf16) << a[i].path;
      const auto x = cast(a[i].tensor, DType::f64).to_vector<double>();
      const auto y = cast(b[i].tensor, DType::f64).to_vector<double>();
      for (std::size_t k = 0; k < x.size(); ++k) ASSERT_NEAR(x[k], y[k], std::fabs(x[k]) / 128 + 1e-30) << a[i].path;
    }
  }
}

}  // namespace
}  // namespace tapedeck::nn
