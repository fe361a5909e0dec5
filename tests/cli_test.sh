#!/usr/bin/env bash
# The command line from outside: exit codes, messages, nothing lost, the same bytes after an interruption.
#   cli_test.sh BUILD_DIR
set -uo pipefail
cd "$(dirname "$0")/.."; source=$PWD
tapedeck=$(realpath "${1:-build}")/bin/tapedeck
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)  # in memory: hundreds of syncs
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
passed=0; failed=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED: $*"; }
check() { local name=$1; shift; if "$@"; then ok; else bad "$name"; fi; }

# refuses CODE REGEX ARGUMENTS...: exits so, one line "error: ..." that matches, and every file is as it was.
state() { find . -type f -not -name stdout -not -name stderr -print0 | sort -z | xargs -0 sha256sum; }
refuses() {
  local code=$1 regex=$2 before after got; shift 2
  before=$(state)
  timeout 60 "$tapedeck" "$@" >stdout 2>stderr; got=$?
  after=$(state)
  if [ $got != "$code" ]; then bad "$* exits $got, not $code: $(tail -1 stderr)"; return; fi
  if [ "$(grep -c '^error: ' stderr)" != 1 ]; then bad "$*: not one error line: $(cat stderr)"; return; fi
  if ! grep -qE -- "$regex" <(sed -n '/^error: /,$p' stderr); then bad "$*: the message is not about $regex: $(cat stderr)"; return; fi
  if [ "$before" != "$after" ]; then bad "$*: files changed"; return; fi
  ok
}
works() {
  if timeout 120 "$tapedeck" "$@" >stdout 2>stderr; then ok; else bad "$* exits $?: $(tail -2 stderr)"; fi
}

# ---- sounds and configs ---------------------------------------------------------------------------------------------
python3 - <<'PY'
import math, os, struct, wave
os.makedirs("sounds"); os.makedirs("odd"); os.makedirs("empty"); os.makedirs("texts"); os.makedirs("short")
def write(path, n, period, rate=8000, channels=1):
    with wave.open(path, "wb") as w:
        w.setnchannels(channels); w.setsampwidth(2); w.setframerate(rate)
        w.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(2 * math.pi * i / period))) * channels for i in range(n)))
for i in range(4): write(f"sounds/{i}.wav", 4000, 15 + 4 * i)
for channels in range(1, 9): write(f"odd/c{channels}.wav", 3000, 20, 8000, channels)
for rate in (8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000): write(f"odd/r{rate}.wav", rate // 2, rate / 400, rate)
write("short/a.wav", 20, 10)
header = lambda n, bits, code, rate=8000: b"RIFF" + struct.pack("<I", 36 + n) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, code, 1, rate, rate * bits // 8, bits // 8, bits) + b"data" + struct.pack("<I", n)
open("texts/zero.wav", "wb").close()
open("texts/text.wav", "w").write("this is not sound\n" * 9)
open("texts/cut.wav", "wb").write(header(8000, 16, 1)[:30])
open("texts/nan.wav", "wb").write(header(4000, 32, 3) + struct.pack("<f", float("nan")) * 1000)
open("texts/none.wav", "wb").write(header(0, 16, 1))
open("texts/notes.txt", "w").write("nothing")
PY
"$tapedeck" new wavenet --preset tiny --set train.max_steps=12 --set train.segment=64 --set train.batch_size=2 --set net.blocks=[3] \
  --set net.channels=8 --set net.residual_channels=8 --set net.skip_channels=8 --set net.head.hidden=8 --set train.valid_every=6 \
  --set train.save_every=6 --set train.valid_windows=4 -o cfg.json 2>stderr || { cat stderr; echo "0 passed, 1 failed"; exit 1; }

# ---- help, versions, suggestions ------------------------------------------------------------------------------------
for command in "" new train generate eval export info describe data "data inspect" doctor bench; do
  works $command --help
  check "examples in the help of $command" grep -q Examples stdout
done
works --version
check version grep -q 'tapedeck [0-9]' stdout
commit=; [ "$(git -C "$source" rev-parse --show-toplevel 2>/dev/null)" = "$source" ] && commit=$(git -C "$source" rev-parse --short=12 HEAD)
[ -z "$commit" ] || check "the version names the commit" grep -qE "tapedeck [0-9.]+ \($commit" stdout
refuses 2 'name a command'
refuses 2 'did you mean "train"' trian
refuses 2 'did you mean "--threads"' train --treads 2
refuses 2 'did you mean "inspect"' data inspct
refuses 2 'one argument too many' info a b
refuses 2 'threads' train cfg.json --threads zero
refuses 2 'threads' train cfg.json --threads 0
refuses 2 'seed' train cfg.json --seed 99999999999999999999
refuses 2 'did you mean "wavenet"' new wavnet
refuses 2 'did you mean "small"' new wavenet --preset smal
refuses 2 'name a network' new
works new --list
works new --schema
check schema python3 -c 'import json; assert "$schema" in json.load(open("stdout"))'
works new --fields
printf '// mine\n{"train": {"max_steps": 7, "seed": 3}, "net": {"channels": 24}}' >mine.json
works new wavenet --preset tiny --file mine.json --set train.seed=5
check "defaults < preset < file < set" python3 -c 'import json; c = json.load(open("stdout")); t, n = c["train"], c["net"]
assert (c["io"]["levels"], n["blocks"], n["channels"], t["max_steps"], t["seed"]) == (256, [5], 24, 7, 5)'
printf '{"type": "Adam", "beta1": 0.5} // calmer' >adam.json
works new wavenet --preset tiny --set train.optimizer=@adam.json --set '~net.residual_channels' --set '**.hidden=48'
check "--set with a file, a removal and a glob" python3 -c 'import json; c = json.load(open("stdout")); n = c["net"]
assert (c["train"]["optimizer"]["beta1"], n["residual_channels"], n["head"]["hidden"]) == (0.5, None, 48)'
refuses 2 'matches nothing' new wavenet --set '**.dropuot=0.1'
printf '{\n"train": {"max_stepz": 7}, "net": {"channels": true}}' >wrong.json
refuses 2 'wrong.json:2: /train/max_stepz: Train has no such key; did you mean "max_steps"' new wavenet --file wrong.json
refuses 2 'wrong.json:2: /net/channels: needs an integer, got true' new wavenet --file wrong.json
refuses 2 'none.json' new wavenet --file none.json

# ---- types ----------------------------------------------------------------------------------------------------------
works describe --list
check "at least 130 types" [ "$(wc -l <stdout)" -ge 130 ]
cut -d' ' -f1 stdout >names
mkdir described made
for type in $(cat names); do
  works describe "$type"
  works describe "$type" --json && mv stdout "described/$type"
  works new "$type" && mv stdout "made/$type"
done
check "every type as JSON, and a new one of it" python3 -c 'import json
for name in open("names").read().split():
    t, made = json.load(open("described/" + name)), json.load(open("made/" + name))
    assert t["name"] == name and t["kind"] and t["what"] and t["defaults"]["type"] == name == made["type"], name'
works describe --list --json
check "a list for machines" python3 -c 'import json; t = json.load(open("stdout")); assert [x["name"] for x in t] == open("names").read().split()'
works describe --list --kind loss
check "the losses alone" [ "$(grep -c ' loss ' stdout)" = "$(wc -l <stdout)" ]
works describe Conv1d
for part in '^Conv1d \(layer\): ' '^shapes .* -> ' '^kernel_size ' '^call .* -> ' '^parameters  [1-9]' '^cost .*[1-9][0-9]* multiply-adds'; do
  check "describe shows $part" grep -qE "$part" stdout
done
works describe WaveNet
check "a network has presets and a receptive field" [ "$(grep -cE '^presets .*tiny|^context .*receptive field' stdout)" = 2 ]
works describe Adam --json
check "an optimizer says what it keeps" python3 -c 'import json; t = json.load(open("stdout")); assert t["state"] == ["exp_avg", "exp_avg_sq", "step"] and t["schema"]["$schema"]'
works describe --docs -o types.md
check "a page of all types" [ "$(grep -c '^### ' types.md)" = "$(wc -l <names)" ]
refuses 2 'exists' describe --docs -o types.md
refuses 2 'did you mean "Conv1d"' describe Conv1
refuses 2 'did you mean "WaveNet"' describe wavenet
refuses 2 'no type "zzzzzzzz"' describe zzzzzzzz
refuses 2 'no type' describe ''
refuses 2 'name a type' describe
refuses 2 'exclude each other' describe Conv1d --list
refuses 2 'exclude each other' describe --list --docs
refuses 2 'one argument too many' describe Conv1d Linear
refuses 2 'did you mean "loss"' describe --list --kind los
refuses 2 'there are network, layer' describe --list --kind ''
refuses 2 'kind goes with --list' describe Conv1d --kind layer
refuses 2 'goes with --docs' describe --list -o new.md
refuses 2 'writes Markdown' describe --docs --json
refuses 2 'path is empty' describe --docs -o ''
refuses 2 'did you mean "--list"' describe --lst
works new Conv1d --set kernel_size=5 --set in_channels=3 -o conv.json
check "members that were set" python3 -c 'import json; c = json.load(open("conv.json")); assert (c["type"], c["kernel_size"], c["in_channels"]) == ("Conv1d", 5, 3)'
printf '{"type": "Conv1d", "dilation": 4} // wider' >over.json
works new Conv1d --file over.json --set kernel_size=2
check "file < set" python3 -c 'import json; c = json.load(open("stdout")); assert (c["dilation"], c["kernel_size"]) == (4, 2)'
works new WaveNet --preset medium
check "a network alone" python3 -c 'import json; c = json.load(open("stdout")); assert (c["type"], c["blocks"]) == ("WaveNet", [8, 8, 8])'
works new Adam --set beta1=0.5
cp stdout adam.json
works new wavenet --set train.optimizer=@adam.json
check "an optimizer goes into a run" python3 -c 'import json; assert json.load(open("stdout"))["train"]["optimizer"]["beta1"] == 0.5'
works new Conv1d --schema
works new Conv1d --fields
check "the fields of a type" grep -q '^kernel_size ' stdout
refuses 2 'has no presets' new Conv1d --preset small
refuses 2 'did you mean "small"' new WaveNet --preset smal
refuses 2 'WaveNet has tiny, small, medium, large' new WaveNet --preset huge
refuses 2 'wavenet has tiny, small, medium, large' new wavenet --preset huge
refuses 2 'did you mean "Conv1d"' new Conv1
refuses 2 'kernel_siz' new Conv1d --set kernel_siz=3
refuses 2 'kernel_size' new Conv1d --set kernel_size=0
refuses 2 'nesterov' new SGD --set nesterov=true
refuses 2 'over.json:1: /type' new Conv2d --file over.json
refuses 2 'made of parts' new Sequential --set layers=[]
refuses 2 'none.json' new Conv1d --file none.json
refuses 2 'exists' new Conv1d -o conv.json
"$tapedeck" describe --list 2>stderr | head -1 >/dev/null; code=${PIPESTATUS[0]}
check "a reader that leaves is no crash" [ $code -le 1 ]
"$tapedeck" describe Conv1d >&- 2>stderr; code=$?
check "a closed output is exit 1" [ $code = 1 ]
"$tapedeck" describe --docs >/dev/full 2>stderr; code=$?
check "a full output is exit 1" [ $code = 1 ]

if [ -x "$(dirname "$tapedeck")/tapedeck-bench" ]; then
  works bench --quick --filter 'small ops/eager' --json rows.json
  check bench grep -q 'share .*what' stdout
  check "its rows for machines" python3 -c 'import json; r = json.load(open("rows.json")); assert r["context"]["machine"] and r["benchmarks"]'
  cp rows.json old.json
  refuses 2 'rows.json: exists already; pass --force' bench --quick --filter 'small ops/eager' --json rows.json
  refuses 2 'no row fits' bench --filter nothing --json rows.json --force
  refuses 2 'no row fits' bench --filter nothing --json none.json
  check "no row, no file" test ! -e none.json
  refuses 1 'nowhere/rows.json: cannot be created: No such file' bench --quick --filter 'small ops/eager' --json nowhere/rows.json
  refuses 1 '/dev/full: cannot be overwritten' bench --quick --filter 'small ops/eager' --json /dev/full --force
  works bench --quick --filter 'small ops/eager' --json rows.json --force
  check "--force overwrites" sh -c '! cmp -s rows.json old.json'
fi
works doctor --json
check doctor python3 -c 'import json; json.load(open("stdout"))["cores"]'
export TAPEDECK_THREADS=many
refuses 2 "TAPEDECK_THREADS: expected 1 to 256 threads, got 'many'" doctor
TAPEDECK_THREADS=0
refuses 2 'TAPEDECK_THREADS' doctor
unset TAPEDECK_THREADS
export TAPEDECK_ISA=sse
refuses 2 'expected avx2 or avx512' doctor
unset TAPEDECK_ISA

for arguments in "train '' --data sounds --out new" "train cfg.json --data '' --out new" "train cfg.json --data sounds --out ''" \
                 "train cfg.json --data sounds --out new --init ''" "train --resume ''" "generate ''" "info ''" "data inspect ''" \
                 "new wavenet -o ''"; do
  eval "refuses 2 'path is empty' $arguments"
done
for channel in all foo 64; do refuses 2 "^error: --channel $channel: choose mix, left, right or a number from 0 to 63$" data inspect sounds --channel $channel; done

# ---- configs --------------------------------------------------------------------------------------------------------
edit() { python3 - "$1" "$2" <<'PY'
import json, sys
c = json.load(open("cfg.json")); exec(sys.argv[2]); json.dump(c, open(sys.argv[1], "w"), indent=2)
PY
}
edit unknown.json 'c["net"]["chanels"] = 3'
edit kind.json 'c["train"]["max_steps"] = "many"'
edit range.json 'c["train"]["batch_size"] = 0'
edit several.json 'c["net"]["chanels"] = 3; c["train"]["max_steps"] = "many"; c["io"]["levels"] = 1; c["train"]["shards"] = 0'
edit network.json 'c["net"]["type"] = "WaveNot"'
edit levels.json 'c["io"]["levels"] = 64'
edit shards.json 'c["train"]["shards"] = 4'
printf '{"io": {' >cut.json
train() { local c=$1; shift; echo train "$c" --data sounds --out new "$@"; }
refuses 2 '/net/chanels.*did you mean "channels"' $(train unknown.json)
refuses 2 '/train/max_steps' $(train kind.json)
refuses 2 '/train/batch_size' $(train range.json)
for pointer in /net/chanels /train/max_steps /io/levels /train/shards; do refuses 2 "several.json:[0-9]+: $pointer" $(train several.json); done
refuses 2 '/net.*WaveNet' $(train network.json)
refuses 2 'io.levels = 64' $(train levels.json)
refuses 2 '/train/shards' $(train shards.json)
refuses 2 'cut.json' $(train cut.json)
refuses 2 'no such config file' $(train nowhere.json)
mkdir folder.json; mkfifo pipe.json; truncate -s 3M large.json
for file in folder.json pipe.json /dev/zero; do refuses 2 "$file.*not a regular file" $(train $file); done
refuses 2 'large.json.*limit' $(train large.json)
refuses 2 'max_stepz.*max_steps' $(train cfg.json --set train.max_stepz=3)
refuses 2 'batch_size' $(train cfg.json --set train.batch_size=-1)
refuses 2 'name a config' train --data sounds --out new
refuses 2 '--data' train cfg.json --out new
refuses 2 '--out' train cfg.json --data sounds
refuses 2 'exists' new wavenet -o cfg.json
refuses 5 'cuda' $(train cfg.json --device cuda)
refuses 5 'device cuda' $(train cfg.json --device cuda:9)
refuses 2 'toaster' $(train cfg.json --device toaster)
works train cfg.json --print-config --set train.max_steps=99
cp stdout printed.json
works train printed.json --print-config
check "a printed config is complete" cmp -s stdout printed.json

# ---- data -----------------------------------------------------------------------------------------------------------
for folder in empty texts short nowhere 'no*.wav'; do
  refuses 3 "$folder|no\*" train cfg.json --data "$folder" --out new
done
refuses 3 'a.wav: needs >= 72 samples at 8000 Hz, has 20 .train.segment = 64 \+ 8 that the network looks back on' train cfg.json --data short --out new
for file in zero text cut nan none; do refuses 3 "$file.wav" train cfg.json --data texts/$file.wav --out new; done
refuses 3 'NaN.*--set io.repair=true, data inspect --repair$' train cfg.json --data texts/nan.wav --out new
refuses 3 'NaN.*--set io.repair=true, data inspect --repair$' data inspect texts/nan.wav
works data inspect texts/nan.wav --repair
works data inspect odd --json
check "1 to 8 channels at 8 to 192 kHz are all used" python3 -c 'import json,sys; r=json.load(open("stdout")); sys.exit(len(r["files"]) != 16)'
works data inspect sounds
refuses 3 'texts' data inspect texts

# ---- data beside runs, and names of any bytes -----------------------------------------------------------------------
cp -r sounds around
works train cfg.json --data around --out around/run --quiet --set train.sample_every=6 --set train.sample_seconds=0.6
works train --resume around/run --set train.max_steps=18 --quiet
works train cfg.json --data 'around/**/*.wav' --out around/second --quiet --set train.max_steps=1
works data inspect around
check "a run in its data folder is left out, and said so" grep -q '2 run folders' stdout
check "its sounds are not used" grep -q 'used *4 files' stdout
works data inspect around --json
check "and named" python3 -c 'import json; assert json.load(open("stdout"))["run_folders"] == ["run", "second"]'
works data inspect around/run/samples/step-6
bytes=$'o\xffd\\x41\n'; cp -r sounds "$bytes"; cp sounds/0.wav "$bytes"/$'\xe9.wav'
works train cfg.json --data "$bytes" --out "$bytes run" --quiet
works train --resume "$bytes run" --set train.max_steps=18 --quiet
works eval "$bytes run"

# ---- a run ----------------------------------------------------------------------------------------------------------
works train cfg.json --data sounds --out run --quiet --json
check "figures for machines" python3 -c 'import json; r=json.load(open("stdout")); assert r["step"] == 12 and r["valid_bits"] > 0 and r["order1_bits"] > 0'
refuses 2 'not empty.*--force' train cfg.json --data sounds --out run
refuses 2 'exists and is not a folder' train cfg.json --data sounds --out cfg.json
for force in '' --force; do refuses 2 'holds files but no run.*choose another --out$' train cfg.json --data sounds --out sounds $force; done
full_stderr() { "$tapedeck" trian 2>/dev/full; [ $? = 2 ]; }
check 'a message that cannot be written keeps the exit code' full_stderr
"$tapedeck" train cfg.json --data sounds --out closed <&- >&- 2>&-
check "no result without a standard output" test $? = 1
check "messages never go into the run's files" cmp run/metrics.jsonl closed/metrics.jsonl
works info closed
works train cfg.json --data odd --out odd-run --quiet --set io.sample_rate=8000
works train cfg.json --data sounds --out forced --quiet
works train cfg.json --data sounds --out forced --quiet --force
check "a seed gives the same weights" cmp -s run/checkpoints/step-12/model.safetensors forced/checkpoints/step-12/model.safetensors
works train cfg.json --data sounds --out one-thread --quiet --threads 1
check "threads do not matter" cmp -s run/checkpoints/step-12/model.safetensors one-thread/checkpoints/step-12/model.safetensors
works info run
check "info of a run" grep -q 'step 12 *verified' stdout
works info run/checkpoints/step-12/model.safetensors --json
check "info of weights" python3 -c 'import json; assert json.load(open("stdout"))["elements"] > 100'
for name in gru wavenet_parametrized; do works info $source/tests/nn/torch_models/$name.pth; done
works info $source/tests/nn/torch_models/gru_checkpoint.pth --json
check "info of weights says which modules they belong to, and what they do not tell" python3 -c '
import json; r = json.load(open("stdout")); i = r["inferred"]
assert r["kind"] == "pth" and any("exp_avg" in n for n in i["unplaced"]) and any("dropout of GRU" in u for u in i["unknown"])
gru = [m["hparams"] for m in i["modules"] if m["path"] == "model.module.gru"][0]
assert (gru["type"], gru["input_size"], gru["hidden_size"], gru["num_layers"]) == ("GRU", 6, 10, 2)'
works info run/checkpoints/step-12/model.safetensors
check "info recognises the network" grep -qE '\(all\) +WaveNet' stdout
check "and names what it cannot know" grep -q 'blocks (where dilations start again), padding' stdout
works info $source/tests/io/torch_files/orders.npz
works info $source/tests/io/torch_files/legacy.pth
refuses 4 'asks for "torch.nn.modules.linear.Linear"' info $source/tests/io/torch_files/module.pth
works info cfg.json
works info sounds/0.wav
works eval run
check "eval names the baselines" grep -q 'order-1' stdout
check "eval of the same recordings warns of nothing" sh -c "! grep -q warning stderr"
check "run.json names the commit" python3 -c 'import json,sys; assert (json.load(open("run/run.json"))["commit"] or "").startswith(sys.argv[1])' "$commit"
cp -r run/checkpoints/step-12 alone
works generate alone --seconds 0.1 -o from-alone
works generate run --seconds 0.25 --seed 3 -n 2 -o out --json
check "asked length" python3 -c 'import wave; assert wave.open("out/sample-1.wav").getnframes() == 2000'
check "how it was made" python3 -c 'import json; j=json.load(open("out/sample-2.json")); assert j["seed"] == 3 and j["stream"] == 1 and j["samples"] == 2000'
check "a picture" python3 -c 'assert open("out/sample-1.png","rb").read(8) == b"\x89PNG\r\n\x1a\n"'
refuses 2 'sample-1.wav.*--force' generate run --seconds 0.25 -o out
works generate run --seconds 0.25 --seed 3 -n 1 -o again --threads 1
check "sound 1 does not depend on count and threads" cmp -s out/sample-1.wav again/sample-1.wav
works generate run --seconds 0.25 --seed 3 -n 1 -o many/ --threads 64
check "nor on more threads than there are cores" cmp -s out/sample-1.wav many/sample-1.wav
check "its path is as one writes it" grep -q '^many/sample-1.wav' stdout
works generate run --seconds 0.25 --prompt sounds/0.wav@0.1 --prompt-seconds 0.05 --include-prompt -o prompted
check "the prompt is in front" python3 -c '
import math, wave, struct
w = wave.open("prompted/sample-1.wav"); assert w.getnframes() == 2400
x = struct.unpack("<400h", w.readframes(400)); y = struct.unpack("<4000h", wave.open("sounds/0.wav").readframes(4000))[800:1200]
assert max(abs(a - b) for a, b in zip(x, y)) < 1000'
works generate run --seconds 0.05 --prompt odd/r44100.wav -o resampled
check "a prompt at another rate is resampled and said so" grep -q 'resampled' stderr
refuses 3 'NaN at frame 0; repair the file$' generate run --prompt texts/nan.wav -o new
refuses 2 'a time in seconds' generate run --prompt sounds/0.wav@soon -o new
refuses 2 'names no file before @' generate run --prompt @1 -o new
refuses 3 'nowhere.wav' generate run --prompt nowhere.wav@1 -o new
refuses 3 'begins after' generate run --prompt sounds/0.wav@9 -o new
refuses 2 'temperature' generate run --temperature -1 -o new
refuses 2 'weights' generate run --weights f16 -o new
works generate run --seconds 0.05 --seed 3 --weights bf16 -o half
works generate run --seconds 0.05 --seed 3 --weights bf16 --threads 2 -o both
check "two threads generate the bytes of one" cmp -s half/sample-1.wav both/sample-1.wav
check "weights of half the bytes are said" python3 -c 'import json; assert json.load(open("half/sample-1.json"))["weights"] == "bf16"'
refuses 2 'seconds' generate run --seconds nan -o new
refuses 5 'cuda' generate run --device cuda -o new
timeout 60 bash "$source/train/quickstart.sh" nowhere 2>stderr
check "quickstart builds nothing for sounds that are not there" test $? = 3
check "and says so" grep -q "^error: $work/nowhere: no file" stderr
refuses 2 'include-prompt requires --prompt' generate run --include-prompt -o new
refuses 2 'path is empty' generate run -o ''
check "what is refused leaves no folder" test ! -e new
mkfifo pipe.safetensors; refuses 4 'nor a regular file' info pipe.safetensors
for at in run/checkpoints/step-12 run/checkpoints/step-12/; do works eval $at; done
refuses 2 '--data' eval alone
refuses 4 'no such run' generate nowhere -o new
refuses 4 'no checkpoint' generate sounds -o new
refuses 4 'no such file' info nowhere
refuses 4 'no config.json' info sounds

# ---- checkpoints ----------------------------------------------------------------------------------------------------
damaged() { rm -rf damaged; cp -r run/checkpoints/step-12 damaged; python3 -c "$1"; }
damaged 'p="damaged/model.safetensors"; b=open(p,"rb").read(); open(p,"wb").write(b[:len(b)//2])'
refuses 4 'model.safetensors' generate damaged -o new
damaged 'p="damaged/model.safetensors"; b=bytearray(open(p,"rb").read()); b[-3]^=4; open(p,"wb").write(b)'
refuses 4 'model.safetensors' generate damaged -o new
damaged 'import os; os.remove("damaged/manifest.json")'
refuses 4 'manifest' generate damaged -o new
python3 - <<'PY'
import json, struct
b = open("run/checkpoints/step-12/model.safetensors", "rb").read()
n = struct.unpack("<Q", b[:8])[0]; h = json.loads(b[8:8 + n])
name = [k for k in h if k != "__metadata__"][0]
h[name]["data_offsets"][1] += 4096
text = json.dumps(h).encode(); open("lies.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + b[8 + n:])
open("huge.safetensors", "wb").write(struct.pack("<Q", 1 << 60) + b"{}")
open("cut.safetensors", "wb").write(b[:200])
PY
# info sees damage: of a checkpoint, of one in a run, of weights beside their manifest, of the run's own files.
damaged 'p="damaged/model.safetensors"; b=bytearray(open(p,"rb").read()); b[-3]^=4; open(p,"wb").write(b)'
refuses 4 'model.safetensors changed' info damaged
refuses 4 'changed since it was saved' info damaged/model.safetensors
rm -rf ill; cp -r run ill; cp damaged/model.safetensors ill/checkpoints/step-6/
refuses 4 'step-6.*model.safetensors changed' info ill
check "info tells what it can all the same" grep -q 'step 12 *verified' stdout
refuses 4 'step-6.*model.safetensors changed' info ill --json
check "also for machines" python3 -c 'import json; r=json.load(open("stdout")); assert [c["problem"] is None for c in r["checkpoints"]] == [False, True]'
for text in '{' '{}' '[]' '{"data": {"source": "x", "sample_rate": 1, "files": [3]}}'; do
  for file in run.json config.json; do
    rm -rf ill; cp -r run ill; echo "$text" >ill/$file
    refuses 4 "$file" info ill
    refuses 4 "$file" train --resume ill
  done
done
rm -rf ill; cp -r run ill; : >ill/metrics.jsonl; refuses 4 'metrics.jsonl' info ill
rm -rf ill; cp -r run ill; rm -r ill/checkpoints/step-*; refuses 4 'step-12' info ill
rm -rf ill; cp -r run ill; sed -i 's/"channels": 8/"channels": 12/' ill/config.json
for command in 'info ill' 'train --resume ill'; do
  refuses 4 'ill/config.json: describes another net or io than the newest checkpoint does; take it from ill/checkpoints/step-12/config.json' $command
  check "in one line ($command)" [ "$(sed -n '/^error: /,$p' stderr | wc -l)" = 1 ]
done

for file in lies huge cut; do refuses 4 "$file.safetensors" info $file.safetensors; done
for name in layers.3.conv.weight head; do
  refuses 4 "$name" train cfg.json --data sounds --out new --init run --set 'net.blocks=[4]' --set net.head.hidden=12
done
# Weights to start from are the run's own, also when it is stopped before its first checkpoint.
works train cfg.json --data sounds --out started --init run --quiet
rm -rf fresh; cp -r started fresh; rm -r fresh/checkpoints/*
works train --resume fresh --quiet
check "a run goes on from its --init before the first checkpoint" cmp -s {started,fresh}/checkpoints/step-12/model.safetensors
check "--init was used" sh -c '! cmp -s {run,started}/checkpoints/step-12/model.safetensors'
rm -r fresh/checkpoints/* fresh/init.safetensors; refuses 4 'init.safetensors' train --resume fresh
# Weights go out in three formats and come back, also out of what a training script saves.
for format in safetensors pth npz; do
  works export run -o weights.$format --json
  check "export says what it wrote" python3 -c 'import json; r = json.load(open("stdout")); assert r["step"] == 12 and r["elements"] > 100'
  works train cfg.json --data sounds --out by-$format --init weights.$format --quiet
  check "--init takes a .$format as it takes the run" cmp -s started/init.safetensors by-$format/init.safetensors
  refuses 2 "weights.$format.*--force" export run -o weights.$format
  works export run --checkpoint best -o weights.$format --force
done
works export run --format npz -o weights
refuses 2 'name the format' export run -o other.weights
refuses 2 'format' export run --format zip -o other.zip
refuses 2 'output' export run
refuses 4 'no such run' export nowhere -o other.pth
refuses 4 'model.safetensors' export damaged -o other.pth
refuses 1 'no such folder|No such file' export run -o nowhere/weights.pth
python3 - <<'PY'
import json, struct, zipfile
b = open("weights.safetensors", "rb").read()
n = 8 + struct.unpack("<Q", b[:8])[0]; h = json.loads(b[8:n])
def write(file, change):
    out = {}
    for k, v in h.items():
        for name in [k] if k == "__metadata__" else change(k): out[name] = v
    size = len(b) - n  # every tensor's bytes as often as it is named
    data = b""
    for k in out:
        if k != "__metadata__":
            first, last = out[k]["data_offsets"]; out[k] = {**out[k], "data_offsets": [len(data), len(data) + last - first]}
            data += b[n + first:n + last]
    text = json.dumps(out).encode(); open(file, "wb").write(struct.pack("<Q", len(text)) + text + data)
write("nested.safetensors", lambda k: ["model.module." + k] + (["optimizer.state.0.exp_avg"] if k == "input.weight" else []))
write("twice.safetensors", lambda k: ["model." + k, "average." + k])
write("wrong.safetensors", lambda k: {"head.out.bias": [], "input.weight": ["input.wait"]}.get(k, ["model." + k]))
PY
works train cfg.json --data sounds --out nested --init nested.safetensors --quiet
check "--init finds weights below their prefix" cmp -s started/init.safetensors nested/init.safetensors
check "and says what is left out" grep -q 'left out: 1 others, such as "optimizer.state.0.exp_avg"' stderr
refuses 4 '2 sets of weights that fit alike.*"model.", "average."' train cfg.json --data sounds --out new --init twice.safetensors
works train cfg.json --data sounds --out averaged --init twice.safetensors --init-prefix average. --quiet
check "--init-prefix takes those" cmp -s started/init.safetensors averaged/init.safetensors
refuses 4 'no name begins with "ema."' train cfg.json --data sounds --out new --init twice.safetensors --init-prefix ema.
for line in 'wrong.safetensors: load_state: 2 of the names' 'missing input.weight \[256, *8\]' 'missing head.out.bias'; do
  refuses 4 "$line" train cfg.json --data sounds --out new --init wrong.safetensors
done
# A network that PyTorch saved, with and without weight norm.
models=$source/tests/nn/torch_models
small=(--set io.levels=24 --set net.classes=24 --set 'net.blocks=[3,3]' --set net.residual_channels=6 --set net.skip_channels=10
       --set net.head.hidden=12 --set net.head.layers=1 --set net.head.min_temperature=1e-4)
for name in wavenet wavenet_weight_norm wavenet_parametrized; do
  works train cfg.json --data sounds --out $name --init $models/$name.pth "${small[@]}" --quiet
done
# Weights alone: the config from what info tells of them.
works info $models/wavenet.pth --json
python3 -c 'import json; c = json.load(open("cfg.json")); m, = json.load(open("stdout"))["inferred"]["modules"]
c["net"] = m["hparams"]; c["io"]["levels"] = 24; json.dump(c, open("told.json", "w"))'
works train told.json --data sounds --out told --init $models/wavenet.pth --quiet
works generate told --seconds 0.05 -o told-out
works train cfg.json --data sounds --out wavenet_parametrized --force --init $models/wavenet_parametrized.pth "${small[@]}" --quiet
check "weight norm is folded, and said so" grep -q 'weight norm is folded' stderr
refuses 4 'gru.pth: load_state: [0-9]+ of the names' train cfg.json --data sounds --out new --init $models/gru.pth
refuses 4 'legacy.pth: load_state: [0-9]+ of the names' train cfg.json --data sounds --out new --init $source/tests/io/torch_files/legacy.pth
refuses 4 'TorchScript' train cfg.json --data sounds --out new --init $source/tests/io/torch_files/script.pth
refuses 4 'Linear' train cfg.json --data sounds --out new --init $source/tests/io/torch_files/module.pth

for file in cfg.json sounds/0.wav; do
  refuses 4 "$file: is no .safetensors, .pth or .npz file" train cfg.json --data sounds --out new --init $file
done
first_weight() { python3 - "$1" "$2" <<'PY'
import json, struct, sys  # run's weights as FILE, the first one of the embedding (a code that is not heard) set to VALUE
b = bytearray(open("run/checkpoints/step-12/model.safetensors", "rb").read())
n = 8 + struct.unpack("<Q", b[:8])[0]
at = n + json.loads(b[8:n])["input.weight"]["data_offsets"][0]
b[at:at + 4] = struct.pack("<f", float(sys.argv[2])); open(sys.argv[1], "wb").write(b)
PY
}
first_weight nan.safetensors nan
refuses 4 'nan.safetensors.*not finite.*input.weight' train cfg.json --data sounds --out new --init nan.safetensors
first_weight wild.safetensors 1e36
timeout 60 "$tapedeck" train cfg.json --data sounds --out wild --init wild.safetensors --quiet --set train.max_steps=1 --set train.optimizer.weight_decay=1000 >stdout 2>stderr
check "a last checkpoint that is not finite exits 1" test $? = 1
check "and says where it is and what helps" grep -q '^error: .*not finite.*bad/step-1.*learning rate' stderr
# A network whose predictions overflow, though its weights are finite.
timeout 60 "$tapedeck" train cfg.json --data sounds --out wilder --quiet --set net.activation=identity --set net.gate=null --set train.schedule.type=Constant \
  --set train.optimizer.type=SGD --set train.schedule.lr=1000 --set train.clip=0 --set train.max_steps=300 --set train.save_every=1 --set train.valid_every=1 >stdout 2>stderr
check "a run that diverges exits 1" test $? = 1
refuses 1 'wilder/checkpoints/step-[0-9]+: the network predicts values that are not finite; take an earlier' eval wilder
mkdir silent; refuses 1 'wilder/checkpoints/step-[0-9]+: the network predicts values that are not finite; take an earlier' generate wilder --seconds 0.1 -o silent
rm -rf torn; cp -r run torn; head -c 100 run/checkpoints/step-12/model.safetensors >torn/checkpoints/step-12/model.safetensors
works train --resume torn --quiet
check "resume goes back to the checkpoint before a torn one" cmp -s run/checkpoints/step-12/model.safetensors torn/checkpoints/step-12/model.safetensors
check "the torn one is kept aside" test -d torn/checkpoints/corrupt
check "metrics are neither lost nor doubled" cmp -s run/metrics.jsonl torn/metrics.jsonl
rm -rf torn; cp -r run torn; for step in 6 12; do : >torn/checkpoints/step-$step/model.safetensors; done
for text in 'step-12: model.safetensors has 0 bytes' 'step-6: model.safetensors has 0 bytes' 'bring one back' 'start anew with: .*--out torn --force'; do
  refuses 4 "$text" train --resume torn
done
refuses 4 'step-6: model.safetensors has 0 bytes' generate torn -o new
refuses 4 'step-6: model.safetensors has 0 bytes' train cfg.json --data sounds --out new --init torn
rm -r torn/checkpoints/step-*; refuses 4 'LATEST names step-12' train --resume torn
rm -r torn/checkpoints
for text in 'torn/checkpoints: is missing, but metrics.jsonl tells of steps; bring it back from a copy' 'start anew with: .*--out torn --force'; do
  refuses 4 "$text" train --resume torn
done
refuses 4 'torn/checkpoints: is missing' info torn
rm -rf torn; cp -r run torn; : >"torn/checkpoints/$(cat run/checkpoints/BEST)/model.safetensors"
refuses 4 'BEST: names step-[0-9]+, which cannot be used: model.safetensors has 0 bytes' generate torn --checkpoint best -o new
rm torn/checkpoints/BEST; works eval torn --checkpoint best
check "no best one is marked: said so" grep -q 'no best checkpoint is marked' stderr
for mark in '' step-6 step-99 nonsense; do  # as after a kill between the checkpoint and the mark
  rm -rf torn; cp -r run torn; rm torn/checkpoints/LATEST
  [ -z "$mark" ] && rm torn/checkpoints/BEST || echo $mark >torn/checkpoints/BEST
  [ -z "$mark" ] || [ $mark = step-6 ] || refuses 4 'torn/checkpoints/BEST: names (step-99, which cannot be used: it is not here|no step-N)' generate torn --checkpoint best -o new
  works train --resume torn --quiet
  for name in BEST LATEST; do check "$name is put right ($mark)" cmp -s {run,torn}/checkpoints/$name; done
done

# ---- resume ---------------------------------------------------------------------------------------------------------
refuses 4 'is not a run' train --resume nowhere
refuses 2 'no config file' train cfg.json --resume run
refuses 2 'train\.\*' train --resume run --set net.channels=16
rm -rf moved; cp -r sounds moved; works train cfg.json --data moved --out changing --quiet
cp sounds/1.wav moved/9.wav; cp sounds/2.wav moved/0.wav
refuses 3 'recordings are not those.*0.wav' train --resume changing
refuses 3 '9.wav' train --resume changing
works eval changing
check "eval says that recordings changed" grep -q 'warning: .*0.wav' stderr
works eval changing --data moved --json
check "also when they are named, and for machines" python3 -c 'import json; assert "9.wav" in json.load(open("stdout"))["changed"]'
works eval changing --data sounds
check "other recordings are another matter" sh -c '! grep -q warning stderr'
rm -rf moved; refuses 3 'moved' train --resume changing
refuses 3 'moved.*name them with --data' eval changing
works train --resume changing --data sounds --quiet
works train --resume changing --quiet
check "recordings that moved are remembered where they are now" grep -q "$work/sounds" changing/run.json
refuses 2 'beyond train.max_steps = 6' train --resume changing --set train.max_steps=6
refuses 2 'train.seed' train --resume changing --set train.seed=3
refuses 2 '^error: changing: train.optimizer keeps another state now .optimizer state: [^;]* is unexpected.; give it' train --resume changing --set train.optimizer.type=SGD
works train --resume changing --quiet --set train.optimizer.type=AdamW
works train cfg.json --data sounds --out plain --quiet --set train.optimizer.type=SGD
refuses 2 '^error: plain: train.optimizer keeps another state now .optimizer state: [^;]*momentum_buffer is [a-z]*.; give it' train --resume plain --set train.optimizer.momentum=0.5
works train --resume plain --quiet --set train.optimizer.weight_decay=0.1
works train --resume run --quiet --set train.max_steps=18
check "a run can be made longer" test -d run/checkpoints/step-18

long=(--set train.max_steps=400 --quiet)
works train cfg.json --data sounds --out whole "${long[@]}"
interrupt() {  # interrupt SIGNAL CODE RUN: during the run; then resume
  "$tapedeck" train cfg.json --data sounds --out "$3" "${long[@]}" >stdout 2>stderr & local pid=$!
  for _ in $(seq 3000); do [ -e "$3/checkpoints/LATEST" ] && break; sleep 0.02; done
  if [ "$1" = INT ]; then  # while it runs, a second process is refused
    timeout 60 "$tapedeck" train --resume "$3" >/dev/null 2>second; local second=$?
    kill -0 $pid 2>/dev/null && { check "a locked run exits 2" test $second = 2; check "and names the process" grep -q "$pid" second; }
  fi
  kill -"$1" $pid 2>/dev/null; { wait $pid; } 2>/dev/null; local code=$?
  [ $code = "$2" ] || [ $code = 0 ] && ok || bad "SIG$1 exits $code: $(tail -1 stderr)"
  echo "SIG$1: exit $code at $(cat "$3"/checkpoints/LATEST)"
  works train --resume "$3" --quiet
  for file in model.safetensors optimizer.safetensors trainer_state.json; do
    check "$3: $file as without a stop" cmp -s whole/checkpoints/step-400/$file "$3"/checkpoints/step-400/$file
  done
  check "$3: metrics as without a stop" cmp -s whole/metrics.jsonl "$3"/metrics.jsonl
}
interrupt INT 130 by-int
interrupt TERM 143 by-term
interrupt KILL 137 by-kill
interrupt HUP 129 by-hup
works train cfg.json --data sounds --out talking --quiet --set train.max_steps=2
"$tapedeck" train --resume talking --quiet --set train.max_steps=4 --set train.sample_every=3 --set train.sample_seconds=3600 >stdout 2>stderr & pid=$!
for _ in $(seq 3000); do [ -e talking/samples/step-3 ] && break; sleep 0.02; done
kill -TERM $pid; wait $pid; check "a long sample does not hold up a signal" test $? = 143
nohup "$tapedeck" train cfg.json --data sounds --out by-nohup "${long[@]}" >stdout 2>stderr & pid=$!
for _ in $(seq 3000); do [ -e by-nohup/checkpoints/LATEST ] && break; sleep 0.02; done
kill -HUP $pid; wait $pid; check "nohup outlives a hang-up" test $? = 0
# A second SIGINT does not wait for the step: the first is noticed after it, some seconds later.
"$tapedeck" train cfg.json --data sounds --out twice --quiet --set train.save_every=1 --set train.batch_size=512 --set train.segment=2000 >stdout 2>stderr & pid=$!
for _ in $(seq 3000); do [ -e twice/checkpoints/LATEST ] && break; sleep 0.02; done
kill -INT $pid; sleep 0.1; kill -INT $pid; wait $pid; check "a second SIGINT exits 130" test $? = 130
check "without waiting for the step" sh -c '! grep -q saved stderr'
works info twice
check "and the last checkpoint verifies" grep -q 'step 1 *verified' stdout

# ---- disks ----------------------------------------------------------------------------------------------------------
if [ "$(id -u)" = 0 ] && mkdir disk && mount -t tmpfs -o size=300k tmpfs disk 2>/dev/null; then
  timeout 120 "$tapedeck" train cfg.json --data sounds --out disk/run --set train.keep=100 --set train.save_every=2 "${long[@]:0:2}" >stdout 2>stderr
  check "a disk that is full at the end exits 1" test $? = 1
  check "and says so" grep -qE 'error: .*No space left|error: .*space' stderr
  check "training went on" grep -q 'training goes on' stderr
  check "an older checkpoint is still there" sh -c "'$tapedeck' info disk/run | grep -q verified"
  timeout 60 "$tapedeck" generate run --seconds 60 -o disk/out --quiet >stdout 2>stderr
  check "no sound fits: exit 1" test $? = 1
  check "no half sound" test ! -e disk/out/sample-1.wav
  umount disk
else
  echo "skipped: no tmpfs here"
fi
mkdir locked; chmod a-w locked
if [ "$(id -u)" != 0 ]; then
  refuses 1 'locked' train cfg.json --data sounds --out locked/run
fi
refuses 1 '/proc' train cfg.json --data sounds --out /proc/run
refuses 1 '/proc' generate run --seconds 0.1 -o /proc/out
works train cfg.json --data sounds --out limited --quiet --set train.max_steps=2
(ulimit -f 1; timeout 60 "$tapedeck" generate run --seconds 1 -o limited-out >stdout 2>stderr)
check "a file size limit is an error, not a death" test $? = 1
timeout 60 "$tapedeck" new wavenet >/dev/full 2>stderr
check "standard output full exits 1" test $? = 1

# ---- a terminal: one line, redrawn -----------------------------------------------------------------------------------
python3 - "$tapedeck" <<'PY' >stdout 2>stderr
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], ["tapedeck", "train", "cfg.json", "--data", "sounds", "--out", "shown", "--set", "train.max_steps=600"])
text = b""
while True:
    try: more = os.read(fd, 65536)
    except OSError: break
    if not more: break
    text += more
sys.stdout.write(text.decode()); sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
check "training on a terminal" test $? = 0
check "shows step, loss, rate, speed and what is left" grep -qE $'\rstep [0-9]+/600 loss [0-9.]+ bits lr [0-9.e-]+ [0-9.]+ it/s ETA [0-9]+s' stdout
if [ -z "$(sed -n 's/^TAPEDECK_SANITIZE:STRING=//p' "$(dirname "$tapedeck")/../CMakeCache.txt" 2>/dev/null)" ]; then
  # The matrix products of a build with CUDA map more than half a GiB.
  (ulimit -v $([[ $(ldd "$tapedeck") = *cublas* ]] && echo 3000000 || echo 600000); timeout 120 "$tapedeck" train cfg.json --data sounds --out big --quiet --set train.batch_size=8192 --set train.segment=2000 >stdout 2>stderr)
  check "too little memory exits 5" test $? = 5
  check "and says what to reduce" grep -q 'train.batch_size' stderr
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
