#!/usr/bin/env python3
"""How long a source with N configs takes to compile: ours beside the JSON library's own macros, and each header alone.
   python3 bench/config_compile.py [BUILD_DIR] [--configs 20] [--runs 5] [--compiler g++]
Both sources hold the same structs of 8 members (every fifth holds another one) and a load and a save of each. The runs
take turns; medians of the compiler's own processor time."""
import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("build", nargs="?", default="build")
parser.add_argument("--configs", type=int, default=20)
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--compiler", default="g++")
args = parser.parse_args()

MEMBERS = [("int", "a", "1"), ("std::int64_t", "b", "2"), ("double", "c", "0.5"), ("double", "d", "1"),
           ("bool", "e", "true"), ("std::string", "f", '"text"'), ("std::vector<int>", "g", "{1, 2}"),
           ("int", "h", "3")]


def members(i):
    last = [(f"C{i - 1}", "h", "{}")] if i % 5 == 4 else [MEMBERS[-1]]
    return MEMBERS[:-1] + last


def struct(i, inside):
    lines = "".join(f"  {t} {n} = {v};\n" for t, n, v in members(i))
    return f"struct C{i} {{\n{lines}{inside}}};\n"


def ours():
    text = "#include <tapedeck/io/config.h>\nusing namespace tapedeck;\n"
    meta = ', io::Meta{.min = 0, .max = 100, .help = "some help"}'
    for i in range(args.configs):
        fields = "".join(f'    f("{n}", &C{i}::{n}{meta if t in ("int", "double") else ""});\n'
                         for t, n, _ in members(i))
        name = f'  static constexpr const char* type_name = "C{i}";\n'
        text += struct(i, f"{name}  static constexpr void fields(auto&& f) {{\n{fields}  }}\n")
    for i in range(args.configs):
        text += f'C{i} load{i}(const io::Node& n) {{ return io::load<C{i}>(n, "x"); }}\n'
        text += f"io::Node save{i}(const C{i}& c) {{ return io::save(c); }}\n"
    return text


def macros():
    text = "#include <nlohmann/json.hpp>\n#include <string>\n#include <vector>\nusing nlohmann::json;\n"
    for i in range(args.configs):
        names = ", ".join(n for _, n, _ in members(i))
        text += struct(i, "") + f"NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(C{i}, {names})\n"
    for i in range(args.configs):
        text += f"C{i} load{i}(const json& n) {{ return n.get<C{i}>(); }}\n"
        text += f"json save{i}(const C{i}& c) {{ return c; }}\n"
    return text


sources = {"ours": ours(), "our header alone": "#include <tapedeck/io/config.h>\n", "macros": macros(),
           "its header alone": "#include <nlohmann/json.hpp>\n"}
includes = [f"-I{args.build}/include/{m}" for m in ("tensor", "kernels", "autograd", "io")]
seconds = {name: [] for name in sources}
with tempfile.TemporaryDirectory() as folder:
    for name, text in sources.items():
        with open(f"{folder}/{name}.cpp", "w") as file:
            file.write(text)
    for _ in range(args.runs):
        for name in sources:
            files = ["-c", f"{folder}/{name}.cpp", "-o", f"{folder}/out.o"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if subprocess.run([args.compiler, "-std=c++20", "-O2", *includes, *files]).returncode != 0:
                sys.exit(f"{name} does not compile")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    version = subprocess.run([args.compiler, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
median = {name: statistics.median(times) for name, times in seconds.items()}
print(f"{version}, -O2, {os.cpu_count()} cores; {args.configs} configs of 8 members, {args.runs} runs in turns")
for name, times in seconds.items():
    print(f"{name:<18} median {median[name]:5.2f} s   ({min(times):.2f} to {max(times):.2f})")
print(f"ours / macros      {median['ours'] / median['macros']:.2f}")
