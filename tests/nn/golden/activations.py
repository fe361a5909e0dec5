import math

import torch
from torch import nn
import torch.nn.functional as F

from layer_case import case

X = ((2, 3, 4), -3, 3)
named = {"identity": nn.Identity(), "relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(), "elu": nn.ELU(), "gelu": nn.GELU(),
         "silu": nn.SiLU(), "mish": nn.Mish(), "softplus": nn.Softplus(), "tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(),
         "relu6": nn.ReLU6(), "selu": nn.SELU(), "celu": nn.CELU(), "gelu_tanh": nn.GELU("tanh"),
         "logsigmoid": nn.LogSigmoid(), "softsign": nn.Softsign(), "softshrink": nn.Softshrink(),
         "hardshrink": nn.Hardshrink(), "hardtanh": nn.Hardtanh(), "hardsigmoid": nn.Hardsigmoid(),
         "hardswish": nn.Hardswish()}
for kind, module in named.items():
    case(kind, {"type": "Activation", "kind": kind}, module, ((2, 3, 4), -4, 7),
         accuracy=1e-7 if kind == "hardsigmoid" else 1e-11)
for kind in ["sin", "cos", "abs"]:
    case(kind, {"type": "Activation", "kind": kind}, nn.Identity(), X, fn=lambda m, x, k=kind: getattr(torch, k)(x))
case("LeakyReLU", {"type": "LeakyReLU", "negative_slope": 0.3}, nn.LeakyReLU(0.3), X)
case("ELU", {"type": "ELU", "alpha": 1.7}, nn.ELU(1.7), X)
case("CELU", {"type": "CELU", "alpha": 0.7}, nn.CELU(0.7), X, accuracy=1e-7)
case("Softplus", {"type": "Softplus", "beta": 2, "threshold": 3}, nn.Softplus(2, 3), X)
case("Hardtanh", {"type": "Hardtanh", "min_val": -0.5, "max_val": 2}, nn.Hardtanh(-0.5, 2), X)
case("Softshrink", {"type": "Softshrink", "lambd": 0.7}, nn.Softshrink(0.7), X)
case("Hardshrink", {"type": "Hardshrink", "lambd": 0.7}, nn.Hardshrink(0.7), X)
case("Threshold", {"type": "Threshold", "threshold": 0.4, "value": -2}, nn.Threshold(0.4, -2), X)
case("RReLU", {"type": "RReLU"}, nn.RReLU(), X)
case("RReLU of one slope", {"type": "RReLU", "lower": 0.25, "upper": 0.25}, nn.RReLU(0.25, 0.25), X, train=True)
case("Tanhshrink", {"type": "Tanhshrink"}, nn.Tanhshrink(), X)
case("ExpMSq", {"type": "ExpMSq"}, nn.Identity(), X, fn=lambda m, x: torch.exp(-x**2))
for dim in [-1, 1]:
    case(f"Softmax {dim}", {"type": "Softmax", "dim": dim}, nn.Softmax(dim), X)
    case(f"Softmin {dim}", {"type": "Softmin", "dim": dim}, nn.Softmin(dim), X)
    case(f"LogSoftmax {dim}", {"type": "LogSoftmax", "dim": dim}, nn.LogSoftmax(dim), X)
    case(f"GLU {dim}", {"type": "GLU", "dim": dim}, nn.GLU(dim), (2, 4, 4))
for gate, f in [("gelu", F.gelu), ("silu", F.silu), ("relu", F.relu), ("identity", lambda x: x)]:
    case("GLU " + gate, {"type": "GLU", "gate": gate}, nn.Identity(), (2, 3, 4),
         fn=lambda m, x, f=f: x[..., :2] * f(x[..., 2:]))
case("GatedActivation", {"type": "GatedActivation"}, nn.Identity(), (2, 3, 4),
     fn=lambda m, x: torch.tanh(x[..., :2]) * torch.sigmoid(x[..., 2:]))
case("PReLU", {"type": "PReLU"}, nn.PReLU(), X)
case("PReLU by channel", {"type": "PReLU", "num_parameters": 4}, nn.PReLU(4), X,
     fn=lambda m, x: m(x.movedim(-1, 1)).movedim(1, -1))


class Learned(nn.Module):
    def __init__(self, **parameters):
        super().__init__()
        for name, shape in parameters.items():
            self.register_parameter(name, nn.Parameter(torch.ones(shape)))


case("Snake", {"type": "Snake", "channels": 4}, Learned(alpha=(4,)), X,
     fn=lambda m, x: x + torch.sin(m.alpha * x)**2 / m.alpha)
case("Snake cos", {"type": "Snake", "channels": 4, "kind": "cos"}, Learned(alpha=(4,)), X,
     fn=lambda m, x: x + torch.cos(m.alpha * x)**2 / m.alpha)
scaled = {"type": "ScaledActivation", "channels": 4}
for rate in [False, True]:
    parts = {"scale": nn.Linear(4, 4), **({"rate": nn.Linear(4, 4)} if rate else {})}
    case(f"ScaledActivation {rate}", {**scaled, "with_rate": rate}, nn.ModuleDict(parts), (2, 3, 4),
         fn=lambda m, x: torch.tanh((m["rate"](x) if "rate" in m else 1) * x / m["scale"](x)) * m["scale"](x))
    parts = {"scale": (4,), **({"rate": (4,)} if rate else {})}
    case(f"ScaledActivation static {rate}", {**scaled, "with_rate": rate, "learned_static": True, "kind": "sin"},
         Learned(**parts), (2, 3, 4),
         fn=lambda m, x: torch.sin((m.rate if hasattr(m, "rate") else 1) * x / m.scale) * m.scale)
phase = {"type": "PhaseActivation", "channels": 4}
case("PhaseActivation a", {**phase, "kind": "a"}, Learned(psi=(4,)), X,
     fn=lambda m, x: torch.cos(torch.tanh(x) * m.psi) * math.pi)
case("PhaseActivation b", {**phase, "kind": "b"}, Learned(psi=(4,)), X,
     fn=lambda m, x: torch.cos(x * m.psi) * math.pi)
case("PhaseActivation c", {**phase, "kind": "c"}, nn.Identity(), X, fn=lambda m, x: torch.tanh(x) * math.pi)
for p in [0.0, 0.4]:
    for kind in ["Dropout", "Dropout1d", "AlphaDropout"]:
        case(f"{kind} {p}", {"type": kind, "p": p}, getattr(nn, kind)(p), (2, 3, 4))
    case(f"Dropout2d {p}", {"type": "Dropout2d", "p": p}, nn.Dropout2d(p), (2, 3, 2, 4))
    case(f"Dropout3d {p}", {"type": "Dropout3d", "p": p}, nn.Dropout3d(p), (2, 2, 1, 2, 4))
