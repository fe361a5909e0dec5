import torch
import torch.nn.functional as F

from golden import case, with_zeros


def i64(values, shape):
    return torch.tensor(values, dtype=torch.long).reshape(shape)


def mask(values, shape):
    return torch.tensor(values, dtype=torch.bool).reshape(shape)


case("embedding", [(5, 3)], lambda t: F.embedding(i64([4, 0, 0, 2], (2, 2)), t))
case("embedding 0-d", [(5, 3)], lambda t: F.embedding(i64([1], ()), t))
case("embedding nothing", [(5, 3)], lambda t: F.embedding(i64([], (0, 2)), t))
case("embedding padding not met", [(5, 3)], lambda t: F.embedding(i64([3, 1, 3, 0], (4,)), t, padding_idx=-3))
for mode in ["sum", "mean", "max"]:
    op = "embedding_bag " + mode
    case(op, [(5, 3)], lambda t, m=mode: F.embedding_bag(i64([4, 0, 0, 2, 1, 3], (2, 3)), t, mode=m))
    case(op + " offsets", [(5, 3)],
         lambda t, m=mode: F.embedding_bag(i64([4, 0, 0, 2, 1], (5,)), t, i64([0, 2, 2, 5], (4,)), mode=m))
    case(op + " padding", [(5, 3)],
         lambda t, m=mode: F.embedding_bag(i64([4, 0, 0, 2, 1, 4], (6,)), t, i64([0, 1, 3, 6], (4,)), mode=m,
                                           include_last_offset=True, padding_idx=4))
case("embedding_bag weights", [(5, 3), (6,)],
     lambda t, w: F.embedding_bag(i64([4, 0, 0, 2, 1, 3], (6,)), t, i64([0, 4], (2,)), mode="sum", per_sample_weights=w))

case("index_select", [(4, 3)], lambda x: x.index_select(0, i64([3, 0, 3, 3], (4,))))
case("index_select last", [(2, 4)], lambda x: x.index_select(-1, i64([1, 1, 0], (3,))))
case("index_select nothing", [(2, 4)], lambda x: x.index_select(1, i64([], (0,))))
case("index_select 0-d", [()], lambda x: x.index_select(0, i64([0], (1,))))
case("index_add", [(4, 3), (5, 3)], lambda x, s: x.index_add(0, i64([3, 0, 3, 3, 0], (5,)), s))
case("index_add alpha", [(2, 4), (2, 3)], lambda x, s: x.index_add(1, i64([2, 2, 0], (3,)), s, alpha=-1.5))
case("index_add middle", [(2, 3, 2), (2, 4, 2)], lambda x, s: x.index_add(-2, i64([0, 1, 1, 0], (4,)), s))
case("index_copy", [(4, 3), (2, 3)], lambda x, s: x.index_copy(0, i64([3, 0], (2,)), s))
case("index_copy last", [(2, 4), (2, 3)], lambda x, s: x.index_copy(-1, i64([2, 0, 1], (3,)), s))
case("index_copy nothing", [(2, 4), (2, 0)], lambda x, s: x.index_copy(1, i64([], (0,)), s))
case("index_fill", [(4, 3)], lambda x: x.index_fill(0, i64([3, -4, 3], (3,)), 2.5))
case("index_fill last", [(4, 3)], lambda x: x.index_fill(1, i64([1], (1,)), -1))
case("index_fill nothing", [(4, 3)], lambda x: x.index_fill(1, i64([], (0,)), -1))

case("gather", [(2, 4)], lambda x: x.gather(1, i64([3, 3, 0, 1, 1, 1], (2, 3))))
case("gather first", [(3, 4)], lambda x: x.gather(0, i64([2, 0, 2, 2, 0, 1], (3, 2))))
case("gather smaller", [(3, 4, 2)], lambda x: x.gather(-2, i64([3, 0, 3, 3, 1], (1, 5, 1))))
case("gather 0-d", [()], lambda x: x.gather(0, i64([0, 0], (2,))))


# PyTorch gives gradients of the source only where it has the shape of the index.
def part(source, index):
    return source[tuple(slice(n) for n in index.shape)]


def scatter(x, dim, index, source):
    return x.scatter(dim, index, part(source, index))


def scatter_add(x, dim, index, source):
    return x.scatter_add(dim, index, part(source, index))


case("scatter", [(2, 4), (2, 3)], lambda x, s: scatter(x, 1, i64([3, 0, 1, 1, 2, 0], (2, 3)), s))
case("scatter first", [(3, 2), (3, 3)], lambda x, s: scatter(x, 0, i64([1, 2, 2, 0], (2, 2)), s))
case("scatter smaller", [(3, 4, 2), (2, 3, 2)], lambda x, s: scatter(x, -2, i64([3, 0], (1, 2, 1)), s))
case("scatter value", [(2, 4)], lambda x: x.scatter(1, i64([3, 3, 0, 1], (2, 2)), 1.5))
case("scatter value first", [(3, 2)], lambda x: x.scatter(0, i64([2, 2], (1, 2)), -1))
case("scatter value nothing", [(3, 2)], lambda x: x.scatter(0, i64([], (0, 2)), -1))
case("scatter_add", [(2, 4), (2, 3)], lambda x, s: scatter_add(x, 1, i64([3, 3, 1, 1, 1, 1], (2, 3)), s))
case("scatter_add first", [(3, 2), (4, 3)], lambda x, s: scatter_add(x, 0, i64([1, 2, 1, 0, 1, 2, 1, 1], (4, 2)), s))
case("scatter_add smaller", [(3, 4, 2), (2, 3, 2)], lambda x, s: scatter_add(x, -2, i64([3, 3], (1, 2, 1)), s))


def scatter_reduce(x, dim, index, source, how, self):
    return x.scatter_reduce(dim, index, part(source, index), how, include_self=self)


def index_reduce(x, index, source, how, self):  # PyTorch has no sum
    if how == "sum":
        return (x if self else x.index_fill(0, index, 0)).index_add(0, index, source)
    return x.index_reduce(0, index, source, how, include_self=self)


for how in ["sum", "prod", "mean", "amax", "amin"]:
    for self in [True, False]:
        tail = f" {how}" + ("" if self else " without self")
        case("scatter_reduce" + tail, [(2, 4), (2, 3)],
             lambda x, s, h=how, c=self: scatter_reduce(x, 1, i64([3, 0, 3, 3, 2, 0], (2, 3)), s, h, c))
        case("scatter_reduce first" + tail, [(3, 2), (4, 3)],
             lambda x, s, h=how, c=self: scatter_reduce(x, 0, i64([1, 2, 1, 0, 1, 2, 1, 1], (4, 2)), s, h, c))
        case("index_reduce" + tail, [(4, 3), (5, 3)],
             lambda x, s, h=how, c=self: index_reduce(x, i64([3, 0, 3, 3, 0], (5,)), s, h, c))
case("scatter_reduce of zeros", [(5,), (6,)],
     lambda x, s: scatter_reduce(with_zeros(x, 1, 3), 0, i64([0, 0, 1, 2, 2, 4], (6,)), with_zeros(s, 1, 4), "prod", True))
case("take_along_dim", [(2, 4)], lambda x: x.take_along_dim(i64([3, 0, 0], (1, 3)), 1))
case("take_along_dim flat", [(2, 4)], lambda x: x.take_along_dim(i64([7, 0, 7, 3], (2, 2))))
case("take_along_dim both ways", [(1, 4)], lambda x: x.take_along_dim(i64([2, 2, 0], (3, 1)), -1))

case("index", [(4, 3)], lambda x: x[i64([-1, 0, 3, 3], (2, 2))])
case("index second", [(2, 3, 4)], lambda x: x[:, i64([2, -3, 2], (3,))])
case("index both", [(3, 4)], lambda x: x[i64([0, 2], (2, 1)), i64([1, 1, -1], (3,))])
case("index apart", [(2, 3, 4)], lambda x: x[i64([0, 1, 1], (3,)), :, i64([3, 0, 0], (3,))])
case("index mask", [(3, 4)], lambda x: x[mask([1, 0, 1], (3,))])
case("index_put", [(4, 3), (2, 3)], lambda x, v: x.index_put((i64([-1, 0], (2,)),), v))
case("index_put broadcast", [(3, 4), ()], lambda x, v: x.index_put((i64([0, 2], (2, 1)), i64([1, -1], (2,))), v))


def put(x, where, v):
    y = x.clone()
    y[where] = v
    return y


case("index_put apart", [(2, 3, 4), (2, 3)], lambda x, v: put(x, (i64([0, 1], (2,)), slice(None), i64([3, 0], (2,))), v))
case("index_put add", [(4, 3), (4, 3)], lambda x, v: x.index_put((i64([3, 0, 3, 3], (4,)),), v, True))
case("index_put add apart", [(2, 3, 4), (3, 3)],  # the dimensions between in front, then back
     lambda x, v: x.permute(0, 2, 1).index_put((i64([0, 1, 1], (3,)), i64([3, 0, 0], (3,))), v, True).permute(0, 2, 1))
case("index_put mask", [(3, 4), (4,)], lambda x, v: put(x, mask([1, 0, 1], (3,)), v))

case("masked_fill", [(2, 3)], lambda x: x.masked_fill(mask([1, 0, 1], (3,)), -2))
case("masked_fill spreads", [(3,)], lambda x: x.masked_fill(mask([1, 0], (2, 1)), 0.5))
case("masked_fill tensor", [(2, 3), ()], lambda x, v: x.masked_fill(mask([1, 0], (2, 1)), v))
case("masked_select", [(2, 3)], lambda x: x.masked_select(mask([1, 0, 1, 1, 1, 0], (2, 3))))
case("masked_select spreads", [(3,)], lambda x: x.masked_select(mask([1, 0, 1, 1, 1, 0], (2, 3))))
case("masked_select none", [(2, 3)], lambda x: x.masked_select(mask([0, 0], (2, 1))))
case("nonzero", [(4, 2)], lambda x: x * i64([0, 3, 1, 0, -1, 2], (2, 3)).nonzero())
case("nonzero mask", [(2, 1)], lambda x: x * mask([0, 1, 0, 1], (4,)).nonzero())
case("nonzero none", [(0, 2)], lambda x: x * i64([0, 0], (1, 2)).nonzero())
case("one_hot", [(2, 2, 5)], lambda x: x * F.one_hot(i64([0, 4, 2, 2], (2, 2)), 5))
case("one_hot as needed", [(3, 4)], lambda x: x * F.one_hot(i64([0, 3, 1], (3,))))
case("one_hot 0-d", [(3,)], lambda x: x * F.one_hot(i64([1], ()), 3))
