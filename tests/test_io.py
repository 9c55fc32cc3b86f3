"""safetensors and npz: round trips, damaged files, bad calls."""

import io
import json
import os
import pathlib
import random
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import weights_helpers as w

import dlcore as dl
from dlcore.io import dtypes

SIX = np.arange(6, dtype="float32").reshape(2, 3)
STATE = {
    "f16": np.array([1.5, -2], "float16"),
    "f32": SIX,
    "f64": np.array(np.pi),
    "transposed": SIX.T,
    "strided": np.arange(10)[::3],
    "big": np.arange(3, dtype=">i4"),
    "flag": np.array([[True], [False]]),
    "empty": np.zeros((3, 0), "int8"),
    "u16": np.array([65535], "uint16"),
    "c64": np.array([1 + 2j], "complex64"),
    "tensor": dl.Tensor(SIX, requires_grad=True),
    "ключ \n\"'": np.uint8(7),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


def plain(value):
    return value.data if isinstance(value, dl.Tensor) else np.asarray(value)


def check(got, want):
    assert list(got) == list(want)
    for name, value in want.items():
        value = plain(value)
        assert got[name].dtype == value.dtype.newbyteorder("="), name
        assert got[name].shape == value.shape and got[name].flags.aligned
        np.testing.assert_array_equal(got[name], value)


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


# -- round trips --


@pytest.mark.parametrize("mmap", [False, True])
def test_round_trip(path, mmap):
    dl.io.save(path, STATE, {"epoch": "3"})
    got = dl.io.load(path, mmap=mmap)
    check(got, STATE)
    assert all(array.flags.writeable for array in got.values())
    got["f32"][:] = 0  # never in the file
    check(dl.io.load_file(path), STATE)


def test_a_header_whose_length_looks_like_another_format(tmp_path):
    for ending, length in (("bin", 0x80), ("dat", 0x4B50)):  # a pickle, a zip
        path = tmp_path / f"a.{ending}"
        text = json.dumps({"a": entry()}).encode().ljust(length)
        path.write_bytes(file_of(text, bytes(8)))
        np.testing.assert_array_equal(dl.io.load(path)["a"], [0, 0])


def test_any_state_survives(tmp_path):
    pytest.importorskip("hypothesis", reason="needs hypothesis")
    from hypothesis import given, settings
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as arrays

    kinds = [n for n in dtypes.SIZES if n[0] in "uif" and "float8" not in n]
    shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    array = st.sampled_from(kinds).flatmap(lambda kind: arrays.arrays(kind, shapes))
    names = names.filter(lambda name: name != "__metadata__")
    path = tmp_path / "a.safetensors"

    @settings(max_examples=150, deadline=None)
    @given(st.dictionaries(names, array), st.dictionaries(names, names))
    def survives(state, metadata):
        dl.io.save(path, state, metadata)
        got = dl.io.load(path)
        assert list(got) == list(state)
        for name in state:
            assert got[name].tobytes() == state[name].tobytes()  # NaN to the bit
            assert got[name].dtype == state[name].dtype
        with dl.io.safe_open(path) as file:
            assert file.metadata() == metadata

    survives()


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    state = {**STATE, "file": SIX}  # a name that np.savez cannot take
    del state["big"]
    dl.io.save(path, state)
    check(dl.io.load(path), state)
    with np.load(path) as theirs:
        np.testing.assert_array_equal(theirs["transposed"], SIX.T)
    np.savez_compressed(path, a=SIX)
    assert dl.io.load(path, dtype="float64")["a"].dtype == np.float64


def test_bfloat16(path, monkeypatch):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="needs the extra io")
    x = np.array([1.0, -3.5, np.inf, 1e-40]).astype(ml_dtypes.bfloat16)
    dl.io.save(path, {"x": x, "n": np.arange(2)})
    assert dl.io.load(path)["x"].dtype == x.dtype
    for kind in ("float32", "float64"):
        got = dl.io.load(path, dtype=kind)
        assert got["x"].dtype == kind and got["n"].dtype == np.int64
        np.testing.assert_array_equal(got["x"], x.astype(kind))
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    np.testing.assert_array_equal(dl.io.load(path, dtype="float32")["x"], got["x"])
    with pytest.raises(ValueError, match=r"holds bfloat16, .* ml_dtypes, or pass"):
        dl.io.load(path)
    with pytest.raises(TypeError, match=r"^load: dtype must be float16, float32, fl"):
        dl.io.load(path, dtype="int32")


def test_the_package_safetensors_agrees(path, tmp_path):
    theirs = pytest.importorskip("safetensors.numpy", reason="needs safetensors")
    state = {k: np.ascontiguousarray(plain(v)) for k, v in STATE.items() if k != "big"}
    dl.io.save(path, state, {"a": "b"})
    got = theirs.load_file(path)
    assert got.keys() == state.keys()
    for name in got:
        np.testing.assert_array_equal(got[name], state[name].reshape(got[name].shape))
    theirs.save_file(state, tmp_path / "b.safetensors", {"a": "b"})
    check(
        dict(sorted(dl.io.load(tmp_path / "b.safetensors").items())),
        dict(sorted(state.items())),
    )


def test_npz_has_no_bfloat16(tmp_path):
    pytest.importorskip("ml_dtypes")
    with pytest.raises(TypeError, match=r"no bfloat16 .*: save .safetensors"):
        dl.io.save(tmp_path / "a.npz", {"a": dl.ones(3).bfloat16()})


def test_safe_open(path):
    dl.io.save_file(STATE, path, {"epoch": "3"})
    with dl.io.safe_open(path, framework="np") as file:
        assert file.metadata() == {"epoch": "3"} and len(file) == len(STATE)
        assert "f32" in file and "f99" not in file
        kept = file.get_slice("f32")[1:]
        np.testing.assert_array_equal(file.get_tensor("f64"), np.pi)
    os.unlink(path)
    np.testing.assert_array_equal(kept, SIX[1:])  # outlives the file
    with pytest.raises(KeyError):
        file["f32"]
    with pytest.raises(ValueError, match="framework must be 'numpy'"):
        dl.io.safe_open(path, "pt")


def test_a_model_loads_from_an_open_file(path):
    model, other = dl.nn.Linear(3, 2), dl.nn.Linear(3, 2)
    dl.io.save(path, model.state_dict())
    with dl.io.safe_open(path) as file:
        other.load_state_dict(file)
    np.testing.assert_array_equal(other.weight.data, model.weight.data)


# -- damaged files --

BAD_HEADERS = {
    "no JSON": (b"{]", "its header must be JSON"),
    "no object": (b"[]", r"must start with \{"),
    "no UTF-8": (b'{"\xff": 1}', "its header must be JSON"),
    "deep": (b'{"a":' + b"[" * 100_000, "its header must be JSON"),
    "twice": (b'{"a": 1, "a": 2}', "appears twice"),
    "twice inside": (b'{"a": {"dtype": "F32", "dtype": "F32"}}', "appears twice"),
    "not a number": (b'{"a": NaN}', "NaN"),
    "huge number": (b'{"a": ' + b"9" * 5000 + b"}", "its header must be JSON"),
    "no fields": ({"a": {}}, "'a' must have data_offsets, dtype, shape"),
    "more fields": ({"a": {**entry(), "x": 1}}, "'a' must have"),
    "list": ({"a": [1]}, "'a' must have"),
    "unknown dtype": ({"a": entry("F31")}, "unknown dtype 'F31'"),
    "dtype no text": ({"a": entry(["F32"])}, "unknown dtype"),
    "negative": ({"a": entry(shape=(-2,))}, "whole numbers from 0 on"),
    "true": ({"a": entry(shape=(True, 2))}, "whole numbers from 0 on"),
    "fraction": ({"a": entry(shape=(2.0,))}, "whole numbers from 0 on"),
    "overflow": ({"a": entry(shape=(2**62, 4))}, "more bytes than can be counted"),
    "overflow of none": ({"a": entry(shape=(2**62, 2**62, 0))}, "more bytes than"),
    "axes": ({"a": entry(shape=(1,) * 33)}, "33 axes"),
    "too few bytes": ({"a": entry(shape=(3,))}, "3 elements of float32, got 8 bytes"),
    "back": ({"a": entry(offsets=(8, 0))}, "must be two, in order"),
    "below 0": ({"a": entry(offsets=(-8, 0))}, "must be two, in order"),
    "three": ({"a": entry(offsets=(0, 8, 8))}, "must be two, in order"),
    "no list": ({"a": {**entry(), "shape": 2}}, "must be lists"),
    "hole": ({"a": entry(offsets=(8, 16))}, "'a' must start at"),
    "overlap": ({"a": entry(), "b": entry(offsets=(4, 12))}, "'b' must start at"),
    "twice the same": ({"a": entry(), "b": entry()}, "'b' must start at"),
    "beyond": ({"a": entry(shape=(4,), offsets=(0, 16))}, "cut off: it has"),
    "rest": ({}, "8 bytes belong to no array"),
    "metadata": ({"__metadata__": {"a": 1}}, "metadata in its header must be texts"),
    "metadata list": ({"__metadata__": []}, "metadata in its header must be texts"),
}


@pytest.mark.parametrize("why", BAD_HEADERS)
def test_bad_header(path, why):
    header, message = BAD_HEADERS[why]
    path.write_bytes(file_of(header, bytes(8)))
    for read in (dl.io.load, dl.io.load_file, dl.io.safe_open):
        with pytest.raises(ValueError, match=rf"^\w+: .*a\.safetensors .*{message}"):
            read(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has 0 bytes, a header needs 8"),
        (b"\x01\0\0\0\0\0\0\0", "its header needs 9"),
        (b"\xff" * 16, "a header of 18446744073709551615 bytes"),
    ],
)
def test_bad_length(path, data, message):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        dl.io.load(path)


def test_unknown_formats(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match=r"is no safetensors, PyTorch or \.npz file"):
        dl.io.load(tmp_path / "a.bin")
    with pytest.raises(FileNotFoundError):
        dl.io.load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        dl.io.load(tmp_path)
    with pytest.raises(ValueError, match="must be a regular file"):
        dl.io.load("/dev/null")


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_damage_is_refused_or_harmless(tmp_path, ending):
    path = tmp_path / ("a" + ending)
    dl.io.save(path, {"a": SIX, "b": np.arange(4), "c": SIX[0].astype("f2")})
    good = path.read_bytes()
    for i, data in enumerate(w.damaged(good, random.Random(5), 3000)):
        path.write_bytes(data)
        try:
            dl.io.load(path, mmap=i % 2 == 0)
        except ValueError as error:
            assert str(error).startswith("load: ")
        else:
            assert len(data) == len(good)  # one that is cut off is always seen


def test_npz_of_objects_or_too_large(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.array([{}], object))
    with pytest.raises(ValueError, match=r"no plain array in 'a\.npy'"):
        dl.io.load(path)
    np.savez(path, a=np.array(["text"]))
    with pytest.raises(ValueError, match="is not one array of numbers"):
        dl.io.load(path)
    np.savez_compressed(path, a=np.zeros(1 << 20))
    npz = sys.modules["dlcore.io.npz"]
    before, npz._FREE = npz._FREE, 1 << 20
    try:
        with pytest.raises(ValueError, match="would unpack to 838"):
            dl.io.load(path)
    finally:
        npz._FREE = before


# -- bad calls --


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: dl.io.save(p, dl.nn.ReLU()), TypeError, "pass model.state_dict"),
        (lambda p: dl.io.save({}, p), TypeError, "path must be a path, got dict"),
        (lambda p: dl.io.save(p, [SIX]), TypeError, "must be a mapping .* got list"),
        (lambda p: dl.io.save(p, {1: SIX}), TypeError, "name must be a str, got int"),
        (lambda p: dl.io.save(p, {"a": "b"}), TypeError, "'a' must be numbers, got"),
        (lambda p: dl.io.save(p, {"a": None}), TypeError, "'a' must be numbers"),
        (
            lambda p: dl.io.save(p, {"a": np.zeros(2, complex)}),
            TypeError,
            "safetensors has no complex128",
        ),
        (lambda p: dl.io.save(p, {"__metadata__": SIX}), ValueError, "pass metadata="),
        (lambda p: dl.io.save(p, {"\ud800": SIX}), ValueError, "must be valid text"),
        (
            lambda p: dl.io.save(p, {}, {"a": 1}),
            TypeError,
            "metadata must be a mapping",
        ),
        (lambda p: dl.io.save(p.with_suffix(".pt"), {}), ValueError, "must end in"),
        (
            lambda p: dl.io.save(p.with_suffix(".npz"), {"a": SIX}, {"a": "b"}),
            ValueError,
            "without metadata",
        ),
    ],
)
def test_bad_calls_leave_the_file(path, call, error, message):
    dl.io.save(path, {"a": SIX})
    before = path.read_bytes()
    with pytest.raises(error, match=message):
        call(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_import_is_lazy():
    code = "import dlcore, sys; assert 'dlcore.io' not in sys.modules; dlcore.io.save"
    package = pathlib.Path(dl.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members_of_other_methods(tmp_path, method):
    path, raw = tmp_path / "x.npz", io.BytesIO()
    np.save(raw, np.arange(100.0))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x.npy", raw.getvalue())
    whole, refused = path.read_bytes(), 0
    for at in range(36, 100):  # some bytes, as that of the time, count for nothing
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            dl.io.load(path)
        except ValueError as error:
            refused += str(error).startswith("load: ")
    assert refused > 30
