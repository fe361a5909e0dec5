#!/usr/bin/env bash
# Kernels from plug-ins, and `ab`, which puts one against another: right ones are timed, wrong ones are found.
#   ab_test.sh BUILD_DIR
set -uo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}"); passed=0; failed=0
ab=$build/bin/ab
[ -x "$ab" ] || { echo "ab is not built (TAPEDECK_BENCH=OFF)"; echo "0 passed, 0 failed"; exit 0; }
check() {  # check NAME CONDITION-COMMAND...
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; tail -n 5 "$work/out" "$work/err"; fi
}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
plugin() {  # plugin FILE.cpp OUT.so FLAG...: nothing of ours to link with, and no symbol left open
  local file=$1 out=$2; shift 2
  "${CXX:-g++}" -std=c++20 -O2 -march=x86-64-v3 "$@" -shared -fPIC -Wl,--no-undefined \
    -I"$build/include/kernels" -I"$build/include/tensor" "$file" -o "$out" 2>"$work/err"
}
run() {  # run EXIT-CODE ARGUMENTS...
  local want=$1; shift
  "$ab" --seconds 0 "$@" >"$work/out" 2>"$work/err"
  local code=$?; [ $code = "$want" ] || { echo "exit code $code instead of $want"; return 1; }
}
says() { grep -qE -- "$1" "$work/out" "$work/err"; }
one_line() { [ "$(wc -l <"$work/err")" = 1 ] && says "$1"; }
variant() { sed "$1" bench/plugin_example.cpp >"$work/twin.cpp" && ! cmp -s "$work/twin.cpp" bench/plugin_example.cpp && plugin "$work/twin.cpp" "$work/$2.so"; }

example_is_short() { [ "$(wc -l <bench/plugin_example.cpp)" -lt 60 ]; }
example_builds() { plugin bench/plugin_example.cpp "$work/mine.so" -Wall -Wextra -Werror; }
example_is_right() { run 0 matmul simd mine --plugin "$work/mine.so" --cases 'matmul#7*' && says 'as fast as simd'; }
example_in_a_program() {  # any program loads it, and may be told to use it
  TAPEDECK_PLUGINS=$work/mine.so "$ab" --list matmul >"$work/out" 2>"$work/err" && says 'mine \(i, k, j loops\)' &&
    TAPEDECK_PLUGINS=$work/mine.so TAPEDECK_KERNELS=matmul=mine "$ab" matmul forced ref --seconds 0 --cases 'matmul#55' >"$work/out" 2>"$work/err" && says '^  mine '
}
json_lines_parse() {
  run 0 matmul simd mine --plugin "$work/mine.so" --cases 'matmul#7?' --json &&
    python3 -c 'import json,sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert rows and all(v["verdict"] == "right" and v["seconds"] > 0 for r in rows for v in r["variants"])' "$work/out"
}
wrong_twin_is_found() {  # the last product of each chunk left out
  variant 's/k < std::min(depth, k0 + 256)/k + 1 < std::min(depth, k0 + 256)/' wrong &&
    run 1 matmul simd mine --plugin "$work/wrong.so" --cases 'matmul#7*' && says '^WRONG mine' && ! says '^WRONG simd'
}
writing_behind_the_output_is_found() {
  variant 's/for (int64_t j = 0; j < n; ++j) y\[j\] += part\[j\];/for (int64_t j = 0; j < n; ++j) y[j] += part[j]; if (row == a.y.sizes[0] * m - 1) y[n] = 7;/' behind &&
    run 1 matmul simd mine --plugin "$work/behind.so" --cases 'matmul#7*' && says 'canaries overwritten behind'
}
crash_is_found() {
  variant 's/if (a.beta == 0) std::fill_n(y, n, 0.0f);/__builtin_trap();/' crash &&
    run 1 matmul simd mine --plugin "$work/crash.so" --cases 'matmul#7?' && says 'the process died'
}
backward_is_judged() { run 0 conv1d_weight_grad simd ref --cases 'conv1d#1?' && says '\(backward\)'; }
refusal_is_no_fault() { run 0 add simd eigen --cases 'add#1*' && says ' 0 wrong'; }
other_abi_is_refused() {
  mkdir -p "$work/old/tapedeck/kernels"
  sed 's/kPluginAbi = [0-9]*/kPluginAbi = 99/' kernels/plugin.h >"$work/old/tapedeck/kernels/plugin.h"
  plugin bench/plugin_example.cpp "$work/old.so" -I"$work/old" && run 2 matmul simd mine --plugin "$work/old.so" &&
    one_line 'made for plug-in ABI 99, this program has [0-9]+; compile it again'
}
other_arguments_are_refused() {
  variant 's/registry.add<MatmulArgs>("matmul"/registry.add<MatmulArgs>("conv1d"/' args && run 2 matmul simd mine --plugin "$work/args.so" && one_line 'conv1d: variant "mine" takes other arguments'
}
missing_symbols_are_named() {
  echo 'int x;' >"$work/none.cpp"; plugin "$work/none.cpp" "$work/none.so" && run 2 matmul simd mine --plugin "$work/none.so" && one_line 'exports no tapedeck_plugin_abi' || return 1
  printf 'void nowhere(); extern "C" int tapedeck_plugin_abi() { nowhere(); return 1; }' >"$work/open.cpp"
  "${CXX:-g++}" -shared -fPIC "$work/open.cpp" -o "$work/open.so" && run 2 matmul simd mine --plugin "$work/open.so" && one_line 'cannot be loaded: .*undefined symbol: .*nowhere'
}
missing_file_is_named() { run 2 matmul simd mine --plugin "$work/nothing.so" && one_line 'nothing.so: cannot be loaded: .*No such file'; }
unknown_names_get_the_nearest() {
  run 2 matmull simd ref && one_line 'no kernel is named "matmull"; did you mean matmul\?' &&
    run 2 matmul simd reff && one_line 'no variant "reff"; did you mean ref\? \(it has: simd ref eigen\)' &&
    run 2 matmul simd ref --caes x && one_line 'no option --caes; did you mean --cases\?' &&
    run 2 matmul simd ref --threads many && one_line '--threads takes a number from 1 to 256, not "many"' &&
    run 2 matmul simd ref --cases 'nothing*' && one_line 'no case that fits "nothing\*" calls matmul' &&
    run 2 matmul simd && one_line 'SLOT, A and B are needed' && run 2 matmul simd forced && one_line 'TAPEDECK_KERNELS forces no variant'
}
for c in example_is_short example_builds example_is_right example_in_a_program json_lines_parse wrong_twin_is_found writing_behind_the_output_is_found \
         crash_is_found backward_is_judged refusal_is_no_fault other_abi_is_refused other_arguments_are_refused missing_symbols_are_named \
         missing_file_is_named unknown_names_get_the_nearest; do
  check $c $c
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
