// The kernel of WaveNet generation: one launch makes many samples. The layers are spread over a group of blocks that
// hand x on from one to the next; what does not depend on the newest code (the past taps of the coming step) and what
// the next layer does not wait for (skips) is computed behind the hand-over. Every element of a message carries the
// number of its step in the same 64 bits, so that it needs no flag, no fence and no special value; with clusters the
// mailboxes lie in the receiver's shared memory.
//
// No block waits for what comes later: in slot w of its loop a block draws for the stream w, has its layers at w - 1 -
// block, its slice of head layer k at w - 1 - blocks - k (counted in streams, and in steps of `period` slots). Whatever
// an operation waits for stands in an earlier slot, so that all go on; a mailbox is overwritten one step later, which
// everything read from it leads to. A wait that is in vain for too long all the same ends the launch with an error.
#pragma once
#include <tapedeck/kernels/cuda/wavenet_draw.h>
#include <tapedeck/kernels/cuda/wavenet_place.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

// ---- the kernel -----------------------------------------------------------------------------------------------------

struct Turn {  // which step and stream an operation has in this slot
  int time, stream;
  __device__ Turn(int offset, int period) : time(offset > 0 ? -1 : 0), stream(offset > 0 ? period - offset : 0) {}
  __device__ void next(int period) {
    if (++stream == period) stream = 0, ++time;
  }
  __device__ bool has(int steps, int streams) const { return time >= 0 && time < steps && stream < streams; }
};

template <class S>
struct Block : Place {
  Wait wait{false};
  float4 conv[S::kLayers][S::kConvSteps], residual[S::kLayers][S::kResidualSteps];
  float residual_bias[S::kLayers];
  bool has_residual[S::kLayers];

  __device__ explicit Block(const Run& run) : Place(run) {}
  // What layer l takes in; behind the last one, what it gives.
  __device__ const float* input(int l) const {
    return l == 0 || layer(l - 1).residual.outputs > 0 ? x_row(l) : y_row(l - 1);
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

  __device__ void begin() {
    fill();
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
          u += share_of < S::kHeld ? 2
                                   : S::kUnroll > (a.conv, weights(a.past + k * a.conv.size()),
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
    constexpr int kAtOnce = S::kHeld ? 4 : 8;
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
    if (code < 0) code = draw(z, net.classes, u, r.temperature);
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

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
