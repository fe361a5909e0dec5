import torch

from golden import case

case("gated_activation", [(2, 3, 4)], lambda x: torch.tanh(x[..., :2]) * torch.sigmoid(x[..., 2:]))
case("gated_activation condition", [(2, 4), (2, 4)],
     lambda x, c: torch.tanh((x + c)[..., :2]) * torch.sigmoid((x + c)[..., 2:]))
case("gated_activation large", [(3, 6)], lambda x: torch.tanh(x[..., :3] * 3) * torch.sigmoid(x[..., 3:] * 3))
