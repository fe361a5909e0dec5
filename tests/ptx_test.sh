#!/usr/bin/env bash
# The PTX that builds carry for GPUs that come after sm_90: all kernels, as compute_90, assembled for sm_100 and sm_120.
#   bash tests/ptx_test.sh [BUILD_DIR] [--full]
# Only --full; needs nvcc.
cd "$(dirname "$0")/.." || exit 2
build=${1:-build}
[ "${2:-}" = --full ] || { echo "0 passed, 0 failed"; exit 0; }
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null)
[ -n "$nvcc" ] || { echo "skipped: no nvcc"; echo "0 passed, 0 failed"; exit 0; }
out=$build/ptx; mkdir -p "$out"
include="-I$build/include/tensor -I$build/include/kernels"
one() {
  # shellcheck disable=SC2086
  "$nvcc" $include -O3 -DNDEBUG -DTAPEDECK_CUDA_LIBRARIES='""' -std=c++20 -fmad=false -Werror all-warnings -x cu -gencode=arch=compute_90,code=sm_100 \
    -gencode=arch=compute_90,code=sm_120 -c "$1" -o "$out/$(basename "$1").o" >"$out/$(basename "$1").log" 2>&1 || echo "FAILED $1"
}
export -f one; export nvcc include out
bad=$(printf '%s\n' kernels/cuda/*.cu | xargs -P "$(nproc)" -I{} bash -c 'one {}' | tee "$out/failed" | grep -c FAILED)
all=$(ls kernels/cuda/*.cu | wc -l)
for f in $(sed 's/FAILED //' "$out/failed"); do tail -20 "$out/$(basename "$f").log"; done
rm -f "$out"/*.o
echo "$((all - bad)) passed, $bad failed"
[ "$bad" = 0 ]
