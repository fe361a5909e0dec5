#!/usr/bin/env python3
"""What became slower between two files of `tapedeck-bench --json`: rows whose median and whose best repetition both
take over 10 % more time. Exit code 1 when there are any.
    python3 bench/compare.py OLD.json NEW.json [PERCENT]"""
import json
import statistics
import sys

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def rows(path):
    times = {}
    try:
        with open(path, encoding="utf-8") as file:
            runs = json.load(file)["benchmarks"]
        for run in runs:
            if run.get("run_type", "iteration") != "iteration" or run.get("error_occurred"):
                continue
            key = "real_time" if "/real_time" in run["name"] else "cpu_time"
            times.setdefault(run["name"], []).append(run[key] * UNITS[run["time_unit"]])
    except (OSError, ValueError, KeyError, TypeError) as e:
        sys.exit(f"compare.py: {path} is no file of tapedeck-bench --json: {e!r}")
    return times


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        percent = float(sys.argv[3]) if len(sys.argv) > 3 else 10.0
    except ValueError:
        sys.exit(f"compare.py: PERCENT is a number, not {sys.argv[3]!r}")
    limit = 1 + percent / 100
    old, new = rows(sys.argv[1]), rows(sys.argv[2])
    both = [name for name in new if name in old]
    if not both:
        sys.exit("compare.py: the files have no row in common")
    slower = 0
    print(f"{'old':>12} {'new':>12} {'new/old':>8}")
    for name in sorted(both, key=lambda n: -statistics.median(new[n]) / statistics.median(old[n])):
        a, b = statistics.median(old[name]), statistics.median(new[name])
        worse = b > limit * a and min(new[name]) > limit * min(old[name])
        slower += worse
        print(f"{a * 1e6:10.1f}us {b * 1e6:10.1f}us {b / a:8.2f} {'SLOWER ' if worse else ''}{name}")
    missing = [name for name in old if name not in new]
    for name in missing:
        print(f"gone: {name}")
    print(f"{len(both)} rows compared, {slower} slower by more than {percent:g} %, {len(missing)} gone")
    sys.exit(1 if slower else 0)


main()
