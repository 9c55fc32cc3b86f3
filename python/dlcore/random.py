"""Random numbers: one seed, the same numbers on every CPU and for any thread count.

The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011). Its state is the seed
and the count of blocks used; `get_rng_state` and `set_rng_state` save and restore it. A
process starts with seed 0; a forked child goes on with its parent's state, so give each
worker its own seed.
"""

import operator

import numpy as np

from . import _C
from .convert import check_device
from .tensor import Tensor

__all__ = [
    "bernoulli",
    "get_rng_state",
    "manual_seed",
    "normal",
    "rand",
    "randint",
    "randn",
    "randperm",
    "set_rng_state",
    "uniform",
]


def manual_seed(seed):
    """Restart the random numbers from `seed`.

    Parameters
    ----------
    seed : int
        Of 64 bits; a negative one counts from 2**64.

    Raises
    ------
    ValueError, TypeError
        If `seed` does not fit into 64 bits, or is no whole number.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.manual_seed(7)
    >>> a = dl.rand(3)
    >>> dl.manual_seed(7)
    >>> (a == dl.rand(3)).all()
    np.True_
    """
    try:
        seed = operator.index(seed)
    except TypeError:
        kind = type(seed).__name__
        raise TypeError(
            f"manual_seed: seed must be a whole number, got {kind}"
        ) from None
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"manual_seed: seed must fit into 64 bits, got {seed}")
    _C.set_random_state(seed % 2**64, 0)


def get_rng_state():
    """The generator's state, for `set_rng_state`.

    Returns
    -------
    ndarray, shape (2,), uint64
        The seed and the count of blocks used.

    Examples
    --------
    >>> import dlcore as dl
    >>> state = dl.get_rng_state()
    >>> a = dl.rand(2)
    >>> dl.set_rng_state(state)
    >>> bool((a == dl.rand(2)).all())
    True
    """
    return np.array(_C.random_state(), dtype=np.uint64)


def set_rng_state(state):
    """Go on from a state that `get_rng_state` returned.

    Parameters
    ----------
    state : array_like, shape (2,), uint64

    Raises
    ------
    ValueError
        If `state` is not two whole numbers of 64 bits.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.set_rng_state(dl.get_rng_state())
    """
    state = np.asarray(state)
    if state.shape != (2,) or state.dtype != np.uint64:
        raise ValueError(
            "set_rng_state: state must be what get_rng_state returned: "
            f"2 numbers of uint64, got shape {state.shape}, {state.dtype}"
        )
    _C.set_random_state(int(state[0]), int(state[1]))


def _size(size):
    if len(size) == 1 and not isinstance(size[0], (int, np.integer)):
        size = size[0]
    return tuple(size)


def _is_double(op, dtype):
    char = np.dtype(dtype).char
    if char not in "fd":
        raise TypeError(
            f"{op}: dtype must be float32 or float64, got {np.dtype(dtype)}"
        )
    return char == "d"


def _given(op, array, device, requires_grad):
    check_device(op, device)
    return Tensor(array, True) if requires_grad else array


def rand(*size, dtype=np.float32, device=None, requires_grad=False):
    """Uniform numbers of [0, 1), in steps of 2**-24 (float32) or 2**-53 (float64).

    Parameters
    ----------
    *size : int
        Shape of the result; or one tuple.
    dtype : dtype, optional
        float32 or float64.
    device : str, optional
        The CPU is the only one.
    requires_grad : bool, optional
        Whether to give a Tensor that requires a gradient.

    Returns
    -------
    ndarray or Tensor, shape `size`

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.rand(2, 3).shape
    (2, 3)
    """
    y = _C.uniform(0.0, 1.0, _size(size), _is_double("rand", dtype))
    return _given("rand", y, device, requires_grad)


def randn(*size, dtype=np.float32, device=None, requires_grad=False):
    """Normal numbers of mean 0 and standard deviation 1 (Box and Muller's method).

    Parameters
    ----------
    *size : int
        Shape of the result; or one tuple.
    dtype : dtype, optional
        float32 (largest magnitude 6.6) or float64 (8.6).
    device, requires_grad : optional
        As for `rand`.

    Returns
    -------
    ndarray or Tensor, shape `size`

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.randn(2, 3).shape
    (2, 3)
    """
    y = _C.normal(0.0, 1.0, _size(size), _is_double("randn", dtype))
    return _given("randn", y, device, requires_grad)


def uniform(low=0.0, high=1.0, size=(), dtype=np.float32):
    """Uniform numbers of [low, high). Rounding may give `high` itself.

    Parameters
    ----------
    low, high : float
        Finite, ``low <= high``.
    size : tuple of int or int, optional
        Shape of the result.
    dtype : dtype, optional
        float32 or float64.

    Returns
    -------
    ndarray, shape `size`

    Raises
    ------
    ValueError
        If ``low > high`` or either is not finite.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.uniform(-1.0, 1.0, size=(3,)).shape
    (3,)
    """
    return _C.uniform(low, high, _size((size,)), _is_double("uniform", dtype))


def normal(mean=0.0, std=1.0, size=(), dtype=np.float32):
    """Normal numbers.

    Parameters
    ----------
    mean, std : float
        Mean and standard deviation, ``std >= 0``.
    size : tuple of int or int, optional
        Shape of the result.
    dtype : dtype, optional
        float32 or float64.

    Returns
    -------
    ndarray, shape `size`

    Raises
    ------
    ValueError
        If `std` is negative.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.normal(0.0, 2.0, size=(3,)).shape
    (3,)
    """
    return _C.normal(mean, std, _size((size,)), _is_double("normal", dtype))


def bernoulli(p, size=None, dtype=None):
    """Ones with probability `p`, else zeros.

    Parameters
    ----------
    p : array_like
        Probabilities from 0 to 1.
    size : tuple of int or int, optional
        Shape of the result for one `p`; left out, the shape of `p`.
    dtype : dtype, optional
        float32 or float64; left out, that of `p` if it is one of them, else float32.

    Returns
    -------
    ndarray, shape `size` or that of `p`

    Raises
    ------
    ValueError
        If a probability lies outside of [0, 1].

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.bernoulli([0.0, 1.0])
    array([0., 1.])
    """
    p = np.asarray(p, dtype=dtype)
    if dtype is not None:
        _is_double("bernoulli", dtype)
    elif p.dtype.char not in "fd" or p.ndim == 0:
        p = p.astype(np.float32)
    return _C.bernoulli(p, None if size is None else _size((size,)))


def randint(low, high=None, size=()):
    """Whole numbers of [low, high), or of [0, low) with one argument.

    Parameters
    ----------
    low, high : int
        Of 64 bits with sign, ``low < high``.
    size : tuple of int or int, optional
        Shape of the result.

    Returns
    -------
    ndarray, shape `size`, int64

    Raises
    ------
    ValueError
        If the interval is empty.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.randint(0, 10, (3,)).shape
    (3,)
    """
    if high is None:
        low, high = 0, low
    return _C.randint(low, high, _size((size,)))


def randperm(n):
    """A random permutation of ``0, ..., n - 1``.

    Parameters
    ----------
    n : int

    Returns
    -------
    ndarray, shape (n,), int64

    Examples
    --------
    >>> import dlcore as dl
    >>> sorted(dl.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    return _C.randperm(n)
