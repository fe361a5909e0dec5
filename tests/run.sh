#!/usr/bin/env bash
# Installs what is missing, builds, runs every test; the last line says `N passed, N failed`.
#   bash tests/run.sh [--full] [--sanitize address,undefined|thread] [--build DIR]
# --full adds the slow part: the sanitizer build of everything, longer fuzzing of ops and parsers, the crash loops at
# every system call, all 2^32 patterns of the sweep, ten million draws of each random op.
set -uo pipefail
cd "$(dirname "$0")/.."
full=; sanitize=; build=
while [ $# -gt 0 ]; do
  case $1 in
    --full) full=1 ;;
    --sanitize) sanitize=${2:?--sanitize needs a list}; shift ;;
    --build) build=${2:?--build needs a folder}; shift ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
  esac
  shift
done
[ -n "$build" ] || build=build${sanitize:+-${sanitize//,/-}}
. tests/packages.sh
need_packages "${build_packages[@]}" "${test_packages[@]}" ${full:+"${full_packages[@]}"} || exit 2

started=$SECONDS
cmake -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTAPEDECK_SANITIZE="$sanitize" >"$build.configure.log" 2>&1 || {
  cat "$build.configure.log"; exit 1; }
mv "$build.configure.log" "$build/configure.log"
echo "building into $build/" >&2
ninja -C "$build" >"$build/build.log" 2>&1 || { grep -E 'error|FAILED|warning' "$build/build.log" | head -40; tail -30 "$build/build.log"; echo "0 passed, 1 failed"; exit 1; }
echo "built in $((SECONDS - started)) s" >&2

passed=0; failed=0
count() {  # count NAME PASSED FAILED
  passed=$((passed + $2)); failed=$((failed + $3))
  printf '%-28s %5d passed %3d failed\n' "$1" "$2" "$3"
}
mkdir -p "$build/test-logs"
unset TAPEDECK_TEST_FULL; [ -n "$full" ] && [ -z "$sanitize" ] && export TAPEDECK_TEST_FULL=1
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 TSAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

for program in "$build"/bin/*_test; do  # GoogleTest programs
  name=$(basename "$program"); log=$build/test-logs/$name.log
  "$program" --gtest_brief=1 --gtest_output="json:$build/test-logs/$name.json" >"$log" 2>&1; code=$?
  ok=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) tests?\.$/\1/p' "$log" | tail -1); bad=$(grep -c '^\[  FAILED  \] .*(' "$log")
  [ "$code" != 0 ] && [ "$bad" = 0 ] && bad=1
  [ "$code" != 0 ] && tail -60 "$log"
  count "$name" "${ok:-0}" "$bad"
done
plain() {  # plain NAME COMMAND...: a program whose last line says `N passed, N failed`
  local name=$1 log=$build/test-logs/$1.log; shift
  "$@" >"$log" 2>&1; local code=$?
  local line; line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
  local ok=${line%% passed*} bad=${line#*, }; bad=${bad%% failed*}
  [ -n "$line" ] || { ok=0; bad=1; }
  [ "$code" != 0 ] && [ "$bad" = 0 ] && bad=1
  [ "$bad" != 0 ] && tail -60 "$log"
  count "$name" "$ok" "$bad"
}
# Sanitizers are slow: a quarter of the cases.
[ -x "$build/bin/op_cases" ] && plain op_cases "$build/bin/op_cases" $([ -n "$sanitize" ] && echo --sample 4 || echo --check-matrix kernels/README.md)
# The kernels of kernels/cuda on the emulated device: every case, in two halves at once, in orders that each draws; a
# sample under AddressSanitizer, and one whose races are found under ThreadSanitizer.
if [ -x "$build/bin/op_cases" ] && [ -z "$sanitize" ]; then
  for half in 0 1; do
    TAPEDECK_TEST_ORDER=$half "$build/bin/op_cases" --device emulated --shard $half/2 >"$build/test-logs/cuda_cases_$half.out" 2>&1 &
  done
  wait
  for half in 0 1; do plain cuda_cases_$half cat "$build/test-logs/cuda_cases_$half.out"; done
  plain cuda_modules "$build/bin/conformance" --property device --device emulated
elif [ -x "$build/bin/op_cases" ]; then
  plain cuda_cases "$build/bin/op_cases" --device emulated --sample $([ "$sanitize" = thread ] && echo 20 || echo 40)
fi
[ -x "$build/bin/op_cases" ] && [ -z "$sanitize" ] && plain op_cases_sweep "$build/bin/op_cases" --sweep ${full:+--full}
ctest --test-dir "$build" -R compile_fail >"$build/test-logs/compile_fail.log" 2>&1  # what must not compile does not
count compile_fail "$(grep -c ' Passed ' "$build/test-logs/compile_fail.log")" "$(grep -cE '\*\*\*(Failed|Not Run|Timeout)' "$build/test-logs/compile_fail.log")"
for script in tests/*_test.sh; do plain "$(basename "$script" .sh)" bash "$script" "$build" ${full:+--full}; done

if [ -n "$full" ] && [ -z "$sanitize" ]; then
  for s in address,undefined thread; do
    plain "sanitize-$s" bash tests/run.sh --sanitize "$s"
  done
  plain hostile build-address-undefined/bin/op_cases --hostile '*' --seconds 600
  plain fuzz bash tests/fuzz.sh 60
  plain mutants python3 tests/tools/mutate.py
fi
echo "whole run: $((SECONDS - started)) s" >&2
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
