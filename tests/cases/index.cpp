// Lookups, one-hot rows and categorical draws: exact, and checked against loops written here.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/philox.h>

#include <algorithm>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

const Shape kIndexShapes[] = {{}, {0}, {1}, {7}, {3, 5}, {2, 3, 4}, {33, 17}, {1, 4097}};

void add_embedding(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& index : kIndexShapes)
      for (const Shape& table : {Shape{1, 1}, Shape{5, 3}, Shape{256, 16}, Shape{40, 300}})
        for (const Layout layout : layouts(table))
          for (const Values values : {Values::normal, Values::special}) {
            if (index.numel() > 1000 && table[1] > 100) continue;
            const bool small = index.numel() * table[1] + table.numel() < (dtype == DType::f64 ? 2000 : 50000);
            OpCase c{
                .op = "embedding",
                .text = "",
                .inputs = {{index, DType::i64, Layout::contiguous, Values::range, 0, static_cast<double>(table[0])},
                           {table, dtype, layout, values}},
                .call = [](Args x) { return Outputs{embedding(x[0], x[1])}; }};
            if (index.rank() > 0) c.rows = 1;
            c.differentiable = values == Values::normal && small;
            c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
            c.oracle = [](Args x) {
              const auto which = x[0].to_vector<std::int64_t>();
              const Expected from = expected_from(x[1], x[1].dtype());
              Expected r{x[0].sizes(), x[1].dtype(), {}, {}};
              const std::int64_t width = x[1].size(1);
              r.shape.push(width);
              for (const std::int64_t row : which)
                for (std::int64_t k = 0; k < width; ++k)
                  r.value.push_back(from.value[static_cast<std::size_t>(row * width + k)]);
              return std::vector{r};
            };
            t.push_back(std::move(c));
          }
}

// The row that gets no gradient.
void add_padding(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& index : {Shape{7}, Shape{3, 5}, Shape{0}})
      for (const std::int64_t padding : {0, 3, -1})
        for (const Layout layout : layouts({5, 3})) {
          OpCase c{.op = "embedding",
                   .text = "padding_idx " + std::to_string(padding),
                   .inputs = {{index, DType::i64, Layout::contiguous, Values::range, 0, 5}, {{5, 3}, dtype, layout}},
                   .call = [=](Args x) { return Outputs{embedding(x[0], x[1], padding)}; }};
          c.rows = 1;
          t.push_back(std::move(c));
          // What it does to the gradient: that of a table whose row is a constant.
          OpCase g{.op = "kernel embedding_backward",
                   .text = "padding_idx " + std::to_string(padding),
                   .inputs = {{index, DType::i64, Layout::contiguous, Values::range, 0, 5}, {{5, 3}, dtype, layout}},
                   .call = [=](Args x) {
                     const Tensor table = clone(x[1]);
                     Tape tape;
                     tape.watch(table);
                     const Tensor y = embedding(x[0], table, padding);
                     return tape.gradients(y * y, {table});
                   }};
          g.bound = {.c = 4};
          g.oracle = [=](Args x) {
            const Expected rows = expected_from(x[1], dtype);
            Expected r{{5, 3}, dtype, std::vector<long double>(15), {}};
            for (const std::int64_t i : x[0].to_vector<std::int64_t>())
              if (i != (padding + 5) % 5)
                for (std::size_t k = 0; k < 3; ++k)
                  r.value[static_cast<std::size_t>(i) * 3 + k] += 2 * rows.value[static_cast<std::size_t>(i) * 3 + k];
            return std::vector{r};
          };
          t.push_back(std::move(g));
        }
}

void add_bags(std::vector<OpCase>& t) {
  struct Bags {
    const char* text;
    Shape index;
    std::vector<std::int64_t> start;  // the end of the last one included; empty: index [bags, entries]
  };
  const char* modes[] = {"sum", "mean", "max"};
  for (const auto& [text, index, start] : std::vector<Bags>{{"2-d", {4, 3}, {}},
                                                            {"one entry", {1, 1}, {}},
                                                            {"no entry", {3, 0}, {}},
                                                            {"no bag", {0, 3}, {}},
                                                            {"offsets", {9}, {0, 2, 5, 9}},
                                                            {"empty bags", {6}, {0, 0, 3, 3, 6, 6}},
                                                            {"all empty", {0}, {0, 0, 0}},
                                                            {"many", {300}, {0, 100, 101, 250, 300}}})
    for (const BagMode mode : {BagMode::sum, BagMode::mean, BagMode::max})
      for (const DType dtype : {DType::f32, DType::f64})
        for (const Shape& table : {Shape{5, 3}, Shape{40, 33}})
          for (const Layout layout : layouts(table))
            for (const int how : {0, 1, 2, 3}) {  // plain, padding_idx, include_last_offset, per_sample_weights
              if (how == 2 && start.empty()) continue;
              if (how == 3 && mode != BagMode::sum) continue;
              EmbeddingBagOptions o{.mode = mode, .include_last_offset = how == 2};
              if (how == 1) o.padding_idx = -2;
              std::vector<std::int64_t> given = start;
              if (how != 2 && !given.empty()) given.pop_back();
              const Tensor offsets =
                  start.empty() ? Tensor() : tensor(given, {static_cast<std::int64_t>(given.size())});
              const char* words[] = {"", " padding", " last offset", " weights"};
              OpCase c{
                  .op = "embedding_bag",
                  .text = std::string(text) + " " + modes[static_cast<int>(mode)] + words[how],
                  .inputs = {{index, DType::i64, Layout::contiguous, Values::range, 0, static_cast<double>(table[0])},
                             {table, dtype, layout}},
                  .call = [=](Args x) {
                    return Outputs{embedding_bag(x[0], x[1], offsets, how == 3 ? x[2] : Tensor(), o)};
                  }};
              if (how == 3) c.inputs.push_back({index, dtype});
              // Sums are rounded once; in f64 each addition is.
              c.bound = {.c = dtype == DType::f64 ? 6. + static_cast<double>(index.numel()) : 6.};
              c.relative = Relative::absolute;
              if (mode == BagMode::max) c.bound = kExact, c.relative = Relative::value;
              c.oracle = [=, start = start](Args x) {
                std::vector<std::int64_t> ends = start;
                if (ends.empty())
                  for (std::int64_t i = 0; i <= x[0].size(0); ++i) ends.push_back(i * x[0].size(1));
                const auto which = x[0].to_vector<std::int64_t>();
                const Expected rows = expected_from(x[1], dtype);
                const Expected weights = how == 3 ? expected_from(x[2], dtype) : Expected{};
                const std::int64_t width = table[1];
                Expected r{{static_cast<std::int64_t>(ends.size()) - 1, width}, dtype, {}, {}};
                for (std::size_t b = 0; b + 1 < ends.size(); ++b)
                  for (std::int64_t k = 0; k < width; ++k) {
                    long double total = 0, n = 0;
                    for (std::int64_t e = ends[b]; e < ends[b + 1]; ++e) {
                      const std::int64_t row = which[static_cast<std::size_t>(e)];
                      if (how == 1 && row == table[0] - 2) continue;
                      long double v = rows.value[static_cast<std::size_t>(row * width + k)];
                      if (how == 3) v *= weights.value[static_cast<std::size_t>(e)];
                      total = mode != BagMode::max ? total + v : n == 0 ? v : std::max(total, v);
                      ++n;
                    }
                    r.value.push_back(mode == BagMode::mean && n > 0 ? total / n : total);
                  }
                return std::vector{r};
              };
              c.differentiable = how != 1 && (dtype == DType::f32 || table[0] == 5);
              c.gradient_bound = {.c = 6}, c.gradient_relative = Relative::absolute, c.gradient_in_parts = true;
              if (mode == BagMode::max && layout == Layout::expanded) c.differentiable = false;  // nothing but ties
              if (mode == BagMode::max) {  // the largest of the absolute values stand elsewhere
                c.gradient_relative = Relative::value;
                c.gradient_magnitude = [call = c.call](Args x, const Outputs&, const Tensor& gy) {
                  Tape tape;
                  tape.watch(x[1]);
                  tape.backward(call(x)[0], abs(gy));
                  return Magnitudes{values_of(tape.grad(x[1]))};
                };
              }
              t.push_back(std::move(c));
            }
}

void add_one_hot(std::vector<OpCase>& t) {
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32, DType::u8, DType::boolean})
    for (const Shape& index : kIndexShapes)
      for (const Layout layout : layouts(index))
        for (const std::int64_t classes : {1, 5, 64}) {
          if (index.numel() * classes > 100000) continue;
          OpCase c{.op = "one_hot",
                   .text = std::to_string(classes) + " classes " + tapedeck::name(dtype),
                   .inputs = {{index, DType::i64, layout, Values::range, 0, static_cast<double>(classes)}},
                   .call = [=](Args x) { return Outputs{one_hot(x[0], classes, dtype)}; }};
          if (index.rank() > 0) c.rows = 1;
          c.oracle = [=](Args x) {
            Expected r{x[0].sizes(), dtype, {}, {}};
            r.shape.push(classes);
            for (const std::int64_t hot : x[0].to_vector<std::int64_t>())
              for (std::int64_t k = 0; k < classes; ++k) r.value.push_back(k == hot);
            return std::vector{r};
          };
          if (classes == 64 || index.numel() == 0) {
            t.push_back(std::move(c));
            continue;
          }
          t.push_back(c);
          // As many classes as the largest index needs.
          c.text = std::string("as needed ") + tapedeck::name(dtype);
          c.rows = 0;
          c.call = [=](Args x) { return Outputs{one_hot(x[0], -1, dtype)}; };
          c.oracle = [=](Args x) {
            const auto all = x[0].to_vector<std::int64_t>();
            Expected r{x[0].sizes(), dtype, {}, {}};
            r.shape.push(*std::max_element(all.begin(), all.end()) + 1);
            for (const std::int64_t hot : all)
              for (std::int64_t k = 0; k < r.shape[x[0].dim()]; ++k) r.value.push_back(k == hot);
            return std::vector{r};
          };
          t.push_back(std::move(c));
        }
}

void add_sampling(std::vector<OpCase>& t) {
  struct Range {
    Values values;
    double low, high;
  };
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& logits :
         {Shape{1}, Shape{5}, Shape{0, 4}, Shape{7, 3}, Shape{2, 3, 4}, Shape{33, 17}, Shape{6, 256}, Shape{3, 1024}})
      for (const Layout layout : layouts(logits))
        for (const double temperature : {0., 0.25, 1., 2.})
          for (const auto& [values, low, high] :
               {Range{Values::normal, 0, 0}, {Values::range, -40, 40}, {Values::ties, 0, 0}}) {
            Shape rows = logits;
            rows.erase(logits.rank() - 1);
            OpCase c{
                .op = "sample_categorical",
                .text = "temperature " + std::to_string(temperature).substr(0, 4),
                .inputs = {{logits, dtype, layout, values, low, high},
                           {rows, DType::f32, Layout::contiguous, Values::positive}},
                .call = [=](Args x) { return Outputs{sample_categorical(x[0], cast(x[1], DType::f32), temperature)}; }};
            if (rows.rank() > 0) c.rows = 3;
            c.prepares = true;
            t.push_back(std::move(c));
          }
}

}  // namespace

void add_index(std::vector<OpCase>& t) {
  add_embedding(t);
  add_padding(t);
  add_bags(t);
  add_one_hot(t);
  add_sampling(t);
}

}  // namespace tapedeck::cases
