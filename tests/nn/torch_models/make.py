#!/usr/bin/python3
"""Files made and opened by PyTorch for torch_models_test.cpp. Needs Debian's python3-torch (1.13.1 made the files).

  make.py                 writes NAME.pth, NAME.npz (input.0, output.0) and models.json beside it: the networks of models.py
  make.py layers FOLDER   the same there for every case of ../golden: I.pth, I.npz and cases.json
  make.py open FOLDER     opens ours of both: FOLDER/cases.json names the module, NAME.pth, NAME.safetensors and NAME.npz,
                          whose outputs PyTorch must give after load_state_dict(strict=True)
"""
import importlib
import json
import pathlib
import struct
import sys

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "golden")]
import layer_case  # f64 from here on
import models


def read_safetensors(path):  # the format has no more to it
    kinds = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    state = {}
    for name, said in json.loads(data[8:start]).items():
        if name != "__metadata__":
            first, last = said["data_offsets"]
            x = np.frombuffer(data[start + first:start + last], kinds[said["dtype"]])
            state[name] = torch.from_numpy(x.reshape(said["shape"]).copy())
    return state


def load(path, **options):
    try:
        return torch.load(path, weights_only=True, **options)
    except TypeError:  # PyTorch before 1.13
        return torch.load(path, **options)


def codes():
    return torch.arange(2 * 20).reshape(2, 20) * 7 % 19


def save_arrays(path, inputs, outputs):
    arrays = {f"input.{i}": x for i, x in enumerate(inputs)} | {f"output.{i}": y for i, y in enumerate(outputs)}
    np.savez(path, **{name: x.detach().numpy() for name, x in arrays.items()})


def listed(y):
    return [y] if isinstance(y, torch.Tensor) else list(y)


def make_models():
    cases = []
    for name, (hparams, make) in models.MODELS.items():
        torch.manual_seed(len(cases))
        model = make().float()
        state = model.state_dict()
        if name == "gru_checkpoint":  # as a training script on several GPUs saves it
            adam = torch.optim.Adam(model.parameters(), lr=1e-3)
            model(codes()).sum().backward()
            adam.step()
            state = {"epoch": 3, "model": torch.nn.DataParallel(model).state_dict(), "optimizer": adam.state_dict(),
                     "args": {"lr": 1e-3, "name": "gru"}}
        torch.save(state, HERE / f"{name}.pth")
        save_arrays(HERE / f"{name}.npz", [codes()], [model.double()(codes())])  # of these weights, computed in f64
        cases.append({"name": name, "hparams": hparams})
    (HERE / "models.json").write_text(json.dumps(cases, indent=1) + "\n")


def layer_cases():
    for path in sorted((HERE.parent / "golden").glob("*.py")):
        if path.stem not in ("layer_case", "make", "features"):  # features have no state, and need torchaudio
            importlib.import_module(path.stem)
    return layer_case.cases


def inputs_of(given):
    out = []
    for i, x in enumerate(given):
        if isinstance(x, torch.Tensor):
            out.append(x)
        else:
            shape, low, high = x if len(x) == 3 and isinstance(x[0], tuple) else (x, -1, 1)
            out.append(layer_case.spread(shape, low, high, i))
    return out


def make_layers(folder):
    said = []
    for i, (name, hparams, module, given, fn, train, _) in enumerate(layer_cases()):
        if i in layer_case.options:  # golden_test compares what else is asked of attention
            continue
        module.train(train)
        inputs = inputs_of(given)
        torch.save(module.state_dict(), folder / f"{i}.pth")
        save_arrays(folder / f"{i}.npz", inputs, listed(fn(module, *inputs)))
        said.append({"name": str(i), "title": name, "type": type(module).__name__, "hparams": hparams, "train": train})
    (folder / "cases.json").write_text(json.dumps(said))


def open_ours(folder):
    cases = layer_cases()
    opened = 0
    for said in json.loads((folder / "cases.json").read_text()):
        name = said["name"]
        if name.isdigit():
            _, _, module, _, fn, train, _ = cases[int(name)]
            module.train(train)
        else:
            module, fn = models.MODELS[name][1]().double(), lambda m, x: m(x)
        arrays = np.load(folder / f"{name}.npz")
        inputs = [torch.from_numpy(arrays[k]) for k in arrays.files if k.startswith("input.")]
        for state in (load(folder / f"{name}.pth"), read_safetensors(folder / f"{name}.safetensors")):
            module.load_state_dict(state, strict=True)
            for i, y in enumerate(listed(fn(module, *inputs))):
                want = arrays[f"output.{i}"]
                got = y.detach().numpy()
                assert got.shape == want.shape, (said, got.shape, want.shape)
                assert np.all(np.abs(got - want) <= 1e-11 * (np.abs(want) + np.abs(want).max(initial=0))), said
            opened += 1
    print("opened", opened, "files of ours")


if len(sys.argv) == 1:
    make_models()
elif sys.argv[1] == "layers":
    make_layers(pathlib.Path(sys.argv[2]))
else:
    open_ours(pathlib.Path(sys.argv[2]))
