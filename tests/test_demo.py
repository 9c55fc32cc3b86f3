"""The demo: reads real handwriting, the same bits in every run, a picture."""

import os
import subprocess
import sys

import pytest

SHORT = ["--epochs", "2", "--seed", "5"]


def demo(tmp_path, *options, **environment):
    return subprocess.run(
        [sys.executable, "-m", "dlcore", "demo", *options],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=250,
    )


def test_reads_handwriting(tmp_path):
    done = demo(tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[-1].startswith("test accuracy: ") and len(lines[-1]) == 21
    assert 0.985 <= float(lines[-1].split()[-1]) <= 1
    assert any(line.endswith(" samples per second") for line in lines)


def test_same_bits_in_every_run_and_for_any_threads(tmp_path):
    runs = [
        demo(tmp_path, *SHORT, DLCORE_NUM_THREADS=threads)
        for threads in ("1", "2", "2")
    ]
    facts = [
        [line for line in run.stdout.splitlines() if ": " in line and "png" not in line]
        for run in runs
    ]
    assert any(line.startswith("weights' digest: ") for line in facts[0])
    assert facts[0] == facts[1] == facts[2]
    other = demo(tmp_path, "--epochs", "2", "--seed", "6")
    assert facts[0][-2] not in other.stdout


def test_picture(tmp_path):
    image = pytest.importorskip("matplotlib.image", reason="needs the extra demo")
    done = demo(tmp_path, *SHORT, "--output", "seen.png")
    assert done.stdout.splitlines()[-2] == "picture: seen.png"
    pixels = image.imread(tmp_path / "seen.png")
    assert pixels.shape[0] > 500 and pixels.std() > 0.05


def test_without_matplotlib(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError")
    done = demo(tmp_path, *SHORT, PYTHONPATH=_with(tmp_path))
    assert done.returncode == 0
    assert "pip install matplotlib" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("test accuracy: 0.")


def _with(folder):
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


BAD = [
    (["--epochs", "0"], 2, "must be a whole number from 1, got '0'"),
    (["--lr", "nan"], 2, "must be a positive number, got 'nan'"),
    (["--data", "nowhere"], 1, "demo: mnist: there is no folder nowhere"),
    (["--output", "no/where.png"], 1, "demo: --output must be a file in an existing"),
]


@pytest.mark.parametrize("options, code, match", BAD)
def test_bad_options(tmp_path, options, code, match):
    done = demo(tmp_path, *options)
    assert done.returncode == code and match in done.stderr
    assert "Traceback" not in done.stderr
