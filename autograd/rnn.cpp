// Recurrent sequences: the products with the inputs of all steps at once, then step by step the product with the state
// and the gates; or a layer by one kernel, where the slot has one. One node of the tape per layer and direction.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/matmul.h>
#include <tapedeck/kernels/rnn.h>
#include <tapedeck/tensor/detail_views.h>

#include <utility>

namespace tapedeck {
namespace {

using detail::composed;

// Gates of a cell, and whether it has a second state.
struct Cell {
  const char* name;
  int gates;
  kernels::RnnCell kind;
  bool lstm = kind == kernels::RnnCell::lstm, gru = kind == kernels::RnnCell::gru;
  bool relu = kind == kernels::RnnCell::relu;
};
constexpr Cell kTanh{"rnn", 1, kernels::RnnCell::tanh}, kRelu{"rnn", 1, kernels::RnnCell::relu};
constexpr Cell kGru{"gru", 3, kernels::RnnCell::gru}, kLstm{"lstm", 4, kernels::RnnCell::lstm};

// y = a @ b^T + bias, unrecorded: [B, K] x [N, K].
void product(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& y, bool transposed, double beta) {
  const auto matrix = [](const Tensor& x) { return detail::unsqueeze(x, 0); };
  kernels::matmul(y.device(), {matrix(a), transposed ? detail::transpose(matrix(b), 1, 2) : matrix(b),
                               bias.defined() ? bias.view() : TensorView{}, matrix(y), beta});
}

void choose(const Tensor& condition, const Tensor& a, const Tensor& b, const Tensor& y) {
  const Shape& shape = y.sizes();
  kernels::where(y.device(),
                 {detail::broadcast(condition, shape), detail::broadcast(a, shape), detail::broadcast(b, shape), y});
}

// One layer in one direction: what its rule needs as well.
struct Layer {
  Cell cell;
  Tensor weight, bias, h0, c0;  // W_hh [G H, H]; c0 of an LSTM
  Tensor alive;                 // bool [T, B, 1]: does row b still run at step t? Undefined: all do
  bool reverse;
  // Of the steps: [B, T, H], and what the gates were [B, T, 4 H] (or nothing).
  Tensor y, c, saved, states;  // states: h after each step, where rows end it differs from y
  Tensor h_end, c_end;

  std::int64_t steps() const { return y.size(1); }
  std::int64_t step(std::int64_t i) const { return reverse ? steps() - 1 - i : i; }
  Tensor at(const Tensor& x, std::int64_t t) const { return detail::select(x, 1, t); }
  Tensor before(const Tensor& states_of, const Tensor& start, std::int64_t i) const {
    return i == 0 ? start : at(states_of, step(i - 1));
  }
};

void forward_by_steps(const Layer& l, const Tensor& gi) {
  const std::int64_t batch = gi.size(0), steps = gi.size(1), width = l.h0.size(1);
  const TensorOptions o = gi.options();
  const Tensor gh = empty({batch, l.cell.gates * width}, o), nothing = scalar(0, o);
  const Tensor sum = l.cell.gates == 1 ? empty_like(gh) : Tensor();
  // Turned once: the products of all steps read it in the order in which it lies.
  const Tensor weight = steps > 1 ? detail::packed(detail::transpose(l.weight, 0, 1)) : Tensor();
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t t = l.step(i);
    const Tensor h = l.before(l.states, l.h0, i), gi_t = l.at(gi, t), state = l.at(l.states, t);
    product(h, weight.defined() ? weight : l.weight, l.bias, gh, !weight.defined(), 0);
    if (l.cell.lstm) {
      kernels::lstm_gates(gi.device(), {gi_t, gh, l.before(l.c, l.c0, i), state, l.at(l.c, t), l.at(l.saved, t)});
    } else if (l.cell.gru) {
      kernels::gru_gates(gi.device(), {gi_t, gh, h, state, l.at(l.saved, t)});
    } else {
      kernels::add(gi.device(), {gi_t, gh, sum});
      (l.cell.relu ? kernels::relu : kernels::tanh)(gi.device(), {sum, state});
    }
    if (!l.alive.defined()) continue;
    const Tensor alive = detail::select(l.alive, 0, t);
    choose(alive, state, nothing, l.at(l.y, t));
    choose(alive, state, h, state);
    if (l.cell.lstm) choose(alive, l.at(l.c, t), l.before(l.c, l.c0, i), l.at(l.c, t));
  }
}

void forward(Layer& l, const Tensor& gi) {
  const std::int64_t batch = gi.size(0), steps = gi.size(1), width = l.h0.size(1);
  const TensorOptions o = gi.options();
  l.y = empty({batch, steps, width}, o);
  l.states = l.alive.defined() ? empty({batch, steps, width}, o) : l.y;
  if (l.cell.lstm) l.c = empty({batch, steps, width}, o);
  if (l.cell.gates > 1) l.saved = empty({batch, steps, 4 * width}, o);
  bool done = false;
  kernels::rnn_sequence(gi.device(), {l.cell.kind, l.reverse, gi, l.weight, l.bias, l.h0, l.c0, l.alive, l.y, l.states,
                                      l.c, l.saved, &done});
  if (!done) forward_by_steps(l, gi);
  l.h_end = steps == 0 ? clone(l.h0) : clone(l.at(l.states, l.step(steps - 1)));
  if (l.cell.lstm) l.c_end = steps == 0 ? clone(l.c0) : clone(l.at(l.c, l.step(steps - 1)));
}

struct LayerGradients {
  Tensor gi, gh, h, c;  // of gi [B, T, G H], of W_hh h + bias [B, T, G H], of the initial states
};

void backward_by_steps(const Layer& l, const Tensor& gy, const Tensor& gh_end, const Tensor& gc_end,
                       LayerGradients& g) {
  const std::int64_t batch = l.y.size(0), steps = l.steps(), width = l.h0.size(1);
  const TensorOptions o = l.y.options();
  const auto start = [&](const Tensor& end) { return end.defined() ? clone(end) : zeros({batch, width}, o); };
  g.h = start(gh_end);
  if (l.cell.lstm) g.c = start(gc_end);
  const Tensor nothing = scalar(0, o);
  const auto added = [&](const Tensor& x, const Tensor& y) { kernels::add(o.device, {x, y, y}); };
  const auto chosen = [&](const Tensor& condition, const Tensor& x, const Tensor& y) {
    const Tensor z = empty({batch, width}, o);
    choose(condition, x, y, z);
    return z;
  };
  // The gradient of the state after each step: gy, of rows that run, to which the step behind adds what it hands on.
  Tensor flows;
  if (gy.defined() && steps > 0) {
    flows = empty(gy.sizes(), o);
    if (l.alive.defined())
      choose(detail::transpose(l.alive, 0, 1), gy, nothing, flows);
    else
      copy_(flows, gy);
    const Tensor last = l.at(flows, l.step(steps - 1));
    added(g.h, last), g.h = last;
  }
  for (std::int64_t i = steps - 1; i >= 0; --i) {
    const std::int64_t t = l.step(i);
    const Tensor gi_t = l.at(g.gi, t), gh_t = l.at(g.gh, t), h = l.before(l.states, l.h0, i);
    const Tensor alive = l.alive.defined() ? detail::select(l.alive, 0, t) : Tensor();
    Tensor flow = g.h, cell_flow = g.c, passed, cell_passed;
    if (alive.defined()) {  // a row that has ended hands its gradient on
      passed = chosen(alive, nothing, flow), flow = chosen(alive, flow, nothing);
      if (l.cell.lstm) cell_passed = chosen(alive, nothing, cell_flow), cell_flow = chosen(alive, cell_flow, nothing);
    }
    const bool onto = flows.defined() && i > 0;
    const Tensor back = onto ? l.at(flows, l.step(i - 1)) : empty({batch, width}, o);
    if (l.cell.lstm) {
      g.c = empty({batch, width}, o);
      kernels::lstm_gates_backward(
          o.device, {flow, cell_flow, l.before(l.c, l.c0, i), l.at(l.c, t), l.at(l.saved, t), gi_t, g.c});
    } else if (l.cell.gru) {
      kernels::gru_gates_backward(o.device, {flow, h, l.at(l.saved, t), gi_t, gh_t, back, onto ? 1. : 0.});
    } else {
      const Tensor y = l.at(l.states, t);
      (l.cell.relu ? kernels::relu_backward : kernels::tanh_backward)(o.device, {flow, y, y, gi_t});
    }
    product(gh_t, l.weight, {}, back, false, l.cell.gru || onto ? 1 : 0);
    g.h = back;
    if (alive.defined()) {
      added(passed, g.h);
      if (l.cell.lstm) added(cell_passed, g.c);
    }
  }
}

LayerGradients backward(const Layer& l, const Tensor& gy, const Tensor& gh_end, const Tensor& gc_end) {
  const TensorOptions o = l.y.options();
  LayerGradients g;
  g.gi = empty({l.y.size(0), l.steps(), l.weight.size(0)}, o);
  g.gh = l.cell.gru ? empty_like(g.gi) : g.gi;
  g.h = empty_like(l.h0);
  if (l.cell.lstm) g.c = empty_like(l.h0);
  bool done = false;
  kernels::rnn_sequence_backward(o.device, {l.cell.kind, l.reverse, l.weight, l.h0, l.c0, l.alive, l.states, l.c,
                                            l.saved, gy, gh_end, gc_end, g.gi, g.gh, g.h, g.c, &done});
  if (!done) backward_by_steps(l, gy, gh_end, gc_end, g);
  return g;
}

// The state before each step: [B, T, H].
Tensor states_before(const Layer& l) {
  const std::int64_t steps = l.steps();
  const Tensor start = detail::unsqueeze(l.h0, 1), rest = detail::narrow(l.states, 1, l.reverse ? 1 : 0, steps - 1);
  return l.reverse ? cat({rest, start}, 1) : cat({start, rest}, 1);
}

struct SavedLayer {
  Layer layer;
  Saved weight, h0, c0, y, c, saved, states;

  explicit SavedLayer(const Layer& l)
      : layer{l.cell, {}, {}, {}, {}, l.alive, l.reverse, {}, {}, {}, {}, {}, {}},
        weight(save(l.weight, "weight_hh")),
        h0(save(l.h0, "h0")),
        c0(save(l.c0, "c0")),
        y(save(l.y, "y")),
        c(save(l.c, "c")),
        saved(save(l.saved, "gates")),
        states(save(l.states, "states")) {}
  Layer get() const {
    Layer l = layer;
    l.weight = weight.get(), l.h0 = h0.get(), l.c0 = c0.get();
    l.y = y.get(), l.c = c.get(), l.saved = saved.get(), l.states = states.get();
    return l;
  }
};

// Inputs of the node: gi, W_hh, b_hh, h0, c0. Outputs: y, the last h, the last c.
void run_layer(Layer& l, const Tensor& gi) {
  forward(l, gi);
  const Tensor* inputs[] = {&gi, &l.weight, &l.bias, &l.h0, &l.c0};
  const Tensor* outputs[] = {&l.y, &l.h_end, &l.c_end};
  record(l.cell.name, std::span<const Tensor* const>(outputs, l.cell.lstm ? 3 : 2),
         std::span<const Tensor* const>(inputs), [kept = SavedLayer(l)](const Tensor&, Grads& g) {
           const Layer layer = kept.get();
           TD_CHECK(!g.graph(), TapeError, layer.cell.name,
                    ": this rule has no second form; gradients of gradients cannot pass it");
           const auto incoming = [&](int i) {
             return g.out(i).defined() ? detail::rows_contiguous(g.out(i)) : Tensor();
           };
           const LayerGradients d = backward(layer, incoming(0), incoming(1), layer.cell.lstm ? incoming(2) : Tensor());
           g.give(0, d.gi);
           const std::int64_t rows = layer.y.numel() / std::max<std::int64_t>(1, layer.h0.size(1));
           const Tensor flat = detail::try_reshape(d.gh, {rows, d.gh.size(2)});
           if (g.wants(1)) {
             if (rows == 0) {
               g.give(1, zeros_like(layer.weight));
             } else {
               const auto [buffer, beta] = g.into(1);
               const Tensor h = detail::try_reshape(detail::packed(states_before(layer)), {rows, layer.h0.size(1)});
               product(detail::transpose(flat, 0, 1), h, {}, buffer, false, beta);
             }
           }
           if (g.wants(2)) g.give(2, sum(flat, {0}));
           g.give(3, d.h);
           if (layer.cell.lstm) g.give(4, d.c);
         });
}

// ---- a layer by one kernel ------------------------------------------------------------------------------------------
struct SavedWhole {
  kernels::RnnCell cell;
  Saved x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, y, kept;
};

void whole_gradients(const SavedWhole& l, Grads& g) {
  const Tensor &x = l.x.get(), &y = l.y.get();
  const auto incoming = [&](int i) { return g.out(i).defined() ? detail::packed(g.out(i)) : Tensor(); };
  const Tensor gy = g.out(0).defined() ? incoming(0) : zeros_like(y), gh_end = incoming(1);
  const Tensor gc_end = l.cell == kernels::RnnCell::lstm ? incoming(2) : Tensor();
  Tensor made[7] = {empty_like(x)};  // in the order of the node's inputs
  for (int i = 1; i < 7; ++i)
    if (g.wants(i)) made[i] = empty(g.shape(i), x.options());
  kernels::rnn_layer_backward(x.device(), {l.cell,
                                           x,
                                           l.weight_ih.get(),
                                           l.weight_hh.get(),
                                           l.bias_ih.get(),
                                           l.bias_hh.get(),
                                           l.h0.get(),
                                           l.c0.get(),
                                           y,
                                           l.kept.get(),
                                           gy,
                                           gh_end,
                                           gc_end,
                                           made[0],
                                           made[1],
                                           made[2],
                                           made[3],
                                           made[4],
                                           made[5],
                                           made[6]});
  for (int i = 0; i < 7; ++i)
    if (made[i].defined()) g.give(i, made[i]);
}

// Inputs of the node: x, W_ih, W_hh, b_ih, b_hh, h0, c0. Outputs: y, the last h, the last c. False: there is no such
// kernel for it, and nothing is done.
bool run_whole(Layer& l, const Tensor& input, const Tensor& weight_ih, const Tensor& bias_ih) {
  std::int64_t keeps = -1;
  kernels::RnnLayerArgs a;
  a.cell = l.cell.kind, a.reverse = l.reverse, a.ends = l.alive.defined();
  a.x = input, a.weight_ih = weight_ih, a.weight_hh = l.weight, a.h0 = l.h0;
  a.keeps = &keeps;
  kernels::rnn_layer(input.device(), a);
  if (keeps < 0) return false;
  const TensorOptions o = input.options();
  const Tensor x = detail::packed(input);
  const Tensor* inputs[] = {&x, &weight_ih, &l.weight, &bias_ih, &l.bias, &l.h0, &l.c0};
  const Tensor kept = record_wanted(inputs) ? empty({keeps}, {DType::u8, o.device}) : Tensor();
  l.y = empty({x.size(0), x.size(1), l.h0.size(1)}, o), l.h_end = empty_like(l.h0);
  if (l.cell.lstm) l.c_end = empty_like(l.c0);
  a.x = x, a.bias_ih = bias_ih, a.bias_hh = l.bias, a.c0 = l.c0, a.y = l.y, a.h_end = l.h_end, a.c_end = l.c_end;
  a.kept = kept, a.keeps = nullptr;
  kernels::rnn_layer(x.device(), a);
  inputs[0] = &input;
  const Tensor* outputs[] = {&l.y, &l.h_end, &l.c_end};
  record(
      l.cell.name, std::span<const Tensor* const>(outputs, l.cell.lstm ? 3 : 2), std::span<const Tensor* const>(inputs),
      [name = l.cell.name,
       saved = SavedWhole{l.cell.kind, save(x, "x"), save(weight_ih, "weight_ih"), save(l.weight, "weight_hh"),
                          save(bias_ih, "bias_ih"), save(l.bias, "bias_hh"), save(l.h0, "h0"), save(l.c0, "c0"),
                          save(l.y, "y"), save(kept, "gates")}](const Tensor&, Grads& g) {
        TD_CHECK(!g.graph(), TapeError, name, ": this rule has no second form; gradients of gradients cannot pass it");
        whole_gradients(saved, g);
      });
  return true;
}

// ---- the public functions -------------------------------------------------------------------------------------------
void check_state(const char* op, const char* name, const Tensor& s, const Tensor& x, const Shape& shape) {
  if (!s.defined()) return;
  detail::check_same(op, "x", x, name, s);
  TD_CHECK(s.sizes() == shape, ShapeError, op, ": ", name, " must be ", to_string(shape),
           " (layers x directions, batch, state)", arg(name, s), arg("x", x));
}

struct Checked {
  std::int64_t width = 0;  // of the state
  Tensor alive;
};

Checked check(const Cell& cell, const Tensor& x, const std::vector<Tensor>& weights, const RnnOptions& o) {
  const char* op = cell.name;
  detail::check_real(op, x);
  TD_CHECK(x.dim() == 3, ShapeError, op, ": x must be [batch, time, channels]", arg("x", x));
  TD_CHECK(o.num_layers >= 1 && o.num_layers <= 1000, ValueError, op, ": num_layers must be 1 to 1000, got ",
           o.num_layers);
  TD_CHECK(o.dropout >= 0 && o.dropout <= 1, ValueError, op, ": dropout must be 0 to 1, got ", o.dropout);
  const int directions = o.bidirectional ? 2 : 1;
  const auto need = static_cast<std::size_t>(4 * o.num_layers * directions);
  TD_CHECK(weights.size() == need, ValueError, op, ": needs ", need,
           " weights (weight_ih, weight_hh, bias_ih, bias_hh for each layer and direction), got ", weights.size());
  Checked result;
  for (std::size_t k = 0; k < need; k += 4) {
    const Tensor &ih = weights[k], &hh = weights[k + 1];
    detail::check_same(op, "x", x, "weight_ih", ih), detail::check_same(op, "x", x, "weight_hh", hh);
    TD_CHECK(hh.dim() == 2 && hh.size(1) >= 1 && hh.size(0) == cell.gates * hh.size(1), ShapeError, op,
             ": weight_hh must be [", cell.gates, " x state, state]", arg("weight_hh", hh));
    if (k == 0) result.width = hh.size(1);
    const std::int64_t in = k < 4 * static_cast<std::size_t>(directions) ? x.size(2) : result.width * directions;
    const Shape want_ih{cell.gates * result.width, in}, want_hh{cell.gates * result.width, result.width};
    TD_CHECK(ih.sizes() == want_ih && hh.sizes() == want_hh, ShapeError, op, ": weights of layer ",
             k / 4 / static_cast<std::size_t>(directions), " must be ", to_string(want_ih), " and ", to_string(want_hh),
             arg("weight_ih", ih), arg("weight_hh", hh), arg("x", x));
    for (const std::size_t b : {k + 2, k + 3}) {
      if (!weights[b].defined()) continue;
      detail::check_same(op, "x", x, "bias", weights[b]);
      TD_CHECK(weights[b].sizes() == Shape({cell.gates * result.width}), ShapeError, op, ": a bias must be [",
               cell.gates * result.width, "]", arg("bias", weights[b]));
    }
  }
  if (o.lengths.defined()) {
    TD_CHECK(o.lengths.dim() == 1 && o.lengths.size(0) == x.size(0), ShapeError, op, ": lengths must be [", x.size(0),
             "]", arg("lengths", o.lengths), arg("x", x));
    detail::check_index(op, "lengths", o.lengths, x.size(1) + 1);
    std::vector<std::int64_t> steps(static_cast<std::size_t>(x.size(1)));
    for (std::size_t t = 0; t < steps.size(); ++t) steps[t] = static_cast<std::int64_t>(t);
    const Tensor time = tensor(steps, {x.size(1), 1}).to(x.device());
    result.alive = unsqueeze(lt(time, unsqueeze(detach(o.lengths), 0)), 2);
  }
  return result;
}

LstmResult run(const Cell& cell, const Tensor& x, const Tensor& h0, const Tensor& c0,
               const std::vector<Tensor>& weights, const RnnOptions& o) {
  return composed(cell.name, [&] {
    const Checked checked = check(cell, x, weights, o);
    const int directions = o.bidirectional ? 2 : 1, all = o.num_layers * directions;
    const Shape states{all, x.size(0), checked.width};
    check_state(cell.name, "h0", h0, x, states), check_state(cell.name, "c0", c0, x, states);
    const auto initial = [&](const Tensor& s, int i) {
      return s.defined() ? contiguous(select(s, 0, i)) : zeros({x.size(0), checked.width}, x.options());
    };
    // What lies behind the end of a row is zeros from here on, whatever it was: 0 * NaN would reach the gradients.
    Tensor input = checked.alive.defined() ? where(transpose(checked.alive, 0, 1), x, 0) : x;
    std::vector<Tensor> h_ends, c_ends;
    for (int layer = 0; layer < o.num_layers; ++layer) {
      std::vector<Tensor> outputs;
      for (int d = 0; d < directions; ++d) {
        const int i = layer * directions + d;
        const Tensor* w = &weights[static_cast<std::size_t>(4 * i)];
        Layer l{
            cell, w[1], w[3], initial(h0, i), cell.lstm ? initial(c0, i) : Tensor(), checked.alive, d == 1, {}, {}, {},
            {},   {},   {}};
        if (!run_whole(l, input, w[0], w[2])) run_layer(l, linear(input, w[0], w[2]));
        outputs.push_back(l.y), h_ends.push_back(l.h_end), c_ends.push_back(l.c_end);
      }
      input = directions == 1 ? outputs[0] : cat(outputs, 2);
      if (o.dropout > 0 && o.training && layer + 1 < o.num_layers) input = dropout(input, o.dropout);
    }
    return LstmResult{input, stack(h_ends), cell.lstm ? stack(c_ends) : Tensor()};
  });
}

}  // namespace

RnnResult rnn(const Tensor& x, const Tensor& h0, const std::vector<Tensor>& weights, RnnNonlinearity nonlinearity,
              const RnnOptions& options) {
  auto [y, h, c] = run(nonlinearity == RnnNonlinearity::relu ? kRelu : kTanh, x, h0, {}, weights, options);
  return {y, h};
}

RnnResult gru(const Tensor& x, const Tensor& h0, const std::vector<Tensor>& weights, const RnnOptions& options) {
  auto [y, h, c] = run(kGru, x, h0, {}, weights, options);
  return {y, h};
}

LstmResult lstm(const Tensor& x, const Tensor& h0, const Tensor& c0, const std::vector<Tensor>& weights,
                const RnnOptions& options) {
  return run(kLstm, x, h0, c0, weights, options);
}

}  // namespace tapedeck
