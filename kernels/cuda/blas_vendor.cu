// Products of matrices by cuBLASLt. A plan (descriptors and the algorithm that the library proposes) is made once per
// kind of product and kept.
#include <cublasLt.h>
#include <tapedeck/kernels/cuda/blas_vendor.h>
#include <tapedeck/kernels/precision.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

namespace tapedeck::kernels::cuda {
namespace {

constexpr std::size_t kWorkspace = std::size_t{32} << 20;
constexpr int kMostDevices = 10;

void check_blas(cublasStatus_t code, const char* what) {
  TD_CHECK(code == CUBLAS_STATUS_SUCCESS, DeviceError, "cublas: ", what, ": ", cublasGetStatusString(code));
}

cudaDataType_t type_of(DType t) {
  return t == DType::f64 ? CUDA_R_64F : t == DType::f32 ? CUDA_R_32F : t == DType::bf16 ? CUDA_R_16BF : CUDA_R_16F;
}

// Everything that a plan depends on: pointers count by their alignment alone.
using Key = std::array<std::int64_t, 19>;
std::int64_t alignment(const void* p) {
  const auto bits = reinterpret_cast<std::uintptr_t>(p) | 256;
  return static_cast<std::int64_t>(bits & (~bits + 1));
}

struct Layout {
  cublasLtMatrixLayout_t handle = nullptr;
  Layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t pitch, std::int64_t batch,
         std::int64_t step) {
    check_blas(cublasLtMatrixLayoutCreate(&handle, type, static_cast<std::uint64_t>(rows),
                                          static_cast<std::uint64_t>(columns), pitch),
               "describing a matrix");
    const auto count = static_cast<std::int32_t>(batch);
    set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
    set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step);
  }
  Layout(const Layout&) = delete;
  ~Layout() { cublasLtMatrixLayoutDestroy(handle); }
  void set(cublasLtMatrixLayoutAttribute_t what, const void* value, std::size_t bytes) {
    check_blas(cublasLtMatrixLayoutSetAttribute(handle, what, value, bytes), "describing a matrix");
  }
};

// The library's matrices are column-major: y^T = b^T a^T, so that its first operand is our second.
struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  Layout first, second, out, added;
  cublasLtMatmulAlgo_t algorithm{};
  bool found = false;

  Plan(const Gemm& g, Precision precision)
      : first(type_of(g.dtype), g.b.transposed ? g.k : g.n, g.b.transposed ? g.n : g.k, g.b.pitch, g.batch, g.b.batch),
        second(type_of(g.dtype), g.a.transposed ? g.m : g.k, g.a.transposed ? g.k : g.m, g.a.pitch, g.batch, g.a.batch),
        out(type_of(g.out), g.n, g.m, g.y_pitch, g.batch, g.y_batch),
        added(type_of(g.out), g.n, g.m, g.add ? g.add_pitch : g.y_pitch, g.batch, g.add ? g.add_batch : g.y_batch) {
    const bool wide = g.dtype == DType::f64;
    const cublasComputeType_t compute = wide ? CUBLAS_COMPUTE_64F
                                        : g.dtype == DType::f32 && precision == Precision::tf32
                                            ? CUBLAS_COMPUTE_32F_FAST_TF32
                                            : CUBLAS_COMPUTE_32F;
    check_blas(cublasLtMatmulDescCreate(&product, compute, wide ? CUDA_R_64F : CUDA_R_32F), "describing a product");
    const cublasOperation_t turn = CUBLAS_OP_T, keep = CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, g.b.transposed ? &turn : &keep, sizeof turn);
    set(CUBLASLT_MATMUL_DESC_TRANSB, g.a.transposed ? &turn : &keep, sizeof turn);
    const cublasLtEpilogue_t epilogue = g.bias   ? g.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS
                                        : g.relu ? CUBLASLT_EPILOGUE_RELU
                                                 : CUBLASLT_EPILOGUE_DEFAULT;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (g.bias) {
      const cudaDataType_t type = type_of(g.out);
      set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g.bias, sizeof g.bias);
    }
  }
  Plan(const Plan&) = delete;
  ~Plan() { cublasLtMatmulDescDestroy(product); }

  void set(cublasLtMatmulDescAttributes_t what, const void* value, std::size_t bytes) {
    check_blas(cublasLtMatmulDescSetAttribute(product, what, value, bytes), "describing a product");
  }
  void choose(cublasLtHandle_t handle, const Gemm& g) {
    cublasLtMatmulPreference_t wish = nullptr;
    check_blas(cublasLtMatmulPreferenceCreate(&wish), "asking for an algorithm");
    const auto set_wish = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
      check_blas(cublasLtMatmulPreferenceSetAttribute(wish, what, &value, sizeof value), "asking for an algorithm");
    };
    set_wish(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
    // Parts of a sum that is split meet in the workspace, in a fixed order.
    set_wish(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    const auto a = static_cast<std::uint32_t>(alignment(g.b.data)), b = static_cast<std::uint32_t>(alignment(g.a.data)),
               c = static_cast<std::uint32_t>(alignment(g.add ? g.add : g.y)),
               y = static_cast<std::uint32_t>(alignment(g.y));
    set_wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, a), set_wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, b);
    set_wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, c), set_wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, y);
    cublasLtMatmulHeuristicResult_t result{};
    int count = 0;
    const cublasStatus_t code = cublasLtMatmulAlgoGetHeuristic(handle, product, first.handle, second.handle,
                                                               added.handle, out.handle, wish, 1, &result, &count);
    cublasLtMatmulPreferenceDestroy(wish);
    found = code == CUBLAS_STATUS_SUCCESS && count == 1 && result.state == CUBLAS_STATUS_SUCCESS;
    algorithm = result.algo;
  }
};

struct Library {
  std::once_flag once;
  std::mutex mutex;
  cublasLtHandle_t handle = nullptr;
  void* workspace = nullptr;
  std::map<Key, Plan> plans;
};
Library& library(Device d) {
  static Library* const all = new Library[kMostDevices];  // not taken apart at exit: the driver may be gone by then
  Library& l = all[d.index];
  std::call_once(l.once, [&] {
    check_blas(cublasLtCreate(&l.handle), "starting");
    check(cudaMalloc(&l.workspace, kWorkspace), "the workspace of matrix products");
  });
  return l;
}

}  // namespace

bool gemm(Device d, const Gemm& g) {
  make_current(d);
  Library& l = library(d);
  const Precision precision = matmul_precision();
  const Key key{static_cast<std::int64_t>(g.dtype) * 64 + static_cast<std::int64_t>(g.out) * 8 +
                    static_cast<std::int64_t>(precision) * 4 + g.relu * 1024 + g.a.transposed * 2 + g.b.transposed,
                g.batch,
                g.m,
                g.n,
                g.k,
                g.a.pitch,
                g.a.batch,
                g.b.pitch,
                g.b.batch,
                g.y_pitch,
                g.y_batch,
                alignment(g.a.data),
                alignment(g.b.data),
                alignment(g.y),
                g.bias ? alignment(g.bias) : 0,
                g.beta != 0 || g.add,
                g.add ? alignment(g.add) : 0,
                g.add ? g.add_pitch : 0,
                g.add ? g.add_batch : 0};
  const std::lock_guard lock(l.mutex);
  auto at = l.plans.find(key);
  if (at == l.plans.end()) {
    at = l.plans.try_emplace(key, g, precision).first;
    at->second.choose(l.handle, g);
  }
  Plan& plan = at->second;
  if (!plan.found) return false;
  if (g.bias) plan.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g.bias, sizeof g.bias);
  const float one = 1, beta = g.add ? 1.f : static_cast<float>(g.beta);
  const double wide_one = 1, wide_beta = g.add ? 1 : g.beta;
  const bool wide = g.dtype == DType::f64;
  const void *scale = wide ? static_cast<const void*>(&wide_one) : &one,
             *keep = wide ? static_cast<const void*>(&wide_beta) : &beta;
  check_blas(cublasLtMatmul(l.handle, plan.product, scale, g.b.data, plan.first.handle, g.a.data, plan.second.handle,
                            keep, g.add ? g.add : g.y, plan.added.handle, g.y, plan.out.handle, &plan.algorithm,
                            l.workspace, kWorkspace, stream(d)),
             "a product of matrices");
  return true;
}

}  // namespace tapedeck::kernels::cuda
