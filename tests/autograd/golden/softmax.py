import torch
import torch.nn.functional as F

from golden import case

for dim in [0, 1, -1]:
    case(f"softmax {dim}", [(2, 3, 4)], lambda x, d=dim: torch.softmax(x, d))
    case(f"log_softmax {dim}", [(2, 3, 4)], lambda x, d=dim: torch.log_softmax(x, d))
    case(f"logsumexp {dim}", [(2, 3, 4)], lambda x, d=dim: torch.logsumexp(x, d, d == 1))

target = torch.tensor([[0, 4, 2], [2, -1, 1]])
weight = torch.tensor([0.5, 2, 1, 0.25, 3])


def entropy(name, **options):
    case("cross_entropy" + name, [(2, 3, 5)],
         lambda x: F.cross_entropy(x.transpose(1, 2), target, ignore_index=-1, **options))


def soft(name, **options):
    case("cross_entropy soft" + name, [(2, 3, 5), (2, 3, 5)], lambda x, t: F.cross_entropy(
        x.transpose(1, 2), torch.softmax(t, -1).transpose(1, 2), **options))


for r in ["none", "mean", "sum"]:
    entropy(" " + r, reduction=r)
    entropy(" weighted " + r, reduction=r, weight=weight)
    entropy(" smoothed " + r, reduction=r, label_smoothing=0.1)
    entropy(" weighted and smoothed " + r, reduction=r, weight=weight, label_smoothing=0.3)
    soft(" " + r, reduction=r)
    soft(", weighted and smoothed " + r, reduction=r, weight=weight, label_smoothing=0.2)
    case("nll_loss " + r, [(2, 3, 5)],
         lambda x, r=r: F.nll_loss(x.transpose(1, 2), target, ignore_index=-1, reduction=r))
    case("nll_loss weighted " + r, [(2, 3, 5)],
         lambda x, r=r: F.nll_loss(x.transpose(1, 2), target, weight, ignore_index=-1, reduction=r))
