"""Files as PyTorch writes them, and as it never would, put together without it."""

import io
import struct
import zipfile

import numpy as np

ORDERED = b"ccollections\nOrderedDict\n)R"
REBUILD = "torch._utils._rebuild_tensor_v2"
MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def text(string):
    data = string.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(n):
    data = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def numbers(*values):
    return tuple_of(*map(number, values))


def tuple_of(*parts):
    return b"(" + b"".join(parts) + b"t"


def name(dotted):
    module, _, word = dotted.rpartition(".")
    return b"c" + module.encode() + b"\n" + word.encode() + b"\n"


def call(dotted, *arguments):
    return name(dotted) + tuple_of(*arguments) + b"R"


def encoded(characters):
    return call("_codecs.encode", text(characters), text("latin1"))


def storage(kind="FloatStorage", key="0", count=6):
    parts = (
        text("storage"),
        name(f"torch.{kind}"),
        text(key),
        text("cpu"),
        number(count),
    )
    return tuple_of(*parts) + b"Q"


def tensor(stored=None, offset=0, shape=(2, 3), strides=(3, 1)):
    sizes = numbers(*shape), numbers(*strides)
    stored = storage() if stored is None else stored
    return call(REBUILD, stored, number(offset), *sizes, b"\x89", ORDERED)


def mapping(**values):
    return b"}(" + b"".join(text(k) + v for k, v in values.items()) + b"u"


def program(body):
    return b"\x80\x02" + body + b"."


def archive(body, records, root="model", method=zipfile.ZIP_STORED):
    """The bytes of a zip; `records` are those beside data.pkl."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        out.writestr(f"{root}/data.pkl", program(body))
        for key, data in records.items():
            out.writestr(f"{root}/{key}", data)
    return file.getvalue()


def stream(body, storages, little=b"\x88"):
    """The bytes of a stream; `storages`: (key, number of elements, bytes) each."""
    system = mapping(protocol_version=number(1001), little_endian=little)
    keys = b"](" + b"".join(text(key) for key, _, _ in storages) + b"e"
    pickles = MAGIC + b"".join(map(program, (number(1001), system, body, keys)))
    return pickles + b"".join(struct.pack("<q", n) + data for _, n, data in storages)


# -- a good file, and all that may happen to one --

SIX = np.arange(6, dtype="float32").reshape(2, 3)
LONG = np.arange(4)
BODY = mapping(
    weight=tensor(),
    turned=tensor(shape=(3, 2), strides=(1, 3)),
    last=call(
        "torch._utils._rebuild_parameter",
        tensor(offset=5, shape=(1,), strides=(1,)),
        b"\x88",
        ORDERED,
    ),
    steps=tensor(storage("LongStorage", "1", 4), 1, (), ()),
    lr=b"G" + struct.pack(">d", 0.5),
    shape=call("torch.Size", numbers(2, 3)),
)
DATA = {"data/0": SIX.tobytes(), "data/1": LONG.tobytes(), "byteorder": b"little"}
STORAGES = [("0", 6, SIX.tobytes()), ("1", 4, LONG.tobytes())]


def good(form):
    return archive(BODY, DATA) if form == "zip" else stream(BODY, STORAGES)


def damaged(good, rng, count):
    """Every file cut off, then some with a few bytes changed."""
    yield from (good[:n] for n in range(len(good)))
    for _ in range(count):
        data = bytearray(good)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] = rng.choice((0, 255, rng.randrange(256)))
        yield bytes(data)
