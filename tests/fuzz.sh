#!/usr/bin/env bash
# Fuzzes every parser under ASan and UBSan from its corpus; finds stay in build-fuzz/finds/TARGET.
#   bash tests/fuzz.sh [SECONDS_PER_TARGET] [TARGET...]
set -uo pipefail
cd "$(dirname "$0")/.."
. tests/packages.sh
seconds=${1:-30}; shift $(($# > 0))
need_packages "${build_packages[@]}" clang-19 || exit 2
cmake -B build-fuzz -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_C_COMPILER=clang-19 \
  -DTAPEDECK_FUZZ=ON >build-fuzz.configure.log 2>&1 || { cat build-fuzz.configure.log; exit 1; }
mv build-fuzz.configure.log build-fuzz/configure.log
targets=("$@"); [ ${#targets[@]} -gt 0 ] || for f in tests/fuzz/*_fuzz.cpp; do targets+=("$(basename "$f" .cpp)"); done
ninja -C build-fuzz "${targets[@]}" >build-fuzz/build.log 2>&1 || { grep -m10 error build-fuzz/build.log; exit 1; }
passed=0; failed=0
for t in "${targets[@]}"; do
  name=${t%_fuzz}; found=build-fuzz/found/$name; finds=build-fuzz/finds/$name/
  mkdir -p "$found" "$finds"
  log=build-fuzz/$name.log
  if build-fuzz/bin/"$t" -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=512 -timeout=10 -print_final_stats=1 \
      -artifact_prefix="$finds" "$found" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1)); tail -30 "$log"
  fi
  echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
