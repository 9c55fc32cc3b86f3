"""Hostile and damaged files of PyTorch's: one clear error, nothing run or loaded."""

import builtins
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import weights_helpers as w

import dlcore as dl
from dlcore.io import pytorch, unpickler

SIX = np.arange(6, dtype="float32").reshape(2, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.pt"


def refused(path, data, message):
    path.write_bytes(data)
    for mmap in (False, True):
        with pytest.raises(ValueError, match=rf"^load: .*a\.pt .*({message})"):
            dl.io.load(path, mmap=mmap)


def imported_since(modules):
    ours = "dlcore.", "encodings."
    return [m for m in set(sys.modules) - modules if not m.startswith(ours)]


class Command:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


COMMANDS = {
    "system": (os.system, "touch {}"),
    "eval": (eval, "open({!r}, 'w')"),
    "exec": (exec, "open({!r}, 'w')"),
    "open": (open, "{}", "w"),
    "getattr": (getattr, "{}", "__class__"),
    "import": (builtins.__import__, "antigravity"),
    "popen": (subprocess.Popen, ["touch", "{}"]),
    "loads": (pickle.loads, b"cos\nsystem\n(S'true'\ntR."),
    "numpy": (np.fromfile, "{}"),
    "memmap": (np.memmap, "{}"),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("form", ["zip", "stream", "bare"])
@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_not_run(path, name, form, protocol):
    function, *arguments = COMMANDS[name]
    trace = path.with_name("trace")
    arguments = [str(a).format(trace) if type(a) is str else a for a in arguments]
    command = pickle.dumps({"a": Command(function, *arguments)}, protocol)
    body = command[2:-1]
    data = {
        "zip": w.archive(body, {}),
        "stream": w.stream(body, []),
        "bare": command,
    }[form]
    modules = set(sys.modules)
    refused(path, data, "asks for '.*', which weights do not need: nothing of the file")
    if form != "bare":
        left = dl.io.load(path, strict=False)["a"]
        assert isinstance(left, dl.io.Unknown) and left.arguments is not None
        assert left.name.endswith(function.__name__)
    assert not trace.exists() and not imported_since(modules)


def view(offset, shape, strides, kind="FloatStorage", count=6):
    return w.tensor(w.storage(kind, "0", count), offset, shape, strides)


def rebuilt(*parts):
    return w.call(w.REBUILD, *parts)


HUGE = 2**62
HOSTILE = {
    "beyond by offset": (view(1, (2, 3), (3, 1)), "needs 7 elements of a storage of 6"),
    "beyond by stride": (view(0, (2, 3), (4, 1)), "needs 7 elements"),
    "beyond by shape": (view(0, (3, 3), (3, 1)), "needs 9 elements"),
    "huge": (view(0, (HUGE, HUGE), (1, 1)), "more bytes than can be counted"),
    "huge of none": (view(0, (HUGE, HUGE, 0), (1, 1, 1)), "more bytes than can be"),
    "huge by repeating": (view(0, (2**40,), (0,)), "repeats the elements"),
    "huge stride": (view(0, (2, 3), (HUGE, HUGE)), "elements of a storage of 6"),
    "huge offset": (view(2**80, (2, 3), (3, 1)), "elements of a storage of 6"),
    "negative offset": (view(-1, (2, 3), (3, 1)), "elements of a storage of 6"),
    "negative stride": (view(5, (2, 3), (-3, -1)), r"strides \(-3, -1\)"),
    "negative length": (view(0, (-2, -3), (3, 1)), "whole numbers from 0 on"),
    "strides of another rank": (view(0, (2, 3), (1,)), r"strides \(1,\)"),
    "33 axes": (view(0, (1,) * 33, (1,) * 33), "33 axes"),
    "true for a length": (
        rebuilt(
            w.storage(),
            w.number(0),
            w.tuple_of(b"\x88"),
            w.numbers(1),
            b"\x89",
            w.ORDERED,
        ),
        "whole numbers from 0 on",
    ),
    "no storage": (
        rebuilt(b"N", w.number(0), w.numbers(2), w.numbers(1), b"\x89", w.ORDERED),
        "must have a storage",
    ),
    "too few arguments": (rebuilt(w.storage()), "arguments of torch._utils._rebuild"),
    "a name alone called": (w.text("os") + b")R", "calls what is no function"),
    "storage too large": (view(0, (2,), (1,), count=7), "must have 28 bytes, got 24"),
    "storage huge": (view(0, (2,), (1,), count=HUGE), "must have .* bytes, got 24"),
    "storage negative": (view(0, (2,), (1,), count=-1), "must have a key and a size"),
    "storage of two sizes": (
        w.tuple_of(view(0, (2,), (1,)), view(0, (2,), (1,), count=5)),
        "has two sizes",
    ),
    "storage of two kinds": (
        w.tuple_of(view(0, (2,), (1,)), view(0, (2,), (1,), "IntStorage")),
        "has two sizes",
    ),
    "storage missing": (w.tensor(w.storage(key="9")), "its record 'data/9' is missing"),
    "storage elsewhere": (w.tensor(w.storage(key="../../x")), "is missing"),
    "storage unknown": (w.tensor(w.storage("QInt8Storage")), "QInt8Storage', which"),
    "id no tuple": (w.number(3) + b"Q", "id of a storage"),
    "id of something": (w.tuple_of(*[b"N"] * 5) + b"Q", "that of no storage"),
    "conjugate": (
        rebuilt(
            w.storage(),
            w.number(0),
            w.numbers(6),
            w.numbers(1),
            b"\x89",
            w.ORDERED,
            w.mapping(conj=b"\x88"),
        ),
        "conjugated view",
    ),
    "quantized": (w.call("torch._utils._rebuild_qtensor"), "_rebuild_qtensor', which"),
    "whole model": (w.name("torch.nn.modules.linear.Linear") + b")\x81", r"state_dict"),
    "method": (w.name("collections.OrderedDict.fromkeys"), "fromkeys', which weights"),
    "storage called": (w.call("torch.FloatStorage", w.number(9)), "is no function"),
    "instruction": (b"i", "the instruction 105"),
    "no object": (b"", "takes more than there is"),
    "no mark": (b"t", "takes more than there is"),
    "nothing kept": (b"h\x05", "recalls what it did not keep"),
    "far memo": (b"j\xff\xff\xff\xff", "recalls what it did not keep"),
    "long text": (b"X\xff\xff\xff\x7f", "cut off in the middle of its pickle"),
    "very long text": (b"\x8d" + b"\xff" * 8, "cut off in the middle of its pickle"),
    "long number": (b"\x8b\xff\xff\xff\x7f", "a whole number of 2147483647 bytes"),
    "endless name": (b"cos" + b"x" * 5000, "has no end"),
    "no UTF-8": (b"X\x01\0\0\0\xff", "not UTF-8"),
    "key of a deep tuple": (
        b"})" + b"\x85" * 300_000 + b"Ns",
        "must be a text or a nu",
    ),
    "key of a list": (b"}]Ns", "must be a text or a number"),
    "key without value": (b"}(Nu", "a key without a value"),
    "items of a number": (b"K\x01NNs", "fills what is no dict"),
    "state of a list": (b"]}b", "asks for what weights do not need|state to what has"),
    "state of a tensor": (view(0, (6,), (1,)) + b"}b", "a state to what has none"),
    "NumPy object": (w.call("numpy.dtype", w.text("O8")), "NumPy's dtype 'O8'"),
    "NumPy record": (w.call("numpy.dtype", w.text("V9")), "NumPy's dtype 'V9'"),
    "NumPy number": (
        w.call("numpy.core.multiarray.scalar", b"N", w.text("x")),
        "must have a dtype and bytes",
    ),
    "ordered dict": (w.call("collections.OrderedDict", w.number(1)), "made of pairs"),
    "set of lists": (w.call("builtins.set", b"]]a"), "must be a text or a number"),
    "bytes": (w.call("_codecs.encode", w.text("x"), w.text("rot13")), "in latin1"),
}


@pytest.mark.parametrize("why", HOSTILE)
def test_hostile_pickle(path, why):
    body, message = HOSTILE[why]
    refused(path, w.archive(body, w.DATA), message)


STREAM_SAYS_ELSE = {
    "storage too large": "a storage must have 7 elements, got 6",
    "storage huge": "its storages have more than",
    "storage missing": "its storages are not those that its tensors need",
    "storage elsewhere": "its storages are not those that its tensors need",
}


@pytest.mark.parametrize("why", HOSTILE)
def test_hostile_pickle_in_a_stream(path, why):
    body, message = HOSTILE[why]
    message = STREAM_SAYS_ELSE.get(why, message)
    refused(path, w.stream(body, w.STORAGES[:1]), message)


def test_a_numpy_array_that_lies(path):
    dtype = w.call("numpy.dtype", w.text("f8"), b"\x89", b"\x88")
    empty = w.call(
        "numpy.core.multiarray._reconstruct",
        w.name("numpy.ndarray"),
        w.numbers(0),
        w.encoded("b"),
    )
    data = w.encoded("x" * 16)

    def array(shape, bytes_=data):
        state = w.tuple_of(b"K\x01", w.numbers(*shape), dtype, b"\x89", bytes_)
        return empty + state + b"b"

    path.write_bytes(w.archive(array((2,)), {}))
    assert dl.io.load(path).shape == (2,)
    for shape in ((3,), (HUGE, 4), (1,), (-2, -1)):
        refused(path, w.archive(array(shape), {}), "is damaged: ")
    refused(path, w.archive(array((2,), w.text("x")), {}), "state of a NumPy array")


def test_memo_bombs_cost_what_they_weigh(path):
    """Lists of ten references to a list of ten references and so on."""
    body = b"](" + b"K\x01" * 10 + b"eq\0"
    for i in range(1, 60):
        body += b"0](" + (b"h" + bytes([i - 1])) * 10 + b"eq" + bytes([i])
    path.write_bytes(w.archive(body, {}))
    got = dl.io.load(path)
    for _ in range(59):
        got = got[-1]
    assert got == [1] * 10


def test_bad_archives(path):
    refused(
        path, w.archive(w.BODY, w.DATA, method=zipfile.ZIP_DEFLATED), "compressed or"
    )
    bomb = {"data/0": bytes(1 << 20), "data/1": b""}
    refused(path, w.archive(w.BODY, bomb, method=zipfile.ZIP_DEFLATED), "compressed or")
    refused(
        path, w.archive(w.BODY, {**w.DATA, "byteorder": b"big"}), "another byte order"
    )
    refused(path, w.archive(w.BODY, {**w.DATA, "constants.pkl": b""}), "TorchScript")
    refused(path, w.archive(w.BODY, w.DATA)[:-30], "cut off or damaged")
    refused(path, w.archive(w.BODY, w.DATA, root="a/b"), r"without one data\.pkl")
    flipped = bytearray(w.archive(w.BODY, w.DATA))
    flipped[flipped.index(SIX.tobytes())] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(ValueError, match="checksum of its record 'data/0' is wrong"):
        dl.io.load(path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        with zipfile.ZipFile(path, "w") as file:
            for _ in range(2):
                file.writestr("m/data.pkl", w.program(b"N"))
    refused(path, path.read_bytes(), "two of its records have one name")


def test_records_that_overlap(path):
    """Many entries of the directory for the same bytes are more than the file."""
    records = {f"data/{i}": bytes(4000) for i in range(50)}
    data = w.archive(b"N", {"data/0": bytes(4000)})
    whole = w.archive(b"N", records)
    start = whole.index(b"PK\1\2")
    directory = bytearray(whole[start:])
    local = data.index(b"PK\3\4", 4)
    for i in range(len(directory) - 46):
        if directory[i : i + 4] == b"PK\1\2" and b"data/" in directory[i + 46 : i + 60]:
            directory[i + 42 : i + 46] = struct.pack("<I", local)
    end = directory.index(b"PK\5\6")
    body = data[: data.index(b"PK\1\2")]
    directory[end + 16 : end + 20] = struct.pack("<I", len(body))
    refused(path, body + bytes(directory), "its records are larger than the file")


def test_bad_streams(path):
    refused(path, w.stream(w.BODY, w.STORAGES, little=b"\x89"), "another byte order")
    refused(path, w.stream(w.BODY, w.STORAGES)[:-1], "is cut off or damaged")
    refused(path, w.stream(w.BODY, w.STORAGES) + b"\0", "is cut off or damaged")
    refused(
        path, w.stream(w.BODY, w.STORAGES[:1]), "are not those that its tensors need"
    )
    refused(path, w.stream(w.BODY, w.STORAGES + w.STORAGES), "are not those that its")
    refused(path, w.program(w.number(5)), "is cut off|is no file of PyTorch's")
    refused(path, pickle.dumps({"weight": SIX.tolist()}), "is cut off|is no file of")


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_damage_is_refused_or_harmless(path, form):
    whole, modules = w.good(form), set(sys.modules)
    for i, data in enumerate(w.damaged(whole, random.Random(2), 2000)):
        path.write_bytes(data)
        try:
            dl.io.load(path, mmap=i % 2 == 0)
        except ValueError as error:
            assert str(error).startswith("load: ")
        else:
            assert len(data) == len(whole)  # one that is cut off is always seen
    assert not imported_since(modules)


def test_random_programs(path):
    """Instructions in any order, with names that are known."""
    rng = random.Random(8)
    words = ["os.system", *pytorch._FUNCTIONS, *pytorch._CONSTANTS, w.REBUILD]
    pieces = [
        w.storage(),
        w.tensor(),
        w.ORDERED,
        w.text("a"),
        w.number(2),
        b"Nq\0",
        b"h\0",
    ]
    for _ in range(4000):
        body = b""
        for _ in range(rng.randrange(1, 30)):
            kind = rng.random()
            if kind < 0.3:
                body += rng.choice(pieces)
            elif kind < 0.5:
                body += w.name(rng.choice(words)) + rng.choice(
                    (b"", b")R", b"(", b")\x81")
                )
            else:
                body += bytes([rng.choice([*unpickler._DO])])
                body += bytes(rng.choice((0, 0, 1, 4)))
        path.write_bytes(w.archive(body, w.DATA))
        try:
            dl.io.load(path, strict=rng.random() < 0.5)
        except ValueError as error:
            assert str(error).startswith("load: ")
