import torch

from golden import case

f64 = torch.tensor


def weighted(y):
    return y[0] * (y[1] + 1.0)


for dim in [0, 1, -1]:
    for down in [False, True]:
        tail = f" {dim} " + ("down" if down else "up")
        case("sort" + tail, [(2, 3, 4)], lambda x, d=dim, r=down: x.sort(d, r)[0])
        case("sort places" + tail, [(2, 3, 4)], lambda x, d=dim, r=down: x * (x.sort(d, r)[1] + 1.0))
        case("argsort" + tail, [(2, 3, 4)], lambda x, d=dim, r=down: x * (x.argsort(d, r) + 1.0))
        case("topk" + tail, [(2, 3, 4)], lambda x, d=dim, r=down: weighted(x.topk(2, d, r)))
case("topk of all", [(7,)], lambda x: x.topk(7)[0])
case("topk of none", [(3, 4)], lambda x: x.topk(0, 0)[0])
case("sort 0-d", [()], lambda x: x.sort()[0] + x.topk(1)[0])
case("sort empty", [(0, 3)], lambda x: x.sort(0)[0])
for n in [1, 6, 7]:
    case(f"median of {n}", [(n,)], torch.median)
for dim in [0, 1, -1]:
    case(f"median {dim}", [(2, 3, 4)], lambda x, d=dim: weighted(x.median(d, d == 1)))
for dim in [0, 1, -1]:
    case(f"kthvalue {dim}", [(2, 3, 4)], lambda x, d=dim: weighted(x.kthvalue(2, d, d == 1)))
mixed = f64([[0.5, -1, 0, 0.1], [0.9, -0.5, -0.2, 0.1]])
case("searchsorted sorter", [(2, 3)],
     lambda x: x * (torch.searchsorted(mixed, x.detach(), sorter=mixed.argsort()) + 1.0))
for mode in ["linear", "lower", "higher", "midpoint", "nearest"]:
    case("quantile " + mode, [(2, 3, 4)], lambda x, m=mode: torch.quantile(x, 0.3, interpolation=m))
    case("quantile list " + mode, [(7, 4)],
         lambda x, m=mode: torch.quantile(x, f64([0.0, 0.25, 0.45, 0.9, 1.0]), 0, True, interpolation=m))
    case("quantile last " + mode, [(2, 3, 4)], lambda x, m=mode: torch.quantile(x, 0.5, -1, interpolation=m))
case("quantile of ties", [(3, 4)], lambda x: torch.quantile(torch.cat([x, x], 1), f64([0.2, 0.6]), 1))
rows = f64([[-1, 0, 0, 0.5], [-0.5, -0.2, 0.1, 0.9]])
for right in [False, True]:
    tail = " right" if right else " left"
    case("searchsorted" + tail, [(2, 3)],
         lambda x, r=right: x * (torch.searchsorted(rows, x.detach(), right=r) + 1.0))
    case("bucketize" + tail, [(2, 3, 4)],
         lambda x, r=right: x * (torch.bucketize(x.detach(), f64([-0.5, 0, 0, 0.5]), right=r) + 1.0))
    case("searchsorted equal" + tail, [(4,)],
         lambda x, r=right: x * (torch.searchsorted(f64([1.0, 2, 2, 3]), f64([1.0, 2, 3, 4]), right=r) + 1.0))
case("bincount", [(5,)],
     lambda x: x * torch.bincount(torch.tensor([1, 4, 1, 0, 4, 4]))
     + x * torch.bincount(torch.tensor([1, 0, 1, 0]), f64([0.5, 0.25, 2, -1]), 5))
case("histc", [(20,)],
     lambda x: torch.histc(x.detach(), 5) * x.sum() + torch.histc(x.detach(), 5, -0.5, 0.75) * x.sum())
