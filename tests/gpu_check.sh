#!/usr/bin/env bash
# Everything that needs a GPU: op cases, modules, models, training, resume, generation and the memory checker on the
# device, then the benchmarks beside PyTorch, in one report.
#   bash tests/gpu_check.sh [--report DIR] [--skip PART]... [--quick] [--compile] [BUILD_DIR]
# BUILD_DIR: a build folder, or a folder of programs built elsewhere with a `run.sh PROGRAM ARG...` that starts them.
# The report goes to DIR (default bench/results) as gpu-DATE-NAME.md and .json. Parts: cases, modules, tests, train,
# memcheck, bench. --quick: a tenth of the cases, one round of the benchmarks. --compile: training steps beside
# torch.compile, too, which takes minutes.
set -uo pipefail
cd "$(dirname "$0")/.."
report=bench/results; build=build; quick=; compile=; skipped=" "
while [ $# -gt 0 ]; do
  case $1 in
    --report) report=${2:?--report needs a folder}; shift ;;
    --skip) skipped+="${2:?--skip needs a part} "; shift ;;
    --quick) quick=1 ;;
    --compile) compile=--compile ;;
    -*) sed -n '2,8p' "$0" >&2; exit 2 ;;
    *) build=$1 ;;
  esac
  shift
done
if [ -x "$build/run.sh" ]; then program="$build/run.sh"; run() { "$build/run.sh" "$@"; }
else program=; run() { "$build/bin/$1" "${@:2}"; }; fi
command -v nvidia-smi >/dev/null || { echo "gpu_check: no NVIDIA driver on this machine" >&2; exit 5; }
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)
[ -n "$gpu" ] || { echo "gpu_check: the driver gives no GPU" >&2; exit 5; }
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)
mkdir -p "$report"; work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
stem=$report/gpu-$(date +%Y%m%d-%H%M)-$(tr -cs 'A-Za-z0-9' '-' <<<"$gpu" | sed 's/-*$//')
started=$SECONDS; passed=0; failed=0
exec 3>"$stem.md"
say() { echo "$*"; echo "$*" >&3; }
say "# GPU check: $gpu"; say
say "date $(date -u +%Y-%m-%dT%H:%MZ), driver $driver, $(nproc) processor cores"; say
part() {  # part NAME: whether to run it
  case $skipped in *" $1 "*) say "- $1: left out"; return 1 ;; esac
}
count() {  # count NAME PASSED FAILED SECONDS LOG
  passed=$((passed + $2)); failed=$((failed + $3))
  say "- $1: $2 passed, $3 failed ($4 s)"
  [ "$3" = 0 ] && return
  say '```'
  grep -aE 'FAILED|failed|threw|error|Error' "$5" | cut -c1-300 | head -"${6:-60}" >"$work/shown"; say "$(<"$work/shown")"
  say '```'
}
totals() {  # sums `N passed, N failed` lines of a log
  sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' "$1" | awk '{a += $1; b += $2} END {print a + 0, b + 0}'
}

if part cases; then
  begin=$SECONDS; shards=$(($(nproc) < 16 ? $(nproc) : 16))
  for ((i = 0; i < shards; ++i)); do
    { run op_cases --device cuda --shard $i/$shards ${quick:+--sample 10} >"$work/cases.$i" 2>&1 || [ $? = 1 ] ||
        echo "0 passed, 1 failed: ended early" >>"$work/cases.$i"; } &
  done
  wait
  cat "$work"/cases.* >"$work/cases.log"
  read -r ok bad < <(totals "$work/cases.log")
  count "op cases on the device" "$ok" "$bad" $((SECONDS - begin)) "$work/cases.log" 120
fi
if part modules; then
  begin=$SECONDS
  run conformance --property device >"$work/modules.log" 2>&1
  read -r ok bad < <(totals "$work/modules.log")
  [ "$ok" = 0 ] && bad=1
  count "modules on the device as on the CPU" "$ok" "$bad" $((SECONDS - begin)) "$work/modules.log"
fi
if part tests; then
  begin=$SECONDS
  TAPEDECK_TEST_DEVICE=cuda run cuda_test --gtest_brief=1 >"$work/tests.log" 2>&1; code=$?
  ok=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) tests?\.$/\1/p' "$work/tests.log" | tail -1); bad=$(grep -c '^\[  FAILED  \] .*(' "$work/tests.log")
  [ $code != 0 ] && [ "$bad" = 0 ] && bad=1
  count "cuda_test" "${ok:-0}" "$bad" $((SECONDS - begin)) "$work/tests.log"
fi
if part train; then
  begin=$SECONDS; ok=0; bad=0; log=$work/train.log
  expect() { if "${@:2}" >>"$log" 2>&1; then ok=$((ok + 1)); else bad=$((bad + 1)); echo "FAILED $1" >>"$log"; fi; }
  python3 - "$work/sounds" <<'PY'
import array, math, os, random, sys, wave
os.makedirs(sys.argv[1])
random.seed(3)
for n in range(4):
    samples = array.array("h", (int(9000 * math.sin(t * 0.05 * (n + 1)) + 3000 * math.sin(t * 0.311) + random.gauss(0, 300))
                                for t in range(16000)))
    with wave.open(f"{sys.argv[1]}/{n}.wav", "wb") as out:
        out.setnchannels(1), out.setsampwidth(2), out.setframerate(8000), out.writeframes(samples.tobytes())
PY
  run tapedeck new wavenet --preset small -o "$work/c.json" >>"$log" 2>&1
  train() { run tapedeck train "$work/c.json" --data "$work/sounds" --set train.batch_size=4 --set train.segment=500 --quiet --json "$@"; }
  bits() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["valid_bits"])' "$1"; }
  near() { python3 -c 'import sys; a, b, most = map(float, sys.argv[1:]); print(a, b); sys.exit(abs(a - b) > most)' "$@"; }
  run_to() { train --set train.max_steps=60 --out "$work/$1" "${@:2}" >"$work/$1.json" 2>>"$log"; }
  expect "60 steps on the CPU" run_to cpu
  expect "60 steps on the GPU" run_to gpu --device cuda
  expect "60 steps on the GPU again" run_to again --device cuda
  expect "60 steps in bf16" run_to bf16 --device cuda --precision bf16
  expect "60 steps in f16" run_to f16 --device cuda --precision f16
  expect "the GPU's bits per sample are the CPU's to 0.02" near "$(bits "$work/cpu.json")" "$(bits "$work/gpu.json")" 0.02
  expect "bf16 is within 0.1 bits" near "$(bits "$work/bf16.json")" "$(bits "$work/gpu.json")" 0.1
  expect "f16 is within 0.1 bits" near "$(bits "$work/f16.json")" "$(bits "$work/gpu.json")" 0.1
  model() { ls -d "$work/$1"/checkpoints/step-*/model.safetensors | tail -1; }
  expect "the same run gives the same bytes" cmp "$(model gpu)" "$(model again)"
  half() { train --set train.max_steps=60 --set train.max_minutes=0.0001 --set train.save_every=20 --out "$work/half" --device cuda; run tapedeck train --resume "$work/half" --device cuda --set train.max_minutes=null --quiet; }
  expect "a run that stopped goes on" half
  expect "and ends with the same bytes" cmp "$(model gpu)" "$(model half)"
  expect "eval on the GPU" run tapedeck eval "$work/gpu" --device cuda
  expect "generation on the CPU" run tapedeck generate "$work/gpu" --seconds 0.5 --seed 1 -o "$work/out-cpu" --quiet
  expect "generation on the GPU" run tapedeck generate "$work/gpu" --seconds 0.5 --seed 1 -o "$work/out-gpu" --device cuda --quiet
  expect "the same sound" cmp "$work/out-cpu/sample-1.wav" "$work/out-gpu/sample-1.wav"
  expect "a device that is not there: exit 5" bash -c "$(declare -f run); build='$build'; run tapedeck eval '$work/gpu' --device cuda:9; [ \$? = 5 ]"
  count "training, resume, generation by the command line" $ok $bad $((SECONDS - begin)) "$log"
fi
if part memcheck; then
  begin=$SECONDS; checker=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
  if [ -n "$checker" ]; then
    if [ -n "$program" ]; then target=(bash "$program" op_cases); else target=("$build/bin/op_cases"); fi
    timeout 120 "$checker" --target-processes all --tool memcheck --error-exitcode 9 "${target[@]}" --device cuda \
      --sample 400 >"$work/memcheck.log" 2>&1
    if grep -q 'Device not supported\|LibraryNotLoaded' "$work/memcheck.log"; then say "- memory checker: does not work on this machine"
    else
      errors=$(sed -nE 's/.*ERROR SUMMARY: ([0-9]+) error.*/\1/p' "$work/memcheck.log" | tail -1)
      count "op cases under the memory checker (errors: ${errors:-unknown})" $([ "${errors:-1}" = 0 ] && echo 1 0 || echo 0 1) $((SECONDS - begin)) "$work/memcheck.log"
    fi
  else say "- memory checker: not installed"; fi
fi
if part bench; then
  begin=$SECONDS
  say; say "## Beside PyTorch on the same device"; say
  python3 bench/peers/gpu.py "$([ -n "$program" ] && echo "$program gpu_peer" || echo "$build/bin/gpu_peer")" --rounds $([ -n "$quick" ] && echo 1 || echo 3) --json "$stem.json" --markdown "$work/bench.md" $compile 2>&1
  cat "$work/bench.md" >&3
  say "(benchmarks: $((SECONDS - begin)) s)"
fi
say; say "$passed passed, $failed failed; $((SECONDS - started)) s"
[ "$failed" = 0 ]
