"""What the files of checks share: a row of the table and inputs for it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Check:
    """One row of the table."""

    name: str  # the op's
    inputs: Callable  # rng -> list of arrays; float64 ones are cast
    call: Callable
    reference: Callable  # the same arguments in float64
    gradient: bool = True  # compare with differences too
    bound: float = 64.0  # allowed error, in roundings of the largest value


def normal(*shapes, low=None):
    """Random inputs of these shapes; above `low` when given."""

    def inputs(rng):
        arrays = [rng.standard_normal(shape) for shape in shapes]
        return arrays if low is None else [np.abs(a) + low for a in arrays]

    return inputs


def apart(*shapes):
    """Random inputs without ties and away from 0: max and |x| have a kink there."""

    def inputs(rng):
        arrays = []
        for shape in shapes:
            n = math.prod(shape)
            values = rng.permutation(n) - n // 2 + 0.5
            arrays.append((values * 0.07).reshape(shape))
        return arrays

    return inputs


def steps(rng):
    """Two inputs of whole numbers, some equal."""
    return [rng.integers(-2, 3, PLANE).astype(float) for _ in range(2)]


PLANE = (5, 23)  # an odd row longer than a vector
CHECKS: list[Check] = []


def add(name, inputs, call, reference, **options):
    CHECKS.append(Check(name, inputs, call, reference, **options))
