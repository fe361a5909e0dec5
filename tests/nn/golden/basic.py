import torch
from torch import nn

from layer_case import case


def codes(*rows):
    return torch.tensor(rows)


def linear(i, o, bias=True):
    return {"type": "Linear", "in_features": i, "out_features": o, "bias": bias}


case("linear", linear(3, 4), nn.Linear(3, 4), (2, 5, 3))
case("linear without bias", linear(3, 4, False), nn.Linear(3, 4, bias=False), (2, 3))
for bias in [True, False]:
    case(f"bilinear {bias}",
         {"type": "Bilinear", "in1_features": 2, "in2_features": 3, "out_features": 4, "bias": bias},
         nn.Bilinear(2, 3, 4, bias=bias), (2, 5, 2), (2, 5, 3))
case("identity", {"type": "Identity"}, nn.Identity(), (2, 3))
case("flatten", {"type": "Flatten"}, nn.Flatten(), (2, 3, 4, 2))
case("flatten inner", {"type": "Flatten", "start_dim": -3, "end_dim": 2}, nn.Flatten(-3, 2), (2, 3, 4, 2))
case("transpose", {"type": "Transpose"}, nn.Identity(), (2, 3, 4), fn=lambda m, x: x.transpose(1, 2))
table = {"type": "Embedding", "num_embeddings": 5, "embedding_dim": 3}
case("embedding", table, nn.Embedding(5, 3), codes([1, 4, 0], [1, 1, 2]))
case("embedding with padding", {**table, "padding_idx": -4}, nn.Embedding(5, 3, padding_idx=1),
     codes([1, 4, 0], [1, 1, 2]))
case("embedding by frequency", {**table, "scale_grad_by_freq": True}, nn.Embedding(5, 3, scale_grad_by_freq=True),
     codes([1, 4, 0], [1, 1, 2]))
for p in [2.0, 1.0]:
    case(f"embedding of at most a norm {p}", {**table, "max_norm": 0.5, "norm_type": p},
         nn.Embedding(5, 3, max_norm=0.5, norm_type=p), codes([1, 4, 0], [1, 1, 2]))
for mode in ["sum", "mean", "max"]:
    bag = {"type": "EmbeddingBag", "num_embeddings": 5, "embedding_dim": 3, "mode": mode}
    case("embedding_bag " + mode, bag, nn.EmbeddingBag(5, 3, mode=mode), codes([1, 4, 0], [2, 1, 2]))
    case("embedding_bag offsets " + mode, bag, nn.EmbeddingBag(5, 3, mode=mode), torch.tensor([1, 4, 0, 2, 1]),
         torch.tensor([0, 3]))
    case("embedding_bag padding " + mode, {**bag, "padding_idx": 1}, nn.EmbeddingBag(5, 3, mode=mode, padding_idx=1),
         codes([1, 4, 0], [2, 1, 2]))
case("embedding_bag last offset", {"type": "EmbeddingBag", "num_embeddings": 5, "embedding_dim": 3,
                                   "include_last_offset": True},
     nn.EmbeddingBag(5, 3, include_last_offset=True), torch.tensor([1, 4, 0, 2, 1]), torch.tensor([0, 2, 5]))
case("sequential",
     {"type": "Sequential", "layers": [linear(3, 4), {"type": "Activation", "kind": "tanh"}, linear(4, 2)]},
     nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), (2, 3))


class MLP(nn.Module):
    def __init__(self, layers, temperature, residual):
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(3 if i == 0 else 4, 4) for i in range(layers + 1)])
        self.out = nn.Linear(4, 2 + (temperature is not None))
        self.temperature, self.residual = temperature, residual

    def forward(self, x):
        for i, layer in enumerate(self.hidden):
            y = torch.nn.functional.mish(layer(x))
            x = x + y if self.residual and i > 0 else y
        z = self.out(x)
        return z if self.temperature is None else z[..., :2] / torch.sigmoid(z[..., 2:]).clamp(self.temperature)


for layers, temperature, residual in [(0, None, False), (2, 0.01, False), (2, 0.01, True)]:
    case(f"mlp {layers} {temperature} {residual}",
         {"type": "MLP", "in": 3, "hidden": 4, "layers": layers, "out": 2, "min_temperature": temperature,
          "residual": residual}, MLP(layers, temperature, residual), (2, 3, 3))
