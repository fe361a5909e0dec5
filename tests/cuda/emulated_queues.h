// The queues of the emulated devices. Each is as lazy as it may be: what it was given is done when somebody waits for
// it, and no sooner, so that a wait that was forgotten shows. Copies can be as early as they may be instead.
#pragma once
#include <tapedeck/tensor/device.h>

namespace emulation {

extern const tapedeck::DeviceQueues queues;

void finish(int device, tapedeck::Queue q);  // all that it was given
void finish(int device);                     // both
void copies_run_early(bool on);
bool recording(int device);  // by this thread

}  // namespace emulation
