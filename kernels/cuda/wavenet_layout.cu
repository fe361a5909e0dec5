// Laying out a WaveNet for the kernel of wavenet_block.h: host code alone.
#include <tapedeck/kernels/cuda/wavenet_pack.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {
namespace {

Product conv_of(const WaveNetGenerateArgs::Layer& a, int threads) {
  return plan_product(static_cast<int>(a.conv.sizes[0]), inputs_of(a), threads, 4);  // a pair of outputs in a warp
}
// Everything but the weights themselves.
Network outline(const WaveNetGenerateArgs& a, const Choice& c) {
  const Sizes s = sizes_of(a);
  Network n = network_of(a);
  n.blocks = c.blocks, n.threads = c.threads, n.cluster = c.cluster;
  n.streams = (n.batch + c.groups - 1) / c.groups;
  n.groups = (n.batch + n.streams - 1) / n.streams;
  for (int b = 0; b < n.blocks; ++b)
    n.most_layers =
        std::max(n.most_layers, first_layer(s.layers, n.blocks, b + 1) - first_layer(s.layers, n.blocks, b));
  const auto widen = [](int& row, const Product& p) { row = std::max(row, p.inputs()); };
  for (const auto& l : a.layers) {
    widen(n.x_row, conv_of(l, c.threads));
    widen(n.y_row, conv_of(l, c.threads));  // y is the next input where there is no residual
    n.x_row = std::max(n.x_row, width_of(l.residual));
    if (l.residual.weight.given()) widen(n.y_row, plan_product(width_of(l.residual), s.channels, c.threads, 5));
    if (s.skip > 0) widen(n.y_row, plan_product(s.skip, s.channels, c.threads, 5));
    n.y_row = std::max(n.y_row, ceil4(s.channels));
  }
  n.x_row = ceil4(n.x_row);
  n.h_row = head_row(a, n.blocks, c.threads);
  n.mail.x = 0, n.mail.skip = s.in;
  place_head(n.mail, a, s.in + s.skip);
  int byte = 0;
  const auto room = [&](std::int64_t bytes) {
    const int start = byte;
    byte += static_cast<int>((bytes + 15) / 16 * 16);
    return start;
  };
  n.room.layers = room(std::int64_t{n.most_layers} * static_cast<int>(sizeof(Layer)));
  n.room.part = room(sizeof(Part));
  n.room.x = room(std::int64_t{n.most_layers + 1} * n.x_row * 4);
  n.room.y = room(std::int64_t{n.most_layers} * n.y_row * 4);
  n.room.h = room(std::int64_t{n.heads} * n.h_row * 4);
  n.room.logits = room(std::int64_t{n.width} * 4);
  n.room.mail = room(n.cluster ? std::int64_t{n.streams} * n.mail.total * 8 : 0);
  n.room.weights = n.room.total = byte;
  return n;
}

}  // namespace

const char* refuses(const WaveNetGenerateArgs& a) {
  if (a.layers.empty() || a.head.empty()) return "there are no layers or there is no head";
  if (a.head.size() > kMostHead) return "the head has more than 8 layers";
  if (a.table.sizes[0] > kMostClasses) return "there are more than 8192 classes";
  if (a.batch < 1 || a.batch > 65536) return "the batch is not between 1 and 65536";
  const Sizes s = sizes_of(a);
  if (std::max({s.in, s.channels, s.skip, s.widest_head}) > kMostWidth) return "a layer is wider than 4096";
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    const auto& l = a.layers[i];
    const bool last = i + 1 == a.layers.size();
    if (inputs_of(l) != s.in || channels_of(l) != s.channels || width_of(l.skip) != s.skip ||
        l.gated != a.layers[0].gated)
      return "the layers differ in their widths";
    if (!last && (l.residual.weight.given() ? width_of(l.residual) : s.channels) != s.in)
      return "the layers do not fit together";
    if (kind_of(l.activation) < 0 || (l.gated && kind_of(l.gate) < 0)) return "it has no such activation";
    const std::int64_t reach = (l.conv.sizes[2] - 1) * l.dilation;
    if (reach >= std::int64_t{1} << 30) return "a layer reaches back 2^30 steps";
  }
  for (const auto& h : a.head)
    if (kind_of(h.function) < 0) return "it has no such activation";
  return kind_of(a.head_input) < 0 ? "it has no such activation" : nullptr;
}

int threads_for(const WaveNetGenerateArgs& a) {
  const Sizes s = sizes_of(a);
  const int widest = std::max({2 * s.channels, s.skip, s.in});
  return widest >= 128 ? 512 : widest >= 64 ? 256 : 64;
}

bool fits_fixed(const WaveNetGenerateArgs& a, int blocks) {
  const Sizes s = sizes_of(a);
  if (s.in != 64 || s.channels != 64 || 2 * blocks < s.layers) return false;
  for (const auto& l : a.layers)
    if (!l.gated || l.activation.slot != &kernels::tanh || l.gate.slot != &kernels::sigmoid) return false;
  return true;
}

int least_shared(const WaveNetGenerateArgs& a, const Choice& c) { return outline(a, c).room.total; }

Built build(const WaveNetGenerateArgs& a, const Choice& c) {
  const Sizes s = sizes_of(a);
  Built out = begun(a, outline(a, c));
  out.fixed = c.fixed;
  Network& n = out.net;
  const int free = (c.shared - n.room.weights) / 16;  // float4
  int most_resident = 0;
  std::int64_t state = 0;

  for (int b = 0; b < n.blocks; ++b) {
    Part& part = out.parts[static_cast<std::size_t>(b)];
    part.start = static_cast<std::int64_t>(out.weights.size() / 4);
    Packer pack(out.weights);
    const int from = first_layer(s.layers, n.blocks, b);
    part.layers = first_layer(s.layers, n.blocks, b + 1) - from;
    Layer* const mine = out.layers.data() + static_cast<std::size_t>(b) * static_cast<std::size_t>(n.most_layers);
    // First what the next block waits for, then the rest: as far as there is room, it stays in shared memory. What
    // registers hold comes last.
    const auto weight_of = [](const WaveNetGenerateArgs::Layer& l, int tap) {
      return [&l, tap](int i, int k) { return conv_weight(l, tap, i, k); };
    };
    const auto critical = [&] {
      for (int i = 0; i < part.layers; ++i) {
        const auto& l = a.layers[static_cast<std::size_t>(from + i)];
        Layer& to = mine[i];
        const auto newest = weight_of(l, static_cast<int>(l.conv.sizes[2]) - 1);
        if (c.fixed) {  // a channel's f and g belong to the same threads
          const Product half = plan_product(s.channels, s.in, n.threads, 5);
          to.conv.weight = pack.product(half, s.in, [&](int o, int k) { return newest(2 * o, k); });
          pack.product(half, s.in, [&](int o, int k) { return newest(2 * o + 1, k); });
        } else {
          to.conv.weight = pack.product(to.conv, s.in, newest);
        }
        if (to.residual.outputs == 0) continue;
        to.residual.weight =
            pack.product(to.residual, s.channels, [&](int o, int k) { return at(l.residual.weight, o, k); });
      }
    };
    for (int i = 0; i < part.layers; ++i) {
      const auto& l = a.layers[static_cast<std::size_t>(from + i)];
      Layer& to = mine[i];
      to.in = s.in, to.channels = s.channels, to.gated = l.gated;
      to.taps = static_cast<int>(l.conv.sizes[2]), to.dilation = static_cast<int>(l.dilation);
      to.activation = function_of(l.activation), to.gate = function_of(l.gate);
      to.conv = conv_of(l, n.threads);
      const bool last = from + i + 1 == s.layers;
      if (l.residual.weight.given() && !(last && s.skip > 0))  // nobody would read it
        to.residual = plan_product(width_of(l.residual), s.channels, n.threads, 5);
      if (s.skip > 0) to.skip = plan_product(s.skip, s.channels, n.threads, 5);
      if (l.conv_bias.given())
        to.conv.bias = pack.row(to.conv.outputs, [&](int o) { return at(l.conv_bias, conv_row(l, o)); });
      if (to.residual.outputs > 0 && l.residual.bias.given())
        to.residual.bias = pack.row(to.residual.outputs, [&](int o) { return at(l.residual.bias, o); });
      if (s.skip > 0 && l.skip.bias.given()) to.skip.bias = pack.row(s.skip, [&](int o) { return at(l.skip.bias, o); });
    }
    for (int k = 0; k < n.heads; ++k) {
      part.head[k] = head_of(a, k, n.blocks, b, n.threads);
      pack.head_bias(part.head[k], a.head[static_cast<std::size_t>(k)].linear.bias);
    }
    if (!c.fixed) critical();
    for (int k = 0; k < n.heads; ++k) pack.head_weight(part.head[k], a.head[static_cast<std::size_t>(k)].linear.weight);
    if (b == 0 && static_cast<int>(out.table.size() / 4) + pack.here() < free / 2)
      part.table =
          pack.row(static_cast<int>(out.table.size()), [&](int i) { return out.table[static_cast<std::size_t>(i)]; });
    for (int i = 0; i < part.layers && s.skip > 0; ++i) {
      const auto& l = a.layers[static_cast<std::size_t>(from + i)];
      mine[i].skip.weight =
          pack.product(mine[i].skip, s.channels, [&](int o, int k) { return at(l.skip.weight, o, k); });
    }
    for (int i = 0; i < part.layers; ++i) {
      const auto& l = a.layers[static_cast<std::size_t>(from + i)];
      Layer& to = mine[i];
      to.past = pack.here();
      for (int tap = 0; tap + 1 < to.taps; ++tap) pack.product(to.conv, s.in, weight_of(l, tap));
    }
    const int before_critical = pack.here();
    if (c.fixed) critical();
    part.resident = pack.whole(std::min(before_critical, free));
    most_resident = std::max(most_resident, part.resident);

    for (int i = 0; i < part.layers; ++i) {
      Layer& to = mine[i];
      to.ring_row = to.conv.inputs(), to.ring = state;
      state += std::int64_t{n.batch} * (to.taps - 1) * to.dilation * to.ring_row;
    }
  }

  out.ahead_start = state;  // even: rows of rings are whole float4
  for (int b = 0; b < n.blocks; ++b)
    for (int i = 0; i < out.parts[static_cast<std::size_t>(b)].layers; ++i) {
      Layer& to = out.layers[static_cast<std::size_t>(b) * static_cast<std::size_t>(n.most_layers) +
                             static_cast<std::size_t>(i)];
      const auto& l = a.layers[static_cast<std::size_t>(first_layer(s.layers, n.blocks, b) + i)];
      to.ahead = state;
      state += std::int64_t{n.batch} * to.conv.outputs;
      for (int stream = 0; stream < n.batch; ++stream)
        for (int o = 0; o < to.conv.outputs; ++o) out.ahead.push_back(bias_of(l.conv_bias, conv_row(l, o)));
    }
  out.state = state;
  n.room.total = n.room.weights + most_resident * 16;
  return out;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
