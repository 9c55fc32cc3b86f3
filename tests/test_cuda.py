"""The CUDA plugin without a GPU: what is missing, and a fake driver that fails.

Of the kernels themselves the tests of their families tell, on the instruction set
cuda_shim; nothing here has run on a GPU.
"""

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import dlcore as dl

ROOT = pathlib.Path(__file__).parents[1]
NOT_INSTALLED = "the plugin is not installed: build it, see docs/cuda.md"


def run(code, **environment):
    """The lines that `code` prints in a fresh interpreter, or the last of its error."""
    made = subprocess.run(
        [sys.executable, "-c", f"import dlcore as dl, numpy as np\n{code}"],
        env={**os.environ, "DLCORE_CUDA_PLUGIN": "", **environment},
        capture_output=True,
        text=True,
    )
    if made.returncode:
        return [made.stderr.strip().split("\n")[-1]]
    return made.stdout.strip().split("\n")


# -- without the plugin --

NO_PLUGIN = "import importlib.util; importlib.util.find_spec = lambda name: None\n"


def test_import_does_not_look_for_it():
    code = "import sys; print('dlcore.cuda' in sys.modules, 'ctypes' in sys.modules)"
    assert run(code)[0].startswith("False")


@pytest.mark.skipif(dl.cuda.is_available(), reason="there is a GPU")
def test_without_a_plugin_nothing_fails():
    code = (
        "c = dl.cuda; print(c.why_not(), c.is_available(), c.device_count(), sep='\\n')"
    )
    assert run(NO_PLUGIN + code) == [NOT_INSTALLED, "False", "0"]


@pytest.mark.parametrize(
    "call",
    ["synchronize()", "memory_stats()", "empty_cache()", "use_host_memory()"],
)
def test_without_a_plugin_a_call_says_why(call):
    assert run(f"{NO_PLUGIN}dl.cuda.{call}") == [f"RuntimeError: cuda: {NOT_INSTALLED}"]


def test_a_plugin_that_is_none(tmp_path):
    file = tmp_path / "plugin.so"
    file.write_text("no library")
    (line,) = run("print(dl.cuda.why_not())", DLCORE_CUDA_PLUGIN=str(file))
    assert line.startswith("the plugin cannot be loaded: ") and "plugin.so" in line


# -- with the plugin of a build folder, and a fake driver --


@pytest.fixture(scope="module")
def fake():
    """fake(code, failure=""): runs code with the plugin on the fake driver."""
    folder = pathlib.Path(os.environ.get("DLCORE_CUDA_BUILD", ROOT / "build" / "cuda"))
    plugin, driver = folder / "libdlcore_cuda.so", folder / "libfake_cuda.so"
    if not (plugin.exists() and driver.exists()):
        pytest.skip("needs a build folder with -DDLCORE_CUDA=ON -DDLCORE_CHECK=ON")

    def call(code, failure="", driver=driver, **environment):
        return run(
            code,
            PYTHONPATH=os.pathsep.join([*sys.path, str(ROOT / "packaging" / "cuda13")]),
            DLCORE_CUDA_PLUGIN=str(plugin),
            DLCORE_CUDA_DRIVER=str(driver),
            FAKE_CUDA=failure,
            **environment,
        )

    return call


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (
            "old_driver",
            "the NVIDIA driver is too old: it runs CUDA 12.4, and dlcore-cuda13 needs "
            "13.0 (driver 580 or later)",
        ),
        ("init", "cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
        ("no_gpu", "the NVIDIA driver sees no GPU"),
        ("old_gpu", "GPU 0 (Fake) has compute capability 7.0, and dlcore needs 7.5"),
        ("", "None"),
    ],
)
def test_why_not(fake, failure, reason):
    code = "print(dl.cuda.why_not(), dl.cuda.is_available(), sep='\\n')"
    assert fake(code, failure) == [reason, str(reason == "None")]


def test_no_driver(fake):
    (line,) = fake("print(dl.cuda.why_not())", driver="libcuda_of_nobody.so.1")
    assert line.startswith("no NVIDIA driver: libcuda_of_nobody.so.1: cannot open")
    (line,) = fake("dl.cuda.synchronize()", driver="libcuda_of_nobody.so.1")
    assert line.startswith("RuntimeError: cuda: no NVIDIA driver: ")


def test_a_library_that_is_no_driver(fake):
    (line,) = fake("print(dl.cuda.why_not())", driver="libm.so.6")
    assert line == "the NVIDIA driver has no cuGetErrorString"


def test_devices(fake):
    code = "print(dl.cuda.device_count(), *dl.cuda.get_device_properties(1))"
    assert fake(code) == ["2 Fake (9, 0)"]
    assert fake("dl.cuda.get_device_properties(2)") == [
        "ValueError: cuda: device must be from 0 to 1, got 2"
    ]


def test_kernels_launch(fake):
    """As far as a driver whose kernels do nothing can tell."""
    assert fake("dl.cuda.self_check()") == [
        "RuntimeError: cuda: relu gave a wrong result on this GPU"
    ]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ("launch", "relu_forward: launch failed: CUDA_ERROR_LAUNCH_FAILED"),
        (
            "image",
            "relu_forward: loading the kernels failed: CUDA_ERROR_NO_BINARY_FOR_GPU",
        ),
        ("synchronize", "cuda: waiting for the GPU failed: CUDA_ERROR_ILLEGAL_ADDRESS"),
    ],
)
def test_errors_name_the_op(fake, failure, error):
    line = f"RuntimeError: {error} (as asked for)"
    assert fake("dl.cuda.self_check()", failure) == [line]


def test_arrays_there_and_back(fake):
    code = """
from dlcore_cuda13 import to_device
for shape, dtype in (((3, 4), "f"), ((), "d"), ((0, 5), "q"), ((7,), "?")):
    x = np.ones(shape, dtype)
    y = to_device(x)
    assert (y.shape, y.dtype, y.nbytes) == (x.shape, x.dtype, x.nbytes)
    assert y.cpu().tolist() == x.tolist()
i = to_device(np.ones((3, 4), "f")).__cuda_array_interface__
print(i["shape"], i["typestr"], i["version"], i["stream"], i["data"][0] > 0)
to_device("text")
"""
    assert fake(code) == [
        "TypeError: to_device: x must be an array of numbers, got <U4"
    ]
    code = code.replace('to_device("text")', "")
    assert fake(code) == ["(3, 4) <f4 3 1 True"]


def test_exchange_without_a_copy(fake):
    code = """
import gc
from dlcore_cuda13 import DeviceArray, dlpack, from_cuda, to_device

class Cai:  # of another library, strided
    def __init__(self, x, **changed):
        self.__cuda_array_interface__ = {**x.__cuda_array_interface__, **changed}

x = to_device(np.arange(12, dtype="f").reshape(3, 4))
where = x.__cuda_array_interface__["data"]
for y in (from_cuda(x), from_cuda(Cai(x)), from_cuda(Cai(x, strides=(16, 4)))):
    assert y.__cuda_array_interface__["data"] == where and y.dtype == x.dtype

class Dlpack:
    def __init__(self, x):
        self.__dlpack__, self.__dlpack_device__ = x.__dlpack__, x.__dlpack_device__

y = from_cuda(Dlpack(x))
assert y.__cuda_array_interface__["data"] == where and y.shape == (3, 4)
del x
gc.collect()
assert dl.cuda.memory_stats()["used"] == 512 and len(dlpack._given) == 1
assert y.cpu().tolist() == np.arange(12.0).reshape(3, 4).tolist()
capsule = y.__dlpack__()
del capsule  # nobody took it
assert len(dlpack._given) == 1
z = to_device(np.ones(3, "?"))
for wrong in (Cai(y, strides=(4, 12)), np.ones(3), 3):
    try:
        from_cuda(wrong)
    except (TypeError, ValueError, BufferError) as error:
        print(type(error).__name__, error)
del y, z, wrong
gc.collect()
assert dl.cuda.memory_stats()["used"] == 0 and not dlpack._given
"""
    assert fake(code) == [
        "ValueError from_cuda: x must be contiguous: call .contiguous() first",
        "BufferError from_cuda: x must be on GPU 0",
        "TypeError from_cuda: x must be on a GPU, got int",
    ]


def test_allocator(fake):
    code = """
from dlcore_cuda13 import to_device
def stats(*names):
    all = dl.cuda.memory_stats()
    return [all[name] for name in names]
x = to_device(np.zeros(1000, "f"))
assert stats("used", "peak", "cached", "allocations") == [4096, 4096, 0, 1]
del x
assert stats("used", "peak", "cached") == [0, 4096, 4096]
y = to_device(np.zeros(900, "f"))  # of the same size: the same block
assert stats("used", "cached", "allocations") == [4096, 0, 1]
del y
dl.cuda.empty_cache()
assert stats("used", "cached") == [0, 0]
assert stats("free", "total") == [1 << 30, 1 << 30]
print("done")
"""
    assert fake(code) == ["done"]


def test_out_of_memory_leaves_the_process_usable(fake):
    code = """
from dlcore_cuda13 import to_device
held = to_device(np.zeros(1 << 20, "f"))
idle = to_device(np.zeros(1 << 20, "f"))
del idle
try:
    to_device(np.zeros(3 << 20, "f"))
except MemoryError as error:
    print(error)
more = to_device(np.ones(1 << 19, "f"))  # of what the cache gave back
print(more.cpu().sum())
"""
    mib = 1 << 20
    assert fake(code, FAKE_CUDA_BYTES=str(10 * mib)) == [
        f"cuda: GPU 0 has no {12 * mib} bytes left: {6 * mib} of {10 * mib} are free, "
        f"{4 * mib} hold arrays",
        "524288.0",
    ]


def test_kernels_on_host_memory(fake):
    """From an op down to the launch: the fake driver's kernels do nothing."""
    begin = "dl.cuda.use_host_memory(); dl.set_isa('cuda')\n"
    x = "np.ones((2, 3), 'f')"
    assert fake(f"{begin}print(dl.get_isa(), dl.softmax({x}).shape)") == ["cuda (2, 3)"]
    assert fake(f"{begin}dl.softmax({x})", "launch") == [
        "RuntimeError: softmax_forward: launch failed: CUDA_ERROR_LAUNCH_FAILED "
        "(as asked for)"
    ]
    code = f"dl._C.conv2d_pack({x}[None, None], {x}[None, None], 1, 0, 1, 1)"
    assert fake(begin + code) == ["NotImplementedError: conv2d_pack has no cuda kernel"]
    assert fake("dl.cuda.use_host_memory()", "discrete") == [
        "RuntimeError: cuda: this GPU cannot read the host's memory"
    ]


def test_every_exported_kernel_is_in_the_table(fake):
    code = """
import ctypes
words = ctypes.c_int(0)
library, _ = dl.cuda._open()
print(library.dlcore_cuda_kernels(ctypes.byref(words)), words.value)
"""
    (line,) = fake(code)
    have, words = map(int, line.split())
    exported = sum(
        file.read_text().count("\nDLCORE_CUDA_EXPORT(")
        for file in (ROOT / "csrc" / "cuda").glob("*.cu")
    )
    assert have == exported
    assert words == (ROOT / "csrc" / "kernels.def").read_text().count("\nKERNEL")


# -- the script for a machine with a GPU --


@pytest.mark.skipif(not (ROOT / "tools").is_dir(), reason="needs the source tree")
def test_gpu_script_plans_without_a_gpu():
    script = [sys.executable, ROOT / "tools" / "h200.py", "--dry-run"]
    made = subprocess.run(script, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout
    assert made.stdout.strip().endswith("families, 0 wrong")


@pytest.mark.skipif(not (ROOT / "tools").is_dir(), reason="needs the source tree")
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_gpu_script_knows_the_structs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import h200_cases

    structs = {
        "ClassLoss": ("ClassLoss<float>", "weight_sum"),
        "Reduction": ("Reduction", "reduced2"),
        "Broadcast": ("Broadcast", "stride_b"),
        "Gemm": ("Gemm<float>", "packed_a"),
        "Adam": ("Adam<float>", "maximize"),
    }
    for name, (struct, last) in structs.items():
        numbers = f"sizeof({struct}), offsetof({struct}, {last})"
        source = tmp_path / f"{name}.cpp"
        source.write_text(
            '#include <cstddef>\n#include <cstdio>\n#include "kernels/elementwise.h"\n'
            '#include "kernels/gemm.h"\n#include "kernels/loss.h"\n'
            '#include "kernels/optim.h"\n#include "kernels/reduction.h"\n'
            "using namespace dlcore;\n"
            f'int main() {{ std::printf("%zu %zu\\n", {numbers}); }}\n'
        )
        program = tmp_path / name
        build = ["g++", "-std=c++20", f"-I{ROOT / 'csrc'}", source, "-o", program]
        subprocess.run(build, check=True)
        size, offset = subprocess.check_output([program], text=True).split()
        mine = getattr(h200_cases, name)
        assert ctypes.sizeof(mine) == int(size)
        assert getattr(mine, last).offset == int(offset)
