#include <tapedeck/nn/infer_rules.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace tapedeck::nn {
namespace {

using io::Node;
using Names = std::vector<std::string>;

Node typed(const char* type, std::vector<Node::Member> members) {
  members.insert(members.begin(), {"type", Node(type)});
  return Node::object(std::move(members));
}
Node list(const Shape& s, int from = 0) {
  Node out = Node::array();
  for (int d = from; d < s.rank(); ++d) out.push(s[d]);
  return out;
}
bool is_rank(const Shape* s, int rank) { return s != nullptr && s->rank() == rank; }

bool sounds_like_a_table(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* hint : {"emb", "token", "wte", "wpe", "codebook", "table", "lookup", "input"})
    if (name.find(hint) != std::string::npos) return true;
  return false;
}

// ---- layers of one weight and a bias --------------------------------------------------------------------------------

void convolutions(std::vector<Guess>& out, const Shape& w, const Shape* bias) {
  static constexpr const char* kForward[] = {"Conv1d", "Conv2d", "Conv3d"};
  static constexpr const char* kBack[] = {"ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"};
  const int n = w.rank() - 3;
  const Node kernel = n == 0 ? Node(w[2]) : list(w, 2);
  const Guess forward{
      typed(kForward[n],
            {{"in_channels", w[1]}, {"out_channels", w[0]}, {"kernel_size", kernel}, {"bias", bias != nullptr}}),
      {},
      {"stride", "dilation", "padding", "pad", "padding_mode", "groups (and so in_channels)"}};
  const Guess back{
      typed(kBack[n],
            {{"in_channels", w[0]}, {"out_channels", w[1]}, {"kernel_size", kernel}, {"bias", bias != nullptr}}),
      {},
      {"stride", "dilation", "pad", "output_padding", "groups (and so out_channels)"}};
  const auto with = [](Guess guess, Names also) {
    guess.also = std::move(also);
    return guess;
  };
  const bool either = bias == nullptr || (*bias == Shape{w[0]} && w[0] == w[1]);
  Names also;
  if (either) also.push_back(kBack[n]);
  if (n == 0) also.push_back("Bilinear");
  out.push_back(with(forward, also));
  out.push_back(back);
  if (bias != nullptr && w[1] > 0 && (*bias)[0] > w[1] && (*bias)[0] % w[1] == 0) {  // the bias shows the groups
    Guess groups = back;
    groups.hparams["out_channels"] = (*bias)[0], groups.hparams["groups"] = (*bias)[0] / w[1];
    groups.unknown.pop_back();
    out.push_back(std::move(groups));
  }
}

void weight_and_bias(std::vector<Guess>& out, const Branch& b, const std::string& name) {
  const Shape *w = b.tensor("weight"), *bias = b.tensor("bias");
  if (w == nullptr || (bias != nullptr && bias->rank() != w->rank() && bias->rank() != 1)) return;
  const Node affine(true);
  if (bias != nullptr && *w == *bias) {
    Names also{"GroupNorm", "BatchNorm without statistics", "InstanceNorm"};
    if (w->rank() != 1) also.clear();
    out.push_back({typed("LayerNorm", {{"normalized_shape", list(*w)}}), also, {"eps"}});
  }
  if (w->rank() == 1 && bias == nullptr) {
    const Guess slope{typed("PReLU", {{"num_parameters", (*w)[0]}}), {"RMSNorm", "LayerNorm without bias"}, {}};
    const Guess norm{typed("RMSNorm", {{"normalized_shape", list(*w)}}), {"LayerNorm without bias", "PReLU"}, {"eps"}};
    const bool one = (*w)[0] == 1;
    out.push_back(one ? slope : norm), out.push_back(one ? norm : slope);
  }
  if (w->rank() == 2) {
    const Guess linear{
        typed("Linear", {{"in_features", (*w)[1]}, {"out_features", (*w)[0]}, {"bias", bias != nullptr}}),
        bias != nullptr ? Names{} : Names{"Embedding", "EmbeddingBag", "LearnedPositions", "RMSNorm"},
        {}};
    const Guess table{typed("Embedding", {{"num_embeddings", (*w)[0]}, {"embedding_dim", (*w)[1]}}),
                      {"Linear without bias", "EmbeddingBag", "LearnedPositions", "RMSNorm"},
                      {"padding_idx", "max_norm", "norm_type", "scale_grad_by_freq"}};
    const bool first = bias == nullptr && sounds_like_a_table(name);
    out.push_back(first ? table : linear), out.push_back(first ? linear : table);
  }
  if (w->rank() >= 3 && w->rank() <= 5) convolutions(out, *w, bias);
  if (w->rank() > 1 && bias == nullptr)
    out.push_back({typed("RMSNorm", {{"normalized_shape", list(*w)}}), {"LayerNorm without bias"}, {"eps"}});
}

void statistics(std::vector<Guess>& out, const Branch& b) {
  const Shape* mean = b.tensor("running_mean");
  if (!is_rank(mean, 1)) return;
  const bool affine = b.tensor("weight") != nullptr;
  out.push_back(
      {typed("BatchNorm", {{"num_features", (*mean)[0]}, {"affine", affine}}), {"InstanceNorm"}, {"eps", "momentum"}});
}

// ---- recurrent layers -----------------------------------------------------------------------------------------------

const char* by_gates(const Shape& hh, const char* one, const char* three, const char* four) {
  for (const auto& [gates, type] : {std::pair(1, one), std::pair(3, three), std::pair(4, four)})
    if (hh[1] > 0 && hh[0] % hh[1] == 0 && hh[0] / hh[1] == gates) return type;
  return nullptr;
}

void recurrent(std::vector<Guess>& out, const Branch& b) {
  const Shape *ih = b.tensor("weight_ih_l0"), *hh = b.tensor("weight_hh_l0");
  const bool layers = ih != nullptr;
  if (!layers) ih = b.tensor("weight_ih"), hh = b.tensor("weight_hh");
  if (!is_rank(ih, 2) || !is_rank(hh, 2)) return;
  const char* type = layers ? by_gates(*hh, "RNN", "GRU", "LSTM") : by_gates(*hh, "RNNCell", "GRUCell", "LSTMCell");
  if (type == nullptr) return;
  Guess guess{typed(type, {{"input_size", (*ih)[1]}, {"hidden_size", (*hh)[1]}}), {}, {}};
  if (layers) {
    std::int64_t n = 1;
    while (b.tensor("weight_ih_l" + std::to_string(n))) ++n;
    guess.hparams["num_layers"] = n;
    guess.hparams["bidirectional"] = b.tensor("weight_ih_l0_reverse") != nullptr;
    guess.unknown.push_back("dropout");
  }
  guess.hparams["bias"] = b.tensor(layers ? "bias_ih_l0" : "bias_ih") != nullptr;
  if (std::string_view(type).starts_with("RNN")) guess.unknown.push_back("nonlinearity");
  out.push_back(std::move(guess));
}

// ---- other parameters by name ---------------------------------------------------------------------------------------

void learned_activations(std::vector<Guess>& out, const Branch& b) {
  const auto channels = [](const Shape& s) { return std::pair<std::string, Node>("channels", s[0]); };
  if (const Shape* s = b.tensor("alpha"); is_rank(s, 1)) out.push_back({typed("Snake", {channels(*s)}), {}, {"kind"}});
  if (const Shape* s = b.tensor("psi"); is_rank(s, 1))
    out.push_back({typed("PhaseActivation", {channels(*s)}), {}, {"kind"}});
  if (const Shape* s = b.tensor("scale"); is_rank(s, 1)) {
    const bool rate = b.tensor("rate") != nullptr;
    out.push_back(
        {typed("ScaledActivation", {channels(*s), {"learned_static", true}, {"with_rate", rate}}), {}, {"kind"}});
  }
}

const Shape* weight_of(const Branch& b, const std::string& child) {
  const Branch* c = b.child(child);
  return c != nullptr ? c->tensor("weight") : nullptr;
}

void scaled_activation(std::vector<Guess>& out, const Branch& b) {
  if (const Shape* s = weight_of(b, "scale"); is_rank(s, 2)) {
    const bool rate = b.child("rate") != nullptr;
    out.push_back({typed("ScaledActivation", {{"channels", (*s)[0]}, {"with_rate", rate}}), {}, {"kind"}});
  }
}

void attention(std::vector<Guess>& out, const Branch& b) {
  const Shape* e = weight_of(b, "out_proj");
  if (!is_rank(e, 2)) return;
  Node node = typed("MultiheadAttention", {{"embed_dim", (*e)[0]}});
  node["bias"] = b.tensor("in_proj_bias") != nullptr;
  const Shape *k = b.tensor("k_proj_weight"), *v = b.tensor("v_proj_weight");
  if (is_rank(k, 2) && is_rank(v, 2)) node["kdim"] = (*k)[1], node["vdim"] = (*v)[1];
  if (b.tensor("bias_k")) node["add_bias_kv"] = true;
  out.push_back({node, {}, {"num_heads", "dropout", "add_zero_attn"}});
}

void vector_mix(std::vector<Guess>& out, const Branch& b) {
  const Shape *vectors = b.tensor("vectors"), *w = weight_of(b, "proj");
  if (!is_rank(vectors, 2) || !is_rank(w, 2)) return;
  Guess guess{
      typed("VectorMix", {{"in", (*w)[1]}, {"hidden", (*vectors)[0]}, {"out", (*vectors)[1]}}), {}, {"activation"}};
  if ((*w)[0] == (*vectors)[0])
    guess.hparams["gate"] = Node();
  else
    guess.hparams["gate"] = "sigmoid", guess.unknown.push_back("gate");
  out.push_back(std::move(guess));
}

// ---- composites -----------------------------------------------------------------------------------------------------

std::size_t length(const Branch* list) { return list == nullptr ? 0 : list->children.size(); }

void transformer_layer(std::vector<Guess>& out, const Branch& b) {
  const Shape* w = weight_of(b, "linear1");
  if (!is_rank(w, 2) || !b.child("self_attn")) return;
  out.push_back({typed(b.child("multihead_attn") ? "TransformerDecoderLayer" : "TransformerEncoderLayer",
                       {{"d_model", (*w)[1]}, {"nhead", 1}, {"dim_feedforward", (*w)[0]}}),
                 {},
                 {"nhead", "dropout", "activation", "layer_norm_eps", "norm_first", "causal"}});
}

std::optional<Guess> transformer_stack(const Branch& b) {
  const Branch* layers = b.child("layers");
  const Branch* first = layers ? layers->child("0") : nullptr;
  std::vector<Guess> layer;
  if (first) transformer_layer(layer, *first);
  if (layer.empty()) return std::nullopt;
  Node inner = layer[0].hparams;
  const bool decoder = inner.at("type").string() == "TransformerDecoderLayer";
  inner.erase("type");
  return Guess{typed(decoder ? "TransformerDecoder" : "TransformerEncoder",
                     {{"layer", inner}, {"num_layers", length(layers)}, {"norm", b.child("norm") != nullptr}}),
               {},
               layer[0].unknown};
}

void transformers(std::vector<Guess>& out, const Branch& b) {
  transformer_layer(out, b);
  if (auto stack = transformer_stack(b)) out.push_back(std::move(*stack));
  const Branch *encoder = b.child("encoder"), *decoder = b.child("decoder");
  auto a = encoder ? transformer_stack(*encoder) : std::nullopt,
       c = decoder ? transformer_stack(*decoder) : std::nullopt;
  if (!a || !c) return;
  a->hparams.erase("type"), c->hparams.erase("type");
  out.push_back({typed("Transformer", {{"encoder", a->hparams}, {"decoder", c->hparams}}), {}, a->unknown});
}

void perceptron(std::vector<Guess>& out, const Branch& b) {
  const Branch* hidden = b.child("hidden");
  const Shape *first = hidden ? weight_of(*hidden, "0") : nullptr, *last = weight_of(b, "out");
  if (!is_rank(first, 2) || !is_rank(last, 2)) return;
  out.push_back({typed("MLP", {{"in", (*first)[1]},
                               {"hidden", (*first)[0]},
                               {"layers", length(hidden) - 1},
                               {"out", (*last)[0]},
                               {"min_temperature", Node()}}),
                 {},
                 {"activation", "dropout", "residual", "min_temperature (the last output may be one)"}});
}

// Kernels of a WaveNet's layers as blocks whose dilations stay below 2^30.
Node blocks_of(const std::vector<std::int64_t>& kernels) {
  Node blocks = Node::array();
  std::int64_t in_block = 0, dilation = 1;
  for (const std::int64_t kernel : kernels) {
    if (dilation > std::int64_t{1} << 30) blocks.push(in_block), in_block = 0, dilation = 1;
    dilation *= std::clamp<std::int64_t>(kernel, 1, 1 << 16), ++in_block;
  }
  blocks.push(in_block);
  return blocks;
}

void wavenet(std::vector<Guess>& out, const Branch& b) {
  const Branch *layers = b.child("layers"), *head = b.child("head"), *input = b.child("input");
  const Branch* hidden = head ? head->child("hidden") : nullptr;
  const Shape *into = hidden ? weight_of(*hidden, "0") : nullptr, *last = head ? weight_of(*head, "out") : nullptr;
  const Shape* table = input ? input->tensor("weight") : nullptr;
  const Shape* projection = input ? weight_of(*input, "1") : nullptr;
  const Branch* first = layers ? layers->child("0") : nullptr;
  if (!first || !is_rank(into, 2) || !is_rank(last, 2) || (!is_rank(table, 2) && !is_rank(projection, 2))) return;

  if (length(layers) > 4096) return;
  std::vector<std::int64_t> kernels;
  bool residual = false;
  for (std::size_t i = 0; i < length(layers); ++i) {
    const Branch* layer = layers->child(std::to_string(i));
    const Shape* w = layer ? weight_of(*layer, "conv") : nullptr;
    if (!is_rank(w, 3)) return;
    kernels.push_back((*w)[2]), residual = residual || layer->child("residual");
  }
  const std::int64_t width = table ? (*table)[1] : (*projection)[0];
  const Shape &conv = *weight_of(*first, "conv"), *skip = weight_of(*first, "skip");
  const std::int64_t channels = is_rank(skip, 3) ? (*skip)[1] : (*into)[1];
  if (conv[1] < 1) return;

  Names unknown{"blocks (where dilations start again)",
                "padding",
                "activation",
                "what gates it",
                "head.input_activation",
                "head.activation",
                "head.dropout"};
  std::int64_t classes = table ? (*table)[0] : (*projection)[1];
  Node node = typed("WaveNet", {});
  if (!table && classes == 1) {  // codes as numbers: the classes show at the end alone
    node["input"] = "linear";
    const std::int64_t n = (*last)[0];
    classes = n > 2 && ((n - 1) & (n - 2)) == 0 ? n - 1 : n;
    unknown.push_back("classes (one output may be the temperature)");
  } else if (!table) {
    node["input"] = "one_hot";
  }
  node["classes"] = classes;
  const bool alike = std::ranges::all_of(kernels, [&](std::int64_t k) { return k == kernels[0]; });
  node["kernel_sizes"] = Node::array();
  for (std::size_t i = 0; i < (alike ? 1 : kernels.size()); ++i) node["kernel_sizes"].push(kernels[i]);
  node["blocks"] = blocks_of(kernels);
  node["channels"] = channels;
  node["residual_channels"] = residual || width != channels ? Node(width) : Node();
  node["skip_channels"] = is_rank(skip, 3) ? Node((*skip)[0]) : Node();
  if (conv[0] == channels) node["gate"] = Node();
  node["bias"] = first->child("conv")->tensor("bias") != nullptr;
  node["groups"] = std::max<std::int64_t>(1, width / conv[1]);
  node["head"] = Node::object({{"hidden", (*into)[0]}, {"layers", length(hidden) - 1}});
  if ((*last)[0] == classes) {
    node["head"]["min_temperature"] = Node();
  } else {
    unknown.push_back("head.min_temperature");
  }
  out.push_back({node, {}, unknown});
}

}  // namespace

std::vector<Guess> guesses(const Branch& b, const std::string& name) {
  std::vector<Guess> out;
  if (b.children.empty()) {
    statistics(out, b);
    weight_and_bias(out, b, name);
    recurrent(out, b);
    learned_activations(out, b);
  } else {
    attention(out, b);
    scaled_activation(out, b);
    vector_mix(out, b);
    transformers(out, b);
    wavenet(out, b);
    perceptron(out, b);
  }
  return out;
}

}  // namespace tapedeck::nn
