#!/usr/bin/python3
"""Makes corpus/audio: tiny sound files, good, odd and bad. WAV and AIFF bytes are written here, the others by
libsndfile. The names are what audio_corpus_test.cpp expects: good-, odd- (read with a note), bad-, any-."""
import ctypes
import ctypes.util
import math
import os
import random
import struct

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "audio")


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def tone(n, scale, kind):
    return b"".join(struct.pack("<" + kind, kind in "fd" and 0.5 * math.sin(i / 3) or int(scale * 0.5 * math.sin(i / 3)))
                    for i in range(n))


def wav(data=None, code=1, channels=1, rate=8000, bits=16, align=None, promised=None, before=b"", after=b"", fmt=None,
        riff=b"RIFF"):
    data = tone(100, 32767, "h") if data is None else data
    align = channels * bits // 8 if align is None else align
    fmt = struct.pack("<HHIIHH", code, channels, rate, rate * align & 0xFFFFFFFF, align, bits) if fmt is None else fmt
    size = len(data) if promised is None else promised
    body = b"WAVE" + chunk(b"fmt ", fmt) + before + b"data" + struct.pack("<I", size) + data + after
    return riff + struct.pack("<I", len(body)) + body


def aiff(channels=1, frames=100, bits=16, data=None, rate=b"\x40\x0b\xfa\x00" + b"\0" * 6):
    data = b"".join(struct.pack(">h", int(9000 * math.sin(i / 3))) for i in range(100)) if data is None else data
    common = struct.pack(">HIH", channels, frames, bits) + rate
    body = b"AIFF" + b"COMM" + struct.pack(">I", 18) + common + b"SSND" + struct.pack(">III", len(data) + 8, 0, 0) + data
    return b"FORM" + struct.pack(">I", len(body)) + body


class Info(ctypes.Structure):
    _fields_ = [("frames", ctypes.c_int64), ("rate", ctypes.c_int), ("channels", ctypes.c_int), ("format", ctypes.c_int),
                ("sections", ctypes.c_int), ("seekable", ctypes.c_int)]


def coded(form, channels=1, rate=8000, frames=800):
    lib = ctypes.CDLL(ctypes.util.find_library("sndfile"))
    lib.sf_open.restype = ctypes.c_void_p
    path = os.path.join(FOLDER, "temporary")
    info = Info(0, rate, channels, form, 0, 0)
    handle = ctypes.c_void_p(lib.sf_open(path.encode(), 0x20, ctypes.byref(info)))
    samples = (ctypes.c_float * (frames * channels))(*[0.3 * math.sin(i / 5) for i in range(frames * channels)])
    lib.sf_writef_float(handle, samples, ctypes.c_int64(frames))
    lib.sf_close(handle)
    with open(path, "rb") as file:
        data = file.read()
    os.remove(path)
    return data


def extensible(bits, sub, valid=None, channels=2):
    return struct.pack("<HHIIHHHHIH", 0xFFFE, channels, 8000, 8000 * channels * bits // 8, channels * bits // 8, bits, 22,
                       valid or bits, 3, sub) + bytes.fromhex("000000001000800000aa00389b71")


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for name in os.listdir(FOLDER):
        os.remove(os.path.join(FOLDER, name))
    nan, inf = struct.pack("<f", math.nan), struct.pack("<f", math.inf)
    flac, flac24 = coded(0x170002), coded(0x170003, 2, 44100)
    vorbis, opus, mp3 = coded(0x200060), coded(0x200064, 1, 48000), coded(0x230082, 1, 8000)
    files = {
        "good-pcm8.wav": wav(bytes(range(100)), bits=8), "good-pcm16.wav": wav(), "good-rate.wav": wav(rate=192000),
        "good-pcm24.wav": wav(bytes(300), bits=24), "good-pcm32.wav": wav(tone(50, 2**31 - 1, "i"), bits=32),
        "good-float.wav": wav(tone(50, 1, "f"), code=3, bits=32), "good-double.wav": wav(tone(50, 1, "d"), code=3, bits=64),
        "good-alaw.wav": wav(bytes(range(100)), code=6, bits=8), "good-mulaw.wav": wav(bytes(range(100)), code=7, bits=8),
        "odd-8channels.wav": wav(tone(80, 9000, "h"), channels=8), "odd-64channels.wav": wav(bytes(256), channels=64),
        "odd-extensible.wav": wav(fmt=extensible(16, 1)), "odd-20bits.wav": wav(bytes(120), fmt=extensible(24, 1, 20)),
        "good-chunks.wav": wav(before=chunk(b"LIST", b"INFOx") + chunk(b"fact", b"abcd"), after=chunk(b"cue ", bytes(4))),
        "odd-stream.wav": wav(promised=0xFFFFFFFF), "odd-zero.wav": wav(promised=0), "odd-promise.wav": wav(promised=100000),
        "odd-part.wav": wav(tone(100, 9000, "h") + b"\1"), "odd-loud.wav": wav(struct.pack("<ff", 0, 3), code=3, bits=32),
        "odd-cut.wav": wav()[:150], "any-rf64.wav": wav(promised=0xFFFFFFFF, riff=b"RF64"),
        "good-rf64.wav": b"RF64" + b"\xff" * 4 + b"WAVE" + chunk(b"ds64", struct.pack("<QQQI", 280, 200, 100, 0)) +
                         chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)) + b"data" + b"\xff" * 4 +
                         tone(100, 9000, "h"),
        "bad-empty.wav": b"", "bad-text.wav": b"This is a letter, and no sound.\n", "bad-riff.wav": b"RIFF",
        "bad-cut.wav": wav()[:30], "bad-no-data.wav": wav()[:36], "bad-no-samples.wav": wav(b""),
        "bad-channels0.wav": wav(channels=0, align=2), "bad-channels65.wav": wav(bytes(260), channels=65),
        "bad-rate0.wav": wav(rate=0), "bad-rate-huge.wav": wav(rate=4000000000), "bad-bits0.wav": wav(bits=0, align=2),
        "bad-bits12.wav": wav(bits=12, align=2), "bad-align.wav": wav(align=7), "bad-align0.wav": wav(align=0),
        "bad-adpcm.wav": wav(code=2, bits=4, align=256), "bad-ima.wav": wav(code=17, bits=4, align=256),
        "bad-gsm.wav": wav(code=49, bits=0, align=65), "bad-mp3-inside.wav": wav(code=0x55),
        "bad-nan.wav": wav(bytes(8) + nan, code=3, bits=32), "bad-inf.wav": wav(bytes(8) + inf, code=3, bits=32),
        "bad-short-fmt.wav": wav(fmt=bytes(10)), "bad-short-extensible.wav": wav(fmt=extensible(16, 1)[:20]),
        "bad-order.wav": b"RIFF\0\0\0\0WAVE" + chunk(b"data", bytes(100)) + chunk(b"fmt ", bytes(16)),
        "bad-chunk-huge.wav": b"RIFF\0\0\0\0WAVE" + b"LIST\xff\xff\xff\xff" + wav()[12:],
        "any-chunks-many.wav": b"RIFF\0\0\0\0WAVE" + b"JUNK\0\0\0\0" * 600 + wav()[12:],
        "any-rifx.wav": b"RIFX" + wav()[4:], "any-two-fmt.wav": wav(before=chunk(b"fmt ", struct.pack(
            "<HHIIHH", 1, 2, 16000, 64000, 4, 16))),
        "good-pcm16.aiff": aiff(), "odd-promise.aiff": aiff(frames=5000), "odd-cut.aiff": aiff()[:150],
        "bad-channels0.aiff": aiff(channels=0), "bad-bits.aiff": aiff(bits=7), "bad-cut.aiff": aiff()[:30],
        "any-rate.aiff": aiff(rate=b"\xff" * 10), "any-aifc.aiff": aiff().replace(b"AIFF", b"AIFC"),
        "good-16.flac": flac, "odd-24.flac": flac24, "any-cut.flac": flac[:len(flac) * 2 // 3], "bad-cut.flac": flac[:20],
        "bad-head.flac": b"fLaC" + b"\xff" * 60, "good-vorbis.ogg": vorbis, "bad-no-end.ogg": vorbis[:-100],
        "bad-cut.ogg": vorbis[:200], "good-opus.ogg": opus, "bad-head.ogg": b"OggS" + bytes(100), "any-tone.mp3": mp3,
        "any-cut.mp3": mp3[:len(mp3) // 2], "bad-head.mp3": b"\xff\xfb\x90\x64" + bytes(20), "bad-id3.mp3": b"ID3" + bytes(50),
        "bad-caf.caf": b"caff\0\1\0\0" + bytes(60), "bad-au.au": b".snd" + bytes(60), "bad-w64.w64": b"riff" + bytes(60),
        "bad-voc.voc": b"Creative Voice File\x1a" + bytes(60),
    }
    dice = random.Random(1)
    for kind, seed in (("wav", wav()), ("flac", flac), ("ogg", vorbis), ("mp3", mp3), ("aiff", aiff())):
        for n in range(2):
            data = bytearray(seed)
            for _ in range(6):
                data[dice.randrange(len(data))] = dice.randrange(256)
            files[f"any-changed{n}.{kind}"] = bytes(data)
    for name, data in files.items():
        with open(os.path.join(FOLDER, name), "wb") as file:
            file.write(data)
    print(len(files), "files,", sum(map(len, files.values())), "bytes")


main()
