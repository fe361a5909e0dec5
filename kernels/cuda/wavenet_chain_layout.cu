// Laying out a WaveNet for the kernel of wavenet_chain.h: host code alone.
#include <tapedeck/kernels/cuda/wavenet_kernel.h>
#include <tapedeck/kernels/cuda/wavenet_pack.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {
namespace {

// What a chain's layout depends on besides the network's widths.
struct Form {
  int channels = 0, layers = 0, critical = 0, helpers = 0, mail_at = 0, mail = 0;
};
template <class F>
Form form_as() {
  return {F::kChannels, F::kLayers, F::kCritical, F::kHelpers, F::kMailAt, F::kMailEnd + F::kFloats / 2};
}
Form form_of(int channels) { return channels == 64 ? form_as<Chain64>() : form_as<Chain32>(); }

// Everything but the weights themselves.
Network outline(const WaveNetGenerateArgs& a, const Choice& c) {
  const Sizes s = sizes_of(a);
  const Form f = form_of(s.in);
  Network n = network_of(a);
  n.blocks = n.cluster = c.blocks, n.groups = n.batch, n.streams = 1;
  n.threads = f.critical + f.helpers;
  n.most_layers = f.layers;
  // The skips of the last blocks would come too late behind their layers: all blocks share them.
  n.links = n.blocks - (n.blocks > 2 ? 2 : 1);
  n.tail = s.layers - first_layer(s.layers, n.blocks, n.links);
  n.h_row = head_row(a, n.blocks, f.critical);
  n.mail.skip = f.mail, n.mail.slice = n.mail.skip + s.skip;
  place_head(n.mail, a, n.mail.slice + (s.skip + n.blocks - 1) / n.blocks);
  int byte = f.mail_at;
  const auto room = [&](int bytes) {
    const int start = byte;
    byte += whole16(bytes);
    return start;
  };
  n.room.layers = 0, n.room.part = whole16(n.most_layers * static_cast<int>(sizeof(Layer)));
  n.room.x = n.room.mail = room(n.mail.total * 8);
  n.room.h = room(n.heads * n.h_row * 4);
  n.room.logits = room(n.width * 4);
  n.room.weights = n.room.total = byte;
  return n;
}

// weight(n, k) as threads hold it: thread t has its outputs[o] over the lanes' share of the inputs, eight lanes to an
// output. Returns where it lies, in float4: [output of the thread][float4 of the lane][thread].
int pack_held(Packer& pack, int channels, int threads, int outputs, const std::function<float(int, int)>& weight) {
  const int start = pack.here(), steps = channels / 32;
  pack.row(outputs * steps * threads * 4, [&](int i) {
    const int e = i % 4, t = i / 4 % threads, j = i / 4 / threads % steps, o = i / 4 / threads / steps;
    return weight(t / 8 * outputs + o, 4 * (8 * j + t % 8) + e);
  });
  return start;
}

}  // namespace

const char* refuses_chain(const WaveNetGenerateArgs& a) {
  const Sizes s = sizes_of(a);
  if (chain_layers(s.in) == 0 || s.channels != s.in) return "it does not have 32 or 64 channels";
  if (s.skip == 0) return "it has no skips";
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    const auto& l = a.layers[i];
    if (!l.gated || l.activation.slot != &kernels::tanh || l.gate.slot != &kernels::sigmoid)
      return "its gates are not tanh times sigmoid";
    if (i + 1 < a.layers.size() && !l.residual.weight.given()) return "a layer has no residual map";
    if (l.conv.sizes[2] < 2) return "a layer has one tap";
  }
  return nullptr;
}

int chain_least_shared(const WaveNetGenerateArgs& a, const Choice& c) { return outline(a, c).room.total; }

Built build_chain(const WaveNetGenerateArgs& a, const Choice& c) {
  const Sizes s = sizes_of(a);
  const Form f = form_of(s.in);
  const int wide = s.in;
  Built out = begun(a, outline(a, c));
  out.chain = wide;
  Network& n = out.net;

  // A layer works on x and y of the one before: u = W x + (W R) y with what else there is in its past. To the first
  // one the code's row of the table is y: R is the identity there, W stays out of x, which is zeros.
  const auto size = static_cast<std::size_t>(wide);
  std::vector<std::vector<float>> newest, mix;  // per layer [2 wide, wide]: f and g of a channel side by side
  std::vector<std::vector<float>> constant;     // [2 wide]: biases
  for (int l = 0; l < s.layers; ++l) {
    const auto& layer = a.layers[static_cast<std::size_t>(l)];
    const int tap = static_cast<int>(layer.conv.sizes[2]) - 1;
    std::vector<float> w(2 * size * size), m(2 * size * size), b(2 * size);
    for (int i = 0; i < 2 * wide; ++i) {
      float* const row = w.data() + static_cast<std::size_t>(i) * size;
      for (int k = 0; k < wide; ++k) row[k] = conv_weight(layer, tap, i, k);
      double sum = static_cast<double>(bias_of(layer.conv_bias, conv_row(layer, i)));
      if (l > 0) {
        const auto& before = a.layers[static_cast<std::size_t>(l) - 1].residual;
        std::vector<double> mixed(size, 0.0);
        for (int k = 0; k < wide; ++k) {
          const double scale = static_cast<double>(row[k]);
          sum += scale * static_cast<double>(bias_of(before.bias, k));
          for (int j = 0; j < wide; ++j)
            mixed[static_cast<std::size_t>(j)] += scale * static_cast<double>(at(before.weight, k, j));
        }
        for (int j = 0; j < wide; ++j)
          m[static_cast<std::size_t>(i) * size + static_cast<std::size_t>(j)] =
              static_cast<float>(mixed[static_cast<std::size_t>(j)]);
      }
      b[static_cast<std::size_t>(i)] = static_cast<float>(sum);
    }
    if (l == 0) m = w, w.assign(w.size(), 0.0f);
    newest.push_back(std::move(w)), mix.push_back(std::move(m)), constant.push_back(std::move(b));
  }
  const auto entry = [&](const std::vector<float>& v, int i, int k) {
    return v[static_cast<std::size_t>(i) * size + static_cast<std::size_t>(k)];
  };

  const int free = (c.shared - n.room.weights) / 16;  // float4
  const int tail = s.layers - n.tail;
  int most_resident = 0;
  std::int64_t state = 0;
  for (int b = 0; b < n.blocks; ++b) {
    Part& part = out.parts[static_cast<std::size_t>(b)];
    part.start = static_cast<std::int64_t>(out.weights.size() / 4);
    Packer pack(out.weights);
    const int from = first_layer(s.layers, n.blocks, b);
    part.layers = first_layer(s.layers, n.blocks, b + 1) - from;
    Layer* const mine = out.layers.data() + static_cast<std::size_t>(b) * static_cast<std::size_t>(n.most_layers);
    // Biases and the head, which everything waits for, then what is done behind; what registers hold comes last.
    for (int i = 0; i < part.layers; ++i) {
      const auto l = static_cast<std::size_t>(from + i);
      Layer& to = mine[i];
      to.in = to.channels = wide, to.gated = 1;
      to.taps = static_cast<int>(a.layers[l].conv.sizes[2]), to.dilation = static_cast<int>(a.layers[l].dilation);
      to.conv = plan_product(2 * wide, wide, f.helpers, 5);
      to.conv.bias = pack.row(2 * wide, [&](int o) { return constant[l][static_cast<std::size_t>(o)]; });
      to.residual.outputs = wide;
      to.residual.bias =
          pack.row(wide, [&](int o) { return l > 0 ? bias_of(a.layers[l - 1].residual.bias, o) : 0.0f; });
      to.skip = plan_product(s.skip, wide, f.critical, 5);
      if (a.layers[l].skip.bias.given())
        to.skip.bias = pack.row(s.skip, [&](int o) { return at(a.layers[l].skip.bias, o); });
    }
    if (b >= n.links) part.tail_at = from - tail;
    part.first = first_row(s.skip, n.blocks, b);
    part.tail = plan_product(first_row(s.skip, n.blocks, b + 1) - part.first, n.tail * wide, f.critical, 5);
    part.tail.bias = pack.row(part.tail.outputs, [&](int o) {
      float sum = 0;
      for (int l = tail; l < s.layers; ++l)
        sum += bias_of(a.layers[static_cast<std::size_t>(l)].skip.bias, part.first + o);
      return sum;
    });
    part.tail.weight = pack.product(part.tail, n.tail * wide, [&](int o, int k) {
      return at(a.layers[static_cast<std::size_t>(tail + k / wide)].skip.weight, part.first + o, k % wide);
    });
    for (int k = 0; k < n.heads; ++k) {
      const auto& h = a.head[static_cast<std::size_t>(k)].linear;
      part.head[k] = head_of(a, k, n.blocks, b, f.critical);
      pack.head_bias(part.head[k], h.bias);
      pack.head_weight(part.head[k], h.weight);
    }
    if (b == 0 && static_cast<int>(out.table.size() / 4) + pack.here() < free / 2)
      part.table =
          pack.row(static_cast<int>(out.table.size()), [&](int i) { return out.table[static_cast<std::size_t>(i)]; });
    for (int i = 0; i < part.layers && b < n.links; ++i)
      mine[i].skip.weight = pack.product(mine[i].skip, wide, [&](int o, int k) {
        return at(a.layers[static_cast<std::size_t>(from + i)].skip.weight, o, k);
      });
    for (int i = 0; i < part.layers; ++i) {
      mine[i].past = pack.here();
      for (int tap = 0; tap + 1 < mine[i].taps; ++tap)
        pack.product(mine[i].conv, wide, [&](int o, int k) {
          return conv_weight(a.layers[static_cast<std::size_t>(from + i)], tap, o, k);
        });
    }
    const int behind = pack.here();
    for (int i = 0; i < part.layers; ++i) {
      const auto l = static_cast<std::size_t>(from + i);
      mine[i].mix = pack_held(pack, wide, f.critical, 4, [&](int o, int k) { return entry(mix[l], o, k); });
      mine[i].residual.weight = pack_held(pack, wide, f.critical, 2, [&](int o, int k) {
        return l > 0 ? at(a.layers[l - 1].residual.weight, o, k) : o == k ? 1.0f : 0.0f;
      });
      mine[i].conv.weight = pack_held(pack, wide, f.helpers, 8, [&](int o, int k) { return entry(newest[l], o, k); });
    }
    part.resident = pack.whole(std::min(behind, free));
    most_resident = std::max(most_resident, part.resident);
    for (int i = 0; i < part.layers; ++i) {
      Layer& to = mine[i];
      to.ring_row = wide, to.ring = state;
      state += std::int64_t{n.batch} * (to.taps - 1) * to.dilation * to.ring_row;
    }
  }

  out.ahead_start = state;
  for (int b = 0; b < n.blocks; ++b)
    for (int i = 0; i < out.parts[static_cast<std::size_t>(b)].layers; ++i) {
      out.layers[static_cast<std::size_t>(b) * static_cast<std::size_t>(n.most_layers) + static_cast<std::size_t>(i)]
          .ahead = state;
      state += std::int64_t{n.batch} * 2 * wide;
      const auto& sums = constant[static_cast<std::size_t>(first_layer(s.layers, n.blocks, b) + i)];
      for (int stream = 0; stream < n.batch; ++stream) out.ahead.insert(out.ahead.end(), sums.begin(), sums.end());
    }
  out.state = state;
  n.room.total = n.room.weights + most_resident * 16;
  return out;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
