#!/usr/bin/python3
"""Makes the files of torch_file_test.cpp and npy_test.cpp with PyTorch and NumPy: NAME.pth beside NAME.npz, which holds
the same tensors by their paths (bf16 as f32). Run it with Debian's python3-torch; the result does
not depend on time, but the older format has addresses in it."""
import collections
import os

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(1)


def flat(value, path=""):
    below = lambda key: f"{path}.{key}" if path else str(key)
    if isinstance(value, torch.Tensor):
        x = value.detach()
        x = x.float() if x.dtype == torch.bfloat16 else x
        yield path, np.ascontiguousarray(x.numpy()).reshape(x.shape)
    elif isinstance(value, dict):
        for key, v in value.items():
            yield from flat(v, below(key))
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            yield from flat(v, below(i))


def save(name, value, **options):
    torch.save(value, os.path.join(HERE, name + ".pth"), **options)
    np.savez(os.path.join(HERE, name + ".npz"), **dict(flat(value)))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(5, 4)
        self.conv = torch.nn.Conv1d(4, 6, 3, dilation=2)
        self.norm = torch.nn.BatchNorm1d(6)
        self.gru = torch.nn.GRU(6, 3, 2, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(6, 2)


net = Net()
net.norm.running_mean += 0.5
save("state_dict", net.state_dict())
save("protocol4", net.state_dict(), pickle_protocol=4)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
net.head(torch.randn(3, 6)).sum().backward()
optimizer.step()
training = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "step": 12, "loss": 0.25,
            "best": np.float64(1.5), "name": "na\u00efve", "none": None, "flags": [True, False],
            "large": 1 << 40, "size": torch.Size([3, 4]), "device": torch.device("cpu")}
save("training", training)
base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
views = {"whole": base, "transposed": base.t(), "row": base[2], "strided": base[1:, ::2], "scalar": base[3, 5],
         "expanded": base[:1].expand(3, 6), "empty": base[:0], "parameter": torch.nn.Parameter(torch.ones(2))}
save("views", views)
save("dtypes", {"f64": torch.randn(3).double(), "f16": torch.randn(5).half(), "bf16": torch.randn(5).bfloat16(),
                "i64": torch.tensor([-(1 << 62), 7]), "i32": torch.tensor([-5, 7], dtype=torch.int32),
                "i16": torch.tensor([-300, 7], dtype=torch.int16), "i8": torch.tensor([-128, 127], dtype=torch.int8),
                "u8": torch.tensor([0, 255], dtype=torch.uint8), "bool": torch.tensor([True, False, True])})
normed = torch.nn.utils.weight_norm(torch.nn.Conv1d(2, 3, 2))
state = normed.state_dict()
new = collections.OrderedDict((k.replace("weight_g", "parametrizations.weight.original0")
                               .replace("weight_v", "parametrizations.weight.original1"), v) for k, v in state.items())
save("weight_norm", {"old": state, "new": new})
np.savez(os.path.join(HERE, "weight_norm_folded.npz"), weight=normed.weight.detach().numpy())

# Arrays by themselves.
a = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
np.savez_compressed(os.path.join(HERE, "orders.npz"), c=a, fortran=np.asfortranarray(a), big=a.astype(">f4"),
                    big_fortran=np.asfortranarray(a.astype(">f8")), scalar=np.float64(3), empty=np.zeros((0, 3), np.int64))
torch.save(torch.nn.Linear(2, 2), os.path.join(HERE, "module.pth"))
torch.save(net.head.state_dict(), os.path.join(HERE, "legacy.pth"), _use_new_zipfile_serialization=False)
torch.save(training, os.path.join(HERE, "legacy_training.pth"), _use_new_zipfile_serialization=False)
torch.save(views, os.path.join(HERE, "legacy_views.pth"), _use_new_zipfile_serialization=False)
torch.jit.script(torch.nn.Linear(2, 2)).save(os.path.join(HERE, "script.pth"))
