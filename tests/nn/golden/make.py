#!/usr/bin/python3
"""Outputs and gradients of layers by PyTorch in f64: make.py [FAMILY...] writes FAMILY.json beside it.

A case has the hyper-parameters of our layer; the state dict of PyTorch's: names, shapes and the spread() that each is
filled with; inputs (by spread() too, or codes, or constant values); outputs; the gradients of sum(y * spread(y.shape, -1, 1, 3)) over the
outputs, by state name or "input.i"; and the buffers afterwards. Needs Debian's python3-torch (1.13.1 made the files).
"""
import importlib
import json
import pathlib
import sys

import torch

import layer_case
from layer_case import spread

HERE = pathlib.Path(__file__).parent


def numbers(t):
    return [float(f"{v:.16g}") for v in t.detach().double().reshape(-1).tolist()]


def fill(module):
    state = {}
    with torch.no_grad():
        for i, (name, t) in enumerate(module.state_dict().items()):
            if t.dtype == torch.int64:
                t.fill_(3)
                state[name] = [list(t.shape), 3]
            else:
                positive = name.endswith(("var", "weight_g", "scale", "alpha"))
                low, high = (0.5, 1.5) if positive else (-0.6, 0.6)
                t.copy_(spread(tuple(t.shape), low, high, i))
                state[name] = [list(t.shape), low, high, i]
    return state


def make_input(i, given):
    if isinstance(given, torch.Tensor) and given.is_floating_point():
        return given, {"values": numbers(given), "shape": list(given.shape)}
    if isinstance(given, torch.Tensor):
        return given, {"codes": given.reshape(-1).tolist(), "shape": list(given.shape)}
    shape, low, high = given if len(given) == 3 and isinstance(given[0], tuple) else (given, -1, 1)
    return spread(shape, low, high, i).requires_grad_(), {"shape": list(shape), "low": low, "high": high}


def make(family):
    layer_case.cases.clear()
    layer_case.options.clear()
    importlib.import_module(family)
    lines = []
    for i, (name, hparams, module, inputs, fn, train, accuracy) in enumerate(layer_case.cases):
        module.train(train)
        module.zero_grad(set_to_none=True)
        out = {"name": name, "hparams": hparams, "train": train, "accuracy": accuracy, "state": fill(module)}
        if i in layer_case.options:
            out["attention"] = layer_case.options[i]
        made = [make_input(i, x) for i, x in enumerate(inputs)]
        out["inputs"] = [said for _, said in made]
        ys = fn(module, *[x for x, _ in made])
        ys = [ys] if isinstance(ys, torch.Tensor) else list(ys)
        objective = sum((y * spread(tuple(y.shape), -1, 1, 3)).sum() for y in ys)
        if objective.requires_grad:
            objective.backward()
        out["outputs"] = [{"shape": list(y.shape), "values": numbers(y)} for y in ys]
        grads = {f"input.{i}": x.grad for i, (x, _) in enumerate(made) if x.requires_grad and x.grad is not None}
        grads.update((n, p.grad) for n, p in module.named_parameters() if p.grad is not None)
        out["gradients"] = {n: numbers(g) for n, g in grads.items()}
        out["after"] = {n: numbers(b) for n, b in module.named_buffers() if n in module.state_dict()}
        lines.append(json.dumps(out, separators=(",", ":")))
    (HERE / (family + ".json")).write_text("[\n" + ",\n".join(lines) + "\n]\n")


known = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in ("layer_case", "make"))
for family in sys.argv[1:] or known:
    make(family)
