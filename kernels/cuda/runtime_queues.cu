// The copy stream, events, pinned memory and recorded graphs behind tensor/device.h.
#include <tapedeck/kernels/cuda/runtime.h>

#include <mutex>

namespace tapedeck::kernels::cuda {
namespace {

constexpr int kMostDevices = 10;

Device device(int index) { return {DeviceType::cuda, static_cast<std::int8_t>(index)}; }

cudaStream_t copy_stream(int index) {
  static struct {
    std::once_flag once;
    cudaStream_t stream = nullptr;
  } all[kMostDevices];
  auto& mine = all[index];
  std::call_once(mine.once, [&] {
    check(cudaStreamCreateWithFlags(&mine.stream, cudaStreamNonBlocking), "making a stream for copies");
  });
  return mine.stream;
}
cudaStream_t stream_of(int index, Queue q) {
  make_current(device(index));
  return q == Queue::copy ? copy_stream(index) : stream(device(index));
}
cudaEvent_t event_of(void* e) { return static_cast<cudaEvent_t>(e); }

void* pin(int index, std::size_t bytes) {
  make_current(device(index));
  void* p = nullptr;
  if (cudaHostAlloc(&p, bytes, cudaHostAllocDefault) == cudaSuccess) return p;
  static_cast<void>(cudaGetLastError());
  return nullptr;
}
void unpin(int, void* p) { static_cast<void>(cudaFreeHost(p)); }  // at exit the driver may be gone already

void* make_event(int index) {
  make_current(device(index));
  cudaEvent_t e = nullptr;
  check(cudaEventCreateWithFlags(&e, cudaEventDisableTiming), "making an event");
  return e;
}
void drop_event(int, void* e) { static_cast<void>(cudaEventDestroy(event_of(e))); }
void record(int index, Queue q, void* e) { check(cudaEventRecord(event_of(e), stream_of(index, q)), "an event"); }
void wait(int index, Queue q, void* e) {
  check(cudaStreamWaitEvent(stream_of(index, q), event_of(e), 0), "waiting for an event");
}
bool passed(int index, void* e) {
  make_current(device(index));
  const cudaError_t code = cudaEventQuery(event_of(e));
  if (code == cudaErrorNotReady) return static_cast<void>(cudaGetLastError()), false;
  return check(code, "asking for an event"), true;
}
void copy(int index, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(index, Queue::copy)),
        "copying to the device");
}

// Into a stream of its own: what other threads give to the compute stream meanwhile is not recorded.
void begin_recording(int index) {
  TD_CHECK(!waits_for_kernels(), DeviceError, "cuda: TAPEDECK_SYNC=1 waits for each kernel: nothing is recorded");
  make_current(device(index));
  limits(device(index));  // what the device's first use makes cannot be made while it records
  cudaStream_t s = nullptr;
  check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "making a stream to record");
  if (const cudaError_t code = cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal); code != cudaSuccess) {
    static_cast<void>(cudaStreamDestroy(s));
    check(code, "recording a step");
  }
  record_into(device(index), s);
}
void* end_recording(int index) {
  const cudaStream_t s = recording_stream(device(index));
  record_into(device(index), nullptr);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t ready = nullptr;
  cudaError_t code = cudaStreamEndCapture(s, &graph);
  if (code == cudaSuccess) code = cudaGraphInstantiate(&ready, graph, 0);
  if (graph) static_cast<void>(cudaGraphDestroy(graph));
  static_cast<void>(cudaStreamDestroy(s));
  check(code, "recording a step");
  return ready;
}
void run(int index, void* graph) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_of(index, Queue::compute)), "a recorded step");
}
void drop_graph(int index, void* graph) {
  static_cast<void>(cudaStreamSynchronize(stream_of(index, Queue::compute)));
  static_cast<void>(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)));
}

}  // namespace

const DeviceQueues queues{pin,    unpin, make_event,      drop_event,    record, wait,
                          passed, copy,  begin_recording, end_recording, run,    drop_graph};

}  // namespace tapedeck::kernels::cuda
