#!/usr/bin/env python3
"""Kernels, training steps and generation on a GPU beside PyTorch's on the same device, in turns. Medians.
    python3 bench/peers/gpu.py build/bin/gpu_peer [--rounds N] [--filter TEXT] [--json FILE] [--markdown FILE]
                               [--compile [--compile-seconds N]]
--compile: at the end, training steps beside torch.compile too; one that takes more than 120 s in all is left out.
The program may have arguments: 'run.sh gpu_peer'. TF32 is off on both sides. Shares are of the copy bandwidth that was
measured here. Without PyTorch our side alone is measured."""
import argparse
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--filter", default="", help="rows whose name holds this text")
parser.add_argument("--json", help="also write the rows to this file")
parser.add_argument("--markdown", help="also write a table to this file")
parser.add_argument("--compile", action="store_true", help="also time training steps under torch.compile")
parser.add_argument("--compile-seconds", type=int, default=120, help="that each of them may take in all")
parser.add_argument("--compiled-step", help=argparse.SUPPRESS)
args = parser.parse_args()

try:
    import torch
    import torch.nn.attention
    import torch.nn.functional as F
    here = torch.cuda.is_available()
except ImportError:
    here = False
if not here:
    print("gpu.py: no PyTorch with CUDA here: our side alone")


def draw(shape, dtype):
    return (torch.randn(shape, device="cuda") * 0.05).to(dtype)


def forward(shapes, dtype, f):
    x = [draw(s, dtype) for s in shapes]

    @torch.no_grad()
    def run():
        f(*x)

    return run


def both_ways(shapes, dtype, f):
    leaves = [draw(s, dtype).requires_grad_() for s in shapes]

    def run():
        for x in leaves:
            x.grad = None
        f(*leaves).sum().backward()

    return run


def wavenet(residual, skip):
    class WaveNet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            conv = torch.nn.Conv1d
            self.dilations = [2**i for _ in range(3) for i in range(10)]
            self.embedding = torch.nn.Embedding(256, residual)
            self.convs = torch.nn.ModuleList(conv(residual, 2 * residual, 2, dilation=d) for d in self.dilations)
            self.skips = torch.nn.ModuleList(conv(residual, skip, 1) for _ in self.dilations)
            self.residuals = torch.nn.ModuleList(conv(residual, residual, 1) for _ in self.dilations[1:])
            self.head = torch.nn.ModuleList([conv(skip, skip, 1), conv(skip, 256, 1)])

        def forward(self, codes):
            x, total = self.embedding(codes).transpose(1, 2), 0
            for i, d in enumerate(self.dilations):
                signal, gate = self.convs[i](F.pad(x, (d, 0))).chunk(2, 1)
                y = torch.tanh(signal) * torch.sigmoid(gate)
                total = total + self.skips[i](y)
                if i < len(self.residuals):
                    x = x + self.residuals[i](y)
            return self.head[1](F.relu(self.head[0](F.relu(total))))

    return WaveNet().cuda()


def training(residual, skip, dtype, compiled=False):
    net = wavenet(residual, skip)
    adam = torch.optim.Adam(net.parameters(), fused=True)
    codes = torch.randint(256, (16, 4000), device="cuda")
    targets = torch.randint(256, (16, 4000), device="cuda")

    def loss():
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            return F.cross_entropy(net(codes).float(), targets)

    if compiled:
        loss = torch.compile(loss)

    def step():
        adam.zero_grad()
        loss().backward()
        adam.step()

    return step


def flash_attention(q, k, v):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def generation(residual, skip, batch, samples):
    """A loop with a ring buffer for each layer; `samples` of them, told as 1000."""
    net = wavenet(residual, skip).eval()
    taps = [c.weight.permute(0, 2, 1).reshape(2 * residual, -1).detach() for c in net.convs]
    flat = [[(c.weight[:, :, 0].detach(), c.bias.detach()) for c in group]
            for group in (net.skips, net.residuals, net.head)]
    rings = [torch.zeros(d, batch, residual, device="cuda") for d in net.dilations]
    state = {"codes": torch.full((batch,), 128, device="cuda"), "time": 0}

    @torch.no_grad()
    def run():
        for _ in range(samples):
            x, total = F.embedding(state["codes"], net.embedding.weight), 0
            for i, d in enumerate(net.dilations):
                place = state["time"] % d
                u = F.linear(torch.cat([rings[i][place], x], 1), taps[i], net.convs[i].bias)
                rings[i][place] = x
                signal, gate = u.chunk(2, 1)
                y = torch.tanh(signal) * torch.sigmoid(gate)
                total = total + F.linear(y, *flat[0][i])
                if i < len(flat[1]):
                    x = x + F.linear(y, *flat[1][i])
            logits = F.linear(F.relu(F.linear(F.relu(total), *flat[2][0])), *flat[2][1])
            state["codes"] = torch.multinomial(torch.softmax(logits, 1), 1)[:, 0]
            state["time"] += 1

    run.times = 1000 / samples
    return run


def recurrent(kind, dtype):
    net = kind(512, 512, batch_first=True).cuda().to(dtype)
    x = draw((64, 512, 512), dtype).requires_grad_()

    def run():
        net.zero_grad()
        x.grad = None
        net(x)[0].sum().backward()

    return run


def transform(n, hop, back):
    x, window = draw((16, 44100 * 60), torch.float32), torch.hann_window(n, device="cuda")
    there = lambda: torch.stft(x, n, hop, window=window, return_complex=True)
    spectra = there() if back else None
    return (lambda: torch.istft(spectra, n, hop, window=window)) if back else there


LARGE, WIDE, MIB = (64 << 20,), (65536, 1024), 1 << 20
ROWS = {}  # name: (PyTorch's run, bytes moved, operations)


def add_rows():
    f32 = torch.float32 if here else None
    plain = [("copy 256 MiB", [LARGE], lambda x: x.clone(), 512),
             ("add 256 MiB", [LARGE, LARGE], lambda a, b: a + b, 768),
             ("tanh 256 MiB", [LARGE], lambda x: torch.tanh(x), 512),
             ("gelu 256 MiB", [LARGE], lambda x: F.gelu(x), 512),
             ("sum 256 MiB", [LARGE], lambda x: x.sum(), 256),
             ("sum rows 64k x 1k", [WIDE], lambda x: x.sum(1), 256),
             ("sum columns 64k x 1k", [WIDE], lambda x: x.sum(0), 256),
             ("softmax 64k x 1k", [WIDE], lambda x: torch.softmax(x, 1), 512),
             ("layer norm 64k x 1k", [WIDE, (1024,), (1024,)], lambda x, w, b: F.layer_norm(x, (1024,), w, b), 512),
             ("cumsum 64k x 1k", [WIDE], lambda x: x.cumsum(1), 512),
             ("sort 16k x 1k", [(16384, 1024)], lambda x: x.sort(1), 0)]
    for name, shapes, f, mib in plain:
        ROWS[name] = (lambda shapes=shapes, f=f: forward(shapes, f32, f), mib * MIB, 0)
    for dtype, s in ((f32, ""), (torch.bfloat16 if here else None, " bf16")):
        for m, n, k in ((4096, 4096, 4096), (16384, 128, 64), (16384, 256, 64), (1024, 1024, 1024), (512, 64, 256)):
            ROWS[f"matmul {m}x{n}x{k}{s}"] = (
                lambda m=m, n=n, k=k, t=dtype: forward([(m, k), (k, n)], t, lambda a, b: a @ b), 0, 2 * m * n * k)
        for r in (64, 128):
            ROWS[f"conv1d R={r} both ways{s}"] = (
                lambda r=r, t=dtype: both_ways([(16, r, 4000), (2 * r, r, 2), (2 * r,)], t, lambda x, w, b: F.conv1d(
                    F.pad(x, (64, 0)), w, b, dilation=64)), 0, 3 * 2 * 16 * 4000 * 2 * r * r * 2)
            ROWS[f"conv1d R={r} both ways{s}, cudnn"] = (lambda: None, 0, 3 * 2 * 16 * 4000 * 2 * r * r * 2)
        for r, k in ((64, 256), (128, 512)):
            ROWS[f"wavenet training step R={r} S={k}{s}"] = (lambda r=r, k=k, t=dtype: training(r, k, t), 0, 0)
            ROWS[f"wavenet training step R={r} S={k}{s}, layers cublas"] = (lambda: None, 0, 0)  # ours by that library
        heads = [(4, 16, 2048, 64)] * 3
        ROWS[f"attention 4 x 16 heads of 64, 2048 steps{s}"] = (
            lambda h=heads, t=dtype: both_ways(h, t, lambda q, k, v: F.scaled_dot_product_attention(
                q, k, v, is_causal=True)), 0, 0)
        if s:  # beside its flash kernel, whatever it would choose
            ROWS[f"attention 4 x 16 heads of 64, 2048 steps{s}, flash"] = (
                lambda h=heads, t=dtype: both_ways(h, t, flash_attention), 0, 0)
    for kind in ("GRU", "LSTM"):
        for s, dtype in (("", torch.float32), (" bf16", torch.bfloat16)):
            row = f"{kind.lower()} 64x512 steps of 512{s}"
            ROWS[row] = (lambda kind=kind, t=dtype: recurrent(getattr(torch.nn, kind), t), 0, 0)
            ROWS[row + ", steps"] = (lambda: None, 0, 0)  # ours with a few launches a step
            ROWS[row + ", cudnn"] = (lambda: None, 0, 0)  # the library's layer, called by us
    for n, hop in ((2048, 512), (1200, 300)):
        for op in ("stft", "istft"):
            row = f"{op} {n}/{hop} of 16 minutes"
            ROWS[row] = (lambda n=n, hop=hop, op=op: transform(n, hop, op == "istft"), 0, 0)
            ROWS[row + ", cufft"] = (lambda: None, 0, 0)  # our side by that library
    for r, k in ((64, 256), (32, 128)):
        for b in (1, 128):
            ROWS[f"wavenet generation R={r} S={k} batch {b}, 1000 samples"] = (
                lambda r=r, k=k, b=b: generation(r, k, b, 50), 0, 0)


def timed(run):
    torch.cuda.synchronize()
    n = 1
    while True:
        start = time.perf_counter()
        for _ in range(n):
            run()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        if seconds > 0.05 or n >= 1024:
            return seconds / n * getattr(run, "times", 1)
        n *= 4


def compiled_step(residual, skip, dtype):
    """In a process of its own: prints the seconds of a training step under torch.compile, or "none" and why."""
    try:
        run = training(residual, skip, dtype, True)
        timed(run)
        print(statistics.median(timed(run) for _ in range(args.rounds)))
    except Exception as error:
        print("none", type(error).__name__ + ":", (str(error).splitlines() or [""])[0])


def compiled(step):
    """The same, asked of such a process: seconds or None, and why there are none."""
    if not here:
        return None, "no PyTorch"
    if not hasattr(torch, "compile"):
        return None, f"PyTorch {torch.__version__} has no torch.compile"
    words = [sys.executable, __file__, args.program, "--compiled-step", step, "--rounds", str(args.rounds)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             start_new_session=True)
    try:
        answer = (child.communicate(timeout=args.compile_seconds)[0].splitlines() or ["none it ended"])[-1]
        return (None, answer[5:]) if answer.startswith("none") else (float(answer), "")
    except subprocess.TimeoutExpired:
        return None, f"not done after {args.compile_seconds} s"
    except ValueError:
        return None, answer
    finally:  # with the compilers that it started
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def main():
    if here:
        torch.manual_seed(1)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if args.compiled_step:
        residual, skip, name = args.compiled_step.split()
        return compiled_step(int(residual), int(skip), getattr(torch, name))
    add_rows()
    own = subprocess.Popen([*shlex.split(args.program), "cuda"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           text=True)

    def own_round(name):
        own.stdin.write(name + "\n")
        own.stdin.flush()
        answer = own.stdout.readline().split(maxsplit=1)
        if not answer:
            sys.exit(f"gpu.py: {args.program} ended at {name!r}")
        return (float(answer[0]), float(answer[1])) if answer[0] != "none" else answer[1]

    def add_line(name, a, b, notes):
        rows.append({"row": name, "tapedeck_seconds": a, "pytorch_seconds": b, "ratio": b / a if a and b else None,
                     "notes": notes})
        show = lambda t: f"{t * 1e3:10.3f}ms" if t else f"{'-':>12}"
        lines.append(f"{name:48}{show(a)}{show(b)}{b / a if a and b else float('nan'):8.2f}  {', '.join(notes)}")
        print(lines[-1], flush=True)

    names = [name for name in ROWS if args.filter in name]
    about = f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}" if here else "no PyTorch"
    print(f"{about}, {args.rounds} rounds, medians")
    lines, rows, ceiling, peak = [], [], None, None
    head = f"{'':48}{'tapedeck':>12}{'PyTorch':>12}{'ratio':>8}  "
    print(head)
    for name in names:
        make, moved, operations = ROWS[name]
        theirs, mine, failed, other = [], [], "", ""
        try:
            run = make() if here else None
            if run:
                timed(run)
        except Exception as error:  # PyTorch's own failure is a row without its time
            run, other = None, str(error).splitlines()[0]
        for _ in range(args.rounds):
            answer = own_round(name)
            if isinstance(answer, str):
                failed = answer.strip()
                break
            mine.append(answer)
            if run:
                theirs.append(timed(run))
        if run and not theirs:
            theirs.append(timed(run))
        a = statistics.median(t for t, _ in mine) if mine else None
        b = statistics.median(theirs) if theirs else None
        if name.startswith("copy") and (a or b):
            ceiling = moved / min(t for t in (a, b) if t)
        notes = []
        if a and moved:
            share = f" = {100 * moved / a / ceiling:.0f} % of copy" if ceiling else ""
            notes.append(f"{moved / a / 1e9:.0f} GB/s{share}")
        if a and operations:
            notes.append(f"{operations / a / 1e12:.1f} TFLOP/s")
        if name == "matmul 4096x4096x4096" and (a or b):
            peak = operations / min(t for t in (a, b) if t)
        if a and "generation" in name:
            r, k, streams = (int(name.split(word)[1].split()[0].rstrip(",")) for word in ("R=", "S=", "batch "))
            share = 1000 * streams / a * 2 * (30 * (5 * r * r + r * k) + k * k + 256 * k) / peak if peak else 0
            notes.append(f"{1000 * streams / a:.0f} samples/s in all, {1000 / a:.0f} each" +
                         (f"; {100 * share:.1f} % of the large matmul's FLOP/s" if share else ""))
        if mine and "training" in name:
            notes.append(f"{max(m for _, m in mine):.0f} MiB")
        notes += [failed] * bool(failed) + ["PyTorch: " + other] * bool(other)
        add_line(name, a, b, notes)
        del run
        if here:
            torch.cuda.empty_cache()
    if args.compile:
        for r, k, dtype, s in ((64, 256, "float32", ""), (64, 256, "bfloat16", " bf16"),
                               (128, 512, "float32", ""), (128, 512, "bfloat16", " bf16")):
            step, name = f"{r} {k} {dtype}", f"wavenet training step R={r} S={k}{s}"
            if args.filter not in name + ", torch.compile":
                continue
            theirs, why = compiled(step)
            mine = next((row["tapedeck_seconds"] for row in rows if row["row"] == name), None)
            if theirs and not mine:
                answers = [own_round(name) for _ in range(args.rounds)]
                mine = statistics.median(t[0] for t in answers) if not isinstance(answers[0], str) else None
            add_line(name + ", torch.compile", mine, theirs, ["left out: " + why] if why else [])
    own.stdin.close()
    own.wait()
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"about": about, "copy_bytes_per_second": ceiling, "rows": rows}, file, indent=1)
    if args.markdown:
        with open(args.markdown, "w", encoding="utf-8") as file:
            file.write(f"{about}, {args.rounds} rounds, medians\n\n```\n" + "\n".join([head, *lines]) + "\n```\n")


main()
