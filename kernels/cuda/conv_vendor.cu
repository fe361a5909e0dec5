// Convolutions by cuDNN's graphs: its older interface to them is deprecated. A plan (a graph of one operation and the
// engine that the library's heuristics propose for it) is made once per kind of convolution and kept. The library is
// opened at run time: programs run without it, and are built without its header.
#include <tapedeck/kernels/cuda/conv_vendor.h>
#include <tapedeck/kernels/cuda/library.h>
#include <tapedeck/kernels/precision.h>

#if __has_include(<cudnn_graph.h>)
#include <cudnn_graph.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace tapedeck::kernels::cuda {
namespace {

using std::int64_t;

constexpr int kMostDevices = 10;
constexpr int64_t kMostWorkspace = int64_t{1} << 30;
constexpr std::size_t kMostPlans = 1024;  // kept: data sets of many lengths would fill memory with them

struct Cudnn {
  decltype(cudnnGetVersion)* version;
  decltype(cudnnGetErrorString)* words;
  decltype(cudnnCreate)* start;
  decltype(cudnnSetStream)* set_stream;
  decltype(cudnnBackendCreateDescriptor)* create;
  decltype(cudnnBackendDestroyDescriptor)* destroy;
  decltype(cudnnBackendSetAttribute)* set;
  decltype(cudnnBackendGetAttribute)* get;
  decltype(cudnnBackendFinalize)* finalize;
  decltype(cudnnBackendExecute)* execute;

  // Its own part of the library: libcudnn.so, which stands before all parts, ends the process when one is missing.
  bool open() {
    const Library l({"libcudnn_graph.so.9", TAPEDECK_CUDA_LIBRARIES "/libcudnn_graph.so.9"});
    return l.find("cudnnGetVersion", &version) && l.find("cudnnGetErrorString", &words) &&
           l.find("cudnnCreate", &start) && l.find("cudnnSetStream", &set_stream) &&
           l.find("cudnnBackendCreateDescriptor", &create) && l.find("cudnnBackendDestroyDescriptor", &destroy) &&
           l.find("cudnnBackendSetAttribute", &set) && l.find("cudnnBackendGetAttribute", &get) &&
           l.find("cudnnBackendFinalize", &finalize) && l.find("cudnnBackendExecute", &execute) &&
           version() / 10000 == CUDNN_MAJOR;
  }
};
const Cudnn* cudnn() { return opened<Cudnn>(); }
void check_cudnn(cudnnStatus_t code, const char* what) {
  TD_CHECK(code == CUDNN_STATUS_SUCCESS, DeviceError, "cudnn: ", what, ": ", cudnn()->words(code),
           "; TAPEDECK_KERNELS=own does without it");
}

// One of the library's descriptors. Its sizes, types and the like may be more than the library can do: `good` tells.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) { good_ = did(cudnn()->create(type, &handle_)); }
  Descriptor(Descriptor&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)), good_(o.good_) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (handle_) cudnn()->destroy(handle_);
  }
  cudnnBackendDescriptor_t handle() const { return handle_; }
  bool good() const { return good_; }

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values) {
    good_ = good_ && did(cudnn()->set(handle_, name, type, count, values));
  }
  void set(cudnnBackendAttributeName_t name, int64_t value) { set(name, CUDNN_TYPE_INT64, 1, &value); }
  void set(cudnnBackendAttributeName_t name, const int64_t* values, int count) {
    set(name, CUDNN_TYPE_INT64, count, values);
  }
  void set(cudnnBackendAttributeName_t name, cudnnDataType_t value) { set(name, CUDNN_TYPE_DATA_TYPE, 1, &value); }
  void set(cudnnBackendAttributeName_t name, const Descriptor& part) {
    good_ = good_ && part.good();
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part.handle_);
  }
  bool finish() { return good_ = good_ && did(cudnn()->finalize(handle_)); }

  // The value of an attribute, `otherwise` when there is none.
  int64_t number(cudnnBackendAttributeName_t name, int64_t otherwise) const {
    int64_t value = 0, count = 0;
    return good_ && did(cudnn()->get(handle_, name, CUDNN_TYPE_INT64, 1, &count, &value)) && count == 1 ? value
                                                                                                        : otherwise;
  }
  // How many values it has; as many as `values` has room for are filled in.
  int64_t list(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t room, void* values) const {
    int64_t count = 0;
    return good_ && did(cudnn()->get(handle_, name, type, room, &count, values)) ? count : 0;
  }

 private:
  static bool did(cudnnStatus_t code) { return code == CUDNN_STATUS_SUCCESS; }
  cudnnBackendDescriptor_t handle_ = nullptr;
  bool good_ = true;
};

cudnnDataType_t type_of(DType t) {
  return t == DType::f64    ? CUDNN_DATA_DOUBLE
         : t == DType::f32  ? CUDNN_DATA_FLOAT
         : t == DType::bf16 ? CUDNN_DATA_BFLOAT16
                            : CUDNN_DATA_HALF;
}
int64_t alignment(const void* p) {
  const auto bits = reinterpret_cast<std::uintptr_t>(p) | 16;
  return static_cast<int64_t>(bits & (~bits + 1));
}

// How the library names the parts of an operation.
struct Names {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t x, w, y, how, alpha, beta;
};
Names names_of(ConvResult r) {
  if (r == ConvResult::y)
    return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  if (r == ConvResult::x)
    return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}
constexpr int64_t kX = 'x', kW = 'w', kY = 'y';  // how data is told from data

class Plan {
 public:
  Plan(cudnnHandle_t handle, const VendorConv& c, Precision precision) {
    Descriptor x = tensor(kX, c, c.x), w = tensor(kW, c, c.w), y = tensor(kY, c, c.y), how = geometry(c);
    const Names names = names_of(c.result);
    Descriptor operation(names.operation), graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    operation.set(names.x, x), operation.set(names.w, w), operation.set(names.y, y), operation.set(names.how, how);
    const double alpha = 1, beta = c.add ? 1 : 0;
    const float narrow_alpha = 1, narrow_beta = c.add ? 1 : 0;
    const bool wide = c.dtype == DType::f64;
    const auto type = wide ? CUDNN_TYPE_DOUBLE : CUDNN_TYPE_FLOAT;
    operation.set(names.alpha, type, 1, wide ? static_cast<const void*>(&alpha) : &narrow_alpha);
    operation.set(names.beta, type, 1, wide ? static_cast<const void*>(&beta) : &narrow_beta);
    operation.finish();
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
    if (!graph.finish()) return;
    const bool exact = c.dtype == DType::f32 && precision == Precision::f32;
    for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})  // what it thinks fastest; what always goes
      if (choose(handle, graph, mode, exact)) break;
    if (!found()) return;
    for (Descriptor* part : {&x, &w, &y, &how, &operation, &graph}) parts_.push_back(std::move(*part));
  }
  bool found() const { return plan_ != nullptr; }

  void run(cudnnHandle_t handle, const VendorConv& c) const {
    const Scratch workspace(c.device, static_cast<std::size_t>(workspace_));
    Descriptor data(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    const int64_t names[] = {kX, kW, kY};
    void *const pointers[] = {c.x.data, c.w.data, c.y.data}, *const room = workspace.as<void>();
    data.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, names, 3);
    data.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers);
    data.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &room);
    TD_CHECK(data.finish(), DeviceError,
             "cudnn: a convolution's data is refused; TAPEDECK_KERNELS=own does without it");
    check_cudnn(cudnn()->execute(handle, plan_->handle(), data.handle()), "a convolution");
  }

 private:
  static Descriptor tensor(int64_t name, const VendorConv& c, const VendorConv::Operand& o) {
    Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, name);
    d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type_of(c.dtype));
    d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment(o.data));
    d.set(CUDNN_ATTR_TENSOR_DIMENSIONS, o.sizes, c.space + 2);
    d.set(CUDNN_ATTR_TENSOR_STRIDES, o.strides, c.space + 2);
    d.finish();
    return d;
  }
  static Descriptor geometry(const VendorConv& c) {
    Descriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    d.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, c.dtype == DType::f64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT);
    d.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    d.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, c.space);
    d.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, c.stride, c.space);
    d.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, c.dilation, c.space);
    d.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, c.before, c.space);
    d.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, c.behind, c.space);
    d.finish();
    return d;
  }
  // Engines that give other bits from run to run, round the operands or the sums to fewer digits, turn sums into larger
  // ones (Winograd, Fourier) or have yet to be compiled are not ours; those of the matrix units round f32 to TF32.
  static bool suits(const Descriptor& configuration, bool exact) {
    const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t handle = engine.handle();
    if (configuration.list(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &handle) != 1) return false;
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    cudnnBackendBehaviorNote_t behaviour[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    constexpr int64_t kNotes = std::size(notes), kBehaviour = std::size(behaviour);
    const int64_t count = engine.list(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, kNotes, notes),
                  more = engine.list(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, kBehaviour, behaviour);
    return std::none_of(
               notes, notes + std::min(count, kNotes),
               [&](cudnnBackendNumericalNote_t note) {
                 return note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE ? exact : note != CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP;
               }) &&
           std::none_of(behaviour, behaviour + std::min(more, kBehaviour), [](cudnnBackendBehaviorNote_t note) {
             return note == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
           });
  }
  // The first that suits and can be made, of those that the library proposes, in its order.
  bool choose(cudnnHandle_t handle, const Descriptor& graph, cudnnBackendHeurMode_t mode, bool exact) {
    Descriptor proposals(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    proposals.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    proposals.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (!proposals.finish()) return false;
    const int64_t count = proposals.list(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
    std::vector<Descriptor> all;
    std::vector<cudnnBackendDescriptor_t> handles;
    for (int64_t i = 0; i < count; ++i) {
      all.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      handles.push_back(all.back().handle());
    }
    const int64_t filled = std::min(
        count, proposals.list(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, handles.data()));
    for (int64_t i = 0; i < filled; ++i) {
      Descriptor& configuration = all[static_cast<std::size_t>(i)];
      if (!suits(configuration, exact)) continue;
      auto plan = std::make_unique<Descriptor>(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan->set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
      plan->set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      if (!plan->finish()) continue;
      workspace_ = plan->number(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, kMostWorkspace + 1);
      if (workspace_ < 0 || workspace_ > kMostWorkspace) continue;
      plan_ = std::move(plan), parts_.push_back(std::move(configuration));
      return true;
    }
    return false;
  }

  std::vector<Descriptor> parts_;  // what the plan was made of lives as long as it does
  std::unique_ptr<Descriptor> plan_;
  int64_t workspace_ = 0;
};

// Everything that a plan depends on: pointers count by their alignment alone.
using Key = std::vector<int64_t>;
Key key_of(const VendorConv& c, Precision precision) {
  Key k{static_cast<int64_t>(c.result), static_cast<int64_t>(c.dtype), static_cast<int64_t>(precision), c.space, c.add};
  for (const VendorConv::Operand* o : {&c.x, &c.w, &c.y}) {
    k.push_back(alignment(o->data));
    k.insert(k.end(), o->sizes, o->sizes + c.space + 2), k.insert(k.end(), o->strides, o->strides + c.space + 2);
  }
  for (const int64_t* of : {c.stride, c.dilation, c.before, c.behind}) k.insert(k.end(), of, of + c.space);
  return k;
}

struct Started {
  std::mutex mutex;
  cudnnHandle_t handle = nullptr;
  bool tried = false;
  std::map<Key, Plan> plans;

  bool start() {
    if (!std::exchange(tried, true) && cudnn()->start(&handle) != CUDNN_STATUS_SUCCESS) handle = nullptr;
    return handle != nullptr;
  }
  const Plan& plan(const VendorConv& c) {
    const Precision precision = matmul_precision();
    Key key = key_of(c, precision);
    const auto at = plans.find(key);
    if (at != plans.end()) return at->second;
    if (plans.size() == kMostPlans) plans.clear();
    return plans.try_emplace(std::move(key), handle, c, precision).first->second;
  }
};
Started& started(Device d) {
  static Started* const all = new Started[kMostDevices];  // not taken apart at exit: the driver may be gone by then
  return all[d.index];
}

}  // namespace

const char* conv_refuses(const VendorConv& c) {
  if (!cudnn() || c.device.index >= kMostDevices) return "cuDNN is not here";
  make_current(c.device);
  Started& s = started(c.device);
  const std::lock_guard lock(s.mutex);
  if (!s.start()) return "cuDNN does not start";
  return s.plan(c).found() ? nullptr : "cuDNN has no engine for it";
}

void run_conv(const VendorConv& c) {
  make_current(c.device);
  Started& s = started(c.device);
  const std::lock_guard lock(s.mutex);
  check_cudnn(cudnn()->set_stream(s.handle, stream(c.device)), "setting the stream");
  s.plan(c).run(s.handle, c);
}

}  // namespace tapedeck::kernels::cuda

#else  // built without the header

namespace tapedeck::kernels::cuda {

const char* conv_refuses(const VendorConv&) { return "cuDNN was not there when this was built"; }
void run_conv(const VendorConv&) {}

}  // namespace tapedeck::kernels::cuda

#endif
