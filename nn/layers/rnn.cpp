#include <tapedeck/nn/layers/rnn.h>
#include <tapedeck/nn/layers/types.h>

#include <string>

namespace tapedeck::nn {

template <class C>
Recurrent<C>::Recurrent(C config) : Configured<C>(std::move(config)) {
  const C& c = this->config();
  const Init start = init::fan_in_uniform(c.hidden_size);
  const std::int64_t gates = C::gates * c.hidden_size, directions = c.bidirectional ? 2 : 1;
  for (int layer = 0; layer < c.num_layers; ++layer) {
    const std::int64_t in = layer == 0 ? c.input_size : directions * c.hidden_size;
    for (const char* way : {"", "_reverse"}) {
      if (*way && !c.bidirectional) continue;
      const std::string end = "_l" + std::to_string(layer) + way;
      weights_.push_back(this->parameter("weight_ih" + end, {gates, in}, start));
      weights_.push_back(this->parameter("weight_hh" + end, {gates, c.hidden_size}, start));
      for (const char* of : {"bias_ih", "bias_hh"})
        weights_.push_back(c.bias ? this->parameter(of + end, {gates}, start, "bias") : Param());
    }
  }
}
template <class C>
std::vector<Tensor> Recurrent<C>::weights() const {
  return {weights_.begin(), weights_.end()};
}
template <class C>
RnnOptions Recurrent<C>::options(const Tensor& lengths) const {
  const C& c = this->config();
  return {c.num_layers, c.bidirectional, c.dropout, this->training(), lengths};
}

RnnResult RNN::forward(const Tensor& x, const Tensor& h0, const Tensor& lengths) {
  return rnn(x, h0, weights(), config().nonlinearity, options(lengths));
}
RnnResult GRU::forward(const Tensor& x, const Tensor& h0, const Tensor& lengths) {
  return gru(x, h0, weights(), options(lengths));
}
LstmResult LSTM::forward(const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& lengths) {
  return lstm(x, h0, c0, weights(), options(lengths));
}

template <class C>
RecurrentCell<C>::RecurrentCell(C config) : Configured<C, Module>(std::move(config)) {
  const C& c = this->config();
  const Init start = init::fan_in_uniform(c.hidden_size);
  const std::int64_t gates = C::gates * c.hidden_size;
  weight_ih = this->parameter("weight_ih", {gates, c.input_size}, start);
  weight_hh = this->parameter("weight_hh", {gates, c.hidden_size}, start);
  if (!c.bias) return;
  bias_ih = this->parameter("bias_ih", {gates}, start, "bias");
  bias_hh = this->parameter("bias_hh", {gates}, start, "bias");
}
template <class C>
Tensor RecurrentCell<C>::step(const Tensor& x) const {
  TD_CHECK(x.defined() && x.dim() == 2, ShapeError, C::type_name, ": x must be [batch, ", this->config().input_size,
           "]", arg("x", x));
  return unsqueeze(x, 1);
}
template <class C>
Tensor RecurrentCell<C>::state(const Tensor& h) const {
  return h.defined() ? unsqueeze(h, 0) : h;
}

Tensor RNNCell::forward(const Tensor& x, const Tensor& h) {
  return select(rnn(step(x), state(h), weights(), config().nonlinearity).h, 0, 0);
}
Tensor GRUCell::forward(const Tensor& x, const Tensor& h) { return select(gru(step(x), state(h), weights()).h, 0, 0); }
std::pair<Tensor, Tensor> LSTMCell::forward(const Tensor& x, const Tensor& h, const Tensor& c) {
  const LstmResult r = lstm(step(x), state(h), state(c), weights());
  return {select(r.h, 0, 0), select(r.c, 0, 0)};
}

template class Recurrent<RNNConfig>;
template class Recurrent<GRUConfig>;
template class Recurrent<LSTMConfig>;
template class RecurrentCell<RNNCellConfig>;
template class RecurrentCell<GRUCellConfig>;
template class RecurrentCell<LSTMCellConfig>;

std::vector<ModuleType> rnn_types() {
  const std::string x = "x [batch, time, input_size]", h = "h [num_layers, batch, hidden_size]",
                    y = " -> [batch, time, hidden_size], " + h;
  const std::string step = "x [batch, input_size]", state = "h [batch, hidden_size]";
  const Sample steps = reals({2, 5, 3}), states = reals({2, 2, 4});
  return {
      layer<RNN>({.input_size = 3, .hidden_size = 4, .num_layers = 2}, x + ", " + h + y, {steps, states}),
      layer<GRU>({.input_size = 3, .hidden_size = 4, .num_layers = 2}, x + ", " + h + y, {steps, states}),
      layer<LSTM>({.input_size = 3, .hidden_size = 4, .num_layers = 2},
                  x + ", " + h + ", c [num_layers, batch, hidden_size]" + y + ", c [num_layers, batch, hidden_size]",
                  {steps, states, states}),
      layer<RNNCell>({.input_size = 3, .hidden_size = 4}, step + ", " + state + " -> [batch, hidden_size]",
                     {reals({2, 3}), reals({2, 4})}),
      layer<GRUCell>({.input_size = 3, .hidden_size = 4}, step + ", " + state + " -> [batch, hidden_size]",
                     {reals({2, 3}), reals({2, 4})}),
      layer<LSTMCell>({.input_size = 3, .hidden_size = 4},
                      step + ", " + state + ", c [batch, hidden_size] -> " + state + ", c [batch, hidden_size]",
                      {reals({2, 3}), reals({2, 4}), reals({2, 4})}),
  };
}

}  // namespace tapedeck::nn
