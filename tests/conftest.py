"""Fixtures of every family: each instruction set, both dtypes, reproducible numbers."""

import os
import re
import signal

import numpy as np
import pytest

from dlcore import _C, cuda

# A shell that starts the tests in the background has them ignore SIGINT, and with them
# the processes in which tests look at what Ctrl-C does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# On a machine whose GPU reads the host's memory: every test with its kernels.
if os.environ.get("DLCORE_TEST_CUDA"):
    cuda.use_host_memory()
    _C.set_isa("cuda")


def pytest_runtest_setup(item):
    for mark in item.iter_markers("not_under"):
        if os.environ.get("DLCORE_SANITIZER") in mark.args:
            pytest.skip(mark.kwargs["reason"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Skips what has no CUDA kernel: those of a CPU are complete."""
    try:
        return (yield)
    except NotImplementedError as error:
        if _C.isa() == "cuda_shim" and re.search(
            r"^\w+ has no cuda kernel$", str(error)
        ):
            pytest.skip(str(error))
        raise


@pytest.fixture(params=_C.built_isas())
def isa(request):
    """Runs the test with each instruction set of this build that the CPU can run."""
    if request.param not in _C.isas():
        pytest.skip(f"{request.param} is not supported by this CPU")
    before = _C.isa()
    _C.set_isa(request.param)
    yield request.param
    _C.set_isa(before)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(12345)


@pytest.fixture
def threads():
    """Sets the number of threads; puts it back afterwards."""
    before = _C.num_threads()
    yield _C.set_num_threads
    _C.set_num_threads(before)


@pytest.fixture(scope="session")
def torch():
    """PyTorch as an oracle: the test skips without the extra `oracles`."""
    module = pytest.importorskip("torch", reason="needs the extra oracles")
    module.set_num_threads(1)
    return module
