import torch
import torch.nn.functional as F

from golden import case, spread


def c(x):
    return torch.view_as_complex(x.contiguous())


def r(x):
    return torch.view_as_real(x)


for n in [None, 5, 8]:
    for norm in ["backward", "ortho", "forward"]:
        tail = f" {n or 0} {norm}"
        case("fft" + tail, [(2, 6, 2)], lambda x, n=n, m=norm: r(torch.fft.fft(c(x), n, -1, m)))
        case("ifft" + tail, [(2, 6, 2)], lambda x, n=n, m=norm: r(torch.fft.ifft(c(x), n, -1, m)))
        case("rfft" + tail, [(2, 6)], lambda x, n=n, m=norm: r(torch.fft.rfft(x, n, -1, m)))
        case("irfft" + tail, [(2, 4, 2)], lambda x, n=n, m=norm: torch.fft.irfft(c(x), n, -1, m))
case("fft dim 0", [(7, 3, 2)], lambda x: r(torch.fft.fft(c(x), dim=0)))
case("ifft prime", [(17, 2)], lambda x: r(torch.fft.ifft(c(x))))
case("rfft dim 0", [(5, 3)], lambda x: r(torch.fft.rfft(x, dim=0)))
case("irfft dim 0", [(4, 3, 2)], lambda x: torch.fft.irfft(c(x), dim=0))
case("irfft odd dim 0", [(4, 3, 2)], lambda x: torch.fft.irfft(c(x), 7, dim=0))
case("rfft of one", [(3, 1)], lambda x: r(torch.fft.rfft(x)))


def stft(x, n_fft, hop, win, center, normalized, onesided, mode="reflect"):
    w = spread((win,), 0.5, 1.5, 1)
    y = torch.stft(x, n_fft, hop, win, w, center, mode, normalized, onesided, return_complex=True)
    return r(y).transpose(-3, -2)  # ours is [batch, frames, bins, 2]


def istft(x, n_fft, hop, win, center, normalized, length=None):
    w = spread((win,), 0.5, 1.5, 1)
    return torch.istft(c(x.transpose(-3, -2)), n_fft, hop, win, w, center, normalized, True, length)


case("stft", [(2, 20)], lambda x: stft(x, 8, 2, 8, True, False, True))
case("stft one signal", [(20,)], lambda x: stft(x, 8, 3, 8, True, False, True))
case("stft short window", [(2, 20)], lambda x: stft(x, 9, 2, 5, True, True, True))
case("stft not centred", [(2, 20)], lambda x: stft(x, 7, 4, 7, False, False, True))
case("stft two-sided", [(2, 12)], lambda x: stft(x, 6, 3, 4, True, False, False))
case("stft constant pad", [(2, 12)], lambda x: stft(x, 6, 3, 6, True, False, True, "constant"))
case("istft", [(2, 6, 5, 2)], lambda x: istft(x, 8, 2, 8, True, False))
case("istft one signal", [(6, 5, 2)], lambda x: istft(x, 8, 2, 8, True, False))
case("istft short window", [(2, 6, 5, 2)], lambda x: istft(x, 9, 2, 7, True, True))
case("istft length", [(2, 6, 5, 2)], lambda x: istft(x, 8, 2, 8, True, False, 9))
case("complex_mul", [(3, 4, 2), (3, 4, 2)], lambda a, b: r(c(a) * c(b)))
case("complex_conj", [(3, 4, 2)], lambda x: r(c(x).conj().resolve_conj()))
case("complex_abs", [(3, 4, 2)], lambda x: c(x).abs())
case("complex_abs at 0", [(2, 2)], lambda x: c(torch.cat([x * 0, x])).abs())
case("complex_angle", [(3, 4, 2)], lambda x: c(x).angle())
case("polar", [(3, 4), (3, 4)], lambda a, p: r(torch.polar(a, p * 3)), 0.1, 1)
for n in [1, 7, 8]:
    for name in ["hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window"]:
        for periodic in [True, False]:
            case(f"{name} {n} {periodic}", [(n,)],
                 lambda x, f=getattr(torch, name), n=n, p=periodic: x * f(n, periodic=p, dtype=torch.float64))
case("complex_mul row", [(3, 4, 2), (4, 2)], lambda a, b: r(c(a) * c(b)))
case("complex_mul with itself", [(5, 2)], lambda x: r(c(x) * c(x)))
case("complex_conj of one", [(2,)], lambda x: r(c(x).conj().resolve_conj()))
case("complex_conj of a product", [(4, 2)], lambda x: r(c(x).conj() * c(x * 2)))
case("complex_abs large", [(5, 2)], lambda x: c(x * 1e100).abs() / 1e100)
case("complex_angle small", [(5, 2)], lambda x: c(x * 1e-5).angle() * 1e-5)
case("complex_angle of one", [(2,)], lambda x: c(x).angle())
case("polar turns", [(5,), (5,)], lambda a, p: r(torch.polar(a, p * 8 - 4)), 0.1, 1)
case("polar of one", [(), ()], lambda a, p: r(torch.polar(a, p)), 0.1, 1)


def overlap_add(x, hop):
    n = (x.shape[1] - 1) * hop + x.shape[2]
    return F.fold(x.transpose(1, 2), (1, n), (1, x.shape[2]), stride=(1, hop)).reshape(x.shape[0], n)


for hop in [1, 2, 5]:
    case(f"overlap_add {hop}", [(2, 4, 3)], lambda x, h=hop: overlap_add(x, h))
