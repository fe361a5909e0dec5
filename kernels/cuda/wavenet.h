// How a WaveNet is laid out over blocks for generation (wavenet_block.h): pure functions of the network and the
// device's limits. A group of blocks runs the whole network for its streams: each block has a run of layers, and a
// slice of every layer of the head. What a block multiplies with lies in one piece of memory, its part; the start of
// the part is held in shared memory.
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>
#include <tapedeck/kernels/generate.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

inline constexpr int kMostHead = 8;      // layers of the head
inline constexpr int kMostWidth = 4096;  // of any layer: what stays in shared memory besides weights
inline constexpr int kMostClasses = 65536 / 8;

// y[n] = sum_k w[n, k] x[k] (+ bias[n]): output n belongs to 2^lanes neighbouring threads, i = (n << lanes) + p, which
// take `steps` float4 each: step j of thread i has w4[j * (outputs << lanes) + i] and x4[(j << lanes) + p].
struct Product {
  int outputs = 0, lanes = 0, steps = 0;
  int weight = 0, bias = -1;  // where in the part, in float4; -1: none
  __host__ __device__ int threads() const { return outputs << lanes; }
  __host__ __device__ int size() const { return threads() * steps; }       // float4
  __host__ __device__ int inputs() const { return (steps << lanes) * 4; }  // with the zeros behind them
};
struct Function {
  int kind = 0;  // an index of the list in wavenet_kernel.h, 0: identity
  float p0 = 0, p1 = 0;
};
struct Layer {
  Product conv, residual, skip;  // conv: of the last tap; those before it, oldest first, lie at `past`
  int past = 0;
  int mix = 0;  // of a chain: where the newest tap times the residual map before it lies
  int in = 0, channels = 0, gated = 0, taps = 0, dilation = 0;
  Function activation, gate;
  std::int64_t ring = 0,
               ring_row = 0;  // floats: where in the state; a row of inputs, (taps - 1) * dilation for a stream
  std::int64_t ahead = 0;     // of the state: u of the next step but for its last tap, [stream][outputs]
};
struct Head {
  Product product;              // the block's rows
  int first = 0;                // the first of them
  int inputs = 0, outputs = 0;  // of all blocks
  Function function;
};
struct Part {
  std::int64_t start = 0;  // of its memory, in float4
  int resident = 0;        // float4 that are held in shared memory
  int layers = 0;
  int table = -1;  // where its copy of the table of codes lies, -1: none
  // Of a chain: its rows, from `first` on, of the skips of the layers at the end; which of them its own first layer is.
  Product tail;
  int first = 0, tail_at = -1;
  Head head[kMostHead];
};
// Offsets in shared memory, bytes.
struct Room {
  int layers = 0, part = 0, x = 0, y = 0, h = 0, logits = 0, mail = 0, weights = 0, total = 0;
};
// Places in a block's mailbox of one stream: elements of 8 bytes.
struct Mail {
  int x = 0, skip = 0, head[kMostHead] = {}, logits = 0, total = 0;
  int slice = 0;  // of a chain
};
struct Network {
  int blocks = 1, groups = 1, streams = 1;  // blocks of a group, groups, streams of a group (the last may have fewer)
  int batch = 1, classes = 0, width = 0 /* of the last product */, in = 0, skip = 0, heads = 0,
      last = 0 /* its output */;
  int most_layers = 0, x_row = 0, y_row = 0, h_row = 0;  // of a block; floats between rows in shared memory
  int threads = 0, cluster = 0;                          // cluster: mailboxes lie in shared memory
  int tail = 0, links = 0;                               // of a chain: layers at the end; blocks before them
  float least_temperature = 0;
  Function head_input;
  Room room;
  Mail mail;
};

// What the host makes of a network.
struct Built {
  Network net;
  std::vector<Part> parts;            // [blocks]
  std::vector<Layer> layers;          // [blocks, most_layers]
  std::vector<float> weights, table;  // all parts; [classes, in]
  std::vector<float> ahead;           // what the state's `ahead` starts with, from ahead_start on
  std::int64_t state = 0;             // floats: rings and `ahead`
  std::int64_t ahead_start = 0;       // of the state: rings lie before
  bool fixed = false;                 // the layers' weights are held in registers: fits Fixed of wavenet_kernel.h
  int chain = 0;                      // channels of the form of wavenet_chain.h, 0: not that one
};

// Blocks of a group for a network of `layers` layers when at most `most` can work together.
inline int blocks_for(int layers, int most) { return layers < most ? layers : most; }
// Layers [first, last) of block b of `blocks`: as even as can be, the first and last blocks with the fewest (they have
// the table, and the end of the sum of skips).
inline int first_layer(int layers, int blocks, int b) {
  if (b >= blocks) return layers;
  const int base = layers / blocks, more = layers % blocks;  // `more` blocks have one more: those in the middle
  const int begin = (blocks - more + 1) / 2;
  const int extra = b <= begin ? 0 : b - begin < more ? b - begin : more;
  return b * base + extra;
}

struct Choice {
  int blocks = 1, groups = 1, cluster = 0, threads = 256, shared = 0;
  bool fixed = false;
  int chain = 0;
};
// Why the kernel cannot run it on any device; nullptr when it can.
const char* refuses(const WaveNetGenerateArgs& a);
int threads_for(const WaveNetGenerateArgs& a);
bool fits_fixed(const WaveNetGenerateArgs& a, int blocks);  // 64 channels, the usual gate, <= 2 layers to a block
int kind_of(const PointFunction& f);                        // -1: not in the list
// Bytes of shared memory besides weights.
int least_shared(const WaveNetGenerateArgs& a, const Choice& c);
Built build(const WaveNetGenerateArgs& a, const Choice& c);

// The form of wavenet_chain.h: networks of 64 channels with 2 layers to a block, of 32 with 4. Every stream has a
// cluster for itself.
inline constexpr int kClusterSizes = 4;  // 2, 4, 8 and 16 blocks
// Layers of a block; 0: no form has so many channels.
inline int chain_layers(int channels) { return channels == 64 ? 2 : channels == 32 ? 4 : 0; }
// Blocks of a cluster: as few as have room for all layers; 0 where `resident[i]` clusters of 2^(i + 1) blocks, which
// the device runs at the same time, are fewer than `batch`.
inline int chain_blocks(int channels, int layers, std::int64_t batch, const int (&resident)[kClusterSizes]) {
  for (int i = 0; i < kClusterSizes; ++i) {
    const int blocks = 2 << i;
    if (blocks * chain_layers(channels) >= layers && blocks <= layers) return batch <= resident[i] ? blocks : 0;
  }
  return 0;
}
const char* refuses_chain(const WaveNetGenerateArgs& a);  // beyond refuses(): why no form fits, on any device
int chain_least_shared(const WaveNetGenerateArgs& a, const Choice& c);
Built build_chain(const WaveNetGenerateArgs& a, const Choice& c);

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
