"""optimize: whole networks, and whatever is joined, viewed or computed by NumPy."""

import copy
import pickle
import threading

import numpy as np
import pytest
from optimize_helpers import PIECE, Own, check, kinds, settle
from optimize_networks import GPT, NETWORKS, UNet

import dlcore as dl
from dlcore import nn


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_at_several_batch_sizes(isa, rng, name):
    make, inputs, fused = NETWORKS[name]
    dl.manual_seed(1)
    model = settle(make(), rng)
    fast = dl.optimize(model)
    for n in (2, 1, 5, 2):
        given = inputs(rng, n)
        with dl.no_grad():
            want = model(*map(dl.Tensor, given)).data
        for x in (given, tuple(map(dl.Tensor, given))):
            got = fast(*x)
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got.data, want, rtol=2e-5, atol=1e-5)
    assert repr(fast).count("ops in") == 3
    assert fused.items() <= kinds(dl.optimize(model, *inputs(rng, 2))).items()


@pytest.mark.parametrize("name", ["unet", "gpt", "pair", "lstm"])
def test_threads_give_the_same_bits(threads, rng, name):
    make, inputs, _ = NETWORKS[name]
    x = inputs(rng, 3)
    fast, results = dl.optimize(make(), *x), set()
    for n in (1, 2, 3):
        threads(n)
        results.add(fast(*x).data.tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("name", ["gpt", "lstm", "pair"])
def test_float64(rng, name):
    make, inputs, _ = NETWORKS[name]
    model = make().double().eval()
    given = [x.astype(float) if x.dtype.kind == "f" else x for x in inputs(rng, 3)]
    want = model(*map(dl.Tensor, given)).data
    np.testing.assert_allclose(dl.optimize(model)(*given).data, want, 1e-12, 1e-13)


def test_a_sum_and_its_norm(rng):
    def forward(m, x):
        total = dl.exp(x) + x.permute(0, 1, 3, 2)
        y = dl.layer_norm(total, 6)
        return y * total + dl.rms_norm(total + y, 6)

    got = check(Own(forward), PIECE, tolerance=5e-6)
    assert got["add + layer_norm"] == 1 and got["add + rms_norm"] == 1


def test_one_product_for_several_layers(rng):
    class Heads(nn.Module):
        def __init__(self):
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.use(self.a(x), self.b(x), self.c(x))

    model, joined = Heads(), "linear + linear + linear"
    x = rng.standard_normal((3, 5, 8), dtype=np.float32)
    for use, together in (
        (lambda a, b, c: dl.scaled_dot_product_attention(a, b, c), True),
        (lambda a, b, c: dl.matmul(dl.matmul(a, b.transpose(1, 2)), c), True),
        (
            lambda a, b, c: dl.cat([a[:, ::2, 1:6:2], b[:, :3, :3], c[:, :3, :3]], 2),
            True,
        ),
        (
            lambda a, b, c: (
                dl.matmul(a.reshape(3, 20, 2), b.reshape(3, 2, 20)) + c[0, 0, 0]
            ),
            False,
        ),
        (lambda a, b, c: (dl.matmul(a, b.transpose(1, 2)), c), False),  # c is a result
    ):
        model.use = use
        want = model(dl.Tensor(x))
        fast = dl.optimize(model, x)
        assert (joined in kinds(fast)) is together
        got = fast(x)
        if isinstance(got, tuple):
            got, want = got[0], want[0]
        np.testing.assert_allclose(got.data, want.data, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (lambda: nn.Conv1d(4, 6, 3), (2, 4, 9)),
        (lambda: nn.Conv3d(4, 6, 2, bias=False), (2, 4, 3, 5, 4)),
        (lambda: nn.ConvTranspose1d(4, 6, 3, 2, groups=2), (2, 4, 5)),
        (lambda: nn.ConvTranspose2d(4, 6, 2, 2), (2, 4, 5, 3)),
        (lambda: nn.ConvTranspose3d(4, 6, 2, groups=2, bias=False), (2, 4, 3, 2, 4)),
    ],
)
def test_normalization_after_other_convolutions(rng, layer, x):
    layer, x = layer(), rng.standard_normal(x, dtype=np.float32)
    norm = getattr(nn, f"BatchNorm{x.ndim - 2}d")(6)
    got = check(settle(nn.Sequential(layer, norm, nn.ReLU()), rng), x)
    name = f"conv{x.ndim - 2}d"
    if "Transpose" in type(layer).__name__:
        assert got == {f"conv_transpose{x.ndim - 2}d + batch_norm": 1, "relu": 1}
    else:
        assert got == {f"{name} + batch_norm + relu": 1}


def test_settings_and_containers(rng):
    lstm = nn.LSTM(5, 4, 2).eval()
    x, h, c = (
        rng.standard_normal(s, dtype="f") for s in ((6, 2, 5), (4, 2, 4), (4, 2, 4))
    )
    h, c = h[:2], c[:2]
    fast = dl.optimize(lstm, x, (h, c))
    for given, named in (
        (((h, c),), {}),
        ((None,), {}),
        (((c, h),), {"lengths": [6, 3]}),
        (((dl.Tensor(h), c),), {"lengths": [2, 5]}),
    ):
        got, want = fast(x, *given, **named), lstm(x, *given, **named)
        np.testing.assert_allclose(got[0].data, want[0].data, 1e-5, 1e-6)
        np.testing.assert_allclose(got[1][1].data, want[1][1].data, 1e-5, 1e-6)
    shown = repr(fast)
    assert "(6, 2, 5), tuple((2, 2, 4), (2, 2, 4)): " in shown
    assert "lengths=list(6, 3): " in shown and shown.count("ops in") == 4

    attention = nn.MultiheadAttention(8, 2).eval()
    x = rng.standard_normal((3, 2, 8), dtype=np.float32)
    fast = dl.optimize(attention, x, x, x, need_weights=False)
    for named in ({"need_weights": False}, {"attn_mask": np.eye(3, k=1) > 0}, {}):
        got, want = fast(x, x, x, **named), attention(x, x, x, **named)
        np.testing.assert_allclose(got[0].data, want[0].data, 1e-5, 1e-6)
        assert (got[1] is None) is (want[1] is None)
    numbers = Own(lambda m, x, n: x * n["by"])
    fast = dl.optimize(numbers)
    for n in (1, True, 1.5, 2):  # 1 == True, and yet another setting
        assert (fast(PIECE, {"by": n}).data == PIECE * n).all()
    assert repr(fast).count("ops in") == 4


def test_a_constant_result_is_a_copy():
    fast = dl.optimize(Own(lambda m, x: (m.linear.bias, x * 1.0)), PIECE)
    first = fast(PIECE)[0].data
    kept = first.copy()
    first += 1
    np.testing.assert_array_equal(fast(PIECE)[0].data, kept)


def test_editing_weights_in_place(rng):
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    x = rng.standard_normal((2, 3, 16), dtype=np.float32)
    fast = dl.optimize(model, x)
    first = fast(x).data
    for p in model.parameters():
        p.data[...] = 0  # nothing to the program, for shapes that are new to it neither
    np.testing.assert_array_equal(fast(x).data, first)
    np.testing.assert_allclose(fast(x[:1]).data, first[:1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(dl.optimize(model)(x).data, model(x).data)


def test_dropout_is_off(rng):
    model = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.5).train()
    x = rng.standard_normal((3, 2, 16), dtype=np.float32)
    fast = dl.optimize(model)
    np.testing.assert_allclose(fast(x).data, model.eval()(x).data, rtol=1e-5, atol=1e-6)


def test_threads_may_call_one_program_at_once(rng):
    model = GPT().eval()
    inputs = [rng.integers(0, 11, (2, 7)) for _ in range(4)]
    want = [model(dl.Tensor(i)).data for i in inputs]
    fast, failed = dl.optimize(model, inputs[0]), []

    def call(k):
        try:
            for _ in range(30):
                np.testing.assert_allclose(fast(inputs[k]).data, want[k], 1e-4, 1e-5)
        except Exception as error:
            failed.append(error)

    crowd = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert not failed


def test_a_part_of_another_optimized(rng):
    x = rng.standard_normal((2, 3, 8, 12), dtype=np.float32)
    model = nn.Sequential(dl.optimize(settle(UNet(), rng), x), nn.Flatten())
    want = model(x).data
    np.testing.assert_allclose(dl.optimize(model)(x).data, want, rtol=1e-5, atol=1e-6)


def test_copies_and_pickles(rng):
    for name in ("unet", "gpt", "lstm"):
        make, inputs, _ = NETWORKS[name]
        x = inputs(rng, 2)
        fast = dl.optimize(make().eval(), *x)
        for twin in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
            np.testing.assert_array_equal(twin(*x).data, fast(*x).data)


def test_flops_of_a_first_call(rng):
    model, x = GPT().eval(), rng.integers(0, 11, (2, 7))
    plain = dl.count_flops(model, x)
    fast = dl.optimize(model)
    first, later = dl.count_flops(fast, x), dl.count_flops(fast, x)
    assert first.total == later.total
    assert first.multiplications == plain.multiplications
    assert first.total.calls < plain.total.calls
