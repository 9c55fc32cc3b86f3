"""Clipping of gradients: all of a network's in one native call."""

import math
from collections.abc import Iterable

import numpy as np

from ... import _C
from ...ops import norm
from ...tensor import Tensor, changed


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    r"""The norm of all elements of some tensors together.

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
        float32 or float64, of any shapes.
    norm_type : float, optional
        The order :math:`p`; ``float("inf")`` is the largest magnitude.
    error_if_nonfinite : bool, optional
        Refuse a norm that is infinite or NaN.
    foreach : optional
        Without effect: it is one native call.

    Returns
    -------
    Tensor, shape ()
        Of the first tensor's dtype; 0 of no tensors.

    Raises
    ------
    RuntimeError
        If the norm is not finite and `error_if_nonfinite` is true.
    TypeError
        If one of `tensors` is not a Tensor, or `norm_type` is no number.

    Notes
    -----
    .. math:: \Bigl( \sum_i |x_i|^p \Bigr)^{1/p}

    Sums are in float64, so that the squares of large float32 gradients do not overflow,
    and the same to the bit for any number of threads. NaN gives NaN.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.utils.get_total_norm([dl.Tensor([3.0]), dl.Tensor([[-4.0]])])
    tensor(5.)
    """
    name = "get_total_norm"
    tensors = _listed(name, "tensors", tensors)
    return _checked(name, [t.data for t in tensors], norm_type, error_if_nonfinite)


def clip_grad_norm_(
    parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None
):
    r"""Scale the gradients down, in place, if their norm together is too large.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are left out.
    max_norm : float
        What the norm may be.
    norm_type, error_if_nonfinite, foreach
        See `get_total_norm`.

    Returns
    -------
    Tensor, shape ()
        The norm before.

    Raises
    ------
    RuntimeError
        If the norm is not finite and `error_if_nonfinite` is true. Nothing is changed
        then.
    TypeError, ValueError
        If an argument is of a wrong kind, `max_norm` is negative, or two gradients
        share memory.

    Notes
    -----
    .. math:: g = g \cdot \min(1, c / (\|g\| + 10^{-6}))

    as PyTorch's: an infinite norm makes finite gradients 0 and the others NaN.

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 1.0], requires_grad=True)
    >>> w.grad = dl.Tensor([3.0, 4.0])
    >>> dl.nn.utils.clip_grad_norm_([w], max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6, 0.8])
    """
    name = "clip_grad_norm_"
    grads = _gradients(name, parameters)
    limit = _limit(name, "max_norm", max_norm)
    total = _checked(name, [g.data for g in grads], norm_type, error_if_nonfinite)
    _scale(name, grads, limit, total)
    return total


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scale the gradients as `clip_grad_norm_` does, by a norm that is known.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are left out.
    max_norm : float
        What the norm may be.
    total_norm : Tensor or float
        What it is: of `get_total_norm`.
    foreach : optional
        Without effect: it is one native call.

    Raises
    ------
    TypeError, ValueError
        See `clip_grad_norm_`.

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0], requires_grad=True)
    >>> w.grad = dl.Tensor([4.0])
    >>> dl.nn.utils.clip_grads_with_norm_(w, max_norm=1.0, total_norm=2.0)
    >>> w.grad
    tensor([2.])
    """
    name = "clip_grads_with_norm_"
    grads = _gradients(name, parameters)
    _scale(name, grads, _limit(name, "max_norm", max_norm), total_norm)


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Cut every element of the gradients to within a bound, in place.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are left out.
    clip_value : float
        Elements go to the nearest number of ``[-clip_value, clip_value]``; NaN stays.
    foreach : optional
        Without effect: it is one native call.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind, `clip_value` is negative, or two gradients
        share memory.

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 1.0], requires_grad=True)
    >>> w.grad = dl.Tensor([3.0, -0.5])
    >>> dl.nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([ 1. , -0.5])
    """
    name = "clip_grad_value_"
    grads = _gradients(name, parameters)
    _clip(name, grads, 1.0, _limit(name, "clip_value", clip_value))


def _listed(name, what, tensors):
    if isinstance(tensors, Tensor):
        return [tensors]
    if not isinstance(tensors, Iterable):
        cure = ": pass model.parameters()" if hasattr(tensors, "parameters") else ""
        raise TypeError(
            f"{name}: {what} must be a list of Tensors, "
            f"got {type(tensors).__name__}{cure}"
        )
    tensors = list(tensors)
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(
                f"{name}: each of {what} must be a Tensor, got {type(t).__name__}"
            )
    return tensors


def _gradients(name, parameters):
    grads = [p.grad for p in _listed(name, "parameters", parameters)]
    return _listed(name, "the gradients", (g for g in grads if g is not None))


def _limit(name, what, value):
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: {what} must be a number, got {type(value).__name__}"
        ) from None
    if not number >= 0:
        raise ValueError(f"{name}: {what} must be at least 0, got {value}")
    return number


def _checked(name, arrays, norm_type, error_if_nonfinite):
    try:
        order = float(norm_type)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: norm_type must be a number, got {type(norm_type).__name__}"
        ) from None
    total = _norm(_norms(arrays, order), order) if arrays else 0.0
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"{name}: the norm of the gradients must be finite, got {total}: leave out "
            "error_if_nonfinite to scale by it all the same"
        )
    return Tensor(np.array(total, arrays[0].dtype if arrays else np.float32))


def _norms(arrays, order):
    if order in (1, 2, math.inf):
        return _C.tensor_norms(arrays, order)
    return np.array([_norm(a.astype(np.float64), order) for a in arrays])


def _norm(x, order):
    if order in (1, 2, math.inf):
        return float(_C.tensor_norms([x], order)[0])
    return float(norm(x, order))


def _scale(name, grads, limit, total):
    factor = limit / (float(total) + 1e-6)
    if not factor >= 1:  # NaN too
        _clip(name, grads, factor, math.inf)


def _clip(name, grads, factor, limit):
    arrays = [g.data for g in grads]
    # What does not lie in one piece is changed in a copy, and written back.
    copied = {
        i: a for i, a in enumerate(arrays) if a.flags.writeable and not a.flags.carray
    }
    whole = [np.array(a, a.dtype.newbyteorder("="), order="C") for a in copied.values()]
    for i, a in zip(copied, whole):
        arrays[i] = a
    _C.clip_tensors(name, arrays, factor, limit)
    for given, a in zip(copied.values(), whole):
        given[...] = a
    changed(grads)
