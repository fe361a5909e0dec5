#!/usr/bin/env bash
# Kills a save at every one of its system calls, and makes every one of them fail; a verified checkpoint must be found
# after each. The last lines count the kills and the failures that happened.
#   bash tests/crash_test.sh [BUILD_DIR] [--full]     --full: more kinds of failures
set -u
cd "$(dirname "$0")/.."
build=${1:-build}; full=${2:-}
program=$PWD/$build/bin/save_loop
[ -x "$program" ] || program=$build/bin/save_loop
[ -x "$program" ] || { echo "no $program; build it first"; echo "0 passed, 1 failed"; exit 1; }
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)  # in memory: thousands of syncs
trap 'rm -rf "$work"' EXIT
export ASAN_OPTIONS=detect_leaks=0
if ! strace -o /dev/null true 2>/dev/null; then
  echo "SKIPPED: strace is not here, or may not trace; nothing was killed"
  echo "0 passed, 0 failed"
  exit 0
fi
passed=0; failed=0; killed=0; lost=0; injected=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }

# calls FIRST LAST KEEP: "NAME FROM TO" for each system call of this save, from the mark on.
calls() {
  rm -rf "$work/trace"; cp -a "$work/before" "$work/trace"
  strace -f -o "$work/log" "$program" "$work/trace/c" "$@" 2>/dev/null
  awk '{ sub(/^[0-9]+ +/, ""); name = $0; sub(/\(.*/, "", name) }
       /save-begins/ { on = 1 }
       name ~ /^[a-z_0-9]+$/ { count[name]++; if (!on) before[name] = count[name] }
       END { for (n in count) if (n != "exit_group" && count[n] > before[n]) print n, before[n] + 1, count[n] }' \
    "$work/log" | sort
}
# once OPTION FIRST LAST KEEP: runs the save in a fresh copy with the injection.
once() {
  rm -rf "$work/run"; cp -a "$work/before" "$work/run"
  strace -f -o "$work/log" -e "$1" "$program" "$work/run/c" "${@:2}" 2>"$work/errors"
}

# kill_everywhere OLDEST_ALLOWED FIRST LAST KEEP
kill_everywhere() {
  local oldest=$1 name from to k found; shift
  while read -r name from to; do
    for ((k = from; k <= to; k++)); do
      once "inject=$name:signal=SIGKILL:when=$k" "$@"
      grep -q 'killed by SIGKILL' "$work/log" || continue
      killed=$((killed + 1))
      found=$("$program" "$work/run/c" 2>>"$work/errors")
      if [ "$found" = none ] && [ "$oldest" = none ]; then
        passed=$((passed + 1))
      elif [[ $found == *" whole" ]] && { [ "$oldest" = none ] || [ "${found%% *}" -ge "$oldest" ]; }; then
        # The same program can go on from here.
        if "$program" "$work/run/c" "$2" "$2" "$3" 2>>"$work/errors"; then passed=$((passed + 1))
        else fail "killed at $name $k: the next save: $(tail -1 "$work/errors")"; fi
      else
        lost=$((lost + 1)); fail "killed at $name $k: found $found"
      fi
      [ -z "$(find "$work/run/c" -name '.tmp-*' 2>/dev/null)" ] || fail "killed at $name $k: temporary folder left"
    done
  done < <(calls "$@")
}

# fail_everywhere ERROR TEXT FIRST LAST KEEP: steps 1 and 2 must stay, the message must name the reason.
fail_everywhere() {
  local error=$1 text=$2 name from to k code found; shift 2
  while read -r name from to; do
    case $name in brk|mmap|munmap|mprotect|madvise|futex|rt_sig*|access|getpid|gettid|kill) continue ;; esac
    for ((k = from; k <= to; k++)); do
      once "inject=$name:error=$error:when=$k" "$@"; code=$?
      grep -q 'INJECTED' "$work/log" || continue
      injected=$((injected + 1))
      found=$("$program" "$work/run/c" 2>&1)
      if [ $code -gt 1 ]; then
        fail "$name $k $error: exit code $code: $(tail -1 "$work/errors")"
      elif [ $code = 1 ] && ! { grep -q "^error: $work/run/c" "$work/errors" && grep -qi "$text" "$work/errors"; }; then
        fail "$name $k $error: the message: $(tail -1 "$work/errors")"
      elif [[ $found != [23]" whole" ]]; then
        lost=$((lost + 1)); fail "$name $k $error: found $found"
      elif [ $code = 0 ] && [[ $found != "3 whole" ]]; then
        fail "$name $k $error: success was reported, but found $found"
      elif [ ! -f "$work/run/c/step-1/manifest.json" ] || [ ! -f "$work/run/c/step-2/manifest.json" ]; then
        fail "$name $k $error: an old checkpoint is gone"
      else
        passed=$((passed + 1))
      fi
    done
  done < <(calls "$@")
}

# In which order bytes and names reach the disk: what a power cut would leave. The first saves, and a run with its samples.
order() {  # order NAME ROOT COMMAND...
  local name=$1 root=$2; shift 2
  strace -f -y -o "$work/log" "$@" >/dev/null 2>"$work/errors" || { fail "$name: $(tail -1 "$work/errors")"; return; }
  if said=$(python3 tests/tools/sync_order.py "$work/log" "$root" --self-test); then passed=$((passed + 1))
  else fail "$name: a power cut: $said"; fi
  echo "$name: $(head -1 <<<"$said")"
}
mkdir "$work/order" "$work/order/sounds"
order "saves" "$work/order" "$program" "$work/order/c" 1 4 2
tapedeck=$(dirname "$program")/tapedeck
if [ -x "$tapedeck" ]; then
  python3 - "$work/order/sounds" <<'PY'
import struct, sys, wave
for k in range(2):
    with wave.open(f"{sys.argv[1]}/{k}.wav", "wb") as w:
        w.setparams((1, 2, 8000, 0, "NONE", "")); w.writeframes(struct.pack("<2000h", *((i * (k + 3) * 97) % 9000 for i in range(2000))))
PY
  "$tapedeck" new wavenet --preset tiny --set 'net.blocks=[2]' --set train.max_steps=6 --set train.segment=64 --set train.save_every=2 \
    --set train.valid_every=2 --set train.log_every=1 --set train.keep=2 --set train.sample_every=3 --set train.sample_seconds=0.01 -o "$work/cfg.json" 2>/dev/null
  order "a run" "$work/order/runs" "$tapedeck" train "$work/cfg.json" --data "$work/order/sounds" --out "$work/order/runs/a" --threads 1
  order "a run from weights" "$work/order/more" "$tapedeck" train "$work/cfg.json" --data "$work/order/sounds" --out "$work/order/more/b" --init "$work/order/runs/a" --threads 1
fi

exec 2>/dev/null  # the shell would announce every death
mkdir "$work/before"
kill_everywhere none 1 1 2       # the first save: none, or the whole new one
"$program" "$work/before/c" 1 1 2
kill_everywhere 1 2 2 2          # the second
"$program" "$work/before/c" 2 4 3
kill_everywhere 4 5 5 2          # one that deletes old ones
echo "$killed kills landed, $lost lost"

rm -rf "$work/before"; mkdir "$work/before"; "$program" "$work/before/c" 1 2 5
fail_everywhere ENOSPC "No space left on device" 3 3 5
fail_everywhere EIO "Input/output error" 3 3 5
if [ -n "$full" ]; then
  fail_everywhere EACCES "Permission denied" 3 3 5
  fail_everywhere EDQUOT "Disk quota exceeded" 3 3 5
  fail_everywhere EMFILE "Too many open files" 3 3 5
fi
echo "$injected failures injected, $lost checkpoints lost"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
