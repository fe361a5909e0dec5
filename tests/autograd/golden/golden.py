"""What the families' modules use to say their cases: the twins of op_table.h."""
import torch

torch.set_default_dtype(torch.float64)
SHIFT = [0.37, 0.11, 0.71, 0.9]
cases = {}  # of the family that is being imported: name -> (shapes, function, low, high)


def spread(shape, low, high, which=0):
    n = 1
    for size in shape:
        n *= size
    m = max(n, 1)
    v = [low + (high - low) * (((k * 101 + 3 + 5 * which) % m) + SHIFT[which % 4]) / m for k in range(n)]
    return torch.tensor(v, dtype=torch.float64).reshape(shape)


def with_zeros(x, count, step):
    """The first `count` of every `step` elements of a spread() made 0, without losing their gradient."""
    off = spread(tuple(x.shape), -1, 1).reshape(-1)
    off[torch.arange(off.numel()) % step >= count] = 0
    return x - off.reshape(x.shape)


def case(name, shapes, fn, low=-1, high=1):
    cases[name] = (shapes, fn, low, high)


def unary(name, fn, low=-1.5, high=1.5):
    case(name, [(2, 3, 4)], fn, low, high)
    case(name + " 0-d", [()], fn, low, high)
    case(name + " empty", [(0, 3)], fn, low, high)


def binary(name, fn, low=-1, high=1):
    case(name, [(2, 3), (2, 3)], fn, low, high)
    case(name + " row", [(2, 3, 4), (4,)], fn, low, high)
    case(name + " both ways", [(2, 1, 3), (4, 1)], fn, low, high)
    case(name + " 0-d", [(), (2, 2)], fn, low, high)
    case(name + " empty", [(0, 3), (1, 3)], fn, low, high)
    case(name + " with itself", [(2, 3)], lambda x: fn(x, x * 2), low, high)
