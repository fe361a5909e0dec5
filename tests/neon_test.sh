#!/usr/bin/env bash
# The CPU kernels for ARM: everything compiles for NEON, and a sample of the op cases passes in an emulator.
#   bash tests/neon_test.sh [BUILD_DIR] [--full]
# Only --full; needs Debian's g++-aarch64-linux-gnu and qemu-user-static.
cd "$(dirname "$0")/.." || exit 2
build=${1:-build}
[ "${2:-}" = --full ] || { echo "0 passed, 0 failed"; exit 0; }
if ! { command -v aarch64-linux-gnu-g++ && command -v qemu-aarch64-static; } >/dev/null; then
  echo "skipped: no g++-aarch64-linux-gnu or qemu-user-static"; echo "0 passed, 0 failed"; exit 0
fi
out=$build/neon; mkdir -p "$out/include"
ln -sfn /usr/include/hwy "$out/include/hwy"; ln -sfn /usr/include/eigen3/Eigen "$out/include/Eigen"
cat >"$out/emulation.cpp" <<'END'
#include "cuda/emulated_memory.h"
#include "cuda/emulated_runtime.h"
namespace tapedeck::kernels::cuda_emulated { void install() {} }
namespace emulation { void (*on_violation)(const std::string&) = nullptr; }
END
flags="-std=c++20 -O1 -ffp-contract=off -fno-math-errno -march=armv8.2-a+crypto -Itests -Itests/cuda -I$out/include -I$build/tests/generated"
for module in tensor kernels autograd; do flags="$flags -I$build/include/$module"; done
sources=$(ls tensor/*.cpp kernels/*.cpp kernels/cpu/*.cpp autograd/*.cpp tests/cases/*.cpp "$out/emulation.cpp" | grep -v _test.cpp)
one() {
  object=$out/$(echo "$2" | tr / _).o
  # shellcheck disable=SC2086
  $(command -v ccache) aarch64-linux-gnu-g++ $1 -c "$2" -o "$object" || echo "FAILED $2"
}
export -f one; export out
bad=$(echo "$sources" | xargs -P "$(nproc)" -I{} bash -c 'one "$1" "$2"' - "$flags" {} 2>"$out/errors.log" | grep -c FAILED)
all=$(echo "$sources" | wc -l)
[ "$bad" = 0 ] || { cat "$out/errors.log"; echo "$((all - bad)) passed, $bad failed"; exit 1; }
objects=$(for source in $sources; do echo "$out/$(echo "$source" | tr / _).o"; done)
# shellcheck disable=SC2086
aarch64-linux-gnu-g++ -static $objects -o "$out/op_cases" 2>"$out/errors.log" || {
  tail -40 "$out/errors.log"; echo "$all passed, 1 failed"; exit 1; }
echo "compiled $all files"
qemu-aarch64-static "$out/op_cases" --sample 50 | tail -3
