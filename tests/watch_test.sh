#!/usr/bin/env bash
# What the environment turns on: TAPEDECK_CHECK_FINITE and TAPEDECK_TRACE, seen from outside of a program.
#   watch_test.sh BUILD_DIR
set -uo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}"); passed=0; failed=0
check() {  # check NAME CONDITION-COMMAND...
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; fi
}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
steps=$build/bin/watched_steps

off_by_default() { [ "$("$steps" bad)" = done ] && [ "$(TAPEDECK_CHECK_FINITE=0 "$steps" bad)" = done ]; }
names_the_op() {
  local said; said=$(TAPEDECK_CHECK_FINITE=1 "$steps" bad) && return 1
  [[ $said == 'log: makes -inf from finite inputs: element 0 of output 0; output f32[2,8] cpu; input 0 f32[2,8] cpu; module first "quoted"\' ]] ||
    { echo "$said"; return 1; }
}
finite_steps_pass() { [ "$(TAPEDECK_CHECK_FINITE=1 "$steps")" = done ]; }
trace_is_json() {
  TAPEDECK_TRACE=$work/trace.json "$steps" >/dev/null || return 1
  python3 - "$work/trace.json" <<'PY'
import json, sys
events = json.load(open(sys.argv[1]))
spans = [e for e in events if e["ph"] == "X"]
assert all(e["dur"] >= 0 and e["ts"] >= 0 for e in spans)
assert len({e["tid"] for e in spans}) == 2
ops = [e for e in spans if e["cat"] == "op"]
conv = [e for e in ops if e["name"] == "conv1d"]
assert len(conv) == 6 and conv[0]["args"]["module"] == 'first "quoted"\\', conv
assert conv[0]["args"]["inputs"] == ["f32[2,9,4]", "f32[3,4,2]", "none"] and conv[0]["args"]["outputs"] == ["f32[2,8,3]"]
assert conv[0]["args"]["bytes"] == 4 * (72 + 24 + 48) and conv[0]["args"]["flops"] == 2 * 48 * 8
back = [e for e in spans if e["name"] == "conv1d backward"]  # of the weight alone: x is a constant
assert len(back) == 6 and back[0]["args"]["flops"] == conv[0]["args"]["flops"], back
kernels = [e for e in spans if e["cat"] == "kernel"]
for e in ops[1:]:  # what an op spends its time on lies inside of it (the first one began before the trace)
    inside = [k for k in kernels if k["tid"] == e["tid"] and e["ts"] <= k["ts"] and k["ts"] + k["dur"] <= e["ts"] + e["dur"] + 0.01]
    assert inside or e["name"] == "reshape", e
assert any(e["ph"] == "C" and e["args"]["bytes"] > 0 for e in events)
PY
}
trace_ends_with_the_program() {  # also when the program fails, and on a full disk
  TAPEDECK_CHECK_FINITE=1 TAPEDECK_TRACE=$work/bad.json "$steps" bad >/dev/null && return 1
  python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$work/bad.json" || return 1
  TAPEDECK_TRACE=/dev/full "$steps" >"$work/out" 2>"$work/errors"
  grep -q '^done$' "$work/out" && grep -q 'trace: cannot write /dev/full: No space left' "$work/errors"
}
trace_keeps_other_files() {
  echo 'somebody else wrote this, and it is long enough to look at' >"$work/precious"
  TAPEDECK_TRACE=$work/precious "$steps" >"$work/out" && return 1
  grep -q 'exists and is no trace' "$work/out" && grep -q 'somebody else' "$work/precious"
}
for c in off_by_default names_the_op finite_steps_pass trace_is_json trace_ends_with_the_program trace_keeps_other_files; do
  check $c $c
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
