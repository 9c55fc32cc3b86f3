"""The thread pool: how many, after a fork, many callers at once, Ctrl-C, same bits."""

import importlib
import inspect
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import dlcore as dl
from dlcore import _C, watch

LARGE = np.linspace(-1, 1, 1 << 18, dtype=np.float32)  # several chunks


def python(code, **environment):
    """The last line that `code` prints in a fresh interpreter, or that of its error."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DLCORE_")}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment,
        capture_output=True,
        text=True,
    )
    return (run.stdout if run.returncode == 0 else run.stderr).strip().split("\n")[-1]


def relu_is_right():
    return bool((dl.relu(LARGE) == np.maximum(LARGE, 0)).all())


def test_environment_sets_threads():
    assert (
        python("import dlcore; print(dlcore.get_num_threads())", DLCORE_NUM_THREADS="3")
        == "3"
    )


@pytest.mark.parametrize("wish", ["0", "-1", "257", "two", "1.5", "2 ", "9" * 20])
def test_environment_refuses(wish):
    line = python("import dlcore", DLCORE_NUM_THREADS=wish)
    rule = "must be a whole number from 1 to 256"
    assert line == f"ImportError: DLCORE_NUM_THREADS={wish}: {rule}"


def test_empty_environment_is_no_wish():
    code = "from dlcore import _C; print(_C.num_threads() == _C.usable_cpus())"
    assert python(code, DLCORE_NUM_THREADS="") == "True"


def test_default_obeys_affinity():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import dlcore; print(dlcore.get_num_threads())"
    )
    assert python(code) == "1"


@pytest.mark.parametrize(
    ("n", "exception", "match"),
    [
        (0, ValueError, "^set_num_threads: n must be from 1 to 256, got 0$"),
        (-3, ValueError, "got -3$"),
        (257, ValueError, "got 257$"),
        (1 << 80, ValueError, "^set_num_threads: n must fit into 64 bits$"),
        (2.0, TypeError, "^set_num_threads: n must be a whole number, got float$"),
        (None, TypeError, "got NoneType$"),
    ],
)
def test_set_num_threads_refuses(n, exception, match):
    before = dl.get_num_threads()
    with pytest.raises(exception, match=match):
        dl.set_num_threads(n)
    assert dl.get_num_threads() == before


def cgroup(tmp_path, groups, **files):
    (tmp_path / "groups").write_text(groups)
    for path, text in files.items():
        file = tmp_path / "fs" / path.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return _C.cgroup_quota(str(tmp_path / "groups"), str(tmp_path / "fs"))


INF = float("inf")


def test_cgroup_v2_tightest_of_the_path(tmp_path):
    quota = cgroup(
        tmp_path,
        "0::/slice/pod\n",
        cpu_dot_max="max 100000\n",
        slice__cpu_dot_max="150000 100000\n",
        slice__pod__cpu_dot_max="400000 100000\n",
        slice__pod__memory_dot_max="max\n",
        slice__memory_dot_max="1073741824\n",
    )
    assert quota == (1.5, 1 << 30)


def test_cgroup_v2_root_of_a_container(tmp_path):
    assert cgroup(tmp_path, "0::/\n", cpu_dot_max="50000 100000\n") == (0.5, INF)


def test_cgroup_v1(tmp_path):
    quota = cgroup(
        tmp_path,
        "5:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n2:cpuset:/docker/a\n",
        cpu__docker__a__cpu_dot_cfs_quota_us="200000\n",
        cpu__docker__a__cpu_dot_cfs_period_us="100000\n",
        cpu__cpu_dot_cfs_quota_us="-1\n",
        cpu__cpu_dot_cfs_period_us="100000\n",
        memory__docker__a__memory_dot_limit_in_bytes="4096\n",
    )
    assert quota == (2.0, 4096)


@pytest.mark.parametrize(
    "groups", ["", "nonsense\n", "0::\n", "0::name\n", "0::/gone\n"]
)
def test_cgroup_without_limits(tmp_path, groups):
    assert cgroup(tmp_path, groups) == (INF, INF)


def test_limits_are_sane():
    assert 1 <= _C.usable_cpus() <= os.cpu_count()
    assert (
        0
        < _C.usable_memory()
        <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    )


def exit_code_of_child(child):
    """Exit status of a fork that runs `child`, without pytest's own cleanup."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if child() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.not_under("tsan", reason="TSan loses new threads of a forked child")
class TestFork:
    def test_pool_in_the_child_and_after(self, threads):
        threads(3)
        assert relu_is_right()  # the workers exist
        assert exit_code_of_child(relu_is_right) == 0
        assert relu_is_right()

    def test_while_another_thread_is_in_a_call(self, threads):
        threads(2)
        stop = threading.Event()

        def busy():
            while not stop.is_set():
                dl.relu(LARGE)

        caller = threading.Thread(target=busy)
        caller.start()
        try:
            codes = [exit_code_of_child(relu_is_right) for _ in range(20)]
        finally:
            stop.set()
            caller.join()
        assert codes == [0] * 20

    def test_while_another_thread_counts_and_adds_up(self):
        """Whose locks stay locked in the child, and whom nobody need tell anything."""
        tape = importlib.import_module("dlcore.tape")
        inside, leave = threading.Event(), threading.Event()

        def busy():
            with watch.watching(print), watch._lock, tape._accumulating:
                inside.set()
                leave.wait(30)

        def child():
            signal.alarm(20)
            leaf = dl.Tensor([1.0], requires_grad=True)
            relu = dl.nn.ReLU()
            relu(leaf).backward()
            right = dl.count_flops(relu, leaf).flops == 1
            return right and inspect.isbuiltin(_C.relu_forward)

        other = threading.Thread(target=busy)
        other.start()
        try:
            inside.wait(30)
            code = exit_code_of_child(child)
        finally:
            leave.set()
            other.join()
        assert code == 0

    def test_inside_a_count(self):
        code = []
        relu = dl.nn.ReLU()

        def function(x):
            code.append(exit_code_of_child(lambda: relu(x) is not None))
            return relu(x)

        assert dl.count_flops(function, np.ones(3, "float32")).flops == 3
        assert code == [0] and inspect.isbuiltin(_C.relu_forward)

    def test_grandchild(self, threads):
        threads(2)
        relu_is_right()
        assert exit_code_of_child(lambda: exit_code_of_child(relu_is_right) == 0) == 0

    def test_multiprocessing(self, threads):
        threads(2)
        relu_is_right()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.starmap(relu_is_right, [()] * 4) == [True] * 4


def test_many_threads_at_once(threads):
    threads(2)
    right = []
    callers = [
        threading.Thread(
            target=lambda: right.extend(relu_is_right() for _ in range(50))
        )
        for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for n in (1, 3, 2) * 5:  # the pool is replaced meanwhile
        dl.set_num_threads(n)
        dl.set_isa(_C.isas()[n % len(_C.isas())])
    dl.set_isa(_C.isas()[-1])
    for caller in callers:
        caller.join()
    assert right == [True] * 400


def test_more_threads_than_cpus(threads):
    threads(64)
    assert relu_is_right()


@pytest.mark.not_under("asan", "tsan", reason="RLIMIT_AS stops the shadow memory")
def test_too_few_threads_from_the_system():  # no room for 255 stacks
    code = (
        "import resource, numpy as np, dlcore as dl\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "x = np.ones(1 << 20, 'f'); print(int(dl.relu(x).sum()))"
    )
    assert python(code, DLCORE_NUM_THREADS="256") == str(1 << 20)


def test_exit_with_workers_asleep_or_busy():
    code = (
        "import threading, numpy as np, dlcore as dl\n"
        "dl.set_num_threads(3); x = np.ones(1 << 22, 'f')\n"
        "def busy():\n"
        "    while True: dl.relu(x)\n"
        "threading.Thread(target=busy, daemon=True).start(); dl.relu(x); print('bye')"
    )
    assert python(code) == "bye"


def test_interrupt_is_honoured_after_the_call():
    code = (
        "import numpy as np, dlcore as dl\n"
        "x = np.ones(1 << 22, 'f')\n"
        "print('ready', flush=True)\n"
        "while True: dl.relu(x)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        try:
            _, error = child.communicate(timeout=60)
        finally:
            child.kill()
    assert error.rstrip().endswith("KeyboardInterrupt")
    assert child.returncode == -signal.SIGINT
