#!/usr/bin/python3
"""Makes corpus/torch and corpus/npy: tiny files, good and bad, by the standard library alone. The names are what
array_corpus_test.cpp expects: good-*, bad-*, and any-* (only to be survived). Bytes that do not begin with PK are a
pickle, see torch_oracle.h."""
import io
import os
import struct
import zipfile

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
FILES = os.path.join(HERE, "..", "..", "io", "torch_files")


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return b"X" + struct.pack("<I", len(s)) + s


def integer(v):
    if 0 <= v < 256:
        return b"K" + bytes([v])
    if -(1 << 31) <= v < 1 << 31:
        return b"J" + struct.pack("<i", v)
    return b"\x8a\x08" + struct.pack("<q", v)


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def glob(name):
    module, _, attribute = name.rpartition(".")
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def storage(kind="Float", key="0", numel=16):
    return tuple_of(text("storage"), glob(f"torch.{kind}Storage"), text(key), text("cpu"), integer(numel)) + b"Q"


def tensor(size=(2, 3), stride=(3, 1), offset=0, hold=None, more=(), **of):
    ints = lambda s: tuple_of(*[integer(v) for v in s])
    return (glob("torch._utils._rebuild_tensor_v2") +
            tuple_of(storage(**of) if hold is None else hold, integer(offset), ints(size), ints(stride), b"\x89",
                     glob("collections.OrderedDict") + b")R", *more) + b"R")


def state(*pairs, more=b""):
    return (b"\x80\x02" + glob("collections.OrderedDict") + b")R(" + b"".join(text(k) + v for k, v in pairs) + b"u" +
            more + b".")


def archive(entries, method=zipfile.ZIP_STORED, **more):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, **more) as z:
        for name, data in entries:
            z.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def streamed(entries):  # sizes behind the data, as a writer that cannot go back has them
    out = io.BytesIO()

    class Pipe:
        def write(self, data):
            return out.write(data)

        def flush(self):
            pass

    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in entries:
            z.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def zip64(entries, field=24, size=0, count=0, end64=0, start=0):  # every number in its 64-bit place; the last move them
    big, out, directory = 0xFFFFFFFF, b"", b""
    for name, data in entries:
        name, crc, n = name.encode(), zipfile.crc32(data), len(data)
        at = len(out)
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0x21, crc, big, big, len(name), 20) + name
        out += struct.pack("<HHQQ", 1, 16, n, n) + data
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0x21, crc, big, big, len(name),
                                 4 + field, 0, 0, 0, 0, big) + name
        directory += struct.pack("<HH", 1, field) + struct.pack("<QQQ", n + size, n + size, at)[:field]
    begin, end = len(out), len(out) + len(directory)
    out += directory + struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, len(entries) + count,
                                   len(entries) + count, len(directory), begin + start)
    out += struct.pack("<IIQI", 0x07064B50, 0, end + end64, 1)
    return out + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, big, big, 0)


def whole(pickle, *more, **options):
    return archive([("x/data.pkl", pickle), ("x/data/0", bytes(64)), ("x/data/1", bytes(16)), *more], **options)


ONE = state(("w", tensor()))
deep = b"\x80\x02" + b"(" * 3000 + b"." 
nested = b"\x80\x02" + b"]" * 200 + b"a" * 199 + b"."
wide = b"\x80\x02](" + b"N" * 500 + b"e."
bomb = b"\x80\x02]q\x00N" + b"a" + b"".join(b"]q" + bytes([i]) + b"(h" + bytes([i - 1]) + b"h" + bytes([i - 1]) + b"e"
                                            for i in range(1, 40)) + b"."
self_list = b"\x80\x02]q\x00h\x00a."
numpy_scalar = (glob("numpy.core.multiarray.scalar") +
                tuple_of(glob("numpy.dtype") + tuple_of(text("f8"), b"\x89", b"\x88") + b"R" +
                         tuple_of(integer(3), text("<"), b"N", b"N", b"N", integer(-1), integer(-1), integer(0)) + b"b",
                         glob("_codecs.encode") + tuple_of(text(b"\0" * 6 + "\u00f8?".encode()), text("latin1")) + b"R") + b"R")


def legacy(content, keys=("0", "1"), storages=None, version=1001, little=b"\x88", more=b""):
    front = b"\x80\x02\x8a\n" + struct.pack("<QH", 0xA86A20F9469CFC6C, 0x1950) + b"."
    front += b"\x80\x02" + integer(version) + b".\x80\x02}(" + text("little_endian") + little + b"u."
    named = b"\x80\x02](" + b"".join(text(k) for k in keys) + b"e."
    if storages is None:
        storages = [(16, bytes(64))] + [(2, bytes(8))] * (len(keys) - 1)
    return front + content + named + b"".join(struct.pack("<q", n) + data for n, data in storages) + more


TWO = state(("w", tensor()), ("b", tensor((2,), (1,), key="1", numel=2)))
torch = {
    "good-legacy": legacy(TWO),
    "good-legacy-pytorch": open(os.path.join(FILES, "legacy.pth"), "rb").read(),
    "good-legacy-training-pytorch": open(os.path.join(FILES, "legacy_training.pth"), "rb").read(),
    "good-legacy-empty": legacy(b"\x80\x02}.", (), []),
    "bad-legacy-version": legacy(TWO, version=1000),
    "bad-legacy-big-endian": legacy(TWO, little=b"\x89"),
    "bad-legacy-cut": legacy(TWO)[:-1],
    "bad-legacy-more": legacy(TWO, more=b"\0"),
    "bad-legacy-front": legacy(TWO)[:40],
    "bad-legacy-numel": legacy(TWO, storages=[(15, bytes(60)), (2, bytes(8))]),
    "bad-legacy-numel-negative": legacy(TWO, storages=[(-1, bytes(64)), (2, bytes(8))]),
    "bad-legacy-numel-huge": legacy(TWO, storages=[(1 << 62, bytes(64)), (2, bytes(8))]),
    "bad-legacy-missing": legacy(TWO, ("0",)),
    "bad-legacy-unknown": legacy(TWO, ("0", "2")),
    "bad-legacy-twice": legacy(TWO, ("0", "0"), [(16, bytes(64))] * 2),
    "bad-legacy-no-list": legacy(TWO)[:-100] + b"\x80\x02N.",
    "bad-legacy-view": legacy(state(("w", tensor(hold=tuple_of(text("storage"), glob("torch.FloatStorage"), text("0"), text("cpu"),
                                                          integer(16), tuple_of(text("1"), integer(0), integer(16))) + b"Q"))), ("0",)),
    "bad-legacy-global": legacy(b"\x80\x02" + glob("os.system") + tuple_of(text("true")) + b"R."),
    "good-one": ONE,
    "good-empty": b"\x80\x02}.",
    "good-none": b"\x80\x02N.",
    "good-protocol4": b"\x80\x04\x95" + struct.pack("<Q", 2) + b"}\x94.",
    "good-stack-global": b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94.",
    "good-views": state(("t", tensor((3, 2), (1, 3))), ("s", tensor((), ())), ("o", tensor((2,), (2,), 5)),
                        ("e", tensor((2, 4), (0, 1))), ("n", tensor((0, 5), (5, 1), 16))),
    "good-kinds": state(*[(k, tensor((2,), (1,), kind=k, numel=n)) for k, n in
                          [("Float", 16)]], *[(k, tensor((2,), (1,), kind=k, key="1", numel=n)) for k, n in [("Short", 8)]]),
    "good-bool": state(("b", tensor((3,), (1,), kind="Bool", numel=64))),
    "good-char": state(("b", tensor((3,), (1,), kind="Char", numel=64))),
    "good-bf16": state(("b", tensor((3,), (1,), kind="BFloat16", numel=32))),
    "good-parameter": state(("p", glob("torch._utils._rebuild_parameter") + tuple_of(tensor(), b"\x88", glob("collections.OrderedDict") + b")R") + b"R")),
    "good-nested": state(("m", b"}(" + text("w") + tensor() + b"u"), ("l", b"](" + integer(1) + integer(-2) + b"G?\xf8" + bytes(6) + b"e")),
    "good-integers": state(("a", integer(1 << 40)), ("b", b"\x8a\x00"), ("c", b"\x8a\x01\xff"), ("d", b"M\xff\xff"), ("e", b"\x88"), ("f", b"\x89")),
    "good-build": state(("w", tensor()), more=b"}" + text("_metadata") + b"}sb"),
    "good-numpy": state(("n", numpy_scalar)),
    "good-size": state(("s", glob("torch.Size") + tuple_of(tuple_of(integer(2), integer(3))) + b"R")),
    "good-device": state(("d", glob("torch.device") + tuple_of(text("cuda"), integer(0)) + b"R")),
    "good-int-keys": b"\x80\x02}(" + integer(3) + tensor() + b"u.",
    "good-memo": b"\x80\x02}(" + text("a") + tensor() + b"q\x05" + text("b") + b"h\x05u.",
    "good-not-finite": state(("loss", b"G\x7f\xf8" + bytes(6)), ("best", b"G\xff\xf0" + bytes(6))),
    "bad-empty-huge": state(("w", tensor(size=(1 << 60, 0), stride=(0, 1)))),
    "good-pop": b"\x80\x02N0(NN1}.",
    "good-wide": wide,
    "good-archive": whole(ONE),
    "good-deflated": whole(ONE, method=zipfile.ZIP_DEFLATED),
    "good-byteorder": whole(ONE, ("x/byteorder", b"little"), ("x/version", b"3\n"), ("x/.data/serialization_id", b"1")),
    "good-bare-names": archive([("data.pkl", ONE), ("data/0", bytes(64))]),
    "good-streamed": streamed([("x/data.pkl", ONE), ("x/data/0", bytes(64))]),
    "good-zip64": zip64([("x/data.pkl", ONE), ("x/data/0", bytes(64))]),
    "bad-zip64-field": zip64([("x/data.pkl", ONE), ("x/data/0", bytes(64))], field=16),
    "bad-zip64-size": zip64([("x/data.pkl", ONE), ("x/data/0", bytes(64))], size=1 << 60),
    "bad-zip64-size-wraps": zip64([("x/data.pkl", ONE), ("x/data/0", bytes(64))], size=(1 << 64) - 200),
    "bad-zip64-count": zip64([("x/data.pkl", ONE), ("x/data/0", bytes(64))], count=1 << 62),
    "bad-zip64-one-more": zip64([("x/data.pkl", ONE), ("x/data/0", bytes(64))], count=1),
    "bad-zip64-end": zip64([("x/data.pkl", ONE), ("x/data/0", bytes(64))], end64=1 << 63),
    "bad-zip64-start": zip64([("x/data.pkl", ONE), ("x/data/0", bytes(64))], start=1 << 63),
    "good-metadata": state(("w", tensor(more=[b"}" + text("neg") + b"\x89s"]))),
    "bad-neg-view": state(("w", tensor(more=[b"}" + text("neg") + b"\x88s"]))),
    "bad-conj-view": state(("w", tensor(more=[b"}" + text("conj") + b"\x88s"]))),
    "bad-complex": state(("w", tensor((2,), (1,), kind="ComplexFloat", numel=8))),
    "bad-untyped": state(("w", tensor(hold=tuple_of(text("storage"), glob("torch.storage.UntypedStorage"), text("0"),
                                                    text("cpu"), integer(64)) + b"Q"))),
    "bad-quantized": state(("w", glob("torch._utils._rebuild_qtensor") + b")R")),
    "bad-sparse": state(("w", glob("torch._utils._rebuild_sparse_tensor") + b")R")),
    "bad-0-bytes": b"",
    "bad-zip-only": b"PK\x05\x06" + bytes(18),
    "bad-no-data": archive([("x/other", b"")]),
    "bad-two-data": archive([("x/data.pkl", ONE), ("y/data.pkl", ONE)]),
    "bad-big-endian": whole(ONE, ("x/byteorder", b"big")),
    "bad-script": whole(ONE, ("x/constants.pkl", b"\x80\x02).")),
    "bad-missing-storage": archive([("x/data.pkl", ONE)]),
    "bad-short-storage": archive([("x/data.pkl", ONE), ("x/data/0", bytes(60))]),
    "bad-twice-named": archive([("x/data.pkl", ONE), ("x/data/0", bytes(64)), ("x/data/0", bytes(64))]),
    "bad-global": b"\x80\x02" + glob("os.system") + tuple_of(text("true")) + b"R.",
    "bad-eval": b"\x80\x02" + glob("builtins.eval") + tuple_of(text("1")) + b"R.",
    "bad-stack-global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
    "bad-getattr": b"\x80\x02" + glob("builtins.getattr") + b".",
    "bad-inst": b"\x80\x02(ios\nsystem\n.",
    "bad-obj": b"\x80\x02(" + glob("torch.Size") + b"o.",
    "bad-newobj": b"\x80\x02" + glob("torch.Size") + b")\x81.",
    "bad-ext": b"\x80\x02\x82\x01.",
    "bad-stop-empty": b"\x80\x02.",
    "bad-two-left": b"\x80\x02NN.",
    "bad-no-stop": b"\x80\x02N",
    "bad-protocol0": b"\x80\x00N.",
    "bad-protocol9": b"\x80\x09N.",
    "bad-open-mark": b"\x80\x02N(.",
    "bad-deep-marks": deep,
    "bad-nested": nested,
    "bad-bomb": bomb,
    "bad-self": self_list,
    "bad-append-none": b"\x80\x02NNa.",
    "bad-setitem-list": b"\x80\x02]NNs.",
    "bad-odd-dict": b"\x80\x02}(Nu.",
    "bad-underflow": b"\x80\x020.",
    "bad-pop-through-mark": b"\x80\x02N(0.",
    "bad-unknown-memo": b"\x80\x02h\x07.",
    "bad-text-length": b"\x80\x02X\xff\xff\xff\xff.",
    "bad-text8-length": b"\x80\x04\x8d" + b"\xff" * 8 + b".",
    "bad-long": b"\x80\x02\x8a\x09" + bytes(9) + b".",
    "bad-build-none": b"\x80\x02NNb.",
    "bad-reduce-text": b"\x80\x02" + text("x") + b")R.",
    "bad-key-none": b"\x80\x02}(NNu.",
    "bad-key-utf8": b"\x80\x02}(" + text(b"\xff") + b"Nu.",
    "bad-text-utf8": state(("a", text(b"\xc3"))),
    "bad-twice": state(("a", tensor()), ("a", tensor())),
    "bad-path-twice": state(("a.b", tensor()), ("a", b"}(" + text("b") + tensor() + b"u")),
    "bad-bytes": state(("a", b"C\x02xx")),
    "bad-global-value": state(("a", glob("torch.Size"))),
    "bad-offset": state(("w", tensor(offset=11))),
    "bad-offset-negative": state(("w", tensor(offset=-1))),
    "bad-size-negative": state(("w", tensor(size=(-1, 3)))),
    "bad-stride-negative": state(("w", tensor(stride=(-3, 1)))),
    "bad-size-huge": state(("w", tensor(size=(1 << 40, 1 << 40), stride=(0, 0)))),
    "bad-expanded-bomb": state(("w", tensor(size=(1 << 20, 1 << 10), stride=(0, 0)))),
    "bad-stride-huge": state(("w", tensor(stride=(1 << 62, 1 << 62)))),
    "bad-rank": state(("w", tensor(size=(1,) * 9, stride=(1,) * 9))),
    "bad-ranks": state(("w", tensor(size=(2, 3), stride=(1,)))),
    "bad-numel": state(("w", tensor(numel=17))),
    "bad-numel-negative": state(("w", tensor(numel=-1))),
    "bad-numel-huge": state(("w", tensor(numel=1 << 62))),
    "bad-kind": state(("w", tensor(kind="Float", hold=tuple_of(text("storage"), glob("torch.Size"), text("0"), text("cpu"), integer(16)) + b"Q"))),
    "bad-kinds-differ": state(("a", tensor()), ("b", tensor(kind="Int"))),
    "bad-no-storage": state(("w", tensor(hold=b"N"))),
    "bad-storage-text": state(("w", tensor(hold=text("0") + b"Q"))),
    "bad-few-arguments": state(("w", glob("torch._utils._rebuild_tensor_v2") + b")R")),
    "bad-parameter": state(("w", glob("torch._utils._rebuild_parameter") + b")R")),
    "bad-bool": state(("b", tensor((2,), (1,), kind="Bool", key="9", numel=16))),
    "bad-numpy": state(("n", glob("numpy.core.multiarray.scalar") + b")R")),
}
for name in ("state_dict", "views", "dtypes", "training"):
    torch["good-" + name.replace("_", "-") + "-pytorch"] = open(os.path.join(FILES, name + ".pth"), "rb").read()
for name in ("module", "script"):
    torch["bad-" + name + "-pytorch"] = open(os.path.join(FILES, name + ".pth"), "rb").read()
broken = bytearray(whole(ONE, method=zipfile.ZIP_DEFLATED))
broken[60] ^= 0x10
torch["bad-deflated"] = bytes(broken)
zipped = whole(b"\x80\x02X" + struct.pack("<I", 1 << 22) + bytes(1 << 22) + b".", method=zipfile.ZIP_DEFLATED)
torch["bad-ratio"] = zipped


def npy(header, data=b"", version=1, length=None):
    header = header.encode() if isinstance(header, str) else header
    n = len(header) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + (struct.pack("<H", n) if version == 1 else struct.pack("<I", n)) + header + data


def head(descr="'<f4'", order="False", shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


F4 = npy(head(), bytes(8))
arrays = {
    "good-f4": F4, "good-v2": npy(head(), bytes(8), 2), "good-v3": npy(head(), bytes(8), 3),
    "good-scalar": npy(head(shape="()"), bytes(4)), "good-empty": npy(head(shape="(0, 7)")),
    "good-fortran": npy(head(order="True", shape="(2, 3)"), bytes(range(24))),
    "good-big": npy(head("'>i4'"), bytes(range(8))), "good-big-f8": npy(head("'>f8'", "True", "(1, 2)"), bytes(range(16))),
    "good-bool": npy(head("'|b1'"), b"\0\1"), "good-u1": npy(head("'|u1'"), b"\0\xff"), "good-i1": npy(head("'|i1'"), b"\x80\x7f"),
    "good-i2": npy(head("'<i2'"), b"\0\x80\xff\x7f"), "good-u2": npy(head("'>u2'"), b"\xff\0\0\xff"),
    "good-u4": npy(head("'<u4'"), b"\xff" * 8), "good-f2": npy(head("'<f2'"), b"\1\x7e\0\xfc"), "good-i8": npy(head("'<i8'"), bytes(16)),
    "good-nan": npy(head(), b"\1\0\xc0\x7f\0\0\x80\xff"), "good-order": npy("{'shape':(2,),'descr':'<f4','fortran_order':False}", bytes(8)),
    "good-quotes": npy('{"shape":(2,),"descr":"<f4","fortran_order":False}', bytes(8)), "good-native": npy(head("'=f4'"), bytes(8)),
    "good-rank8": npy(head(shape="(1,1,1,1,1,1,1,2)"), bytes(8)), "good-no-commas": npy("{'descr':'<f4','fortran_order':False,'shape':(2)}", bytes(8)),
    "bad-0-bytes": b"", "bad-9-bytes": F4[:9], "bad-magic": b"\x92" + F4[1:], "bad-version0": npy(head(), bytes(8), 0),
    "bad-version4": npy(head(), bytes(8), 4), "bad-length": npy(head(), bytes(8), length=0xFFFF),
    "bad-length2": npy(head(), bytes(8), 2, 0xFFFFFFFF), "bad-cut": F4[:-1], "bad-long": F4 + b"\0", "bad-object": npy(head("'|O'"), bytes(16)),
    "bad-record": npy(head("[('a', '<f4')]"), bytes(8)), "bad-unicode": npy(head("'<U4'"), bytes(32)), "bad-complex": npy(head("'<c8'"), bytes(16)),
    "bad-void": npy(head("'|V4'"), bytes(8)), "bad-i16": npy(head("'<i16'"), bytes(32)), "bad-descr-empty": npy(head("''"), bytes(8)),
    "bad-descr-number": npy(head("4"), bytes(8)), "bad-order": npy(head(order="Maybe"), bytes(8)), "bad-order-number": npy(head(order="0"), bytes(8)),
    "bad-shape-negative": npy(head(shape="(-2,)"), bytes(8)), "bad-shape-text": npy(head(shape="('2',)"), bytes(8)),
    "bad-shape-real": npy(head(shape="(2.0,)"), bytes(8)), "bad-shape-list": npy(head(shape="[2]"), bytes(8)),
    "bad-shape-huge": npy(head(shape="(4611686018427387904, 4)"), bytes(8)), "bad-shape-2-64": npy(head(shape="(18446744073709551618,)"), bytes(8)),
    "bad-shape-32gib": npy(head(shape="(8589934592,)"), bytes(8)), "bad-rank9": npy(head(shape="(1,1,1,1,1,1,1,1,2)"), bytes(8)),
    "bad-shape-open": npy("{'descr':'<f4','fortran_order':False,'shape':(2,", bytes(8)), "bad-key": npy("{'descr':'<f4','fortran_order':False,'shape':(2,),'x':1}", bytes(8)),
    "bad-key-twice": npy("{'descr':'<f4','descr':'<f4','fortran_order':False,'shape':(2,)}", bytes(8)), "bad-missing": npy("{'descr':'<f4'}", bytes(8)),
    "bad-code": npy("__import__('os').system('true')", bytes(8)), "bad-after": npy(head() + "x", bytes(8)), "bad-empty-header": npy("", bytes(8)),
    "bad-blank-header": npy(" " * 60, bytes(8)), "bad-bool": npy(head("'|b1'"), b"\0\2"), "bad-nul": npy("{'descr\0':'<f4'}", bytes(8)),
    "bad-huge-then-zero": npy(head(shape="(0, 700000001232235748)")),
    "bad-zero-then-huge": npy(head(shape="(4611686018427387904, 0)")),
    "good-npz": archive([("a.npy", F4), ("b.npy", npy(head("'|u1'"), b"ab"))]), "good-npz-deflated": archive([("a.npy", F4)], zipfile.ZIP_DEFLATED),
    "good-npz-empty": archive([]), "good-npz-bare-name": archive([("a", F4)]), "bad-npz-twice": archive([("a.npy", F4), ("a", F4)]),
    "bad-npz-text": archive([("a.npy", b"hello")]), "bad-npz-cut": archive([("a.npy", F4)])[:-3],
    "good-npz-zip64": zip64([("a.npy", F4), ("b.npy", npy(head("'|u1'"), b"ab"))]), "good-npz-streamed": streamed([("a.npy", F4)]),
    "bad-npz-zip64-size": zip64([("a.npy", F4)], size=1 << 61), "bad-npz-ratio": archive([("a.npy", npy(head(shape="(262144,)"), bytes(1 << 20)))], zipfile.ZIP_DEFLATED),
    "bad-uint64": npy(head("'<u8'"), bytes(16)), "bad-datetime": npy(head("'<M8[s]'"), bytes(16)), "bad-bf16": npy(head("'<V2'"), bytes(4)),
    "good-fortran-big": npy(head("'>i2'", "True", "(2, 2)"), bytes(range(8))), "good-fortran-empty": npy(head(order="True", shape="(0, 3)")),
    "any-npz-traversal": archive([("../../a.npy", F4)]),
    "good-npz-numpy": open(os.path.join(FILES, "orders.npz"), "rb").read(),
}
for kind, files in (("torch", torch), ("npy", arrays)):
    folder = os.path.join(HERE, kind)
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        os.remove(os.path.join(folder, old))
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    print(kind, len(files), "files", sum(map(len, files.values())), "bytes")
