import torch
import torch.nn.functional as F

from golden import case

for dim in [0, 1, -1]:
    case(f"softmax {dim}", [(2, 3, 4)], lambda x, d=dim: torch.softmax(x, d))
    case(f"log_softmax {dim}", [(2, 3, 4)], lambda x, d=dim: torch.log_softmax(x, d))
    case(f"logsumexp {dim}", [(2, 3, 4)], lambda x, d=dim: torch.logsumexp(x, d, d == 1))
for r in ["none", "mean", "sum"]:
    target = torch.tensor([[0, 4, 2], [2, -1, 1]])
    case("cross_entropy " + r, [(2, 3, 5)],
         lambda x, r=r: F.cross_entropy(x.transpose(1, 2), target, ignore_index=-1, reduction=r))
    case("mse_loss " + r, [(2, 3), (2, 3)], lambda a, b, r=r: F.mse_loss(a, b, reduction=r))
