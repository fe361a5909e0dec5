#!/usr/bin/env python3
"""Mutation testing of kernels and gradients: plants faults drawn at random and counts those that the tests notice.

  python3 tests/tools/mutate.py [--mutants 240] [--seed 1] [--build build-mutants] [--jobs 2] [--only N]

All mutants are compiled into one copy of the tree, each behind its number; TAPEDECK_MUTANT=7 wakes number 7. A run
without one notes which mutants each test reaches, so that a mutant meets only the tests that can see it. Those that no
test reaches (constant expressions, which are computed by the compiler) are listed and not judged. A crash or a hang
counts as noticed.
Survivors that change no result are explained in tests/mutants.txt and counted apart. Exit 1 when fewer than 95 % of
the others are noticed, or fewer than 85 % of all.
"""
import argparse, concurrent.futures, fnmatch, hashlib, json, os, re, shutil, subprocess, sys, time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["kernels/cpu/*.cpp", "kernels/cpu/*.h", "kernels/common/*.h", "autograd/*.cpp", "autograd/*.h"]
# Not arithmetic: registration, variant choice, tracing and the like.
LEAVE = ["*/register*", "*/variants.h", "*/isa.*", "*/trace.cpp", "*/memory.cpp", "*/graph.cpp", "*/finite.cpp",
         "*/inspect.h", "*/watch*", "*/gradcheck.*", "*/ops.h", "*/hooks.*"]
# Lines that state errors, costs, room, or how work is shared out: a change there alters no result.
SKIP = re.compile(r"TD_CHECK|throw|static_assert|template|^\s*#|\\$|[gG]rain|Cost|flops|\bwork\b|reserve|using |kTile|"
                  r"prefetch|operator|^\s*(case|default)\b|constexpr|\[\[noreturn\]\]|fail\(|likely|uniquely_held|"
                  r"padded|scratch|\broom\b|threads|panel_floats|spacing|\bcost\b")
# Conditions that choose what is computed, not how fast.
PART = re.compile(r"bias|weight|mask|beta|accumulate|add|scale|residual|reverse|causal|first|index|smoothing|initial|"
                  r"\bc0\b|\bh0\b|invalid|infinity|keepdim|training|include|ignore|mean|lengths|bidirectional")

PRELUDE = """#pragma once
#include <cstdio>
#include <cstdlib>
struct TdMutants {
  int awake = std::getenv("TAPEDECK_MUTANT") ? std::atoi(std::getenv("TAPEDECK_MUTANT")) : -1;
  unsigned char reached[8192] = {};
  ~TdMutants() {
    const char* path = std::getenv("TAPEDECK_MUTANTS_REACHED");
    std::FILE* f = path ? std::fopen(path, "w") : nullptr;
    if (f == nullptr) return;
    for (int i = 0; i < 8192; ++i)
      if (reached[i]) std::fprintf(f, "%d\\n", i);
    std::fclose(f);
  }
};
inline TdMutants td_mutants;
constexpr bool td_m(int n) {  // is mutant n awake?
  if (__builtin_is_constant_evaluated()) return false;
  td_mutants.reached[n] = 1;
  return td_mutants.awake == n;
}
constexpr int td_i(int n) { return td_m(n) ? 1 : 0; }
constexpr int td_s(int n) { return td_m(n) ? -1 : 1; }
"""


def blank(text):
    """The text with comments, strings and characters blanked out, so that offsets stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", "\x01", m.group()), text)


def closing(text, at, stop=",;"):
    """Where the expression that starts at `at` ends: at a bracket that it did not open, or at one of `stop`."""
    depth = 0
    for i in range(at, len(text)):
        c = text[i]
        if c in "([{":
            depth += 1
        elif c in ")]}":
            if depth == 0:
                return i
            depth -= 1
        elif depth == 0 and c in stop:
            return i
    return len(text)


SWAPS = {"Add": "Sub", "Sub": "Add", "MulAdd": "NegMulAdd", "NegMulAdd": "MulAdd", "MulSub": "MulAdd", "Max": "Min",
         "Min": "Max", "std::max": "std::min", "sin": "cos", "cos": "sin", "std::sin": "std::cos", "std::cos": "std::sin",
         "Lt": "Le", "Gt": "Ge", "Le": "Lt", "Ge": "Gt", "maximum": "minimum", "minimum": "maximum", "amax": "amin",
         "Mul": "Add", "mul": "add", "sub": "add", "add": "sub"}


def sites(path, text):
    """(kind, start, end, replacement with {n} for the number) of every place where a fault could be planted."""
    code = blank(text)
    out = []
    offset = 0
    for line in code.split("\n"):
        begin, offset = offset, offset + len(line) + 1
        if SKIP.search(line):
            continue
        full = text[begin:begin + len(line)]
        if "\x01" in line and re.search(r'"', full.split("//")[0]):
            continue  # a line with a string: an error or a name
        add = lambda kind, s, e, new: out.append((kind, begin + s, begin + e, new))
        for m in re.finditer(r"(?<=[\w\)\]]) ([+-]) (?=[\w\(])", line):
            add("sign", m.end(), m.end(), "td_s({n}) * ")
        for m in re.finditer(r"(?<=[(,=?:] )-(?=[A-Za-z(])|(?<=\()-(?=[A-Za-z(])|(?<=return )-(?=[A-Za-z(])", line):
            add("sign", m.start(), m.end(), "-td_s({n}) * ")
        for m in re.finditer(r"(?<![\w.>])((?:std::)?[A-Za-z]+)\(", line):
            if m.group(1) in SWAPS:
                end = closing(code, begin + m.end(), ";") - begin
                if begin + end >= len(code) or code[begin + end] != ")":
                    continue
                args = text[begin + m.end():begin + end]
                name, other = m.group(1), SWAPS[m.group(1)]
                kind = "chunk tail" if name == "std::min" else "sign"
                add(kind, m.start(), end + 1, f"(td_m({{n}}) ? {other}({args}) : {name}({args}))".replace("{n}", "\x02"))
        for m in re.finditer(r"std::min\(", line):
            end = closing(code, begin + m.end(), ";") - begin
            args = text[begin + m.end():begin + end]
            add("chunk tail", m.start(), end + 1, f"(td_m(\x02) ? std::max({args}) : std::min({args}))")
        for m in re.finditer(r"(?<= )(<|<=|>|>=) (?=[\w(])", line):
            add("off by one", m.end(), m.end(), "td_i({n}) + ")
        for m in re.finditer(r"(?<=[\w\)\]] [+-] )(\d+)\b(?![.\w:])", line):
            add("off by one", m.start(), m.end(), f"({m.group(1)} + td_i(\x02))")
        for m in re.finditer(r"(?<=[(,]) ?(-?\d)(?=[,)])", line):
            add("axis", m.start(1), m.end(1), f"({m.group(1)} + td_i(\x02))" if m.group(1)[0] != "-"
                else f"({m.group(1)} - td_i(\x02))")
        for m in re.finditer(r"(?<=[(,] )(true|false)(?=[,)}])|(?<=\()(true|false)(?=[,)}])", line):
            add("axis", m.start(), m.end(), ("!td_m({n})" if m.group() == "true" else "td_m({n})"))
        for m in re.finditer(r"(?<![\w.])(\d+\.\d*|\d+\.\d*f|0\.\d+)(?![\w.])", line):
            add("constant", m.start(), m.end(), f"(td_m(\x02) ? {m.group(1)} * 2 + {int(float(m.group(1).rstrip('f')) == 0)} "
                f": {m.group(1)})")
        for m in re.finditer(r"(?<![\w.])(2|3|4|6) (?=\* )|(?<=[*/] )(2|3|4|6)(?![.\w])", line):
            digit = m.group(1) or m.group(2)
            add("constant", m.start(), m.start() + 1, f"({digit} + td_i(\x02))")
        m = re.search(r"(?<![\w.])if \((?!constexpr)", line)
        if m and not re.search(r"\b(return|continue|break)\s*;|empty|numel\(\) == 0|== 0\) return|wants", line):
            end = closing(code, begin + m.end(), ";")
            condition = text[begin + m.end():end]
            if PART.search(condition) and code[end] == ")" and not re.search(r"[^=!<>]=[^=]|\n", condition):
                add("dropped part", m.end(), end - begin, f"!td_m(\x02) && ({condition})")
        for m in re.finditer(r"(?:^\s*|[;{,)] ?)([\w\[\]().>*+ -]*?[\w\])]) \+= ", line):
            left = text[begin + m.start(1):begin + m.end(1)]
            if left.count("(") != left.count(")") or left.count("[") != left.count("]"):
                continue
            if re.search(r"\bfor \(", line[:m.start(1)]) and closing(line, line.index("for (") + 5, "") > m.end():
                continue  # the step of a loop: it would only hang
            end = closing(code, begin + m.end(), ",;") - begin
            right = text[begin + m.end():begin + end]
            if "\n" in right or "++" in left or "\x01" in line[m.end():end]:
                continue
            add("missing accumulate", m.start(1), end, f"(td_m(\x02) ? {left} = {right} : {left} += {right})")
    return [(kind, s, e, new.replace("{n}", "\x02")) for kind, s, e, new in out]


class Mutant:
    def __init__(self, file, text, kind, start, end, new, twin):
        self.file, self.kind, self.start, self.end, self.new = file, kind, start, end, new
        begin, stop = text.rfind("\n", 0, start) + 1, text.find("\n", start)
        self.line, self.number = text.count("\n", 0, start) + 1, None
        self.column, self.shown = start - begin, text[begin:stop].strip()
        self.key = f"{file}|{kind}|{self.column}|{self.shown}|{twin}"  # the same wherever the line moves to

    def edit(self):
        return re.sub(r"td_m\(\x02\) \? (.*) : .*", r"\1", self.new, flags=re.S).replace("\x02", str(self.number))

    def __str__(self):
        return f"#{self.number} {self.file}:{self.line} {self.kind}: `{self.shown}` at column {self.column + 1}"


def all_mutants():
    out = []
    for glob in SOURCES:
        for path in sorted(ROOT.glob(glob)):
            name = str(path.relative_to(ROOT))
            if any(fnmatch.fnmatch("/" + name, p) for p in LEAVE):
                continue
            text, seen = path.read_text(), defaultdict(int)
            for kind, s, e, new in sites(path, text):
                m = Mutant(name, text, kind, s, e, new, 0)
                seen[m.key] += 1
                out.append(Mutant(name, text, kind, s, e, new, seen[m.key]))
    return out


def draw(pool, seed):
    """The pool in a random order that does not depend on other lines; kinds take turns."""
    rank = lambda m: hashlib.sha256(f"{seed}|{m.key}".encode()).digest()
    kinds = defaultdict(list)
    for m in sorted(pool, key=rank):
        kinds[m.kind].append(m)
    while any(kinds.values()):
        for kind in sorted(kinds):
            if kinds[kind]:
                yield kinds[kind].pop(0)


def write_tree(tree, mutants):
    by_file = defaultdict(list)
    for m in mutants:
        by_file[m.file].append(m)
    for file in {m.file for m in mutants} | set(write_tree.touched):
        text, chosen, last = (ROOT / file).read_text(), [], None
        for m in sorted(by_file[file], key=lambda m: -m.start):
            text = text[:m.start] + m.new.replace("\x02", str(m.number)) + text[m.end:]
        target = tree / file
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
        write_tree.touched.add(file)
write_tree.touched = set()


def overlaps(m, others):
    return any(m.file == o.file and m.start <= o.end and o.start <= m.end for o in others)


def build(tree, folder, jobs, mutants):
    """Builds; drops mutants whose lines do not compile, and tries again."""
    (tree / "mutants.h").write_text(PRELUDE)
    if not (folder / "build.ninja").exists():
        subprocess.run(["cmake", "-S", tree, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                        "-DTAPEDECK_BENCH=OFF", f"-DCMAKE_CXX_FLAGS=-include {tree / 'mutants.h'} -w"], check=True,
                       stdout=subprocess.DEVNULL)
    while True:
        write_tree(tree, mutants)
        done = subprocess.run(["ninja", "-C", folder, "-k", "0", f"-j{jobs}", "op_cases", "autograd_test",
                               "kernels_test"], capture_output=True, text=True)
        if done.returncode == 0:
            return mutants
        bad = set()
        for file, line in re.findall(r"([\w./-]+):(\d+):\d+: error", done.stdout) + re.findall(
                r"([\w./-]+):(\d+):\d+:   required from", done.stdout):
            for m in mutants:
                if m.file in os.path.realpath(file) and abs(m.line - int(line)) <= m.new.count("\n") + 1:
                    bad.add(m)
        if not bad:
            print(done.stdout[-4000:])
            sys.exit("the tree with mutants does not compile, and no mutant stands where the errors are")
        print(f"{len(bad)} mutants do not compile and are left out", flush=True)
        mutants = [m for m in mutants if m not in bad]


def tests_of(folder):
    """Every test that can run alone: (name, command)."""
    cases = subprocess.run([folder / "bin/op_cases", "--count"], capture_output=True, text=True).stdout
    out = [("op_cases " + op, [str(folder / "bin/op_cases"), "--first", "--filter", op])
           for op in re.findall(r"^(\S+) +\d+ forward", cases, re.M)]
    for program in ("autograd_test", "kernels_test"):
        listed = subprocess.run([folder / "bin" / program, "--gtest_list_tests"], capture_output=True, text=True).stdout
        suite = ""
        for line in listed.splitlines():
            if line and not line.startswith(" "):
                suite = line.split()[0]
            elif line.startswith("  "):
                name = suite + line.split()[0]
                out.append((f"{program} {name}", [str(folder / "bin" / program), f"--gtest_filter={name}"]))
    return out


def run(command, mutant=None, reached=None, limit=600):
    env = dict(os.environ)
    env.pop("TAPEDECK_MUTANT", None)
    if mutant is not None:
        env["TAPEDECK_MUTANT"] = str(mutant)
    if reached is not None:
        env["TAPEDECK_MUTANTS_REACHED"] = str(reached)
    start = time.monotonic()
    try:
        code = subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=limit).returncode
    except subprocess.TimeoutExpired:
        code = "timeout"
    return code, time.monotonic() - start


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--mutants", type=int, default=240)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--build", default="build-mutants")
    ap.add_argument("--jobs", type=int, default=os.cpu_count())
    ap.add_argument("--only", type=int, help="one mutant against all its tests, printed one by one")
    args = ap.parse_args()
    work = (ROOT / args.build).resolve()
    tree, folder = work / "tree", work / "build"
    work.mkdir(exist_ok=True)
    files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True,
                           check=True).stdout.split("\0")
    for f in filter(None, files):
        target = tree / f
        if (ROOT / f).is_file() and (not target.exists() or f.endswith(".txt") or
                                     target.read_bytes() != (ROOT / f).read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_bytes() != (ROOT / f).read_bytes():
                shutil.copy2(ROOT / f, target)

    pool = all_mutants()
    sites_by_kind = defaultdict(int)
    for m in pool:
        sites_by_kind[m.kind] += 1
    print(f"seed {args.seed}: {len(pool)} places: " + ", ".join(f"{k} {n}" for k, n in sorted(sites_by_kind.items())))
    chosen = []
    for m in draw(pool, args.seed):
        if len(chosen) >= args.mutants * 3 // 2:  # more than asked: some do not compile or are reached by no run
            break
        if not overlaps(m, chosen):
            m.number = len(chosen)
            chosen.append(m)
    chosen = build(tree, folder, args.jobs, chosen)

    tests = tests_of(folder)
    reach, seconds, broken = defaultdict(list), {}, []
    def look(test):
        name, command = test
        log = work / f"reached.{hashlib.md5(name.encode()).hexdigest()}"
        code, took = run(command, reached=log)
        hits = [int(x) for x in log.read_text().split()] if log.exists() else []
        return name, command, code, took, hits
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool_of:
        for name, command, code, took, hits in pool_of.map(look, tests):
            seconds[name] = took
            if code != 0:
                broken.append(name)
                continue
            for n in hits:
                reach[n].append((took, name, command))
    if broken:
        sys.exit("these tests fail without any mutant awake: " + ", ".join(broken))

    live = [m for m in chosen if m.number in reach][:args.mutants]
    dead = [m for m in chosen if m.number not in reach]
    print(f"{len(chosen)} compiled, {len(dead)} reached by no test, {len(live)} to judge; {len(tests)} tests take "
          f"{sum(seconds.values()):.0f} s", flush=True)
    def judge(m):
        for took, name, command in sorted(reach[m.number], key=lambda t: t[0]):
            code, _ = run(command, mutant=m.number, limit=30 + 10 * took)
            if args.only is not None:
                print(f"  {name}: {code}", flush=True)
            if code != 0 and args.only is None:
                return m, name, code
        return m, None, 0
    if args.only is not None:
        judge(next(m for m in chosen if m.number == args.only))
        return 0
    explained = (ROOT / "tests/mutants.txt").read_text() if (ROOT / "tests/mutants.txt").exists() else ""
    killed, known, survivors, by_kind = 0, [], [], defaultdict(lambda: [0, 0])
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool_of:
        for m, name, code in pool_of.map(judge, live):
            by_kind[m.kind][1] += 1
            if name is not None:
                killed += 1
                by_kind[m.kind][0] += 1
                print(f"noticed {m} by {name} ({code})", flush=True)
            else:
                survivors.append(m)
                print(f"SURVIVED {m} -> {m.edit()} ({len(reach[m.number])} tests reach it)", flush=True)
    print("\nreached by no test:")
    for m in dead:
        print(f"  {m}")
    print("\nsurvivors:")
    for m in survivors:
        place = f"{m.file} | {m.kind} | {m.shown} :: "
        note = next((line[len(place):] for line in explained.splitlines() if line.startswith(place)), None)
        print(f"  {m}\n    -> {m.edit()}\n    {note or 'NOT EXPLAINED'}")
        known.append(note)
    for kind, (hit, n) in sorted(by_kind.items()):
        print(f"{kind:20} {hit:4} of {n}")
    unexplained = sum(1 for note in known if note is None)
    counted = killed + unexplained
    share = 100 * killed / max(1, counted)
    print(f"seed {args.seed}: {killed} of {len(live)} mutants noticed ({100 * killed / max(1, len(live)):.1f} %); "
          f"{len(survivors) - unexplained} change no result, as tests/mutants.txt explains; {share:.1f} % of the others")
    ok = share >= 95 and killed >= 0.85 * len(live)  # explanations are no way out
    print(f"{killed} passed, {0 if ok else max(1, unexplained)} failed")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
