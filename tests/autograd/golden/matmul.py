import torch
import torch.nn.functional as F

from golden import case

for name, a, b in [("2x2", (3, 4), (4, 2)), ("3x2", (2, 3, 4), (4, 2)), ("2x3", (3, 4), (2, 4, 2)),
                   ("batches", (2, 1, 3, 2), (3, 2, 2)), ("one batch repeats", (2, 1, 3, 2), (2, 3, 2, 2)),
                   ("1x1", (4,), (4,)), ("1x2", (4,), (4, 3)), ("2x1", (3, 4), (4,)), ("1x3", (4,), (2, 4, 3)),
                   ("3x1", (2, 3, 4), (4,)), ("no inner", (3, 0), (0, 2)), ("no rows", (0, 3), (3, 2))]:
    case("matmul " + name, [a, b], torch.matmul)
for shape in [(4,), (3, 4), (2, 3, 4), (2, 2, 2, 4), (0, 4)]:
    text = "[" + ",".join(map(str, shape)) + "]"
    case("linear " + text, [shape, (3, 4), (3,)], F.linear)
    case("linear no bias " + text, [shape, (3, 4)], F.linear)
    case("linear_relu " + text, [shape, (3, 4), (3,)], lambda x, w, b: F.relu(F.linear(x, w, b)))
    case("linear_relu no bias " + text, [shape, (3, 4)], lambda x, w: F.relu(F.linear(x, w)))
