"""What the tests of autograd share."""

import numpy as np

import dlcore as dl


def leaf(*values):
    return dl.Tensor(np.array(values, np.float64), requires_grad=True)


def pair(torch, array):
    """The same leaf twice: dlcore's and PyTorch's."""
    return (
        dl.Tensor(array.copy(), requires_grad=True),
        torch.from_numpy(array.copy()).requires_grad_(),
    )


def same(mine, theirs):
    assert (mine is None) == (theirs is None)
    if mine is not None:
        np.testing.assert_allclose(mine.data, theirs.detach().numpy(), rtol=1e-12)
