// What the files of the CUDA runtime share (private to runtime*.cu).
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>

namespace tapedeck::kernels::cuda {

extern const DeviceQueues queues;  // runtime_queues.cu

// The stream that this thread records into (nullptr: none), in place of the compute stream.
cudaStream_t recording_stream(Device d);
void record_into(Device d, cudaStream_t s);

bool waits_for_kernels();  // TAPEDECK_SYNC=1

}  // namespace tapedeck::kernels::cuda
