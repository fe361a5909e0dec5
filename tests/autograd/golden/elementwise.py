import torch
import torch.nn.functional as F

from golden import binary, case, spread, unary

for name in ["neg", "abs", "exp", "sin", "cos", "square", "sigmoid", "tanh"]:
    unary(name, getattr(torch, name))
for name in ["relu", "gelu", "silu", "mish", "softplus", "logsigmoid"]:
    unary(name, getattr(F, name))
for name in ["log", "sqrt", "rsqrt", "reciprocal"]:
    unary(name, getattr(torch, name), 0.5, 2)
unary("log1p", torch.log1p, -0.5, 2)
case("leaky_relu", [(2, 5)], lambda x: F.leaky_relu(x, 0.1))
case("elu", [(2, 5)], lambda x: F.elu(x, 1.5))
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
