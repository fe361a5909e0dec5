#!/usr/bin/env bash
# JSON Schemas of configs, asked by Debian's python3-jsonschema: random configs with and without mistakes, and every preset.
#   schema_test.sh BUILD_DIR
set -uo pipefail
cd "$(dirname "$0")/.."
bin=${1:-build}/bin
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
one_line() { python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)))'; }
passed=0; failed=0
run() {  # run FILE [--both]: adds what the check counted
  local file=$1 line; shift
  line=$(/usr/bin/python3 tests/tools/schema_check.py "$@" <"$file")
  echo "$line" >&2; line=${line##*$'\n'}  # no tee: it would cut the log that stderr may be
  [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]] || { failed=$((failed + 1)); return; }
  passed=$((passed + BASH_REMATCH[1])); failed=$((failed + BASH_REMATCH[2]))
}
"$bin"/schema_cases 2000 >"$work/random" && run "$work/random" --both || failed=$((failed + 1))
"$bin"/tapedeck new --schema | one_line >"$work/presets"
"$bin"/tapedeck new --list | while read -r network _ preset _; do
  "$bin"/tapedeck new "$network" --preset "$preset" | one_line | sed 's/.*/{"config": &, "problem": ""}/'
done >>"$work/presets"
[ "$(wc -l <"$work/presets")" -gt 2 ] || { failed=$((failed + 1)); echo "no preset was printed"; }
run "$work/presets"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
