"""PyTorch's files without PyTorch; hostile ones; arrays and tensors of one process."""

import argparse
import collections
import sys

import numpy as np
import pytest
import weights_helpers as w

import dlcore as dl

SIX = np.arange(6, dtype="float32").reshape(2, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.pt"


def check(got):
    np.testing.assert_array_equal(got["weight"], SIX)
    np.testing.assert_array_equal(got["turned"], SIX.T)
    np.testing.assert_array_equal(got["last"], [5])
    assert got["steps"] == 1 and got["steps"].dtype == np.int64
    assert got["lr"] == 0.5 and got["shape"] == (2, 3)


# -- good files --


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("form", ["zip", "stream"])
def test_reads(path, form, mmap):
    path.write_bytes(w.good(form))
    got = dl.io.load(path, mmap=mmap)
    check(got)
    got["weight"][0, 0] = 7  # shared as it was, and not in the file
    assert got["turned"][0, 0] == 7
    check(dl.io.load(path))


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_an_axis_of_one_has_any_stride(path, form):
    body = w.tensor(w.storage(), 0, (1, 6, 1), (2**80, 1, 7))
    made = w.archive(body, w.DATA), w.stream(body, w.STORAGES[:1])
    path.write_bytes(made[form == "stream"])
    x = dl.io.load(path)
    assert x.flags.c_contiguous and x.tobytes() == SIX.tobytes()


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_casts(path, form):
    half = w.mapping(x=w.tensor(w.storage("BFloat16Storage", "0", 6)))
    data = (SIX.view("u4") >> 16).astype("u2").tobytes()
    made = w.archive(half, {"data/0": data}), w.stream(half, [("0", 6, data)])
    path.write_bytes(made[form == "stream"])
    for kind in ("float32", "float64"):
        got = dl.io.load(path, dtype=kind)["x"]
        assert got.dtype == kind
        np.testing.assert_array_equal(got, SIX)


def test_bfloat16_needs_ml_dtypes(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    body = w.tensor(w.storage("BFloat16Storage"))
    path.write_bytes(w.archive(body, {"data/0": bytes(12)}))
    with pytest.raises(ValueError, match=r"holds bfloat16, .* or pass dtype='float32'"):
        dl.io.load(path)


def test_a_repeated_element_is_read_only(path):
    body = w.mapping(x=w.tensor(w.storage(count=1), 0, (4, 2), (0, 0)))
    path.write_bytes(w.archive(body, {"data/0": bytes(4)}))
    x = dl.io.load(path)["x"]
    assert x.shape == (4, 2) and not x.flags.writeable


# -- beside PyTorch --


def saved_by(torch):
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.randn(5, 4)).square().sum().backward()
    optimizer.step()
    big = torch.randn(6, 7)
    tensors = {
        "half": torch.randn(3).half(),
        "bfloat16": torch.randn(3).bfloat16(),
        "double": torch.randn(2, 2).double(),
        "complex": torch.randn(2, dtype=torch.complex64),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "part": big[1:5:2, ::3],
        "turned": big.t(),
        "whole": big,
        "expanded": torch.ones(3).expand(2, 3),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        **{
            f"int{n}": torch.arange(n).to(getattr(torch, f"int{n}"))
            for n in (8, 16, 32)
        },
        "uint8": torch.arange(3).to(torch.uint8),
        "uint16": torch.arange(3).to(torch.uint16),
        "float8": torch.ones(3).to(torch.float8_e5m2),
    }
    tensors["parameter"].note = "attributes are left out"
    rest = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "loss": np.float64(0.25),
        "numpy": np.random.RandomState(1).get_state(),
        "swapped": np.arange(3, dtype=">f4"),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "shape": torch.Size([1, 2]),
        "names": {"a", "b"},
        "bytes": b"\0\xff",
        "large": 2**70,
    }
    return tensors, rest


def same(got, want):
    """Whether what was loaded is what was saved, all the way down."""
    if hasattr(want, "detach"):
        ours = dl.io.from_torch({"x": want})["x"]
        return got.dtype == ours.dtype and got.tobytes() == ours.tobytes()
    if isinstance(want, dict):
        return list(got) == list(want) and all(same(got[k], want[k]) for k in want)
    if isinstance(want, list | tuple):
        return len(got) == len(want) and all(map(same, got, want))
    if isinstance(want, np.ndarray):
        return np.array_equal(got, want)
    return got == want


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_everything_that_torch_saves(torch, path, zipped, protocol):
    pytest.importorskip("ml_dtypes", reason="needs the extra io")
    tensors, rest = saved_by(torch)
    torch.save(
        {"tensors": tensors, **rest},
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    rest["dtype"], rest["device"] = "float16", "cpu"
    for mmap in (False, True):
        got = dl.io.load(path, mmap=mmap)
        for name, tensor in tensors.items():
            assert got["tensors"][name].shape == tuple(tensor.shape)
            assert same(got["tensors"][name], tensor), name
        for name, value in rest.items():
            assert same(got[name], value), name
        whole, part = got["tensors"]["whole"], got["tensors"]["part"]
        assert np.shares_memory(whole, part)


def test_weights_pass_both_ways(torch, path):
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    ours = dl.nn.Sequential(dl.nn.Linear(4, 3), dl.nn.BatchNorm1d(3))
    x = np.arange(8, dtype="float32").reshape(2, 4)
    theirs(torch.from_numpy(x))  # moves the running statistics
    theirs.eval(), ours.eval()
    want = theirs(torch.from_numpy(x)).detach().numpy()
    torch.save(theirs.state_dict(), path.with_name("über.pt"))
    for state in (dl.io.load(path.with_name("über.pt")), dl.io.from_torch(theirs)):
        ours.load_state_dict(state)
        np.testing.assert_allclose(ours(x).data, want, rtol=1e-5)
        for parameter in ours.parameters():
            parameter.data[...] = 0
    ours.load_state_dict(dl.io.from_torch(theirs.state_dict()))
    back = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).eval()
    back.load_state_dict(dl.io.to_torch(ours.state_dict()))
    np.testing.assert_array_equal(back(torch.from_numpy(x)).detach().numpy(), want)


def test_safetensors_of_torch(torch, tmp_path):
    theirs = pytest.importorskip("safetensors.torch", reason="needs safetensors")
    pytest.importorskip("ml_dtypes", reason="needs the extra io")
    state = {"b": torch.randn(3, 2).bfloat16(), "a": torch.arange(3)}
    theirs.save_file(state, tmp_path / "a.safetensors")
    got = dl.io.load(tmp_path / "a.safetensors")
    for name, tensor in state.items():
        assert same(got[name], tensor)
    dl.io.save(tmp_path / "b.safetensors", got)
    back = theirs.load_file(tmp_path / "b.safetensors")
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_from_torch_and_back(torch):
    pytest.importorskip("ml_dtypes", reason="needs the extra io")
    state = {
        "a": torch.randn(2, requires_grad=True),
        "b": torch.randn(3).bfloat16(),
        "c": torch.eye(2).to_sparse(),
    }
    arrays = dl.io.from_torch(state)
    np.testing.assert_array_equal(arrays["c"], np.eye(2))
    arrays["a"][0] = 5  # one memory
    assert state["a"][0].item() == 5
    back = dl.io.to_torch(arrays)
    assert back["b"].dtype == torch.bfloat16 and torch.equal(back["b"], state["b"])
    with pytest.raises(TypeError, match=r"^from_torch: a must be a tensor, got float"):
        dl.io.from_torch({"a": 1.0})
    with pytest.raises(TypeError, match=r"must be a module or .* got list"):
        dl.io.from_torch([1])


@pytest.mark.parametrize("zipped", [True, False])
def test_unknown_names_may_stay_unknown(torch, path, zipped):
    saved = {
        "args": argparse.Namespace(lr=0.1, shape=[1, 2]),
        "queue": collections.deque([1, 2]),
        "weight": torch.ones(2),
    }
    torch.save(saved, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ValueError, match=r"asks for 'argparse\.Namespace'.*strict=False"
    ):
        dl.io.load(path)
    got = dl.io.load(path, strict=False)
    np.testing.assert_array_equal(got["weight"], [1, 1])
    assert repr(got["args"]) == "<argparse.Namespace, not loaded>"
    assert got["args"].state == vars(saved["args"])
    assert got["queue"].items == [1, 2]


def test_a_whole_module_may_be_looked_into(torch, path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2))
    torch.save(model, path)
    with pytest.raises(ValueError, match=r"save model\.state_dict\(\) alone"):
        dl.io.load(path)
    layer = dl.io.load(path, strict=False).state["_modules"]["0"]
    assert layer.name == "torch.nn.modules.linear.Linear"
    weight = layer.state["_parameters"]["weight"]
    np.testing.assert_array_equal(weight, model[0].weight.detach().numpy())
