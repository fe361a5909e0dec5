import torch
from torch import nn
from torch.nn.utils import spectral_norm, weight_norm

from layer_case import case, first

layers = {"Linear": ({"type": "Linear", "in_features": 3, "out_features": 4}, lambda: nn.Linear(3, 4), (2, 5, 3),
                     lambda m, x: m(x)),
          "Conv1d": ({"type": "Conv1d", "in_channels": 3, "out_channels": 4, "kernel_size": 2},
                     lambda: nn.Conv1d(3, 4, 2), (2, 5, 3), first),
          "ConvTranspose1d": ({"type": "ConvTranspose1d", "in_channels": 3, "out_channels": 4, "kernel_size": 2},
                              lambda: nn.ConvTranspose1d(3, 4, 2), (2, 4, 3), first)}
for name, (hparams, make, x, fn) in layers.items():
    for dim in [0, 1, None]:
        how = {"weight": {"type": "weight_norm", "dim": dim}}
        case(f"weight_norm {name} {dim}", {**hparams, "parametrizations": how}, weight_norm(make(), dim=dim), x, fn=fn)
    for dim, steps, train in [(0, 1, True), (0, 3, True), (1, 1, True), (0, 1, False)]:
        how = {"weight": {"type": "spectral_norm", "dim": dim, "iterations": steps}}
        case(f"spectral_norm {name} {dim} {steps} {train}", {**hparams, "parametrizations": how},
             spectral_norm(make(), n_power_iterations=steps, dim=dim), x, fn=fn, train=train)


class Lora(nn.Module):
    def __init__(self, inner, rank, alpha):
        super().__init__()
        w = inner.weight
        self.weight, self.bias, self.inner = w, inner.bias, [inner]
        self.weight_lora_A = nn.Parameter(torch.zeros(rank, w[0].numel()))
        self.weight_lora_B = nn.Parameter(torch.zeros(w.shape[0], rank))
        self.scale = alpha / rank

    def forward(self, x):
        w = self.weight + self.scale * (self.weight_lora_B @ self.weight_lora_A).reshape(self.weight.shape)
        if w.dim() == 2:
            return nn.functional.linear(x, w, self.bias)
        return nn.functional.conv1d(x, w, self.bias)


for name in ["Linear", "Conv1d"]:
    hparams, make, x, fn = layers[name]
    case("lora " + name, {**hparams, "parametrizations": {"weight": {"type": "lora", "rank": 2, "alpha": 3}}},
         Lora(make(), 2, 3), x, fn=fn)
case("weight_norm below a config", {"type": "MLP", "in": 3, "hidden": 3, "layers": 0, "out": 2, "min_temperature": None,
                                    "activation": "tanh",
                                    "parametrizations": {"hidden.0.weight": {"type": "weight_norm"},
                                                         "out.weight": {"type": "weight_norm", "dim": 1}}},
     nn.ModuleDict({"hidden": nn.ModuleList([weight_norm(nn.Linear(3, 3))]),
                    "out": weight_norm(nn.Linear(3, 2), dim=1)}),
     (2, 3), fn=lambda m, x: m["out"](torch.tanh(m["hidden"][0](x))))
