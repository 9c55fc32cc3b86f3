"""optimize: views, copies, writing in place and NumPy between kernels."""

import numpy as np
import pytest
from optimize_helpers import PIECE, Own, check, settle

import dlcore as dl
from dlcore import nn


@pytest.mark.parametrize(
    "function",
    [
        # every op that joins, cuts, copies or picks
        lambda m, x: dl.stack([x * 2.0, m.conv(x)], 1).sum(2),
        lambda m, x: dl.cat(dl.split(m.conv(x), [1, 3], 1)[::-1], 1),
        lambda m, x: dl.cat([c * 2.0 for c in m.conv(x).chunk(3, 3)], 3),
        lambda m, x: dl.relu(m.conv(x).repeat(1, 2, 1, 1)),
        lambda m, x: x.sum((2, 3), keepdim=True).expand(-1, -1, 6, 6) + x,
        lambda m, x: m.linear(x.permute(0, 2, 3, 1).reshape(-1, 4)),
        lambda m, x: m.linear(x.permute(0, 2, 1, 3).flatten(1)[:, ::36]),
        lambda m, x: m.conv(x).masked_fill(x > 0, -1.0) + x.clone(),
        lambda m, x: dl.where(x > 0.5, m.conv(x), x.to("float64").to("float32")),
        lambda m, x: x.gather(1, dl.Tensor(np.zeros((2, 1, 6, 6), int))) * 2.0,
        lambda m, x: dl.pad(m.conv(x), (1, 2, 0, 1), "reflect"),
        lambda m, x: dl.einsum("nchw,ndhw->ncd", x, m.conv(x)),
        lambda m, x: dl.topk(m.conv(x), 3)[0] + dl.sort(x)[0][..., :3],
        lambda m, x: x[:, [0, 2, 0]] + x[:, 1:2, 0, None] * x[:, :1, :, -1:],
        lambda m, x: x[np.arange(2), x.data.argmax(1)[:, 0, 0]].unsqueeze(0),
        lambda m, x: m.linear.weight[x.argmax(1)],
        lambda m, x: dl.one_hot(x.argmax(1), 4).to("float32") @ m.linear.weight,
        lambda m, x: dl.Tensor(np.cos(x.data) + np.roll(x.data, 1, 3).max(0)),
        lambda m, x: dl.Tensor(np.where(x.data > 0, x.data, 0) @ x.data.swapaxes(2, 3)),
        lambda m, x: dl.Tensor(x.data.clip(-1, 1).mean(1, keepdims=True)) + x,
        lambda m, x: dl.Tensor(
            np.add.reduce(x.data, axis=1, keepdims=True) + np.ones_like(x.data)
        ),
        lambda m, x: dl.Tensor(np.concatenate(np.split(x.data[..., ::-1], 2, 1))),
        # writing in place
        lambda m, x: dl.Tensor(np.negative(y := m.conv(x).data, out=y)),
        lambda m, x: written(m.conv(x), x),
        lambda m, x: written(m.conv(x).permute(0, 2, 3, 1), x.permute(0, 2, 3, 1)),
    ],
)
def test_views_and_copies(rng, function):
    x = rng.standard_normal((2, 4, 6, 6), dtype=np.float32)
    check(settle(Own(function), rng), x)


def written(y, x):
    kept = y * 1.0
    flat = kept.reshape(-1)
    y[:, 1] = x[:, 0] * 2.0
    y += 1.0
    y.data[0, :, 0] = np.exp(x.data[1, :, 1])
    np.multiply(y.data, 2, out=y.data)
    y.clamp_(-3, 3)
    dl.clip(flat, -0.5, 0.5, out=flat.data if isinstance(flat, dl.Tensor) else flat)
    return kept + y


def test_shapes_that_depend_on_values():
    """By chance both inputs of the trace give one shape."""
    model = Own(lambda m, x: dl.Tensor(np.repeat(x.data, 2, x.data.ndim - 1)))
    assert dl.optimize(model)(PIECE).shape == (2, 4, 6, 12)

    def forward(m, x):
        return dl.Tensor(np.repeat(x.data, (x.data > 99).astype(int)))

    fast = dl.optimize(Own(forward))
    assert fast(np.zeros(2, "f")).shape == (0,)
    with pytest.raises(RuntimeError, match="it depends on values"):
        fast(np.full(2, 100, "f"))


def test_what_forward_kept_is_an_array_like_others():
    class Keeps(nn.Module):
        def forward(self, x):
            self.last = x.data
            return x * 2.0

    fast = dl.optimize(Keeps(), PIECE)
    kept = fast._of[0].last
    kept += 1
    kept[0] = 0
    assert float(kept.sum()) == float(np.sum(kept)) and bool((kept[0] == 0).all())
    assert "array" in repr(kept) and str(kept) and np.add(kept, 1, out=kept) is kept
