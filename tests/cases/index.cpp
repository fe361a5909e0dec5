// Lookups, one-hot rows and categorical draws: exact, and checked against loops written here.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/philox.h>

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
            t.push_back(std::move(c));
          }
}

}  // namespace

void add_index(std::vector<OpCase>& t) {
  add_embedding(t);
  add_one_hot(t);
  add_sampling(t);
}

}  // namespace tapedeck::cases
