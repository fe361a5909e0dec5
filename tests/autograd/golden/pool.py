import torch.nn.functional as F

from golden import case


def pool(name, shape, fn, *k, **o):
    case(name, [shape], lambda x: fn(x.movedim(-1, 1), *k, **o).movedim(1, -1))


pool("max_pool1d plain", (2, 7, 2), F.max_pool1d, 2)
pool("max_pool1d stride", (1, 8, 3), F.max_pool1d, 3, stride=2)
pool("max_pool1d one", (1, 3, 2), F.max_pool1d, 1)
pool("max_pool1d ceil", (2, 6, 2), F.max_pool1d, 3, stride=2, padding=1, ceil_mode=True)
pool("max_pool1d dilation", (1, 9, 2), F.max_pool1d, 3, stride=1, padding=1, dilation=2)
pool("max_pool2d plain", (1, 4, 5, 2), F.max_pool2d, 2)
pool("max_pool2d stride", (2, 5, 5, 1), F.max_pool2d, (3, 2), stride=(1, 2))
pool("max_pool2d ceil", (1, 5, 6, 2), F.max_pool2d, (2, 3), stride=(2, 2), padding=(1, 1), ceil_mode=True)
pool("max_pool2d dilation", (1, 6, 5, 2), F.max_pool2d, (2, 3), stride=1, padding=(1, 1), dilation=(3, 2))
pool("max_pool2d values of both", (1, 5, 4, 2), F.max_pool2d, 3, stride=2, padding=1)

pool("avg_pool1d plain", (2, 7, 2), F.avg_pool1d, 2)
pool("avg_pool1d stride", (1, 8, 3), F.avg_pool1d, 3, stride=2)
pool("avg_pool1d ceil", (2, 6, 2), F.avg_pool1d, 3, stride=2, padding=1, ceil_mode=True)
pool("avg_pool1d without padding", (2, 6, 2), F.avg_pool1d, 4, stride=3, padding=2, ceil_mode=True,
     count_include_pad=False)
pool("avg_pool2d plain", (1, 4, 5, 2), F.avg_pool2d, 2)
pool("avg_pool2d stride", (2, 5, 5, 1), F.avg_pool2d, (3, 2), stride=(1, 2))
pool("avg_pool2d ceil", (1, 5, 6, 2), F.avg_pool2d, (2, 3), stride=(2, 2), padding=(1, 1), ceil_mode=True)
pool("avg_pool2d without padding", (1, 4, 4, 2), F.avg_pool2d, 3, stride=(2, 1), padding=1, ceil_mode=True,
     count_include_pad=False)
pool("avg_pool2d divisor", (1, 4, 4, 2), F.avg_pool2d, (2, 3), padding=(1, 1), divisor_override=5)

for n in [1, 3, 5, 8]:
    pool(f"adaptive_max_pool1d {n}", (2, 5, 2), F.adaptive_max_pool1d, n)
    pool(f"adaptive_avg_pool1d {n}", (2, 5, 2), F.adaptive_avg_pool1d, n)
    pool(f"adaptive_max_pool2d {n}", (1, 5, 7, 2), F.adaptive_max_pool2d, (2, n))
    pool(f"adaptive_avg_pool2d {n}", (1, 5, 7, 2), F.adaptive_avg_pool2d, (n, 3))


def placed(fn, *args, **o):
    def f(x):
        y, at = fn(x, *args, **o, return_indices=True)
        return y * (at + 1.0)
    return f


for k in [1, 2, 3]:
    pool(f"max_pool1d_with_indices {k}", (2, 7, 2), placed(F.max_pool1d, k, 2, k // 2, ceil_mode=True))
    pool(f"max_pool2d_with_indices {k}", (1, 5, 6, 2), placed(F.max_pool2d, k, (2, 1), k // 2))
    pool(f"adaptive_max_pool1d_with_indices {k}", (2, 5, 2), placed(F.adaptive_max_pool1d, k))
    pool(f"adaptive_max_pool2d_with_indices {k}", (1, 5, 7, 2), placed(F.adaptive_max_pool2d, (2, k)))
