import torch
import torch.nn.functional as F

from golden import binary, case, unary, with_zeros

unary("exp2", torch.exp2)
for dim in [0, 1, -1]:
    case(f"softmin {dim}", [(2, 3, 4)], lambda x, d=dim: F.softmin(x, d))
unary("logit", torch.logit, 0.3, 0.7)
unary("logit eps", lambda x: torch.logit(x, 0.3), 0.1, 0.9)
unary("threshold", lambda x: F.threshold(x, 0.2, -3))
binary("xlogy", torch.xlogy, 0.2, 2)
case("xlogy of 0", [(2, 3), (2, 3)], lambda a, b: torch.xlogy(with_zeros(a, 1, 3), b + 2))
case("glu", [(2, 6)], F.glu)
case("glu middle", [(2, 4, 3)], lambda x: F.glu(x, 1))
case("glu empty", [(0, 2)], F.glu)
for n in [0, 1, 2, 5]:
    case(f"diff {n}", [(2, 5)], lambda x, n=n: torch.diff(x, n))
    case(f"diff first {n}", [(4, 2, 3)], lambda x, n=n: torch.diff(x, n, 0))
case("trace", [(3, 3)], torch.trace)
case("trace wide", [(2, 4)], torch.trace)
# Square: PyTorch 1.13 gives a tall matrix a gradient beside its diagonal.
case("trace of another order", [(3, 3)], lambda x: torch.trace(x.T * x))
case("tensordot", [(2, 3, 4), (3, 4, 2)], torch.tensordot)
case("tensordot none", [(2, 3), (2,)], lambda a, b: torch.tensordot(a, b, 0))
case("tensordot lists", [(2, 3, 4), (4, 5, 2)], lambda a, b: torch.tensordot(a, b, ([0, -1], [2, 0])))
case("tensordot empty", [(2, 0), (0, 3)], lambda a, b: torch.tensordot(a, b, 1))
for n in [1, 6, 7]:
    case(f"fftfreq {n}", [(n,)], lambda x, n=n: x * torch.fft.fftfreq(n, 0.25))
    case(f"rfftfreq {n}", [(n // 2 + 1,)], lambda x, n=n: x * torch.fft.rfftfreq(n, 0.25))
case("isclose", [(2, 5), (2, 5)], lambda a, b: a * (torch.isclose(a, b, 0.5, 0.1) + 1.0) + b)
