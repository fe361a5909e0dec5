// The kernel of WaveNet generation for one stream in a cluster of blocks, where the time of one sample is what counts.
//
// A sample passes through all layers one after the other. What a layer waits for is kept short: with R the residual map
// of the layer before and W the newest tap, u = W x + past becomes (W R) y + (W x' + past), where y and x' are what the
// layer before made and took in. Only the first product waits for y; the second is made meanwhile. So a block's threads
// have two parts, which meet once a step:
//
// - Critical threads have W R and R in registers. For each layer they wait for y of the layer before, make (W R) y and
//   R y, post x, wait for the sums of the helpers, and hand y on. Then they add the skips and have their rows of the
//   head.
// - Helpers have W in registers. For each layer they wait for x', and post W x' + past. Then x goes into the rings, and
//   the past of the next step is summed.
//
// Messages carry their step as in wavenet_block.h. Skips run along the blocks behind y; those of the last blocks,
// which would come last, are split over all blocks by rows, as the head is. Nobody waits for what comes later, and what
// is overwritten in the next step has led to that step. A warp that waited in vain goes on without waiting to the end
// of the launch, so that barriers still meet.
#pragma once
#include <tapedeck/kernels/cuda/wavenet_draw.h>
#include <tapedeck/kernels/cuda/wavenet_place.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

// 1 / v within an ulp for v >= 1.
__device__ inline float reciprocal(float v) {
#ifdef TAPEDECK_EMULATED
  return 1.0f / v;
#else
  float out;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(v));
  return out;
#endif
}
// 2^v within two ulp; 0 where that is below the normal numbers.
__device__ inline float power(float v) {
#ifdef TAPEDECK_EMULATED
  return ::exp2f(v);
#else
  float out;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(v));
  return out;
#endif
}
// tanh(v), or the logistic function of v: tanh(v) = 2 logistic(2v) - 1, near zero by its series.
__device__ inline float half_gate(float v, bool logistic) {
  const float r = reciprocal(1.0f + power(v * (logistic ? -0x1.715476p+0f : -0x1.715476p+1f)));
  const float s = v * v;
  float series = fmaf(s, 62.0f / 2835, -17.0f / 315);
  series = fmaf(s, series, 2.0f / 15);
  series = fmaf(s, series, -1.0f / 3);
  series = fmaf(v * s, series, v);
  const float whole = ::fabsf(v) < 0.25f ? series : fmaf(2.0f, r, -1.0f);
  return logistic ? r : whole;
}

__device__ inline float element(float4 v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

// over_lanes in few instructions: code that runs once a step waits for its instructions more than for a loop.
__device__ inline float sum_of_lanes(float v, int lanes) {
#pragma unroll 1
  for (int k = 0; k < lanes; ++k) v += __shfl_xor_sync(kAllLanes, v, 1 << k);
  return v;
}

enum Barrier { kAll, kOfCritical, kOfHelpers };

// What both parts know.
template <class F>
struct ChainPlace : Place {
  Wait wait{false};
  int held;  // layers of this block

  __device__ explicit ChainPlace(const Run& run) : Place(run), held(part()->layers) {}
  __device__ static Message* box(int at) { return reinterpret_cast<Message*>(shared() + F::kMailAt) + at; }
  __device__ static float* area(int at) { return reinterpret_cast<float*>(box(F::kMailEnd)) + at; }
  __device__ static float* y_of(int l) { return area(l < 0 ? F::kIn : F::kY + l * F::kChannels); }
  // In turns: helpers may still read that of the step before while this step's is written.
  __device__ static float* x_of(int l, unsigned tag) {
    return area(F::kX + (static_cast<int>(tag & 1) * F::kLayers + l) * F::kChannels);
  }
  __device__ Message* box_of(int rank, int at) const {
#ifdef TAPEDECK_EMULATED
    rank += group * net.blocks;
#endif
    return static_cast<Message*>(in_block(box(at), static_cast<unsigned>(rank)));
  }
  __device__ unsigned tag_of(int time) const { return r.tag + static_cast<unsigned>(time); }
  // Waits for `count` elements (the same for all threads that are asked) and stores them.
  __device__ void take_in(const Message* from, int count, unsigned tag, float* to, int thread_of, int threads) {
    for (int i = thread_of; i < whole_warps(count); i += threads) {
      float v[1] = {0};
      wait.template receive<Near>(from, i, 0, count, tag, v, r.patience, r.error);
      if (i < count) to[i] = v[0];
    }
  }
  __device__ float take_one(const Message* from, unsigned tag) {
    float v[1] = {0};
    wait.template receive<Near>(from, 0, 0, 1, tag, v, r.patience, r.error);
    return v[0];
  }
};

// ---- the critical threads -------------------------------------------------------------------------------------------
// Eight lanes have two channels: both halves of their gates, and their residual sums. When the sums are whole, bit 0 of
// a lane tells its channel, bit 1 the half of the gate.
template <class F>
struct Critical : ChainPlace<F> {
  using ChainPlace<F>::r;
  using ChainPlace<F>::net;
  using ChainPlace<F>::block;
  using ChainPlace<F>::thread;
  using ChainPlace<F>::held;
  using ChainPlace<F>::wait;
  float4 mix[F::kLayers][4][F::kSteps], residual[F::kLayers][2][F::kSteps];
  int channel, copy;  // copy: which of the four lanes that end with this channel
  Message* next;      // of the next block: where the channel's y goes

  __device__ explicit Critical(const Run& run) : ChainPlace<F>(run) {
    channel = thread / 8 * 2 + (thread & 1), copy = thread >> 1 & 3;
    next = this->box_of(block + 1 < net.blocks ? block + 1 : block, F::kMailIn + channel);
    const float4* const from = this->outside() + thread;
#pragma unroll
    for (int l = 0; l < F::kLayers; ++l) {
      const bool mine = l < held;
      if (mine && copy == 0)
        this->area(F::kBias + l * F::kChannels)[channel] = this->bias(this->layer(l).residual, channel);
#pragma unroll
      for (int o = 0; o < 4; ++o)
#pragma unroll
        for (int j = 0; j < F::kSteps; ++j)
          mix[l][o][j] = mine ? from[this->layer(l).mix + (o * F::kSteps + j) * F::kCritical] : make_float4(0, 0, 0, 0);
#pragma unroll
      for (int o = 0; o < 2; ++o)
#pragma unroll
        for (int j = 0; j < F::kSteps; ++j)
          residual[l][o][j] = mine ? from[this->layer(l).residual.weight + (o * F::kSteps + j) * F::kCritical]
                                   : make_float4(0, 0, 0, 0);
    }
    if (F::kSpare > 0) *spare() = residual[F::kLayers - 1][1][F::kSteps - 1];
  }

  __device__ void layers(unsigned tag) {
    constexpr int kWide = F::kChannels;
    const bool odd = (thread & 1) != 0, gate = (thread & 2) != 0, last = block + 1 == net.blocks;
    const int tail_at = this->part()->tail_at;
    float x = this->area(F::kIn + kWide)[channel], outputs[F::kLayers];
#pragma unroll
    for (int l = 0; l < F::kLayers; ++l) {
      if (l >= held) break;
      const bool ends = l + 1 == held;
      const float4* const y4 = reinterpret_cast<const float4*>(this->y_of(l - 1)) + (thread & 7);
      float u[4] = {0, 0, 0, 0}, q[2] = {0, 0};
      float4 y[F::kSteps];
#pragma unroll
      for (int j = 0; j < F::kSteps; ++j) y[j] = y4[8 * j];
      const float residual_bias = this->area(F::kBias + l * kWide)[channel];
      add_products(u, mix[l], y);
      // Each lane keeps one channel, then one half; what it does not keep it gives to its neighbour.
      const float f = (odd ? u[2] : u[0]) + __shfl_xor_sync(kAllLanes, odd ? u[0] : u[2], 1);
      const float g = (odd ? u[3] : u[1]) + __shfl_xor_sync(kAllLanes, odd ? u[1] : u[3], 1);
      if (F::kSpare > 0 && l + 1 == F::kLayers) residual[l][1][F::kSteps - 1] = *spare();
      add_products(q, residual[l], y);
      float sum = (gate ? g : f) + __shfl_xor_sync(kAllLanes, gate ? f : g, 2);
      float more = (odd ? q[1] : q[0]) + __shfl_xor_sync(kAllLanes, odd ? q[0] : q[1], 1);
      sum += __shfl_xor_sync(kAllLanes, sum, 4);
      more += __shfl_xor_sync(kAllLanes, more, 2);
      const Message* const ahead = this->box(F::kMailSums + l * 2 * kWide) + 2 * channel + gate;
      const Message early = look_near(ahead);
      more += __shfl_xor_sync(kAllLanes, more, 4);
      x += more + residual_bias;
      if (copy == 0) {
        if (!ends)
          post_near(this->box(F::kMailInner + l * kWide) + channel, x, tag);
        else if (!last)
          post(next + kWide, x, tag);
      }
      const bool here = __all_sync(kAllLanes, static_cast<unsigned>(early >> 32) == tag) != 0;
      sum += here ? __uint_as_float(static_cast<unsigned>(early)) : this->take_one(ahead, tag);
      const float half = half_gate(sum, gate);
      const float made = half * __shfl_xor_sync(kAllLanes, half, 2);
      if (copy == 0 && ends && !last) post(next, made, tag);
      if (copy == 1) this->y_of(l)[channel] = made;
      if (copy == 2) this->x_of(l, tag)[channel] = x;
      if (!ends) sync_some(kOfCritical, F::kCritical);
      outputs[l] = made;
    }
    if (tail_at < 0) return;
#pragma unroll
    for (int l = 0; l < F::kLayers; ++l)
      if (l < held) send_all(F::kMailTail + (tail_at + l) * kWide + channel, outputs[l], tag, copy, 4);
  }
  // Weights for which registers do not suffice: they are read each time.
  __device__ float4* spare() const { return reinterpret_cast<float4*>(this->area(F::kSpareAt)) + thread; }
  template <int kOutputs>
  __device__ static void add_products(float (&u)[kOutputs], const float4 (&w)[kOutputs][F::kSteps],
                                      const float4 (&x)[F::kSteps]) {
#pragma unroll
    for (int j = 0; j < F::kSteps; ++j) {
#pragma unroll
      for (int o = 0; o < kOutputs; ++o) u[o] = fmaf(w[o][j].x, x[j].x, u[o]);
#pragma unroll
      for (int o = 0; o < kOutputs; ++o) u[o] = fmaf(w[o][j].y, x[j].y, u[o]);
#pragma unroll
      for (int o = 0; o < kOutputs; ++o) u[o] = fmaf(w[o][j].z, x[j].z, u[o]);
#pragma unroll
      for (int o = 0; o < kOutputs; ++o) u[o] = fmaf(w[o][j].w, x[j].w, u[o]);
    }
  }

  // To every block's mailbox, each lane of an output to some of them.
  __device__ void send_all(int at, float value, unsigned tag, int lane, int lanes) const {
#pragma unroll 1
    for (int of = lane; of < net.blocks; of += lanes) post(this->box_of(of, at), value, tag);
  }
  // A product of this block's rows; what its lanes do with a row's sum.
  template <class Then>
  __device__ void rows(const Product& a, const float* x, const Then& then) {
    const float4* const w = this->weights(a.weight);
    const int all = whole_warps(a.threads()), lanes = 1 << a.lanes;
    for (int i = thread; i < all; i += F::kCritical) {
      const int n = i >> a.lanes;
      const bool live = n < a.outputs;
      const float sum = sum_of_lanes(live ? share_of<F::kUnroll>(a, w, x, i) : 0.0f, a.lanes);
      then(live ? n : -1, sum, i & (lanes - 1), lanes);
    }
  }
  // The skips of this block on top of those before, on to the next block; then to those who have the rows.
  __device__ void skips(unsigned tag) {
    const Product& a = this->layer(0).skip;  // all have the same sizes
    const int all = whole_warps(a.threads());
    for (int i = thread; i < all; i += F::kCritical) {
      const int n = i >> a.lanes;
      const bool live = n < a.outputs;
      float sum = 0;
      for (int l = 0; l < held; ++l) {
        const Product& skip = this->layer(l).skip;
        const float one = sum_of_lanes(
            live ? share_of<F::kUnroll>(skip, this->weights(skip.weight), this->y_of(l), i) : 0.0f, a.lanes);
        if (live) sum += one + this->bias(skip, n);
      }
      if (block > 0) sum += this->take_one(this->box(net.mail.skip) + (live ? n : 0), tag);
      if (!live || (i & ((1 << a.lanes) - 1)) != 0) continue;
      if (block + 1 < net.links) {
        post(this->box_of(block + 1, net.mail.skip + n), sum, tag);
      } else {
        const int of = ((n + 1) * net.blocks - 1) / net.skip, first = net.skip * of / net.blocks;
        post(this->box_of(of, net.mail.slice + n - first), sum, tag);
      }
    }
  }
  __device__ void head(unsigned tag) {
    const Part& part = *this->part();
    if (part.tail.outputs > 0) {
      float* const y = this->area(F::kTail);
      this->take_in(this->box(F::kMailTail), net.tail * F::kChannels, tag, y, thread, F::kCritical);
      sync_some(kOfCritical, F::kCritical);
      rows(part.tail, y, Skips{this, &part, tag});
    }
    for (int k = 0; k < net.heads; ++k) {
      const Head& a = part.head[k];
      if (a.product.outputs == 0) continue;
      float* const h = this->floats(net.room.h) + k * net.h_row;
      this->take_in(this->box(net.mail.head[k]), a.inputs, tag, h, thread, F::kCritical);
      sync_some(kOfCritical, F::kCritical);
      rows(a.product, h, Rows{this, &a, k, tag});
    }
  }
  struct Skips {  // those of the last blocks on top of all others: what the head takes in
    Critical* on;
    const Part* part;
    unsigned tag;
    __device__ void operator()(int n, float sum, int lane, int lanes) const {
      const int place = n < 0 ? 0 : n;
      const float others = on->take_one(on->box(on->net.mail.slice) + place, tag);
      if (n < 0) return;
      const float v = apply(on->net.head_input, others + (sum + on->bias(part->tail, n)));
      on->send_all(on->net.mail.head[0] + part->first + n, v, tag, lane, lanes);
    }
  };
  struct Rows {
    Critical* on;
    const Head* a;
    int k;
    unsigned tag;
    __device__ void operator()(int n, float sum, int lane, int lanes) const {
      if (n < 0) return;
      const float v = sum + on->bias(a->product, n);
      if (k + 1 < on->net.heads)
        on->send_all(on->net.mail.head[k + 1] + a->first + n, apply(a->function, v), tag, lane, lanes);
      else if (lane == 0)
        post(on->box_of(0, on->net.mail.logits + a->first + n), v, tag);
    }
  };

  // The first block takes in the logits, and its first warp draws the code of the step, whose row of the table is what
  // the first layer gets.
  __device__ void take_logits(int time, float* z) {
    if (time == 0)
      for (int j = thread; j < net.classes; j += F::kCritical)
        z[j] = r.logits[std::int64_t{this->group} * net.classes + j];
    else
      this->take_in(this->box(net.mail.logits), net.width, this->tag_of(time - 1), z, thread, F::kCritical);
    sync_some(kOfCritical, F::kCritical);
    if (time == 0 || net.least_temperature <= 0 || thread >= kWarp) return;
    const float s = math::logistic(z[net.classes]);
    const float t = s < net.least_temperature ? net.least_temperature : s;
    for (int j = thread; j < net.classes; j += kWarp) z[j] = z[j] / t;
    __syncwarp();
  }
  __device__ void sample(int time) {
    const std::int64_t place = std::int64_t{time} * net.batch + this->group;
    float* const z = this->floats(net.room.logits);
    int code = -1;
    float u = 0;
    if (time < r.steps && thread < kWarp) {
      if (r.given) code = r.given[place];
      if (r.uniforms) u = r.uniforms[place];
    }
    take_logits(time, z);
    if (thread >= kWarp) return;
    if (time == r.steps) {
      for (int j = thread; j < net.classes; j += kWarp) r.logits[std::int64_t{this->group} * net.classes + j] = z[j];
      return;
    }
    if (code < 0) code = draw(z, net.classes, u, r.temperature);
    const int table = this->part()->table;
    const float* const row =
        (table < 0 ? r.table : reinterpret_cast<const float*>(this->weights(table))) + std::int64_t{code} * net.in;
    float* const in = this->area(F::kIn);  // x of the layer before stays zeros
    for (int i = thread; i < F::kChannels; i += kWarp) in[i] = row[i];
    if (thread == 0) r.drawn[place] = code;
  }
  __device__ void work() {
    for (int time = 0; time < r.steps; ++time) {
      const unsigned tag = this->tag_of(time);
      if (block == 0) {
        sample(time);
      } else if (thread < 2 * kWarp) {  // one warp waits for y, one for x
        constexpr int kEach = F::kChannels / kWarp;
        const int first = thread / kWarp * F::kChannels + thread % kWarp;
        float v[kEach];
        wait.template receive<Near>(this->box(F::kMailIn), first, kWarp, 2 * F::kChannels, tag, v, r.patience, r.error);
#pragma unroll
        for (int m = 0; m < kEach; ++m) this->area(F::kIn)[first + m * kWarp] = v[m];
      }
      sync_some(kOfCritical, F::kCritical);
      layers(tag);
      sync_some(kAll, F::kThreads);
      if (block < net.links) skips(tag);
      head(tag);
    }
    if (block == 0) sample(r.steps);
  }
};

// ---- the helpers ----------------------------------------------------------------------------------------------------
// Eight lanes have eight outputs of each layer; when the sums are whole, each has one.
template <class F>
struct Helper : ChainPlace<F> {
  using ChainPlace<F>::r;
  using ChainPlace<F>::net;
  using ChainPlace<F>::block;
  using ChainPlace<F>::held;
  using ChainPlace<F>::wait;
  float4 newest[F::kLayers][8][F::kSteps];
  int mine;  // the output

  __device__ explicit Helper(const Run& run) : ChainPlace<F>(run) {
    mine = this->thread - F::kCritical;
    const float4* const from = this->outside() + mine;
#pragma unroll
    for (int l = 0; l < F::kLayers; ++l) {
      const bool has = l < held;
      if (has) ahead(l) = state_of(l);
      if (has && mine == 0) start(l) = static_cast<unsigned>(r.position % reach(l));
#pragma unroll
      for (int o = 0; o < 8; ++o)
#pragma unroll
        for (int j = 0; j < F::kSteps; ++j)
          newest[l][o][j] =
              has ? from[this->layer(l).conv.weight + (o * F::kSteps + j) * F::kHelpers] : make_float4(0, 0, 0, 0);
    }
  }
  // What the step's u has of the past.
  __device__ float& ahead(int l) const { return this->area(F::kAhead + l * F::kHelpers)[mine]; }
  // Where in the ring the launch's first step is, and which row a later one has.
  __device__ unsigned& start(int l) const { return reinterpret_cast<unsigned*>(this->area(F::kStart))[l]; }
  __device__ unsigned row_of(int l, int time) const { return (start(l) + static_cast<unsigned>(time)) % reach(l); }
  __device__ unsigned reach(int l) const {
    return static_cast<unsigned>(this->layer(l).taps - 1) * static_cast<unsigned>(this->layer(l).dilation);
  }
  __device__ float& state_of(int l) const {
    return r.state[this->layer(l).ahead + std::int64_t{this->group} * 2 * F::kChannels + mine];
  }
  __device__ float* ring(int l) const {
    return r.state + this->layer(l).ring + std::int64_t{this->group} * reach(l) * F::kChannels;
  }

  __device__ void layers(unsigned tag) {
    constexpr int kWide = F::kChannels;
    const int lane = mine & 7;
#pragma unroll
    for (int l = 0; l < F::kLayers; ++l) {
      if (l >= held) break;
      float* const taken = this->area(F::kTaken + l * kWide);
      if (l > 0 || block > 0) {  // before the first layer there is nothing
        const Message* const from = this->box(l == 0 ? F::kMailIn + kWide : F::kMailInner + (l - 1) * kWide);
        if (mine < kWide) taken[mine] = this->take_one(from + mine, tag);
        sync_some(kOfHelpers, F::kHelpers);
      }
      const float4* const x4 = reinterpret_cast<const float4*>(taken) + lane;
      float u[8] = {0, 0, 0, 0, 0, 0, 0, 0};
#pragma unroll
      for (int j = 0; j < F::kSteps; ++j) {
        const float4 x = x4[8 * j];
        const float each[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
        for (int e = 0; e < 4; ++e)
#pragma unroll
          for (int o = 0; o < 8; ++o) u[o] = fmaf(element(newest[l][o][j], e), each[e], u[o]);
      }
      const bool high = (lane & 4) != 0, middle = (lane & 2) != 0, low = (lane & 1) != 0;
      float four[4], two[2];
#pragma unroll
      for (int o = 0; o < 4; ++o)
        four[o] = (high ? u[4 + o] : u[o]) + __shfl_xor_sync(kAllLanes, high ? u[o] : u[4 + o], 4);
#pragma unroll
      for (int o = 0; o < 2; ++o)
        two[o] = (middle ? four[2 + o] : four[o]) + __shfl_xor_sync(kAllLanes, middle ? four[o] : four[2 + o], 2);
      const float sum = (low ? two[1] : two[0]) + __shfl_xor_sync(kAllLanes, low ? two[0] : two[1], 1);
      post_near(this->box(F::kMailSums + l * 2 * kWide) + mine, sum + ahead(l), tag);
    }
  }

  // x goes into the rings, and what the next step's u has of the past is summed.
  __device__ void behind(int time) {
    const unsigned tag = this->tag_of(time);
    const bool takes = mine < F::kChannels;
    float oldest[F::kLayers];
#pragma unroll
    for (int l = 0; l < F::kLayers; ++l) {
      if (l >= held) break;
      float* const rows = ring(l) + mine;
      oldest[l] = 0;
      if (!takes) continue;
      rows[std::int64_t{row_of(l, time)} * F::kChannels] = this->x_of(l, tag)[mine];
      oldest[l] = rows[std::int64_t{row_of(l, time + 1)} * F::kChannels];  // by now it may be this x
    }
#pragma unroll
    for (int l = 0; l < F::kLayers; ++l) {
      if (l >= held) break;
      if (takes) this->area(F::kTaken + l * F::kChannels)[mine] = oldest[l];
    }
    sync_some(kOfHelpers, F::kHelpers);
#pragma unroll
    for (int l = 0; l < F::kLayers; ++l) {
      if (l >= held) break;
      const Layer& a = this->layer(l);
      float* const x = this->area(F::kTaken + l * F::kChannels);
      float u = 0;
      unsigned row = row_of(l, time + 1);
      for (int k = 0; k + 1 < a.taps; ++k) {
        if (k > 0) {
          row += static_cast<unsigned>(a.dilation);
          if (row >= reach(l)) row -= reach(l);
          sync_some(kOfHelpers, F::kHelpers);
          if (takes) x[mine] = ring(l)[std::int64_t{row} * F::kChannels + mine];
          sync_some(kOfHelpers, F::kHelpers);
        }
        u += share_of<F::kUnrollPast>(a.conv, this->weights(a.past + k * a.conv.size()), x, mine);
      }
      ahead(l) = u + this->bias(a.conv, mine);
    }
    sync_some(kOfHelpers, F::kHelpers);  // all sums have been made of x
  }
  __device__ void work() {
    sync_some(kOfHelpers, F::kHelpers);
    for (int time = 0; time < r.steps; ++time) {
      layers(this->tag_of(time));
      sync_some(kAll, F::kThreads);
      behind(time);
    }
#pragma unroll
    for (int l = 0; l < F::kLayers; ++l)
      if (l < held) state_of(l) = ahead(l);
  }
};

template <class F>
__global__ void __launch_bounds__(F::kThreads, 1) generate_chain(const __grid_constant__ Run r) {
  Place(r).fill();
  wait_cluster();  // every mailbox is empty before the first message
  if (threadIdx.x < F::kCritical) {
    Critical<F> critical(r);
    critical.work();
  } else {
    Helper<F> helper(r);
    helper.work();
  }
  wait_cluster();  // nobody's shared memory goes while others write to it
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
