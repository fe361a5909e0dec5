#!/usr/bin/env bash
# The house's own rules: public headers compile alone, an upward include does not compile, no third-party header is public,
# the README's example compiles and runs, files stay readable.
#   house_test.sh BUILD_DIR
set -uo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}"); passed=0; failed=0
check() {  # check NAME CONDITION-COMMAND...
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; fi
}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
compile() {  # compile FOLDER FILE: syntax only, with the include roots that FOLDER's files have
  local roots=() f
  for f in tensor kernels autograd io nn train; do
    roots+=("-I$build/include/$f"); [ "$f" = "$1" ] && break
  done
  "${CXX:-g++}" -std=c++20 -march=x86-64-v3 -fsyntax-only "${roots[@]}" "$2" 2>"$work/errors"
}
public_headers_compile_alone() {
  local bad=0 f h
  for f in tensor kernels autograd io nn train; do
    for h in "$f"/*.h $(ls "$f"/layers/*.h 2>/dev/null); do
      echo "#include <tapedeck/$h>" >"$work/one.cpp"
      compile "$f" "$work/one.cpp" || { echo "$h does not compile alone:"; head -5 "$work/errors"; bad=1; }
    done
  done
  return $bad
}
upward_include_fails() {
  local lower upper folders=(tensor kernels autograd io nn train) i
  for ((i = 0; i < 5; ++i)); do
    lower=${folders[i]} upper=${folders[i + 1]}
    echo "#include <tapedeck/$upper/$(basename "$(ls "$upper"/*.h | head -1)")>" >"$work/up.cpp"
    compile "$lower" "$work/up.cpp" && { echo "$lower can include from $upper"; return 1; }
    grep -q 'No such file' "$work/errors" || return 1
  done
}
no_third_party_in_headers() { ! grep -nE '#include <(Eigen|unsupported|hwy|nlohmann|fmt|CLI|sndfile|soxr|png|iostream|sstream)' {tensor,kernels,autograd,io,nn,train}/*.h; }
eigen_only_in_its_files() { ! grep -lE '#include <Eigen' -r tensor kernels autograd io nn train | grep -v '^kernels/cpu/eigen_'; }
json_only_in_one_file() { [ "$(grep -lE '#include <nlohmann' -r tensor kernels autograd io nn train)" = io/node.cpp ]; }
environment_read_in_one_file() { [ "$(grep -lE '\bgetenv\b' -r tensor kernels autograd io nn train)" = tensor/env.cpp ]; }
top_level_is_the_design() { [ -z "$(git ls-files | cut -d/ -f1 | sort -u | grep -vxE 'CMakeLists.txt|tensor|kernels|autograd|io|nn|train|bench|tests|README.md|LICENSE|\..*')" ]; }
every_folder_has_a_readme() { local f; for f in tensor kernels autograd io nn train bench tests; do [ -s $f/README.md ] || { echo "no $f/README.md"; return 1; }; done; }
no_fast_math() { ! grep -rnE -- '-ffast-math|use_fast_math|-fopenmp' CMakeLists.txt tests/CMakeLists.txt bench/CMakeLists.txt; }
tape_core_is_small() {  # lines of the two together, none of them long
  local n; n=$(cat autograd/tape.h autograd/tape.cpp | wc -l)
  [ "$n" -le 300 ] && ! grep -nE '^.{121}' autograd/*.h autograd/*.cpp || { echo "tape.h and tape.cpp have $n lines"; return 1; }
}
run_outside() {  # run_outside FILE: compiled and linked as a user would, and run
  local roots=() f libs=()
  for f in tensor kernels autograd io nn train; do roots+=("-I$build/include/$f"); done
  for f in train nn io autograd kernels tensor; do libs+=("$build/libtapedeck_$f.a"); done
  local flags=(); grep -q '^TAPEDECK_SANITIZE:STRING=.' "$build/CMakeCache.txt" && flags=("-fsanitize=$(sed -n 's/^TAPEDECK_SANITIZE:STRING=//p' "$build/CMakeCache.txt")")
  local cuda=(); grep -q '^CMAKE_CUDA_COMPILER:.*nvcc' "$build/CMakeCache.txt" && mapfile -t cuda < <(sed -nE 's/^CUDA_(cudart_static|cublas|cublasLt)_LIBRARY:FILEPATH=//p' "$build/CMakeCache.txt"; echo -ldl; echo -lrt)
  "${CXX:-g++}" -std=c++20 -O1 -Wall -Wextra "${flags[@]}" "${roots[@]}" "$1" "${libs[@]}" "${cuda[@]}" $(pkg-config --libs sndfile soxr libhwy) -lpng -lz -lfmt -lpthread -o "$work/example" && (cd "$work" && ./example)
}
readme_example_compiles() {
  awk '/^```cpp$/{on=1;next} /^```$/{on=0} on' README.md >"$work/example.cpp"
  [ -s "$work/example.cpp" ] && run_outside "$work/example.cpp"
}
examples_run() { local e; for e in train/examples/*.cpp; do run_outside "$e" || { echo "$e failed"; return 1; }; done; }
autograd_readme_shows_the_example() {  # every line of its code is one of train/examples/custom_op.cpp
  awk '/^```cpp$/{on=1;next} /^```$/{on=0} on' autograd/README.md >"$work/shown"
  [ -s "$work/shown" ] && ! grep -vxFf train/examples/custom_op.cpp "$work/shown"
}
types_page_is_printed() {  # train/types.md is what the program says of itself
  [ ! -x "$build/bin/tapedeck" ] || "$build/bin/tapedeck" describe --docs | cmp - train/types.md || { echo "write it anew: tapedeck describe --docs -o train/types.md --force"; return 1; }
}
umbrella_is_light() {  # standard library and our own headers only
  echo '#include <tapedeck/train/tapedeck.h>' >"$work/umbrella.cpp"
  local roots=() f; for f in tensor kernels autograd io nn train; do roots+=("-I$build/include/$f"); done
  "${CXX:-g++}" -std=c++20 -fsyntax-only -H "${roots[@]}" "$work/umbrella.cpp" 2>"$work/tree" || { head -5 "$work/tree"; return 1; }
  ! grep -E '/(Eigen|nlohmann|hwy|fmt|CLI|sndfile|soxr|png)' "$work/tree"
}
for c in public_headers_compile_alone upward_include_fails no_third_party_in_headers eigen_only_in_its_files json_only_in_one_file \
         environment_read_in_one_file top_level_is_the_design every_folder_has_a_readme no_fast_math tape_core_is_small \
         readme_example_compiles examples_run autograd_readme_shows_the_example types_page_is_printed umbrella_is_light; do
  check $c $c
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
