// Recurrent layers by cuDNN, which is opened at run time: programs run without it, and are built without its header.
#include <tapedeck/kernels/cuda/library.h>
#include <tapedeck/kernels/cuda/rnn_vendor.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/precision.h>
#include <tapedeck/tensor/env.h>

#if __has_include(<cudnn_adv.h>) && __has_include(<cudnn_graph.h>)
#include <cudnn_adv.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace tapedeck::kernels::cuda {
namespace {

using std::int64_t;

constexpr int kMostDevices = 10;

struct Cudnn {
  decltype(cudnnGetVersion)* version;
  decltype(cudnnGetErrorString)* words;
  decltype(cudnnCreate)* start;
  decltype(cudnnSetStream)* set_stream;
  decltype(cudnnCreateTensorDescriptor)* new_tensor;
  decltype(cudnnSetTensorNdDescriptor)* set_tensor;
  decltype(cudnnDestroyTensorDescriptor)* end_tensor;
  decltype(cudnnCreateDropoutDescriptor)* new_dropout;
  decltype(cudnnSetDropoutDescriptor)* set_dropout;
  decltype(cudnnDestroyDropoutDescriptor)* end_dropout;
  decltype(cudnnCreateRNNDescriptor)* new_layer;
  decltype(cudnnSetRNNDescriptor_v8)* set_layer;
  decltype(cudnnDestroyRNNDescriptor)* end_layer;
  decltype(cudnnCreateRNNDataDescriptor)* new_data;
  decltype(cudnnSetRNNDataDescriptor)* set_data;
  decltype(cudnnDestroyRNNDataDescriptor)* end_data;
  decltype(cudnnGetRNNWeightSpaceSize)* weight_bytes;
  decltype(cudnnGetRNNWeightParams)* weight_places;
  decltype(cudnnGetRNNTempSpaceSizes)* temporary_bytes;
  decltype(cudnnRNNForward)* forward;
  decltype(cudnnRNNBackwardData_v8)* backward_data;
  decltype(cudnnRNNBackwardWeights_v8)* backward_weights;

  // Its own part of the library, which brings those that it needs: libcudnn.so, which stands before all parts, ends the
  // process when one is missing. Notes of releases before 9.19 say that bits change from run to run with the sizes of
  // cuBLAS's buffers, unless CUBLAS_WORKSPACE_CONFIG gives it buffers of one size.
  bool open() {
    const Library l({"libcudnn_adv.so.9", TAPEDECK_CUDA_LIBRARIES "/libcudnn_adv.so.9"});
    return l.find("cudnnGetVersion", &version) && l.find("cudnnGetErrorString", &words) &&
           l.find("cudnnCreate", &start) && l.find("cudnnSetStream", &set_stream) &&
           l.find("cudnnCreateTensorDescriptor", &new_tensor) && l.find("cudnnSetTensorNdDescriptor", &set_tensor) &&
           l.find("cudnnDestroyTensorDescriptor", &end_tensor) &&
           l.find("cudnnCreateDropoutDescriptor", &new_dropout) && l.find("cudnnSetDropoutDescriptor", &set_dropout) &&
           l.find("cudnnDestroyDropoutDescriptor", &end_dropout) && l.find("cudnnCreateRNNDescriptor", &new_layer) &&
           l.find("cudnnSetRNNDescriptor_v8", &set_layer) && l.find("cudnnDestroyRNNDescriptor", &end_layer) &&
           l.find("cudnnCreateRNNDataDescriptor", &new_data) && l.find("cudnnSetRNNDataDescriptor", &set_data) &&
           l.find("cudnnDestroyRNNDataDescriptor", &end_data) && l.find("cudnnGetRNNWeightSpaceSize", &weight_bytes) &&
           l.find("cudnnGetRNNWeightParams", &weight_places) && l.find("cudnnGetRNNTempSpaceSizes", &temporary_bytes) &&
           l.find("cudnnRNNForward", &forward) && l.find("cudnnRNNBackwardData_v8", &backward_data) &&
           l.find("cudnnRNNBackwardWeights_v8", &backward_weights) && (version() >= 91900 || one_buffer_size());
  }
  static bool one_buffer_size() {  // of ":SIZE:COUNT", pair by pair
    const std::string words = env("CUBLAS_WORKSPACE_CONFIG");
    return std::count(words.begin(), words.end(), ':') == 2;
  }
};
const Cudnn* cudnn() { return opened<Cudnn>(); }
void check_cudnn(cudnnStatus_t code, const char* what) {
  TD_CHECK(code == CUDNN_STATUS_SUCCESS, DeviceError, "cudnn: ", what, ": ", cudnn()->words(code),
           "; TAPEDECK_KERNELS=rnn_layer=steps does without it");
}

struct Started {
  std::mutex mutex;
  cudnnHandle_t handle = nullptr;
  bool tried = false;

  bool start() {
    if (!std::exchange(tried, true) && cudnn()->start(&handle) != CUDNN_STATUS_SUCCESS) handle = nullptr;
    return handle != nullptr;
  }
};
Started& started(Device d) {
  static Started* const all = new Started[kMostDevices];  // not taken apart at exit: the driver may be gone by then
  return all[d.index];
}

// One of the library's descriptors.
template <class T>
class Owned {
 public:
  Owned(cudnnStatus_t (*make)(T*), cudnnStatus_t (*end)(T)) : end_(end) {
    good = make(&handle) == CUDNN_STATUS_SUCCESS;
  }
  Owned(const Owned&) = delete;
  ~Owned() {
    if (good) end_(handle);
  }
  T handle = nullptr;
  bool good;

 private:
  cudnnStatus_t (*end_)(T);
};

cudnnDataType_t type_of(DType t) {
  return t == DType::f64    ? CUDNN_DATA_DOUBLE
         : t == DType::f32  ? CUDNN_DATA_FLOAT
         : t == DType::bf16 ? CUDNN_DATA_BFLOAT16
                            : CUDNN_DATA_HALF;
}
cudnnMathType_t math_of(DType t) {
  if (t == DType::f64) return CUDNN_DEFAULT_MATH;
  if (t == DType::f32) return matmul_precision() == Precision::tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
  return CUDNN_TENSOR_OP_MATH;
}
int gates_of(RnnCell c) { return c == RnnCell::lstm ? 4 : c == RnnCell::gru ? 3 : 1; }
cudnnRNNMode_t mode_of(RnnCell c) {
  return c == RnnCell::lstm   ? CUDNN_LSTM
         : c == RnnCell::gru  ? CUDNN_GRU
         : c == RnnCell::relu ? CUDNN_RNN_RELU
                              : CUDNN_RNN_TANH;
}

// A layer in the library's words, and what memory it asks for. Both biases are there always, zeros where none is given.
struct Layer {
  Owned<cudnnDropoutDescriptor_t> dropout{cudnn()->new_dropout, cudnn()->end_dropout};
  Owned<cudnnRNNDescriptor_t> cell{cudnn()->new_layer, cudnn()->end_layer};
  Owned<cudnnRNNDataDescriptor_t> x{cudnn()->new_data, cudnn()->end_data}, y{cudnn()->new_data, cudnn()->end_data};
  Owned<cudnnTensorDescriptor_t> state{cudnn()->new_tensor, cudnn()->end_tensor};
  std::size_t weights = 0, workspace = 0, kept = 0;  // bytes
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;

  Layer(cudnnHandle_t handle, RnnCell kind, DType t, const TensorView& x_view, int64_t hidden, bool training) {
    const int batch = static_cast<int>(x_view.sizes[0]), steps = static_cast<int>(x_view.sizes[1]),
              in = static_cast<int>(x_view.sizes[2]), width = static_cast<int>(hidden);
    const cudnnDataType_t type = type_of(t);
    const std::vector<int> lengths(static_cast<std::size_t>(batch), steps);
    const int sizes[] = {1, batch, width}, strides[] = {batch * width, width, 1};
    if (!dropout.good || !cell.good || !x.good || !y.good || !state.good) status = CUDNN_STATUS_NOT_INITIALIZED;
    did(cudnn()->set_dropout(dropout.handle, handle, 0, nullptr, 0, 0));
    did(cudnn()->set_layer(cell.handle, CUDNN_RNN_ALGO_STANDARD, mode_of(kind), CUDNN_RNN_DOUBLE_BIAS,
                           CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT, type,
                           t == DType::f64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT, math_of(t), in, width, width, 1,
                           dropout.handle, CUDNN_RNN_PADDED_IO_ENABLED));
    constexpr auto kLayout = CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED;
    did(cudnn()->set_data(x.handle, type, kLayout, steps, batch, in, lengths.data(), nullptr));
    did(cudnn()->set_data(y.handle, type, kLayout, steps, batch, width, lengths.data(), nullptr));
    did(cudnn()->set_tensor(state.handle, type, 3, sizes, strides));
    did(cudnn()->weight_bytes(handle, cell.handle, &weights));
    did(cudnn()->temporary_bytes(handle, cell.handle, training ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE,
                                 x.handle, &workspace, training ? &kept : nullptr));
  }

 private:
  void did(cudnnStatus_t code) {  // the first failure; what follows it fails as well, and is not looked at
    if (status == CUDNN_STATUS_SUCCESS) status = code;
  }
};

TensorView rows(const TensorView& of, int64_t first, int64_t count) {
  TensorView v = of;
  v.data = of.ptr<char>() + first * of.strides[0] * static_cast<int64_t>(size_of(of.dtype));
  v.sizes[0] = count;
  return v;
}
TensorView packed_at(void* data, const TensorView& like) {
  TensorView v = like;
  v.data = data;
  for (int64_t d = v.rank - 1, step = 1; d >= 0; --d) v.strides[d] = step, step *= v.sizes[d];
  return v;
}
// Copies each gate's rows of the weights and biases that are given into the library's space, or out of it. Its order of
// gates is ours: those of x first, then those of the state.
template <class Args>
void move_weights(cudnnHandle_t handle, const Layer& l, const Args& a, const TensorView (&ours)[4], void* space,
                  bool in) {
  Owned<cudnnTensorDescriptor_t> matrix(cudnn()->new_tensor, cudnn()->end_tensor),
      bias(cudnn()->new_tensor, cudnn()->end_tensor);
  const int64_t width = a.weight_hh.sizes[1];
  const int gates = gates_of(a.cell);
  for (int g = 0; g < 2 * gates; ++g) {
    void *matrix_at = nullptr, *bias_at = nullptr;
    check_cudnn(cudnn()->weight_places(handle, l.cell.handle, 0, l.weights, space, g, matrix.handle, &matrix_at,
                                       bias.handle, &bias_at),
                "the places of weights");
    const auto move = [&](const TensorView& whole, void* at) {
      if (!whole) return;
      const TensorView part = rows(whole, g % gates * width, width), there = packed_at(at, part);
      in ? copy(a.x.device, {part, there}) : copy(a.x.device, {there, part});
    };
    move(ours[g < gates ? 0 : 1], matrix_at), move(ours[g < gates ? 2 : 3], bias_at);
  }
}
template <class Args>
Scratch library_weights(cudnnHandle_t handle, const Layer& l, const Args& a) {
  Scratch space(a.x.device, l.weights);
  check(cudaMemsetAsync(space.as<void>(), 0, l.weights, stream(a.x.device)), "clearing weights");
  move_weights(handle, l, a, {a.weight_ih, a.weight_hh, a.bias_ih, a.bias_hh}, space.as<void>(), true);
  return space;
}

Started& ready(Device d) {
  make_current(d);
  return started(d);
}
Layer layer_of(cudnnHandle_t handle, const RnnLayerArgs& a, bool training) {
  return Layer(handle, a.cell, a.dtype(), a.x, a.weight_hh.sizes[1], training);
}

}  // namespace

const char* rnn_refuses(const RnnLayerArgs& a) {
  if (!cudnn() || a.x.device.index >= kMostDevices)
    return "there is no cuDNN 9.19, nor an older cuDNN 9 with CUBLAS_WORKSPACE_CONFIG=:4096:8";
  Started& s = ready(a.x.device);
  const std::lock_guard lock(s.mutex);
  if (!s.start()) return "cuDNN does not start";
  return layer_of(s.handle, a, true).status == CUDNN_STATUS_SUCCESS ? nullptr : "cuDNN does not take it";
}

int64_t rnn_keeps(const RnnLayerArgs& a) {
  Started& s = ready(a.x.device);
  const std::lock_guard lock(s.mutex);
  const Layer l = layer_of(s.handle, a, true);
  check_cudnn(l.status, "a recurrent layer");
  return static_cast<int64_t>(l.kept);
}

void run_rnn(const RnnLayerArgs& a) {
  Started& s = ready(a.x.device);
  const std::lock_guard lock(s.mutex);
  check_cudnn(cudnn()->set_stream(s.handle, stream(a.x.device)), "setting the stream");
  const bool training = a.kept.given(), lstm = a.cell == RnnCell::lstm;
  const Layer l = layer_of(s.handle, a, training);
  check_cudnn(l.status, "a recurrent layer");
  const Scratch weights = library_weights(s.handle, l, a), workspace(a.x.device, l.workspace);
  check_cudnn(cudnn()->forward(s.handle, l.cell.handle, training ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE,
                               nullptr, l.x.handle, a.x.data, l.y.handle, a.y.data, l.state.handle, a.h0.data,
                               a.h_end.data, lstm ? l.state.handle : nullptr, lstm ? a.c0.data : nullptr,
                               lstm ? a.c_end.data : nullptr, l.weights, weights.as<void>(), l.workspace,
                               workspace.as<void>(), l.kept, training ? a.kept.data : nullptr),
              "a recurrent layer");
}

void run_rnn_backward(const RnnLayerGradArgs& a) {
  Started& s = ready(a.x.device);
  const std::lock_guard lock(s.mutex);
  const Device d = a.x.device;
  check_cudnn(cudnn()->set_stream(s.handle, stream(d)), "setting the stream");
  const Layer l(s.handle, a.cell, a.dtype(), a.x, a.weight_hh.sizes[1], true);
  check_cudnn(l.status, "the gradient of a recurrent layer");
  const auto given = [](const TensorView& v) { return v ? v.data : nullptr; };
  const cudnnTensorDescriptor_t cell_state = a.cell == RnnCell::lstm ? l.state.handle : nullptr;
  const Scratch weights = library_weights(s.handle, l, a), workspace(d, l.workspace);
  // The library writes into what was kept, which a tape may want again.
  const Scratch kept(d, l.kept);
  check(cudaMemcpyAsync(kept.as<void>(), a.kept.data, l.kept, cudaMemcpyDeviceToDevice, stream(d)),
        "copying what a recurrent layer kept");
  check_cudnn(cudnn()->backward_data(s.handle, l.cell.handle, nullptr, l.y.handle, a.y.data, a.gy.data, l.x.handle,
                                     a.gx.data, l.state.handle, a.h0.data, given(a.gh_end), given(a.gh0), cell_state,
                                     given(a.c0), given(a.gc_end), given(a.gc0), l.weights, weights.as<void>(),
                                     l.workspace, workspace.as<void>(), l.kept, kept.as<void>()),
              "the gradient of a recurrent layer");
  if (!a.gweight_ih && !a.gweight_hh && !a.gbias_ih && !a.gbias_hh) return;
  const Scratch gradients(d, l.weights);
  check(cudaMemsetAsync(gradients.as<void>(), 0, l.weights, stream(d)), "clearing gradients");
  check_cudnn(
      cudnn()->backward_weights(s.handle, l.cell.handle, CUDNN_WGRAD_MODE_ADD, nullptr, l.x.handle, a.x.data,
                                l.state.handle, a.h0.data, l.y.handle, a.y.data, l.weights, gradients.as<void>(),
                                l.workspace, workspace.as<void>(), l.kept, kept.as<void>()),
      "the gradient of a recurrent layer's weights");
  move_weights(s.handle, l, a, {a.gweight_ih, a.gweight_hh, a.gbias_ih, a.gbias_hh}, gradients.as<void>(), false);
}

}  // namespace tapedeck::kernels::cuda

#else  // built without the header

namespace tapedeck::kernels::cuda {

const char* rnn_refuses(const RnnLayerArgs&) { return "cuDNN was not there when this was built"; }
std::int64_t rnn_keeps(const RnnLayerArgs&) { return -1; }
void run_rnn(const RnnLayerArgs&) {}
void run_rnn_backward(const RnnLayerGradArgs&) {}

}  // namespace tapedeck::kernels::cuda

#endif
