import math

import torch
import torch.nn.functional as F

from golden import case, spread


def module(kind, weights, layers, bidirectional, bias, **more):
    m = kind(weights[0].shape[1], weights[1].shape[1], layers, batch_first=True, bidirectional=bidirectional, bias=bias,
             **more)
    names = [n for names in m._all_weights for n in names]
    for name, w in zip(names, weights):
        delattr(m, name)
        setattr(m, name, w)
    m._flat_weights = list(weights)
    return m


def shapes(gates, inputs, state, layers, directions, bias):
    out = []
    for layer in range(layers):
        for _ in range(directions):
            out += [(gates * state, inputs if layer == 0 else state * directions), (gates * state, state)]
            out += [(gates * state,), (gates * state,)] if bias else []
    return out


KINDS = {"rnn": (torch.nn.RNN, 1, {}), "rnn relu": (torch.nn.RNN, 1, {"nonlinearity": "relu"}),
         "gru": (torch.nn.GRU, 3, {}), "lstm": (torch.nn.LSTM, 4, {})}


def joined(y, state):
    state = list(state) if isinstance(state, tuple) else [state]
    return torch.cat([t.reshape(-1) for t in [y] + state])


def run(kind, layers, bidirectional, bias, lengths, x, h0, *rest):
    make, gates, more = KINDS[kind]
    start, weights = (h0, rest) if kind != "lstm" else ((h0, rest[0]), rest[1:])
    m = module(make, weights, layers, bidirectional, bias, **more)
    if lengths is None:
        y, state = m(x, start)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        y, state = m(packed, start)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
    return joined(y, state)


for kind, (_, gates, _) in KINDS.items():
    for name, layers, both, bias, lengths, batch, time in [("", 1, False, True, None, 2, 4),
                                                           ("two layers", 2, False, True, None, 1, 3),
                                                           ("both ways", 1, True, True, None, 2, 3),
                                                           ("all", 2, True, True, None, 1, 2),
                                                           ("no bias", 1, False, False, None, 1, 3),
                                                           ("lengths", 1, True, True, [2, 4, 1], 3, 4)]:
        directions = 2 if both else 1
        state = (layers * directions, batch, 2)
        s = [(batch, time, 3), state] + ([state] if kind == "lstm" else [])
        s += shapes(gates, 3, 2, layers, directions, bias)
        case(f"{kind} {name}".strip(), s,
             lambda *a, k=kind, n=layers, d=both, b=bias, l=lengths: run(k, n, d, b, l, *a))


def attention(q, k, v, mask=None, causal=False, scale=None):
    scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = scores.masked_fill(~seen, -math.inf)
    if mask is not None:
        scores = scores + mask if mask.dtype != torch.bool else scores.masked_fill(~mask, -math.inf)
    return torch.softmax(scores, -1) @ v


case("scaled_dot_product_attention", [(2, 3, 4), (2, 5, 4), (2, 5, 3)], attention)
case("scaled_dot_product_attention heads", [(2, 2, 3, 4), (2, 2, 3, 4), (2, 2, 3, 4)], lambda q, k, v: attention(q, k, v, causal=True))
case("scaled_dot_product_attention scale", [(3, 4), (5, 4), (5, 4)], lambda q, k, v: attention(q, k, v, scale=0.3))
case("scaled_dot_product_attention bool mask", [(2, 3, 4), (2, 5, 4), (2, 5, 3)],
     lambda q, k, v: attention(q, k, v, spread((3, 5), -1, 1, 2) > -0.5))
case("scaled_dot_product_attention real mask", [(2, 3, 4), (2, 5, 4), (2, 5, 3)],
     lambda q, k, v: attention(q, k, v, spread((2, 1, 5), -1, 1, 2)))
case("scaled_dot_product_attention groups", [(1, 4, 3, 2), (1, 2, 3, 2), (1, 2, 3, 2)],
     lambda q, k, v: attention(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)))


def rotary(x, offset=0, base=10000.0, interleaved=False):
    d = x.shape[-1]
    angle = torch.arange(x.shape[-2])[:, None] + offset
    angle = angle * base ** (-2 * torch.arange(d // 2) / d)
    c, s = torch.cos(angle), torch.sin(angle)
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :d // 2], x[..., d // 2:])
    y = (a * c - b * s, b * c + a * s)
    return torch.stack(y, -1).flatten(-2) if interleaved else torch.cat(y, -1)


case("rotary_embedding", [(2, 5, 6)], rotary)
case("rotary_embedding interleaved", [(2, 5, 6)], lambda x: rotary(x, 0, 10000.0, True))
case("rotary_embedding offset", [(3, 4)], lambda x: rotary(x, 7, 100.0))


def positions(time, channels, offset):
    angle = (torch.arange(time)[:, None] + offset) * 10000.0 ** (-2 * torch.arange((channels + 1) // 2) / channels)
    return torch.stack([torch.sin(angle), torch.cos(angle)], -1).flatten(-2)[:, :channels]


for time, channels, offset in [(5, 6, 0), (4, 3, 2), (1, 1, 0)]:
    case(f"sinusoidal_positions {channels}", [(time, channels)],
         lambda x, t=time, c=channels, o=offset: x * positions(t, c, o))
