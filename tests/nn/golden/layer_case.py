"""What the families say their cases with: a layer of ours by its hyper-parameters, beside PyTorch's."""
import torch

torch.set_default_dtype(torch.float64)
SHIFT = [0.37, 0.11, 0.71, 0.9]
cases = []  # of the family that is being imported
options = {}  # by the number of the case


def spread(shape, low, high, which=0):  # the numbers of spread() in tests/autograd/op_table.h
    n = 1
    for size in shape:
        n *= size
    m = max(n, 1)
    v = [low + (high - low) * (((k * 101 + 3 + 5 * which) % m) + SHIFT[which % 4]) / m for k in range(n)]
    return torch.tensor(v, dtype=torch.float64).reshape(shape)


def case(name, hparams, module, *inputs, fn=None, train=False, accuracy=1e-11, attention=None):
    """inputs: shapes, or (shape, low, high), or tensors of codes or constants; fn(module, *inputs) takes them in our
    layout.
    accuracy: of the gradients, where PyTorch itself rounds a constant to f32.
    attention: of MultiheadAttention, masks and whether the weights are an output (average or each)."""
    cases.append((name, hparams, module, inputs, fn or (lambda m, *x: m(*x)), train, accuracy))
    if attention:
        options[len(cases) - 1] = attention


def first(module, x):  # channels last to PyTorch's channels first, and back
    return module(x.movedim(-1, 1)).movedim(1, -1)
