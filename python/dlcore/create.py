"""New Tensors of given numbers: `zeros`, `arange`, `eye` and so on, as in PyTorch."""

import numpy as np

from .tensor import Tensor, raw

__all__ = [
    "arange",
    "as_tensor",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]


def _made(op, make, dtype, requires_grad, device):
    """A Tensor of what `make` gives; errors begin with the op's name."""
    if device is not None and str(device) != "cpu":
        raise ValueError(f"{op}: device must be 'cpu', the only one, got {device!r}")
    try:
        array = make(np.dtype(dtype))
    except (TypeError, ValueError, ArithmeticError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{op}: {error}") from None
    return Tensor(array, requires_grad=requires_grad)


def _of(name, value):
    def new(*size, dtype=np.float32, device=None, requires_grad=False):
        size = size[0] if len(size) == 1 and np.iterable(size[0]) else size
        fill = lambda kind: np.full(size, value, kind)  # noqa: E731
        return _made(name, fill, dtype, requires_grad, device)

    return _documented(
        new,
        name,
        f"""A Tensor of {value}s.

    Parameters
    ----------
    *size : int
        Its shape; or one tuple.
    dtype : dtype, optional
        Default is float32.
    device : str, optional
        The CPU is the only one.
    requires_grad : bool, optional
        Whether `backward` leaves its gradient in `grad`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.{name}(2)
    tensor([{value}., {value}.])
    """,
    )


def _like(name, value):
    def new(x, dtype=None, device=None, requires_grad=False):
        return full_like(x, value, dtype, device, requires_grad)

    return _documented(new, name, f"{value}s in the shape and dtype of `x`.")


def _documented(function, name, text):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


zeros, ones = _of("zeros", 0), _of("ones", 1)
empty = zeros  # whose memory costs nothing before it is written
zeros_like, ones_like = _like("zeros_like", 0), _like("ones_like", 1)
empty_like = zeros_like


def full(size, fill_value, dtype=None, device=None, requires_grad=False):
    """A Tensor of one number.

    Parameters
    ----------
    size : int or tuple of int
        Its shape.
    fill_value : float
        The number.
    dtype : dtype, optional
        Default is float32, or int64 and bool for such a number.
    device : str, optional
        The CPU is the only one.
    requires_grad : bool, optional
        Whether `backward` leaves its gradient in `grad`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.full((2,), 0.5)
    tensor([0.5, 0.5])
    """
    kind = dtype or (np.float32 if isinstance(fill_value, float) else None)
    kind = kind or np.asarray(fill_value).dtype
    fill = lambda kind: np.full(size, fill_value, kind)  # noqa: E731
    return _made("full", fill, kind, requires_grad, device)


def full_like(x, fill_value, dtype=None, device=None, requires_grad=False):
    """One number in the shape and dtype of `x`: an array like an array, or a Tensor."""
    a = raw(x)
    if not isinstance(a, np.ndarray):
        raise TypeError(f"full_like: x must be an array, got {type(x).__name__}")
    y = full(a.shape, fill_value, dtype or a.dtype, device, requires_grad)
    return y if isinstance(x, Tensor) or requires_grad else y.data


def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False):
    """Numbers from `start` (0 when one is given) to before `end`.

    Parameters
    ----------
    start, end, step : float
        ``arange(end)``, ``arange(start, end)`` or ``arange(start, end, step)``.
    dtype : dtype, optional
        Default is int64 for whole numbers, float32 for others.
    device : str, optional
        The CPU is the only one.
    requires_grad : bool, optional
        Whether `backward` leaves its gradient in `grad`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.arange(3), dl.arange(0, 1, 0.5)
    (tensor([0, 1, 2]), tensor([0. , 0.5]))
    """
    start, end = (0, start) if end is None else (start, end)
    whole = all(isinstance(n, (int, np.integer)) for n in (start, end, step))
    kind = dtype or (np.int64 if whole else np.float32)
    count = lambda kind: np.arange(start, end, step).astype(kind)  # noqa: E731
    return _made("arange", count, kind, requires_grad, device)


def linspace(start, end, steps, *, dtype=np.float32, device=None, requires_grad=False):
    """So many numbers from `start` to `end`, evenly spaced.

    Parameters
    ----------
    start, end : float
        The first and the last.
    steps : int
        How many.
    dtype, device, requires_grad : optional
        As for `zeros`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    make = lambda kind: np.linspace(start, end, steps).astype(kind)  # noqa: E731
    return _made("linspace", make, dtype, requires_grad, device)


def eye(n, m=None, *, dtype=np.float32, device=None, requires_grad=False):
    """The identity matrix, `n` rows and `m` columns.

    Parameters
    ----------
    n, m : int
        As many columns as rows when `m` is None.
    dtype, device, requires_grad : optional
        As for `zeros`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    make = lambda kind: np.eye(n, m, dtype=kind)  # noqa: E731
    return _made("eye", make, dtype, requires_grad, device)


def as_tensor(data, dtype=None, device=None):
    """A Tensor on the memory of `data` where it can be, as `Tensor` gives it.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.as_tensor(np.ones(2)).dtype
    dtype('float64')
    """
    if isinstance(data, Tensor) and (dtype is None or data.dtype == dtype):
        return data
    array = Tensor(data).data
    kind = array.dtype if dtype is None else dtype
    make = lambda kind: array.astype(kind, copy=False)  # noqa: E731
    return _made("as_tensor", make, kind, False, device)


def from_numpy(array):
    """A Tensor on the memory of an array: ``Tensor(array)``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.from_numpy(np.zeros(2)).shape
    (2,)
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: array must be an array, got {type(array)}")
    return Tensor(array)
