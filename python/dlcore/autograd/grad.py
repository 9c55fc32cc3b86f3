"""Gradients as results: `grad`; and backward from several tensors at once."""

from ..tape import first_gradient, gradients_of, start
from ..tensor import Tensor, _constant


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    allow_unused=False,
):
    """Gradients of `outputs` with respect to `inputs`, as results.

    Nothing is left in any `grad`, and only what lies between is computed.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        What to differentiate; several are added up.
    inputs : Tensor or sequence of Tensor
        Leaves, or results of ops.
    grad_outputs : array_like or sequence of array_like, optional
        Gradient of the final result by each output; may be left out, or None, for one
        of one element, where it is 1.
    retain_graph : bool, optional
        Keep what the ops saved, so that backward may run again. Default is
        `create_graph`.
    create_graph : bool, optional
        Record the gradients, so that they have gradients.
    allow_unused : bool, optional
        Whether None is a gradient: that of an input which no output depends on.

    Returns
    -------
    tuple of Tensor
        One for each input.

    Raises
    ------
    RuntimeError
        If an input was not used or needs no gradient, or a part of the graph was used
        already.
    ValueError
        If a gradient has another shape than its output.
    NotImplementedError
        If `create_graph` meets an op without a second derivative; it is named.

    Examples
    --------
    The penalty of WGAN-GP, whose own gradient is that of a gradient:

    >>> import numpy as np
    >>> import dlcore as dl
    >>> critic = dl.nn.Linear(3, 1)
    >>> x = dl.Tensor(np.ones((2, 3), "float32"), requires_grad=True)
    >>> (dx,) = dl.grad(critic(x).sum(), x, create_graph=True)
    >>> penalty = ((dx.norm(dim=1) - 1.0) ** 2.0).mean()
    >>> penalty.backward()
    >>> critic.weight.grad.shape
    (1, 3)
    """
    outputs, inputs = _several(outputs), _several(inputs)
    starts = _starts("grad", outputs, grad_outputs, create_graph)
    found = gradients_of("grad", outputs, inputs, starts, retain_graph, create_graph)
    for i, dx in enumerate(found):
        if dx is None and not allow_unused:
            raise RuntimeError(
                f"grad: inputs[{i}], of shape {inputs[i].shape}, was not used for the "
                "outputs: pass allow_unused=True to get None"
            )
    return tuple(
        dx if dx is None or isinstance(dx, Tensor) else _constant(dx) for dx in found
    )


def backward(
    tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None
):
    """`Tensor.backward` from several tensors at once.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
        Where to start.
    grad_tensors : array_like or sequence of array_like, optional
        The gradient of each; see `Tensor.backward`.
    retain_graph, create_graph, inputs
        As for `Tensor.backward`.

    Examples
    --------
    >>> import dlcore as dl
    >>> x = dl.Tensor([3.0], requires_grad=True)
    >>> dl.autograd.backward([x * 2.0, x * 3.0])
    >>> x.grad
    tensor([5.])
    """
    tensors = _several(tensors)
    starts = _starts("backward", tensors, grad_tensors, create_graph)
    start(tensors, starts, retain_graph, create_graph, inputs)


def _several(tensors):
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _starts(op, tensors, gradients, create_graph):
    if not isinstance(gradients, (list, tuple)):
        gradients = [gradients] if gradients is not None else [None] * len(tensors)
    if len(gradients) != len(tensors):
        raise ValueError(
            f"{op}: there must be one gradient for each of {len(tensors)} tensors, "
            f"got {len(gradients)}"
        )
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(f"{op}: tensors must be Tensors, got {type(x).__name__}")
    pairs = zip(tensors, gradients, strict=True)
    return [first_gradient(op, x, dy, create_graph) for x, dy in pairs]
