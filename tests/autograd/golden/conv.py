import torch
import torch.nn.functional as F

from golden import case

CONV = [F.conv1d, F.conv2d, F.conv3d]
UP = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d]


def channels_first(x):
    return x.movedim(-1, 1)


def channels_last(y):
    return y.movedim(1, -1)


def each(v, n):
    return tuple(v) if isinstance(v, tuple) else (v,) * n


# padding: a rule, a number for each dimension, or a list of two of those: in front and behind.
def conv(x, w, b=None, stride=1, dilation=1, groups=1, padding=0):  # ours is channels last
    n = x.dim() - 2
    x, dilation = channels_first(x), each(dilation, n)
    if padding == "causal":
        reach = [(w.shape[2 + d] - 1) * dilation[d] for d in range(n)]
        before = [reach[0]] + [r // 2 for r in reach[1:]]
        padding = [tuple(before), tuple(r - p for r, p in zip(reach, before))]
    if isinstance(padding, list):
        sides = [v for d in reversed(range(n)) for v in (padding[0][d], padding[1][d])]
        x, padding = F.pad(x, sides), 0
    return channels_last(CONV[n - 1](x, w, b, stride, padding, dilation, groups))


def up(x, w, b=None, **options):
    return channels_last(UP[x.dim() - 3](channels_first(x), w, b, **options))


for name, x, w, o in [
    ("1d valid", (2, 5, 2), (3, 2, 2), {}), ("1d causal", (1, 5, 2), (2, 2, 3), {"padding": "causal"}),
    ("1d same", (1, 5, 2), (2, 2, 4), {"padding": "same"}), ("1d pointwise", (2, 3, 2), (3, 2, 1), {}),
    ("1d dilated", (1, 7, 2), (2, 2, 2), {"dilation": 3}), ("1d stride", (1, 8, 2), (2, 2, 3), {"stride": 2}),
    ("1d groups", (1, 4, 4), (6, 2, 2), {"groups": 2}), ("1d depthwise", (1, 4, 3), (3, 1, 2), {"groups": 3}),
    ("1d all", (2, 9, 4), (4, 2, 2), {"stride": 2, "dilation": 2, "groups": 2, "padding": "causal"}),
    ("1d padding", (2, 4, 2), (3, 2, 3), {"stride": 2, "padding": 2}),
    ("1d left and right", (1, 4, 2), (2, 2, 2), {"dilation": 2, "padding": [(3,), (1,)]}),
    ("1d longer than x", (1, 2, 2), (2, 2, 4), {"padding": [(1,), (2,)]}),
    ("1d depthwise stride", (1, 7, 3), (3, 1, 3), {"stride": 2, "dilation": 2, "groups": 3, "padding": 2}),
    ("1d multiplier", (1, 5, 2), (4, 1, 2), {"groups": 2}),
    ("2d valid", (2, 3, 4, 2), (2, 2, 2, 3), {}),
    ("2d same", (1, 3, 4, 2), (2, 2, 3, 2), {"dilation": (1, 2), "padding": "same"}),
    ("2d causal", (1, 3, 3, 1), (2, 1, 2, 3), {"dilation": (2, 1), "padding": "causal"}),
    ("2d stride", (1, 5, 6, 2), (2, 2, 3, 2), {"stride": (2, 3), "padding": (1, 0)}),
    ("2d sides", (1, 3, 3, 2), (2, 2, 2, 2), {"stride": (1, 2), "padding": [(1, 0), (0, 2)]}),
    ("2d groups", (1, 3, 3, 4), (2, 2, 2, 2), {"groups": 2}), ("2d pointwise", (1, 2, 3, 2), (3, 2, 1, 1), {}),
    ("2d depthwise", (2, 4, 3, 3), (3, 1, 3, 2), {"stride": (2, 1), "groups": 3, "padding": (1, 1)}),
    ("3d valid", (1, 2, 3, 3, 2), (2, 2, 2, 2, 1), {}),
    ("3d all", (1, 4, 3, 2, 2), (2, 1, 2, 2, 2),
     {"stride": (2, 1, 2), "dilation": (1, 2, 1), "groups": 2, "padding": (1, 2, 0)}),
    ("3d same", (1, 2, 2, 3, 1), (1, 1, 2, 1, 3), {"padding": "same"})]:
    case("conv" + name, [x, w, (w[0],)], lambda x, w, b, o=o: conv(x, w, b, **o))
case("conv1d no bias", [(2, 5, 2), (3, 2, 2)], conv)

for name, x, w, o in [
    ("1d plain", (2, 4, 3), (3, 2, 2), {}), ("1d stride", (1, 3, 4), (4, 1, 3), {"stride": 2, "groups": 2}),
    ("1d all", (1, 4, 2), (2, 2, 3), {"stride": 3, "padding": 2, "output_padding": 2, "dilation": 2}),
    ("1d gaps", (1, 3, 2), (2, 2, 2), {"stride": 4, "output_padding": 1}),
    ("1d common factor", (1, 3, 2), (2, 1, 3), {"stride": 4, "padding": 1, "dilation": 6}),
    ("1d depthwise", (2, 3, 3), (3, 1, 4), {"stride": 2, "padding": 1, "groups": 3}),
    ("2d plain", (1, 2, 3, 2), (2, 2, 2, 3), {}),
    ("2d all", (1, 3, 2, 4), (4, 1, 3, 2),
     {"stride": (2, 3), "padding": (1, 2), "output_padding": (1, 0), "groups": 2, "dilation": (1, 2)}),
    ("2d depthwise", (1, 2, 2, 2), (2, 1, 2, 3), {"stride": 2, "groups": 2}),
    ("3d plain", (1, 2, 2, 1, 2), (2, 2, 1, 2, 2), {}),
    ("3d all", (1, 2, 2, 2, 2), (2, 1, 2, 1, 3),
     {"stride": (2, 1, 2), "padding": (0, 0, 1), "output_padding": (1, 0, 1), "groups": 2, "dilation": (1, 2, 1)}),
    ("3d trimmed", (1, 2, 2, 3, 1), (1, 2, 2, 2, 2), {"stride": 2, "padding": (1, 1, 1)})]:
    case("conv_transpose" + name, [x, w, (w[1] * o.get("groups", 1),)], lambda x, w, b, o=o: up(x, w, b, **o))
case("conv_transpose1d no bias", [(2, 4, 3), (3, 2, 2)], up)
