#include <limits>

#include "autograd/op_table.h"

namespace tapedeck::test {
namespace {
constexpr double kInf = std::numeric_limits<double>::infinity();
}

void add_linalg(Table& t) {
  t.add("mm of another order", {{4, 3}, {2, 4}},
        [](Args x) { return mm(transpose(x[0], 0, 1), transpose(x[1], 0, 1)); });
  t.add("mm no inner", {{3, 0}, {0, 2}}, [](Args x) { return mm(x[0], x[1]); });
  t.add("mv of another order", {{4, 3}, {4}}, [](Args x) { return mv(transpose(x[0], 0, 1), x[1]); });
  t.add("mv no inner", {{3, 0}, {0}}, [](Args x) { return mv(x[0], x[1]); });
  t.add("mm", {{3, 4}, {4, 2}}, [](Args x) { return mm(x[0], x[1]); });
  t.add("mv", {{3, 4}, {4}}, [](Args x) { return mv(x[0], x[1]); });
  for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{
           {{2, 3, 4}, {2, 4, 2}}, {{1, 1, 5}, {1, 5, 3}}, {{2, 3, 0}, {2, 0, 2}}, {{0, 3, 2}, {0, 2, 2}}})
    t.add("bmm " + to_string(a), {a, b}, [](Args x) { return bmm(x[0], x[1]); });
  for (const std::int64_t n : {1, 5, 0})
    t.add("dot " + std::to_string(n), {{n}, {n}}, [](Args x) { return dot(x[0], x[1]); });
  t.add("outer", {{3}, {4}}, [](Args x) { return outer(x[0], x[1]); });
  t.add("outer one", {{1}, {4}}, [](Args x) { return outer(x[0], x[1]); });
  t.add("outer empty", {{0}, {4}}, [](Args x) { return outer(x[0], x[1]); });
  for (const Shape& shape : {Shape{3, 2}, Shape{2}, Shape{3, 1}, Shape{1}, Shape{}}) {
    t.add("addmm " + to_string(shape), {shape, {3, 4}, {4, 2}}, [](Args x) { return addmm(x[0], x[1], x[2]); });
    t.add("addmm scaled " + to_string(shape), {shape, {3, 4}, {4, 2}},
          [](Args x) { return addmm(x[0], x[1], x[2], 0.5, -1.5); });
    t.add("baddbmm " + to_string(shape), {shape, {2, 3, 4}, {2, 4, 2}},
          [](Args x) { return baddbmm(x[0], x[1], x[2], -0.5, 2); });
  }
  t.add("addmm beta 0", {{3, 4}, {4, 2}}, [](Args x) { return addmm(full({2}, kInf, {DType::f64}), x[0], x[1], 0); });

  const auto sum_of = [&](const std::string& equation, std::vector<Shape> shapes) {
    t.add("einsum " + equation, std::move(shapes),
          [=](Args x) { return einsum(equation, std::vector<Tensor>(x.begin(), x.end())); });
  };
  sum_of("ij,jk->ik", {{2, 3}, {3, 4}}), sum_of("ij,jk", {{2, 3}, {3, 4}}),
      sum_of("bij,bkj->bik", {{2, 3, 4}, {2, 2, 4}});
  sum_of("ii->i", {{3, 3}}), sum_of("ii", {{3, 3}}), sum_of("iji->j", {{2, 3, 2}}), sum_of("iii->i", {{2, 2, 2}});
  sum_of("ij->ji", {{2, 3}}), sum_of("ba", {{2, 3}}), sum_of("bA", {{2, 3}}), sum_of("ij->", {{2, 3}}),
      sum_of("ij->j", {{2, 3}});
  sum_of("i,i->", {{4}, {4}}), sum_of("i,j->ij", {{2}, {3}}), sum_of("i,i->i", {{4}, {4}}), sum_of(",i->i", {{}, {3}});
  sum_of("...ij,...jk->...ik", {{2, 1, 2, 3}, {3, 3, 2}}), sum_of("...i->...", {{2, 3, 4}}),
      sum_of("i...->i", {{2, 3, 2}});
  sum_of("...,...", {{2, 3}, {3}}), sum_of("b...i,ij->b...j", {{2, 2, 3}, {3, 4}}),
      sum_of(" i j , j k -> i k ", {{2, 2}, {2, 3}});
  sum_of("ij,jk,kl->il", {{2, 3}, {3, 2}, {2, 4}}), sum_of("i,ij,j->", {{2}, {2, 3}, {3}}),
      sum_of("bhqd,bhkd->bhqk", {{2, 2, 3, 2}, {2, 2, 2, 2}});
  sum_of("bn,anm,bm->ba", {{2, 3}, {2, 3, 2}, {2, 2}}), sum_of("abc,cd,be->aed", {{2, 2, 3}, {3, 2}, {2, 2}});
  sum_of("ij,jk->k", {{2, 1}, {3, 4}});
  sum_of("i,ij->j", {{0}, {0, 2}}),
      sum_of("ijk,ilm,njm,nlk,abc->", {{2, 2, 1}, {2, 2, 2}, {2, 2, 2}, {2, 2, 1}, {1, 2, 2}});

  for (const double p : {2., 1., 3., 1.5, 0., kInf}) {
    const std::string tail = " " + std::to_string(p);
    t.add(
        "cdist" + tail, {{3, 4}, {2, 4}}, [=](Args x) { return cdist(x[0], x[1], p); }, -1, 1, false, 1e-13);
    if (p != 0)  // a count has no gradient
      t.add(
          "pairwise_distance" + tail, p == kInf ? std::vector<Shape>{{3, 2}, {2}} : std::vector<Shape>{{3, 5}, {3, 5}},
          [=](Args x) { return pairwise_distance(x[0], x[1], p); }, -1, 1, true, 1e-13);
    t.add(
        "normalize" + tail, {{2, 3, 2}}, [=](Args x) { return normalize(x[0], p); }, -1, 1, true, 1e-13);
  }
  t.add(
      "cdist batches", {{2, 1, 3, 2}, {3, 2, 2}}, [](Args x) { return cdist(x[0], x[1]); }, -1, 1, false, 1e-13);
  t.add(
      "cdist no columns", {{2, 0}, {3, 0}}, [](Args x) { return cdist(x[0], x[1]); }, -1, 1, false);
  t.add(
      "cdist with itself", {{3, 2}}, [](Args x) { return cdist(x[0], x[0] * 1); }, -1, 1, false, 1e-13);
  t.add(
      "pairwise_distance keepdim", {{2, 3}, {3}}, [](Args x) { return pairwise_distance(x[0], x[1], 2, 0.1, true); },
      -1, 1, true, 1e-13);
  t.add("normalize small", {{2, 3}}, [](Args x) { return normalize(x[0], 2, -1, 2.5); });
  t.add("normalize first", {{2, 3}}, [](Args x) { return normalize(x[0], 2, 0); });
  t.add(
      "cosine_similarity", {{2, 3, 2}, {2, 3, 2}}, [](Args x) { return cosine_similarity(x[0], x[1]); }, -1, 1, true,
      1e-13);
  t.add(
      "cosine_similarity last", {{2, 1, 3}, {4, 3}}, [](Args x) { return cosine_similarity(x[0], x[1], -1); }, -1, 1,
      true, 1e-13);
  t.add(
      "cosine_similarity 1-d", {{4}, {4}}, [](Args x) { return cosine_similarity(x[0], x[1], 0); }, -1, 1, true, 1e-13);
}

}  // namespace tapedeck::test
