import torch
import torch.nn.functional as F

from golden import case

case("gated_activation", [(2, 3, 4)], lambda x: torch.tanh(x[..., :2]) * torch.sigmoid(x[..., 2:]))
case("gated_activation condition", [(2, 4), (2, 4)],
     lambda x, c: torch.tanh((x + c)[..., :2]) * torch.sigmoid((x + c)[..., 2:]))
case("gated_activation large", [(3, 6)], lambda x: torch.tanh(x[..., :3] * 3) * torch.sigmoid(x[..., 3:] * 3))


def layer(padding, dilation, keep, with_residual):
    def run(x, skips, weight, bias, residual, residual_bias, skip, skip_bias):
        turned = x.transpose(1, 2)
        u = F.conv1d(F.pad(turned, (dilation, 0)) if padding == "causal" else turned, weight, bias, dilation=dilation)
        c = torch.tanh(u[:, :2]) * torch.sigmoid(u[:, 2:])
        out = turned[:, :, -c.shape[2]:] + F.conv1d(c, residual, residual_bias) if with_residual else c
        total = skips + F.conv1d(c[:, :, -keep:], skip, skip_bias).transpose(1, 2)
        flat = torch.cat([out.transpose(1, 2).reshape(-1), total.reshape(-1)])
        return flat if with_residual else flat + residual.sum() + residual_bias.sum()

    return run


for name, padding, dilation, keep, with_residual in [("", "causal", 2, 5, True), (" valid", "valid", 2, 2, True),
                                                     (" last", "causal", 1, 3, False)]:
    case("wavenet_layer" + name, [(2, 5, 3), (2, keep, 2), (4, 3, 2), (4,), (3, 2, 1), (3,), (2, 2, 1), (2,)],
         layer(padding, dilation, keep, with_residual))
