import math

import torch
from torch import nn

from layer_case import case

X = (2, 4, 3)
for kind in ["RNN", "GRU", "LSTM"]:
    states = 2 if kind == "LSTM" else 1
    for layers, both, bias, more in [(1, False, True, {}), (1, True, False, {}), (2, True, True, {}),
                                     (2, False, True, {"nonlinearity": "relu"})]:
        if kind != "RNN" and more:
            continue
        hparams = {"type": kind, "input_size": 3, "hidden_size": 2, "num_layers": layers, "bidirectional": both,
                   "bias": bias, **more}
        module = getattr(nn, kind)(3, 2, layers, bias=bias, bidirectional=both, batch_first=True, **more)
        h = (layers * (1 + both), 2, 2)
        name = f"{kind} {layers} {both} {bias} {more.get('nonlinearity', '')}"
        case(name, hparams, module, X, fn=lambda m, x: m(x)[0])
        if kind == "LSTM":
            case(name + "from a state", hparams, module, X, h, h,
                 fn=lambda m, x, h, c: [m(x, (h, c))[0], *m(x, (h, c))[1]])
        else:
            case(name + "from a state", hparams, module, X, h, fn=lambda m, x, h: m(x, h))
    for bias in [True, False]:
        cell = getattr(nn, kind + "Cell")(3, 2, bias=bias)
        hparams = {"type": kind + "Cell", "input_size": 3, "hidden_size": 2, "bias": bias}
        case(f"{kind}Cell {bias}", hparams, cell, (4, 3))
        if kind == "LSTM":
            case(f"{kind}Cell {bias} from a state", hparams, cell, (4, 3), (4, 2), (4, 2),
                 fn=lambda m, x, h, c: m(x, (h, c)))
        else:
            case(f"{kind}Cell {bias} from a state", hparams, cell, (4, 3), (4, 2))
case("RNNCell relu", {"type": "RNNCell", "input_size": 3, "hidden_size": 2, "nonlinearity": "relu"},
     nn.RNNCell(3, 2, nonlinearity="relu"), (4, 3), (4, 2))

for heads in [1, 2]:
    for bias in [True, False]:
        case(f"attention {heads} {bias}",
             {"type": "MultiheadAttention", "embed_dim": 4, "num_heads": heads, "bias": bias},
             nn.MultiheadAttention(4, heads, bias=bias, batch_first=True), (2, 3, 4), (2, 5, 4), (2, 5, 4),
             fn=lambda m, q, k, v: m(q, k, v)[0])
case("attention of other widths", {"type": "MultiheadAttention", "embed_dim": 4, "num_heads": 2, "kdim": 3, "vdim": 5},
     nn.MultiheadAttention(4, 2, kdim=3, vdim=5, batch_first=True), (2, 3, 4), (2, 5, 3), (2, 5, 5),
     fn=lambda m, q, k, v: m(q, k, v)[0])

for bias_kv, zero in [(True, False), (False, True), (True, True)]:
    options = {"add_bias_kv": bias_kv, "add_zero_attn": zero}
    case(f"attention {bias_kv} {zero}", {"type": "MultiheadAttention", "embed_dim": 4, "num_heads": 2, **options},
         nn.MultiheadAttention(4, 2, batch_first=True, **options), (2, 3, 4), (2, 5, 4), (2, 5, 4),
         fn=lambda m, q, k, v: m(q, k, v)[0])

hidden, ahead = [[0, 0, 0, 1, 0], [0, 1, 1, 0, 0]], torch.triu(torch.ones(3, 5), 1).tolist()


def weighted(m, q, k, v, average=True, masks=()):
    given = {"key_padding_mask": torch.tensor(hidden).bool()} if "key_padding_mask" in masks else {}
    if "attn_mask" in masks:
        given["attn_mask"] = torch.tensor(ahead).bool()
    return m(q, k, v, average_attn_weights=average, **given)


for more in [{}, {"add_bias_kv": True}, {"add_bias_kv": True, "add_zero_attn": True}]:
    for average, masks in [(True, {}), (False, {"key_padding_mask": hidden}),
                           (True, {"key_padding_mask": hidden, "attn_mask": ahead}), (False, {"attn_mask": ahead})]:
        case(f"attention weights {list(more)} {average} {list(masks)}",
             {"type": "MultiheadAttention", "embed_dim": 4, "num_heads": 2, **more},
             nn.MultiheadAttention(4, 2, batch_first=True, **more), (2, 3, 4), (2, 5, 4), (2, 5, 4),
             fn=lambda m, q, k, v, a=average, b=masks: weighted(m, q, k, v, a, b),
             attention={"average": average, **masks})

future = torch.triu(torch.ones(3, 3), 1).bool()
for first in [False, True]:
    for activation in ["relu", "gelu"]:
        options = {"d_model": 4, "nhead": 2, "dim_feedforward": 5, "activation": activation, "norm_first": first}
        case(f"encoder layer {first} {activation}", {"type": "TransformerEncoderLayer", **options},
             nn.TransformerEncoderLayer(4, 2, 5, activation=activation, norm_first=first, batch_first=True), (2, 3, 4))
        case(f"causal encoder layer {first} {activation}",
             {"type": "TransformerEncoderLayer", **options, "causal": True},
             nn.TransformerEncoderLayer(4, 2, 5, activation=activation, norm_first=first, batch_first=True), (2, 3, 4),
             fn=lambda m, x: m(x, future))
        case(f"decoder layer {first} {activation}", {"type": "TransformerDecoderLayer", **options, "causal": True},
             nn.TransformerDecoderLayer(4, 2, 5, activation=activation, norm_first=first, batch_first=True), (2, 3, 4),
             (2, 5, 4), fn=lambda m, x, y: m(x, y, future))
layer = {"d_model": 4, "nhead": 2, "dim_feedforward": 5}
for norm in [False, True]:
    case(f"encoder {norm}", {"type": "TransformerEncoder", "layer": layer, "num_layers": 2, "norm": norm},
         nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 5, batch_first=True), 2,
                               nn.LayerNorm(4) if norm else None), (2, 3, 4))
    case(f"decoder {norm}", {"type": "TransformerDecoder", "layer": layer, "num_layers": 2, "norm": norm},
         nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 5, batch_first=True), 2,
                               nn.LayerNorm(4) if norm else None), (2, 3, 4), (2, 2, 4))

case("transformer", {"type": "Transformer", "encoder": {"layer": layer, "num_layers": 1, "norm": True},
                     "decoder": {"layer": layer, "num_layers": 1, "norm": True}},
     nn.Transformer(4, 2, 1, 1, 5, batch_first=True), (2, 3, 4), (2, 2, 4))


def sinusoids(m, x):
    t, c = torch.arange(x.shape[1])[:, None], torch.arange(0, x.shape[2], 2)
    angle = t / 10000 ** (c / x.shape[2])
    return x + torch.stack([torch.sin(angle), torch.cos(angle)], -1).reshape(x.shape[1:])


def rotated(x, interleaved):
    c = x.shape[-1] // 2
    angle = torch.arange(x.shape[-2])[:, None] / 10000 ** (2 * torch.arange(c) / x.shape[-1])
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :c], x[..., c:])
    y = [a * torch.cos(angle) - b * torch.sin(angle), b * torch.cos(angle) + a * torch.sin(angle)]
    return torch.stack(y, -1).reshape(x.shape) if interleaved else torch.cat(y, -1)


class Table(nn.Module):
    def __init__(self, rows, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, channels))


case("SinusoidalPositions", {"type": "SinusoidalPositions"}, nn.Identity(), (2, 5, 4), fn=sinusoids)
case("LearnedPositions", {"type": "LearnedPositions", "max_length": 5, "channels": 3}, Table(5, 3), (2, 4, 3),
     fn=lambda m, x: x + m.weight[:4])
for interleaved in [False, True]:
    case(f"RotaryPositions {interleaved}", {"type": "RotaryPositions", "interleaved": interleaved}, nn.Identity(),
         (2, 2, 5, 4), fn=lambda m, x, i=interleaved: rotated(x, i))
