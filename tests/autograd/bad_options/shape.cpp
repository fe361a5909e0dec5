// Views and copies.
#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_shape(BadCalls& t) {
  const Shape too_many{kHuge, kHuge};
  const std::string huge = std::to_string(kHuge);
  t.shape("reshape", {"12", "[5,2]"}, [](In g) { reshape(g.m, {5, 2}); });
  t.shape("reshape", {"[-1,-1]"}, [](In g) { reshape(g.m, {-1, -1}); });
  t.shape("reshape", {"[-2,6]"}, [](In g) { reshape(g.m, {-2, 6}); });
  t.shape("reshape", {"[-1,0]"}, [](In g) { reshape(g.m, {-1, 0}); });
  t.shape("reshape", {huge}, [=](In g) { reshape(g.m, too_many); });
  t.dims("flatten", 3, [](In g, int d) { flatten(g.x, d); });
  t.dims("flatten", 3, [](In g, int d) { flatten(g.x, 0, d); });
  t.shape("flatten", {"2", "1"}, [](In g) { flatten(g.x, 2, 1); });
  t.dims("permute", 3, [](In g, int d) { permute(g.x, {0, 1, d}); });
  t.value("permute", {"1"}, [](In g) { permute(g.x, {0, 1, -2}); });
  t.shape("permute", {"2 dimensions", "[2,5,4]"}, [](In g) { permute(g.x, {0, 1}); });
  t.dims("transpose", 3, [](In g, int d) { transpose(g.x, 0, d); });
  t.dims("movedim", 3, [](In g, int d) { movedim(g.x, d, 0); });
  t.dims("movedim", 3, [](In g, int d) { movedim(g.x, 0, d); });
  t.dims("movedim list", 3, [](In g, int d) { movedim(g.x, {0, d}, {0, 1}); });
  t.value("movedim list", {"1", "2"}, [](In g) { movedim(g.x, {0, 1}, {2, 2}); });
  t.value("movedim list", {"1", "2"}, [](In g) { movedim(g.x, {0}, {0, 1}); });
  t.missing("squeeze", [](In g) { squeeze(g.none); });
  t.dims("squeeze dim", 3, [](In g, int d) { squeeze(g.x, d); });
  t.dims("unsqueeze", 4, [](In g, int d) { unsqueeze(g.x, d); });
  const auto deep = [](In g) { return detail::try_reshape(g.m, {1, 1, 1, 1, 1, 1, 3, 4}); };
  t.shape("unsqueeze", {"8"}, [=](In g) { unsqueeze(deep(g), 0); });
  for (const auto& [op, f] : std::vector<std::pair<const char*, Tensor (*)(const Tensor&, const Shape&)>>{
           {"expand", expand}, {"broadcast_to", broadcast_to}}) {
    t.shape(op, {"3", "5", "[3,4]"}, [f = f](In g) { f(g.m, {5, 4}); });
    t.shape(op, {"[4]", "[3,4]"}, [f = f](In g) { f(g.m, {4}); });
    t.shape(op, {"-1", "[3,4]"}, [f = f](In g) { f(g.m, {-1, 3, 4}); });
    t.shape(op, {"-2"}, [f = f](In g) { f(g.m, {-2, 3, 4}); });
    t.shape(op, {huge}, [f = f, too_many](In) { f(scalar(1), too_many); });
  }
  t.dims("slice", 3, [](In g, int d) { slice(g.x, d, 0); });
  t.values("slice", {0, -1, -kHuge}, [](In g, std::int64_t n) { slice(g.x, 1, 0, 3, n); });
  t.dims("narrow", 3, [](In g, int d) { narrow(g.x, d, 0, 1); });
  t.shapes("narrow", {-1, 6, kHuge, -kHuge}, [](In g, std::int64_t n) { narrow(g.x, 1, n, 1); });
  t.shapes("narrow", {-1, 4, kHuge, -kHuge}, [](In g, std::int64_t n) { narrow(g.x, 1, 2, n); });
  t.dims("select", 3, [](In g, int d) { select(g.x, d, 0); });
  t.shapes("select", {5, -6, kHuge, -kHuge}, [](In g, std::int64_t n) { select(g.x, 1, n); });
  t.dims("diagonal", 3, [](In g, int d) { diagonal(g.x, 0, 0, d); });
  t.value("diagonal", {"1"}, [](In g) { diagonal(g.x, 0, 1, -2); });
  t.shape("diagonal", {"1"}, [](In g) { diagonal(g.v); });
  t.dims("unfold", 3, [](In g, int d) { unfold(g.x, d, 1, 1); });
  t.values("unfold", {0, -1, -kHuge}, [](In g, std::int64_t n) { unfold(g.x, 1, n, 1); });
  t.shapes("unfold", {6, kHuge}, [](In g, std::int64_t n) { unfold(g.x, 1, n, 1); });
  t.values("unfold", {0, -1, -kHuge}, [](In g, std::int64_t n) { unfold(g.x, 1, 2, n); });
  t.dims("unbind", 3, [](In g, int d) { unbind(g.x, d); });
  t.shape("unbind", {"0"}, [](In) { unbind(scalar(1)); });
  t.dims("split", 3, [](In g, int d) { split(g.x, 2, d); });
  t.values("split", {0, -1, -kHuge}, [](In g, std::int64_t n) { split(g.x, n, 1); });
  t.dims("split list", 3, [](In g, int d) { split(g.x, std::vector<std::int64_t>{1, 1}, d); });
  t.shapes("split list", {-1, kHuge}, [](In g, std::int64_t n) { split(g.x, std::vector<std::int64_t>{n, 0}, 1); });
  t.shape("split list", {"4", "1"}, [](In g) { split(g.x, std::vector<std::int64_t>{3, 1}, 1); });
  t.dims("chunk", 3, [](In g, int d) { chunk(g.x, 2, d); });
  t.values("chunk", {0, -1, -kHuge}, [](In g, std::int64_t n) { chunk(g.x, n, 1); });
  t.values("chunk", {kHuge}, [](In g, std::int64_t n) { chunk(detail::narrow(g.x, 1, 0, 0), n, 1); });
  t.value("meshgrid", {"at least one"}, [](In) { meshgrid({}); });
  t.shape("meshgrid", {"[3,4]"}, [](In g) { meshgrid({g.v, g.m}); });
  t.dtype("meshgrid", {"i64"}, [](In g) { meshgrid({g.v, g.places}); });
  t.shape("meshgrid", {"8"}, [](In g) { meshgrid(std::vector<Tensor>(9, g.v)); });

  t.value("cat", {"at least one"}, [](In) { cat({}); });
  t.dims("cat", 2, [](In g, int d) { cat({g.m, g.m}, d); });
  t.shape("cat", {"[3,4]", "[4,4]"}, [](In g) { cat({g.m, g.square}, 1); });
  t.dtype("cat", {"i64"}, [](In g) { cat({g.m, g.whole}); });
  t.shape("cat", {"0"}, [](In) { cat({scalar(1), scalar(2)}); });
  t.value("stack", {"at least one"}, [](In) { stack({}); });
  t.dims("stack", 3, [](In g, int d) { stack({g.m, g.m}, d); });
  t.shape("stack", {"[3,4]", "[4,4]"}, [](In g) { stack({g.m, g.square}); });
  t.unary({{"contiguous", contiguous}, {"clone", clone}, {"detach", detach}}, false);
  t.missing("cast", [](In g) { cast(g.none, DType::f64); });
  t.shape("repeat", {"[2]", "[3,4]"}, [](In g) { repeat(g.m, {2}); });
  t.values("repeat", {-1, -kHuge}, [](In g, std::int64_t n) { repeat(g.m, {n, 1}); });
  t.shapes("repeat", {kHuge}, [](In g, std::int64_t n) { repeat(g.m, {n, 1}); });
  t.shapes("repeat", {kHuge}, [](In g, std::int64_t n) { repeat(g.m, {n, 1, 1}); });
  t.values("tile", {-1, -kHuge}, [](In g, std::int64_t n) { tile(g.m, {n}); });
  t.shapes("tile", {kHuge}, [](In g, std::int64_t n) { tile(g.m, {n}); });
  t.dims("repeat_interleave", 3, [](In g, int d) { repeat_interleave(g.x, 2, d); });
  t.values("repeat_interleave", {-1, -kHuge}, [](In g, std::int64_t n) { repeat_interleave(g.x, n, 1); });
  t.shapes("repeat_interleave", {kHuge}, [](In g, std::int64_t n) { repeat_interleave(g.x, n, 1); });
  t.dims("repeat_interleave tensor", 3, [](In g, int d) { repeat_interleave(g.x, g.places, d); });
  t.value("repeat_interleave tensor", {"-1"}, [](In g) { repeat_interleave(g.m, g.places - 1, 0); });
  t.shape("repeat_interleave tensor", {"[3]", "4"}, [](In g) { repeat_interleave(g.m, g.places, 1); });
  t.dims("flip", 3, [](In g, int d) { flip(g.x, {0, d}); });
  t.value("flip", {"dimension 1"}, [](In g) { flip(g.x, {1, -2}); });
  t.dims("roll", 3, [](In g, int d) { roll(g.x, 1, d); });
  t.dims("roll list", 3, [](In g, int d) { roll(g.x, {1, 2}, {0, d}); });
  t.value("roll list", {"2", "1"}, [](In g) { roll(g.x, {1, 2}, {0}); });
  for (const PadMode mode : {PadMode::constant, PadMode::reflect, PadMode::replicate, PadMode::circular}) {
    t.shape("pad", {"1 numbers"}, [=](In g) { pad(g.x, {1}, mode); });
    t.shape("pad", {"8 numbers"}, [=](In g) { pad(g.x, {1, 1, 1, 1, 1, 1, 1, 1}, mode); });
    t.shapes("pad", {kHuge, -kHuge, -5}, [=](In g, std::int64_t n) { pad(g.x, {0, n}, mode); });
  }
  t.shapes("pad", {4, 5}, [](In g, std::int64_t n) { pad(g.x, {n, 0}, PadMode::reflect); });
  t.shapes("pad", {5}, [](In g, std::int64_t n) { pad(g.x, {n, 0}, PadMode::circular); });
  t.dtype("pad", {"0.5", "i64"}, [](In g) { pad(g.whole, {1, 1}, PadMode::constant, 0.5); });
  t.dims("fold", 2, [](In g, int d) { fold(g.x, d, 5, 1); });
  t.shapes("fold", {3, 9, -1, kHuge}, [](In g, std::int64_t n) { fold(g.x, 1, n, 1); });
  t.values("fold", {0, -1, -kHuge}, [](In g, std::int64_t n) { fold(g.x, 1, 8, n); });
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{-1}, kHuge}) {
    const std::string number = std::to_string(n);
    t.value("unfold image", {number}, [=](In g) { unfold(g.image, {.kernel_size = {2, n}}); });
    t.value("unfold image", {number}, [=](In g) { unfold(g.image, {.kernel_size = {2, 2}, .dilation = {n, 1}}); });
    t.value("unfold image", {number}, [=](In g) { unfold(g.image, {.kernel_size = {2, 2}, .stride = {1, n}}); });
    if (n != 0)
      t.value("unfold image", {number}, [=](In g) { unfold(g.image, {.kernel_size = {2, 2}, .padding = {n, 0}}); });
    t.value("fold image", {number}, [=](In g) { fold(g.x, {3, 3}, {.kernel_size = {2, n}}); });
    t.value("fold image", {number}, [=](In g) { fold(g.x, {3, 3}, {.kernel_size = {2, 2}, .stride = {n, 1}}); });
  }
  t.shape("unfold image", {"7", "6"}, [](In g) { unfold(g.image, {.kernel_size = {2, 7}}); });
  t.shape("unfold image", {"[3,4]"}, [](In g) { unfold(g.m, {.kernel_size = {2, 2}}); });
  t.shape("fold image", {"3 x 3", "2 x 2"}, [](In g) { fold(g.x, {3, 3}, {.kernel_size = {2, 2}}); });
  t.shapes("fold image", {-1, kHuge}, [](In g, std::int64_t n) { fold(g.x, {3, n}, {.kernel_size = {2, 2}}); });
  t.shape("diag", {"[2,5,4]"}, [](In g) { diag(g.x); });
  t.shapes("diag", {kHuge, -kHuge}, [](In g, std::int64_t n) { diag(g.v, n); });
  t.dims("diag_embed", 4, [](In g, int d) { diag_embed(g.x, 0, 0, d); });
  t.value("diag_embed", {"1"}, [](In g) { diag_embed(g.x, 0, 1, -3); });
  t.shapes("diag_embed", {kHuge, -kHuge}, [](In g, std::int64_t n) { diag_embed(g.v, n); });
  t.shape("tril", {"[6]"}, [](In g) { tril(g.v); });
  t.shape("triu", {"[6]"}, [](In g) { triu(g.v); });
}

}  // namespace tapedeck::test
