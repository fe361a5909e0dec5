#!/usr/bin/env bash
# From nothing to generated sound: installs what is missing, builds the one program, trains a small WaveNet, generates.
#   bash train/quickstart.sh [SOUNDS]     SOUNDS: a file, a folder or a glob; default: 25 min of one voice at 8 kHz (a Debian package)
# The run goes to runs/quickstart-<time>; nothing that exists is overwritten.
set -euo pipefail
sounds=${1:-}
[ $# -le 1 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
case $sounds in ""|/*) ;; *) sounds=$PWD/$sounds ;; esac
shopt -s globstar
[ -z "$sounds" ] || [ -e "$sounds" ] || compgen -G "$sounds" >/dev/null || {
  echo "error: $sounds: no file or folder is there, and no glob fits" >&2; exit 3; }
cd "$(dirname "$0")/.."
started=$SECONDS
. tests/packages.sh
voice=asterisk-core-sounds-en-wav
need_packages "${build_packages[@]}" $([ -n "$sounds" ] || echo $voice)
if [ -z "$sounds" ]; then
  sounds=/usr/share/asterisk/sounds
  echo "Sounds: Debian package $voice: Asterisk core sounds, English, voice Allison Smith, by Digium, Inc. and the Asterisk" \
       "community; CC BY-SA 3.0. Sound made from it keeps that licence." >&2
fi

build=build-quickstart
cmake -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DTAPEDECK_CUDA=OFF -DTAPEDECK_TESTS=OFF -DTAPEDECK_BENCH=OFF >/dev/null
echo "building $build/bin/tapedeck" >&2
ninja -C $build tapedeck >$build/build.log 2>&1 || { grep -m5 -E 'error' $build/build.log >&2; echo "error: the build failed; see $build/build.log" >&2; exit 1; }
tapedeck=$build/bin/tapedeck
echo "built in $((SECONDS - started)) s" >&2

run=runs/quickstart-$(date +%Y%m%d-%H%M%S)
mkdir -p runs
$tapedeck new wavenet --preset small -o $run.json
trained=$SECONDS
$tapedeck train $run.json --data "$sounds" --out $run
echo "trained in $((SECONDS - trained)) s" >&2
$tapedeck eval $run --data "$sounds"
generated=$SECONDS
$tapedeck generate $run --seconds 5 --temperature 1 --seed 1 -n 2 -o $run/out
echo "generated in $((SECONDS - generated)) s; everything together $((SECONDS - started)) s" >&2
echo "run folder: $run"
ls $run/out
