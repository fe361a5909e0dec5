from torch import nn
import torch.nn.functional as F

from layer_case import case, first

convs = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
transposed = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
sizes = {1: (2, 7, 2), 2: (1, 4, 5, 2), 3: (1, 3, 4, 3, 2)}


def causal(m, x):
    return first(m, F.pad(x, [0, 0, 4, 0]))


def each(rank, v):
    return v if rank == 1 else v[:rank] if isinstance(v, list) else [v] * rank


for rank in [1, 2, 3]:
    def conv(name, options, kernel=2, groups=1, bias=True, fn=first, **torch_options):
        case(f"conv{rank}d {name}", {"type": f"Conv{rank}d", "in_channels": 2, "out_channels": 4,
                                     "kernel_size": each(rank, kernel), "groups": groups, "bias": bias, **options},
             convs[rank](2, 4, kernel if rank == 1 else tuple(each(rank, kernel)), groups=groups, bias=bias,
                         **torch_options), sizes[rank], fn=fn)

    conv("plain", {})
    conv("groups without bias", {}, groups=2, bias=False)
    conv("stride and pad", {"stride": each(rank, 2), "pad": each(rank, 1)}, 3, stride=2, padding=1)
    conv("same dilated", {"padding": "same", "dilation": each(rank, 2)}, 3, padding="same", dilation=2)
    for mode in ["reflect", "replicate", "circular"]:
        if rank == 3 and mode == "reflect":
            conv(mode, {"pad": each(rank, 1), "padding_mode": mode}, padding=1, padding_mode=mode)
            continue
        conv(mode, {"pad": each(rank, 1), "padding_mode": mode}, padding=1, padding_mode=mode)
        conv(mode + " same", {"padding": "same", "padding_mode": mode}, padding="same", padding_mode=mode)
    if rank == 1:
        conv("causal", {"padding": "causal", "dilation": 2}, 3, fn=causal, dilation=2)
    name = f"conv_transpose{rank}d "
    up = {"type": f"ConvTranspose{rank}d", "in_channels": 2, "out_channels": 4}
    small = {1: (2, 4, 2), 2: (1, 3, 2, 2), 3: (1, 2, 3, 1, 2)}[rank]
    case(name + "plain", {**up, "kernel_size": each(rank, 2)}, transposed[rank](2, 4, 2), small, fn=first)
    case(name + "stride pad more", {**up, "kernel_size": each(rank, 3), "stride": each(rank, 2), "pad": each(rank, 1),
                                    "output_padding": each(rank, 1)},
         transposed[rank](2, 4, 3, stride=2, padding=1, output_padding=1), small, fn=first)
    case(name + "groups dilated", {**up, "kernel_size": each(rank, 2), "groups": 2, "dilation": each(rank, 2),
                                   "bias": False},
         transposed[rank](2, 4, 2, groups=2, dilation=2, bias=False), small, fn=first)

case("conv2d by dimension", {"type": "Conv2d", "in_channels": 2, "out_channels": 3, "kernel_size": [3, 2],
                             "stride": [1, 2], "pad": [2, 0], "dilation": [2, 1]},
     nn.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 1)), (1, 4, 5, 2), fn=first)
