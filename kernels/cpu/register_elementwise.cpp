#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

#define TD_SLOT(name, Name)          \
  KernelSlot<UnaryArgs> name(#name); \
  KernelSlot<UnaryGradArgs> name##_backward(#name "_backward");
TD_UNARY_LIST(TD_SLOT)
#undef TD_SLOT
#define TD_SLOT(name, Name) KernelSlot<UnaryArgs> name(#name);
TD_MAP_LIST(TD_SLOT)
TD_PREDICATE_LIST(TD_SLOT)
#undef TD_SLOT
#define TD_SLOT(name, Name) KernelSlot<BinaryArgs> name(#name);
TD_BINARY_LIST(TD_SLOT)
TD_COMPARE_LIST(TD_SLOT)
#undef TD_SLOT
#define TD_SLOT(name, Name) KernelSlot<TernaryArgs> name(#name);
TD_TERNARY_LIST(TD_SLOT)
#undef TD_SLOT
KernelSlot<WhereArgs> where("where");
KernelSlot<CopyArgs> copy("copy");
KernelSlot<FillArgs> fill("fill");
KernelSlot<GateArgs> gated_activation("gated_activation");
KernelSlot<GateGradArgs> gated_activation_backward("gated_activation_backward");

void register_elementwise(std::vector<SlotBase*>& slots) {
  add_simd_elementwise();
  add_ref_elementwise();
  add_simd_gate();
  add_ref_gate();
  add_ref_copy();
  add_eigen_elementwise();  // behind ref: f64 is the same in every layout
#define TD_LIST(name, Name) slots.insert(slots.end(), {&name, &name##_backward});
  TD_UNARY_LIST(TD_LIST)
#undef TD_LIST
#define TD_LIST(name, Name) slots.push_back(&name);
  TD_MAP_LIST(TD_LIST)
  TD_PREDICATE_LIST(TD_LIST)
  TD_BINARY_LIST(TD_LIST)
  TD_COMPARE_LIST(TD_LIST)
  TD_TERNARY_LIST(TD_LIST)
#undef TD_LIST
  slots.insert(slots.end(), {&where, &copy, &fill, &gated_activation, &gated_activation_backward});
}

}  // namespace tapedeck::kernels
