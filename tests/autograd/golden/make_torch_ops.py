#!/usr/bin/python3
"""Values and gradients of every case of op_table.h by PyTorch in f64: make_torch_ops.py > torch_ops.txt

Each case is evaluated at the inputs of spread(); the gradient is that of sum(y * spread(y.shape, -1, 1, 3)).
Needs Debian's python3-torch (1.13.1 made the file that is here).
"""
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
SHIFT = [0.37, 0.11, 0.71, 0.9]
cases = {}


def spread(shape, low, high, which=0):
    n = 1
    for size in shape:
        n *= size
    m = max(n, 1)
    v = [low + (high - low) * (((k * 101 + 3 + 5 * which) % m) + SHIFT[which % 4]) / m for k in range(n)]
    return torch.tensor(v, dtype=torch.float64).reshape(shape)


def case(name, shapes, fn, low=-1, high=1):
    cases[name] = (shapes, fn, low, high)


def unary(name, fn, low=-1.5, high=1.5):
    case(name, [(2, 3, 4)], fn, low, high)
    case(name + " 0-d", [()], fn, low, high)
    case(name + " empty", [(0, 3)], fn, low, high)


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
    f = getattr(torch, name)
    case(name, [(2, 3), (2, 3)], f, low, high)
    case(name + " row", [(2, 3, 4), (4,)], f, low, high)
    case(name + " both ways", [(2, 1, 3), (4, 1)], f, low, high)
    case(name + " 0-d", [(), (2, 2)], f, low, high)
    case(name + " empty", [(0, 3), (1, 3)], f, low, high)
    case(name + " with itself", [(2, 3)], lambda x, f=f: f(x, x * 2), low, high)
case("where", [(3, 4), (4,)], lambda a, b: torch.where(spread((3, 4), -1, 1, 2) > 0, a, b))
for dims in [(), (0,), (-1,), (0, 2), (1,)]:
    for keep in [False, True]:
        tail = (" keep" if keep else "") + "".join(f" {d}" for d in dims)
        over = dims or (0, 1, 2)
        for name in ["sum", "mean", "amax", "amin"]:
            case(name + tail, [(2, 3, 4)], lambda x, f=getattr(torch, name), o=over, k=keep: f(x, o, k))
        case("var" + tail, [(2, 3, 4)], lambda x, o=over, k=keep: torch.var(x, o, unbiased=not k, keepdim=k))
case("sum empty", [(0, 3)], lambda x: x.sum(0))
case("sum 0-d", [()], lambda x: x.sum())
case("sum_to", [(2, 3, 4)], lambda x: x.sum_to_size(3, 1))
for dim in [0, 1, -1]:
    case(f"softmax {dim}", [(2, 3, 4)], lambda x, d=dim: torch.softmax(x, d))
    case(f"log_softmax {dim}", [(2, 3, 4)], lambda x, d=dim: torch.log_softmax(x, d))
    case(f"logsumexp {dim}", [(2, 3, 4)], lambda x, d=dim: torch.logsumexp(x, d, d == 1))
for r in ["none", "mean", "sum"]:
    target = torch.tensor([[0, 4, 2], [2, -1, 1]])
    case("cross_entropy " + r, [(2, 3, 5)],
         lambda x, r=r: F.cross_entropy(x.transpose(1, 2), target, ignore_index=-1, reduction=r))
    case("mse_loss " + r, [(2, 3), (2, 3)], lambda a, b, r=r: F.mse_loss(a, b, reduction=r))
for name, a, b in [("2x2", (3, 4), (4, 2)), ("3x2", (2, 3, 4), (4, 2)), ("2x3", (3, 4), (2, 4, 2)),
                   ("batches", (2, 1, 3, 2), (3, 2, 2)), ("one batch repeats", (2, 1, 3, 2), (2, 3, 2, 2)),
                   ("1x1", (4,), (4,)), ("1x2", (4,), (4, 3)), ("2x1", (3, 4), (4,)), ("1x3", (4,), (2, 4, 3)),
                   ("3x1", (2, 3, 4), (4,)), ("no inner", (3, 0), (0, 2)), ("no rows", (0, 3), (3, 2))]:
    case("matmul " + name, [a, b], torch.matmul)
for shape in [(4,), (3, 4), (2, 3, 4), (2, 2, 2, 4), (0, 4)]:
    text = "[" + ",".join(map(str, shape)) + "]"
    case("linear " + text, [shape, (3, 4), (3,)], F.linear)
    case("linear no bias " + text, [shape, (3, 4)], F.linear)


def conv(x, w, b=None, stride=1, dilation=1, groups=1, padding="valid"):  # ours is [batch, time, channels]
    x = x.transpose(1, 2)
    if padding == "causal":
        x, padding = F.pad(x, ((w.shape[2] - 1) * dilation, 0)), "valid"
    return F.conv1d(x, w, b, stride, padding, dilation, groups).transpose(1, 2)


for name, x, w, o in [("valid", (2, 5, 2), (3, 2, 2), {}), ("causal", (1, 5, 2), (2, 2, 3), {"padding": "causal"}),
                      ("same", (1, 5, 2), (2, 2, 4), {"padding": "same"}), ("pointwise", (2, 3, 2), (3, 2, 1), {}),
                      ("dilated", (1, 7, 2), (2, 2, 2), {"dilation": 3}), ("stride", (1, 8, 2), (2, 2, 3), {"stride": 2}),
                      ("groups", (1, 4, 4), (6, 2, 2), {"groups": 2}), ("depthwise", (1, 4, 3), (3, 1, 2), {"groups": 3}),
                      ("all", (2, 9, 4), (4, 2, 2), {"stride": 2, "dilation": 2, "groups": 2, "padding": "causal"})]:
    case("conv1d " + name, [x, w, (w[0],)], lambda x, w, b, o=o: conv(x, w, b, **o))
case("conv1d no bias", [(2, 5, 2), (3, 2, 2)], conv)
case("conv1d_transpose", [(2, 4, 3), (3, 2, 2)],
     lambda x, w: F.conv_transpose1d(x.transpose(1, 2), w).transpose(1, 2))
case("conv1d_transpose stride", [(1, 3, 4), (4, 1, 3)],
     lambda x, w: F.conv_transpose1d(x.transpose(1, 2), w, stride=2, groups=2, output_padding=1).transpose(1, 2))
case("embedding", [(5, 3)], lambda t: F.embedding(torch.tensor([[4, 0], [0, 2]]), t))
case("reshape", [(2, 3, 4)], lambda x: x.reshape(4, -1))
case("flatten", [(2, 3, 4)], lambda x: x.flatten(1))
case("permute", [(2, 3, 4)], lambda x: x.permute(2, 0, -2))
case("transpose", [(2, 3, 4)], lambda x: x.transpose(0, -1))
case("squeeze", [(2, 1, 4)], lambda x: x.squeeze(1))
case("unsqueeze", [(2, 4)], lambda x: x.unsqueeze(-1))
case("expand", [(3, 1)], lambda x: x.expand(2, -1, 4))
case("slice", [(5, 4)], lambda x: x[1:-1:2])
case("narrow", [(5, 4)], lambda x: x.narrow(1, 1, 2))
case("select", [(5, 4)], lambda x: x.select(0, -2))
case("slices of one tensor", [(6,)], lambda x: x[0:4] * x[2:] + x[1:5])
case("unfold", [(2, 7)], lambda x: x.unfold(1, 3, 2))
case("unfold first", [(7, 2)], lambda x: x.unfold(0, 3, 1))


def parts(x):
    p = torch.split(x, [1, 3, 2], 1)
    return torch.cat([p[2], p[0] * 2, p[2]], 1)


case("split", [(2, 6)], parts)
case("chunk", [(5, 2)], lambda x: x.chunk(2)[1])
case("cat", [(2, 3), (2, 1), (2, 0)], lambda a, b, c: torch.cat([a, b, c, a], -1))
case("stack", [(2, 3), (2, 3)], lambda a, b: torch.stack([a, b], 1))
case("contiguous", [(2, 3)], lambda x: x.transpose(0, 1).contiguous())
case("clone", [(2, 3)], torch.clone)
case("gated_activation", [(2, 3, 4)], lambda x: torch.tanh(x[..., :2]) * torch.sigmoid(x[..., 2:]))
case("gated_activation condition", [(2, 4), (2, 4)],
     lambda x, c: torch.tanh((x + c)[..., :2]) * torch.sigmoid((x + c)[..., 2:]))


def numbers(t):
    return " ".join(f"{v:.17g}" for v in t.detach().reshape(-1).tolist())


for name, (shapes, fn, low, high) in cases.items():
    inputs = [spread(s, low, high, i).requires_grad_() for i, s in enumerate(shapes)]
    y = fn(*inputs)
    (y * spread(tuple(y.shape), -1, 1, 3)).sum().backward()
    print(name, tuple(y.shape), sep="|")
    for t in [y] + [x.grad for x in inputs]:
        print(numbers(t))
