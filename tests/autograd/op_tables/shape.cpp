#include "autograd/op_table.h"

namespace tapedeck::test {
namespace {

Tensor added(const std::vector<Tensor>& parts) {  // each with a weight of its own
  Tensor y = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) y = y + parts[i] * static_cast<double>(i + 1);
  return y;
}

void add_views(Table& t) {
  t.add("squeeze not 1", {{2, 1, 4}}, [](Args a) { return squeeze(a[0], 0); });
  t.add("squeeze all", {{1, 2, 1, 4, 1}}, [](Args a) { return squeeze(a[0]); });
  t.add("squeeze all of one", {{1, 1}}, [](Args a) { return squeeze(a[0]); });
  t.add("movedim", {{2, 3, 4}}, [](Args a) { return movedim(a[0], 0, -1); });
  t.add("movedim back", {{2, 3, 4, 2}}, [](Args a) { return movedim(a[0], 3, 1); });
  t.add("movedim lists", {{2, 3, 4}}, [](Args a) {
    return movedim(a[0], std::vector<int>{0, 1}, std::vector<int>{-1, 0});
  });
  t.add("broadcast_to", {{3, 1}}, [](Args a) { return broadcast_to(a[0], {2, 3, 4}); });
  t.add("broadcast_to 0-d", {{}}, [](Args a) { return broadcast_to(a[0], {2, 3}); });
  t.add("broadcast_to nothing", {{1, 3}}, [](Args a) { return broadcast_to(a[0], {0, 3}); });
  t.add("unbind", {{3, 4}}, [](Args a) { return added(unbind(a[0])); });
  t.add("unbind last", {{3, 4}}, [](Args a) { return added(unbind(a[0], -1)); });
  t.add("unbind one of them", {{2, 3, 4}}, [](Args a) { return unbind(a[0], 1)[2]; });
  t.add("diagonal", {{3, 5}}, [](Args a) { return diagonal(a[0]); });
  t.add("diagonal below", {{5, 3}}, [](Args a) { return diagonal(a[0], -2); });
  t.add("diagonal of others", {{2, 3, 4}}, [](Args a) { return diagonal(a[0], 1, 2, 0); });
  t.add("diagonal outside", {{2, 3}}, [](Args a) { return diagonal(a[0], 7); });
  t.add("meshgrid", {{2}, {3}}, [](Args a) { return added(meshgrid({a[0], a[1]})); });
  t.add("meshgrid xy", {{2}, {3}, {2}}, [](Args a) { return added(meshgrid({a[0], a[1], a[2]}, Indexing::xy)); });
  t.add("meshgrid 0-d", {{}, {3}}, [](Args a) { return added(meshgrid({a[0], a[1]})); });
}

void add_repeats(Table& t) {
  t.add("repeat", {{2, 3}}, [](Args a) { return repeat(a[0], {3, 2}); });
  t.add("repeat in front", {{3}}, [](Args a) { return repeat(a[0], {2, 1, 2}); });
  t.add("repeat 0-d", {{}}, [](Args a) { return repeat(a[0], {2, 3}); });
  t.add("repeat nothing", {{2, 3}}, [](Args a) { return repeat(a[0], {0, 2}); });
  t.add("tile", {{2, 3}}, [](Args a) { return tile(a[0], {2}); });
  t.add("tile in front", {{2, 3}}, [](Args a) { return tile(a[0], {2, 1, 3}); });
  t.add("tile 0-d", {{}}, [](Args a) { return tile(a[0], {3}); });
  t.add("repeat_interleave", {{2, 3}}, [](Args a) { return repeat_interleave(a[0], 2); });
  t.add("repeat_interleave dim", {{2, 3}}, [](Args a) { return repeat_interleave(a[0], 3, -2); });
  t.add("repeat_interleave 0", {{2, 3}}, [](Args a) { return repeat_interleave(a[0], 0, 1); });
  t.add("repeat_interleave counts", {{2, 4}}, [](Args a) {
    return repeat_interleave(a[0], i64({2, 0, 1, 3}, {4}), 1);
  });
  t.add("repeat_interleave one count", {{2, 3}}, [](Args a) { return repeat_interleave(a[0], i64({2}, {1}), 0); });
  t.add("repeat_interleave flat counts", {{2, 2}}, [](Args a) {
    return repeat_interleave(a[0], i64({0, 3, 1, 1}, {4}));
  });
  t.add("flip", {{2, 3, 4}}, [](Args a) { return flip(a[0], {0, -1}); });
  t.add("flip none", {{2, 3}}, [](Args a) { return flip(a[0], {}); });
  t.add("flip empty", {{0, 3}}, [](Args a) { return flip(a[0], {0, 1}); });
  t.add("roll", {{3, 5}}, [](Args a) { return roll(a[0], {1, -2}, {0, 1}); });
  t.add("roll far", {{3, 5}}, [](Args a) { return roll(a[0], 12, -1); });
  t.add("roll flat", {{3, 5}}, [](Args a) { return roll(a[0], -4); });
  t.add("roll twice", {{3, 5}}, [](Args a) { return roll(a[0], {1, 1}, {0, 0}); });
}

void add_pads(Table& t) {
  t.add("pad", {{2, 3}}, [](Args a) { return pad(a[0], {1, 2}); });
  t.add("pad value", {{2, 3}}, [](Args a) { return pad(a[0], {0, 1, 2, 0}, PadMode::constant, -1.5); });
  t.add("pad cut", {{4, 5}}, [](Args a) { return pad(a[0], {-1, 2, -1, -2}); });
  t.add("pad empty", {{0, 2}}, [](Args a) { return pad(a[0], {0, 0, 1, 1}); });
  t.add("pad reflect", {{2, 5}}, [](Args a) { return pad(a[0], {4, 2}, PadMode::reflect); });
  t.add("pad reflect cut", {{2, 5}}, [](Args a) { return pad(a[0], {3, -1}, PadMode::reflect); });
  t.add("pad reflect image", {{2, 3, 4}}, [](Args a) { return pad(a[0], {1, 3, 2, 0}, PadMode::reflect); });
  t.add("pad replicate", {{2, 3}}, [](Args a) { return pad(a[0], {4, 1}, PadMode::replicate); });
  t.add("pad replicate cut", {{2, 3}}, [](Args a) { return pad(a[0], {2, -2}, PadMode::replicate); });
  t.add("pad replicate image", {{1, 2, 3}}, [](Args a) { return pad(a[0], {1, 2, 3, 0}, PadMode::replicate); });
  t.add("pad circular", {{2, 3}}, [](Args a) { return pad(a[0], {3, 1}, PadMode::circular); });
  t.add("pad circular cut", {{2, 3}}, [](Args a) { return pad(a[0], {2, -1}, PadMode::circular); });
  t.add("pad circular image", {{1, 3, 4}}, [](Args a) { return pad(a[0], {1, 4, 2, 3}, PadMode::circular); });
}

void add_folds(Table& t) {
  // Overlap-add is PyTorch's fold of images one element high.
  t.add("fold", {{4, 3}}, [](Args a) { return fold(a[0], 0, 9, 2); });
  t.add("fold gaps", {{3, 2}}, [](Args a) { return fold(a[0], 0, 9, 3); });
  t.add("fold channels", {{5, 2, 4}}, [](Args a) { return fold(a[0], 0, 8, 1); });
  t.add("unfold 2d", {{2, 4, 5, 3}}, [](Args a) { return unfold(a[0], {.kernel_size = {2, 3}}); });
  t.add("unfold 2d all", {{1, 6, 7, 2}}, [](Args a) {
    return unfold(a[0], {.kernel_size = {3, 2}, .dilation = {1, 2}, .padding = {2, 1}, .stride = {2, 1}});
  });
  t.add("unfold 2d one image", {{4, 4, 2}}, [](Args a) {
    return unfold(a[0], {.kernel_size = {2, 2}, .stride = {2, 2}});
  });
  t.add("fold 2d", {{2, 9, 18}}, [](Args a) { return fold(a[0], {4, 5}, {.kernel_size = {2, 3}}); });
  t.add("fold 2d all", {{1, 28, 12}}, [](Args a) {
    return fold(a[0], {6, 7}, {.kernel_size = {3, 2}, .dilation = {1, 2}, .padding = {2, 1}, .stride = {2, 1}});
  });
  t.add("fold 2d one image", {{4, 8}}, [](Args a) {
    return fold(a[0], {4, 4}, {.kernel_size = {2, 2}, .stride = {2, 2}});
  });
}

void add_diagonals(Table& t) {
  t.add("diag", {{3}}, [](Args a) { return diag(a[0], -1); });
  t.add("diag of a matrix", {{3, 4}}, [](Args a) { return diag(a[0], 2); });
  t.add("diag outside", {{3, 4}}, [](Args a) { return diag(a[0], 4); });
  t.add("diag_embed", {{2, 3}}, [](Args a) { return diag_embed(a[0]); });
  t.add("diag_embed above", {{2, 3}}, [](Args a) { return diag_embed(a[0], 2, 0, 2); });
  t.add("diag_embed below", {{2, 3}}, [](Args a) { return diag_embed(a[0], -1, 2, 1); });
  for (const int k : {0, 1, -2}) {
    t.add("tril " + std::to_string(k), {{2, 3, 4}}, [k](Args a) { return tril(a[0], k); });
    t.add("triu " + std::to_string(k), {{4, 3}}, [k](Args a) { return triu(a[0], k); });
  }
}

void add_ranges(Table& t) {
  t.add("arange", {{5}}, [](Args a) { return a[0] * arange(5, {DType::f64}); });
  t.add("arange step", {{4}}, [](Args a) { return a[0] * arange(2, 9, 2, {DType::f64}); });
  t.add("arange down", {{4}}, [](Args a) { return a[0] * arange(1., -0.5, -0.4, {DType::f64}); });
  t.add("linspace", {{7}}, [](Args a) { return a[0] * linspace(-1, 2.5, 7, {DType::f64}); });
  t.add("linspace one", {{1}}, [](Args a) { return a[0] * linspace(3, 5, 1, {DType::f64}); });
  t.add("linspace down", {{6}}, [](Args a) { return a[0] * linspace(1, -0.1, 6, {DType::f64}); });
  t.add("logspace", {{4}}, [](Args a) { return a[0] * logspace(-1, 2, 4, 10, {DType::f64}); });
  t.add("logspace base", {{5}}, [](Args a) { return a[0] * logspace(0, 3, 5, 2, {DType::f64}); });
  t.add("logspace down", {{3}}, [](Args a) { return a[0] * logspace(2, -2, 3, 3, {DType::f64}); });
  t.add("eye", {{3, 3}}, [](Args a) { return a[0] * eye(3, -1, {DType::f64}); });
  t.add("eye wide", {{2, 4}}, [](Args a) { return a[0] + eye(2, 4, {DType::f64}); });
  t.add("eye high", {{4, 2}}, [](Args a) { return a[0] + eye(4, 2, {DType::f64}); });
}

// Views and copies again: of no dimension, of nothing, of what lies in another order.
void add_corners(Table& t) {
  t.add("reshape to 0-d", {{1, 1}}, [](Args a) { return reshape(a[0], {}); });
  t.add("reshape of another order", {{3, 4}}, [](Args a) { return reshape(transpose(a[0], 0, 1), {2, 6}); });
  t.add("flatten 0-d", {{}}, [](Args a) { return flatten(a[0]); });
  t.add("flatten middle", {{2, 3, 2, 2}}, [](Args a) { return flatten(permute(a[0], {3, 1, 2, 0}), 1, -2); });
  t.add("permute four", {{2, 1, 3, 2}}, [](Args a) { return permute(a[0], {-1, 2, 0, 1}); });
  t.add("permute empty", {{0, 3}}, [](Args a) { return permute(a[0], {1, 0}); });
  t.add("transpose itself", {{2, 3}}, [](Args a) { return transpose(a[0], 1, 1); });
  t.add("transpose twice", {{2, 3, 4}}, [](Args a) { return transpose(transpose(a[0], 0, 1), 1, 2); });
  t.add("unsqueeze 0-d", {{}}, [](Args a) { return unsqueeze(a[0], 0); });
  t.add("unsqueeze first", {{2, 3}}, [](Args a) { return unsqueeze(a[0], 0); });
  t.add("expand 0-d", {{}}, [](Args a) { return expand(a[0], {2, 3}); });
  t.add("expand middle", {{2, 1, 3}}, [](Args a) { return expand(a[0], {2, 4, 3}) * spread({2, 4, 3}, -1, 1, 2); });
  t.add("slice nothing", {{5, 2}}, [](Args a) { return slice(a[0], 0, 3, 3); });
  t.add("slice last", {{3, 7}}, [](Args a) { return slice(a[0], -1, -6, 7, 3); });
  t.add("narrow nothing", {{5, 2}}, [](Args a) { return narrow(a[0], 0, 2, 0); });
  t.add("narrow of another order", {{3, 5}}, [](Args a) { return narrow(transpose(a[0], 0, 1), 0, 1, 3); });
  t.add("select to 0-d", {{4}}, [](Args a) { return select(a[0], 0, 2); });
  t.add("select middle", {{2, 3, 4}}, [](Args a) { return select(a[0], 1, -1); });
  const auto added = [](const std::vector<Tensor>& parts) {
    Tensor y = sum(parts[0]);
    for (std::size_t i = 1; i < parts.size(); ++i) y = y + sum(parts[i]) * static_cast<double>(i + 1);
    return y;
  };
  t.add("split even", {{7, 2}}, [=](Args a) { return added(split(a[0], 3)); });
  t.add("split last", {{2, 5}}, [=](Args a) { return added(split(a[0], 2, -1)); });
  t.add("chunk uneven", {{7, 2}}, [=](Args a) { return added(chunk(a[0], 3)); });
  t.add("chunk last", {{2, 3}}, [=](Args a) { return added(chunk(a[0], 5, -1)); });
  t.add("cat one", {{2, 3}}, [](Args a) { return cat({a[0]}); });
  t.add("cat of another order", {{2, 3}, {3, 2}}, [](Args a) { return cat({transpose(a[0], 0, 1), a[1]}, 0); });
  t.add("stack 0-d", {{}, {}}, [](Args a) { return stack({a[0], a[1], a[0]}); });
  t.add("stack last", {{2, 3}, {2, 3}}, [](Args a) { return stack({a[1], a[0]}, -1); });
  t.add("contiguous already", {{2, 3}}, [](Args a) { return contiguous(a[0]) * 2; });
  t.add("contiguous of repeats", {{3, 1}}, [](Args a) { return contiguous(expand(a[0], {3, 4})); });
  t.add("clone 0-d", {{}}, [](Args a) { return clone(a[0]); });
  t.add("clone of another order", {{2, 3}}, [](Args a) { return clone(transpose(a[0], 0, 1)) * 2; });
  // Rounding to fewer digits has no differences; values and gradients are PyTorch's to the bit.
  for (const auto& [name, dtype] : {std::pair{"f32", DType::f32}, {"bf16", DType::bf16}, {"f16", DType::f16}}) {
    t.add(std::string("cast ") + name, {{3, 4}},
          [dtype = dtype](Args a) { return cast(cast(a[0], dtype), DType::f64); });
    t.cases.back().derivative = false;
  }
}

}  // namespace

void add_shape(Table& t) {
  t.add("reshape", {{2, 3, 4}}, [](Args a) { return reshape(a[0], {4, -1}); });
  t.add("unflatten", {{6, 4}}, [](Args a) { return unflatten(a[0], 0, {2, 3}); });
  t.add("unflatten last", {{6, 4}}, [](Args a) { return unflatten(a[0], -1, {2, -1, 1}); });
  t.add("unflatten empty", {{0, 3}}, [](Args a) { return unflatten(a[0], 0, {0, 2}); });
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
  add_views(t);
  add_repeats(t);
  add_pads(t);
  add_folds(t);
  add_diagonals(t);
  add_ranges(t);
  add_corners(t);
}

}  // namespace tapedeck::test
