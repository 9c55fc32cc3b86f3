"""The package as a whole: what it imports, links and exports, its floors, documents."""

import ast
import doctest
import importlib
import inspect
import pathlib
import pkgutil
import re
import shutil
import subprocess
import sys
from operator import attrgetter

import pytest

import dlcore as dl
from dlcore import _C
from dlcore.__main__ import COMMANDS

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = pathlib.Path(dl.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
TOOLS = {"bench", "demo", "info", "selftest", "__main__"}  # what python -m dlcore runs


def modules():
    """Names of all modules of the package that can be imported anywhere."""
    for found in pkgutil.walk_packages([str(PACKAGE)], "dlcore."):
        if not found.name.endswith(("__main__", "._C", ".worker")):
            yield found.name


def public(module):
    """(name, object) of the functions and classes that a module offers."""
    names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
    for name in sorted(names):
        thing = getattr(module, name)
        if inspect.isclass(thing) or inspect.isroutine(thing):
            yield name, thing


PUBLIC = list(public(dl))


# -- what an import costs, what the module links --


def test_import_is_light():
    code = (
        "import numpy, sys; before = set(sys.modules); import dlcore\n"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    new = set(run.stdout.split())
    heavy = "torch scipy sklearn matplotlib tqdm onnx argparse asyncio multiprocessing"
    assert "dlcore" in new, run.stderr
    assert not new & set(heavy.split())
    code = "import dlcore, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not set(run.stdout.split()) & {f"dlcore.{tool}" for tool in TOOLS}
    assert "dlcore.autograd" not in run.stdout.split()


def test_links_the_system_only():
    if shutil.which("objdump") is None:
        pytest.skip("needs objdump")
    run = subprocess.run(["objdump", "-p", _C.__file__], capture_output=True, text=True)
    needed = re.findall(r"NEEDED\s+(\S+)", run.stdout)
    system = r"lib(stdc\+\+|m|gcc_s|c|pthread|dl|rt)\.so\.\d|ld-linux.*"
    sanitizers = r"lib(a|t|ub)san\.so\.\d"
    other = [n for n in needed if not re.fullmatch(f"{system}|{sanitizers}", n)]
    assert "libc.so.6" in needed
    assert not other


def test_version_is_that_of_the_project():
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs the source tree")
    text = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{dl.__version__}"\n' in text


# -- the stubs of _C --


def stub():
    """Name -> parameters (as text without types) of the functions of _C.pyi."""
    tree = ast.parse((PACKAGE / "_C.pyi").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {f.name: [a.arg for a in f.args.args] for f in functions}


def test_stubs_and_module_agree():
    stubs = stub()
    made = {name for name, value in vars(_C).items() if inspect.isroutine(value)}
    assert set(stubs) == made
    for name, parameters in stubs.items():
        signature = inspect.signature(getattr(_C, name))
        assert list(signature.parameters) == parameters, name


def test_package_is_typed():
    assert (PACKAGE / "py.typed").is_file()


# -- the floors --


def test_imports_point_down():
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs the source tree")
    if shutil.which("lint-imports") is None:
        pytest.skip("needs import-linter")
    run = subprocess.run(["lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_floor_imports_the_roof(path):
    """What import-linter cannot see: "from . import x" must name a module or _C."""
    if path.relative_to(PACKAGE).parts[0].removesuffix(".py") in {*TOOLS, "__init__"}:
        return
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and not node.module and node.level == depth:
            modules = {p.stem for p in PACKAGE.iterdir()} | {"_C"}
            for name in node.names:
                assert name.name in modules, f"{path.name}: from . import {name.name}"
        if isinstance(node, ast.Import):
            assert not any(name.name.startswith("dlcore") for name in node.names)


FLOORS = {  # folder of csrc -> what its files may include of csrc, by prefix
    "runtime": ("runtime/",),
    "kernels": ("kernels/",),
    "cpu": ("cpu/", "kernels", "runtime/"),
    "bindings": ("bindings/", "dispatch.h", "kernels/", "runtime/"),
    "cuda": ("cuda/", "kernels"),
    "cuda/runtime": ("cuda/", "kernels", "runtime/"),
    "cuda/shim": ("cuda/", "runtime/"),
    "": ("dispatch.h", "kernels", "runtime/"),
}
CPU_SYSTEM = {"cstdint", "cstddef", "cstring", "limits", "immintrin.h", "arm_neon.h"}


@pytest.mark.skipif(not (ROOT / "csrc").is_dir(), reason="needs the source tree")
def test_includes_point_down():
    for path in sorted((ROOT / "csrc").rglob("*.*")):
        folder = str(path.relative_to(ROOT / "csrc").parent).removesuffix(".")
        for bracket, name in re.findall(
            r'^#include ([<"])(.+)[>"]', path.read_text(), re.M
        ):
            where = f"{path.relative_to(ROOT)} includes {name}"
            if bracket == '"':
                assert name.startswith(FLOORS[folder]), where
            elif folder == "cpu":
                assert name in CPU_SYSTEM, where
            elif folder != "bindings":
                assert "pybind11" not in name and "numpy" not in name, where


# -- documents --


@pytest.mark.parametrize(("name", "thing"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_public_names_are_documented(name, thing):
    text = inspect.getdoc(thing) or ""
    assert text.split("\n")[0].endswith((".", "``", ":")), f"{name} has no first line"
    if inspect.isfunction(inspect.unwrap(thing)) and "Parameters\n----------" in text:
        aliases = {"axis", "keepdims"}  # NumPy's words for dim and keepdim
        for parameter in inspect.signature(thing).parameters.keys() - aliases:
            assert re.search(
                rf"^\*{{0,2}}(.+, )?\**{parameter}\b", text, re.MULTILINE
            ), f"{name}: {parameter} is not described"


@pytest.mark.parametrize("name", ["dlcore", *modules()])
def test_doctests(name):
    peer = re.search(r"\.bench\.(?:with_)?(torch|onnxruntime)", name)
    if peer:
        pytest.importorskip(peer[1], reason="needs the extra oracles")
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, raise_on_error=False)
    assert failed == 0


def documents():
    if not (ROOT / "README.md").is_file():
        return []
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.name)
def test_python_blocks_of_documents_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL
    )
    names = {"__name__": "__main__"}
    for block in blocks:  # each goes on where the one before ended
        exec(compile(block, str(path), "exec"), names)


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.name)
def test_links_of_documents_exist(path):
    prose = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.name)
def test_names_in_documents_exist(path):
    text = path.read_text()
    for dotted in set(re.findall(r"\bdl\.([A-Za-z_][\w.]*\w)", text)):
        attrgetter(dotted)(dl)
    for command in set(re.findall(r"python -m dlcore (\w+)", text)):
        assert command in COMMANDS


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs the source tree")
def test_features_cite_tests_and_ops_that_exist():
    text = (ROOT / "docs" / "features.md").read_text()
    for cited in set(re.findall(r"`(test_\w+\.py)`", text)):
        assert (ROOT / "tests" / cited).is_file(), cited
    assert set(dl.ops.__all__) <= set(re.findall(r"`(\w+)`", text))
