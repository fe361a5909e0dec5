"""Needs Debian's python3-torchaudio (0.13.1) too."""
import torch
import torchaudio.transforms as T
from torch import nn

from layer_case import case

X, SOUND = (2, 47), (2, 93)  # spread() of other sizes may be a line, whose spectrum is hardly there
WINDOWS = {"hann": torch.hann_window, "hamming": torch.hamming_window, "blackman": torch.blackman_window,
           "bartlett": torch.bartlett_window, "kaiser": torch.kaiser_window}


class Stateless(nn.Module):
    """torchaudio's transform without its state: windows and banks follow from the options."""
    def __init__(self, transform):
        super().__init__()
        self.transform = [transform]

    def forward(self, *x):
        return self.transform[0](*x)


def frames_first(m, x):
    return m(x).movedim(-1, -2)


def torchs(options):
    return {k: WINDOWS[v] if k == "window_fn" else v for k, v in options.items()}


def feature(name, type_, options, transform, x, fn=frames_first, **more):
    case(f"{type_} {name}", {"type": type_, **options}, Stateless(transform), x, fn=fn, **more)


FRAMES = {"plain": {"n_fft": 16}, "power 1": {"n_fft": 16, "power": 1.0}, "power 3": {"n_fft": 12, "power": 3.0},
          "short window": {"n_fft": 16, "win_length": 10, "hop_length": 3, "window_fn": "hamming"},
          "padded": {"n_fft": 8, "pad": 5, "normalized": True, "window_fn": "blackman", "pad_mode": "constant"},
          "from the start": {"n_fft": 16, "center": False, "window_fn": "kaiser"},
          "odd": {"n_fft": 15, "window_fn": "bartlett", "pad_mode": "replicate"}}
for name, options in FRAMES.items():
    feature(name, "Spectrogram", options, T.Spectrogram(**torchs(options)), X, accuracy=1e-10)


def pairs(m, x):
    return torch.view_as_real(m(x).movedim(-1, -2).contiguous())


feature("complex", "Spectrogram", {"n_fft": 16, "power": None}, T.Spectrogram(n_fft=16, power=None), X, fn=pairs)


def from_pairs(m, x):
    return m(torch.view_as_complex(x).movedim(-1, -2))


INVERSE = {"plain": {"n_fft": 16}, "short window": {"n_fft": 16, "win_length": 10, "hop_length": 3},
           "normalized": {"n_fft": 16, "normalized": True, "window_fn": "hamming", "hop_length": 4}}
for name, options in INVERSE.items():
    feature(name, "InverseSpectrogram", options, T.InverseSpectrogram(**torchs(options)), (2, 6, 9, 2), fn=from_pairs)

MELS = {"plain": {"n_mels": 4}, "slaney": {"n_mels": 5, "norm": "slaney", "mel_scale": "slaney", "sample_rate": 22050},
        "between": {"n_mels": 3, "f_min": 500.0, "f_max": 3000.0, "sample_rate": 8000, "norm": "slaney"}}
for name, options in MELS.items():
    x = ((2, 5, 33), 0, 2)
    feature(name, "MelScale", {**options, "n_stft": 33}, T.MelScale(**options, n_stft=33), x,
            fn=lambda m, x: m(x.movedim(-1, -2)).movedim(-1, -2))
    frames = {"n_fft": 64, "hop_length": 20}
    feature(name, "MelSpectrogram", {**frames, **options}, T.MelSpectrogram(**frames, **options), SOUND)

LEVELS = ((2, 5, 3), 0, 2)
for name, options in {"powers": {}, "magnitudes": {"stype": "magnitude"}, "near": {"top_db": 3.0}}.items():
    # Each of the batch has a loudest of its own where torchaudio sees channels.
    feature(name, "AmplitudeToDB", options, T.AmplitudeToDB(**options), LEVELS, fn=lambda m, x: m(x[:, None])[:, 0])

for name, options in {"plain": {}, "logarithms": {"log_mels": True}, "sums": {"norm": None}}.items():
    mel = {"n_fft": 64, "hop_length": 20, "n_mels": 6}
    ours = {**options, "norm": "none"} if "norm" in options else options
    case(f"MFCC {name}", {"type": "MFCC", "n_mfcc": 4, **ours, "mel": mel},
         Stateless(T.MFCC(n_mfcc=4, **options, melkwargs=mel)), SOUND,
         fn=lambda m, x: m(x[:, None])[:, 0].movedim(-1, -2))

CODES = torch.arange(40).reshape(2, 20)
case("MuLawEncoding", {"type": "MuLawEncoding"}, Stateless(T.MuLawEncoding()), SOUND)
case("MuLawEncoding in 40", {"type": "MuLawEncoding", "quantization_channels": 40}, Stateless(T.MuLawEncoding(40)),
     SOUND)
for n in [256, 40]:  # of whole numbers torchaudio computes in f32
    case(f"MuLawDecoding of {n}", {"type": "MuLawDecoding", "quantization_channels": n},
         Stateless(T.MuLawDecoding(n)), CODES * (n // 40), fn=lambda m, x: m(x.double()))


class Steps(nn.Module):  # not in torchaudio: the formulas
    def __init__(self, back):
        super().__init__()
        self.back = back

    def forward(self, x):
        return x / 39 * 2 - 1 if self.back else ((x + 1) / 2 * 39 + 0.5).to(torch.int64)


case("LinearEncoding", {"type": "LinearEncoding", "quantization_channels": 40}, Steps(False), SOUND)
case("LinearDecoding", {"type": "LinearDecoding", "quantization_channels": 40}, Steps(True), CODES)
