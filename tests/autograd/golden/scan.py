import torch

from golden import case, with_zeros

for dim in [0, 1, -1]:
    case(f"cumsum {dim}", [(2, 3, 4)], lambda x, d=dim: x.cumsum(d))
    case(f"cumprod {dim}", [(2, 3, 4)], lambda x, d=dim: x.cumprod(d))
    case(f"cummax {dim}", [(2, 3, 4)], lambda x, d=dim: x.cummax(d)[0])
    case(f"cummin {dim}", [(2, 3, 4)], lambda x, d=dim: x.cummin(d)[0])
    case(f"cummax places {dim}", [(2, 3, 4)], lambda x, d=dim: x * (x.cummax(d)[1] + 1.0))
    case(f"cummin places {dim}", [(2, 3, 4)], lambda x, d=dim: x * (x.cummin(d)[1] + 1.0))
    case(f"logcumsumexp {dim}", [(2, 3, 4)], lambda x, d=dim: x.logcumsumexp(d))
    for zeros in [1, 2]:
        case(f"cumprod {dim} zeros {zeros}", [(2, 3, 4)], lambda x, d=dim, z=zeros: with_zeros(x, z, 5).cumprod(d))
case("cumsum long", [(40,)], lambda x: x.cumsum(0))
case("cumprod long", [(20,)], lambda x: x.cumprod(0), 0.5, 1.6)
case("logcumsumexp far", [(20,)], lambda x: (x * 20).logcumsumexp(0))
case("cummax of ties", [(3, 4)], lambda x: torch.cat([x, x * 1, x], 1).cummax(1)[0])
case("scans 0-d", [()],
     lambda x: x.cumsum(0) + x.cumprod(-1) * 2 + x.cummax(0)[0] + x.cummin(0)[0] + x.logcumsumexp(0))
case("cumsum empty", [(0, 3)], lambda x: x.cumsum(0))
case("cumprod empty", [(3, 0)], lambda x: x.cumprod(1))
