"""WGAN-GP: gradients of a critic's slope."""

import gc

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn
from dlcore.testing import gradcheck


def normal(*shape):
    return np.random.default_rng(sum(shape) + 7).standard_normal(shape)


def critic(package, norm):
    """A convolutional critic; `package` is dlcore.nn or torch.nn."""
    norms = {
        "none": lambda: [],
        "layer": lambda: [package.LayerNorm([6, 4, 4])],
        "instance": lambda: [package.InstanceNorm2d(6, affine=True)],
        "group": lambda: [package.GroupNorm(2, 6)],
        "batch": lambda: [package.BatchNorm2d(6)],
    }
    return package.Sequential(
        package.Conv2d(2, 6, 4, stride=2, padding=1),
        *norms[norm](),
        package.LeakyReLU(0.2),
        package.Conv2d(6, 4, 3, padding=1),
        package.Tanh(),
        package.Flatten(),
        package.Linear(64, 1),
    )


def penalty(package, model, x):
    (dx,) = package.autograd.grad(model(x).sum(), x, create_graph=True)
    lengths = (dx.reshape(len(x), -1) ** 2).sum(1) ** 0.5
    return ((lengths - 1) ** 2).mean()


@pytest.mark.parametrize("norm", ["none", "layer", "instance", "group", "batch"])
def test_penalty_of_wgan_gp(torch, norm):
    mine, theirs = critic(nn, norm), critic(torch.nn, norm).double()
    mine.double().load_state_dict(
        {k: v.numpy() for k, v in theirs.state_dict().items()}
    )
    data = normal(3, 2, 8, 8)
    x = dl.Tensor(data.copy(), requires_grad=True)
    x_ = torch.from_numpy(data.copy()).requires_grad_()
    got, want = penalty(dl, mine, x), penalty(torch, theirs, x_)
    assert got.item() == pytest.approx(want.item(), rel=1e-10)
    got.backward()
    want.backward()
    pairs = dict(theirs.named_parameters())
    for name, p in mine.named_parameters():
        other = pairs[name].grad
        if other is None or p.grad is None:  # what only shifts has no part in it
            assert other is None or not other.any()
            assert p.grad is None or np.abs(p.grad.data).max() < 1e-12
            continue
        np.testing.assert_allclose(
            p.grad.data, other.numpy(), rtol=1e-7, atol=1e-10, err_msg=name
        )
    np.testing.assert_allclose(x.grad.data, x_.grad.numpy(), rtol=1e-7, atol=1e-10)


def test_penalty_of_wgan_gp_by_differences():
    model = critic(nn, "layer").double()
    names = dict(model.named_parameters())
    weight = names["0.weight"]
    data = normal(2, 2, 8, 8)

    def of(w, v):
        x = dl.Tensor(data, requires_grad=True)
        h = dl.conv2d(x, w, None, 2, 1)
        h = dl.leaky_relu(dl.layer_norm(h, (6, 4, 4)), 0.2)
        y = dl.linear(dl.flatten(h, 1), v).sum()
        (dx,) = dl.grad(y, x, create_graph=True)
        return ((dx.reshape(2, -1).norm(dim=1) - 1.0) ** 2).mean()

    gradcheck(of, weight.data[:, :, :3, :3], normal(1, 96))


def test_gradient_penalty(rng):
    critic = dl.nn.Sequential(
        dl.nn.Conv2d(2, 3, 3), dl.nn.Tanh(), dl.nn.Flatten(), dl.nn.Linear(27, 1)
    ).double()
    real, fake = rng.normal(size=(2, 4, 2, 5, 5))
    dl.manual_seed(3)
    got = dl.autograd.gradient_penalty(critic, real, dl.Tensor(fake))
    dl.manual_seed(3)
    share = np.asarray(dl.rand(4, 1, 1, 1, dtype="float64"))
    x = dl.Tensor(share * real + (1 - share) * fake, requires_grad=True)
    (slope,) = dl.grad(critic(x).sum(), x)
    want = (np.linalg.norm(slope.data.reshape(4, -1), axis=1) - 1) ** 2
    np.testing.assert_allclose(got.item(), want.mean(), rtol=1e-12)
    got.backward()
    assert all(p.grad is not None for p in list(critic.parameters())[:1])
    with pytest.raises(ValueError, match="real and fake must have one shape"):
        dl.autograd.gradient_penalty(critic, real, fake[:2])


def test_training_with_a_penalty_is_stable():
    """Many steps: graphs of graphs leave nothing behind."""
    model = critic(nn, "none")
    optimizer = dl.optim.Adam(model.parameters(), 1e-3)
    first = last = None
    gc.collect()
    gc.disable()
    try:
        for step in range(30):
            x = dl.Tensor(normal(4, 2, 8, 8).astype("f"), requires_grad=True)
            loss = penalty(dl, model, x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            last = loss.item()
            first = last if step == 0 else first
        assert gc.collect() < 50
    finally:
        gc.enable()
    assert last < 0.7 * first
