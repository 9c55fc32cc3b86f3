"""Convolutions as modules: against PyTorch's with the same parameters."""

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn

LAYERS = {
    "Conv1d(4, 6, 3)": (2, 4, 9),
    "Conv1d(4, 6, 4, padding='same', dilation=2, groups=2)": (2, 4, 9),
    "Conv1d(4, 6, 3, 2, 2, padding_mode='replicate')": (4, 9),
    "Conv2d(3, 5, 3, padding=(2, 1), padding_mode='circular')": (2, 3, 6, 7),
    "Conv2d(3, 5, (4, 3), padding='same', padding_mode='reflect')": (2, 3, 6, 7),
    "Conv2d(4, 4, 3, padding='valid', groups=4, padding_mode='reflect')": (2, 4, 6, 7),
    "Conv3d(2, 4, 3, 2, 1)": (2, 2, 5, 6, 7),
    "Conv3d(2, 4, (1, 3, 2), padding=(0, 1, 1), bias=False)": (2, 2, 3, 6, 5),
    "Conv3d(2, 4, 3, padding=1, padding_mode='replicate')": (1, 2, 4, 3, 5),
    "ConvTranspose1d(4, 6, 4, 2, 1, groups=2)": (2, 4, 5),
    "ConvTranspose2d(4, 6, 3, 2, 1, 1)": (2, 4, 5, 4),
    "ConvTranspose2d(4, 6, (2, 3), dilation=(1, 2), bias=False)": (4, 5, 4),
    "ConvTranspose3d(3, 2, 2, 2)": (2, 3, 3, 4, 2),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's, on copies
@pytest.mark.parametrize("text", LAYERS)
def test_like_pytorch(torch, rng, text):
    ours = eval("nn." + text)
    theirs = eval("torch.nn." + text)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert repr(ours) == repr(theirs)
    theirs.load_state_dict(
        {k: torch.from_numpy(v.copy()) for k, v in ours.state_dict().items()}
    )
    x = rng.standard_normal(LAYERS[text]).astype("f4")
    a = dl.Tensor(x, requires_grad=True)
    b = torch.tensor(x, requires_grad=True)
    y, want = ours(a), theirs(b)
    np.testing.assert_allclose(y.data, want.detach().numpy(), atol=2e-6, rtol=1e-5)
    dy = rng.standard_normal(y.shape).astype("f4")
    y.backward(dy)
    want.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(a.grad.data, b.grad.numpy(), atol=5e-6, rtol=1e-5)
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(
            p.grad.data, q.grad.numpy(), atol=2e-5, rtol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("size", [(9, 9), (10, 9), (1, 1, 10, 10)])
def test_output_size(torch, size):
    layer = nn.ConvTranspose2d(2, 3, 3, 2, 1)
    theirs = torch.nn.ConvTranspose2d(2, 3, 3, 2, 1)
    x = np.ones((1, 2, 5, 5), "f4")
    want = theirs(torch.from_numpy(x), output_size=size[-2:]).shape
    assert layer(x, output_size=size).shape == tuple(want)
    with pytest.raises(ValueError, match=r"output_size must be from \(9, 9\) to \(10"):
        layer(x, output_size=(11, 9))


def test_separable(rng):
    layer = nn.SeparableConv2d(3, 8, 3, padding=1, depth_multiplier=2)
    assert [*layer.state_dict()] == [
        "depthwise.weight",
        "pointwise.weight",
        "pointwise.bias",
    ]
    assert layer.depthwise.weight.shape == (6, 1, 3, 3)
    x = rng.standard_normal((2, 3, 9, 10)).astype("f4")
    between = dl.conv2d(x, layer.depthwise.weight.data, None, 1, 1, 1, 3)
    want = dl.conv2d(between, layer.pointwise.weight.data, layer.pointwise.bias.data)
    np.testing.assert_array_equal(layer(x).data, want)
    mults = dl.count_flops(layer, x[:1]).multiplications
    assert mults == 90 * (6 * 9 + 6 * 8)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_other_padding_at_each_end(torch, rng, mode):
    layer = nn.Conv2d(2, 3, 3, padding=((1, 2), 1), padding_mode=mode)
    assert "padding=((1, 2), (1, 1))" in repr(layer)
    x = rng.standard_normal((2, 2, 5, 6)).astype("f4")
    around = "constant" if mode == "zeros" else mode
    wide = torch.nn.functional.pad(torch.from_numpy(x), (1, 1, 1, 2), around)
    w, b = (torch.from_numpy(p.data) for p in (layer.weight, layer.bias))
    want = torch.nn.functional.conv2d(wide, w, b).numpy()
    np.testing.assert_allclose(layer(x).data, want, atol=2e-6, rtol=1e-5)
    line = nn.Conv1d(2, 3, 3, padding=((2, 0),))  # causal
    assert line(x[:, :, 0]).shape == (2, 3, 6)


BAD = [
    (lambda: nn.Conv2d(3, 4, 3, padding=((1, 2),)), TypeError, r"Conv2d: padding must"),
    (
        lambda: nn.Conv2d(3, 4, 3, padding=((1, -2), 1)),
        ValueError,
        "padding must be at",
    ),
    (lambda: nn.Conv1d(3, 4, (3, 3)), TypeError, "Conv1d: kernel_size must be an in"),
    (lambda: nn.Conv3d(3, 4, (3, 3)), TypeError, "kernel_size must be an integer or t"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="x"), ValueError, "padding_mode must be"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, groups=2), ValueError, "divisible by groups"),
    (lambda: nn.ConvTranspose1d(3, 0, 3), ValueError, "out_channels must be at least"),
    (lambda: nn.SeparableConv2d(3, 4, 3, depth_multiplier=0), ValueError, "at least 1"),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_settings(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
