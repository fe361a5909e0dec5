import torch
from torch import nn

from layer_case import case, first


class RMSNorm(nn.Module):  # not in this PyTorch: the formula
    def __init__(self, shape, eps, affine):
        super().__init__()
        self.dims, self.eps = tuple(range(-len(shape), 0)), eps
        if affine:
            self.weight = nn.Parameter(torch.ones(shape))

    def forward(self, x):
        y = x / torch.sqrt((x**2).mean(self.dims, keepdim=True) + self.eps)
        return y * self.weight if hasattr(self, "weight") else y


for shape in [[4], [3, 4]]:
    case(f"layer_norm {shape}", {"type": "LayerNorm", "normalized_shape": shape}, nn.LayerNorm(shape), (2, 3, 4))
    case(f"rms_norm {shape}", {"type": "RMSNorm", "normalized_shape": shape, "eps": 1e-6}, RMSNorm(shape, 1e-6, True),
         (2, 3, 4))
case("layer_norm plain", {"type": "LayerNorm", "normalized_shape": [4], "eps": 0.1, "elementwise_affine": False},
     nn.LayerNorm([4], eps=0.1, elementwise_affine=False), (2, 3, 4))
case("rms_norm plain", {"type": "RMSNorm", "normalized_shape": [4], "elementwise_affine": False},
     RMSNorm([4], 2.0**-52, False), (2, 3, 4))
for groups in [1, 2]:
    case(f"group_norm {groups}", {"type": "GroupNorm", "num_groups": groups, "num_channels": 4},
         nn.GroupNorm(groups, 4), (2, 3, 4), fn=first)
case("group_norm plain", {"type": "GroupNorm", "num_groups": 2, "num_channels": 4, "affine": False, "eps": 0.01},
     nn.GroupNorm(2, 4, eps=0.01, affine=False), (2, 3, 2, 4), fn=first)

batch = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
instance = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
for x in [(4, 3), (2, 5, 3), (2, 3, 2, 3), (2, 2, 2, 2, 3)]:
    for train in [False, True]:
        case(f"batch_norm {x} {train}", {"type": "BatchNorm", "num_features": 3}, batch[len(x)](3), x, fn=first,
             train=train)
        if len(x) == 2:
            continue
        case(f"instance_norm {x} {train}", {"type": "InstanceNorm", "num_features": 3}, instance[len(x)](3), x,
             fn=first, train=train)
        case(f"instance_norm tracking {x} {train}",
             {"type": "InstanceNorm", "num_features": 3, "affine": True, "track_running_stats": True, "momentum": 0.3},
             instance[len(x)](3, affine=True, track_running_stats=True, momentum=0.3), x, fn=first, train=train)




for train in [False, True]:
    case(f"batch_norm bare {train}", {"type": "BatchNorm", "num_features": 3, "affine": False, "eps": 0.1,
                                      "track_running_stats": False},
         nn.BatchNorm1d(3, affine=False, eps=0.1, track_running_stats=False), (4, 3), train=train)
case("batch_norm plain average", {"type": "BatchNorm", "num_features": 3, "momentum": None},
     nn.BatchNorm1d(3, momentum=None), (2, 5, 3), fn=first, train=True)
case("local_response_norm", {"type": "LocalResponseNorm", "size": 3, "alpha": 0.5, "k": 0.7},
     nn.LocalResponseNorm(3, alpha=0.5, k=0.7), (2, 3, 5), fn=first)
