#!/usr/bin/python3
"""Makes corpus/config: files and overrides for the config in tests/io/rich_config.h. The names are what
config_corpus_test.cpp expects: good-* is taken, bad-* is refused."""
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "config")
NEEDED = '"needed":{"path":"p"}'
FILES = {}


def add(name, text):
    FILES[name] = text if isinstance(text, bytes) else text.encode()


def plain(text):
    """A file with these members of "plain", beside what is required."""
    return '{"plain":{' + NEEDED + ("," + text if text else "") + "}}"


def numbers(text):
    return plain('"numbers":{' + text + "}")


def layer(text):
    return plain('"layer":' + text)


# ---- right
add("good-least", plain(""))
add("good-comments", "// one\n/* two */" + plain("") + "// three")
add("good-alias-required", '{"plain":{"needed":{"file":"p"}}}')
add("good-tags", '{"type":"Rich","version":3,"plain":{"type":"Plain","version":1,' + NEEDED + "}}")
add("good-old-lower", '{"version":1,"lower":-3,"plain":{' + NEEDED + "}}")
add("good-old-middle", '{"version":2,"middle":5,"plain":{' + NEEDED + "}}")
add("good-old-middle-edge", '{"version":2,"middle":-9223372036854775808,"plain":{' + NEEDED + "}}")
add("good-computed", '{"width":9,"limits":{"low":1,"high":10.0},"plain":{' + NEEDED + "}}")
add("good-numbers-low", numbers('"tiny":-128,"byte":0,"small":-32768,"port":1024,"whole":-1000000000,"wide":-9223372036854775808'))
add("good-numbers-high", numbers('"tiny":127,"byte":255,"small":32767,"port":65535,"seed":9223372036854775807,"widest":9223372036854775807'))
add("good-reals", numbers('"real":4.9406564584124654e-324,"single":1.4012984643e-45,"half":1e-3'))
add("good-reals-high", numbers('"real":1.7976931348623157e308,"single":3.4028235e38'))
add("good-minus-zero", numbers('"real":-0.0,"single":-0.0'))
add("good-zero", numbers('"real":0.0,"single":0'))
add("good-choices", plain('"word":"\\"three\\"","mode":"fast one","numbers":{"even":-6}'))
add("good-nulls", plain('"maybe":null,"holes":null,"modes":null'))
add("good-holes", plain('"maybe":false,"holes":[null,-5,5],"modes":{"":"off","a":"slow"}'))
add("good-rows", plain('"rows":[[],[0,100],[7]],"matrix":[[0,0.1],[-2,2]]'))
add("good-pair", plain('"pair":[{"tiny":9},{}]'))
add("good-maps", plain('"curves":{"a~b/c.d":[1,2.5]},"words":{"x":{"y":"z","":""},"":{}}'))
add("good-inner", plain('"inner":[{%s},{%s,"inner":[{%s}]}]' % (NEEDED, NEEDED, NEEDED)))
add("good-plains", '{"plain":{%s},"plains":[{%s,"flag":true}]}' % (NEEDED, NEEDED))
add("good-dense", layer('{"type":"Dense","units":3,"gain":0.75,"mode":"slow"}'))
add("good-stack", layer('{"type":"Stack of/~%layers","layers":[{"type":"Dense"},{"type":"Stack of/~%layers","layers":[]}],'
                        '"named":{"a":{"type":"Dense"}},"head":{"type":"Dense"}}'))
add("good-single", plain('"single":{"k":[{"type":"Dense"}]}'))
add("good-strings", plain('"text":"\\u0000\\ud83d\\ude00\\n\\\\\\"\\u007f \u0085 \u202e"'))
deep = '{"type":"Dense"}'
for _ in range(18):
    deep = '{"type":"Stack of/~%layers","layers":[' + deep + "]}"
add("good-deep", layer(deep))

# ---- wrong
for name, text in {
    "empty": "", "list": "[]", "null": "null", "nothing": "{}", "cut": '{"plain":{', "two": "{}{}", "comment-open": "{}/*",
    "key": plain('"txet":""'), "kind": plain('"flag":1'), "text": plain('"text":5'), "object": '{"plain":[]}',
    "twice-alias": plain('"numbers":{},"figures":{}'), "twice": '{"low":1,"low":2}', "required": '{"plain":{}}',
    "rule": '{"low":5,"high":4,"plain":{' + NEEDED + "}}", "computed": '{"width":8,"plain":{' + NEEDED + "}}",
    "computed-kind": '{"limits":[1],"plain":{' + NEEDED + "}}", "newer": '{"version":4,"plain":{' + NEEDED + "}}",
    "version": '{"version":1.0,"plain":{' + NEEDED + "}}", "version-zero": '{"version":0,"plain":{' + NEEDED + "}}",
    "old-both": '{"version":1,"lower":1,"low":2,"plain":{' + NEEDED + "}}",
    "old-middle": '{"version":2,"middle":"x","plain":{' + NEEDED + "}}",

    "type": '{"type":"Plain","plain":{' + NEEDED + "}}", "choice": plain('"word":"two"'), "enum": plain('"mode":"fast"'),
    "tiny": numbers('"tiny":128'), "byte": numbers('"byte":-1'), "port": numbers('"port":1023'), "whole": numbers('"whole":5e9'),
    "fraction": numbers('"whole":1.0'), "seed": numbers('"seed":9223372036854775808'), "wider": numbers('"wider":9007199254740993'),
    "even": numbers('"even":3'), "half": numbers('"half":0.3'), "real-integer": numbers('"real":9007199254740993'),
    "single-high": numbers('"single":3.5e38'), "single-low": numbers('"single":1e-50'), "single-integer": numbers('"single":16777217'),
    "huge": numbers('"real":1e400'), "vanishing": numbers('"real":1e-400'), "nan": numbers('"real":NaN'), "infinity": numbers('"real":Infinity'),
    "digits": numbers('"wide":' + "9" * 400), "bool-number": numbers('"real":true'), "string-number": numbers('"real":"1"'),
    "row": plain('"rows":[[101]]'), "row-kind": plain('"rows":[1]'), "matrix": plain('"matrix":[[1,2]]'), "pair": plain('"pair":[{}]'),
    "hole": plain('"holes":[6]'), "map": plain('"curves":[1]'), "map-value": plain('"curves":{"a/b":[null]}'),
    "layer": layer("{}"), "layer-null": layer("null"), "layer-type": layer('{"type":"Dens"}'), "layer-kind": layer('{"type":5}'),
    "layer-key": layer('{"type":"Dense","layers":[]}'), "layer-other": layer('{"type":"Numbers"}'), "deep": "[" * 70, "objects": '{"plain":' * 70,
    "escape": plain('"text":"\\ud800"'),
}.items():
    add("bad-" + name, text)
add("bad-utf8", plain('"text":"?"').encode().replace(b"?", b"\xff"))
add("bad-utf8-key", plain('"curves":{"?":[]}').encode().replace(b"?", b"\xed\xa0\x80"))
add("bad-nul", plain("").encode() + b"\0")

# ---- overrides
for name, lines in {
    "scalars": ["low=-5", "plain.flag=false", "plain/text=any = text", "plain.word=two words", "plain.mode=fast one"],
    "numbers": ["plain.numbers.byte=7", "plain.figures.real=1e-3", "plain.numbers.single=0.1", "plain.pair.1.tiny=-8"],
    "globs": ["**.gain=0.5", "plain.p*r.*.t*y=3", "**/units=4", "**.type=Dense"],
    "poly": ["plain.layer.type=Stack of/~%layers"],
    "objects": ['plain.needed={"limit":3}', 'plain.curves={"x":[1]}', "plain.rows=[[1],[2]]", "plain.rows.0=[]"],
    "removal": ["~plain.holes", "~plain.rows.1", "~plain.curves."[:-1] + ".k"],
    "quoted": ['plain.text="@x"', "plain.text=", "plain.maybe=true", "plain.maybe=null"],
    "map": ["plain.words.a.b=c", "~plain.words.a.b", "plain.modes.k=off"],
}.items():
    if name == "removal":
        lines = ["plain.curves.k=[1]"] + lines
    add("good-set-" + name, "set\n" + "\n".join(lines))
for name, lines in {
    "no-equals": ["low"], "empty-part": ["plain..flag=true"], "no-path": ["=1"], "no-key": ["plain.flga=true"], "no-match": ["**.dropout=0.1"],
    "index": ["plain.rows.2=[]"], "index-negative": ["plain.rows.-1=[]"], "whole": ["**=1"], "rule": ["low=11"], "remove": ["~low"],
    "remove-glob": ["~**.holes"], "remove-none": ["~plain.words.q"], "inside": ["low.x=1"], "type": ["plain.layer.type=None"],
    "value": ["plain.numbers.byte=256"], "stars": ["**.**.**.*****************x=1"], "json": ["plain.rows=[[1]"], "two": ["low=1.5", "zzz=1"],
    "utf8": ["plain.text=\udcff"],
}.items():
    add("bad-set-" + name, ("set\n" + "\n".join(lines)).encode("utf-8", "surrogateescape"))

os.makedirs(FOLDER, exist_ok=True)
for old in os.listdir(FOLDER):
    os.remove(os.path.join(FOLDER, old))
for name, content in FILES.items():
    with open(os.path.join(FOLDER, name), "wb") as out:
        out.write(content)
print(len(FILES), "files")
