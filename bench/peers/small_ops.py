#!/usr/bin/env python3
"""Cost of one small op beside PyTorch's: ns of processor time per op, the median of
rounds that take turns, on one thread.
    python3 bench/peers/small_ops.py build/bin/small_op_peer [ROUNDS]
Rows: add and mul of 16 numbers; unrecorded, recorded (a chain of 1000), and forward and backward of that chain."""
import statistics
import subprocess
import sys
import time

try:
    import torch
except ImportError:
    sys.exit("small_ops.py: PyTorch is not installed (Debian: python3-torch)")

torch.set_num_threads(1)
CHAIN = 1000


def chain(op, x, w):
    for _ in range(CHAIN):
        x = op(x, w)
    return x


def timed(run, repeats):
    start = time.process_time_ns()
    for _ in range(repeats):
        run()
    return (time.process_time_ns() - start) / (repeats * CHAIN)


def peer_round(op):
    a, w, ones = torch.full((16,), 1.5), torch.full((16,), 1.0), torch.ones(16)
    leaf = torch.full((16,), 1.5, requires_grad=True)

    def unrecorded():
        with torch.no_grad():
            chain(op, a, w)

    def both():
        leaf.grad = None
        chain(op, leaf, w).backward(ones)

    return [timed(unrecorded, 20), timed(lambda: chain(op, leaf, w), 20), timed(both, 10)]


def own_round(program):
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()
    return {lines[i]: [float(v) for v in lines[i + 1:i + 4]] for i in range(0, len(lines), 4)}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    ops = {"add": torch.add, "mul": torch.mul}
    own, peer = {name: [] for name in ops}, {name: [] for name in ops}
    for _ in range(rounds):
        for name, values in own_round(sys.argv[1]).items():
            own[name].append(values)
        for name, op in ops.items():
            peer[name].append(peer_round(op))
    print(f"PyTorch {torch.__version__}, one thread, {rounds} rounds, medians, ns per op")
    print(f"{'':24}{'tapedeck':>10}{'PyTorch':>10}{'ratio':>8}")
    for name in ops:
        for i, what in enumerate(["unrecorded", "recorded", "forward + backward"]):
            a, b = (statistics.median(r[i] for r in side[name]) for side in (own, peer))
            print(f"{name + ' ' + what:24}{a:10.1f}{b:10.1f}{b / a:8.1f}")


main()
