#!/usr/bin/python3
"""Prints the numbers of optim_test.cpp and schedule_test.cpp that come from PyTorch (1.13, Debian's python3-torch)."""
import torch

KINDS = [
    (torch.optim.Adam, {"weight_decay": 0.05}),
    (torch.optim.AdamW, {"weight_decay": 0.05}),
    (torch.optim.SGD, {}),
    (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.25, "weight_decay": 0.05}),
    (torch.optim.SGD, {"momentum": 0.5, "nesterov": True}),
    (torch.optim.RMSprop, {}),
    (torch.optim.RMSprop, {"alpha": 0.75, "weight_decay": 0.05, "momentum": 0.5, "centered": True}),
    (torch.optim.Adagrad, {}),
    (torch.optim.Adagrad, {"lr_decay": 0.1, "weight_decay": 0.05, "initial_accumulator_value": 0.5}),
]
for kind, options in KINDS:
    w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    optimizer = kind([w], lr=0.1, **options)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=10, cycle_momentum=False)
    rates = []
    for t in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        w.grad = torch.tensor([0.5 - 0.2 * t, 0.25 * t, -1.0 / (t + 1)], dtype=torch.float64)
        optimizer.step()
        if t < 9:
            schedule.step()
    print(kind.__name__, options, [repr(float(x)) for x in w])
    print("  state", {k: v.tolist() if torch.is_tensor(v) else v for k, v in optimizer.state[w].items()})
print("rates", rates)
