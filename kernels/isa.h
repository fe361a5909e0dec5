// Which vector instructions the default CPU kernels use. Results do not depend on it, bit for bit; tests switch it to
// see that.
#pragma once

namespace tapedeck::kernels {

enum class Isa { avx2, avx512 };  // avx2 on another processor: what it has (on ARM, NEON)

Isa best_isa();  // what this machine has, limited by TAPEDECK_ISA (avx2 or avx512; ValueError when it is another word)
Isa isa();       // what kernels run on: the best one unless use_isa() said otherwise
void use_isa(Isa wanted);  // of all threads, from the next kernel on; ValueError when best_isa() is less

}  // namespace tapedeck::kernels
