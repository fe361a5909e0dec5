// Connectionist temporal classification and mixtures, which the kernels compute in double.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>

#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

const char* text_of(Reduction r) { return r == Reduction::none ? "none" : r == Reduction::mean ? "mean" : "sum"; }

struct Size {
  std::int64_t rows, time, classes, labels;
};
constexpr Size kSizes[] = {{1, 1, 2, 1},  {2, 5, 4, 2},  {3, 7, 5, 3},   {1, 9, 17, 4}, {4, 12, 3, 5},
                           {2, 8, 33, 3}, {5, 20, 6, 8}, {2, 33, 9, 16}, {0, 3, 4, 1}};

// log_probs, or logits with `through` log_softmax; lengths reach from what fits to nothing.
void add_ctc(std::vector<OpCase>& t) {
  for (const bool through : {false, true})
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Size& s : kSizes)
        for (const Layout layout : layouts({s.rows, s.time, s.classes}))
          for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum})
            for (const bool zero : {false, true}) {
              if (layout != Layout::contiguous && (r != Reduction::none || zero)) continue;
              if (s.rows == 0 && r == Reduction::mean) continue;
              const double classes = static_cast<double>(s.classes), time = static_cast<double>(s.time),
                           labels = static_cast<double>(s.labels);
              OpCase c{
                  .op = "ctc_loss",
                  .text = std::string(text_of(r)) + (through ? " of logits" : "") + (zero ? " zero_infinity" : ""),
                  .inputs = {{{s.rows, s.time, s.classes},
                              dtype,
                              layout,
                              Values::range,
                              through ? -3. : -6.,
                              through ? 3. : 0.},
                             {{s.rows, s.labels}, DType::i64, Layout::contiguous, Values::range, 1, classes},
                             {{s.rows}, DType::i64, Layout::contiguous, Values::range, std::ceil(time / 2), time + 1},
                             {{s.rows}, DType::i64, Layout::contiguous, Values::range, 0, labels + 1}},
                  .call = [=](Args x) {
                    return detail::composed("ctc_loss", [&] {
                      const Tensor logs = through ? log_softmax(x[0], -1) : x[0];
                      return Outputs{ctc_loss(logs, x[1], x[2], x[3], 0, r, zero)};
                    });
                  }};
              c.bound = {.c = 4};
              // log_softmax rounds every step.
              if (through)
                c.magnitude = [=](Args x, const Outputs& y) {
                  const Tensor steps = sum(amax(abs(log_softmax(x[0], -1)), {-1}) + 4, {-1});
                  const Tensor m = r == Reduction::none ? steps : r == Reduction::sum ? sum(steps) : mean(steps);
                  return Magnitudes{
                      values_of(m + where(lt(y[0], scalar(1e300, y[0].options())), y[0], zeros_like(y[0])))};
                };
              if (r == Reduction::none) c.rows = 15;
              c.differentiable = through && zero;
              c.gradient_in_parts = true;
              c.gradient_bound = {.c = 16};
              // p and the share of the alignments, each with the error of all steps.
              c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
                Tensor g;
                {
                  Tape tape;
                  const Tensor point = clone(x[0]);
                  tape.watch(point);
                  const Tensor each = ctc_loss(log_softmax(point, -1), x[1], x[2], x[3], 0, Reduction::none, zero);
                  tape.backward(each, full(each.sizes(), 1, each.options()));
                  g = tape.grad(point);
                }
                const Tensor logs = log_softmax(x[0], -1);
                const Tensor reach = sum(amax(abs(logs), {-1}, true) + 4, {1}, true);
                const Tensor scale = r == Reduction::none ? reshape(abs(gy), {s.rows, 1, 1}) : abs(gy);
                return Magnitudes{values_of(scale * (abs(g) + exp(logs)) * reach)};
              };
              t.push_back(std::move(c));
            }
}

void add_mixtures(std::vector<OpCase>& t) {
  struct Kind {
    const char *op, *text;
    double scale_low, scale_high, y_low, y_high;
    std::function<Tensor(const Tensor&, const Tensor&, Reduction)> call;
  };
  const auto logistic = [](std::int64_t classes, double floor) {
    return [=](const Tensor& x, const Tensor& y, Reduction r) {
      return discretized_mix_logistic_loss(x, y, classes, floor, r);
    };
  };
  const auto gaussian = [](double floor) {
    return [=](const Tensor& x, const Tensor& y, Reduction r) { return mix_gaussian_loss(x, y, floor, r); };
  };
  const Kind kinds[] = {
      {"discretized_mix_logistic_loss", "", -7, 1, -0.99, 0.99, logistic(256, -32)},
      {"discretized_mix_logistic_loss", "edges", -7, 1, -1.2, 1.2, logistic(16, -32)},
      {"discretized_mix_logistic_loss", "floor", -9, 1, -1, 1, logistic(65536, -4)},
      {"discretized_mix_logistic_loss", "narrow bins and wide", -30, 12, -1, 1, logistic(65536, -32)},
      {"mix_gaussian_loss", "", -3, 1, -1, 1, gaussian(-32)},
      {"mix_gaussian_loss", "floor", -9, 1, -1, 1, gaussian(-2)},
  };
  for (const Kind& k : kinds)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& rows : {Shape{}, Shape{1}, Shape{7}, Shape{3, 5}, Shape{2, 3, 4}, Shape{0, 3}, Shape{70}})
        for (const std::int64_t components : {1, 2, 10, 17})
          for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum}) {
            if (r == Reduction::mean && rows.numel() == 0) continue;
            if (r != Reduction::none && components > 2) continue;
            Shape shape = rows;
            shape.push(components);
            const Layout layout =
                components == 2 && has_layout(shape, Layout::transposed) ? Layout::transposed : Layout::contiguous;
            const auto input = [&](double low, double high) {
              return Input{shape, dtype, layout, Values::range, low, high};
            };
            OpCase c{.op = k.op,
                     .text = std::string(k.text) + (*k.text ? " " : "") + text_of(r),
                     .inputs = {input(-4, 4),
                                input(-1.1, 1.1),
                                input(k.scale_low, k.scale_high),
                                {rows, dtype, Layout::contiguous, Values::range, k.y_low, k.y_high}},
                     .call = [call = k.call, r, op = k.op](Args x) {
                       return detail::composed(op, [&] { return Outputs{call(cat({x[0], x[1], x[2]}, -1), x[3], r)}; });
                     }};
            c.bound = {.c = 4};
            c.magnitude = [call = k.call, r](Args x, const Outputs&) {  // 1e-6 relative is 16
              const Tensor each = abs(call(cat({x[0], x[1], x[2]}, -1), x[3], Reduction::none));
              return Magnitudes{values_of(r == Reduction::none ? each : r == Reduction::mean ? mean(each) : sum(each))};
            };
            if (r == Reduction::none && rows.rank() > 0) c.rows = 15;
            c.differentiable = *k.text == 0 || components == 1;
            c.low = -0.9, c.high = 0.9;
            c.gradient_in_parts = true;
            c.gradient_bound = {.c = 8};
            t.push_back(std::move(c));
          }
}

}  // namespace

void add_sequence_loss(std::vector<OpCase>& t) {
  add_ctc(t);
  add_mixtures(t);
}

}  // namespace tapedeck::cases
