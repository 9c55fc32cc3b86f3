"""New Tensors of given numbers, as in PyTorch: `zeros`, `arange`, `eye` and so on."""

import numpy as np

from .convert import check_device, dtype_of
from .tensor import Tensor

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


def _made(op, make, device, requires_grad=False):
    """A Tensor of what `make` gives; errors begin with the op's name."""
    check_device(op, device)
    try:
        array = make()
    except (TypeError, ValueError, ArithmeticError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{op}: {error}") from None
    return Tensor(array, requires_grad=requires_grad)


def _of(name, value):
    def new(*size, dtype=np.float32, device=None, requires_grad=False):
        size = size[0] if len(size) == 1 and np.iterable(size[0]) else size
        kind = dtype_of(name, dtype)
        return _made(name, lambda: np.full(size, value, kind), device, requires_grad)

    new.__doc__ = f"""A Tensor of {value}s, its lengths given one by one or as a tuple.

    Parameters
    ----------
    *size : int
        Its shape.
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
    """
    return _named(new, name)


def _like(name, value):
    def new(x, dtype=None, device=None, requires_grad=False):
        return full_like(x, value, dtype, device, requires_grad)

    new.__doc__ = f"{value}s in the shape and dtype of `x`; as `full_like`."
    return _named(new, name)


def _named(function, name):
    function.__name__ = function.__qualname__ = name
    return function


zeros, ones = _of("zeros", 0), _of("ones", 1)
empty = zeros  # whose memory costs nothing before it is written
zeros_like, ones_like = _like("zeros_like", 0), _like("ones_like", 1)
empty_like = zeros_like


def full(size, fill_value, dtype=None, device=None, requires_grad=False):
    """A Tensor of one number; of float32, or int64 and bool for such a number.

    As `zeros` for the other arguments.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.full((2,), 0.5)
    tensor([0.5, 0.5])
    """
    kind = dtype or (np.float32 if isinstance(fill_value, float) else None)
    kind = dtype_of("full", kind)
    return _made("full", lambda: np.full(size, fill_value, kind), device, requires_grad)


def full_like(x, fill_value, dtype=None, device=None, requires_grad=False):
    """One number in the shape and dtype of `x`: an array like an array, or a Tensor."""
    a = x.data if isinstance(x, Tensor) else x
    if not isinstance(a, np.ndarray):
        raise TypeError(f"full_like: x must be an array, got {type(x).__name__}")
    y = full(a.shape, fill_value, dtype or a.dtype, device, requires_grad)
    return y if isinstance(x, Tensor) or requires_grad else y.data


def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False):
    """Numbers from `start` to before `end`: ``arange(end)``, ``arange(start, end)``.

    Of int64 for whole numbers, float32 for others. As `zeros` for the other arguments.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.arange(3), dl.arange(0, 1, 0.5)
    (tensor([0, 1, 2]), tensor([0. , 0.5]))
    """
    start, end = (0, start) if end is None else (start, end)
    whole = all(isinstance(n, (int, np.integer)) for n in (start, end, step))
    kind = dtype or (np.int64 if whole else np.float32)
    return _made(
        "arange",
        lambda: np.arange(start, end, step).astype(kind),
        device,
        requires_grad,
    )


def linspace(start, end, steps, *, dtype=np.float32, device=None, requires_grad=False):
    """So many numbers from `start` to `end`, evenly spaced.

    As `zeros` for the other arguments.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    return _made(
        "linspace",
        lambda: np.linspace(start, end, steps).astype(dtype),
        device,
        requires_grad,
    )


def eye(n, m=None, *, dtype=np.float32, device=None, requires_grad=False):
    """The identity matrix of `n` rows and as many columns, or `m`.

    As `zeros` for the other arguments.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _made("eye", lambda: np.eye(n, m, dtype=dtype), device, requires_grad)


def as_tensor(data, dtype=None, device=None):
    """A Tensor on the memory of `data` where it can be; `data` itself if it is one.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.as_tensor(np.ones(2)).dtype
    dtype('float64')
    """
    array = Tensor(data).data
    kind = array.dtype if dtype is None else dtype_of("as_tensor", dtype)
    if isinstance(data, Tensor) and array.dtype == kind:
        return data
    return _made("as_tensor", lambda: array.astype(kind, copy=False), device)


def from_numpy(array):
    """A Tensor on the memory of an array: ``Tensor(array)``."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: array must be an array, got {type(array)}")
    return Tensor(array)
