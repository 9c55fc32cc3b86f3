"""Every module beside PyTorch's, in float64 with the same weights loaded by name."""

import inspect
import pathlib

import numpy as np
import pytest
from side_by_side import ELSEWHERE, LACKING, MODULES, OWN, TOLERANCES

import dlcore as dl

CASES = [(name, *case) for name, cases in MODULES.items() for case in cases]
IDS = [f"{name}({arguments})" for name, arguments, *_ in CASES]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def classes(nn):
    return {
        name
        for name in dir(nn)
        if inspect.isclass(getattr(nn, name))
        and issubclass(getattr(nn, name), nn.Module)
    }


def test_nothing_escapes():
    assert classes(dl.nn) == {*MODULES, *ELSEWHERE, *OWN}
    here = pathlib.Path(__file__).parent
    for name, path in {**ELSEWHERE, **OWN}.items():
        assert name.rstrip("123d") in (here / path).read_text(), f"{name}: {path}"


def test_what_is_lacking_has_a_reason(torch):
    lacking = {name for names in LACKING.values() for name in names}
    assert classes(torch.nn) - classes(dl.nn) == lacking


def make(nn, name, arguments):
    return eval(f"nn.{name}({arguments})", {"nn": nn})


def pair(torch, name, arguments):
    """The module here and there, with the same random weights of float64."""
    rng = np.random.default_rng(len(arguments))
    mine, other = make(dl.nn, name, arguments), make(torch.nn, name, arguments)
    mine, other = mine.double(), other.double()
    for parameter in mine.parameters():
        parameter.data = rng.normal(0.2, 0.5, parameter.shape)
    state = mine.state_dict()
    assert list(state) == list(other.state_dict())
    other.load_state_dict({k: torch.tensor(np.asarray(v)) for k, v in state.items()})
    return mine, other


def flat(result):
    """The tensors of a result, one after the other."""
    if isinstance(result, (tuple, list)):
        return [tensor for part in result for tensor in flat(part)]
    return [] if result is None else [result]


def close(got, want, what, rtol=1e-9):
    got, want = np.asarray(got), np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol / 100, err_msg=what)


def inputs_of(torch, inputs):
    """Leaves of both libraries; whole numbers need no gradient."""
    rng = np.random.default_rng(3)
    mine, other = [], []
    for one in inputs:
        if isinstance(one, list):
            mine.append(np.array(one))
            other.append(torch.tensor(one))
            continue
        a = one if isinstance(one, np.ndarray) else rng.standard_normal(one)
        need = a.dtype == float
        mine.append(dl.Tensor(a.copy(), requires_grad=need))
        other.append(torch.tensor(a, requires_grad=need))
    return mine, other


def compare(torch, mine, other, inputs):
    xs, ys = inputs_of(torch, inputs)
    given = flat(mine(*xs)), flat(other(*ys))
    for got, want in zip(*given, strict=True):
        assert got.shape == want.shape
        close(got.detach(), want.detach(), "output")
    rng = np.random.default_rng(5)
    total, total_ = dl.tensor(0.0, "float64"), torch.zeros((), dtype=torch.float64)
    for got, want in zip(*given, strict=True):
        if want.requires_grad:
            dy = rng.standard_normal(got.shape)
            total = total + (got * dy).sum()
            total_ = total_ + (want * torch.tensor(dy)).sum()
    if total_.requires_grad:
        total.backward()
        total_.backward()
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if getattr(y, "grad", None) is not None:
            rtol = TOLERANCES.get(type(mine).__name__, 1e-9)
            close(x.grad, y.grad, f"gradient of input {i}", rtol)
    theirs = dict(other.named_parameters())
    for name, parameter in mine.named_parameters():
        wanted = theirs[name].grad
        assert parameter.requires_grad == theirs[name].requires_grad, name
        if wanted is not None:
            close(parameter.grad, wanted, f"gradient of {name}")
    theirs = dict(other.named_buffers())
    for name, buffer in mine.named_buffers():
        close(buffer, theirs[name], name)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_computes_what_pytorchs_does(torch, case):
    name, arguments, *inputs = case
    mine, other = pair(torch, name, arguments)
    random = any(getattr(m, "p", 0) == 0.5 for m in other.modules())
    if not random:
        compare(torch, mine, other, inputs)
    mine.zero_grad()
    other.zero_grad()
    compare(torch, mine.eval(), other.eval(), inputs)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_looks_like_pytorchs(torch, case):
    name, arguments, *_ = case
    mine, other = make(dl.nn, name, arguments), make(torch.nn, name, arguments)
    assert repr(mine) == repr(other).replace("NonDynamicallyQuantizable", "")
    for parameter in inspect.signature(type(other)).parameters:
        value = getattr(other, parameter, None)
        if isinstance(value, (bool, int, float, str, tuple)):
            assert getattr(mine, parameter) == value, parameter


NOT_HERE = {  # of PyTorch's arguments: the only device; what became `reduction`
    *("device", "size_average", "reduce"),
    "dtype",  # there behind the device; here by name
}
OTHERWISE = {  # defaults that differ: an axis must not depend on the number of axes
    *((name, "dim") for name in ("Softmax", "Softmin", "LogSoftmax")),
    *(
        (f"Transformer{part}", "activation")  # 'relu' there, a function here
        for part in ("", "EncoderLayer", "DecoderLayer")
    ),
}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_takes_what_pytorchs_takes(torch, name):
    """Names, order and defaults; what is only here comes after."""
    there = inspect.signature(getattr(torch.nn, name)).parameters
    if "args" in there or name == "Sequential":
        return
    here = inspect.signature(getattr(dl.nn, name)).parameters
    there = {k: p for k, p in there.items() if k not in NOT_HERE}
    for alias in ("min_value", "max_value"):  # old words of Hardtanh
        there.pop(alias, None)
    positional = [k for k, p in there.items() if p.kind is not p.KEYWORD_ONLY]
    assert [k for k in here if k in positional] == positional
    assert list(here)[: len(positional)] == positional
    for key, parameter in there.items():
        if (name, key) not in OTHERWISE:
            assert here[key].default == parameter.default, key


WRONG = {  # what PyTorch refuses, with which class of error
    "Linear(6, 5)": [(3, 4)],
    "Bilinear(6, 4, 5)": [(3, 6), (3, 5)],
    "Conv2d(4, 6, 3)": [(2, 3, 7, 6)],
    "ConvTranspose2d(4, 6, 3)": [(2, 3, 7, 6)],
    "BatchNorm2d(4)": [(2, 4, 7)],
    "BatchNorm1d(4)": [(2, 3)],
    "LayerNorm(6)": [(3, 5)],
    "GroupNorm(2, 4)": [(2, 3, 5)],
    "PReLU(4)": [(2, 3, 5)],
    "GLU()": [(3, 5)],
    "MaxPool2d(9)": [(2, 4, 7, 6)],
    "PixelShuffle(2)": [(2, 3, 7, 6)],
    "Unflatten(1, (2, 2))": [(3, 6)],
    "ReflectionPad1d(7)": [(2, 4, 7)],
    "LSTM(4, 3)": [(5, 2, 3)],
    "GRUCell(4, 3)": [(2, 3)],
    "MSELoss()": [(3, 4), (3, 5)],
    "CrossEntropyLoss()": [(3, 4), (5,)],
    "MultiheadAttention(4, 2)": [(5, 2, 3)] * 3,
    "Embedding(5, 3)": [np.array([7])],
    "CosineSimilarity()": [(3, 4), (3, 5)],
}


@pytest.mark.parametrize("code", WRONG)
def test_refuses_what_pytorch_refuses(torch, code):
    """ValueError, or IndexError for a number out of range; there RuntimeError too."""
    mine = eval(f"nn.{code}", {"nn": dl.nn}).double()
    other = eval(f"nn.{code}", {"nn": torch.nn}).double()
    xs, ys = inputs_of(torch, WRONG[code])
    with pytest.raises((RuntimeError, ValueError, IndexError, AssertionError)) as there:
        other(*ys)
    with pytest.raises((ValueError, IndexError)) as here:
        mine(*xs)
    if there.type in (ValueError, IndexError):
        assert issubclass(here.type, there.type)


# -- optimizers and schedules: their tables are those of their own tests --


def test_no_optimizer_escapes(torch):
    import test_optim
    import test_optim_rules
    import test_row_sparse

    tables = {
        *(kind.__name__ for kind, _ in test_optim.CASES),
        *(name for name, _ in test_optim_rules.CASES),
    }
    own = {name for name, _ in test_optim_rules.OWN}
    kinds = vars(dl.optim).items()
    base = dl.optim.Optimizer
    named = {n for n, k in kinds if inspect.isclass(k) and issubclass(k, base)}
    assert named - {"Optimizer", "SparseAdam"} == tables | own
    assert "SparseAdam" in inspect.getsource(test_row_sparse)
    there = {n for n, k in vars(torch.optim).items() if inspect.isclass(k)}
    assert there - named == {"ASGD", "Adafactor", "LBFGS", "Muon", "Rprop"}


def test_no_schedule_escapes(torch):
    import schedule_helpers
    import test_lr_scheduler

    table = {name for name, *_ in schedule_helpers.SHARED}
    there = torch.optim.lr_scheduler
    named = {n for n in dl.optim.lr_scheduler.__all__ if hasattr(there, n)}
    source = inspect.getsource(test_lr_scheduler)
    for name in named - table - {"LRScheduler"}:
        assert f"torch.optim.lr_scheduler.{name}" in source or name in source, name
    ours = {n for n in there.__all__ if n in dl.optim.lr_scheduler.__all__}
    assert set(there.__all__) == ours


STEPPED = [
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {}),
    *((name, {}) for name in "Adagrad Adadelta RMSprop Adamax NAdam RAdam".split()),
]


@pytest.mark.parametrize("name, options", STEPPED)
def test_a_network_trains_as_there(torch, name, options):
    """20 steps with a clipped gradient and a schedule; the state of each, by key."""
    code = "nn.Linear(6, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 4)"
    mine, other = pair(torch, "Sequential", code)
    steps = getattr(dl.optim, name)(mine.parameters(), **options)
    steps_ = getattr(torch.optim, name)(other.parameters(), **options)
    rate = dl.optim.lr_scheduler.CosineAnnealingLR(steps, 20)
    rate_ = torch.optim.lr_scheduler.CosineAnnealingLR(steps_, 20)
    x = np.random.default_rng(2).standard_normal((9, 6))
    labels = np.arange(9) % 4
    for _ in range(20):
        steps.zero_grad()
        dl.cross_entropy(mine(dl.Tensor(x)), labels).backward()
        dl.nn.utils.clip_grad_norm_(mine.parameters(), 0.5)
        steps.step()
        rate.step()
        steps_.zero_grad()
        scores = other(torch.tensor(x))
        torch.nn.functional.cross_entropy(scores, torch.tensor(labels)).backward()
        torch.nn.utils.clip_grad_norm_(other.parameters(), 0.5)
        steps_.step()
        rate_.step()
    for key, value in other.state_dict().items():
        close(mine.state_dict()[key], value, key, 1e-5 if name == "NAdam" else 1e-8)
    state, state_ = steps.state_dict()["state"], steps_.state_dict()["state"]
    assert state.keys() == state_.keys()
    for i, kept in state_.items():
        assert state[i].keys() == {k for k, v in kept.items() if v is not None}
        for key, value in kept.items():
            if value is not None:
                close(state[i][key], value, f"{key} of {i}", 1e-6)
