"""Which kernels serve: DLCORE_ISA, set_isa, and what the objects of each set may hold.

Of an inline function in the objects of two instruction sets the linker keeps one copy:
perhaps the AVX-512 one, which crashes an older CPU. So the objects of csrc/cpu define
no weak symbol, nothing outside their own namespace, and nothing that runs at load.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import dlcore as dl
from dlcore import _C

ROOT = pathlib.Path(__file__).parents[1]
X86 = "avx2" in _C.built_isas()
pytestmark = pytest.mark.skipif(
    "cuda_shim" in _C.built_isas(), reason="a build for the tests of CUDA kernels"
)


def python(code, isa):
    """The last line that `code` prints in a fresh interpreter, or that of its error."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "DLCORE_ISA": isa},
        capture_output=True,
        text=True,
    )
    return (run.stdout if run.returncode == 0 else run.stderr).strip().split("\n")[-1]


def test_best_is_the_default():
    assert python("import dlcore; print(dlcore.get_isa())", "") == _C.isas()[-1]


def test_environment_chooses(isa):
    assert python("import dlcore; print(dlcore.get_isa())", isa) == isa


@pytest.mark.parametrize("name", ["sse", "AVX2", "avx2 ", "\N{SNOWMAN}"])
def test_environment_refuses(name):
    line = f"DLCORE_ISA={name}: this CPU and build can run {', '.join(_C.isas())}"
    assert python("import dlcore", name) == f"ImportError: {line}"


@pytest.mark.parametrize(
    ("name", "exception", "match"),
    [
        ("sse", ValueError, "^set_isa: sse: this CPU and build can run baseline"),
        ("", ValueError, "^set_isa: : this CPU"),
        (None, TypeError, "^set_isa: name must be a string, got NoneType$"),
        (2, TypeError, "^set_isa: name must be a string, got int$"),
    ],
)
def test_set_isa_refuses(name, exception, match):
    before = dl.get_isa()
    with pytest.raises(exception, match=match):
        dl.set_isa(name)
    assert dl.get_isa() == before


def test_set_isa_refuses_what_the_cpu_lacks():
    lacking = [name for name in _C.built_isas() if name not in _C.isas()]
    if not lacking:
        pytest.skip("this CPU runs every instruction set of the build")
    with pytest.raises(ValueError, match=f"^set_isa: {lacking[0]}: this CPU and build"):
        dl.set_isa(lacking[0])


def test_show_config(capsys):
    dl.show_config()
    lines = dict(
        line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()
    )
    assert lines["dlcore"] == dl.__version__
    assert lines["instruction"].startswith(f"set  {dl.get_isa()} of baseline")


# -- the objects --


def v3_sources():
    """The files of which avx512 takes what was built for avx2."""
    text = (ROOT / "CMakeLists.txt").read_text()
    return re.search(r"set\(v3_sources ([^)]+)\)", text)[1].split()


def dot_sources():
    """The files that avx512 alone has."""
    text = (ROOT / "CMakeLists.txt").read_text()
    return re.search(r"set\(dot_sources ([^)]+)\)", text)[1].split()


def is_complete(build):
    """Whether a build folder holds an up-to-date object of every file and set."""
    cache = build / "CMakeCache.txt"
    if not cache.is_file() or not re.search(
        r"^DLCORE_SANITIZE:STRING=$", cache.read_text(), re.MULTILINE
    ):
        return False
    sources = [*(ROOT / "csrc/kernels").iterdir(), *(ROOT / "csrc/cpu").iterdir()]
    newest = max(p.stat().st_mtime for p in sources)
    v3, dot = v3_sources(), dot_sources()
    for isa in _C.built_isas():
        folder = build / f"CMakeFiles/cpu_{isa}.dir/csrc/cpu"
        made = {p.name: p.stat().st_mtime for p in folder.glob("*.o")}
        for source in (ROOT / "csrc/cpu").glob("*.cpp"):
            borrowed = source.stem in (v3 if isa == "avx512" else dot)
            if not borrowed and made.get(f"{source.name}.o", 0) < newest:
                return False
    return True


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """The objects of csrc/cpu by instruction set, from a build folder or built now."""
    if not (ROOT / "CMakeLists.txt").is_file():
        pytest.skip("needs the source tree")
    for tool in ("nm", "objdump"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    build = next((b for b in (ROOT / "build").glob("*") if is_complete(b)), None)
    if build is None:
        if shutil.which("cmake") is None:
            pytest.skip("needs a build folder, or cmake")
        build = tmp_path_factory.mktemp("objects")
        targets = [f"cpu_{isa}" for isa in _C.built_isas()]
        configure = ["cmake", "-S", ROOT, "-B", build, "-DDLCORE_PYTHON=OFF"]
        subprocess.run(configure, check=True, capture_output=True)
        make = ["cmake", "--build", build, "-j2", "--target", *targets]
        subprocess.run(make, check=True, capture_output=True)
    return {
        isa: sorted((build / f"CMakeFiles/cpu_{isa}.dir/csrc/cpu").glob("*.o"))
        for isa in _C.built_isas()
    }


def output(*command):
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return run.stdout


def symbols(files):
    """(type, name) of every external symbol of the objects."""
    for line in output("nm", "-C", "-g", *files).splitlines():
        if found := re.match(r"^(?:[0-9a-f]{16}| {16}) (\w) (.+)$", line):
            yield found.groups()


def test_nothing_is_shared_between_sets(objects):
    for isa, files in objects.items():
        assert files
        for kind, name in symbols(files):
            assert kind not in "wWvVu", f"{isa}: weak symbol {name}"
            if kind != "U":
                assert name.startswith(f"dlcore::{isa}::"), f"{isa} defines {name}"


@pytest.mark.skipif(not (ROOT / "csrc").is_dir(), reason="needs the source tree")
def test_v3_kernels_are_those_of_the_v3_sources():
    kernels = (ROOT / "csrc/kernels.def").read_text()
    files = [ROOT / f"csrc/cpu/{name}.cpp" for name in v3_sources()]
    exported = [re.findall(r"DLCORE_EXPORT\((\w+)\)", f.read_text()) for f in files]
    assert all(exported)
    assert sorted(re.findall(r"^KERNEL_V3(?:_F32)?\((\w+)", kernels, re.M)) == sorted(
        name for names in exported for name in names
    )


def test_kernels_call_the_runtime_only(objects):
    allowed = {"memcpy", "memset", "memmove", "memcmp", "pow", "powf"}  # C's own
    allowed.add("_GLOBAL_OFFSET_TABLE_")
    for isa, files in objects.items():
        for kind, name in symbols(files):
            if kind == "U" and name not in allowed:
                inside = name.startswith("dlcore::") and "std::" not in name
                assert inside, f"{isa}: {name} is not of runtime/"


def test_nothing_runs_at_load(objects):
    for isa, files in objects.items():
        sections = output("objdump", "-h", *files)
        assert not re.search(r"\.(init_array|ctors|tdata|tbss)", sections), isa


def instruction(file, pattern):
    """The first instruction of an object that has `pattern`."""
    code = output("objdump", "-d", "--no-show-raw-insn", "-M", "att", file)
    found = re.search(rf"\t.*(?:{pattern}).*$", code, re.MULTILINE)
    return found and found.group().strip()


@pytest.mark.skipif(not X86, reason="x86-64 only")
@pytest.mark.parametrize(
    ("isa", "wider"),
    [("baseline", r"%[yz]mm|\bv[a-z0-9]+ "), ("avx2", r"%zmm|%k[0-7]")],
)
def test_no_instruction_of_a_higher_set(objects, isa, wider):
    for file in objects[isa]:
        found = instruction(file, wider)
        assert not found, f"{file.name} for {isa} holds {found}"
    assert any(instruction(file, wider) for file in objects["avx512"])
