"""Memory for time: forget what lies between, and compute it again in backward."""

from ..grad_mode import _mode, enable_grad
from ..precision import autocast
from ..random import get_rng_state, set_rng_state
from ..several import record_several
from ..tensor import Tensor, clock, record


def checkpoint(function, *args, use_reentrant=False, preserve_rng_state=True, **kwargs):
    """Call a function whose intermediate results are computed again in backward.

    The graph keeps the arguments and the result only. Backward runs the function a
    second time, with the random numbers of the first, and goes on through what that
    run recorded: the gradients are the same, to the bit.

    Parameters
    ----------
    function : callable
        Takes and returns Tensors (one, or a tuple); a Module, for example. It must do
        the same both times: batch normalization updates its running statistics twice.
    *args, **kwargs
        Its arguments.
    use_reentrant : bool, optional
        As in PyTorch, where it chooses between two ways; here there is one.
    preserve_rng_state : bool, optional
        Whether the second run gets the random numbers of the first. Not if other
        threads draw some at the same time: they come from one stream.

    Returns
    -------
    Tensor or tuple of Tensor
        What `function` returned.

    Raises
    ------
    TypeError
        If `function` cannot be called.
    RuntimeError
        In backward, if the second run returns results of other shapes.

    Examples
    --------
    >>> import dlcore as dl
    >>> block = dl.nn.Sequential(dl.nn.Linear(4, 4), dl.nn.Tanh())
    >>> x = dl.Tensor([[1.0, 2.0, 3.0, 4.0]], requires_grad=True)
    >>> dl.checkpoint(block, x).sum().backward()
    >>> x.grad.shape
    (1, 4)
    """
    if not callable(function):
        kind = type(function).__name__
        raise TypeError(f"checkpoint: function must be callable, got {kind}")
    if not _mode.recording:
        return function(*args, **kwargs)
    state, start = get_rng_state(), next(clock)
    made = function(*args, **kwargs)
    outputs = made if isinstance(made, (tuple, list)) else (made,)
    if not any(_is_new(y, start) for y in outputs):
        return made
    again = _Again(function, args, kwargs, state if preserve_rng_state else None)
    results = _recorded(again, outputs, _boundary(outputs, start))
    return type(made)(results) if isinstance(made, (tuple, list)) else results[0]


def _recorded(again, outputs, parents):
    """The results with the one node that stands for all between."""
    again.kept = parents
    differentiable = [isinstance(y, Tensor) and y.requires_grad for y in outputs]
    arrays = tuple(y.data for y, d in zip(outputs, differentiable, strict=True) if d)
    again.which = [i for i, d in enumerate(differentiable) if d]
    again.shapes = [a.shape for a in arrays]

    def checkpoint(*dys):
        return again.spliced(*dys)

    checkpoint.__qualname__, checkpoint.recorded = "checkpoint", again.spliced
    if len(arrays) == 1:
        new = iter([record(arrays[0], parents, checkpoint)])
    else:
        new = iter(record_several(arrays, parents, checkpoint))
    return [next(new) if d else y for y, d in zip(outputs, differentiable, strict=True)]


class _Again:
    """The second run.

    Its results take the place of the node's parents in the very list that the walk is
    about to go through, which so goes on into what the second run recorded.
    """

    def __init__(self, function, args, kwargs, state):
        self.function, self.args, self.kwargs = function, args, kwargs
        self.state = state
        self.casting = _mode.casting
        self.kept, self.which, self.shapes = [], [], []

    def spliced(self, *dys):
        now = get_rng_state()
        if self.state is not None:
            set_rng_state(self.state)
        try:
            with enable_grad(), autocast(enabled=self.casting):
                made = self.function(*self.args, **self.kwargs)
        finally:
            if self.state is not None:
                set_rng_state(now)
        made = made if isinstance(made, (tuple, list)) else (made,)
        outputs = [made[i] for i in self.which if i < len(made)]
        if [getattr(y, "shape", None) for y in outputs] != self.shapes:
            raise RuntimeError(
                "checkpoint: function must do the same both times, got results of "
                f"shapes {[getattr(y, 'shape', None) for y in outputs]} in place of "
                f"{self.shapes}"
            )
        self.kept[:] = outputs
        return dys


def _is_new(y, start):
    return isinstance(y, Tensor) and y._node is not None and y._node[2] < start


def _boundary(outputs, start):
    """The tensors from before that the results depend on."""
    found, seen, stack = {}, set(), [y for y in outputs if _is_new(y, start)]
    while stack:
        node = stack.pop()._node
        if id(node) in seen:
            continue
        seen.add(id(node))
        for parent in node[0]:
            if not isinstance(parent, Tensor) or not parent.requires_grad:
                continue
            if _is_new(parent, start):
                stack.append(parent)
            else:
                found[id(parent)] = parent
    return list(found.values())
