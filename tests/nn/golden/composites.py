import torch
from torch import nn
import torch.nn.functional as F

from layer_case import case, first

for mode in ["nearest", "nearest-exact", "linear", "area"]:
    for options, torch_options in [({"scale_factor": [2]}, {"scale_factor": 2}), ({"size": [7]}, {"size": 7})]:
        case(f"Upsample 1d {mode} {options}", {"type": "Upsample", "mode": mode, **options},
             nn.Upsample(mode=mode, **torch_options), (2, 5, 3), fn=first)
for mode in ["nearest", "bilinear"]:
    case("Upsample 2d " + mode, {"type": "Upsample", "mode": mode, "size": [5, 6]}, nn.Upsample((5, 6), mode=mode),
         (1, 3, 4, 2), fn=first)
case("Upsample corners", {"type": "Upsample", "mode": "bilinear", "align_corners": True},
     nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), (1, 3, 4, 2), fn=first)
case("PixelShuffle", {"type": "PixelShuffle"}, nn.PixelShuffle(2), (1, 2, 3, 8), fn=first)
case("PixelUnshuffle", {"type": "PixelUnshuffle"}, nn.PixelUnshuffle(2), (1, 4, 6, 2), fn=first)
X = (2, 6, 3)
for up, down in [(1, 1), (2, 1), (1, 3)]:
    sizes = {"in_channels": 3, "out_channels": 6, "up": up, "down": down}
    steps = 6 * up // down
    case(f"LinearResampler {up} {down}", {"type": "LinearResampler", **sizes},
         nn.ModuleDict({"linear": nn.Linear(3, 6 * up // down)}), X,
         fn=lambda m, x, t=steps: m["linear"](x).reshape(2, t, 6))
    case(f"LSTMResampler {up} {down}", {"type": "LSTMResampler", **sizes},
         nn.ModuleDict({"lstm": nn.LSTM(3, 6 * up // down, batch_first=True)}), X,
         fn=lambda m, x, t=steps: m["lstm"](x)[0].reshape(2, t, 6))
    conv = nn.ConvTranspose1d(3, 6, up, stride=up) if up > 1 else nn.Conv1d(3, 6, down, stride=down)
    case(f"Conv1dResampler {up} {down}", {"type": "Conv1dResampler", **sizes}, nn.ModuleDict({"conv": conv}), X,
         fn=lambda m, x: first(m["conv"], x))


def film(m, x, c):
    s, b = m["proj"](c).chunk(2, -1)
    if c.dim() < x.dim():
        s, b = s[:, None], b[:, None]
    return x * (1 + s) + b


for condition in [(2, 2), (2, 6, 2)]:
    case(f"FiLM {condition}", {"type": "FiLM", "features": 3, "condition": 2}, nn.ModuleDict({"proj": nn.Linear(2, 6)}),
         X, condition, fn=film)


def gated(m, x, f):
    a, b = m["proj"](x).chunk(2, -1)
    return m["out"](a * f(b))


for gate, f in [("silu", F.silu), ("gelu", F.gelu), ("sigmoid", torch.sigmoid)]:
    for bias in [True, False]:
        case(f"GatedMLP {gate} {bias}",
             {"type": "GatedMLP", "in": 3, "hidden": 4, "out": 2, "gate": gate, "bias": bias},
             nn.ModuleDict({"proj": nn.Linear(3, 8, bias=bias), "out": nn.Linear(4, 2, bias=bias)}), X,
             fn=lambda m, x, f=f: gated(m, x, f))


class VectorMix(nn.Module):
    def __init__(self, gate):
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(4, 2))
        self.proj = nn.Linear(3, 8 if gate else 4)
        self.gate = gate

    def forward(self, x):
        h = self.proj(x)
        if not self.gate:
            return torch.sigmoid(h) @ self.vectors
        a, b = h.chunk(2, -1)
        return torch.tanh(a) * torch.sigmoid(b) @ self.vectors


case("VectorMix", {"type": "VectorMix", "in": 3, "hidden": 4, "out": 2}, VectorMix(False), X)
case("VectorMix gated", {"type": "VectorMix", "in": 3, "hidden": 4, "out": 2, "activation": "tanh", "gate": "sigmoid"},
     VectorMix(True), X)
for kind in ["Gaussian", "Logistic"]:
    case(kind, {"type": kind, "in": 3, "out": 2}, nn.ModuleDict({"proj": nn.Linear(3, 4)}), X,
         fn=lambda m, x: m["proj"](x)[..., :2])
case("Affine", {"type": "Affine", "in": 3, "out": 2}, nn.ModuleDict({"proj": nn.Linear(3, 6)}), X,
     fn=lambda m, x: m["proj"](x)[..., :2] * m["proj"](x)[..., 2:4] + m["proj"](x)[..., 4:])

case("ChunkedLinear", {"type": "ChunkedLinear", "in_features": 3, "out_features": 2, "chunks": 4},
     nn.ModuleDict({"proj": nn.Linear(3, 8)}), X, fn=lambda m, x: m["proj"](x).reshape(2, 6, 4, 2).sum(2))
codes = torch.tensor([[3, 1, 0, 7, 5, 2, 6], [4, 4, 1, 0, 2, 7, 3]])
for size, hop in [(2, 2), (3, 1)]:
    frames = {"classes": 8, "frame_size": size, "hop": hop, "out_features": 3}
    case(f"FramedLinear {size} {hop}", {"type": "FramedLinear", **frames},
         nn.ModuleDict({"proj": nn.Linear(size, 3)}), codes,
         fn=lambda m, x, s=size, h=hop: m["proj"]((x / 4.0 - 1).double().unfold(1, s, h)))
    case(f"FramedConv1d {size} {hop}", {"type": "FramedConv1d", **frames},
         nn.ModuleDict({"conv": nn.Conv1d(1, 3, size, stride=hop)}), codes,
         fn=lambda m, x: first(m["conv"], (x / 4.0 - 1).double()[..., None]))
    case(f"FramedEmbeddingConv1d {size} {hop}", {"type": "FramedEmbeddingConv1d", **frames},
         nn.ModuleDict({"embedding": nn.Embedding(8, 3), "conv": nn.Conv1d(3, 3, size, stride=hop)}), codes,
         fn=lambda m, x: first(m["conv"], m["embedding"](x)))
    case(f"FramedEmbeddingBag {size} {hop}", {"type": "FramedEmbeddingBag", **frames},
         nn.ModuleDict({"embedding": nn.Embedding(8, 3)}), codes,
         fn=lambda m, x, s=size, h=hop: m["embedding"](x).unfold(1, s, h).mean(-1))

convs = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
ups = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
norms = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def shortcut(d, i, o, stride):
    return nn.Sequential(convs[d](i, o, 1, stride, bias=False), norms[d](o)) if i != o or stride != 1 else None


class Block(nn.Module):
    def __init__(self, parts):
        super().__init__()
        for name, part in parts.items():
            if part is not None:
                self.add_module(name, part)


def res(m, x):
    y = m.bn2(m.conv2(F.silu(m.bn1(m.conv1(x)))))
    return F.silu(y + (m.downsample(x) if hasattr(m, "downsample") else x))


def bottleneck(m, x):
    y = m.bn3(m.conv3(F.silu(m.bn2(m.conv2(F.silu(m.bn1(m.conv1(x))))))))
    return F.silu(y + (m.downsample(x) if hasattr(m, "downsample") else x))


def preact(m, x):
    y = F.silu(m.bn1(x))
    return m.conv2(F.silu(m.bn2(m.conv1(y)))) + (m.downsample(y) if hasattr(m, "downsample") else x)


def dense(m, x):
    return torch.cat([x, m.conv2(F.silu(m.norm2(m.conv1(F.silu(m.norm1(x))))))], 1)


def squeeze(m, x):
    mean = x.mean(tuple(range(1, x.dim() - 1)), keepdim=True)
    return x * torch.sigmoid(m["fc2"](F.silu(m["fc1"](mean))))


def unet(m, x):
    inner = m.inner
    below = F.silu((unet(inner, F.silu(m.down(x))) if isinstance(inner, Block) else inner(F.silu(m.down(x)))))
    return m.merge(torch.cat([x, F.silu(m.up(below))], 1))


def unet_parts(d, i, channels, factor):
    w = channels[0]
    inner = Block(unet_parts(d, w, channels[1:], factor)) if channels[1:] else convs[d](w, w, 3, padding=1)
    return {"down": convs[d](i, w, factor, factor), "inner": inner, "up": ups[d](w, i, factor, factor),
            "merge": convs[d](2 * i, i, 3, padding=1)}


def channels_first(f):
    return lambda m, x: f(m, x.movedim(-1, 1)).movedim(1, -1)


for d, x in [(1, (2, 6, 2)), (2, (1, 4, 4, 2)), (3, (2, 2, 2, 4, 2))]:
    for train in [False, True] if d == 1 else [True]:
        for i, o, stride in [(2, 2, 1), (2, 3, 2)]:
            if d == 3 and stride == 1:
                continue
            sizes = {"dims": d, "in_channels": i, "stride": stride, "activation": "silu"}
            c, n = convs[d], norms[d]
            case(f"ResBlock {d} {o} {train}", {"type": "ResBlock", "out_channels": o, **sizes},
                 Block({"conv1": c(i, o, 3, stride, 1, bias=False), "bn1": n(o), "conv2": c(o, o, 3, 1, 1, bias=False),
                        "bn2": n(o), "downsample": shortcut(d, i, o, stride)}), x, fn=channels_first(res), train=train)
            w = 1 if o == 2 else 2
            case(f"Bottleneck {d} {o} {train}", {"type": "Bottleneck", "width": w, "expansion": 2, **sizes},
                 Block({"conv1": c(i, w, 1, bias=False), "bn1": n(w), "conv2": c(w, w, 3, stride, 1, bias=False),
                        "bn2": n(w), "conv3": c(w, 2 * w, 1, bias=False), "bn3": n(2 * w),
                        "downsample": shortcut(d, i, 2 * w, stride)}), x, fn=channels_first(bottleneck), train=train)
            case(f"PreActBlock {d} {o} {train}", {"type": "PreActBlock", "out_channels": o, **sizes},
                 Block({"bn1": n(i), "conv1": c(i, o, 3, stride, 1, bias=False), "bn2": n(o),
                        "conv2": c(o, o, 3, 1, 1, bias=False),
                        "downsample": c(i, o, 1, stride, bias=False) if i != o else None}), x,
                 fn=channels_first(preact), train=train)
        case(f"DenseUnit {d} {train}", {"type": "DenseUnit", "dims": d, "in_channels": 2, "growth": 2, "bottleneck": 2,
                                           "activation": "silu"},
             Block({"norm1": norms[d](2), "conv1": convs[d](2, 4, 1, bias=False), "norm2": norms[d](4),
                    "conv2": convs[d](4, 2, 3, 1, 1, bias=False)}), x, fn=channels_first(dense), train=train)
    case(f"UNetBlock {d}", {"type": "UNetBlock", "dims": d, "in_channels": 2, "channels": [3], "activation": "silu"},
         Block(unet_parts(d, 2, [3], 2)), x, fn=channels_first(unet))
    case(f"SEBlock {d}", {"type": "SEBlock", "channels": 2, "reduction": 2, "activation": "silu"},
         nn.ModuleDict({"fc1": nn.Linear(2, 1), "fc2": nn.Linear(1, 2)}), x,
         fn=squeeze)
case("UNetBlock of two levels", {"type": "UNetBlock", "in_channels": 2, "channels": [3, 2], "activation": "silu"},
     Block(unet_parts(1, 2, [3, 2], 2)), (2, 8, 2), fn=channels_first(unet))
