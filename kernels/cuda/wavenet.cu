// WaveNet generation: one launch makes many samples. The layers are spread over a group of blocks that hand x on from
// one to the next; what does not depend on the newest code (the past taps of the coming step) and what the next layer
// does not wait for (skips) is computed behind the hand-over. Every element of a message carries the number of its step
// in the same 64 bits, so that it needs no flag, no fence and no special value; with clusters the mailboxes lie in the
// receiver's shared memory.
//
// No block waits for what comes later: in slot w of its loop a block draws for the stream w, has its layers at w - 1 -
// block, its slice of head layer k at w - 1 - blocks - k (counted in streams, and in steps of `period` slots). Whatever
// an operation waits for stands in an earlier slot, so that all go on; a mailbox is overwritten one step later, which
// everything read from it leads to. A wait that is in vain for too long all the same ends the launch with an error.
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/reduce.h>
#include <tapedeck/kernels/cuda/wavenet.h>

#include <algorithm>
#include <string>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace wavenet {
namespace {

#define TD_POINT_LIST(X) TD_ACTIVATION_LIST(X) X(sin, Sin) X(cos, Cos) X(abs, Abs)
enum Kind {
  kIdentity,
#define TD_KIND(name, Name) k##Name,
  TD_POINT_LIST(TD_KIND)
#undef TD_KIND
};

using Message = unsigned long long;

#ifdef TAPEDECK_EMULATED
#define TD_CALLED [[gnu::noinline]]  // the compiler's own name for it is no macro on the host
#define __grid_constant__
#else
#define TD_CALLED __noinline__
#endif
TD_CALLED __device__ float apply(const Function& f, float x) {
  switch (f.kind) {
#define TD_CASE(name, Name) \
  case k##Name:             \
    return finish<float>(   \
        math::Name::value(start<math::Name>(x), Working<math::Name, float>(f.p0), Working<math::Name, float>(f.p1)));
    TD_POINT_LIST(TD_CASE)
#undef TD_CASE
    default:
      return x;
  }
}
__device__ inline float usual_gate(float f, float g) { return ::tanhf(f) * math::logistic(g); }

// ---- messages -------------------------------------------------------------------------------------------------------

__device__ inline Message look(const Message* at) {
#ifdef TAPEDECK_EMULATED
  return *at;
#else
  Message m;
  asm volatile("ld.relaxed.gpu.u64 %0, [%1];" : "=l"(m) : "l"(at) : "memory");
  return m;
#endif
}
__device__ inline void post(Message* to, float value, unsigned tag) {
  const Message m = Message{tag} << 32 | __float_as_uint(value);
#ifdef TAPEDECK_EMULATED
  *to = m;
#else
  asm volatile("st.relaxed.gpu.u64 [%0], %1;" ::"l"(to), "l"(m) : "memory");
#endif
}
// What lies at `mine` in the shared memory of another block of the cluster.
__device__ inline void* in_block(void* mine, unsigned rank) {
#ifdef TAPEDECK_EMULATED
  return emulation::shared_of(rank, mine);
#elif __CUDA_ARCH__ >= 900
  void* there;
  asm("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(mine), "r"(rank));
  return there;
#else
  return mine;
#endif
}
__device__ inline void wait_cluster() {
#ifdef TAPEDECK_EMULATED
  emulation::wait_grid();
#elif __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive;\nbarrier.cluster.wait;" ::: "memory");
#endif
}

struct Wait {
  bool lost;  // the same in all lanes of a warp

  // Elements first, first + step … below `end` of a message, kMost at most, when all lanes of the warp have theirs.
  template <int kMost>
  __device__ void receive(const Message* from, int first, int step, int end, unsigned tag, float (&v)[kMost],
                          int patience, int* error) {
    for (int looks = 0;; ++looks) {
      bool here = true;
#pragma unroll
      for (int m = 0; m < kMost; ++m) {
        const int i = first + m * step;
        if (i >= end) continue;
        const Message got = look(from + i);
        v[m] = __uint_as_float(static_cast<unsigned>(got));
        here = here && static_cast<unsigned>(got >> 32) == tag;
      }
      if (__all_sync(kAllLanes, here) || lost) return;
      if (looks % 1024 == 1023 || looks >= patience) {
        const bool others = *static_cast<volatile int*>(error) != 0;
        if (__any_sync(kAllLanes, others) || looks >= patience) {
          lost = true;
          *static_cast<volatile int*>(error) = 1;
          return;
        }
      }
    }
  }
};

// ---- products -------------------------------------------------------------------------------------------------------

__device__ inline void add_product(float4& sum, float4 w, float4 x) {
  sum.x = fmaf(w.x, x.x, sum.x), sum.y = fmaf(w.y, x.y, sum.y);
  sum.z = fmaf(w.z, x.z, sum.z), sum.w = fmaf(w.w, x.w, sum.w);
}
__device__ inline float total(float4 v) { return (v.x + v.y) + (v.z + v.w); }
// This thread's share of its output: its lanes have the rest.
template <int kUnroll>
__device__ inline float share_of(const Product& a, const float4* w, const float* x, int thread) {
  const float4* x4 = reinterpret_cast<const float4*>(x) + (thread & ((1 << a.lanes) - 1));
  const int stride = a.threads();
  float4 sum = make_float4(0, 0, 0, 0);
  w += thread;
#pragma unroll kUnroll
  for (int j = 0; j < a.steps; ++j) add_product(sum, w[j * stride], x4[j << a.lanes]);
  return total(sum);
}
template <int kLanes>
__device__ inline float share(const float4 (&w)[2], const float* x, int thread) {
  const float4* x4 = reinterpret_cast<const float4*>(x) + (thread & ((1 << kLanes) - 1));
  float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll
  for (int j = 0; j < 2; ++j) add_product(sum, w[j], x4[j << kLanes]);
  return total(sum);
}
// Two outputs at once: w has the float4 of the first, then of the second.
template <int kLanes>
__device__ inline float2 share_pair(const float4 (&w)[4], const float* x, int thread) {
  const float4* x4 = reinterpret_cast<const float4*>(x) + (thread & ((1 << kLanes) - 1));
  float4 a = make_float4(0, 0, 0, 0), b = a;
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const float4 v = x4[j << kLanes];
    add_product(a, w[j], v), add_product(b, w[2 + j], v);
  }
  return make_float2(total(a), total(b));
}
__device__ inline float over_lanes(float v, int lanes) {
  for (int k = 0; k < lanes; ++k) v += __shfl_xor_sync(kAllLanes, v, 1 << k);
  return v;
}
template <int kLanes>
__device__ inline float over_lanes(float v) {
#pragma unroll
  for (int k = 0; k < kLanes; ++k) v += __shfl_xor_sync(kAllLanes, v, 1 << k);
  return v;
}
__device__ inline int whole_warps(int n) { return (n + kWarp - 1) / kWarp * kWarp; }

// ---- the kernel -----------------------------------------------------------------------------------------------------

struct Run {
  Network net;
  const Part* parts;
  const Layer* layers;
  const float4* weights;
  const float* table;
  float* state;
  Message* mail;  // nullptr: in shared memory
  float* logits;
  const std::int32_t* given;  // or nullptr
  const float* uniforms;
  std::int32_t* drawn;
  float temperature;
  int steps;
  unsigned tag;                 // of the first step
  unsigned long long position;  // codes taken in before
  int* error;
  int patience;
};

struct Turn {  // which step and stream an operation has in this slot
  int time, stream;
  __device__ Turn(int offset, int period) : time(offset > 0 ? -1 : 0), stream(offset > 0 ? period - offset : 0) {}
  __device__ void next(int period) {
    if (++stream == period) stream = 0, ++time;
  }
  __device__ bool has(int steps, int streams) const { return time >= 0 && time < steps && stream < streams; }
};

// Weights that never leave the registers: WaveNets of 64 channels, two layers to a block, blocks of 512 threads. Eight
// lanes have a channel: both halves of its gate, then the residual.
struct Fixed {
  static constexpr bool kHeld = true;
  static constexpr int kThreads = 512, kLayers = 2, kLanes = 3, kConvSteps = 4, kResidualSteps = 2, kUnroll = 2;
};
struct Any {
  static constexpr bool kHeld = false;
  static constexpr int kThreads = 512, kLayers = 1, kConvSteps = 1, kResidualSteps = 1, kUnroll = 4;
};

template <class S>
struct Block {
  const Run& r;
  const Network& net;
  int group, block, thread, first_stream, streams;
  Wait wait;
  float4 conv[S::kLayers][S::kConvSteps], residual[S::kLayers][S::kResidualSteps];
  float residual_bias[S::kLayers];
  bool has_residual[S::kLayers];

  __device__ explicit Block(const Run& run)
      : r(run),
        net(run.net),
        group(static_cast<int>(blockIdx.x) / net.blocks),
        block(static_cast<int>(blockIdx.x) % net.blocks),
        thread(static_cast<int>(threadIdx.x)),
        first_stream(group * net.streams),
        wait{false} {
    streams = net.batch - first_stream < net.streams ? net.batch - first_stream : net.streams;
  }
  __device__ static unsigned char* shared() { return dynamic_shared<unsigned char>(); }
  __device__ const Layer* layers() const { return reinterpret_cast<const Layer*>(shared() + net.room.layers); }
  __device__ const Layer& layer(int l) const { return layers()[l]; }
  __device__ const Part* part() const { return reinterpret_cast<const Part*>(shared() + net.room.part); }
  __device__ const float4* outside() const { return r.weights + part()->start; }  // the part in global memory
  __device__ float* floats(int at) const { return reinterpret_cast<float*>(shared() + at); }
  __device__ float* x_row(int l) const { return floats(net.room.x) + l * net.x_row; }
  __device__ float* y_row(int l) const { return floats(net.room.y) + l * net.y_row; }
  // What layer l takes in; behind the last one, what it gives.
  __device__ const float* input(int l) const {
    return l == 0 || layer(l - 1).residual.outputs > 0 ? x_row(l) : y_row(l - 1);
  }
  __device__ const float4* weights(int at) const {
    return at < part()->resident ? reinterpret_cast<const float4*>(shared() + net.room.weights) + at : outside() + at;
  }
  __device__ float bias(const Product& a, int n) const {
    return a.bias < 0 ? 0.0f : reinterpret_cast<const float*>(weights(a.bias))[n];
  }
  __device__ Message* mailbox(int of, int stream) const {
    Message* const start = r.mail ? r.mail + (std::int64_t{group} * net.blocks + of) * net.streams * net.mail.total
                                  : static_cast<Message*>(in_block(shared() + net.room.mail, mail_rank(of)));
    return start + std::int64_t{stream} * net.mail.total;
  }
  __device__ unsigned mail_rank(int of) const {
#ifdef TAPEDECK_EMULATED
    return static_cast<unsigned>(group * net.blocks + of);
#else
    return static_cast<unsigned>(of);
#endif
  }

  __device__ void copy_words(void* to, const void* from, int bytes) const {
    const int threads = static_cast<int>(blockDim.x);
    for (int i = thread; i < bytes / 4; i += threads)
      static_cast<unsigned*>(to)[i] = static_cast<const unsigned*>(from)[i];
  }
  __device__ void begin() {
    const int threads = static_cast<int>(blockDim.x);
    copy_words(shared() + net.room.part, r.parts + block, sizeof(Part));
    copy_words(shared() + net.room.layers, r.layers + block * net.most_layers,
               static_cast<int>(sizeof(Layer)) * net.most_layers);
    for (int i = thread; i < (net.room.weights - net.room.x) / 4; i += threads) floats(net.room.x)[i] = 0;
    __syncthreads();
    float4* const held = reinterpret_cast<float4*>(shared() + net.room.weights);
    for (int i = thread; i < part()->resident; i += threads) held[i] = outside()[i];
    __syncthreads();
    if constexpr (S::kHeld) {
#pragma unroll
      for (int l = 0; l < S::kLayers; ++l) {
        const bool mine = l < part()->layers;
        has_residual[l] = mine && layer(l).residual.outputs > 0;
        residual_bias[l] = has_residual[l] ? bias(layer(l).residual, thread >> S::kLanes) : 0.0f;
#pragma unroll
        for (int j = 0; j < S::kConvSteps; ++j)
          conv[l][j] = mine ? outside()[layer(l).conv.weight + j * S::kThreads + thread] : make_float4(0, 0, 0, 0);
#pragma unroll
        for (int j = 0; j < S::kResidualSteps; ++j)
          residual[l][j] = has_residual[l] ? outside()[layer(l).residual.weight + j * S::kThreads + thread]
                                           : make_float4(0, 0, 0, 0);
      }
    }
    if (!r.mail) wait_cluster();  // every mailbox is empty before the first message
  }

  // To every block's mailbox, each lane of an output to some of them.
  __device__ void send_all(int at, int stream, float value, unsigned tag, int lane, int lanes) const {
    for (int of = lane; of < net.blocks; of += lanes) post(mailbox(of, stream) + at, value, tag);
  }
  // x goes on to the next block; behind the last layer, where there are no skips, to the head.
  __device__ void send_x(int n, int stream, float value, unsigned tag) const {
    if (block + 1 < net.blocks)
      post(mailbox(block + 1, stream) + net.mail.x + n, value, tag);
    else if (net.skip == 0)
      send_all(net.mail.head[0] + n, stream, apply(net.head_input, value), tag, 0, 1);
  }

  __device__ void activate(const Layer& a, int l, int n, float u, float other) const {
    if (a.gated) {
      if ((n & 1) == 0) y_row(l)[n / 2] = apply(a.activation, u) * apply(a.gate, other);
    } else {
      y_row(l)[n] = apply(a.activation, u);
    }
  }
  __device__ void convolve(int l, int stream) const {
    const Layer& a = layer(l);
    const float4* const w = weights(a.conv.weight);
    const float* const ahead = r.state + a.ahead + std::int64_t{first_stream + stream} * a.conv.outputs;
    const int all = whole_warps(a.conv.threads()), threads = static_cast<int>(blockDim.x);
    for (int i = thread; i < all; i += threads) {
      const int n = i >> a.conv.lanes;
      const bool live = n < a.conv.outputs;
      float u = over_lanes(live ? share_of<S::kUnroll>(a.conv, w, input(l), i) : 0.0f, a.conv.lanes);
      if (live) u += ahead[n];
      const float other = __shfl_xor_sync(kAllLanes, u, 1 << a.conv.lanes);
      if (live && (i & ((1 << a.conv.lanes) - 1)) == 0) activate(a, l, n, u, other);
    }
  }
  __device__ void hand_on(int l, int stream, unsigned tag) const {
    const Layer& a = layer(l);
    const bool last = l + 1 == part()->layers;
    const int threads = static_cast<int>(blockDim.x);
    if (a.residual.outputs == 0) {
      if (last)
        for (int n = thread; n < a.channels; n += threads) send_x(n, stream, y_row(l)[n], tag);
      return;
    }
    const float4* const w = weights(a.residual.weight);
    const int all = whole_warps(a.residual.threads());
    for (int i = thread; i < all; i += threads) {
      const int n = i >> a.residual.lanes;
      const bool live = n < a.residual.outputs;
      const float sum = over_lanes(live ? share_of<S::kUnroll>(a.residual, w, y_row(l), i) : 0.0f, a.residual.lanes);
      if (!live || (i & ((1 << a.residual.lanes) - 1)) != 0) continue;
      const float x = input(l)[n] + (sum + bias(a.residual, n));
      x_row(l + 1)[n] = x;
      if (last) send_x(n, stream, x, tag);
    }
  }
  __device__ void add_skips(int stream, unsigned tag) {
    if (net.skip == 0) return;
    const Product& a = layer(0).skip;  // all have the same sizes
    const int all = whole_warps(a.threads()), threads = static_cast<int>(blockDim.x), lanes = 1 << a.lanes;
    const Message* const from = mailbox(block, stream) + net.mail.skip;
    for (int i = thread; i < all; i += threads) {
      const int n = i >> a.lanes, lane = i & (lanes - 1);
      const bool live = n < a.outputs;
      float sum = 0;
      for (int l = 0; l < part()->layers; ++l) {
        const Product& skip = layer(l).skip;
        const float one =
            over_lanes(live ? share_of<S::kUnroll>(skip, weights(skip.weight), y_row(l), i) : 0.0f, a.lanes);
        if (live) sum += one + bias(skip, n);
      }
      float before[1] = {0};
      if (block > 0) wait.receive(from, live ? n : a.outputs, 0, a.outputs, tag, before, r.patience, r.error);
      sum += before[0];
      if (!live) continue;
      if (block + 1 < net.blocks) {
        if (lane == 0) post(mailbox(block + 1, stream) + net.mail.skip + n, sum, tag);
      } else {
        send_all(net.mail.head[0] + n, stream, apply(net.head_input, sum), tag, lane, lanes);
      }
    }
  }
  // The inputs of this step go into the rings, and the past taps of the next step are summed.
  __device__ void look_ahead(int stream, unsigned long long position) const {
    const int threads = static_cast<int>(blockDim.x);
    const std::int64_t of = first_stream + stream;
    for (int l = 0; l < part()->layers; ++l) {
      const Layer& a = layer(l);
      const unsigned reach = static_cast<unsigned>(a.taps - 1) * static_cast<unsigned>(a.dilation);
      float* const row = r.state + a.ring + (of * reach + static_cast<std::int64_t>(position % reach)) * a.ring_row;
      for (int i = thread; i < a.in; i += threads) row[i] = input(l)[i];
    }
    __syncthreads();  // also: x and y have been read
    for (int l = 0; l < part()->layers; ++l) {
      const Layer& a = layer(l);
      const unsigned reach = static_cast<unsigned>(a.taps - 1) * static_cast<unsigned>(a.dilation);
      const float* const ring = r.state + a.ring + of * reach * a.ring_row;
      const unsigned oldest = static_cast<unsigned>((position + 1) % reach);
      float* const ahead = r.state + a.ahead + of * a.conv.outputs;
      const int all = whole_warps(a.conv.threads());
      for (int i = thread; i < all; i += threads) {
        const int n = i >> a.conv.lanes;
        const bool live = n < a.conv.outputs;
        float u = 0;
        for (int k = 0; live && k + 1 < a.taps; ++k) {
          unsigned place = oldest + static_cast<unsigned>(k) * static_cast<unsigned>(a.dilation);
          if (place >= reach) place -= reach;
          u += share_of<S::kUnroll>(a.conv, weights(a.past + k * a.conv.size()),
                                    ring + std::int64_t{place} * a.ring_row, i);
        }
        u = over_lanes(u, a.conv.lanes);
        if (live && (i & ((1 << a.conv.lanes) - 1)) == 0) ahead[n] = u + bias(a.conv, n);
      }
    }
    __syncthreads();
  }
  // Elements of a message into shared memory; false: it never came, and all threads of the block know.
  __device__ bool take_in(const Message* from, int count, unsigned tag, float* to) {
    const int threads = static_cast<int>(blockDim.x);
    for (int i = thread; i < whole_warps(count); i += threads) {
      float v[1] = {0};
      wait.receive(from, i, 0, count, tag, v, r.patience, r.error);
      if (i < count) to[i] = v[0];
    }
    wait.lost = __syncthreads_or(wait.lost) != 0;
    return !wait.lost;
  }
  __device__ bool run_layers(const Turn& at) {
    const unsigned tag = r.tag + static_cast<unsigned>(at.time);
    const int stream = at.stream;
    float2 ahead[S::kLayers];
    const int held = part()->layers;
    if constexpr (S::kHeld) {  // asked for before x is there
      const int mine = (first_stream + stream) * (S::kThreads >> S::kLanes) + (thread >> S::kLanes);
#pragma unroll
      for (int l = 0; l < S::kLayers; ++l)
        ahead[l] = l < held ? reinterpret_cast<const float2*>(r.state + layer(l).ahead)[mine] : make_float2(0, 0);
    }
    if (!take_in(mailbox(block, stream) + net.mail.x, layer(0).in, tag, x_row(0))) return false;
    if constexpr (S::kHeld) {
#pragma unroll
      for (int l = 0; l < S::kLayers; ++l) {
        if (l >= held) break;
        if (l > 0) __syncthreads();
        const float* const x = l == 0 || has_residual[l - 1] ? x_row(l) : y_row(l - 1);
        float2 u = share_pair<S::kLanes>(conv[l], x, thread);
        u.x = over_lanes<S::kLanes>(u.x) + ahead[l].x, u.y = over_lanes<S::kLanes>(u.y) + ahead[l].y;
        if (thread % (1 << S::kLanes) == 0) y_row(l)[thread >> S::kLanes] = usual_gate(u.x, u.y);
        __syncthreads();
        if (!has_residual[l]) {
          hand_on(l, stream, tag);
          continue;
        }
        const float sum = over_lanes<S::kLanes>(share<S::kLanes>(residual[l], y_row(l), thread));
        if (thread % (1 << S::kLanes) == 0) {
          const int n = thread >> S::kLanes;
          const float next = x[n] + (sum + residual_bias[l]);
          if (l + 1 == held) send_x(n, stream, next, tag);
          x_row(l + 1)[n] = next;
        }
      }
    } else {
      for (int l = 0; l < held; ++l) {
        if (l > 0) __syncthreads();
        convolve(l, stream);
        __syncthreads();
        hand_on(l, stream, tag);
      }
    }
    add_skips(stream, tag);
    look_ahead(stream, r.position + static_cast<unsigned>(at.time));
    return true;
  }
  __device__ bool run_head(int k, const Turn& at) {
    const Head& a = part()->head[k];
    if (a.product.outputs == 0) return true;
    const unsigned tag = r.tag + static_cast<unsigned>(at.time);
    float* const h = floats(net.room.h) + k * net.h_row;
    if (!take_in(mailbox(block, at.stream) + net.mail.head[k], a.inputs, tag, h)) return false;
    const float4* const w = weights(a.product.weight);
    const int all = whole_warps(a.product.threads()), threads = static_cast<int>(blockDim.x);
    const int lanes = 1 << a.product.lanes;
    for (int i = thread; i < all; i += threads) {
      const int n = i >> a.product.lanes, lane = i & (lanes - 1);
      const bool live = n < a.product.outputs;
      float v = over_lanes(live ? share_of<S::kUnroll>(a.product, w, h, i) : 0.0f, a.product.lanes);
      if (!live) continue;
      v += bias(a.product, n);
      if (k + 1 < net.heads)
        send_all(net.mail.head[k + 1] + a.first + n, at.stream, apply(a.function, v), tag, lane, lanes);
      else if (lane == 0)
        post(mailbox(0, at.stream) + net.mail.logits + a.first + n, v, tag);
    }
    __syncthreads();  // h has been read
    return true;
  }

  // ---- drawing: the first warp of the first block -------------------------------------------------------------------

  __device__ void take_logits(const Turn& at, float* z) {
    const int lane = thread;
    if (at.time == 0) {
      for (int j = lane; j < net.classes; j += kWarp)
        z[j] = r.logits[std::int64_t{first_stream + at.stream} * net.classes + j];
      return __syncwarp();
    }
    const Message* const from = mailbox(0, at.stream) + net.mail.logits;
    constexpr int kAtOnce = 8;
    for (int j = 0; j < net.width; j += kAtOnce * kWarp) {
      float v[kAtOnce] = {};
      wait.receive(from, j + lane, kWarp, net.width, r.tag + static_cast<unsigned>(at.time - 1), v, r.patience,
                   r.error);
#pragma unroll
      for (int m = 0; m < kAtOnce; ++m)
        if (j + lane + m * kWarp < net.width) z[j + lane + m * kWarp] = v[m];
    }
    __syncwarp();
    if (net.least_temperature <= 0) return;
    const float s = math::logistic(z[net.classes]);
    const float t = s < net.least_temperature ? net.least_temperature : s;
    for (int j = lane; j < net.classes; j += kWarp) z[j] = z[j] / t;
    __syncwarp();
  }
  __device__ int likeliest(const float* z) const {
    int best = 0;
    float most = z[0];
    for (int j = thread; j < net.classes; j += kWarp)
      if (z[j] > most) most = z[j], best = j;
    for (int step = kWarp / 2; step > 0; step /= 2) {
      const float other = __shfl_xor_sync(kAllLanes, most, step);
      const int index = __shfl_xor_sync(kAllLanes, best, step);
      if (other > most || (other == most && index < best)) most = other, best = index;
    }
    return best;
  }
  // sample_categorical: lanes have runs of classes. z is overwritten.
  __device__ int draw(float* z, float u) const {
    if (r.temperature == 0) return likeliest(z);
    const int lane = thread, run = (net.classes + kWarp - 1) / kWarp;
    const int begin = lane * run < net.classes ? lane * run : net.classes;
    const int end = begin + run < net.classes ? begin + run : net.classes;
    float most = z[0];
    for (int j = lane; j < net.classes; j += kWarp) most = Most()(z[j], most);
    most = warp_fold(most, Most());
    constexpr int kInRegisters = 8;
    const bool few = run <= kInRegisters;
    double upto[kInRegisters] = {}, sum = 0;  // sums of the lane's classes
    unsigned positive = 0;
    if (few) {
#pragma unroll
      for (int m = 0; m < kInRegisters; ++m) {
        const float e = begin + m < end ? ::expf((z[begin + m] - most) / r.temperature) : 0.0f;
        upto[m] = sum = sum + static_cast<double>(e);
        positive |= e > 0 ? 1u << m : 0u;
      }
    } else {
      for (int j = begin; j < end; ++j) {
        z[j] = ::expf((z[j] - most) / r.temperature);
        sum += static_cast<double>(z[j]);
      }
    }
    double before = sum;  // of all lanes so far: first with this one, then without
    for (int step = 1; step < kWarp; step *= 2) {
      const double other = __shfl_up_sync(kAllLanes, before, static_cast<unsigned>(step));
      if (lane >= step) before += other;
    }
    const double bound = static_cast<double>(u) * __shfl_sync(kAllLanes, before, kWarp - 1);
    before = __shfl_up_sync(kAllLanes, before, 1u);
    if (lane == 0) before = 0;
    int found = -1, last = -1;
    if (few) {
#pragma unroll
      for (int m = kInRegisters - 1; m >= 0; --m)
        if (begin + m < end && before + upto[m] > bound) found = begin + m;
      if (positive != 0) last = begin + kWarp - 1 - __clz(static_cast<int>(positive));
    } else {
      for (int j = begin; j < end && found < 0; ++j) {
        before += static_cast<double>(z[j]);
        if (z[j] > 0) last = j;
        if (before > bound) found = j;
      }
    }
    const unsigned have = __ballot_sync(kAllLanes, found >= 0);
    const unsigned some = __ballot_sync(kAllLanes, last >= 0);
    if (have != 0) return __shfl_sync(kAllLanes, found, __ffs(static_cast<int>(have)) - 1);
    if (some != 0) return __shfl_sync(kAllLanes, last, kWarp - 1 - __clz(static_cast<int>(some)));
    return 0;
  }
  __device__ void sample(const Turn& at) {
    const int lane = thread;
    const std::int64_t stream = first_stream + at.stream, place = std::int64_t{at.time} * net.batch + stream;
    float* const z = floats(net.room.logits);
    int code = -1;
    float u = 0;
    if (at.time < r.steps) {
      if (r.given) code = r.given[place];
      if (r.uniforms) u = r.uniforms[place];
    }
    take_logits(at, z);
    if (at.time == r.steps) {
      for (int j = lane; j < net.classes; j += kWarp) r.logits[stream * net.classes + j] = z[j];
      return;
    }
    if (code < 0) code = draw(z, u);
    Message* const to = mailbox(0, at.stream) + net.mail.x;
    const float* const x = part()->table < 0
                               ? r.table + std::int64_t{code} * net.in
                               : reinterpret_cast<const float*>(weights(part()->table)) + std::int64_t{code} * net.in;
    for (int i = lane; i < net.in; i += kWarp) post(to + i, x[i], r.tag + static_cast<unsigned>(at.time));
    if (lane == 0) r.drawn[place] = code;
    __syncwarp();  // z has been read
  }

  __device__ void work() {
    const int least = net.blocks + net.heads + 1;
    const int period = streams > least ? streams : least;
    Turn draws(0, period), chain(1 + block, period), heads(1 + net.blocks, period);
    for (long long slot = static_cast<long long>(period) * r.steps + streams; slot > 0; --slot) {
      if (block == 0 && thread < kWarp && draws.has(r.steps + 1, streams)) sample(draws);
      if (chain.has(r.steps, streams) && !run_layers(chain)) return;
      Turn head = heads;
      for (int k = 0; k < net.heads; ++k) {
        if (head.has(r.steps, streams) && !run_head(k, head)) return;
        if (head.stream-- == 0) head.stream = period - 1, --head.time;
      }
      draws.next(period), chain.next(period), heads.next(period);
    }
  }
};

template <class S>
__global__ void __launch_bounds__(S::kThreads, 1) generate_kernel(const __grid_constant__ Run r) {
  Block<S> block(r);
  block.begin();
  block.work();
  if (!r.mail) wait_cluster();  // nobody's shared memory goes while others write to it
}

}  // namespace

int kind_of(const PointFunction& f) {
  if (!f.slot) return kIdentity;
#define TD_KIND(name, Name) \
  if (f.slot == &kernels::name) return k##Name;
  TD_POINT_LIST(TD_KIND)
#undef TD_KIND
  return -1;
}

namespace {

class Generator final : public StreamGenerator {
 public:
  explicit Generator(const WaveNetGenerateArgs& a)
      : device_(a.device), patience_(a.patience), choice_(choose(a)), built_(build(a, choice_)) {
    const Network& n = built_.net;
    const auto keep = [&](const auto& v) { return upload(device_, v.data(), v.size() * sizeof(v[0])); };
    parts_ = std::make_unique<Scratch>(keep(built_.parts));
    layers_ = std::make_unique<Scratch>(keep(built_.layers));
    weights_ = std::make_unique<Scratch>(keep(built_.weights));
    table_ = std::make_unique<Scratch>(keep(built_.table));
    state_ = std::make_unique<Scratch>(device_, bytes_of(built_.state));
    logits_ = std::make_unique<Scratch>(device_, bytes_of(std::int64_t{n.batch} * n.classes));
    if (n.cluster == 0) {
      mail_bytes_ = std::size_t(n.groups) * n.blocks * n.streams * n.mail.total * sizeof(Message);
      mail_ = std::make_unique<Scratch>(device_, mail_bytes_);
      runtime(DeviceType::cuda).zero(device_.index, mail_->as<void>(), mail_bytes_);
    }
    chunk_ = std::clamp<std::int64_t>(65536 / n.batch, 1, 4096);
    io_ = std::make_unique<Scratch>(device_, io_bytes());
    host_.resize(static_cast<std::size_t>(chunk_ * n.batch + 1));
    built_.weights = {}, built_.table = {};
    how_ = std::to_string(n.groups) + (n.cluster ? " clusters of " : " groups of ") + std::to_string(n.blocks) +
           " blocks, " + std::to_string(n.streams) + " streams each" + (built_.fixed ? ", weights in registers" : "");
    reset();
  }

  void reset() override {
    position_ = 0;
    const DeviceRuntime& cuda = runtime(DeviceType::cuda);
    cuda.zero(device_.index, state_->as<void>(), bytes_of(built_.state));
    cuda.zero(device_.index, logits_->as<void>(), bytes_of(std::int64_t{built_.net.batch} * built_.net.classes));
    const std::vector<float>& ahead = built_.ahead;
    if (!ahead.empty())
      cuda.copy(state_->as<float>() + built_.ahead_start, device_, ahead.data(), kCpu, ahead.size() * sizeof(float));
  }

  void run(std::int64_t steps, const std::int32_t* given, const float* uniforms, double temperature,
           std::int32_t* drawn) override {
    const std::int64_t batch = built_.net.batch;
    for (std::int64_t t = 0; t < steps; t += chunk_) {
      const std::int64_t n = std::min(chunk_, steps - t);
      launch_steps(n, given ? given + t * batch : nullptr, uniforms ? uniforms + t * batch : nullptr, temperature,
                   drawn ? drawn + t * batch : nullptr);
    }
  }
  void logits(float* to) override {
    download(device_, to, logits_->as<void>(), bytes_of(std::int64_t{built_.net.batch} * built_.net.classes));
  }
  std::size_t state_bytes() const override { return bytes_of(built_.state) + mail_bytes_; }
  const char* how() const override { return how_.c_str(); }

 private:
  static std::size_t bytes_of(std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); }
  // Drawn codes and the error behind them, then what is given, then uniforms.
  std::size_t io_bytes() const { return bytes_of(3 * chunk_ * built_.net.batch + 1); }

  static auto kernel(bool fixed) { return fixed ? generate_kernel<Fixed> : generate_kernel<Any>; }

  static Choice choose(const WaveNetGenerateArgs& a) {
    const Limits& limit = limits(a.device);
    const int layers = static_cast<int>(a.layers.size()), batch = static_cast<int>(a.batch);
    Choice c;
    c.shared = limit.shared_bytes;
    for (const unsigned cluster : {16u, 8u, 4u, 2u}) {
      if (static_cast<int>(cluster) > layers) continue;
      c.blocks = static_cast<int>(cluster), c.cluster = c.blocks;
      c.fixed = fits_fixed(a, c.blocks);
      c.threads = c.fixed ? Fixed::kThreads : threads_for(a);
      const int most = resident_clusters(a.device, kernel(c.fixed), cluster, c.threads, std::size_t(c.shared));
      if (most < 1) continue;
      c.groups = std::min(batch, most);
      // Mailboxes of many streams leave no room for weights: then they lie in global memory, where it is the time that
      // all streams take together that counts.
      if (least_shared(a, c) <= c.shared / 3) return c;
      break;
    }
    c.cluster = 0;
    c.fixed = fits_fixed(a, c.blocks);
    c.threads = c.fixed ? Fixed::kThreads : threads_for(a);
    const int per = resident_blocks(a.device, kernel(c.fixed), c.threads, std::size_t(c.shared));
    const int most = per * limit.multiprocessors;
    TD_CHECK(most >= 1, DeviceError, "wavenet_generate: a block of ", c.threads, " threads with ", c.shared,
             " bytes of shared memory does not run on ", to_string(a.device));
    if (c.blocks == 1) c.blocks = std::min({layers, most, 16});
    c.blocks = std::min(c.blocks, most);
    c.fixed = fits_fixed(a, c.blocks);
    c.groups = std::min(batch, most / c.blocks);
    TD_CHECK(least_shared(a, c) <= c.shared, DeviceError, "wavenet_generate: needs ", least_shared(a, c),
             " bytes of shared memory per block, and the device has ", c.shared);
    return c;
  }

  void launch_steps(std::int64_t steps, const std::int32_t* given, const float* uniforms, double temperature,
                    std::int32_t* drawn) {
    const Network& n = built_.net;
    const std::int64_t count = steps * n.batch;
    const DeviceRuntime& cuda = runtime(DeviceType::cuda);
    std::int32_t* const io = io_->as<std::int32_t>();
    Run r{};
    r.net = n;
    r.parts = parts_->as<Part>(), r.layers = layers_->as<Layer>(), r.weights = weights_->as<float4>();
    r.table = table_->as<float>(), r.state = state_->as<float>(), r.logits = logits_->as<float>();
    r.mail = mail_ ? mail_->as<Message>() : nullptr;
    r.drawn = io, r.error = io + count;
    cuda.zero(device_.index, r.error, sizeof(std::int32_t));
    if (given) {
      std::int32_t* const to = io + chunk_ * n.batch + 1;
      cuda.copy(to, device_, given, kCpu, bytes_of(count));
      r.given = to;
    }
    if (uniforms) {
      float* const to = reinterpret_cast<float*>(io + 2 * chunk_ * n.batch + 1);
      cuda.copy(to, device_, uniforms, kCpu, bytes_of(count));
      r.uniforms = to;
    }
    r.temperature = static_cast<float>(temperature), r.steps = static_cast<int>(steps);
    r.tag = tag_, r.position = position_,
    r.patience = static_cast<int>(std::clamp<std::int64_t>(patience_, 0, 1 << 30));
    tag_ += static_cast<unsigned>(steps), position_ += static_cast<unsigned long long>(steps);
    Launch l;
    l.grid[0] = static_cast<unsigned>(n.groups * n.blocks), l.block[0] = static_cast<unsigned>(n.threads);
    l.shared = static_cast<unsigned>(n.room.total);
    l.cooperative = n.cluster == 0, l.cluster = static_cast<unsigned>(n.cluster);
    launch(device_, l, kernel(built_.fixed), r);
    download(device_, host_.data(), io, bytes_of(count + 1));
    TD_CHECK(host_[static_cast<std::size_t>(count)] == 0, DeviceError, "wavenet_generate: a block of ", how_,
             " waited in vain for another one for ", patience_, " looks; reset() and try again, or use --device cpu");
    if (drawn) std::copy_n(host_.begin(), count, drawn);
  }

  Device device_;
  std::int64_t patience_, chunk_ = 1;
  Choice choice_;
  Built built_;
  std::string how_;
  std::unique_ptr<Scratch> parts_, layers_, weights_, table_, state_, logits_, mail_, io_;
  std::size_t mail_bytes_ = 0;
  std::vector<std::int32_t> host_;
  unsigned tag_ = 1;
  unsigned long long position_ = 0;
};

void make(const WaveNetGenerateArgs& a) { *a.made = std::make_unique<Generator>(a); }

}  // namespace
}  // namespace wavenet

void add_wavenet() { wavenet_generate.add(DeviceType::cuda, "persistent", wavenet::make, wavenet::refuses); }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
