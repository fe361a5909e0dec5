import torch
import torch.nn.functional as F

from golden import case

case("mm", [(3, 4), (4, 2)], torch.mm)
case("mv", [(3, 4), (4,)], torch.mv)
for a, b in [((2, 3, 4), (2, 4, 2)), ((1, 1, 5), (1, 5, 3)), ((2, 3, 0), (2, 0, 2)), ((0, 3, 2), (0, 2, 2))]:
    case("bmm [" + ",".join(map(str, a)) + "]", [a, b], torch.bmm)
for n in [1, 5, 0]:
    case(f"dot {n}", [(n,), (n,)], torch.dot)
case("outer", [(3,), (4,)], torch.outer)
case("outer one", [(1,), (4,)], torch.outer)
case("outer empty", [(0,), (4,)], torch.outer)
for shape in [(3, 2), (2,), (3, 1), (1,), ()]:
    text = "[" + ",".join(map(str, shape)) + "]"
    case("addmm " + text, [shape, (3, 4), (4, 2)], torch.addmm)
    case("addmm scaled " + text, [shape, (3, 4), (4, 2)], lambda x, a, b: torch.addmm(x, a, b, beta=0.5, alpha=-1.5))
    case("baddbmm " + text, [shape, (2, 3, 4), (2, 4, 2)], lambda x, a, b: torch.baddbmm(x, a, b, beta=-0.5, alpha=2))
case("addmm beta 0", [(3, 4), (4, 2)], lambda a, b: torch.addmm(torch.full((2,), torch.inf), a, b, beta=0))

for equation, shapes in [
        ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("bij,bkj->bik", [(2, 3, 4), (2, 2, 4)]),
        ("ii->i", [(3, 3)]), ("ii", [(3, 3)]), ("iji->j", [(2, 3, 2)]), ("iii->i", [(2, 2, 2)]),
        ("ij->ji", [(2, 3)]), ("ba", [(2, 3)]), ("bA", [(2, 3)]), ("ij->", [(2, 3)]), ("ij->j", [(2, 3)]),
        ("i,i->", [(4,), (4,)]), ("i,j->ij", [(2,), (3,)]), ("i,i->i", [(4,), (4,)]), (",i->i", [(), (3,)]),
        ("...ij,...jk->...ik", [(2, 1, 2, 3), (3, 3, 2)]), ("...i->...", [(2, 3, 4)]), ("i...->i", [(2, 3, 2)]),
        ("...,...", [(2, 3), (3,)]), ("b...i,ij->b...j", [(2, 2, 3), (3, 4)]), (" i j , j k -> i k ", [(2, 2), (2, 3)]),
        ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 4)]), ("i,ij,j->", [(2,), (2, 3), (3,)]),
        ("bhqd,bhkd->bhqk", [(2, 2, 3, 2), (2, 2, 2, 2)]), ("bn,anm,bm->ba", [(2, 3), (2, 3, 2), (2, 2)]),
        ("abc,cd,be->aed", [(2, 2, 3), (3, 2), (2, 2)]), ("ij,jk->k", [(2, 1), (3, 4)]), ("i,ij->j", [(0,), (0, 2)]),
        ("ijk,ilm,njm,nlk,abc->", [(2, 2, 1), (2, 2, 2), (2, 2, 2), (2, 2, 1), (1, 2, 2)])]:
    case("einsum " + equation, shapes, lambda *x, e=equation: torch.einsum(e, *x))

for p in [2, 1, 3, 1.5, 0, torch.inf]:
    tail = f" {p:f}"
    case("cdist" + tail, [(3, 4), (2, 4)], lambda a, b, p=p: torch.cdist(a, b, p))
    if p != 0:  # a count has no gradient
        case("pairwise_distance" + tail, [(3, 2), (2,)] if p == torch.inf else [(3, 5), (3, 5)],
             lambda a, b, p=p: F.pairwise_distance(a, b, p))
    case("normalize" + tail, [(2, 3, 2)], lambda x, p=p: F.normalize(x, p))
case("cdist batches", [(2, 1, 3, 2), (3, 2, 2)], torch.cdist)
case("cdist no columns", [(2, 0), (3, 0)], torch.cdist)
case("cdist with itself", [(3, 2)], lambda x: torch.cdist(x, x * 1))
case("pairwise_distance keepdim", [(2, 3), (3,)], lambda a, b: F.pairwise_distance(a, b, 2, 0.1, True))
case("normalize small", [(2, 3)], lambda x: F.normalize(x, 2, -1, 2.5))
case("normalize first", [(2, 3)], lambda x: F.normalize(x, 2, 0))
case("cosine_similarity", [(2, 3, 2), (2, 3, 2)], F.cosine_similarity)
case("cosine_similarity last", [(2, 1, 3), (4, 3)], lambda a, b: F.cosine_similarity(a, b, -1))
case("cosine_similarity 1-d", [(4,), (4,)], lambda a, b: F.cosine_similarity(a, b, 0))
case("mm of another order", [(4, 3), (2, 4)], lambda a, b: torch.mm(a.T, b.T))
case("mm no inner", [(3, 0), (0, 2)], torch.mm)
case("mv of another order", [(4, 3), (4,)], lambda a, x: torch.mv(a.T, x))
case("mv no inner", [(3, 0), (0,)], torch.mv)
