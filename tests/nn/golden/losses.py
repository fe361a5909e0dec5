import warnings

import torch
from torch import nn

from layer_case import case, spread

warnings.filterwarnings("ignore", "reduction: 'mean' divides")  # KLDivLoss's, which is what is compared
X, ROWS = (2, 3, 4), (2, 3)
CODES = torch.tensor([[0, 3, 1], [2, 2, 0]])
SIGNS = torch.tensor([[1.0, -1, 1], [-1, -1, 1]])
W4 = [0.5, 2, 1, 0.25]
REDUCTIONS = ["mean", "sum", "none"]


def constant(shape, low=-1, high=1):
    return spread(shape, low, high, 2)


def classes_first(m, x, *more):
    return m(x.movedim(-1, 1), *more)


def each(type_, module, *inputs, fn=None, options=({},)):
    for given in options:
        for reduction in REDUCTIONS:
            torchs = {k: torch.tensor(v) if isinstance(v, list) else v for k, v in given.items()}
            case(f"{type_} {given} {reduction}", {"type": type_, **given, "reduction": reduction},
                 module(**torchs, reduction=reduction), *inputs, fn=fn)


each("CrossEntropyLoss", nn.CrossEntropyLoss, X, CODES, fn=classes_first,
     options=[{}, {"weight": W4, "ignore_index": 2, "label_smoothing": 0.125}])
soft = constant(X, 0.1, 1)
soft = soft / soft.sum(-1, keepdim=True)
case("CrossEntropyLoss of probabilities", {"type": "CrossEntropyLoss"}, nn.CrossEntropyLoss(), X, soft,
     fn=lambda m, x, t: m(x.movedim(-1, 1), t.movedim(-1, 1)))
each("NLLLoss", nn.NLLLoss, X, CODES, fn=classes_first, options=[{}, {"weight": W4, "ignore_index": 1}])
for name in ["MSELoss", "L1Loss"]:
    each(name, getattr(nn, name), X, (X, -0.9, 0.8))
each("SmoothL1Loss", nn.SmoothL1Loss, X, (X, -0.9, 0.8), options=[{}, {"beta": 0.3}])
each("HuberLoss", nn.HuberLoss, X, (X, -0.9, 0.8), options=[{}, {"delta": 0.3}])
each("BCELoss", nn.BCELoss, (X, 0.05, 0.95), constant(X, 0, 1), options=[{}, {"weight": W4}])
each("BCEWithLogitsLoss", nn.BCEWithLogitsLoss, (X, -3, 3), constant(X, 0, 1),
     options=[{}, {"weight": W4, "pos_weight": [2, 0.5, 1, 3.0]}])
each("KLDivLoss", nn.KLDivLoss, X, constant(X, 0.1, 1), options=[{}, {"log_target": True}])
case("KLDivLoss batchmean", {"type": "KLDivLoss", "reduction": "batchmean"}, nn.KLDivLoss(reduction="batchmean"), X,
     constant(X, 0.1, 1))
each("GaussianNLLLoss", nn.GaussianNLLLoss, X, (X, -0.9, 0.8), (X, 0.3, 2), options=[{}, {"full": True, "eps": 0.125}])
each("PoissonNLLLoss", nn.PoissonNLLLoss, (X, 0.2, 3), constant(X, 0, 9),
     options=[{}, {"log_input": False}, {"full": True, "eps": 0.25, "log_input": False}])
each("SoftMarginLoss", nn.SoftMarginLoss, ROWS, SIGNS)
each("HingeEmbeddingLoss", nn.HingeEmbeddingLoss, ROWS, SIGNS, options=[{}, {"margin": 0.25}])
each("MarginRankingLoss", nn.MarginRankingLoss, ROWS, (ROWS, -0.9, 0.8), SIGNS, options=[{}, {"margin": 0.25}])


def rows_of(shape):  # PyTorch's takes matrices alone
    def fn(m, x, target):
        y = m(x.reshape(-1, 4), target.reshape(shape))
        return y.reshape(ROWS) if m.reduction == "none" else y
    return fn


each("MultiMarginLoss", nn.MultiMarginLoss, X, CODES, fn=rows_of((-1,)),
     options=[{}, {"p": 2, "margin": 0.5, "weight": W4}])
LABELS = torch.tensor([[[3, 1, -1, 0], [-1, 0, 1, 2], [0, 1, 2, 3]], [[2, -1, -1, -1], [1, 0, -1, 2], [3, 2, 1, -1]]])
each("MultiLabelMarginLoss", nn.MultiLabelMarginLoss, X, LABELS, fn=rows_of((-1, 4)))
each("MultiLabelSoftMarginLoss", nn.MultiLabelSoftMarginLoss, X, (constant(X) > 0).double(), fn=rows_of((-1, 4)),
     options=[{}, {"weight": W4}])
each("CosineEmbeddingLoss", nn.CosineEmbeddingLoss, (3, 4), ((3, 4), -0.9, 0.8), torch.tensor([1.0, -1, -1]),
     options=[{}, {"margin": -0.5}])
each("TripletMarginLoss", nn.TripletMarginLoss, (3, 4), ((3, 4), -0.9, 0.8), ((3, 4), -0.5, 1),
     options=[{}, {"margin": 2, "p": 1.5, "eps": 0.01, "swap": True}])


for options in [{}, {"blank": 2, "zero_infinity": True}]:
    for reduction in REDUCTIONS:
        # Constants: the gradient of PyTorch's (and ours) is right through a softmax alone.
        labels = torch.tensor([[1, 1, 3], [3, 0, 1]]) if options else torch.tensor([[1, 1, 3], [3, 2, 1]])
        case(f"CTCLoss {options} {reduction}", {"type": "CTCLoss", **options, "reduction": reduction},
             nn.CTCLoss(**options, reduction=reduction), spread((2, 6, 4), -1, 1).log_softmax(-1), labels,
             torch.tensor([6, 5]), torch.tensor([3, 2]), fn=lambda m, x, *more: m(x.movedim(0, 1), *more))


# ---- not in PyTorch: the formulas
class Mixture(nn.Module):
    def __init__(self, reduction, classes=None, low=-32.23619130191664):
        super().__init__()
        self.reduction, self.classes, self.low = reduction, classes, low

    def forward(self, x, y):
        k = x.shape[-1] // 3
        logits, means, scales = x[..., :k], x[..., k:2 * k], x[..., 2 * k:].clamp(min=self.low)
        z = y[..., None] - means
        if self.classes is None:
            part = -0.5 * (z / scales.exp())**2 - scales - 0.5 * torch.log(torch.tensor(2 * torch.pi))
        else:
            half = 1 / (self.classes - 1)
            upper, lower = torch.sigmoid((z + half) / scales.exp()), torch.sigmoid((z - half) / scales.exp())
            upper = torch.where(y[..., None] > 0.999, torch.ones_like(upper), upper)
            lower = torch.where(y[..., None] < -0.999, torch.zeros_like(lower), lower)
            part = (upper - lower).log()
        each_ = -torch.logsumexp(logits.log_softmax(-1) + part, -1)
        return {"none": each_, "mean": each_.mean(), "sum": each_.sum()}[self.reduction]


for reduction in REDUCTIONS:
    case(f"MixGaussianLoss {reduction}", {"type": "MixGaussianLoss", "reduction": reduction}, Mixture(reduction),
         (2, 3, 6), ROWS)
    case(f"DiscretizedMixLogisticLoss {reduction}",
         {"type": "DiscretizedMixLogisticLoss", "reduction": reduction, "classes": 16}, Mixture(reduction, 16),
         (2, 3, 6), constant(ROWS))
case("MixGaussianLoss of narrow components", {"type": "MixGaussianLoss", "log_scale_min": 0.25},
     Mixture("mean", low=0.25), (2, 3, 6), ROWS)
