#include <gtest/gtest.h>
#include <tapedeck/autograd/gradcheck.h>

#include <cmath>
#include <set>

#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using test::Args;
using test::f64;
using test::Layout;

constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};

TEST(Gradcheck, EveryOpInEveryLayout) {
  for (const test::OpCase& c : test::op_table())
    for (const Layout layout : kLayouts) {
      if (!c.derivative) continue;
      const GradcheckReport report = gradcheck(c.fn, c.inputs(layout));
      EXPECT_TRUE(report.ok) << c.name << " " << test::name_of(layout) << ": " << report.worst << " at "
                             << report.where;
    }
}

TEST(Gradcheck, RandomDirectionsAgreeWithTheWholeJacobian) {
  for (const test::OpCase& c : test::op_table()) {
    if (!c.derivative) continue;
    const GradcheckReport report = gradcheck(c.fn, c.inputs(Layout::contiguous), {.full_limit = -1});
    EXPECT_TRUE(report.ok) << c.name << ": " << report.worst << " at " << report.where;
  }
}

TEST(Gradcheck, GradientsOfGradientsOfEveryOp) {
  for (const test::OpCase& c : test::op_table()) {
    if (!c.derivative) continue;
    if (!c.second) {
      EXPECT_THROW(gradgradcheck(c.fn, c.inputs(Layout::contiguous)), TapeError) << c.name;
      continue;
    }
    for (const Layout layout : kLayouts) {
      const GradcheckReport report = gradgradcheck(c.fn, c.inputs(layout));
      EXPECT_TRUE(report.ok) << c.name << " " << test::name_of(layout) << ": " << report.worst << " at "
                             << report.where;
    }
  }
}

// Second order is promised of these families as a whole; the others may have fused rules without it.
TEST(Gradcheck, WholeFamiliesHaveGradientsOfGradients) {
  const std::set<std::string> promised{"elementwise", "reduce", "matmul", "conv", "shape", "index"};
  for (const test::Family& family : test::families()) {
    if (!promised.contains(family.name)) continue;
    test::Table t;
    family.add(t);
    for (const test::OpCase& c : t.cases) EXPECT_TRUE(c.second || c.name == "scatter_reduce of zeros") << c.name;
  }
}

// The gradient of a gradient is wrong where the second form of a rule is, although the first is right.
TEST(Gradcheck, ReportsAWrongSecondForm) {
  const auto squared = [](double second) {
    return [second](Args a) {
      const Tensor& x = a[0];
      Tensor y;
      {
        const NoGrad pause;
        y = square(x);
      }
      record("squared", y, {&x}, [x = save(x, "x"), second](const Tensor& gy, Grads& g) {
        g.give(0, g.graph() ? gy * (x.get() * second + detach(x.get()) * (2 - second)) : gy * x.get() * 2);
      });
      return y;
    };
  };
  const Tensor x = test::spread({3, 2}, -1, 1);
  for (const double second : {2., 2 * (1 + 1e-6), 0.}) {
    EXPECT_TRUE(gradcheck(squared(second), {x}).ok);
    const auto report = gradgradcheck(squared(second), {x});
    EXPECT_EQ(report.ok, second == 2) << second << ": " << report.where;
  }
}

TEST(Gradcheck, GradientsOfGradientsOfWhatIsLinearOrConstant) {
  EXPECT_TRUE(gradgradcheck([](Args a) { return a[0] * 3; }, {f64({1, 2}, {2})}).ok);
  EXPECT_TRUE(gradgradcheck([](Args) { return f64({1, 2}, {2}); }, {f64({3}, {1})}).ok);
}

// ---- planted faults: what the check must report -------------------------------------------------------------------
// y = 3x with a rule of one's own.
Tensor tripled(const Tensor& x, const std::function<Tensor(const Tensor&)>& rule) {
  Tensor y;
  {
    const NoGrad pause;
    y = x * 3;
  }
  record("tripled", y, {&x}, [rule](const Tensor& gy, Grads& g) {
    if (const Tensor gx = rule(gy); gx.defined()) g.give(0, gx);
  });
  return y;
}

struct Planted {
  const char* name;
  std::function<Tensor(const Tensor&)> rule;
  bool ok = false;
};

TEST(Gradcheck, ReportsPlantedFaults) {
  const auto poke = [](const Tensor& g, std::size_t at, double factor) {
    const Tensor out = g * 3;
    out.data<double>()[at] *= factor;
    return out;
  };
  const Planted planted[] = {
      {"right", [](const Tensor& g) { return g * 3; }, true},
      {"scaled by 1e-7", [](const Tensor& g) { return g * (3 * (1 + 1e-7)); }},
      {"sign", [](const Tensor& g) { return g * -3; }},
      {"missing", [](const Tensor&) { return Tensor(); }},
      {"zero", [](const Tensor& g) { return g * 0; }},
      {"one element by 1e-6", [&](const Tensor& g) { return poke(g, 5, 1 + 1e-6); }},
      {"one element NaN", [&](const Tensor& g) { return poke(g, 2, std::nan("")); }},
      {"one element infinite", [&](const Tensor& g) { return poke(g, 2, INFINITY); }},
      {"swapped axes", [](const Tensor& g) { return contiguous(transpose(g, 0, 1)) * 3; }},
      {"leaks to a neighbour", [](const Tensor& g) { return g * 3 + sum(g) * 1e-6; }},
  };
  for (const Planted& p : planted)
    for (const std::int64_t limit : {4096, -1}) {
      const Tensor x = test::spread({3, 3}, -1, 1);
      const auto report = gradcheck([&](Args a) { return tripled(a[0], p.rule); }, {x}, {.full_limit = limit});
      EXPECT_EQ(report.ok, p.ok) << p.name << " limit " << limit << " worst " << report.worst;
      EXPECT_EQ(report.where.empty(), p.ok) << p.name << ": " << report.where;
    }
}

TEST(Gradcheck, LeavesTheInputsAndTheLiveTapeAsTheyWere) {
  const Tensor x = test::laid_out(test::spread({3, 4}, -1, 1), Layout::sliced);
  const auto before = x.to_vector<double>();
  Tape tape;
  tape.watch(x);
  EXPECT_TRUE(gradcheck([](Args a) { return exp(a[0]); }, {x}).ok);
  EXPECT_EQ(x.to_vector<double>(), before);
  EXPECT_EQ(tape.size(), 0u);
}

TEST(Gradcheck, WantsF64) {
  EXPECT_THROW(gradcheck([](Args a) { return exp(a[0]); }, {tensor({1, 2})}), DTypeError);
  EXPECT_THROW(gradcheck([](Args a) { return cast(a[0], DType::f32); }, {f64({1}, {1})}), DTypeError);
}

TEST(Gradcheck, ConstantOutputHasZeroGradient) {
  EXPECT_TRUE(gradcheck([](Args) { return f64({1, 2}, {2}); }, {f64({3}, {1})}).ok);
  EXPECT_TRUE(gradcheck([](Args a) { return sum(softmax(a[0], -1), {-1}); }, {test::spread({2, 3}, -1, 1)}).ok);
}

}  // namespace
}  // namespace tapedeck
