"""Saving is whole or not at all; checkpoints go on to the bit."""

import os
import pathlib
import random
import signal
import stat
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
import weights_helpers as w

import dlcore as dl
from dlcore.io import checkpoint, files

SIX = np.arange(6, dtype="float32").reshape(2, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


# -- whole or not at all --


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failure_leaves_the_old_file(path, monkeypatch, step):
    dl.io.save(path, {"a": SIX})
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    if step == "write":
        monkeypatch.setattr("dlcore.io.safetensors.contents", fail)
    else:
        monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        dl.io.save(path, {"a": SIX + 1, "b": SIX})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_links_and_permissions_stay(path):
    dl.io.save(path, {"a": SIX})
    path.chmod(0o640)
    link = path.with_name("link.safetensors")
    link.symlink_to(path)
    dl.io.save(link, {"a": SIX + 1})
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640
    np.testing.assert_array_equal(dl.io.load(path)["a"], SIX + 1)
    mask = os.umask(0o027)
    try:
        dl.io.save(path.with_name("new.safetensors"), {"a": SIX})
    finally:
        os.umask(mask)
    new = path.with_name("new.safetensors").stat()
    assert stat.S_IMODE(new.st_mode) == 0o640


def test_saving_over_a_mapped_file(path):
    dl.io.save(path, {"a": SIX})
    mapped = dl.io.load(path, mmap=True)
    dl.io.save(path, {"a": np.zeros(1)})
    np.testing.assert_array_equal(mapped["a"], SIX)


WRITER = """
import sys, numpy as np, dlcore as dl
n = 0
while True:
    n += 1
    dl.io.save(sys.argv[1], {str(i): np.full(200_000, n) for i in range(4)})
    print(n, flush=True)
"""


def test_a_killed_process_leaves_a_whole_file(path):
    dl.io.save(path, {str(i): np.zeros(200_000) for i in range(4)})
    rng, last = random.Random(3), 0
    package = pathlib.Path(dl.__file__).parents[1]
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, path],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(package)},
        )
        with child:
            child.stdout.readline()  # it is in the middle of the next
            time.sleep(rng.random() * 0.02)
            child.send_signal(signal.SIGKILL)
            printed = child.stdout.read().split()
        last = max([1, *map(int, printed)])
        values = {int(x) for a in dl.io.load(path).values() for x in (a[0], a[-1])}
        assert len(values) == 1 and values.pop() in (last, last + 1)


# -- checkpoints --


def training():
    dl.manual_seed(4)
    model = dl.nn.Sequential(
        dl.nn.Linear(5, 8),
        dl.nn.BatchNorm1d(8),
        dl.nn.ReLU(),
        dl.nn.Dropout(0.3),
        dl.nn.Linear(8, 3),
    )
    optimizer = dl.optim.AdamW(model.parameters(), lr=0.02, amsgrad=True)
    schedule = dl.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    return model, optimizer, schedule


def train(model, optimizer, schedule, steps):
    x = np.sin(np.arange(50.0)).reshape(10, 5).astype("float32")
    for _ in range(steps):
        loss = dl.cross_entropy(model(dl.Tensor(x)), np.arange(10) % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return loss.item()


def test_a_run_goes_on_to_the_bit(path):
    whole = training()
    end = train(*whole, 12)
    first = training()
    train(*first, 5)
    names = "model", "optimizer", "schedule"
    dl.io.save_checkpoint(path, **dict(zip(names, first)), step=5, best=np.float64(0.1))
    second = training()
    dl.manual_seed(999)
    rest = dl.io.load_checkpoint(path, **dict(zip(names, second)))
    assert rest == {"step": 5, "best": 0.1}
    assert train(*second, 7) == end
    for name, value in whole[0].state_dict().items():
        np.testing.assert_array_equal(second[0].state_dict()[name], value)
    weights = dl.io.load(path)  # a file of weights like any other
    assert weights["model.0.weight"].shape == (8, 5)


def test_checkpoint_of_plain_data(path):
    data = {
        "nested": {"a": [1, (2.5, None)], 3: {(1, "x"): True}, "$": "dollar"},
        "numbers": [float("nan"), float("-inf"), 2**100, -0.0],
        "array": SIX,
        "scalar": np.int16(3),
        "generator": np.random.default_rng(3).bit_generator.state,
    }
    dl.io.save_checkpoint(path, rng=False, **data)
    got = dl.io.load_checkpoint(path)
    assert got.keys() == data.keys()
    assert got["nested"] == data["nested"] and got["generator"] == data["generator"]
    assert repr(got["numbers"]) == repr(data["numbers"])
    np.testing.assert_array_equal(got["array"], SIX)
    assert type(got["scalar"]) is np.int16 and got["scalar"] == 3


def test_checkpoint_that_does_not_fit_changes_nothing(path):
    model, optimizer, _ = training()
    train(*training(), 1)
    dl.io.save_checkpoint(path, model=model, optimizer=optimizer)
    other = training()
    train(*other, 2)
    short = dl.optim.SGD(other[0].parameters(), lr=0.1)
    before = {name: array.copy() for name, array in other[0].state_dict().items()}
    numbers = dl.get_rng_state()
    with pytest.raises(ValueError, match="load_state_dict"):
        dl.io.load_checkpoint(path, model=other[0], optimizer=short)
    for name, array in other[0].state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(dl.get_rng_state(), numbers)


def test_bad_checkpoints(path):
    model = dl.nn.Linear(2, 2)
    dl.io.save(path, model.state_dict())
    with pytest.raises(ValueError, match=r"^load_checkpoint: .* is no checkpoint"):
        dl.io.load_checkpoint(path, model=model)
    dl.io.save_checkpoint(path, model=model, step=1)
    with pytest.raises(ValueError, match="has no optimizer: it has model, step"):
        dl.io.load_checkpoint(path, optimizer=dl.optim.SGD(model.parameters(), 0.1))
    with pytest.raises(TypeError, match="step must have load_state_dict, got int"):
        dl.io.load_checkpoint(path, step=1)
    with pytest.raises(TypeError, match=r"^save_checkpoint: thing\.a\.0 must be num"):
        dl.io.save_checkpoint(path, thing={"a": [object()]})
    parts = ("[1]", "1", '{"a": {"$": "array", "of": "b"}}', '{"a": {"$": 1}}')
    for text in ("[]", "{", *(f'{{"parts": {p}, "crc32": {{}}}}' for p in parts)):
        sums = str(zlib.crc32(text.encode()))
        dl.io.save(path, {}, {checkpoint._KEY: text, checkpoint._SUM: sums})
        with pytest.raises(ValueError, match=r"^load_checkpoint: .* is damaged"):
            dl.io.load_checkpoint(path)


def test_any_damage_to_a_checkpoint_is_seen(path):
    model = dl.nn.Linear(2, 2)
    optimizer = dl.optim.SGD(model.parameters(), lr=0.1)
    dl.io.save_checkpoint(path, model=model, optimizer=optimizer, epoch=9, name="run")
    good = path.read_bytes()
    before = model.weight.data.copy()
    for data in w.damaged(good, random.Random(7), 2000):
        if data != good:
            path.write_bytes(data)
            with pytest.raises(ValueError, match=r"^load_checkpoint: "):
                dl.io.load_checkpoint(path, model=model, optimizer=optimizer)
    np.testing.assert_array_equal(model.weight.data, before)
