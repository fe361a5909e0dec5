import torch

from golden import case, spread

THREE = {"": [(2, 5), (2, 5), (2, 5)], " row": [(3, 4), (4,), (3, 1)], " both ways": [(3, 1), (4,), ()]}


def clamp(x, low=None, high=None):  # of one shape: PyTorch 1.13 cannot go back through x that spreads
    given = [t for t in (x, low, high) if t is not None]
    spreads = iter(torch.broadcast_tensors(*given))
    x = next(spreads)
    return torch.clamp(x, None if low is None else next(spreads), None if high is None else next(spreads))


for tail, shapes in THREE.items():
    two = shapes[:2]
    case("clamp tensors" + tail, shapes, lambda x, l, h: clamp(x, l - 0.4, h + 0.4))
    case("clamp low" + tail, two, lambda x, l: clamp(x, low=l))
    case("clamp high" + tail, two, lambda x, h: clamp(x, high=h))
    case("clamp_min" + tail, two, lambda x, l: clamp(torch.clamp_min(x, -0.7), low=l - 0.2))
    case("clamp_max" + tail, two, lambda x, h: clamp(torch.clamp_max(x, 0.7), high=h + 0.2))
    case("max pair" + tail, two, lambda a, b: torch.max(a, b))
    case("min pair" + tail, two, lambda a, b: torch.min(a, b))
    case("add alpha" + tail, two, lambda a, b: torch.add(a, b, alpha=-2.5))
    case("sub alpha" + tail, two, lambda a, b: torch.sub(a, b, alpha=0.75))
    for mode in ["floor", "trunc"]:
        case(f"div {mode}" + tail, two, lambda a, b, m=mode: torch.div(a * 7, b - 2, rounding_mode=m) * a)
    case("logaddexp" + tail, two, lambda a, b: torch.logaddexp(a * 3, b))
    case("pow base" + tail, two, lambda a, b: torch.pow(2.5, a) * b)
positive = spread((3, 4), -1, 1, 2) > 0
case("where right", [(3, 4)], lambda x: torch.where(positive, x, -2.0))
case("where left", [(4,)], lambda x: torch.where(positive, 0.5, x))
case("clamp crossing", [(2, 5), (2, 5)], lambda x, b: torch.clamp(x, b + 0.5, b - 0.5))
