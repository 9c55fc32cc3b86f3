import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

V = 16  # lanes of the widest vector in float32


@pytest.mark.parametrize("n", [0, 1, V - 1, V, V + 1, 3 * V + 5, 1000])
def test_relu(isa, dtype, rng, n):
    x = rng.standard_normal(n).astype(dtype)
    assert_close(dl.relu(x), reference.relu(x))


def test_relu_gradient(isa, rng):
    gradcheck(dl.relu, rng.standard_normal((3, 7)))
