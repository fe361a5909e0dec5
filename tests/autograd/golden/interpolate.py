import torch
import torch.nn.functional as F

from golden import case


def resize(name, shape, **o):
    o["mode"] = o.get("mode", "nearest")
    case("interpolate " + name, [shape], lambda x: F.interpolate(x.movedim(-1, 1), **o).movedim(1, -1))


for n in [1, 3, 5, 8, 10]:
    resize(f"nearest {n}", (2, 5, 2), size=n)
    resize(f"nearest_exact {n}", (2, 5, 2), size=n, mode="nearest-exact")
    resize(f"linear {n}", (2, 5, 2), size=n, mode="linear")
    resize(f"linear corners {n}", (2, 5, 2), size=n, mode="linear", align_corners=True)
    resize(f"area {n}", (2, 5, 2), size=n, mode="area")
for f in [0.6, 1.7, 2.0, 3.0]:
    by = f" by {int(f * 10)}"
    resize("nearest" + by, (1, 5, 2), scale_factor=f)
    resize("nearest_exact" + by, (1, 5, 2), scale_factor=f, mode="nearest-exact")
    resize("linear" + by, (1, 5, 2), scale_factor=f, mode="linear")
    resize("bilinear" + by, (1, 3, 4, 2), scale_factor=(f, 1.5), mode="bilinear")
    resize("area" + by, (1, 3, 4, 2), scale_factor=f, mode="area")
resize("nearest image", (1, 3, 4, 2), size=(5, 2))
resize("nearest_exact image", (1, 3, 4, 2), size=(2, 7), mode="nearest-exact")
resize("bilinear image", (1, 3, 4, 2), size=(5, 2), mode="bilinear")
resize("bilinear corners", (2, 3, 2, 1), size=(2, 5), mode="bilinear", align_corners=True)
resize("area image", (1, 3, 4, 2), size=(2, 3), mode="area")

for name, shape, fn, r in [("pixel_shuffle 2d", (1, 2, 3, 8), F.pixel_shuffle, 2),
                           ("pixel_shuffle 2d 3", (2, 2, 1, 9), F.pixel_shuffle, 3),
                           ("pixel_unshuffle 2d 3", (2, 3, 6, 1), F.pixel_unshuffle, 3),
                           ("pixel_unshuffle 2d", (1, 4, 6, 2), F.pixel_unshuffle, 2)]:
    case(name, [shape], lambda x, fn=fn, r=r: fn(x.movedim(-1, 1), r).movedim(1, -1))
# PyTorch has none for sequences; the same order of channels.
case("pixel_shuffle 1d", [(2, 2, 6)], lambda x: x.reshape(2, 2, 2, 3).transpose(2, 3).reshape(2, 6, 2))
case("pixel_unshuffle 1d", [(2, 6, 2)], lambda x: x.reshape(2, 2, 3, 2).transpose(2, 3).reshape(2, 2, 6))
