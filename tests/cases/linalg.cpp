// Products by name, einsum, distances and directions.
#include <tapedeck/autograd/ops.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr DType kTypes[] = {DType::f32, DType::f64};
constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};

// Contractions: relative to the sum of the absolute terms.
void finish(OpCase& c, double bound, bool differentiable) {
  c.bound = {.c = bound}, c.relative = Relative::absolute;
  c.gradient_bound = {.c = bound}, c.gradient_relative = Relative::absolute;
  c.differentiable = differentiable;
}
double bound_for(Values v) { return v == Values::positive || v == Values::cancelling ? 32 : 8; }

// ---- products by name ----------------------------------------------------------------------------------------------
struct Product {
  const char* op;
  Tensor (*f)(const Tensor&, const Tensor&);
  std::vector<std::pair<Shape, Shape>> shapes;
  unsigned rows;
};
const Product kProducts[] = {
    {"mm",
     mm,
     {{{1, 1}, {1, 1}},
      {{3, 5}, {5, 2}},
      {{0, 3}, {3, 2}},
      {{2, 0}, {0, 3}},
      {{33, 17}, {17, 16}},
      {{7, 300}, {300, 9}}},
     1},
    {"mv", mv, {{{1, 1}, {1}}, {{3, 5}, {5}}, {{0, 3}, {3}}, {{2, 0}, {0}}, {{33, 17}, {17}}, {{7, 300}, {300}}}, 1},
    {"bmm",
     bmm,
     {{{1, 1, 1}, {1, 1, 1}},
      {{2, 3, 5}, {2, 5, 2}},
      {{0, 3, 2}, {0, 2, 2}},
      {{2, 3, 0}, {2, 0, 2}},
      {{3, 17, 16}, {3, 16, 9}},
      {{2, 5, 300}, {2, 300, 7}}},
     3},
    {"dot",
     dot,
     {{{1}, {1}},
      {{5}, {5}},
      {{0}, {0}},
      {{17}, {17}},
      {{256}, {256}},
      {{257}, {257}},
      {{1000}, {1000}},
      {{4097}, {4097}}},
     0},
    {"outer",
     outer,
     {{{1}, {1}}, {{5}, {3}}, {{0}, {3}}, {{3}, {0}}, {{17}, {16}}, {{130}, {70}}, {{1}, {300}}, {{300}, {1}}},
     1},
};
void add_products(std::vector<OpCase>& t) {
  for (const Product& p : kProducts)
    for (const DType dtype : kTypes)
      for (const auto& [a, b] : p.shapes)
        for (const Layout layout : kLayouts)
          for (const Values values : {Values::normal, Values::positive, Values::cancelling, Values::nonfinite}) {
            if (!has_layout(a, layout) && !has_layout(b, layout)) continue;
            OpCase c{.op = p.op,
                     .text = "",
                     .inputs = {{a, dtype, layout, values}, {b, dtype, layout, values}},
                     .call = [f = p.f](Args x) { return Outputs{f(x[0], x[1])}; }};
            finish(c, bound_for(values), values == Values::normal && a.numel() + b.numel() < 2000);
            if (p.f == outer) c.bound = kExact, c.relative = Relative::value;  // one product each
            c.rows = p.rows;
            t.push_back(std::move(c));
          }
}

struct Scale {
  double beta, alpha;
};
void add_sums_with_products(std::vector<OpCase>& t) {
  for (const bool batched : {false, true})
    for (const DType dtype : kTypes)
      for (const auto& [m, k, n] : {std::tuple{1, 1, 1}, {3, 5, 2}, {17, 300, 16}, {0, 2, 3}, {2, 0, 3}})
        for (const int form : {0, 1, 2, 3})
          for (const auto& [beta, alpha] : {Scale{1, 1}, {0.5, 2}, {0, 1}, {1, 0.25}})
            for (const Layout layout : kLayouts) {
              Shape a{m, k}, b{k, n},
                  x = form == 0   ? Shape{m, n}
                      : form == 1 ? Shape{n}
                      : form == 2 ? Shape{m, 1}
                                  : Shape{};
              if (batched) a.insert(0, 3), b.insert(0, 3);
              if (batched && form == 0) x.insert(0, 3);
              if (!has_layout(a, layout)) continue;
              OpCase c{.op = batched ? "baddbmm" : "addmm",
                       .text = "beta " + std::to_string(beta) + " alpha " + std::to_string(alpha),
                       .inputs = {{x, dtype, layout}, {a, dtype, layout}, {b, dtype, layout}},
                       .call = [=, beta = beta, alpha = alpha](Args v) {
                         return Outputs{(batched ? baddbmm : addmm)(v[0], v[1], v[2], beta, alpha)};
                       }};
              finish(c, 10, a.numel() + b.numel() < 300);
              c.rows = form == 0 ? (batched ? 7 : 3) : form == 2 && !batched ? 3 : batched ? 6 : 2;
              t.push_back(std::move(c));
            }
}

// ---- einsum --------------------------------------------------------------------------------------------------------
void add_einsum(std::vector<OpCase>& t) {
  const std::pair<const char*, std::vector<Shape>> equations[] = {
      {"ij,jk->ik", {{5, 17}, {17, 3}}},
      {"ij,kj->ki", {{4, 300}, {6, 300}}},
      {"bij,bjk->bik", {{3, 4, 7}, {3, 7, 5}}},
      {"bqhd,bkhd->bhqk", {{2, 5, 3, 4}, {2, 6, 3, 4}}},
      {"bhqk,bkhd->bqhd", {{2, 3, 5, 6}, {2, 6, 3, 4}}},
      {"ii", {{7, 7}}},
      {"ii->i", {{7, 7}}},
      {"iji->j", {{4, 3, 4}}},
      {"ij->ji", {{3, 5}}},
      {"ij->", {{33, 17}}},
      {"ijk->j", {{3, 4, 5}}},
      {"i,i->", {{300}, {300}}},
      {"i,j", {{7}, {5}}},
      {"ij,ij->ij", {{3, 5}, {3, 5}}},
      {"ij,ij->i", {{3, 17}, {3, 17}}},
      {"...ij,...jk->...ik", {{2, 1, 3, 4}, {3, 4, 2}}},
      {"...,...->...", {{2, 3}, {3}}},
      {"i...->...", {{4, 3, 2}}},
      {"ij,jk->ik", {{3, 1}, {5, 4}}},
      {"i,ij->j", {{0}, {0, 3}}},
      {"ij,jk->ik", {{0, 3}, {3, 2}}},
      {"i,ij,j->", {{5}, {5, 4}, {4}}},
      {"ij,jk,kl->il", {{3, 4}, {4, 5}, {5, 2}}},
      {"abc,cd,be->aed", {{2, 3, 4}, {4, 3}, {3, 2}}},
      {"ab,ab,ab->b", {{5, 3}, {5, 3}, {5, 3}}},
      {",,->", {{}, {}, {}}},
      {"ij,ij->ij", {{3, 5}, {1, 5}}},  // a size of 1 that broadcasts, at the first place and at the last
      {"ij,ij->i", {{1, 17}, {3, 17}}},
      {"ij,jk->ik", {{3, 4}, {1, 5}}},
  };
  for (const DType dtype : kTypes)
    for (const auto& [equation, shapes] : equations)
      for (const Layout layout : kLayouts)
        for (const Values values : {Values::normal, Values::positive, Values::nonfinite}) {
          if (!has_layout(shapes[0], layout)) continue;
          if (values == Values::nonfinite && shapes.size() > 2) continue;  // an infinity meets a sum in another order
          OpCase c{.op = "einsum", .text = equation, .inputs = {}, .call = [equation = std::string(equation)](Args x) {
                     return Outputs{einsum(equation, std::vector<Tensor>(x.begin(), x.end()))};
                   }};
          for (const Shape& shape : shapes) c.inputs.push_back({shape, dtype, layout, values});
          finish(c, bound_for(values) * (shapes.size() > 2 ? 2 : 1), values == Values::normal);
          c.gradient_in_parts = true;
          t.push_back(std::move(c));
        }
}

// ---- distances and directions ---------------------------------------------------------------------------------------
std::string text_of(double p) { return "p " + (std::isinf(p) ? "inf" : std::to_string(p)); }

// |d distance / d difference| of each difference d, in the sums that are the gradients of x1 and x2.
Tensor slopes(const Tensor& d, const Tensor& distance, double p) {
  const Tensor zero = scalar(0, d.options()), one = scalar(1, d.options()), flat = eq(distance, zero);
  if (p == 0) return d * 0;
  const Tensor share = where(flat, zero, abs(d) / where(flat, one, distance));
  if (std::isinf(p)) return cast(ge(share, one), DType::f64);
  return p == 1 ? cast(gt(share, zero), DType::f64)
                : where(eq(share, zero), zero, pow(where(eq(share, zero), one, share), p - 1));
}
void add_cdist(std::vector<OpCase>& t) {
  const std::pair<Shape, Shape> shapes[] = {{{3, 5}, {4, 5}},     {{1, 1}, {1, 1}},         {{0, 3}, {2, 3}},
                                            {{2, 0}, {3, 0}},     {{2, 3, 16}, {2, 5, 16}}, {{2, 1, 3, 4}, {3, 2, 4}},
                                            {{33, 17}, {40, 17}}, {{3, 300}, {2, 300}},     {{2, 3}, {1030, 3}}};
  for (const DType dtype : kTypes)
    for (const auto& [a, b] : shapes)
      for (const double p : {2., 1., kInf, 0., 0.5, 3.7})
        for (const Layout layout : kLayouts)
          for (const Values values : {Values::normal, Values::wide, Values::ties, Values::nonfinite}) {
            if (!has_layout(a, layout)) continue;
            if (layout == Layout::sliced && values != Values::normal) continue;
            if (values == Values::wide && p == 3.7 && dtype == DType::f64) continue;
            OpCase c{.op = "cdist",
                     .text = text_of(p),
                     .inputs = {{a, dtype, layout, values}, {b, dtype, layout, values}},
                     .call = [=](Args x) { return Outputs{cdist(x[0], x[1], p)}; }};
            c.bound = {.c = 2};
            if (a.rank() == 2) c.rows = 1;
            c.differentiable =
                values == Values::normal && p >= 1 && a.numel() + b.numel() < (dtype == DType::f64 ? 200 : 4000);
            if (std::isinf(p) && dtype == DType::f64) c.differentiable = false;  // ties of a grid: tests of their own
            if (p != 2 && dtype == DType::f64 && a.numel() > 20) c.differentiable = false;  // differences near 0
            c.gradient_bound = {.c = 12};
            c.gradient_magnitude = [=, a = a, b = b](Args x, const Outputs& y, const Tensor& gy) {
              const Tensor d = unsqueeze(x[0], -2) - unsqueeze(x[1], -3);
              const Tensor each = unsqueeze(abs(gy), -1) * slopes(d, unsqueeze(y[0], -1), p);
              return Magnitudes{values_of(sum_to(sum(each, {-2}), a)), values_of(sum_to(sum(each, {-3}), b))};
            };
            t.push_back(std::move(c));
          }
}

void add_pairwise(std::vector<OpCase>& t) {
  for (const DType dtype : kTypes)
    for (const Shape& shape :
         {Shape{5}, Shape{3, 5}, Shape{1, 1}, Shape{0, 3}, Shape{2, 3, 16}, Shape{33, 17}, Shape{3, 300}})
      for (const double p : {2., 1., kInf, 0., 3.})
        for (const Layout layout : kLayouts)
          for (const bool keepdim : {false, true}) {
            if (!has_layout(shape, layout)) continue;
            OpCase c{.op = "pairwise_distance",
                     .text = text_of(p) + (keepdim ? " keepdim" : ""),
                     .inputs = {{shape, dtype, layout}, {shape, dtype, layout}},
                     .call = [=](Args x) { return Outputs{pairwise_distance(x[0], x[1], p, 1e-6, keepdim)}; }};
            c.bound = {.c = 10};
            if (shape.rank() > 1) c.rows = 3;
            c.differentiable = p >= 1 && (dtype == DType::f32 || (p == 2 && shape.numel() < 100));
            c.gradient_bound = {.c = 24};
            t.push_back(std::move(c));
          }
}

void add_normalize(std::vector<OpCase>& t) {
  for (const DType dtype : kTypes)
    for (const auto& [shape, dim] : {std::pair{Shape{5}, 0},
                                     {Shape{3, 5}, 1},
                                     {Shape{3, 5}, -2},
                                     {Shape{1, 1}, 0},
                                     {Shape{0, 3}, 1},
                                     {Shape{2, 3, 16}, -1},
                                     {Shape{2, 3, 16}, 1},
                                     {Shape{33, 17}, 1},
                                     {Shape{3, 300}, 1}})
      for (const double p : {2., 1., kInf, 3.})
        for (const Layout layout : kLayouts)
          for (const double eps : {1e-12, 2.})
            for (const Values values : {Values::normal, Values::nonfinite}) {
              if (!has_layout(shape, layout)) continue;
              if (values == Values::nonfinite && (p == 3 || eps > 1)) continue;
              OpCase c{.op = "normalize",
                       .text = text_of(p) + " dim " + std::to_string(dim) + " eps " + std::to_string(eps),
                       .inputs = {{shape, dtype, layout, values}},
                       .call = [=, dim = dim](Args x) { return Outputs{normalize(x[0], p, dim, eps)}; }};
              c.bound = {.c = 10};
              if (shape.rank() > 1 && dim != -2) c.rows = 1;
              c.differentiable = values == Values::normal && (dtype == DType::f32 || (p == 2 && shape.numel() < 100));
              c.gradient_bound = {.c = 24};
              c.gradient_in_parts = true;
              c.gradient_magnitude = [=, dim = dim](Args x, const Outputs& y, const Tensor& gy) {
                const Tensor n = clamp(cast(sum(square(x[0]), {dim}, true), DType::f64), 0);
                const Tensor size = p == 2          ? sqrt(n)
                                    : p == 1        ? sum(abs(x[0]), {dim}, true)
                                    : std::isinf(p) ? amax(abs(x[0]), {dim}, true)
                                                    : pow(sum(pow(abs(x[0]), p), {dim}, true), 1 / p);
                const Tensor inner = sum(abs(gy * y[0]), {dim}, true);
                return Magnitudes{values_of((abs(gy) + slopes(x[0], size, p) * inner) / clamp(size, eps))};
              };
              if (shape.numel() == 0) c.gradient_magnitude = nullptr;
              t.push_back(std::move(c));
            }
}

void add_cosine(std::vector<OpCase>& t) {
  struct Form {
    Shape a, b;
    int dim;
  };
  const Form forms[] = {
      {{5}, {5}, 0},           {{3, 5}, {3, 5}, 1},    {{3, 5}, {3, 5}, 0},          {{1, 1}, {1, 1}, 1},
      {{0, 3}, {0, 3}, 1},     {{3, 0}, {3, 0}, 1},    {{2, 3, 16}, {2, 3, 16}, -1}, {{2, 1, 7}, {3, 7}, -1},
      {{33, 17}, {33, 17}, 1}, {{3, 300}, {3, 300}, 1}};
  for (const DType dtype : kTypes)
    for (const auto& [a, b, dim] : forms)
      for (const Layout layout : kLayouts)
        for (const Values values : {Values::normal, Values::positive})
          for (const double eps : {1e-8, 1.5}) {
            if (!has_layout(a, layout)) continue;
            OpCase c{.op = "cosine_similarity",
                     .text = "dim " + std::to_string(dim) + " eps " + std::to_string(eps),
                     .inputs = {{a, dtype, layout, values}, {b, dtype, layout, values}},
                     .call = [=, dim = dim](Args x) { return Outputs{cosine_similarity(x[0], x[1], dim, eps)}; }};
            c.bound = {.c = 16}, c.relative = Relative::absolute;
            if (a.rank() == b.rank() && a.rank() > 1 && dim != 0) c.rows = 3;
            c.differentiable =
                values == Values::normal && a.numel() < (dtype == DType::f64 ? 100 : 2000) && a.numel() > 0;
            c.gradient_bound = {.c = 32};
            c.gradient_in_parts = true;
            c.gradient_magnitude = [=, a = a, b = b, dim = dim](Args x, const Outputs&, const Tensor& gy) {
              const Tensor u = abs(normalize(x[0], 2, dim, eps)), v = abs(normalize(x[1], 2, dim, eps));
              const Tensor g = unsqueeze(abs(gy), dim), inner = sum(u * v, {dim}, true);
              const auto size = [&](const Tensor& t) { return clamp(sqrt(sum(square(t), {dim}, true)), eps); };
              return Magnitudes{values_of(sum_to(g * (v + u * inner) / size(x[0]), a)),
                                values_of(sum_to(g * (u + v * inner) / size(x[1]), b))};
            };
            t.push_back(std::move(c));
          }
}

}  // namespace

void add_linalg(std::vector<OpCase>& t) {
  add_products(t);
  add_sums_with_products(t);
  add_einsum(t);
  add_cdist(t);
  add_pairwise(t);
  add_normalize(t);
  add_cosine(t);
}

}  // namespace tapedeck::cases
