#!/usr/bin/python3
"""How PyTorch's layers start: make.py writes initial.json beside it, with the mean, standard deviation and extremes of
every parameter of layers that are large enough to tell. Needs Debian's python3-torch (1.13.1 made the file)."""
import json
import pathlib

import torch
from torch import nn

torch.manual_seed(1)
cases = []


def case(hparams, module):
    stats = {n: [p.mean().item(), p.std(unbiased=False).item(), p.min().item(), p.max().item()]
             for n, p in module.named_parameters()}
    cases.append({"hparams": hparams, "parameters": stats})


case({"type": "Linear", "in_features": 50, "out_features": 400}, nn.Linear(50, 400))
case({"type": "Bilinear", "in1_features": 30, "in2_features": 40, "out_features": 500}, nn.Bilinear(30, 40, 500))
case({"type": "Embedding", "num_embeddings": 100, "embedding_dim": 50}, nn.Embedding(100, 50))
case({"type": "EmbeddingBag", "num_embeddings": 100, "embedding_dim": 50}, nn.EmbeddingBag(100, 50))
case({"type": "Conv1d", "in_channels": 12, "out_channels": 600, "kernel_size": 3, "groups": 2},
     nn.Conv1d(12, 600, 3, groups=2))
case({"type": "Conv2d", "in_channels": 12, "out_channels": 600, "kernel_size": [3, 2]}, nn.Conv2d(12, 600, (3, 2)))
case({"type": "Conv3d", "in_channels": 4, "out_channels": 600, "kernel_size": [3, 2, 2]}, nn.Conv3d(4, 600, (3, 2, 2)))
case({"type": "ConvTranspose1d", "in_channels": 12, "out_channels": 600, "kernel_size": 3, "groups": 2},
     nn.ConvTranspose1d(12, 600, 3, groups=2))
case({"type": "ConvTranspose2d", "in_channels": 12, "out_channels": 600, "kernel_size": [3, 2]},
     nn.ConvTranspose2d(12, 600, (3, 2)))
case({"type": "LayerNorm", "normalized_shape": [9]}, nn.LayerNorm(9))
case({"type": "GroupNorm", "num_groups": 3, "num_channels": 9}, nn.GroupNorm(3, 9))
case({"type": "BatchNorm", "num_features": 9}, nn.BatchNorm1d(9))
case({"type": "InstanceNorm", "num_features": 9, "affine": True}, nn.InstanceNorm1d(9, affine=True))
case({"type": "PReLU", "num_parameters": 3}, nn.PReLU(3))
for kind in ["RNN", "GRU", "LSTM"]:
    case({"type": kind, "input_size": 40, "hidden_size": 200, "num_layers": 2}, getattr(nn, kind)(40, 200, 2))
    case({"type": kind + "Cell", "input_size": 40, "hidden_size": 200}, getattr(nn, kind + "Cell")(40, 200))
case({"type": "MultiheadAttention", "embed_dim": 100, "num_heads": 2}, nn.MultiheadAttention(100, 2))
case({"type": "MultiheadAttention", "embed_dim": 100, "num_heads": 2, "kdim": 30, "vdim": 50},
     nn.MultiheadAttention(100, 2, kdim=30, vdim=50))
case({"type": "TransformerEncoderLayer", "d_model": 100, "nhead": 2, "dim_feedforward": 300},
     nn.TransformerEncoderLayer(100, 2, 300))
case({"type": "TransformerDecoderLayer", "d_model": 100, "nhead": 2, "dim_feedforward": 300},
     nn.TransformerDecoderLayer(100, 2, 300))
case({"type": "MultiheadAttention", "embed_dim": 1000, "num_heads": 2, "add_bias_kv": True},
     nn.MultiheadAttention(1000, 2, add_bias_kv=True))
text = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
(pathlib.Path(__file__).parent / "initial.json").write_text("[\n" + text + "\n]\n")
