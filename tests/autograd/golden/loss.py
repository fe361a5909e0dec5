import math

import torch
import torch.nn.functional as F

from golden import case

PAIR, ROWS = (2, 3), (3, 4)
signs = torch.tensor([[1., -1, -1], [1, 1, -1]])
row_signs = torch.tensor([1., -1, 1])
row = torch.tensor([0.5, 2, 3])
pos = torch.tensor([2, 0.5, 1])
zeros = torch.tensor([[0, 0.5, 1], [0, 0.25, 2]])


def pairs(r):
    o = dict(reduction=r)

    def add(name, fn, low=-1, high=1, inputs=2):
        case(f"{name} {r}", [PAIR] * inputs, fn, low, high)

    add("mse_loss", lambda x, y: F.mse_loss(x, y, **o))
    add("l1_loss", lambda x, y: F.l1_loss(x, y, **o))
    for beta in [0., 0.3, 1.]:
        add(f"smooth_l1_loss {beta}", lambda x, y, b=beta: F.smooth_l1_loss(x, y, beta=b, **o))
    for delta in [0.3, 1.]:
        add(f"huber_loss {delta}", lambda x, y, d=delta: F.huber_loss(x, y, delta=d, **o))
    add("binary_cross_entropy", lambda x, y: F.binary_cross_entropy(x, y, **o), 0.2, 0.8)
    add("binary_cross_entropy weighted", lambda x, y: F.binary_cross_entropy(x, y, row, **o), 0.2, 0.8)
    logits = F.binary_cross_entropy_with_logits
    add("binary_cross_entropy_with_logits", lambda x, y: logits(x, y, **o), -3, 3)
    add("binary_cross_entropy_with_logits weighted", lambda x, y: logits(x, y, row, **o))
    add("binary_cross_entropy_with_logits pos_weight", lambda x, y: logits(x, y, row, pos_weight=pos, **o))
    add("kl_div", lambda x, y: F.kl_div(x, y, **o), 0.1, 2)
    add("kl_div log_target", lambda x, y: F.kl_div(x, y, log_target=True, **o))
    add("kl_div with zeros", lambda x: F.kl_div(x, zeros, **o), inputs=1)
    for full in [False, True]:
        which = " full" if full else ""
        add("gaussian_nll_loss" + which, lambda x, y, v, f=full: F.gaussian_nll_loss(x, y, v, full=f, **o), 0.5, 2, 3)
        add("poisson_nll_loss" + which, lambda x, y, f=full: F.poisson_nll_loss(x, y, full=f, **o), 0.2, 2.9)
        add("poisson_nll_loss not log" + which,
            lambda x, y, f=full: F.poisson_nll_loss(x, y, log_input=False, full=f, **o), 0.2, 2.9)
    case("gaussian_nll_loss shared var " + r, [PAIR, PAIR, (2,)], lambda x, y, v: F.gaussian_nll_loss(x, y, v, **o),
         0.5, 2)
    add("soft_margin_loss", lambda x: F.soft_margin_loss(x, signs, **o), -3, 3, 1)
    add("hinge_embedding_loss", lambda x: F.hinge_embedding_loss(x, signs, **o), -3, 3, 1)
    add("hinge_embedding_loss margin 0.3", lambda x: F.hinge_embedding_loss(x, signs, margin=0.3, **o), inputs=1)
    add("margin_ranking_loss", lambda x, y: F.margin_ranking_loss(x, y, signs, **o))
    add("margin_ranking_loss margin 0.5", lambda x, y: F.margin_ranking_loss(x, y, signs, margin=0.5, **o))


def rows(r):
    o = dict(reduction=r)
    target, weight = torch.tensor([3, 0, 2]), torch.tensor([0.5, 2, 3, 1])
    for p in [1, 2]:
        name = f"multi_margin_loss p {p}"
        case(f"{name} {r}", [ROWS], lambda x, p=p: F.multi_margin_loss(x, target, p=p, **o))
        case(f"{name} weighted {r}", [ROWS],
             lambda x, p=p: F.multi_margin_loss(x, target, p=p, margin=0.4, weight=weight, **o))
    labels = torch.tensor([3, 0, -1, 1, -1, 0, 0, 0, 2, 2, 1, 0]).reshape(ROWS)
    case(f"multilabel_margin_loss {r}", [ROWS], lambda x: F.multilabel_margin_loss(x, labels, **o))
    case(f"multilabel_soft_margin_loss {r}", [ROWS] * 2, lambda x, y: F.multilabel_soft_margin_loss(x, y, **o))
    case(f"multilabel_soft_margin_loss weighted {r}", [ROWS] * 2,
         lambda x, y: F.multilabel_soft_margin_loss(x, y, weight, **o))
    for margin, name in [(0, "0.00"), (-0.5, "-0.5")]:
        case(f"cosine_embedding_loss margin {name} {r}", [ROWS] * 2,
             lambda x, y, m=margin: F.cosine_embedding_loss(x, y, row_signs, margin=m, **o))
    for p, name in [(1, "1.0"), (2, "2.0"), (3, "3.0"), (math.inf, "inf")]:
        for swap in [False, True]:
            case(f"triplet_margin_loss p {name}{' swap' if swap else ''} {r}", [ROWS] * 3,
                 lambda a, b, c, p=p, s=swap: F.triplet_margin_loss(a.exp(), b, (-c).exp(), margin=0.5, p=p, swap=s,
                                                                    **o))


def ctc(r):
    def loss(x, targets, steps, labels, **o):  # [N, T, C] to [T, N, C]
        x = torch.log_softmax(x, -1)
        return F.ctc_loss(x.transpose(0, 1) if x.dim() == 3 else x, torch.tensor(targets), torch.tensor(steps),
                          torch.tensor(labels), reduction=r, **o)

    case(f"ctc_loss {r}", [(3, 6, 4)],
         lambda x: loss(x, [[1, 2, 2], [3, 1, 0], [2, 0, 0]], [6, 5, 3], [3, 2, 1]))
    case(f"ctc_loss packed {r}", [(3, 6, 4)], lambda x: loss(x, [1, 2, 2, 3, 1, 2], [6, 5, 3], [3, 2, 1]))
    case(f"ctc_loss blank 3, no labels {r}", [(2, 4, 4)],
         lambda x: loss(x, [[0, 1], [2, 2]], [4, 4], [2, 0], blank=3), -3, 3)
    case(f"ctc_loss zero_infinity {r}", [(2, 3, 4)],
         lambda x: loss(x, [[1, 1, 2], [1, 2, 0]], [3, 3], [3, 2], zero_infinity=True))
    case(f"ctc_loss one recording {r}", [(5, 4)], lambda x: loss(x, [3, 3], 5, 2))


def reduced(loss, r):
    return loss if r == "none" else loss.mean() if r == "mean" else loss.sum()


def logistic(x, y, classes, floor, r):
    """Sigmoids subtracted: the definition, which f64 bears at these sizes."""
    logits, mean, scale = x.chunk(3, -1)
    s, c, half = torch.exp(-scale.clamp(min=floor)), y.unsqueeze(-1) - mean, 1 / (classes - 1)
    above = torch.where(y.unsqueeze(-1) > 1 - half, torch.ones_like(c), torch.sigmoid(s * (c + half)))
    below = torch.where(y.unsqueeze(-1) < half - 1, torch.zeros_like(c), torch.sigmoid(s * (c - half)))
    return reduced(-torch.logsumexp(torch.log_softmax(logits, -1) + torch.log(above - below), -1), r)


def gaussian(x, y, floor, r):
    logits, mean, scale = x.chunk(3, -1)
    d = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=logits),
        torch.distributions.Normal(mean, torch.exp(scale.clamp(min=floor))))
    return reduced(-d.log_prob(y), r)


def mixtures(r):
    for classes in [16, 256]:
        case(f"discretized_mix_logistic_loss {classes} {r}", [(2, 3, 12), (2, 3)],
             lambda x, y, c=classes: logistic(x, y, c, -7, r), -0.9, 0.9)
    edges = torch.tensor([[-1, 1, 0.2], [-0.5, 1, -1]])
    case(f"discretized_mix_logistic_loss edges and floor {r}", [(2, 3, 6)],
         lambda x: logistic(x, edges, 16, -0.05, r), -0.9, 0.9)
    case(f"discretized_mix_logistic_loss one component {r}", [(5, 3), (5,)],
         lambda x, y: logistic(x, y, 64, -7, r), -0.9, 0.9)
    case(f"mix_gaussian_loss {r}", [(2, 3, 12), (2, 3)], lambda x, y: gaussian(x, y, -7, r))
    case(f"mix_gaussian_loss floor {r}", [(2, 6), (2,)], lambda x, y: gaussian(x, y, -0.05, r))
    case(f"mix_gaussian_loss one component {r}", [(3,), ()], lambda x, y: gaussian(x, y, -7, r))


for r in ["none", "mean", "sum"]:
    pairs(r), rows(r), ctc(r), mixtures(r)
case("kl_div batchmean", [PAIR] * 2, lambda x, y: F.kl_div(x, y, reduction="batchmean"), 0.1, 2)
case("kl_div log_target batchmean", [PAIR] * 2, lambda x, y: F.kl_div(x, y, reduction="batchmean", log_target=True))
