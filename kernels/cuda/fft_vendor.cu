// Fourier transforms by cuFFT. A plan is made once per kind of transform and kept while it is used; what it works in
// is scratch memory of each call.
#include <cufft.h>
#include <tapedeck/kernels/cuda/fft_vendor.h>
#include <tapedeck/kernels/cuda/kept_plans.h>
#include <tapedeck/kernels/cuda/library.h>
#include <tapedeck/tensor/storage.h>

#include <mutex>
#include <utility>

namespace tapedeck::kernels::cuda {
namespace {

constexpr int kMostDevices = 10;
constexpr std::size_t kMostPlans = 32;  // of a device

struct Functions {  // where the loader looks, and in the toolkit that this was built with
  Library library{"libcufft.so.12", TAPEDECK_CUDA_LIBRARIES "/libcufft.so.12",
                  "libcufft.so.11", TAPEDECK_CUDA_LIBRARIES "/libcufft.so.11",
                  "libcufft.so",    TAPEDECK_CUDA_LIBRARIES "/libcufft.so"};
  decltype(&cufftCreate) create;
  decltype(&cufftDestroy) destroy;
  decltype(&cufftSetAutoAllocation) set_auto_allocation;
  decltype(&cufftMakePlanMany64) make_plan;
  decltype(&cufftSetStream) set_stream;
  decltype(&cufftSetWorkArea) set_work_area;
  decltype(&cufftExecC2C) complex_f32;
  decltype(&cufftExecZ2Z) complex_f64;
  decltype(&cufftExecR2C) to_half_f32;
  decltype(&cufftExecD2Z) to_half_f64;
  decltype(&cufftExecC2R) from_half_f32;
  decltype(&cufftExecZ2D) from_half_f64;
  bool all;

  Functions() {
    const auto have = [&](const char* name, auto** function) { return library.find(name, function); };
    all = have("cufftCreate", &create) & have("cufftDestroy", &destroy) &
          have("cufftSetAutoAllocation", &set_auto_allocation) & have("cufftMakePlanMany64", &make_plan) &
          have("cufftSetStream", &set_stream) & have("cufftSetWorkArea", &set_work_area) &
          have("cufftExecC2C", &complex_f32) & have("cufftExecZ2Z", &complex_f64) & have("cufftExecR2C", &to_half_f32) &
          have("cufftExecD2Z", &to_half_f64) & have("cufftExecC2R", &from_half_f32) &
          have("cufftExecZ2D", &from_half_f64);
  }
};
const Functions& cufft() {
  static const Functions all;
  return all;
}

const char* words(cufftResult code) {
  switch (code) {
    case CUFFT_ALLOC_FAILED:
      return "the device has no memory left";
    case CUFFT_INVALID_SIZE:
      return "it takes no such sizes";
    case CUFFT_INVALID_DEVICE:
      return "it cannot use the device";
    case CUFFT_SETUP_FAILED:
      return "it did not start";
    case CUFFT_EXEC_FAILED:
      return "the device did not run it";
    case CUFFT_INTERNAL_ERROR:
      return "the driver or the library failed";
    default:
      return "it was refused";
  }
}
void check_fft(cufftResult code, const char* what, const FftRows& r) {
  TD_CHECK(code == CUFFT_SUCCESS, DeviceError, "cufft: ", what, " the transforms of ", name(r.dtype), " rows [", r.rows,
           ", ", r.n, "]: ", words(code), " (code ", static_cast<int>(code),
           "); the variant \"cuda\" needs no library");
}

class Plan {
 public:
  explicit Plan(const FftRows& r) : Plan() {  // complete from here on: what is made below goes when something fails
    check_fft(cufft().create(&handle_), "starting", r);
    open_ = true;
    check_fft(cufft().set_auto_allocation(handle_, 0), "planning", r);
    const bool wide = r.dtype == DType::f64;
    const cufftType type = r.kind == FftKind::complex   ? wide ? CUFFT_Z2Z : CUFFT_C2C
                           : r.kind == FftKind::to_half ? wide ? CUFFT_D2Z : CUFFT_R2C
                           : wide                       ? CUFFT_Z2D
                                                        : CUFFT_C2R;
    // Rows are described by their steps; the sizes of one dimension are not asked for.
    long long n = r.n, size = r.step, to_size = r.to_step;
    check_fft(cufft().make_plan(handle_, 1, &n, &size, 1, r.step, &to_size, 1, r.to_step, type, r.rows, &work_),
              "planning", r);
  }
  Plan(Plan&& o) noexcept : handle_(o.handle_), work_(o.work_), open_(std::exchange(o.open_, false)) {}
  Plan& operator=(Plan&&) = delete;
  ~Plan() {
    if (open_) static_cast<void>(cufft().destroy(handle_));
  }
  cufftHandle handle() const { return handle_; }
  std::size_t work() const { return work_; }  // bytes

 private:
  Plan() = default;
  cufftHandle handle_ = 0;
  std::size_t work_ = 0;
  bool open_ = false;
};

// Planning allocates: what the cache of tensors keeps may be what is missing.
Plan make_plan(const FftRows& r) {
  try {
    return Plan(r);
  } catch (const DeviceError&) {
    empty_cache();
    return Plan(r);
  }
}

struct Kept {
  std::mutex mutex;  // of the plans, and of their stream and work area
  KeptPlans<FftRows, Plan> plans{kMostPlans};
};
Kept& kept(Device d) {
  static Kept* const all = new Kept[kMostDevices];  // not taken apart at exit: the driver may be gone by then
  return all[d.index];
}

bool recorded(cudaStream_t s) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(s, &status), "asking whether a step is recorded");
  return status != cudaStreamCaptureStatusNone;
}
// While a step is recorded, planning allocates and copies beside it.
class Beside {
 public:
  Beside() { check(cudaThreadExchangeStreamCaptureMode(&mode_), "planning a transform"); }
  ~Beside() { static_cast<void>(cudaThreadExchangeStreamCaptureMode(&mode_)); }
  Beside(const Beside&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace

const char* no_fft_library() { return cufft().all ? nullptr : "no cuFFT library is found"; }

void fft_rows(Device d, const FftRows& r, bool inverse, void* from, void* to) {
  make_current(d);
  Kept& k = kept(d);
  const cudaStream_t into = stream(d);
  const bool pinned = recorded(into);
  const std::lock_guard lock(k.mutex);
  const Plan& plan = k.plans.get(
      r, pinned,
      [&] {
        const Beside beside;
        return make_plan(r);
      },
      [&](Plan&) { check(cudaStreamSynchronize(into), "waiting for transforms"); });  // that use its tables
  const Scratch work = plan.work() > 0 ? Scratch(d, plan.work()) : Scratch();
  const Functions& f = cufft();
  check_fft(f.set_stream(plan.handle(), into), "placing", r);
  check_fft(f.set_work_area(plan.handle(), work.as<void>()), "placing", r);
  const bool wide = r.dtype == DType::f64;
  const int direction = inverse ? CUFFT_INVERSE : CUFFT_FORWARD;
  const auto run = [&]() -> cufftResult {
    auto *in = static_cast<cufftComplex*>(from), *out = static_cast<cufftComplex*>(to);
    auto *wide_in = static_cast<cufftDoubleComplex*>(from), *wide_out = static_cast<cufftDoubleComplex*>(to);
    switch (r.kind) {
      case FftKind::complex:
        return wide ? f.complex_f64(plan.handle(), wide_in, wide_out, direction)
                    : f.complex_f32(plan.handle(), in, out, direction);
      case FftKind::to_half:
        return wide ? f.to_half_f64(plan.handle(), static_cast<cufftDoubleReal*>(from), wide_out)
                    : f.to_half_f32(plan.handle(), static_cast<cufftReal*>(from), out);
      default:
        return wide ? f.from_half_f64(plan.handle(), wide_in, static_cast<cufftDoubleReal*>(to))
                    : f.from_half_f32(plan.handle(), in, static_cast<cufftReal*>(to));
    }
  };
  check_fft(run(), "running", r);
}

}  // namespace tapedeck::kernels::cuda
