#!/usr/bin/python3
"""Values and gradients of the cases of op_table.h by PyTorch in f64: make.py [FAMILY...] writes FAMILY.txt beside it.

Each case is evaluated at the inputs of spread(); the gradient is that of sum(y * spread(y.shape, -1, 1, 3)).
Needs Debian's python3-torch (1.13.1 made the files that are here).
"""
import importlib
import pathlib
import sys

import golden

HERE = pathlib.Path(__file__).parent


def numbers(t):
    return " ".join(f"{v:.17g}" for v in t.detach().reshape(-1).tolist())


def make(family):
    golden.cases.clear()
    importlib.import_module(family)
    with open(HERE / (family + ".txt"), "w") as out:
        for name, (shapes, fn, low, high) in golden.cases.items():
            inputs = [golden.spread(s, low, high, i).requires_grad_() for i, s in enumerate(shapes)]
            y = fn(*inputs)
            (y * golden.spread(tuple(y.shape), -1, 1, 3)).sum().backward()
            print(name, tuple(y.shape), sep="|", file=out)
            for t in [y] + [x.grad for x in inputs]:
                print(numbers(t), file=out)


known = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in ("golden", "make"))
for family in sys.argv[1:] or known:
    make(family)
