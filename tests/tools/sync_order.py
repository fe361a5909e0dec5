#!/usr/bin/env python3
"""Reads a trace of `strace -f -y -o TRACE PROGRAM ROOT...` and says where a power cut would lose what was promised.

The model: bytes are on the disk once their file was synced, a name once its folder was synced after it was made.
 1. A file or folder gets its final name only when all bytes and names in it are on the disk.
 2. LATEST and BEST are written, and older checkpoints deleted, only when the name of the new one is on the disk.
 3. A checkpoint gets its name only when the metrics that it counts are on the disk.
 4. At the end nothing that has a final name waits for the disk.
With --self-test every sync is left out in turn (those of one folder together), which must be reported each time.

  sync_order.py TRACE ROOT [--self-test]      prints one line per fault; exit code 1 when there are any
"""
import os, re, sys

CALL = re.compile(r"^\d+\s+(\w+)\((.*)\)\s+= (-?\d+|\?)(<[^>]*>)?")
STRINGS = re.compile(r'"((?:[^"\\]|\\.)*)"')
FD = re.compile(r"^\d+<([^>]*)>")


def events(trace, root):
    """("write" | "sync" | "create" | "mkdir" | "unlink", path) and ("rename", from, to), of paths below the root."""
    for line in open(trace, errors="replace"):
        call = CALL.match(line)
        if not call or call[3].startswith("-") or call[3] == "?":
            continue
        name, args = call[1], call[2]
        paths = [os.path.abspath(p) for p in STRINGS.findall(args)] if not name.startswith(("write", "pwrite")) else []
        if name in ("write", "pwrite64", "ftruncate", "fsync", "fdatasync") and (fd := FD.match(args)):
            paths = [fd[1]]
        if not paths or not paths[-1].startswith(root):
            continue
        if name in ("write", "pwrite64", "ftruncate"):
            yield "write", paths[0]
        elif name in ("fsync", "fdatasync"):
            yield "sync", paths[0]
        elif name == "openat" and "O_CREAT" in args:
            yield "create", paths[0]
        elif name in ("mkdir", "mkdirat"):
            yield "mkdir", paths[0]
        elif name in ("unlink", "unlinkat", "rmdir"):
            yield "unlink", paths[-1]
        elif name.startswith("rename"):
            yield "rename", paths[0], paths[1]


def within(path, folder):
    return path == folder or path.startswith(folder + "/")


def temporary(path, root):
    return any(part.startswith(".") for part in os.path.relpath(path, root).split("/"))


def faults(trace, root, left_out=()):
    bytes_waiting, names_waiting, known, found = set(), set(), set(), []
    for number, (what, path, *to) in enumerate(trace):
        name = os.path.basename(to[0] if to else path)
        if what == "write":
            bytes_waiting.add(path)
        elif what == "sync" and number not in left_out:
            bytes_waiting.discard(path)
            names_waiting = {n for n in names_waiting if os.path.dirname(n) != path}
        elif what == "create" and path not in known or what == "mkdir":
            known.add(path)
            names_waiting.add(path)
        elif what == "unlink":
            bytes_waiting.discard(path)
            names_waiting.discard(path)
        elif what == "rename":
            waiting = [p for p in sorted(bytes_waiting | names_waiting - {path}) if within(p, path)]
            if waiting and not temporary(to[0], root):
                found.append(f"{to[0]} gets its name before {waiting[0]} is on the disk")
            beside = os.path.join(os.path.dirname(to[0]), "step-")
            steps = [n for n in names_waiting if n.startswith(beside)]
            if steps and (name in ("LATEST", "BEST") or name.startswith(".tmp-old-")):
                found.append(f"{to[0]} is made before the name {steps[0]} is on the disk")
            metrics = [p for p in bytes_waiting | names_waiting if p.endswith("/metrics.jsonl")]
            if metrics and name.startswith("step-"):
                found.append(f"{to[0]} gets its name before {metrics[0]} is on the disk")
            moved = lambda paths: {to[0] + p[len(path):] if within(p, path) else p for p in paths}
            bytes_waiting, names_waiting, known = moved(bytes_waiting), moved(names_waiting), moved(known)
            names_waiting.add(to[0])
    hints = ("/metrics.jsonl", "/train.log", "/run.lock")  # written at any time; what counts of them is asked for above
    for p in sorted(bytes_waiting | names_waiting):
        if not temporary(p, root) and not p.endswith(hints):
            found.append(f"{p} is not on the disk at the end")
    return found


def main():
    root = os.path.realpath(sys.argv[2])
    trace = list(events(sys.argv[1], root))
    found = faults(trace, root)
    syncs = [(i, e[1]) for i, e in enumerate(trace) if e[0] == "sync"]
    if not syncs:
        found.append("the trace has no sync at all")
    if "--self-test" in sys.argv:
        folders = {os.path.dirname(p) for _, p in syncs} & {p for _, p in syncs}
        groups = [{i for i, p in syncs if p == folder} for folder in folders]
        groups += [{i} for i, p in syncs if p not in folders]
        missed = [g for g in groups if len(faults(trace, root, g)) <= len(found)]
        found += [f"leaving out the sync of {trace[min(g)][1]} is not reported" for g in missed]
        print(f"{len(syncs)} syncs, {len(groups)} ways to leave some out, {len(groups) - len(missed)} reported")
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


main()
