// Recurrent layers over [batch, time, channels], and their cells. Gate order r z n and i f g o, as PyTorch's.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/dropout.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

#include <utility>
#include <vector>

namespace tapedeck {
constexpr auto names(RnnNonlinearity*) {
  return io::enum_names<RnnNonlinearity>({{RnnNonlinearity::tanh, "tanh"}, {RnnNonlinearity::relu, "relu"}});
}
// What hooks see of the results.
void visit_tensors(RnnResult& r, auto& f) { f(r.output), f(r.h); }
void visit_tensors(LstmResult& r, auto& f) { f(r.output), f(r.h), f(r.c); }
}  // namespace tapedeck

namespace tapedeck::nn {

struct RNNConfig {
  std::int64_t input_size = 1, hidden_size = 1;
  int num_layers = 1;
  bool bias = true;
  double dropout = 0;
  bool bidirectional = false;
  RnnNonlinearity nonlinearity = RnnNonlinearity::tanh;
  static constexpr int gates = 1;
  static constexpr const char* type_name = "RNN";
  static constexpr io::Doc doc{"h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu, step by step.", "Elman 1990"};
  static constexpr void fields(auto&& f) {
    recurrent_fields<RNNConfig>(f);
    f("nonlinearity", &RNNConfig::nonlinearity, io::Meta{.help = "of the state"});
  }
  template <class C>
  static constexpr void recurrent_fields(auto& f) {
    f("input_size", &C::input_size, positive("input channels"));
    f("hidden_size", &C::hidden_size, positive("width of the state"));
    f("num_layers", &C::num_layers, io::Meta{.min = 1, .max = 1024, .help = "layers, each on top of the other"});
    f("bias", &C::bias, io::Meta{.help = "add learned constants"});
    f("dropout", &C::dropout, probability("of a zero between layers, while training"));
    f("bidirectional", &C::bidirectional, io::Meta{.help = "a second state runs from the end"});
  }
};
struct GRUConfig {
  std::int64_t input_size = 1, hidden_size = 1;
  int num_layers = 1;
  bool bias = true;
  double dropout = 0;
  bool bidirectional = false;
  static constexpr int gates = 3;
  static constexpr const char* type_name = "GRU";
  static constexpr io::Doc doc{"A state with gates: h = (1 - z) n + z h, n = tanh(W_in x + b_in + r (W_hn h + b_hn)).",
                               "Cho et al. 2014"};
  static constexpr void fields(auto&& f) { RNNConfig::recurrent_fields<GRUConfig>(f); }
};
struct LSTMConfig {
  std::int64_t input_size = 1, hidden_size = 1;
  int num_layers = 1;
  bool bias = true;
  double dropout = 0;
  bool bidirectional = false;
  static constexpr int gates = 4;
  static constexpr const char* type_name = "LSTM";
  static constexpr io::Doc doc{"A state behind gates: c = f c + i g, h = o tanh(c).",
                               "Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000"};
  static constexpr void fields(auto&& f) { RNNConfig::recurrent_fields<LSTMConfig>(f); }
};

// Declares weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, then those of "_l0_reverse", "_l1", …
template <class C>
class Recurrent : public Configured<C> {
 public:
  explicit Recurrent(C config);
  std::vector<Tensor> weights() const;  // in the order that the ops take
  RnnOptions options(const Tensor& lengths) const;

 private:
  std::vector<Param> weights_;
};

// As layers they give their outputs [batch, time, directions * hidden]; with states [layers * directions, batch,
// hidden] (undefined: zeros) they give the last states as well. lengths i64 [batch]: rows end earlier, and what follows
// in x is not read.
class RNN : public Recurrent<RNNConfig>, public Callable<RNN> {
 public:
  explicit RNN(RNNConfig config = {}) : Recurrent(config) {}
  using Callable<RNN>::operator();
  Tensor forward(const Tensor& x) override { return forward(x, {}).output; }
  RnnResult forward(const Tensor& x, const Tensor& h0, const Tensor& lengths = {});
};
class GRU : public Recurrent<GRUConfig>, public Callable<GRU> {
 public:
  explicit GRU(GRUConfig config = {}) : Recurrent(config) {}
  using Callable<GRU>::operator();
  Tensor forward(const Tensor& x) override { return forward(x, {}).output; }
  RnnResult forward(const Tensor& x, const Tensor& h0, const Tensor& lengths = {});
};
class LSTM : public Recurrent<LSTMConfig>, public Callable<LSTM> {
 public:
  explicit LSTM(LSTMConfig config = {}) : Recurrent(config) {}
  using Callable<LSTM>::operator();
  Tensor forward(const Tensor& x) override { return forward(x, {}, {}).output; }
  LstmResult forward(const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& lengths = {});
};

struct RNNCellConfig {
  std::int64_t input_size = 1, hidden_size = 1;
  bool bias = true;
  RnnNonlinearity nonlinearity = RnnNonlinearity::tanh;
  static constexpr int gates = 1;
  static constexpr const char* type_name = "RNNCell";
  static constexpr io::Doc doc{"One step of RNN.", "Elman 1990"};
  static constexpr void fields(auto&& f) {
    cell_fields<RNNCellConfig>(f);
    f("nonlinearity", &RNNCellConfig::nonlinearity, io::Meta{.help = "of the state"});
  }
  template <class C>
  static constexpr void cell_fields(auto& f) {
    f("input_size", &C::input_size, positive("input channels"));
    f("hidden_size", &C::hidden_size, positive("width of the state"));
    f("bias", &C::bias, io::Meta{.help = "add learned constants"});
  }
};
struct GRUCellConfig {
  std::int64_t input_size = 1, hidden_size = 1;
  bool bias = true;
  static constexpr int gates = 3;
  static constexpr const char* type_name = "GRUCell";
  static constexpr io::Doc doc{"One step of GRU.", "Cho et al. 2014"};
  static constexpr void fields(auto&& f) { RNNCellConfig::cell_fields<GRUCellConfig>(f); }
};
struct LSTMCellConfig {
  std::int64_t input_size = 1, hidden_size = 1;
  bool bias = true;
  static constexpr int gates = 4;
  static constexpr const char* type_name = "LSTMCell";
  static constexpr io::Doc doc{"One step of LSTM.", "Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000"};
  static constexpr void fields(auto&& f) { RNNCellConfig::cell_fields<LSTMCellConfig>(f); }
};
// One step: x [batch, in] and states [batch, hidden] (undefined: zeros) -> the next states.
template <class C>
class RecurrentCell : public Configured<C, Module> {
 public:
  explicit RecurrentCell(C config);
  Param weight_ih, weight_hh, bias_ih, bias_hh;

 protected:
  std::vector<Tensor> weights() const { return {weight_ih, weight_hh, bias_ih, bias_hh}; }
  Tensor step(const Tensor& x) const;   // x as one step of time; ShapeError unless it is [batch, in]
  Tensor state(const Tensor& h) const;  // as that of one layer
};
class RNNCell : public RecurrentCell<RNNCellConfig>, public Callable<RNNCell> {
 public:
  explicit RNNCell(RNNCellConfig config = {}) : RecurrentCell(config) {}
  Tensor forward(const Tensor& x, const Tensor& h = {});
};
class GRUCell : public RecurrentCell<GRUCellConfig>, public Callable<GRUCell> {
 public:
  explicit GRUCell(GRUCellConfig config = {}) : RecurrentCell(config) {}
  Tensor forward(const Tensor& x, const Tensor& h = {});
};
class LSTMCell : public RecurrentCell<LSTMCellConfig>, public Callable<LSTMCell> {
 public:
  explicit LSTMCell(LSTMCellConfig config = {}) : RecurrentCell(config) {}
  std::pair<Tensor, Tensor> forward(const Tensor& x, const Tensor& h = {}, const Tensor& c = {});
};

}  // namespace tapedeck::nn
