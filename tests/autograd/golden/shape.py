import torch
import torch.nn.functional as F

from golden import case

case("embedding", [(5, 3)], lambda t: F.embedding(torch.tensor([[4, 0], [0, 2]]), t))
case("reshape", [(2, 3, 4)], lambda x: x.reshape(4, -1))
case("flatten", [(2, 3, 4)], lambda x: x.flatten(1))
case("permute", [(2, 3, 4)], lambda x: x.permute(2, 0, -2))
case("transpose", [(2, 3, 4)], lambda x: x.transpose(0, -1))
case("squeeze", [(2, 1, 4)], lambda x: x.squeeze(1))
case("unsqueeze", [(2, 4)], lambda x: x.unsqueeze(-1))
case("expand", [(3, 1)], lambda x: x.expand(2, -1, 4))
case("slice", [(5, 4)], lambda x: x[1:-1:2])
case("narrow", [(5, 4)], lambda x: x.narrow(1, 1, 2))
case("select", [(5, 4)], lambda x: x.select(0, -2))
case("slices of one tensor", [(6,)], lambda x: x[0:4] * x[2:] + x[1:5])
case("unfold", [(2, 7)], lambda x: x.unfold(1, 3, 2))
case("unfold first", [(7, 2)], lambda x: x.unfold(0, 3, 1))


def parts(x):
    p = torch.split(x, [1, 3, 2], 1)
    return torch.cat([p[2], p[0] * 2, p[2]], 1)


case("split", [(2, 6)], parts)
case("chunk", [(5, 2)], lambda x: x.chunk(2)[1])
case("cat", [(2, 3), (2, 1), (2, 0)], lambda a, b, c: torch.cat([a, b, c, a], -1))
case("stack", [(2, 3), (2, 3)], lambda a, b: torch.stack([a, b], 1))
case("contiguous", [(2, 3)], lambda x: x.transpose(0, 1).contiguous())
case("clone", [(2, 3)], torch.clone)
