// Matrix products, norms of rows, normalisation.
#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_linalg(BadCalls& t) {
  t.shape("matmul", {"4 columns", "3 rows"}, [](In g) { matmul(g.m, g.m); });
  t.shape("matmul", {"f32[]"}, [](In g) { matmul(g.m, scalar(1)); });
  t.dtype("matmul", {"f32", "i64"}, [](In g) { matmul(g.m, g.whole); });
  t.shape("linear", {"[3,4]", "[2,5,4]"}, [](In g) { linear(g.m, g.x); });
  t.shape("linear", {"[4]", "[6]"}, [](In g) { linear(g.m, g.square, g.v); });
  t.shape("linear_relu", {"[3,4]", "[2,5,4]"}, [](In g) { linear_relu(g.m, g.x); });
  t.shape("linear_relu", {"[4]", "[6]"}, [](In g) { linear_relu(g.m, g.square, g.v); });
  t.shape("mm", {"[3,4]", "[2,5,4]"}, [](In g) { mm(g.m, g.x); });
  t.shape("mm", {"4", "3"}, [](In g) { mm(g.m, g.m); });
  t.shape("mv", {"[3,4]"}, [](In g) { mv(g.m, g.m); });
  t.shape("mv", {"4", "6"}, [](In g) { mv(g.m, g.v); });
  t.shape("bmm", {"2", "4"}, [](In g) { bmm(g.x, g.w1); });
  t.shape("dot", {"[6]", "[4]"}, [](In g) { dot(g.v, g.buffer); });
  t.shape("outer", {"[3,4]"}, [](In g) { outer(g.v, g.m); });
  t.shape("addmm", {"[6]", "[3,4]"}, [](In g) { addmm(g.v, g.m, g.square); });
  t.dtype("addmm", {"i64"}, [](In g) { addmm(g.whole, g.m, g.square); });
  t.shape("baddbmm", {"2", "4"}, [](In g) { baddbmm(g.m, g.x, g.w1); });

  for (const auto& [equation, words] :
       std::vector<std::pair<std::string, std::vector<std::string>>>{{"ij,jk", {"2 terms", "1 operands"}},
                                                                     {"ij->k", {"k"}},
                                                                     {"ij->ii", {"twice"}},
                                                                     {"i1->i", {"1"}},
                                                                     {"ij->i->j", {"->"}},
                                                                     {"ij->i-", {"-"}},
                                                                     {"i.j->ij", {"."}},
                                                                     {"..ij->ij", {"."}},
                                                                     {"...i...j->ij", {"..."}},
                                                                     {",", {"2 terms"}}})
    t.value("einsum", words, [equation = equation](In g) { einsum(equation, {g.m}); });
  t.shape("einsum", {"3", "4"}, [](In g) { einsum("ij,jk->ik", {g.m, g.m}); });
  for (const auto& [equation, words] :
       std::vector<std::pair<std::string, std::vector<std::string>>>{{"i->i", {"1 letter", "[3,4]"}},
                                                                     {"ijk->i", {"3 letters", "[3,4]"}},
                                                                     {"ii->i", {"3", "4"}},
                                                                     {"", {"[3,4]"}},
                                                                     {"->", {"[3,4]"}}})
    t.shape("einsum", words, [equation = equation](In g) { einsum(equation, {g.m}); });
  t.value("einsum", {"1 terms", "0 operands"}, [](In) { einsum("i->i", {}); });
  t.missing("einsum", [](In g) { einsum("i->i", {g.none}); });

  t.reals("cdist", {-1, kNan}, [](In g, double p) { cdist(g.m, g.square, p); });
  t.shape("cdist", {"[3,4]", "[6]"}, [](In g) { cdist(g.m, g.v); });
  t.reals("pairwise_distance", {-1, kNan}, [](In g, double p) { pairwise_distance(g.m, g.m, p); });
  t.shape("pairwise_distance", {"[3,4]", "[6]"}, [](In g) { pairwise_distance(g.m, g.v); });
  t.dims("cosine_similarity", 2, [](In g, int d) { cosine_similarity(g.m, g.m, d); });
  t.reals("cosine_similarity", {-1, kNan}, [](In g, double e) { cosine_similarity(g.m, g.m, 1, e); });
  t.dims("normalize", 2, [](In g, int d) { normalize(g.m, 2, d); });
  t.reals("normalize", {-1, kNan}, [](In g, double p) { normalize(g.m, p); });
  t.reals("normalize", {-1, kNan}, [](In g, double e) { normalize(g.m, 2, 1, e); });

  t.shape("layer_norm", {"[5]", "[3,4]"}, [](In g) { layer_norm(g.m, {5}); });
  t.shape("layer_norm", {"[-1]"}, [](In g) { layer_norm(g.m, {-1}); });
  t.shape("layer_norm", {"[2,3,4]"}, [](In g) { layer_norm(g.m, {2, 3, 4}); });
  t.shape("layer_norm", {"[4]", "[6]"}, [](In g) { layer_norm(g.m, {4}, g.v); });
  t.reals("layer_norm", {-1, kNan}, [](In g, double e) { layer_norm(g.m, {4}, {}, {}, e); });
  t.shape("rms_norm", {"[5]", "[3,4]"}, [](In g) { rms_norm(g.m, {5}); });
  t.reals("rms_norm", {-1, kNan}, [](In g, double e) { rms_norm(g.m, {4}, {}, e); });
  t.shapes("group_norm", {0, -1, 3, kHuge}, [](In g, std::int64_t n) { group_norm(g.x, n); });
  t.reals("group_norm", {-1, kNan}, [](In g, double e) { group_norm(g.x, 2, {}, {}, e); });
  t.shape("group_norm", {"[4]", "[6]"}, [](In g) { group_norm(g.x, 2, g.v); });
  t.reals("batch_norm", {-0.5, 1.5, kNan},
          [](In g, double m) { batch_norm(g.x, g.buffer, zeros({4}), {}, {}, true, m); });
  t.reals("batch_norm", {-1, kNan}, [](In g, double e) { batch_norm(g.x, g.buffer, g.buffer, {}, {}, true, 0.1, e); });
  t.value("batch_norm", {"running_mean", "running_var", "same memory"},
          [](In g) { batch_norm(g.x, g.buffer, g.buffer, {}, {}, true); });
  t.value("batch_norm", {"running_mean", "[2,5,4]"}, [](In g) { batch_norm(g.x, {}, {}); });
  t.shape("batch_norm", {"[4]", "[6]"}, [](In g) { batch_norm(g.x, detach(g.v), g.buffer, {}, {}, true); });
  t.reals("instance_norm", {-0.5, 1.5, kNan},
          [](In g, double m) { instance_norm(g.x, g.buffer, zeros({4}), {}, {}, true, m); });
  t.reals("instance_norm", {-1, kNan}, [](In g, double e) { instance_norm(g.x, {}, {}, {}, {}, true, 0.1, e); });
  t.shape("instance_norm", {"[3,4]"}, [](In g) { instance_norm(g.m); });
  t.values("local_response_norm", {0, -1, -kHuge}, [](In g, std::int64_t n) { local_response_norm(g.x, n); });
  t.missing("local_response_norm", [](In g) { local_response_norm(g.none, 2); });
  t.dims("weight_norm", 2, [](In g, int d) { weight_norm(g.m, g.m, d); });
  t.shape("weight_norm", {"[3,4]", "[6]"}, [](In g) { weight_norm(g.m, g.v); });
  t.dims("spectral_norm", 2, [](In g, int d) { spectral_norm(g.m, g.buffer, 1, 1e-12, d); });
  t.values("spectral_norm", {-1}, [](In g, std::int64_t n) { spectral_norm(g.square, g.buffer, static_cast<int>(n)); });
  t.shape("spectral_norm", {"[4]", "[6]"}, [](In g) { spectral_norm(g.square, detach(g.v)); });
  t.reals("spectral_norm", {-1, kNan}, [](In g, double e) { spectral_norm(g.square, g.buffer, 1, e); });
}

}  // namespace tapedeck::test
