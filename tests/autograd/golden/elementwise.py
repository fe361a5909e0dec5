import torch
import torch.nn.functional as F

from golden import binary, case, spread, unary

# name, function, low, high, [(at, scale)]: f(at + scale x) too.
EDGY = [
    ("sign", torch.sign, -1.5, 1.5, [(0, 0.001), (0, 8)]),
    ("floor", torch.floor, 0.1, 0.9, [(3, 0.001), (-100.5, 0.3)]),
    ("ceil", torch.ceil, 0.1, 0.9, [(3, 0.001), (-100.5, 0.3)]),
    ("round", torch.round, -0.4, 0.4, [(2.5, 0.001), (0.5, 0.001), (-1.5, 0.001)]),
    ("trunc", torch.trunc, 0.1, 0.9, [(-1, 0.001), (100.5, 0.3)]),
    ("frac", torch.frac, 0.1, 0.9, [(-1, 0.001), (100.5, 0.3)]),
    ("expm1", torch.expm1, -1.5, 1.5, [(0, 0.001), (0, 8), (-8, 1)]),
    ("log2", torch.log2, 0.5, 2, [(1, 0.001), (100, 50), (0.001, 0.0005)]),
    ("log10", torch.log10, 0.5, 2, [(1, 0.001), (100, 50), (0.001, 0.0005)]),
    ("tan", torch.tan, -1, 1, [(0, 0.001), (1.5, 0.05), (20, 0.3)]),
    ("asin", torch.asin, -0.8, 0.8, [(0, 0.001), (0.98, 0.01), (-0.98, 0.01)]),
    ("acos", torch.acos, -0.8, 0.8, [(0, 0.001), (0.98, 0.01), (-0.98, 0.01)]),
    ("atan", torch.atan, -1.5, 1.5, [(0, 0.001), (0, 8), (100, 10)]),
    ("sinh", torch.sinh, -1.5, 1.5, [(0, 0.001), (0, 8), (5, 1)]),
    ("cosh", torch.cosh, -1.5, 1.5, [(0, 0.1), (0, 8), (5, 1)]),
    ("asinh", torch.asinh, -1.5, 1.5, [(0, 0.001), (0, 8), (1000, 500)]),
    ("acosh", torch.acosh, 1.25, 3, [(1.01, 0.005), (3, 1), (1000, 500)]),
    ("atanh", torch.atanh, -0.8, 0.8, [(0, 0.001), (0.98, 0.01), (-0.98, 0.01)]),
    ("erf", torch.erf, -1.5, 1.5, [(0, 0.001), (2, 1), (0, 2.5)]),
    ("erfc", torch.erfc, -1.5, 1.5, [(0, 0.001), (2, 1), (4, 0.5)]),
    ("relu6", F.relu6, -1.5, 1.5, [(0, 0.001), (6, 0.001), (0, 8)]),
    ("selu", F.selu, -1.5, 1.5, [(0, 0.001), (0, 8)]),
    ("celu", lambda x: F.celu(x), -1.5, 1.5, [(0, 0.001), (0, 8)]),
    ("celu alpha", lambda x: F.celu(x, 1.5), -1.5, 1.5, [(0, 0.001), (0, 8)]),
    ("gelu erf", lambda x: F.gelu(x), -1.5, 1.5, [(0, 0.001), (0, 2), (2, 1)]),
    ("gelu tanh", lambda x: F.gelu(x, approximate="tanh"), -1.5, 1.5, [(0, 0.001), (0, 2), (2, 1)]),
    ("softplus default", lambda x: F.softplus(x), -1.5, 1.5, [(20, 0.01), (0, 8)]),
    ("softplus beta", lambda x: F.softplus(x, 2, 3), -1.5, 1.5, [(1.5, 0.001), (0, 0.001), (0, 8)]),
    ("softsign", F.softsign, -1.5, 1.5, [(0, 0.001), (0, 8), (100, 10)]),
    ("softshrink", lambda x: F.softshrink(x), -1.5, 1.5, [(0.5, 0.001), (-0.5, 0.001), (0, 8)]),
    ("softshrink lambd", lambda x: F.softshrink(x, 0.75), -1.5, 1.5, [(0.75, 0.001)]),
    ("hardshrink", lambda x: F.hardshrink(x), -1.5, 1.5, [(0.5, 0.001), (-0.5, 0.001), (0, 8)]),
    ("hardtanh", lambda x: F.hardtanh(x), -1.5, 1.5, [(1, 0.001), (-1, 0.001), (0, 7)]),
    ("hardtanh bounds", lambda x: F.hardtanh(x, -0.5, 2), -1.5, 1.5, [(2, 0.001), (-0.5, 0.001)]),
    ("hardsigmoid", F.hardsigmoid, -1.5, 1.5, [(3, 0.001), (-3, 0.001), (0, 8)]),
    ("hardswish", F.hardswish, -1.5, 1.5, [(3, 0.001), (-3, 0.001), (0, 8)]),
    ("nan_to_num", lambda x: torch.nan_to_num(x), -1.5, 1.5, [(0, 0.001), (0, 8)]),
    ("fmod scalar", lambda x: torch.fmod(x, 1.5), -1.5, 1.5, [(3, 0.001), (-3, 0.001), (0, 8)]),
    ("remainder scalar", lambda x: torch.remainder(x, -1.5), -1.5, 1.5, [(3, 0.001), (-3, 0.001), (0, 8)]),
]
for name, fn, low, high, places in EDGY:
    unary(name, fn, low, high)
    for i, (at, scale) in enumerate(places):
        case(f"{name} place {i}", [(2, 5)], lambda x, fn=fn, at=at, scale=scale: fn(x * scale + at))
for name in ["neg", "abs", "exp", "sin", "cos", "square", "sigmoid", "tanh"]:
    unary(name, getattr(torch, name))
for name in ["relu", "gelu", "silu", "mish", "softplus", "logsigmoid"]:
    unary(name, getattr(F, name))
for name in ["log", "sqrt", "rsqrt", "reciprocal"]:
    unary(name, getattr(torch, name), 0.5, 2)
unary("log1p", torch.log1p, -0.5, 2)
case("leaky_relu", [(2, 5)], lambda x: F.leaky_relu(x, 0.1))
case("elu", [(2, 5)], lambda x: F.elu(x, 1.5))
case("elu small", [(2, 5)], lambda x: F.elu(x * 0.1, -0.5))
case("elu wide", [(2, 5)], lambda x: F.elu(x * 8))
case("leaky_relu default", [(2, 5)], lambda x: F.leaky_relu(x * 1e-3))
case("leaky_relu steep", [(2, 5)], lambda x: F.leaky_relu(x, -2.5))
case("clamp", [(2, 5)], lambda x: x.clamp(-0.5, 0.4))
case("pow scalar", [(2, 5)], lambda x: x**2.5, 0.5, 2)
case("pow scalar 3", [(2, 5)], lambda x: x**3)
case("add scalar", [(2, 5)], lambda x: 2 + x + 1.5)
case("sub scalar", [(2, 5)], lambda x: 2 - (x - 1.5))
case("mul scalar", [(2, 5)], lambda x: -x * 1.5)
case("div scalar", [(2, 5)], lambda x: 3 / (x / 1.5), 0.5, 2)
for name, low, high in [("add", -1, 1), ("sub", -1, 1), ("mul", -1, 1), ("div", 0.5, 2), ("maximum", -1, 1),
                        ("minimum", -1, 1), ("pow", 0.5, 2)]:
    binary(name, getattr(torch, name), low, high)
case("where", [(3, 4), (4,)], lambda a, b: torch.where(spread((3, 4), -1, 1, 2) > 0, a, b))
for name in ["fmod", "remainder", "hypot"]:
    binary(name, getattr(torch, name), 0.5, 2)
case("atan2", [(2, 3), (2, 3)], torch.atan2, 0.5, 2)
case("atan2 both ways", [(2, 1, 3), (4, 1)], torch.atan2, 0.5, 2)
case("atan2 row", [(2, 3, 4), (4,)], torch.atan2, -2, -0.5)
case("atan2 0-d", [(), (2, 2)], torch.atan2, 0.5, 2)
case("atan2 empty", [(0, 3), (1, 3)], torch.atan2)
case("fmod quotients", [(2, 5), (5,)], lambda a, b: torch.fmod(a * 8, b + 3))
case("remainder quotients", [(2, 5), (5,)], lambda a, b: torch.remainder(a * 8, b - 3))
case("atan2 cut", [(2, 5), (5,)], lambda a, b: torch.atan2(a * 1e-3, b - 3))
case("atan2 large", [(2, 5), (5,)], lambda a, b: torch.atan2(a * 1e100, (b + 2) * 1e100))
case("hypot large", [(2, 5), (5,)], lambda a, b: torch.hypot(a * 1e8, (b + 2) * 1e8) / 1e8)


def prelu(x, w):  # channels last
    return F.prelu(x.movedim(-1, 1), w).movedim(1, -1) if x.dim() > 2 else F.prelu(x, w)


case("prelu", [(2, 3, 4), (4,)], prelu)
case("prelu one", [(2, 5), (1,)], prelu)
case("prelu empty", [(0, 3), (3,)], prelu)
case("prelu near 0", [(2, 5), (5,)], lambda x, w: prelu(x * 1e-3, w - 2))


def snake(x, alpha):
    return x + torch.sin(alpha * x) ** 2 / alpha


case("snake", [(2, 3, 4)], lambda x: snake(x, 1), -0.6, 1.5)
case("snake alpha", [(2, 3, 4), (4,)], lambda x, a: snake(x, a + 2), 0, 0.4)
case("snake large", [(2, 5), (5,)], lambda x, a: snake(x * 2 + 3, a + 2))
for shapes in [[(2, 3), (2, 3), (2, 3)], [(2, 1, 3), (4, 1), ()], [(0, 3), (1, 3), (3,)]]:
    at = " [" + ",".join(map(str, shapes[0])) + "]"
    case("lerp" + at, shapes, torch.lerp)
    case("addcmul" + at, shapes, lambda x, a, b: torch.addcmul(x, a, b, value=-1.5))
    case("addcdiv" + at, shapes, lambda x, a, b: torch.addcdiv(x, a, b, value=0.75), 0.5, 2)
case("lerp 0.25", [(2, 3), (3,)], lambda a, b: torch.lerp(a, b, 0.25))
case("lerp 0.75", [(2, 3), (3,)], lambda a, b: torch.lerp(a, b, 0.75))
case("lerp beyond", [(2, 3), (3,)], lambda a, b: torch.lerp(a, b, -2.0))
