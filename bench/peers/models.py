#!/usr/bin/env python3
"""Layers, training steps, generation and transforms beside PyTorch's on the same shapes and threads, in turns. Medians;
on one thread of processor time.
    python3 bench/peers/models.py build/bin/model_peer [--threads N] [--rounds N] [--filter TEXT] [--json FILE]
TAPEDECK_PYTHON may name another Python; without PyTorch one line says so and nothing is measured."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

if os.environ.get("TAPEDECK_PYTHON") and not os.environ.get("TAPEDECK_PEER"):
    python = os.environ["TAPEDECK_PYTHON"]
    os.execvpe(python, [python, *sys.argv], {**os.environ, "TAPEDECK_PEER": "1"})

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--filter", default="", help="rows whose name holds this text")
parser.add_argument("--json", help="also write the rows to this file")
args = parser.parse_args()
if args.json:  # better now than behind all the measuring
    try:
        open(args.json, "a", encoding="utf-8").close()
    except OSError as error:
        sys.exit(f"models.py: --json {args.json}: {error.strerror}")
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(args.threads)

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("models.py: PyTorch is not installed (Debian: python3-torch): skipped")
    sys.exit(0)

torch.set_num_threads(args.threads)
torch.manual_seed(1)


def blas():
    """The library behind PyTorch's matrix products, where Debian's alternatives tell."""
    link = "/etc/alternatives/libblas.so.3-x86_64-linux-gnu"
    path = os.path.realpath(link) if os.path.exists(link) else ""
    if path and os.path.dirname(path).endswith("/blas"):
        print("WARNING: PyTorch runs on the reference BLAS, many times slower than it can be; "
              "install libopenblas0-pthread before you believe these ratios")
    return path or "its own"


class WaveNet(torch.nn.Module):
    def __init__(self, residual, skip):
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


def training(residual, skip):
    net = WaveNet(residual, skip)
    adam = torch.optim.Adam(net.parameters())
    codes, targets = torch.randint(256, (4, 4000)), torch.randint(256, (4, 4000))

    def step():
        adam.zero_grad()
        F.cross_entropy(net(codes), targets).backward()
        adam.step()

    return step


def generation(residual, skip, batch):
    """100 samples by a loop with a ring buffer for each layer."""
    net = WaveNet(residual, skip).eval()
    taps = [c.weight.permute(0, 2, 1).reshape(2 * residual, -1).detach() for c in net.convs]
    flat = [[(c.weight[:, :, 0].detach(), c.bias.detach()) for c in group]
            for group in (net.skips, net.residuals, net.head)]
    rings = [torch.zeros(d, batch, residual) for d in net.dilations]
    state = {"codes": torch.full((batch,), 128), "time": 0}

    @torch.no_grad()
    def run():
        for _ in range(100):
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

    return run


def both_ways(shapes, f):
    leaves = [(torch.randn(s) * 0.05).requires_grad_() for s in shapes]

    def run():
        for x in leaves:
            x.grad = None
        f(*leaves).sum().backward()

    return run


def recurrent(kind):
    net = kind(512, 512, batch_first=True)
    x = (torch.randn(64, 512, 512) * 0.05).requires_grad_()

    def run():
        net.zero_grad()
        x.grad = None
        net(x)[0].sum().backward()

    return run


def attention(q, k, v):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = q @ k.transpose(1, 2) / 8
    return torch.softmax(scores.masked_fill(hidden, float("-inf")), -1) @ v


hidden = torch.ones(2048, 2048, dtype=torch.bool).triu(1)


def conv(residual, dilation):
    return both_ways([(4, residual, 4000), (2 * residual, residual, 2), (2 * residual,)],
                     lambda x, w, b: F.conv1d(F.pad(x, (dilation, 0)), w, b, dilation=dilation))


def transform(inverse):
    x, window = torch.randn(44100 * 60), torch.hann_window(2048)
    y = torch.stft(x, 2048, 512, window=window, return_complex=True)
    if inverse:
        return lambda: torch.istft(y, 2048, 512, window=window)
    return lambda: torch.stft(x, 2048, 512, window=window, return_complex=True)


ROWS = {}
for r, s in ((64, 256), (32, 128)):
    name = f"R={r} S={s}"
    for d in (1, 512):
        ROWS[f"conv1d {name} dilation {d}"] = lambda r=r, d=d: conv(r, d)
    ROWS[f"wavenet training step {name}"] = lambda r=r, s=s: training(r, s)
    for b in (1, 16):
        ROWS[f"wavenet generation {name} batch {b}"] = lambda r=r, s=s, b=b: generation(r, s, b)
ROWS["gru 64x512 steps of 512"] = lambda: recurrent(torch.nn.GRU)
ROWS["lstm 64x512 steps of 512"] = lambda: recurrent(torch.nn.LSTM)
ROWS["attention 8 heads of 64, 2048 steps"] = lambda: both_ways([(8, 2048, 64)] * 3, attention)
ROWS["stft 2048/512 of one minute"] = lambda: transform(False)
ROWS["istft 2048/512 of one minute"] = lambda: transform(True)


def peak_mib():
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def timed(run):
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as peak:
        peak.write("5")
    clock = time.process_time if args.threads == 1 else time.perf_counter
    start = clock()
    run()
    return clock() - start, peak_mib()


def main():
    own = subprocess.Popen([args.program, str(args.threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def own_round(name):
        own.stdin.write(name + "\n")
        own.stdin.flush()
        answer = own.stdout.readline().split()
        if len(answer) != 2:
            sys.exit(f"models.py: {args.program} gave no time for {name!r}")
        return float(answer[0]), float(answer[1])

    names = [name for name in ROWS if args.filter in name]
    if not names:
        sys.exit(f"models.py: no row holds {args.filter!r}; the rows are: " + ", ".join(ROWS))
    library = blas()
    print(f"PyTorch {torch.__version__} (BLAS: {library}), {args.threads} thread{'s' * (args.threads > 1)}, "
          f"{args.rounds} rounds, medians")
    print(f"{'':44}{'tapedeck':>12}{'PyTorch':>12}{'ratio':>8}{'MiB':>9}{'MiB':>9}")
    rows = []
    for name in names:
        run = ROWS[name]()
        timed(run)
        mine, theirs = [], []
        for _ in range(args.rounds):
            if args.threads > 1:
                time.sleep(0.1)  # PyTorch's threads wait for work by spinning for a while, on a core that ours need
            mine.append(own_round(name))
            theirs.append(timed(run))
        a, b = (statistics.median(t for t, _ in side) for side in (mine, theirs))
        memory = [max(m for _, m in side) for side in (mine, theirs)]
        rows.append({"row": name, "tapedeck_seconds": a, "pytorch_seconds": b, "ratio": b / a,
                     "tapedeck_peak_mib": memory[0], "pytorch_peak_mib": memory[1]})
        print(f"{name:44}{a * 1e3:10.2f}ms{b * 1e3:10.2f}ms{b / a:8.2f}{memory[0]:9.0f}{memory[1]:9.0f}", flush=True)
        del run
    own.stdin.close()
    own.wait()
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"pytorch": torch.__version__, "blas": library, "threads": args.threads, "rows": rows}, file,
                      indent=1)


main()
