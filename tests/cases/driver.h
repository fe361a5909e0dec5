// Runs one case and says what is wrong with it.
#pragma once
#include <tapedeck/kernels/slot.h>

#include "cases/op_case.h"

namespace tapedeck::cases {

struct Outcome {
  std::vector<std::string> faults;
  int comparisons = 0;  // with the reference: the default variants and every other one
  double worst = 0;     // largest error as a part of its bound
};

// The result of every variant against the reference; the same bits on 1, 2, 3 and 8 threads, with AVX2 and
// AVX-512, and for a row alone; inputs
// unchanged; canaries whole (guard_memory() must be on).
Outcome run_forward(const OpCase& c);
// f64: differences. f32: against the gradients of f64 `ref`; for each input alone, for a gradient of another layout
// and added to one that is there: the same bits.
Outcome run_gradient(const OpCase& c);
bool has_gradient_case(const OpCase& c);
DType dtype_of_case(const OpCase& c);  // of the first real input, else f32
// The same inputs on a device: results and gradients against those of f64 `ref` here, each variant of the device; twice
// the same bits.
Outcome run_forward_on(const OpCase& c, Device device);
Outcome run_gradient_on(const OpCase& c, Device device);
// One comparison with every slot on its usual variant but `slot`, which is forced to `variant`. "" when it fits.
std::string run_forced(const OpCase& c, kernels::SlotBase& slot, const std::string& variant);
// The same for the differences of an f64 case with a gradient.
std::string run_forced_gradient(const OpCase& c, kernels::SlotBase& slot, const std::string& variant);

// What ab asks: does a case call the slot, and where?
enum class CallsSlot { no, forward, backward };
CallsSlot where_called(const OpCase& c, kernels::SlotBase& slot);
// One Outcome for each variant of the slot, forced, within the forward or (f32 and f64 alike against f64 `ref`) the
// backward pass; other slots take their usual variants. A fault "refuses: ..." is a variant that does not take the
// case. Canaries need guard_memory().
std::vector<Outcome> run_variants(const OpCase& c, kernels::SlotBase& slot, const std::vector<std::string>& variants,
                                  CallsSlot where);
// The forward pass, and the backward pass too: what ab measures. Nothing is compared.
void run_once(const OpCase& c, Args inputs, const Tensor& gy, CallsSlot where);
Tensor incoming_gradient(const OpCase& c, Args inputs);

}  // namespace tapedeck::cases
