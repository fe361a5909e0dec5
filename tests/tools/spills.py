#!/usr/bin/env python3
"""What ptxas said of the kernels that must not spill registers.
    spills.py LIST BUILD
LIST: lines FILE PATTERN (tests/cuda/no_spills.txt). BUILD: a build folder, whose objects have their .ptxas beside
them."""
import fnmatch
import pathlib
import re
import subprocess
import sys

listed, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
rules = [line.split(maxsplit=1) for line in listed.read_text().splitlines() if line.strip() and line[0] != "#"]
words = {}
for file in build.glob("CMakeFiles/tapedeck_cuda.dir/kernels/cuda/*.cu.o.ptxas"):
    words[file.name.removesuffix(".cu.o.ptxas")] = file.read_text()
if not words:
    print("spills: this build compiled no CUDA kernels (no nvcc): skipped")
    print("0 passed, 0 failed")
    sys.exit(0)


def kernels_of(text):
    """(name, architecture, bytes stored, bytes loaded) of every kernel."""
    found, name = [], None
    for line in text.splitlines():
        if entry := re.search(r"Compiling entry function '(\S+)' for '(\S+)'", line):
            name = entry.groups()
        elif (spill := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line)) and name:
            found.append((*name, int(spill[1]), int(spill[2])))
            name = None
    plain = subprocess.run(["c++filt", "-p"], input="\n".join(k[0] for k in found), text=True, capture_output=True,
                           check=True).stdout.splitlines()
    short = [re.sub(r"tapedeck::(kernels::(cuda::)?)?|\(anonymous namespace\)::", "", p) for p in plain]
    return [(s, *k[1:]) for s, k in zip(short, found)]


passed, failures = 0, []
for stem, pattern in rules:
    if stem not in words:
        failures.append(f"{stem}.cu: was not compiled by this build")
        continue
    matching = [k for k in kernels_of(words[stem]) if fnmatch.fnmatchcase(k[0], pattern)]
    if not matching:
        failures.append(f"{stem}.cu: no kernel is named {pattern}")
    for name, architecture, stored, loaded in matching:
        if stored or loaded:
            failures.append(f"{stem}.cu: {name} spills {stored} bytes for {architecture} and loads {loaded}")
        else:
            passed += 1
for text in failures:
    print("FAILED", text)
print(f"{passed} passed, {len(failures)} failed")
sys.exit(bool(failures))
