import torch
import torch.nn.functional as F

from golden import case

def conv(x, w, b=None, stride=1, dilation=1, groups=1, padding="valid"):  # ours is [batch, time, channels]
    x = x.transpose(1, 2)
    if padding == "causal":
        x, padding = F.pad(x, ((w.shape[2] - 1) * dilation, 0)), "valid"
    return F.conv1d(x, w, b, stride, padding, dilation, groups).transpose(1, 2)


for name, x, w, o in [("valid", (2, 5, 2), (3, 2, 2), {}), ("causal", (1, 5, 2), (2, 2, 3), {"padding": "causal"}),
                      ("same", (1, 5, 2), (2, 2, 4), {"padding": "same"}), ("pointwise", (2, 3, 2), (3, 2, 1), {}),
                      ("dilated", (1, 7, 2), (2, 2, 2), {"dilation": 3}), ("stride", (1, 8, 2), (2, 2, 3), {"stride": 2}),
                      ("groups", (1, 4, 4), (6, 2, 2), {"groups": 2}), ("depthwise", (1, 4, 3), (3, 1, 2), {"groups": 3}),
                      ("all", (2, 9, 4), (4, 2, 2), {"stride": 2, "dilation": 2, "groups": 2, "padding": "causal"})]:
    case("conv1d " + name, [x, w, (w[0],)], lambda x, w, b, o=o: conv(x, w, b, **o))
case("conv1d no bias", [(2, 5, 2), (3, 2, 2)], conv)
case("conv1d_transpose", [(2, 4, 3), (3, 2, 2)],
     lambda x, w: F.conv_transpose1d(x.transpose(1, 2), w).transpose(1, 2))
case("conv1d_transpose stride", [(1, 3, 4), (4, 1, 3)],
     lambda x, w: F.conv_transpose1d(x.transpose(1, 2), w, stride=2, groups=2, output_padding=1).transpose(1, 2))
