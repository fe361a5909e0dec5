import torch

from golden import case

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
