import torch

from golden import case, spread, with_zeros

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

for zeros in [0, 1, 2]:
    tail = f" {zeros} zeros" if zeros else ""
    if zeros < 2:
        case("prod" + tail, [(2, 3)], lambda x, z=zeros: with_zeros(x, z, 6).prod())
    for dim in [0, 1, -1]:
        case(f"prod {dim}" + tail, [(2, 3, 4)], lambda x, z=zeros, d=dim: with_zeros(x, z, 7).prod(d, d == 1))
case("prod 0-d", [()], lambda x: x.prod(-1) + x.prod())
case("prod empty", [(0, 3)], lambda x: x.prod(0))
case("max", [(2, 3, 4)], torch.max)
case("min", [(2, 3, 4)], torch.min)
case("max of ties", [(2, 3)], lambda x: torch.max(torch.cat([x, x * 1]) * spread((4, 1), 1, 1.001)))
for dim in [0, 1, -1]:
    for name in ["max", "min"]:
        case(f"{name} {dim}", [(2, 3, 4)], lambda x, f=getattr(torch, name), d=dim: f(x, d, d == 1)[0])
        case(f"arg{name} {dim}", [(2, 3, 4)],
             lambda x, f=getattr(torch, "arg" + name), d=dim: x.sum(d) * (f(x, d) + 1.0))
case("max 0-d", [()], lambda x: torch.max(x, 0)[0] + torch.min(x, -1)[0])
case("argmax all", [(2, 3, 4)], lambda x: x.sum() * x.argmax() + x.sum() * x.argmin())


def norm(x, p, dims, keep):
    y = torch.norm(x, p, dims or (0, 1, 2), keep)
    return y if p else y + 0 * x.sum()  # PyTorch gives no gradient at all there


for p, name in [(0, "0"), (0.5, "0.5"), (1, "1"), (1.5, "1.5"), (2, "2"), (3, "3"), (-1, "-1"),
                (float("inf"), "inf"), (-float("inf"), "-inf")]:
    for dims in [(), (1,), (0, -1)]:
        case(f"norm {name} over" + "".join(f" {d}" for d in dims), [(2, 3, 4)],
             lambda x, p=p, d=dims: norm(x * torch.tensor([1.0, -1, -1, 1]), p, d, len(d) == 1), 1, 4)
for p in [1, 2, 3]:
    case(f"norm of a row of zeros {p}", [(2, 3)],
         lambda x, p=p: torch.norm(x * torch.tensor([[1.0], [0.0]]), p, 1))
for dims in [(), (0,), (-1,), (0, 2)]:
    tail = "".join(f" {d}" for d in dims)
    over = dims or (0, 1, 2)
    case("std" + tail, [(2, 3, 4)], lambda x, o=over, d=dims: torch.std(x, o, True, len(d) == 1))

    def var_mean(x, o=over):
        v, m = torch.var_mean(x, o, unbiased=False)
        return v * 2 + m

    def std_mean(x, o=over):
        s, m = torch.std_mean(x, o, unbiased=True, keepdim=True)
        return s * 2 + m

    case("var_mean" + tail, [(2, 3, 4)], var_mean)
    case("std_mean" + tail, [(2, 3, 4)], std_mean)
case("std of equals", [(2, 3)], lambda x: torch.std(x * 0 + 1, 1))
for dims in [(0,), (-1,), (0, 2)]:
    tail = "".join(f" {d}" for d in dims)

    def each(f, x, dims):
        for d in sorted((d % 3 for d in dims), reverse=True):
            x = f(x, d)
        return x

    case("count_nonzero" + tail, [(2, 3, 4)],
         lambda x, d=dims: x.sum(d) * (torch.count_nonzero(x > 0, d) + 1.0))
    case("any" + tail, [(2, 3, 4)], lambda x, d=dims: x.sum(d) * (each(torch.any, x > 0, d) + 1.0))
    case("all" + tail, [(2, 3, 4)], lambda x, d=dims: x.sum(d) * (each(torch.all, x > 0, d) + 1.0))
for dims in [(), (1,), (0, 2), (-1, 1)]:
    case("logsumexp over" + "".join(f" {d}" for d in dims), [(2, 3, 4)],
         lambda x, d=dims: torch.logsumexp(x, d or (0, 1, 2), len(d) == 1))
gone = torch.tensor([0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0], dtype=torch.bool).reshape(3, 4)
for dims in [(), (1,), (0, 2)]:
    tail = f" {dims[0]}" if dims else ""
    over = dims or (0, 1, 2)
    for name in ["nansum", "nanmean"]:
        case(name + tail, [(2, 3, 4)],
             lambda x, f=getattr(torch, name), o=over, d=dims: f(x.masked_fill(gone, float("nan")), o, len(d) == 1))
    case("var correction 2" + tail, [(2, 3, 4)], lambda x, o=over: torch.var(x, o, correction=2))
case("sum_to last", [(2, 3, 4)], lambda x: x.sum_to_size(4))
case("sum_to 0-d", [(3, 2)], lambda x: x.T.sum_to_size(()))
