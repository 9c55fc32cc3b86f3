import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, capsys):
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    if path.stem == "numpy_ops":
        assert "[ 0. 30. 30.  0.]" in printed
        assert "0.842" in printed
    if path.stem == "train_by_hand":
        assert float(printed.split()[-1]) > 0.9
