"""The optimizers beside SGD and Adam: against PyTorch's, NumPy's, themselves."""

import copy
import inspect
import subprocess
import sys

import numpy as np
import pytest
import reference_optim
from test_optim import SHAPES, grads_of, make, set_grads
from test_page_ends import SIDES, beside_a_closed_page

import dlcore as dl
from dlcore import _C, optim
from dlcore.testing import assert_close

CASES = [
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("Adadelta", {}),
    ("Adadelta", {"rho": 0.5, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True, "maximize": True}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "alpha": 0.9}),
    ("Adamax", {}),
    ("Adamax", {"betas": (0.5, 0.8), "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {}),
    ("RAdam", {"weight_decay": 0.1, "betas": (0.8, 0.9), "maximize": True}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
]
OWN = [
    ("LAMB", {}),
    ("LAMB", {"weight_decay": 0.0, "maximize": True, "betas": (0.5, 0.9)}),
    ("Lion", {}),
    ("Lion", {"weight_decay": 0.1, "maximize": True, "betas": (0.5, 0.9)}),
]
FIRST = list({case[0]: case for case in [*CASES, *OWN]}.values())


@pytest.fixture
def double(torch):
    """PyTorch with scalars of float64, of which NAdam keeps a product."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


@pytest.mark.parametrize("name, options", CASES)
def test_follows_torch(double, rng, name, options):
    torch, shapes = double, SHAPES[:-1]
    params = make(rng, "float64", shapes)
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in params]
    mine = getattr(optim, name)(params, lr=0.02, **options)
    other = getattr(torch.optim, name)(theirs, lr=0.02, **options)
    for grads in grads_of(rng, 100, shapes):
        set_grads(params, grads)
        for t, g in zip(theirs, grads):
            t.grad = torch.tensor(g)
        mine.step()
        other.step()
    for p, t in zip(params, theirs):
        np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=1e-10, atol=1e-11)
    ours, kept = mine.state_dict()["state"], other.state_dict()["state"]
    assert ours.keys() == kept.keys()
    for n in ours:
        assert ours[n].keys() == kept[n].keys()
        for key in ours[n]:
            np.testing.assert_allclose(
                ours[n][key], kept[n][key].numpy(), rtol=1e-9, atol=1e-12
            )


@pytest.mark.parametrize("name, options", CASES + OWN)
def test_every_instruction_set(isa, dtype, rng, name, options):
    params = make(rng, dtype)
    want = [p.data.astype("f8") for p in params]
    optimizer = getattr(optim, name)(params, lr=0.02, **options)
    step = reference_optim.Stepper(name, want, optimizer.param_groups[0])
    for grads in grads_of(rng, 8):
        set_grads(params, grads)
        step([p.grad.data.astype("f8") for p in params])
        optimizer.step()
    for p, w in zip(params, want):
        assert p.data.dtype == dtype
        # A sign or a quotient of two tiny numbers is what rounding makes of them.
        assert_close(p.data, w, ulp=200, scale=np.abs(w) + 1)


@pytest.mark.parametrize("name, options", FIRST)
def test_same_bits_for_any_threads(threads, rng, name, options):
    start = [rng.standard_normal(s) for s in ((300, 257), 70_000, (5,), (0,), 33_000)]
    grads = grads_of(rng, 3, [s.shape for s in start])
    results = []
    for count in (1, 2, 3):
        threads(count)
        params = [dl.Tensor(s.astype("f4"), True) for s in start]
        optimizer = getattr(optim, name)(params, lr=0.1, **options)
        for g in grads:
            set_grads(params, g)
            optimizer.step()
        results.append([p.data for p in params])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name, options", CASES + OWN)
def test_resume_is_exact(rng, dtype, name, options):
    params = make(rng, dtype)
    kind = getattr(optim, name)
    optimizer = kind(params, lr=0.1, **options)
    grads = grads_of(rng, 6)
    for g in grads[:3]:
        set_grads(params, g)
        optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.05
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    again = [dl.Tensor(p.data.copy(), True) for p in params]
    for g in grads[3:]:
        set_grads(params, g)
        optimizer.step()
    resumed = kind(again)
    resumed.load_state_dict(saved)
    for g in grads[3:]:
        set_grads(again, g)
        resumed.step()
    for p, q in zip(params, again):
        np.testing.assert_array_equal(p.data, q.data)
    for n, kept in before["state"].items():  # the snapshot stayed as it was
        for key, value in kept.items():
            np.testing.assert_array_equal(saved["state"][n][key], value)


@pytest.mark.parametrize("name, options", CASES[1::2])
def test_goes_on_from_torchs_state(double, name, options):
    torch = double
    theirs = [torch.randn(4, 3, requires_grad=True)]
    other = getattr(torch.optim, name)(theirs, lr=0.1, **options)
    theirs[0].grad = torch.ones(4, 3)
    other.step()
    params = [dl.Tensor(theirs[0].detach().numpy().copy(), True)]
    mine = getattr(optim, name)(params)
    mine.load_state_dict(other.state_dict())
    params[0].grad = dl.Tensor(np.ones((4, 3)))
    mine.step()
    other.step()
    np.testing.assert_allclose(params[0].data, theirs[0].detach().numpy(), rtol=1e-11)


@pytest.mark.parametrize(
    "name, options", [("SGD", {"momentum": 0.9}), ("AdamW", {}), *CASES[1::2]]
)
def test_torch_goes_on_from_our_state(double, rng, name, options):
    torch = double
    params = make(rng, "float64", [(4, 3)])
    mine = getattr(optim, name)(params, lr=0.1, **options)
    set_grads(params, [np.ones((4, 3))])
    mine.step()
    theirs = [torch.tensor(params[0].data.copy(), requires_grad=True)]
    other = getattr(torch.optim, name)(theirs)
    saved = mine.state_dict()
    for kept in saved["state"].values():
        for key, value in kept.items():
            kept[key] = torch.tensor(value, dtype=torch.float64)
    other.load_state_dict(saved)
    theirs[0].grad = torch.ones(4, 3)
    mine.step()
    other.step()
    np.testing.assert_allclose(params[0].data, theirs[0].detach().numpy(), rtol=1e-11)


@pytest.mark.parametrize("name, options", FIRST)
def test_groups_and_waiting_parameters(rng, name, options):
    kind = getattr(optim, name)
    a, b, c = make(rng, "float32", [(5,), (40,)]) + make(rng, "float64", [(7,)])
    whole = kind([{"params": [a, c], "lr": 0.5}], lr=0.1, **options)
    whole.add_param_group({"params": b, "weight_decay": 0.2})
    apart = [dl.Tensor(p.data.copy(), True) for p in (a, b, c)]
    alone = [
        kind([apart[0]], lr=0.5, **options),
        kind([apart[1]], lr=0.1, **{**options, "weight_decay": 0.2}),
        kind([apart[2]], lr=0.5, **options),
    ]
    for having in ((0,), (0, 2), (), (0, 1, 2), (1, 2)):
        for i, (p, q, optimizer) in enumerate(zip((a, b, c), apart, alone)):
            g = rng.standard_normal(p.data.shape).astype(p.dtype)
            p.grad = q.grad = dl.Tensor(g) if i in having else None
            optimizer.step()
        whole.step()
    for p, q in zip((a, b, c), apart):
        np.testing.assert_array_equal(p.data, q.data)


PYTORCHS = ("SGD", "Adam", "AdamW", *dict.fromkeys(name for name, _ in CASES))


@pytest.mark.parametrize("name", PYTORCHS)
def test_arguments_are_pytorchs(torch, name):
    ours = inspect.signature(getattr(optim, name)).parameters
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    extra = {"ewma"} if name == "SGD" else set()
    assert ours.keys() - theirs.keys() == extra
    for key, parameter in theirs.items():
        assert ours[key].default == parameter.default
        assert ours[key].kind == parameter.kind
    names = [key for key in theirs if theirs[key].kind is parameter.KEYWORD_ONLY]
    assert [key for key in ours if key not in names and key not in extra] == [
        key for key in theirs if key not in names
    ]


def test_pytorchs_choice_of_implementation_is_let_pass():
    w = dl.Tensor([1.0], True)
    optimizer = optim.Adam([{"params": [w], "fused": True}], foreach=False, fused=True)
    assert "fused" not in optimizer.param_groups[0]
    with pytest.raises(NotImplementedError, match="Adam: differentiable must be False"):
        optim.Adam([w], differentiable=True)


def test_adam_with_decoupled_decay_is_adamw(rng):
    a, b = make(rng, "float32", [(40,)]), make(rng, "float32", [(40,)])
    b[0].data[...] = a[0].data
    first = optim.Adam(a, 0.1, weight_decay=0.2, decoupled_weight_decay=True)
    second = optim.AdamW(b, 0.1, weight_decay=0.2)
    for grads in grads_of(rng, 3, [(40,)]):
        for params, optimizer in ((a, first), (b, second)):
            set_grads(params, grads)
            optimizer.step()
    np.testing.assert_array_equal(a[0].data, b[0].data)
    older = second.state_dict()  # of a version without the option
    del older["param_groups"][0]["decoupled_weight_decay"]
    second.load_state_dict(older)
    assert second.param_groups[0]["decoupled_weight_decay"]


def test_momentum_as_an_average(rng):
    # The notes' form: v = beta v + (1 - beta) g from 0, w = w - lr v.
    w, v = rng.standard_normal(50), np.zeros(50)
    p = dl.Tensor(w.copy(), True)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9, ewma=True)
    for (g,) in grads_of(rng, 5, [(50,)]):
        set_grads([p], [g])
        optimizer.step()
        v = 0.9 * v + 0.1 * g
        w = w - 0.1 * v
        np.testing.assert_allclose(p.data, w, rtol=1e-12)
    resumed = optim.SGD([dl.Tensor(p.data.copy(), True)], lr=1.0)
    resumed.load_state_dict(optimizer.state_dict())
    assert resumed.param_groups[0]["ewma"]


def test_lamb_without_a_size():
    # Parameters of norm 0, and an update of norm 0: the ratio is 1.
    w, still = dl.Tensor(np.zeros(20), True), dl.Tensor(np.ones(3), True)
    w.grad, still.grad = dl.Tensor(np.ones(20)), dl.Tensor(np.zeros(3))
    optim.LAMB([w, still], lr=0.5, weight_decay=0.0).step()
    np.testing.assert_allclose(w.data, -0.5, rtol=1e-5)
    np.testing.assert_array_equal(still.data, 1)


def test_lamb_with_huge_values():
    w = dl.Tensor(np.full(100, 1e25, "f4"), True)
    w.grad = dl.Tensor(np.ones(100, "f4"))
    optim.LAMB([w], lr=0.5, weight_decay=0.0).step()
    np.testing.assert_allclose(w.data, 0.5e25, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name, _ in FIRST])
def test_nan_stays(isa, dtype, name):
    w = dl.Tensor(np.ones(5, dtype), True)
    w.grad = dl.Tensor(np.array([np.nan, 1, 1, 1, 1], dtype))
    getattr(optim, name)([w], lr=0.1).step()
    assert np.isnan(w.data[0])
    assert np.isfinite(w.data[1:]).all() or name == "LAMB"  # whose norm is NaN


def test_a_variance_below_zero_is_none(isa):
    w = dl.Tensor(np.full(40, 1.0, "f4"), True)
    optimizer = optim.RMSprop([w], lr=1e-4, alpha=0.5, centered=True, eps=1.0)
    for _ in range(60):
        w.grad = dl.Tensor(np.full(40, 0.1, "f4"))
        optimizer.step()
    assert np.isfinite(w.data).all()


def step_beside_a_closed_page(side):
    """Of every optimizer and of clipping: what is stepped ends where a page closes."""
    for dtype in ("f4", "f8"):
        for name, options in [("SGD", {"momentum": 0.9}), ("Adam", {}), *CASES, *OWN]:
            params = []
            for n in (1, 7, 37):
                p = dl.Tensor(beside_a_closed_page(np.ones(n, dtype), side), True)
                p.grad = dl.Tensor(beside_a_closed_page(np.ones(n, dtype), side))
                params.append(p)
            optimizer = getattr(optim, name)(params, lr=0.1, **options)
            for turn in range(3):
                optimizer.step()
                for kept in optimizer.state.values() if turn == 0 else ():
                    for key, value in kept.items():
                        kept[key] = beside_a_closed_page(value, side)
                optimizer._rows.clear()
            for order in (1, 2, np.inf):
                dl.nn.utils.clip_grad_norm_(params, 0.1, order)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("isa", _C.isas())
def test_nothing_beside_the_arrays_is_touched(isa, side):
    code = (
        f"import test_optim_rules as t; t._C.set_isa({isa!r});"
        f"t.step_beside_a_closed_page({side!r})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=__file__.rpartition("/")[0],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr.split("\n")[-4:]


w = dl.Tensor([1.0], True)
BAD = [
    (lambda: optim.Adagrad([w], lr=-1), "Adagrad: lr must be at least 0, got -1"),
    (lambda: optim.Adagrad([w], lr_decay=-1), "Adagrad: lr_decay must be at least 0"),
    (
        lambda: optim.Adagrad([w], initial_accumulator_value=-1),
        "initial_accumulator_value must be at least 0",
    ),
    (lambda: optim.Adadelta([w], rho=1.5), "Adadelta: rho must be at most 1, got 1.5"),
    (lambda: optim.Adadelta([w], rho=-1), "Adadelta: rho must be at least 0, got -1"),
    (lambda: optim.RMSprop([w], alpha=-1), "RMSprop: alpha must be at least 0, got -1"),
    (lambda: optim.RMSprop([w], momentum=-1), "RMSprop: momentum must be at least 0"),
    (lambda: optim.Adamax([w], betas=(1.0, 0.9)), r"Adamax: betas must be two numbers"),
    (lambda: optim.NAdam([w], momentum_decay=-1), "NAdam: momentum_decay must be at"),
    (lambda: optim.RAdam([w], eps=-1), "RAdam: eps must be at least 0"),
    (lambda: optim.LAMB([w], weight_decay=-1), "LAMB: weight_decay must be at least 0"),
    (lambda: optim.Lion([w], betas=(0.9,)), "Lion: betas must be two numbers"),
    (lambda: optim.SGD([w], momentum=0.9, nesterov=True, ewma=True), "SGD: ewma needs"),
    (lambda: optim.SGD([w], ewma=True), "SGD: ewma needs momentum > 0"),
    (lambda: optim.SGD([w], momentum=1, ewma=True), "momentum must be below 1"),
]


@pytest.mark.parametrize("call, match", BAD)
def test_bad_calls(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.parametrize("name, options", FIRST)
def test_a_bad_step_changes_nothing(name, options):
    params = [dl.Tensor(np.ones(3), True), dl.Tensor(np.ones(3), True)]
    params[0].grad = dl.Tensor(np.ones(3))
    params[1].grad = dl.Tensor(np.ones(3))
    params[1].grad._data = np.ones(4)
    optimizer = getattr(optim, name)(params, **options)
    with pytest.raises(ValueError, match=rf"{name}: a gradient must have its param"):
        optimizer.step()
    for p in params:
        np.testing.assert_array_equal(p.data, 1)
    assert all(k.get("step", 0) == 0 for k in optimizer.state.values())


def test_native_arguments_are_checked():
    def call(rule, params, *states, step=None, product=None):
        states = [*states, *[None] * (3 - len(states))]
        rest = (0.1, 0.9, 0.99, 1e-8, 0.0, 0.0, 0.0, False, False)
        _C.adaptive_step(rule, params, [np.ones(3)], *states, step, product, *rest)

    x, s, t = [np.ones(3)], [np.zeros(3)], [np.array(0)]
    with pytest.raises(ValueError, match="rule must be the name of an optimizer, got"):
        call("Adamant", x)
    with pytest.raises(TypeError, match="Adagrad: sum must be given"):
        call("Adagrad", x, step=t)
    with pytest.raises(TypeError, match="Adagrad: step must be a list of arrays"):
        call("Adagrad", x, s)
    with pytest.raises(ValueError, match="params and sum must have one length"):
        call("Adagrad", x, [], step=t)
    with pytest.raises(TypeError, match=r"NAdam: mu_product\[0\] must be a writable"):
        call("NAdam", x, s, [np.zeros(3)], step=t, product=t)
    with pytest.raises(ValueError, match="share memory"):
        call("Adadelta", x, s, s, step=t)
    assert t[0] == 0
