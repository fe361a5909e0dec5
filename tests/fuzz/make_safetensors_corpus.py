#!/usr/bin/python3
"""Makes corpus/safetensors: tiny files, good and bad. The names are what safetensors_corpus_test.cpp expects: good-*,
bad-*, and any-* (only to be survived)."""
import json
import os
import random
import struct

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "safetensors")
SIZES = {"F32": 4, "F64": 8, "BF16": 2, "F16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


def raw(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def file(entries, data=b"", **more):
    return raw(json.dumps(entries, separators=(",", ":"), ensure_ascii=False), data, **more)


def entry(dtype="F32", shape=(2,), begin=0, end=8, **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **more}


def one(text, data=b"\0" * 8):
    """A file with the tensor "a" whose description is the given JSON text."""
    return raw('{"a":' + text + "}", data)


ONE = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
files = {
    "good-none": raw("{}"),
    "good-blank-first": raw(' \n\t{"a":' + ONE + "}", b"\1" * 8),
    "good-blank-last": raw('{"a":' + ONE + "}      ", b"\1" * 8),
    "good-scalar": file({"a": entry(shape=(), end=4)}, b"\0\0\x80\x3f"),
    "good-empty": file({"a": entry(shape=(0,), end=0)}),
    "good-empty-between": file({"a": entry(), "e": entry("I64", (3, 0), 8, 8), "b": entry(begin=8, end=16)},
                               b"\2" * 16),
    "good-rank8": file({"a": entry(shape=(1, 2, 1, 1, 1, 1, 1, 1))}, b"\3" * 8),
    "good-nan-inf": file({"a": entry(shape=(4,), end=16)}, struct.pack("<IIII", 0x7FC00001, 0xFF800000, 0x80000000, 1)),
    "good-metadata": file({"__metadata__": {"format": "pt", "note": "\u00e9\n"}, "a": entry()}, b"\4" * 8),
    "good-metadata-only": file({"__metadata__": {}}),
    "good-metadata-escape": raw('{"__metadata__":{"k":"\\ud83d\\ude00 -1"},"a":' + ONE + "}", b"\4" * 8),
    "good-reversed": file({"b": entry(begin=8, end=16), "a": entry()}, bytes(range(16))),
    "good-unaligned": file({"u": entry("U8", (1,), 0, 1), "a": entry("F64", (1,), 1, 9)}, bytes(range(9))),
    "good-key-order": one('{"data_offsets":[0,8],"shape":[2],"dtype":"F32"}'),
    "good-name-escape": raw('{"\\u0061\\"\\\\":' + ONE + "}", b"\0" * 8),
    "good-name-utf8": file({"schl\u00fcssel.\u30ad\u30fc": entry()}, b"\0" * 8),
    "good-name-empty": file({"": entry()}, b"\0" * 8),
    "good-name-path": file({"../../etc/passwd": entry()}, b"\0" * 8),
    "good-name512": file({"n" * 512: entry()}, b"\0" * 8),
    "good-many": file({f"t{i}": entry("U8", (1,), i, i + 1) for i in range(60)}, b"\7" * 60),
    "bad-empty-huge": file({"a": entry("U8", (1 << 60, 0), 0, 0)}),
    "bad-0-bytes": b"",
    "bad-7-bytes": b"\2\0\0\0\0\0\0",
    "bad-9-bytes": b"\1\0\0\0\0\0\0\0{",
    "bad-text": b"this is no such file at all",
    "bad-length": raw("{}", length=3),
    "bad-length-2-63": raw("{}", length=1 << 63),
    "bad-length-max": raw("{}", length=(1 << 64) - 1),
    "bad-length-short": raw("{}", length=1),
    "bad-length-0": raw("{}", length=0),
    "bad-array": raw("[]"),
    "bad-number": raw(" 1"),
    "bad-bom": raw(b"\xef\xbb\xbf{}"),
    "bad-two-objects": raw("{}{}"),
    "bad-cut-json": raw('{"a":' + ONE),
    "bad-comment": raw("{}/**/"),
    "bad-nul-last": raw('{"a":' + ONE + "}\0\0", b"\0" * 8),
    "bad-utf8": raw(b'{"\xff":' + ONE.encode() + b"}", b"\0" * 8),
    "bad-name-nul": raw('{"a\\u0000":' + ONE + "}", b"\0" * 8),
    "bad-name-newline": raw('{"a\\n":' + ONE + "}", b"\0" * 8),
    "bad-name-bidi": file({"a\u202eb": entry()}, b"\0" * 8),
    "bad-name513": file({"n" * 513: entry()}, b"\0" * 8),
    "bad-surrogate": raw('{"\\ud800":' + ONE + "}", b"\0" * 8),
    "bad-deep": one('{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}'),
    "bad-twice": raw('{"a":' + ONE + ',"a":' + ONE + "}", b"\0" * 8),
    "bad-twice-escaped": raw('{"a":' + ONE + ',"\\u0061":' + ONE + "}", b"\0" * 8),
    "bad-key-twice": one('{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}'),
    "bad-entry-array": one("[]"),
    "bad-entry-null": one("null"),
    "bad-key-extra": one('{"dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[1]}'),
    "bad-key-missing": one('{"dtype":"F32","shape":[2]}'),
    "bad-no-dtype": one('{"shape":[2],"data_offsets":[0,8]}'),
    "bad-no-shape": one('{"dtype":"F32","data_offsets":[0,8]}'),
    "bad-dtype": file({"a": entry("F8_E4M3", (8,))}, b"\0" * 8),
    "bad-dtype-case": file({"a": entry("f32")}, b"\0" * 8),
    "bad-dtype-number": one('{"dtype":32,"shape":[2],"data_offsets":[0,8]}'),
    "bad-shape-object": one('{"dtype":"F32","shape":{},"data_offsets":[0,8]}'),
    "bad-shape-negative": one('{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}'),
    "bad-shape-fraction": one('{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}'),
    "bad-shape-exponent": one('{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}'),
    "bad-shape-string": one('{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}'),
    "bad-shape-minus-0": one('{"dtype":"F32","shape":[2,-0],"data_offsets":[0,0]}', b""),
    "bad-shape-2-63": one('{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,8]}'),
    "bad-shape-huge": one('{"dtype":"U8","shape":[99999999999999999999999],"data_offsets":[0,8]}'),
    "bad-product": file({"a": entry("U8", (1 << 32, 1 << 32), 0, 0)}),
    "bad-product-bytes": file({"a": entry("F64", (1 << 60,), 0, 0)}),
    "bad-product-zero": file({"a": entry("U8", (1 << 32, 1 << 32, 0), 0, 0)}),
    "bad-rank9": file({"a": entry(shape=(2,) + (1,) * 8)}, b"\0" * 8),
    "bad-offsets-3": one('{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}'),
    "bad-offsets-1": one('{"dtype":"F32","shape":[2],"data_offsets":[8]}'),
    "bad-offsets-true": one('{"dtype":"F32","shape":[2],"data_offsets":[false,8]}'),
    "bad-offsets-swapped": file({"a": entry(begin=8, end=0)}, b"\0" * 8),
    "bad-offsets-length": file({"a": entry(end=7)}, b"\0" * 7),
    "bad-offsets-far": file({"a": entry("U8", (1 << 62,), 0, 1 << 62)}, b"\0" * 8),
    "bad-first-hole": file({"a": entry(begin=1, end=9)}, b"\0" * 9),
    "bad-hole": file({"a": entry(), "b": entry(begin=9, end=17)}, b"\0" * 17),
    "bad-overlap": file({"a": entry(), "b": entry(begin=4, end=12)}, b"\0" * 12),
    "bad-same-place": file({"a": entry(), "b": entry()}, b"\0" * 8),
    "bad-trailing": file({"a": entry()}, b"\0" * 9),
    "bad-cut-data": file({"a": entry()}, b"\0" * 7),
    "bad-no-tensor-data": raw("{}", b"\0"),
    "bad-empty-outside": file({"a": entry(), "e": entry(shape=(0,), begin=12, end=12)}, b"\0" * 8),
    "bad-empty-inside": file({"a": entry(), "e": entry(shape=(0,), begin=4, end=4)}, b"\0" * 8),
    "bad-metadata-number": file({"__metadata__": {"a": 1}}),
    "bad-metadata-array": file({"__metadata__": []}),
    "bad-metadata-nested": file({"__metadata__": {"a": {"b": "c"}}}),
    "bad-metadata-twice": raw('{"__metadata__":{},"__metadata__":{}}'),
    "bad-bool": file({"a": entry("BOOL", (4,), 0, 4)}, b"\0\1\2\1"),
}
for dtype, size in SIZES.items():
    data = bytes(i % 2 for i in range(6 * size))
    files["good-" + dtype.lower()] = file({"w": entry(dtype, (2, 3), 0, 6 * size)}, data)

rng = random.Random(1)
for i in range(8):  # good files with a few bytes changed
    body = bytearray(files["good-empty-between"])
    for _ in range(1 + i % 3):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    files[f"any-changed{i}"] = bytes(body)

os.makedirs(FOLDER, exist_ok=True)
for old in os.listdir(FOLDER):
    os.remove(os.path.join(FOLDER, old))
for name, body in files.items():
    with open(os.path.join(FOLDER, name + ".safetensors"), "wb") as out:
        out.write(body)
print(len(files), "files,", sum(map(len, files.values())), "bytes")
