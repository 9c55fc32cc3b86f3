import itertools

import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore import _C
from dlcore.optim import SGD, Adam, AdamW
from dlcore.testing import assert_close

SHAPES = [
    (3, 7),
    (1,),
    (),
    (0, 4),
    (16,),
    (33,),
    (300, 257),
]  # the last: several chunks


def make(rng, dtype, shapes=SHAPES):
    return [dl.Tensor(np.asarray(rng.standard_normal(s), dtype), True) for s in shapes]


def set_grads(params, grads):
    for p, g in zip(params, grads):
        p.grad = dl.Tensor(np.asarray(g, p.data.dtype))


def grads_of(rng, steps, shapes=SHAPES):
    return [[np.asarray(rng.standard_normal(s)) for s in shapes] for _ in range(steps)]


SGD_OPTIONS = [
    {"momentum": m, "dampening": d, "weight_decay": w, "nesterov": n, "maximize": x}
    for m, d, w, n, x in itertools.product(
        (0.0, 0.9), (0.0, 0.3), (0.0, 0.1), (False, True), (False, True)
    )
    if not (n and (m == 0 or d != 0))
]
ADAM_OPTIONS = [
    {"weight_decay": w, "amsgrad": a, "maximize": x, "betas": b}
    for w, a, x, b in itertools.product(
        (0.0, 0.1), (False, True), (False, True), ((0.9, 0.999), (0.0, 0.5))
    )
]
CASES = (
    [(SGD, o) for o in SGD_OPTIONS]
    + [(Adam, o) for o in ADAM_OPTIONS]
    + [(AdamW, o) for o in ADAM_OPTIONS]
)


@pytest.mark.parametrize("kind, options", CASES)
def test_follows_torch(torch, rng, kind, options):
    shapes = SHAPES[:-1]
    params = make(rng, "float64", shapes)
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in params]
    mine = kind(params, lr=0.02, **options)
    other = getattr(torch.optim, kind.__name__)(theirs, lr=0.02, **options)
    for grads in grads_of(rng, 100, shapes):
        set_grads(params, grads)
        for t, g in zip(theirs, grads):
            t.grad = torch.tensor(g)
        mine.step()
        other.step()
    for p, t in zip(params, theirs):
        np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "kind, options",
    [
        (SGD, {}),
        (SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (Adam, {"weight_decay": 0.1, "amsgrad": True}),
        (AdamW, {}),
    ],
)
def test_every_instruction_set(isa, dtype, rng, kind, options):
    params = make(rng, dtype)
    want = [p.data.astype("f8") for p in params]
    step = (
        reference.SGD(want, 0.02, **options)
        if kind is SGD
        else reference.Adam(
            want,
            0.02,
            decoupled=kind is AdamW,
            **({"weight_decay": 1e-2} | options if kind is AdamW else options),
        )
    )
    optimizer = kind(params, lr=0.02, **options)
    for grads in grads_of(rng, 5):
        set_grads(params, grads)
        step([p.grad.data.astype("f8") for p in params])
        optimizer.step()
    for p, w in zip(params, want):
        assert p.data.dtype == dtype
        assert_close(p.data, w, ulp=30, scale=np.abs(w) + 0.1)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_same_bits_for_any_threads(threads, rng, kind):
    start = [rng.standard_normal((300, 257)), rng.standard_normal(70_000)]
    grads = grads_of(rng, 3, [s.shape for s in start])
    results = []
    for count in (1, 2, 3):
        threads(count)
        params = [dl.Tensor(s.astype("f4"), True) for s in start]
        optimizer = kind(params, lr=0.1, weight_decay=0.1)
        for g in grads:
            set_grads(params, g)
            optimizer.step()
        results.append([p.data for p in params])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_groups_and_both_dtypes_at_once(rng, kind):
    a, b = make(rng, "float32", [(5,), (40,)])
    c = make(rng, "float64", [(7,)])[0]
    optimizer = kind(
        [{"params": [a, c], "lr": 0.5}, {"params": b, "weight_decay": 0.2}], lr=0.1
    )
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.1]
    before = [p.data.copy() for p in (a, b, c)]
    alone = []
    for p, options in (
        (a, {"lr": 0.5}),
        (b, {"lr": 0.1, "weight_decay": 0.2}),
        (c, {"lr": 0.5}),
    ):
        q = dl.Tensor(p.data.copy(), True)
        q.grad = dl.Tensor(np.ones_like(p.data))
        kind([q], **options).step()
        alone.append(q.data)
    set_grads([a, b, c], [np.ones(p.data.shape) for p in (a, b, c)])
    optimizer.step()
    for p, start, want in zip((a, b, c), before, alone):
        assert (p.data != start).all()
        np.testing.assert_array_equal(p.data, want)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_parameters_without_gradient_wait(torch, rng, kind):
    options = {"momentum": 0.9, "dampening": 0.5} if kind is SGD else {}
    params = make(rng, "float64", [(3,), (4,), (5,)])
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in params]
    mine = kind(params, lr=0.1, **options)
    other = getattr(torch.optim, kind.__name__)(theirs, lr=0.1, **options)
    for having in ((0,), (0, 2), (), (1, 2), (0, 1, 2), (0, 1, 2), (1,)):
        for i, (p, t) in enumerate(zip(params, theirs)):
            g = rng.standard_normal(p.data.shape)
            p.grad = dl.Tensor(g) if i in having else None
            t.grad = torch.tensor(g) if i in having else None
        mine.step()
        other.step()
    for p, t in zip(params, theirs):
        np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    "kind, options",
    [(SGD, {"momentum": 0.9}), (Adam, {}), (AdamW, {"amsgrad": True})],
)
def test_resume_is_exact(rng, dtype, kind, options):
    params = make(rng, dtype)
    optimizer = kind(params, lr=0.1, **options)
    grads = grads_of(rng, 6)
    for g in grads[:3]:
        set_grads(params, g)
        optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.05
    saved = optimizer.state_dict()
    again = [dl.Tensor(p.data.copy(), True) for p in params]
    resumed = kind(again, **options)
    for g in grads[3:]:
        set_grads(params, g)
        optimizer.step()
    resumed.load_state_dict(saved)
    for g in grads[3:]:
        set_grads(again, g)
        resumed.step()
    for p, q in zip(params, again):
        np.testing.assert_array_equal(p.data, q.data)


@pytest.mark.parametrize(
    "kind, options", [(SGD, {"momentum": 0.9}), (Adam, {"amsgrad": True})]
)
def test_goes_on_from_torchs_state(torch, rng, kind, options):
    theirs = [torch.randn(4, 3, dtype=torch.float64, requires_grad=True)]
    other = getattr(torch.optim, kind.__name__)(theirs, lr=0.1, **options)
    theirs[0].grad = torch.ones(4, 3, dtype=torch.float64)
    other.step()
    params = [dl.Tensor(theirs[0].detach().numpy().copy(), True)]
    mine = kind(params)
    mine.load_state_dict(other.state_dict())
    params[0].grad = dl.Tensor(np.ones((4, 3)))
    mine.step()
    other.step()
    np.testing.assert_allclose(params[0].data, theirs[0].detach().numpy(), rtol=1e-12)


def test_zero_grad_and_closure():
    w = dl.Tensor([3.0], True)
    optimizer = SGD([w], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = dl.relu(w)
        loss.backward()
        return loss

    with dl.no_grad():
        loss = optimizer.step(closure)
    assert loss.data == 3 and np.allclose(w.data, 2.9)
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.data == 0
    optimizer.zero_grad()
    assert w.grad is None
    optimizer.step()
    assert np.allclose(w.data, 2.9)


def test_steps_in_place_and_any_gradient_layout(rng):
    x = rng.standard_normal((6, 5))
    w = dl.Tensor(x, True)
    g = np.asfortranarray(rng.standard_normal((6, 5)))
    g.flags.writeable = False
    w.grad = dl.Tensor(g)
    want = x - 0.1 * g
    SGD([w], lr=0.1).step()
    assert w.data is x
    np.testing.assert_allclose(x, want)


def test_nan_and_inf_stay(isa, dtype):
    w = dl.Tensor(np.array([1, 1, np.nan, 1], dtype), True)
    w.grad = dl.Tensor(np.array([np.nan, np.inf, 1, 1], dtype))
    Adam([w]).step()
    assert np.isnan(w.data[:3]).all() and np.isfinite(w.data[3])


def test_tiny_gradients(isa, torch):
    g = np.array([0.0, 1e-30, 1e-20, 1e-10, 1e30], "f4")
    w = dl.Tensor(np.zeros(5, "f4"), True)
    t = torch.zeros(5, requires_grad=True)
    mine, other = Adam([w], lr=0.1), torch.optim.Adam([t], lr=0.1)
    for _ in range(3):
        w.grad, t.grad = dl.Tensor(g.copy()), torch.tensor(g)
        mine.step()
        other.step()
    np.testing.assert_allclose(w.data, t.detach().numpy(), rtol=1e-5)


def with_grad(data, grad):
    w = dl.Tensor(data, True)
    w._data = data  # what assigning it would refuse
    w._grad = dl.Tensor(grad)
    return w


def read_only(x):
    x.flags.writeable = False
    return x


def overlapping():
    x = np.zeros(10)
    return [with_grad(x[:6], np.ones(6)), with_grad(x[4:], np.ones(6))]


w = dl.Tensor([1.0], True)
BAD = [
    (lambda: SGD([]), ValueError, "params must not be empty"),
    (lambda: SGD(w), TypeError, "must be a list of Tensors"),
    (lambda: SGD([np.ones(3)]), TypeError, "a parameter must be a Tensor, got ndarray"),
    (lambda: SGD([w, w]), ValueError, "appears twice"),
    (lambda: SGD([dl.relu(w)]), ValueError, "must be a leaf"),
    (lambda: SGD([w], lr=-1), ValueError, "SGD: lr must be at least 0, got -1"),
    (lambda: SGD([w], momentum=-1), ValueError, "momentum must be at least 0"),
    (lambda: SGD([w], weight_decay=-1), ValueError, "weight_decay must be at least 0"),
    (lambda: SGD([w], nesterov=True), ValueError, "nesterov needs momentum > 0"),
    (lambda: SGD([{"params": [w], "rate": 1}]), TypeError, "unknown option 'rate'"),
    (lambda: SGD([{"params": [w]}, w]), TypeError, "a parameter group must be a dict"),
    (lambda: Adam([w], betas=(0.9, 1.0)), ValueError, r"betas must be two numbers of"),
    (lambda: Adam([w], lr=np.nan), ValueError, "lr must be at least 0, got nan"),
    (lambda: AdamW([w], eps=-1), ValueError, "AdamW: eps must be at least 0"),
    (
        lambda: SGD([w]).load_state_dict({"param_groups": [], "state": {}}),
        ValueError,
        r"as many parameters as the optimizer's, \[1\], got \[\]",
    ),
    (
        lambda: Adam([w]).load_state_dict(SGD([w]).state_dict()),
        ValueError,
        "an optimizer of the same kind, got one without amsgrad, betas, eps",
    ),
]
BAD_STEPS = [
    ([(np.ones(3), np.ones(4))], ValueError, r"got grads\[1\].shape = \(4,\)"),
    ([(np.ones(3), np.ones(3, "f4"))], TypeError, r"got float32 in grads\[1\]"),
    ([(read_only(np.ones(3)), np.ones(3))], ValueError, r"params\[1\] is stepped in"),
    ([(np.ones((3, 4)).T, np.ones((4, 3)))], ValueError, r"must be writable, C-cont"),
    ([(np.ones(3, ">f8"), np.ones(3))], ValueError, r"params\[1\] is stepped in place"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("bad, error, match", BAD_STEPS)
def test_a_bad_step_changes_nothing(kind, bad, error, match):
    params = [with_grad(np.ones(3), np.ones(3)), *(with_grad(*b) for b in bad)]
    before = [p.data.copy() for p in params]
    optimizer = kind(params)
    with pytest.raises(error, match=match):
        optimizer.step()
    for p, x in zip(params, before):
        np.testing.assert_array_equal(p.data, x)
    assert all(k.get("step", 0) == 0 for k in optimizer.state.values())


def test_shared_memory_is_refused():
    with pytest.raises(ValueError, match=r"params\[0\] and params\[1\] share memory"):
        SGD(overlapping()).step()


def test_native_arguments_are_checked():
    x = [np.ones(3)]
    with pytest.raises(TypeError, match="params must be a list"):
        _C.sgd_step((), [], None, 0.1, 0, 0, 0, False, False, False)
    with pytest.raises(ValueError, match="one length, got 1 and 0"):
        _C.sgd_step(x, [], None, 0.1, 0, 0, 0, False, False, False)
    with pytest.raises(ValueError, match="one length, got 1 and 0"):
        _C.sgd_step(x, [np.ones(3)], [], 0.1, 0, 0, 0, False, False, False)
    state = [np.zeros(3)], [np.zeros(3)], None
    rest = (0.1, 0.9, 0.99, 1e-8, 0.0, False, False)
    with pytest.raises(TypeError, match=r"step\[0\] must be a writable int64"):
        _C.adam_step(x, [np.ones(3)], *state, [np.zeros(1)], *rest)
    with pytest.raises(ValueError, match=r"step\[0\] must be at least 0, got -2"):
        _C.adam_step(x, [np.ones(3)], *state, [np.array(-2)], *rest)


@pytest.mark.parametrize("state", [None, {}, {"param_groups": []}])
def test_no_state_of_an_optimizer(state):
    sgd = SGD([dl.Tensor(np.ones(3), True)], lr=0.1)
    with pytest.raises(ValueError, match="must have state and param_groups"):
        sgd.load_state_dict(state)


def test_a_gradient_that_is_no_tensor():
    p = dl.Tensor(np.ones(3), True)
    p._grad = 5
    with pytest.raises(TypeError, match="grad must be a Tensor"):
        SGD([p], lr=0.1).step()


@pytest.mark.parametrize("name", ["Adam", "Adagrad", "RMSprop", "Lion"])
def test_state_edited_between_steps_is_used(name):
    p = dl.Tensor(np.ones(2, "f"), requires_grad=True)
    optimizer = getattr(dl.optim, name)([p], lr=0.1)
    steps = []
    for clear in (False, False, True):
        if clear:
            optimizer.state.clear()
        p.data[:] = 1
        p.grad = dl.Tensor(np.array([1.0, -1.0], "f") * (1 + len(steps)))
        optimizer.step()
        steps.append(p.data.copy())
    assert optimizer.state_dict()["state"]
    fresh = dl.Tensor(np.ones(2, "f"), requires_grad=True)
    fresh.grad = dl.Tensor(np.array([3.0, -3.0], "f"))
    getattr(dl.optim, name)([fresh], lr=0.1).step()
    np.testing.assert_array_equal(steps[-1], fresh.data)
