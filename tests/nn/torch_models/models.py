"""Whole networks in PyTorch, written as anyone would: their attributes have the names that ours have. MODELS: by name,
the hyper-parameters of ours and what makes PyTorch's; networks over codes, i64 [batch, time]."""
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

ACTIVATIONS = {"tanh": torch.tanh, "relu": F.relu, "mish": F.mish, "identity": lambda x: x}


class OneHot(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, codes):
        return F.one_hot(codes, self.classes).to(torch.get_default_dtype())


class WaveNetLayer(nn.Module):
    def __init__(self, c, kernel, dilation, last):
        super().__init__()
        channels, width, skip = c["channels"], c.get("residual_channels"), c.get("skip_channels")
        self.gated, self.activation = c.get("gate", "sigmoid") is not None, ACTIVATIONS[c.get("activation", "tanh")]
        self.pad = (kernel - 1) * dilation if c.get("padding") == "causal" else 0
        groups, bias = c.get("groups", 1), c.get("bias", True)
        self.conv = nn.Conv1d(width or channels, 2 * channels if self.gated else channels, kernel, dilation=dilation,
                              groups=groups, bias=bias)
        self.skip = nn.Conv1d(channels, skip, 1, bias=bias) if skip else None
        self.residual = nn.Conv1d(channels, width, 1, bias=bias) if width and not last else None

    def forward(self, x, skips, keep):
        y = self.conv(F.pad(x, (self.pad, 0)))
        if self.gated:
            signal, gate = y.chunk(2, 1)
            y = self.activation(signal) * torch.sigmoid(gate)
        else:
            y = self.activation(y)
        if self.skip is not None:
            skips = self.skip(y[:, :, -keep:]) + (0 if skips is None else skips)
        return (x[:, :, -y.shape[2]:] + self.residual(y) if self.residual is not None else y), skips


class Head(nn.Module):
    def __init__(self, c, width):
        super().__init__()
        hidden, self.least = c["head"]["hidden"], c["head"].get("min_temperature", 1e-4)
        self.activation = ACTIVATIONS[c["head"].get("activation", "mish")]
        self.hidden = nn.ModuleList(nn.Linear(hidden if i else width, hidden) for i in range(1 + c["head"]["layers"]))
        self.out = nn.Linear(hidden, c["classes"] + (self.least is not None))

    def forward(self, x):
        for layer in self.hidden:
            x = self.activation(layer(x))
        z = self.out(x)
        return z if self.least is None else z[..., :-1] / torch.sigmoid(z[..., -1:]).clamp(self.least)


class WaveNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        width = c.get("residual_channels") or c["channels"]
        self.input = nn.Embedding(c["classes"], width) if c.get("input", "embedding") == "embedding" else \
            nn.Sequential(OneHot(c["classes"]), nn.Linear(c["classes"], width))
        kernels, taps = c["kernel_sizes"], []
        for length in c["blocks"]:
            dilation = 1
            for _ in range(length):
                taps.append((kernels[len(taps) % len(kernels)], dilation))
                dilation *= taps[-1][0]
        self.layers = nn.ModuleList(WaveNetLayer(c, *t, i + 1 == len(taps)) for i, t in enumerate(taps))
        self.head = Head(c, c.get("skip_channels") or c["channels"])
        self.before = ACTIVATIONS[c["head"].get("input_activation", "identity")]
        self.lost = 0 if c.get("padding") == "causal" else sum((k - 1) * d for k, d in taps)

    def forward(self, codes):
        x, skips = self.input(codes).transpose(1, 2), None
        for layer in self.layers:
            x, skips = layer(x, skips, codes.shape[1] - self.lost)
        return self.head(self.before((x if skips is None else skips).transpose(1, 2)))


class GruModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.gru = nn.GRU(6, 10, num_layers=2, batch_first=True)
        self.head = nn.Linear(10, 20)

    def forward(self, codes):
        return self.head(self.gru(self.embedding(codes))[0])


class LstmTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 4, batch_first=True, bidirectional=True)
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(8))
        self.head = nn.Linear(8, 20)

    def forward(self, codes):
        return self.head(self.encoder(self.lstm(self.embedding(codes))[0]))


class WeightNorm(nn.Module):  # what torch.nn.utils.parametrizations.weight_norm of PyTorch 2 registers
    def forward(self, g, v):
        return torch._weight_norm(v, g, 0)

    def right_inverse(self, weight):
        return torch.norm_except_dim(weight, 2, 0), weight


def weight_normed(model, spelling):
    for part in list(model.modules()):
        if isinstance(part, (nn.Conv1d, nn.Linear)):
            if spelling == "old":
                nn.utils.weight_norm(part)
                g = part.weight_g
            else:
                parametrize.register_parametrization(part, "weight", WeightNorm())
                g = part.parametrizations.weight.original0
            with torch.no_grad():
                g.mul_(torch.linspace(0.5, 1.5, g.numel()).reshape(g.shape))  # so that folding has something to do
    return model


SMALL = {"type": "WaveNet", "classes": 24, "kernel_sizes": [2], "blocks": [3, 3], "channels": 8, "residual_channels": 6,
         "skip_channels": 10, "head": {"hidden": 12, "layers": 1}}
PLAIN = {"type": "WaveNet", "classes": 24, "input": "one_hot", "kernel_sizes": [3, 2], "blocks": [2, 2], "channels": 8,
         "gate": None, "activation": "relu", "padding": "causal", "bias": False, "groups": 2,
         "head": {"hidden": 12, "layers": 0, "min_temperature": None, "activation": "tanh", "input_activation": "relu"}}
GRU = {"embedding": {"type": "Embedding", "num_embeddings": 20, "embedding_dim": 6},
       "gru": {"type": "GRU", "input_size": 6, "hidden_size": 10, "num_layers": 2},
       "head": {"type": "Linear", "in_features": 10, "out_features": 20}}
LSTM = {"embedding": GRU["embedding"],
        "lstm": {"type": "LSTM", "input_size": 6, "hidden_size": 4, "bidirectional": True},
        "encoder": {"type": "TransformerEncoder", "num_layers": 2, "norm": True,
                    "layer": {"d_model": 8, "nhead": 2, "dim_feedforward": 12, "dropout": 0.0}},
        "head": {"type": "Linear", "in_features": 8, "out_features": 20}}
MODELS = {"wavenet": (SMALL, lambda: WaveNet(SMALL)),
          "wavenet_plain": (PLAIN, lambda: WaveNet(PLAIN)),
          "wavenet_weight_norm": (SMALL, lambda: weight_normed(WaveNet(SMALL), "old")),
          "wavenet_parametrized": (SMALL, lambda: weight_normed(WaveNet(SMALL), "new")),
          "gru": (GRU, GruModel),
          "gru_checkpoint": (GRU, GruModel),
          "lstm_transformer": (LSTM, LstmTransformer)}
