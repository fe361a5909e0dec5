import torch
import torch.nn.functional as F

from golden import case, spread


def text(shape):
    return "[" + ",".join(map(str, shape)) + "]"


def rms(x, shape, weight=None, eps=2.0**-52):  # not in this PyTorch: the formula
    y = x / torch.sqrt((x**2).mean(tuple(range(-len(shape), 0)), keepdim=True) + eps)
    return y if weight is None else y * weight


def first(f, x, *more, **named):  # ours is [batch, ..., channels]
    return f(x.movedim(-1, 1), *more, **named).movedim(1, -1)


for x, shape in [((2, 3, 4), (4,)), ((2, 3, 4), (3, 4)), ((5,), (5,)), ((3, 2, 2), (2, 2)), ((0, 3), (3,)),
                 ((2, 17), (17,))]:
    tail = " " + text(x) + " over " + text(shape)
    case("layer_norm" + tail, [x, shape, shape], lambda x, w, b, s=shape: F.layer_norm(x, s, w, b))
    case("layer_norm plain" + tail, [x], lambda x, s=shape: F.layer_norm(x, s, eps=0.1))
    case("rms_norm" + tail, [x, shape], lambda x, w, s=shape: rms(x, s, w))
    case("rms_norm plain" + tail, [x], lambda x, s=shape: rms(x, s, eps=0.1))
case("layer_norm bias", [(2, 4), (4,)], lambda x, b: F.layer_norm(x, (4,), None, b))
case("layer_norm offset", [(2, 5), (5,)], lambda x, w: F.layer_norm(x, (5,), w), 20, 120)
for x in [(2, 3, 4), (2, 4), (1, 2, 3, 4), (2, 0, 4)]:
    for groups in [1, 2, 4]:
        if groups > 1 and len(x) == 2:
            continue
        tail = f" {text(x)} in {groups}"
        if 0 in x:  # PyTorch refuses it
            case("group_norm" + tail, [x, (4,), (4,)], lambda x, w, b: x * w + b)
            case("group_norm plain" + tail, [x], lambda x: x * 1)
            continue
        case("group_norm" + tail, [x, (4,), (4,)], lambda x, w, b, g=groups: first(F.group_norm, x, g, w, b))
        case("group_norm plain" + tail, [x], lambda x, g=groups: first(F.group_norm, x, g, eps=0.01))


def numbers():
    return spread((3,), 0.5, 2, 3)


for x in [(4, 3), (2, 5, 3), (2, 2, 2, 3)]:
    tail = text(x)
    case("batch_norm " + tail, [x, (3,), (3,)], lambda x, w, b: first(F.batch_norm, x, None, None, w, b, True))
    case("batch_norm plain " + tail, [x], lambda x: first(F.batch_norm, x, None, None, training=True, eps=0.1))
    case("batch_norm running " + tail, [x, (3,), (3,)],
         lambda x, w, b: first(F.batch_norm, x, -numbers(), numbers(), w, b))
    if len(x) == 2:
        continue
    case("instance_norm " + tail, [x, (3,), (3,)], lambda x, w, b: first(F.instance_norm, x, None, None, w, b))
    case("instance_norm plain " + tail, [x], lambda x: first(F.instance_norm, x, eps=0.1))
    case("instance_norm running " + tail, [x, (3,), (3,)],
         lambda x, w, b: first(F.instance_norm, x, -numbers(), numbers(), w, b, False))


def follows(f, x, **named):
    mean, var = -numbers(), numbers()
    y = first(f, x, mean, var, momentum=0.3, **named)
    return torch.cat([y, torch.stack([mean, var]).expand(2, 2, 3)], 1)


case("batch_norm follows", [(2, 5, 3)], lambda x: follows(F.batch_norm, x, training=True))
case("instance_norm follows", [(2, 5, 3)], lambda x: follows(F.instance_norm, x))
for size in [1, 2, 3, 4, 9]:
    case(f"local_response_norm {size}", [(2, 3, 5)], lambda x, s=size: first(F.local_response_norm, x, s, 0.5, 0.75, 0.7))
case("local_response_norm images", [(1, 2, 2, 4)], lambda x: first(F.local_response_norm, x, 3))
case("weight_norm 0", [(3, 2, 2), (3, 1, 1)], lambda v, g: torch._weight_norm(v, g, 0))
case("weight_norm 1", [(3, 2, 2), (1, 2, 1)], lambda v, g: v * (g / torch.norm_except_dim(v, 2, 1)))
case("weight_norm last", [(3, 2, 2), (1, 1, 2)], lambda v, g: torch._weight_norm(v, g, 2))
case("weight_norm all", [(3, 2), ()], lambda v, g: v * (g / torch.norm_except_dim(v, 2, -1)))


def spectral(w, iterations, dim):  # the steps and the detached vectors of torch.nn.utils.spectral_norm
    m = w.movedim(dim, 0).reshape(w.shape[dim], -1)
    u = spread((w.shape[dim],), -1, 1, 2)
    with torch.no_grad():
        v = F.normalize(m.T @ u, dim=0, eps=1e-12)
        for i in range(iterations):
            v = F.normalize(m.T @ u, dim=0, eps=1e-12)
            u = F.normalize(m @ v, dim=0, eps=1e-12)
    return torch.cat([(w / (u @ (m @ v))).flatten(), u])


for iterations in [0, 1, 3]:
    for dim in [0, 1]:
        case(f"spectral_norm {iterations} dim {dim}", [(3, 4, 2)], lambda w, n=iterations, d=dim: spectral(w, n, d))
