// What the kernels of WaveNet generation share: functions of a point, messages, products, and where a block finds what
// it works with.
#pragma once
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/wavenet_kernel.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

#ifdef TAPEDECK_EMULATED
#define TD_CALLED [[gnu::noinline]]  // the compiler's own name for it is no macro on the host
#define __grid_constant__
#else
#define TD_CALLED __noinline__
#endif
TD_CALLED __device__ inline float apply(const Function& f, float x) {
  switch (f.kind) {
#define TD_CASE(name, Name)                                                              \
  case k##Name: {                                                                        \
    using Number = std::conditional_t<math::Name::kWide, Double, float>;                 \
    return static_cast<float>(math::Name::value(Number(x), Number(f.p0), Number(f.p1))); \
  }
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
  return emulation::strong_load(at);
#else
  Message m;
  asm volatile("ld.relaxed.gpu.u64 %0, [%1];" : "=l"(m) : "l"(at) : "memory");
  return m;
#endif
}
__device__ inline void post(Message* to, float value, unsigned tag) {
  const Message m = Message{tag} << 32 | __float_as_uint(value);
#ifdef TAPEDECK_EMULATED
  emulation::strong_store(to, m);
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
  emulation::wait_cluster();
#elif __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive;\nbarrier.cluster.wait;" ::: "memory");
#endif
}

// The same in a mailbox of this block's own shared memory.
__device__ inline Message look_near(const Message* at) {
#ifdef TAPEDECK_EMULATED
  return emulation::strong_load(at);
#else
  Message m;
#if __CUDA_ARCH__ >= 900
  asm volatile("ld.relaxed.cluster.shared.u64 %0, [%1];"
               : "=l"(m)
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(at)))
               : "memory");
#else
  asm volatile("ld.relaxed.cta.shared.u64 %0, [%1];"
               : "=l"(m)
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(at)))
               : "memory");
#endif
  return m;
#endif
}
__device__ inline void post_near(Message* to, float value, unsigned tag) {
  const Message m = Message{tag} << 32 | __float_as_uint(value);
#ifdef TAPEDECK_EMULATED
  emulation::strong_store(to, m);
#elif __CUDA_ARCH__ >= 900
  asm volatile("st.relaxed.cluster.shared.u64 [%0], %1;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))),
               "l"(m)
               : "memory");
#else
  asm volatile("st.relaxed.cta.shared.u64 [%0], %1;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(m)
               : "memory");
#endif
}
// A barrier of the block's threads that name it: whole warps, `threads` in all. 0 is __syncthreads().
__device__ inline void sync_some(int barrier, int threads) {
#ifdef TAPEDECK_EMULATED
  emulation::wait_some(static_cast<unsigned>(barrier), static_cast<unsigned>(threads));
#else
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
#endif
}

struct Anywhere {
  __device__ static Message look_at(const Message* m) { return look(m); }
};
struct Near {
  __device__ static Message look_at(const Message* m) { return look_near(m); }
};

struct Wait {
  bool lost;  // the same in all lanes of a warp

  // Elements first, first + step … below `end` of a message, kMost at most, when all lanes of the warp have theirs.
  template <class Where = Anywhere, int kMost>
  __device__ void receive(const Message* from, int first, int step, int end, unsigned tag, float (&v)[kMost],
                          int patience, int* error) {
    for (int looks = 0;; ++looks) {
      bool here = true;
#pragma unroll
      for (int m = 0; m < kMost; ++m) {
        const int i = first + m * step;
        if (i >= end) continue;
        const Message got = Where::look_at(from + i);
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

// ---- a block's memory -----------------------------------------------------------------------------------------------

struct Place {
  const Run& r;
  const Network& net;
  int group, block, thread, first_stream, streams;

  __device__ explicit Place(const Run& run)
      : r(run),
        net(run.net),
        group(static_cast<int>(blockIdx.x) / net.blocks),
        block(static_cast<int>(blockIdx.x) % net.blocks),
        thread(static_cast<int>(threadIdx.x)),
        first_stream(group * net.streams) {
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
  __device__ const float4* weights(int at) const {
    return at < part()->resident ? reinterpret_cast<const float4*>(shared() + net.room.weights) + at : outside() + at;
  }
  __device__ float bias(const Product& a, int n) const {
    return a.bias < 0 ? 0.0f : reinterpret_cast<const float*>(weights(a.bias))[n];
  }
  __device__ void copy_words(void* to, const void* from, int bytes) const {
    const int threads = static_cast<int>(blockDim.x);
    for (int i = thread; i < bytes / 4; i += threads)
      static_cast<unsigned*>(to)[i] = static_cast<const unsigned*>(from)[i];
  }
  // Fills shared memory: what describes the part, and as much of it as stays; mailboxes and sums are zeros.
  __device__ void fill() const {
    const int threads = static_cast<int>(blockDim.x);
    copy_words(shared() + net.room.part, r.parts + block, sizeof(Part));
    copy_words(shared() + net.room.layers, r.layers + block * net.most_layers,
               static_cast<int>(sizeof(Layer)) * net.most_layers);
    for (int i = thread; i < (net.room.weights - net.room.x) / 4; i += threads) floats(net.room.x)[i] = 0;
    __syncthreads();
    float4* const held = reinterpret_cast<float4*>(shared() + net.room.weights);
    for (int i = thread; i < part()->resident; i += threads) held[i] = outside()[i];
    __syncthreads();
  }
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
