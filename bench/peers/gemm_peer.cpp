// Matrix products beside oneDNN and OpenBLAS where they are installed (their shared libraries are enough): the same
// numbers in the same process, in turns, and the machine's peak in turns with them. Rows are medians; on one thread of
// processor time.
//   gemm_peer [THREADS] [ROUNDS]
#include <dlfcn.h>
#include <tapedeck/kernels/matmul.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/tensor.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "machine.h"

namespace {

using namespace tapedeck;
using std::int64_t;

struct Product {
  const char* name;
  int64_t m, n, k;
  bool a_transposed = false, b_transposed = false;
};
constexpr Product kProducts[] = {{"16^3", 16, 16, 16},
                                 {"64^3", 64, 64, 64},
                                 {"128^3", 128, 128, 128},
                                 {"256^3", 256, 256, 256},
                                 {"512^3", 512, 512, 512},
                                 {"1024^3", 1024, 1024, 1024},
                                 {"2048^3", 2048, 2048, 2048},
                                 {"16384x128x64", 16384, 128, 64},
                                 {"16384x256x64", 16384, 256, 64},
                                 {"512x64x256", 512, 64, 256},
                                 {"32x32x8000", 32, 32, 8000},
                                 {"16x512x512", 16, 512, 512},
                                 {"64x1536x512 b transposed", 64, 1536, 512, false, true},
                                 {"64x512x1536", 64, 512, 1536},
                                 {"22000x64x128", 22000, 64, 128},
                                 {"22000x64x128 b transposed", 22000, 64, 128, false, true},
                                 {"64x128x22000 a transposed", 64, 128, 22000, true, false},
                                 {"64x128x22000", 64, 128, 22000}};

using DnnlSgemm = int (*)(char, char, int64_t, int64_t, int64_t, float, const float*, int64_t, const float*, int64_t,
                          float, float*, int64_t);
using CblasSgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*,
                            int);
using SetThreads = void (*)(int);

void* library(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (void* found = dlopen(name, RTLD_NOW | RTLD_GLOBAL)) return found;
  return nullptr;
}
template <class F>
F symbol(void* library, const char* name) {
  return library ? reinterpret_cast<F>(dlsym(library, name)) : nullptr;
}

double now(bool processor) {
  timespec t;
  clock_gettime(processor ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double middle(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

struct Rival {
  const char* name;
  std::function<void()> run;
  std::vector<double> seconds{};
};

TensorView matrix(Tensor& memory, int64_t rows, int64_t columns, bool transposed) {
  memory = empty({rows * columns});
  float* data = memory.data<float>();
  for (int64_t i = 0; i < rows * columns; ++i) data[i] = static_cast<float>(i * 7919 % 1000) / 500.0f - 1.0f;
  TensorView v;
  v.data = data, v.rank = 3;
  v.sizes[0] = 1, v.sizes[1] = rows, v.sizes[2] = columns;
  v.strides[0] = rows * columns, v.strides[1] = transposed ? 1 : columns, v.strides[2] = transposed ? rows : 1;
  return v;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1, rounds = argc > 2 ? std::atoi(argv[2]) : 15;
  if (threads < 1 || threads > 256 || rounds < 1) {
    std::fprintf(stderr, "usage: gemm_peer [THREADS] [ROUNDS]\n");
    return 2;
  }
  set_num_threads(threads);
  void* const dnnl = library({"libdnnl.so.2", "libdnnl.so.3", "libdnnl.so"});
  void* const blas = library({"libopenblas.so.0", "libopenblas.so"});
  const auto dnnl_sgemm = symbol<DnnlSgemm>(dnnl, "dnnl_sgemm");
  const auto cblas_sgemm = symbol<CblasSgemm>(blas, "cblas_sgemm");
  if (!dnnl_sgemm) std::printf("oneDNN is not installed (Debian: libdnnl2): skipped\n");
  if (!cblas_sgemm) std::printf("OpenBLAS is not installed (Debian: libopenblas0): skipped\n");
  if (const auto set = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"))) set(threads);
  if (const auto set = symbol<SetThreads>(blas, "openblas_set_num_threads")) set(threads);
  std::printf("%d thread%s, %d rounds, medians; peak %.0f GFLOP/s at the start\n", threads, threads > 1 ? "s" : "",
              rounds, bench::f32_peak(threads, 0.1));
  std::printf("%-28s %10s %8s", "M x N x K", "GFLOP/s", "of peak");
  if (dnnl_sgemm) std::printf(" %10s %8s", "oneDNN", "ours/it");
  if (cblas_sgemm) std::printf(" %10s %8s", "OpenBLAS", "ours/it");
  std::printf("\n");
  for (const Product& p : kProducts) {
    Tensor am, bm, ym, zm;
    const kernels::MatmulArgs args{
        matrix(am, p.m, p.k, p.a_transposed), matrix(bm, p.k, p.n, p.b_transposed), {}, matrix(ym, p.m, p.n, false), 0};
    matrix(zm, p.m, p.n, false);
    std::vector<Rival> rivals{{"tapedeck", [&] { kernels::matmul(kCpu, args); }}};
    const int64_t lda = p.a_transposed ? p.m : p.k, ldb = p.b_transposed ? p.k : p.n;
    if (dnnl_sgemm)
      rivals.push_back({"oneDNN", [&] {
                          dnnl_sgemm(p.a_transposed ? 'T' : 'N', p.b_transposed ? 'T' : 'N', p.m, p.n, p.k, 1,
                                     am.data<float>(), lda, bm.data<float>(), ldb, 0, zm.data<float>(), p.n);
                        }});
    if (cblas_sgemm)
      rivals.push_back({"OpenBLAS", [&] {
                          cblas_sgemm(101, p.a_transposed ? 112 : 111, p.b_transposed ? 112 : 111,
                                      static_cast<int>(p.m), static_cast<int>(p.n), static_cast<int>(p.k), 1,
                                      am.data<float>(), static_cast<int>(lda), bm.data<float>(), static_cast<int>(ldb),
                                      0, zm.data<float>(), static_cast<int>(p.n));
                        }});
    const double flops = 2.0 * static_cast<double>(p.m * p.n) * static_cast<double>(p.k);
    const int times = static_cast<int>(std::clamp(threads * 2e8 / flops, threads > 1 ? 3.0 : 1.0, 20000.0));
    std::vector<double> peaks;
    for (int round = 0; round <= rounds; ++round) {
      if (threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      peaks.push_back(bench::f32_peak(threads, 0.002));
      for (Rival& r : rivals) {
        // The threads of the one before may still wait for work by spinning, on a core that this one needs.
        if (threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(5)), r.run();
        const double start = now(threads == 1);
        for (int i = 0; i < times; ++i) r.run();
        if (round > 0) r.seconds.push_back((now(threads == 1) - start) / times);
        if (&r != rivals.data() && round == 0)  // the same product?
          for (int64_t i = 0; i < ym.numel(); ++i)
            if (!(std::fabs(ym.data<float>()[i] - zm.data<float>()[i]) <= 1e-5f * static_cast<float>(p.k)))
              return std::printf("%s and %s differ on %s\n", rivals[0].name, r.name, p.name), 1;
      }
    }
    const double own = middle(rivals[0].seconds);
    // Threads that still spin lower the peak of several, too.
    const double peak = threads > 1 ? *std::max_element(peaks.begin(), peaks.end()) : middle(peaks);
    std::printf("%-28s %10.1f %6.0f %%", p.name, flops / own * 1e-9, flops / own * 1e-7 / peak);
    for (std::size_t i = 1; i < rivals.size(); ++i) {
      const double peer = middle(rivals[i].seconds);
      std::printf(" %10.1f %8.2f", flops / peer * 1e-9, peer / own);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
}
