import os
import signal
import subprocess
import sys
import time

import pytest

import dlcore as dl
from dlcore import _C, __main__
from dlcore.selftest.checks import CHECKS


def start(*arguments):
    command = [sys.executable, "-m", "dlcore", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("command", [[], *([c] for c in __main__.COMMANDS)])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        __main__.main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: python -m dlcore" in capsys.readouterr().out


@pytest.mark.parametrize("command", [[], ["nonsense"], ["bench", "--threads", "x"]])
def test_wrong_usage(command, capsys):
    with pytest.raises(SystemExit) as stop:
        __main__.main(command)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_info(capsys):
    assert __main__.main(["info"]) == 0
    out = capsys.readouterr().out
    assert _C.isa() in out and dl.__version__ in out and _C.cpu_name() in out


def test_python_m_dlcore():
    with start("--version") as run:
        assert run.stdout.read() == f"dlcore {dl.__version__}\n"


def test_output_may_be_closed():
    with start("selftest") as run:
        run.stdout.close()
        assert run.wait(60) == 128 + signal.SIGPIPE
        assert run.stderr.read() == ""


@pytest.mark.parametrize("after", [0.0, 0.3, 1.0])
def test_ctrl_c(after):
    with start("bench", "gemm") as run:
        assert run.stdout.readline()  # it has begun
        time.sleep(after)
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 128 + signal.SIGINT
        assert run.stderr.read() == "bench: stopped\n"


def test_selftest_passes(capsys):
    before = _C.isa()
    code = __main__.main(["selftest"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert all(isa in out for isa in _C.isas()) and "FAILED" not in out
    assert _C.isa() == before


def test_selftest_sees_a_wrong_value(monkeypatch, capsys):
    right = dl.relu
    monkeypatch.setattr(dl, "relu", lambda x: right(x) * 1.001)
    assert __main__.main(["selftest", "relu"]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_selftest_sees_a_wrong_gradient(monkeypatch, capsys):
    from dlcore.tensor import raw, record

    def relu(x):
        return record(_C.relu_forward(raw(x)), (x,), lambda dy: (dy,))

    monkeypatch.setattr(dl, "relu", relu)
    assert __main__.main(["selftest", "relu"]) == 1
    assert "gradcheck" in capsys.readouterr().out


def test_selftest_knows_every_op():
    checked = {c.name for c in CHECKS if not c.name.startswith("optim.")}
    assert checked == set(dl.ops.__all__)


def test_selftest_refuses_an_unknown_op(capsys):
    assert __main__.main(["selftest", "nonsense"]) == 2
    assert "no op matches 'nonsense'" in capsys.readouterr().err


def test_import_is_light():
    code = "import sys, dlcore; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["argparse", "subprocess", "multiprocessing", "tqdm", "matplotlib", "torch"]
    run = subprocess.run(
        [sys.executable, "-c", code, *heavy],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert run.stdout.strip() == "[]", run.stderr
