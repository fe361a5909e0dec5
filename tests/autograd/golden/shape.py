import torch
import torch.nn.functional as F

from golden import case, spread

case("reshape", [(2, 3, 4)], lambda x: x.reshape(4, -1))
case("unflatten", [(6, 4)], lambda x: x.unflatten(0, (2, 3)))
case("unflatten last", [(6, 4)], lambda x: x.unflatten(-1, (2, -1, 1)))
case("unflatten empty", [(0, 3)], lambda x: x.reshape(0, 2, 3))
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


def added(parts):
    y = parts[0]
    for i, part in enumerate(parts[1:]):
        y = y + part * (i + 2)
    return y


case("squeeze not 1", [(2, 1, 4)], lambda x: x.squeeze(0))
case("squeeze all", [(1, 2, 1, 4, 1)], lambda x: x.squeeze())
case("squeeze all of one", [(1, 1)], lambda x: x.squeeze())
case("movedim", [(2, 3, 4)], lambda x: x.movedim(0, -1))
case("movedim back", [(2, 3, 4, 2)], lambda x: x.movedim(3, 1))
case("movedim lists", [(2, 3, 4)], lambda x: x.movedim((0, 1), (-1, 0)))
case("broadcast_to", [(3, 1)], lambda x: x.broadcast_to(2, 3, 4))
case("broadcast_to 0-d", [()], lambda x: x.broadcast_to(2, 3))
case("broadcast_to nothing", [(1, 3)], lambda x: x.broadcast_to(0, 3))
case("unbind", [(3, 4)], lambda x: added(x.unbind()))
case("unbind last", [(3, 4)], lambda x: added(x.unbind(-1)))
case("unbind one of them", [(2, 3, 4)], lambda x: x.unbind(1)[2])
case("diagonal", [(3, 5)], lambda x: x.diagonal())
case("diagonal below", [(5, 3)], lambda x: x.diagonal(-2))
case("diagonal of others", [(2, 3, 4)], lambda x: x.diagonal(1, 2, 0))
case("diagonal outside", [(2, 3)], lambda x: x.diagonal(7))
case("meshgrid", [(2,), (3,)], lambda a, b: added(torch.meshgrid(a, b, indexing="ij")))
case("meshgrid xy", [(2,), (3,), (2,)], lambda a, b, c: added(torch.meshgrid(a, b, c, indexing="xy")))
case("meshgrid 0-d", [(), (3,)], lambda a, b: added(torch.meshgrid(a, b, indexing="ij")))

case("repeat", [(2, 3)], lambda x: x.repeat(3, 2))
case("repeat in front", [(3,)], lambda x: x.repeat(2, 1, 2))
case("repeat 0-d", [()], lambda x: x.repeat(2, 3))
case("repeat nothing", [(2, 3)], lambda x: x.repeat(0, 2))
case("tile", [(2, 3)], lambda x: x.tile(2))
case("tile in front", [(2, 3)], lambda x: x.tile(2, 1, 3))
case("tile 0-d", [()], lambda x: x.tile(3))
case("repeat_interleave", [(2, 3)], lambda x: x.repeat_interleave(2))
case("repeat_interleave dim", [(2, 3)], lambda x: x.repeat_interleave(3, -2))
case("repeat_interleave 0", [(2, 3)], lambda x: x.repeat_interleave(0, 1))
case("repeat_interleave counts", [(2, 4)], lambda x: x.repeat_interleave(torch.tensor([2, 0, 1, 3]), 1))
case("repeat_interleave one count", [(2, 3)], lambda x: x.repeat_interleave(torch.tensor([2]), 0))
case("repeat_interleave flat counts", [(2, 2)], lambda x: x.repeat_interleave(torch.tensor([0, 3, 1, 1])))
case("flip", [(2, 3, 4)], lambda x: x.flip(0, -1))
case("flip none", [(2, 3)], lambda x: x.flip([]))
case("flip empty", [(0, 3)], lambda x: x.flip(0, 1))
case("roll", [(3, 5)], lambda x: x.roll((1, -2), (0, 1)))
case("roll far", [(3, 5)], lambda x: x.roll(12, -1))
case("roll flat", [(3, 5)], lambda x: x.roll(-4))
case("roll twice", [(3, 5)], lambda x: x.roll((1, 1), (0, 0)))


def pad(x, pads, mode):  # PyTorch pads with a mode behind two dimensions of batch and channels only
    lead = 2 + len(pads) // 2 - x.dim()
    return F.pad(x.reshape((1,) * lead + x.shape), pads, mode).reshape(pad_shape(x, pads))


def pad_shape(x, pads):
    shape = list(x.shape)
    for i, p in enumerate(pads):
        shape[-1 - i // 2] += p
    return shape


case("pad", [(2, 3)], lambda x: F.pad(x, (1, 2)))
case("pad value", [(2, 3)], lambda x: F.pad(x, (0, 1, 2, 0), value=-1.5))
case("pad cut", [(4, 5)], lambda x: F.pad(x, (-1, 2, -1, -2)))
case("pad empty", [(0, 2)], lambda x: F.pad(x, (0, 0, 1, 1)))
for mode in ["reflect", "replicate", "circular"]:
    one, cut, image = {"reflect": ((2, 5), (2, 5), (2, 3, 4)), "replicate": ((2, 3), (2, 3), (1, 2, 3)),
                       "circular": ((2, 3), (2, 3), (1, 3, 4))}[mode]
    pads = {"reflect": ((4, 2), (3, -1), (1, 3, 2, 0)), "replicate": ((4, 1), (2, -2), (1, 2, 3, 0)),
            "circular": ((3, 1), (2, -1), (1, 4, 2, 3))}[mode]
    for name, shape, p in [("", one, pads[0]), (" cut", cut, pads[1]), (" image", image, pads[2])]:
        case("pad " + mode + name, [shape], lambda x, p=p, m=mode: pad(x, p, m))


def overlap_add(windows, length, step):  # [n, ..., size] -> [length, ...]
    n, size = windows.shape[0], windows.shape[-1]
    inner = windows.shape[1:-1]
    rows = windows.reshape(n, -1, size).permute(1, 2, 0)  # [rows, size, n]
    return F.fold(rows, (1, length), (1, size), stride=(1, step)).reshape(-1, length).T.reshape((length,) + inner)


def images(x):  # [..., height, width, channels] -> PyTorch's
    return x.movedim(-1, -3)


def patches(x):  # [..., patches, channels] <-> PyTorch's
    return x.transpose(-1, -2)


case("fold", [(4, 3)], lambda x: overlap_add(x, 9, 2))
case("fold gaps", [(3, 2)], lambda x: overlap_add(x, 9, 3))
case("fold channels", [(5, 2, 4)], lambda x: overlap_add(x, 8, 1))
o = dict(kernel_size=(3, 2), dilation=(1, 2), padding=(2, 1), stride=(2, 1))
case("unfold 2d", [(2, 4, 5, 3)], lambda x: patches(F.unfold(images(x), (2, 3))))
case("unfold 2d all", [(1, 6, 7, 2)], lambda x: patches(F.unfold(images(x), **o)))
case("unfold 2d one image", [(4, 4, 2)], lambda x: patches(F.unfold(images(x), 2, stride=2)))
case("fold 2d", [(2, 9, 18)], lambda x: F.fold(patches(x), (4, 5), (2, 3)).movedim(1, -1))
case("fold 2d all", [(1, 28, 12)], lambda x: F.fold(patches(x), (6, 7), **o).movedim(1, -1))
case("fold 2d one image", [(4, 8)], lambda x: F.fold(patches(x), (4, 4), 2, stride=2).movedim(0, -1))

case("diag", [(3,)], lambda x: torch.diag(x, -1))
case("diag of a matrix", [(3, 4)], lambda x: torch.diag(x, 2))
case("diag outside", [(3, 4)], lambda x: torch.diag(x, 4))
case("diag_embed", [(2, 3)], lambda x: torch.diag_embed(x))
case("diag_embed above", [(2, 3)], lambda x: torch.diag_embed(x, 2, 0, 2))
case("diag_embed below", [(2, 3)], lambda x: torch.diag_embed(x, -1, 2, 1))
for k in [0, 1, -2]:
    case(f"tril {k}", [(2, 3, 4)], lambda x, k=k: x.tril(k))
    case(f"triu {k}", [(4, 3)], lambda x, k=k: x.triu(k))

case("arange", [(5,)], lambda x: x * torch.arange(5))
case("arange step", [(4,)], lambda x: x * torch.arange(2, 9, 2))
case("arange down", [(4,)], lambda x: x * torch.arange(1, -0.5, -0.4))
case("linspace", [(7,)], lambda x: x * torch.linspace(-1, 2.5, 7))
case("linspace one", [(1,)], lambda x: x * torch.linspace(3, 5, 1))
case("linspace down", [(6,)], lambda x: x * torch.linspace(1, -0.1, 6))
case("logspace", [(4,)], lambda x: x * torch.logspace(-1, 2, 4))
case("logspace base", [(5,)], lambda x: x * torch.logspace(0, 3, 5, 2))
case("logspace down", [(3,)], lambda x: x * torch.logspace(2, -2, 3, 3))
case("eye", [(3, 3)], lambda x: x * torch.eye(3))
case("eye wide", [(2, 4)], lambda x: x + torch.eye(2, 4))
case("eye high", [(4, 2)], lambda x: x + torch.eye(4, 2))

case("reshape to 0-d", [(1, 1)], lambda x: x.reshape(()))
case("reshape of another order", [(3, 4)], lambda x: x.T.reshape(2, 6))
case("flatten 0-d", [()], torch.flatten)
case("flatten middle", [(2, 3, 2, 2)], lambda x: x.permute(3, 1, 2, 0).flatten(1, -2))
case("permute four", [(2, 1, 3, 2)], lambda x: x.permute(-1, 2, 0, 1))
case("permute empty", [(0, 3)], lambda x: x.permute(1, 0))
case("transpose itself", [(2, 3)], lambda x: x.transpose(1, 1))
case("transpose twice", [(2, 3, 4)], lambda x: x.transpose(0, 1).transpose(1, 2))
case("unsqueeze 0-d", [()], lambda x: x.unsqueeze(0))
case("unsqueeze first", [(2, 3)], lambda x: x.unsqueeze(0))
case("expand 0-d", [()], lambda x: x.expand(2, 3))
case("expand middle", [(2, 1, 3)], lambda x: x.expand(2, 4, 3) * spread((2, 4, 3), -1, 1, 2))
case("slice nothing", [(5, 2)], lambda x: x[3:3])
case("slice last", [(3, 7)], lambda x: x[:, -6:7:3])
case("narrow nothing", [(5, 2)], lambda x: x.narrow(0, 2, 0))
case("narrow of another order", [(3, 5)], lambda x: x.T.narrow(0, 1, 3))
case("select to 0-d", [(4,)], lambda x: x.select(0, 2))
case("select middle", [(2, 3, 4)], lambda x: x.select(1, -1))


def weighted(parts):
    return sum(part.sum() * (i + 1) for i, part in enumerate(parts))


case("split even", [(7, 2)], lambda x: weighted(x.split(3)))
case("split last", [(2, 5)], lambda x: weighted(x.split(2, -1)))
case("chunk uneven", [(7, 2)], lambda x: weighted(x.chunk(3)))
case("chunk last", [(2, 3)], lambda x: weighted(x.chunk(5, -1)))
case("cat one", [(2, 3)], lambda x: torch.cat([x]))
case("cat of another order", [(2, 3), (3, 2)], lambda a, b: torch.cat([a.T, b]))
case("stack 0-d", [(), ()], lambda a, b: torch.stack([a, b, a]))
case("stack last", [(2, 3), (2, 3)], lambda a, b: torch.stack([b, a], -1))
case("contiguous already", [(2, 3)], lambda x: x.contiguous() * 2)
case("contiguous of repeats", [(3, 1)], lambda x: x.expand(3, 4).contiguous())
case("clone 0-d", [()], torch.clone)
case("clone of another order", [(2, 3)], lambda x: x.T.clone() * 2)
for name, dtype in [("f32", torch.float32), ("bf16", torch.bfloat16), ("f16", torch.float16)]:
    case("cast " + name, [(3, 4)], lambda x, t=dtype: x.to(t).to(torch.float64))
