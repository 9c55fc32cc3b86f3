"""Which gradients a walk is asked for, and what it found."""

import numpy as np

from .hooks import Hooked, hooked_leaves, seen_by_hooks_of
from .tensor import Tensor, _used


class Wanted:
    """The inputs whose gradients are asked for, and which nodes lead to them.

    Parameters
    ----------
    inputs : sequence of Tensor
    passed : sequence of Tensor, optional
        From where nothing leads to them, as is known without looking.
    """

    def __init__(self, inputs, passed=()):
        for x in inputs:
            if x._node is not None and x._node[1] is _used:
                x._node[1](None)  # raises
        self._found = {_key(x): None for x in inputs}
        self._leads = {_key(x): False for x in passed} | dict.fromkeys(
            self._found, True
        )
        self._looked_at = [(x, x._node) for x in (*inputs, *passed)]  # ids stay theirs

    def leads(self, tensor):
        """Whether the gradient of an input passes through this tensor."""
        leads, stack = self._leads, [tensor]
        while stack:
            at = stack[-1]
            key, node = _key(at), at._node
            if key not in leads:
                parents = [] if node is None else _needing(node[0])
                unknown = [p for p in parents if _key(p) not in leads]
                if unknown:
                    stack.extend(unknown)
                    continue
                used = node is not None and node[1] is _used  # its turn will refuse
                leads[key] = used or any(leads[_key(p)] for p in parents)
                self._looked_at.append((None if node else at, node))
            stack.pop()
        return leads[_key(tensor)]

    def arrived(self, tensor, dy):
        """The gradient after the hooks; the node's backward, None to go no further."""
        node = tensor._node
        backward = node[1]
        if type(backward) is Hooked:
            dy, backward = backward.seen(dy), backward.backward
        key = _key(tensor)
        if key not in self._found:
            return dy, backward
        self._found[key] = dy.copy() if isinstance(dy, np.ndarray) else dy
        further = any(self.leads(p) for p in _needing(node[0]))
        return dy, backward if further else None

    def put(self, leaf, dx):
        self._found[_key(leaf)] = dx

    def found(self, x):
        """The gradient of an input; None when nothing reached it."""
        return self._found[_key(x)]


class LeafSums:
    """Gradients of leaves, added up until the walk is over; then their hooks see them.

    Parameters
    ----------
    accumulate : callable, optional
        Takes at once what is of a leaf without hooks.
    """

    def __init__(self, accumulate=None):
        self.add = None
        self._accumulate = accumulate
        self._sums = {}

    def __call__(self, leaf, dx, unshared):
        key = id(leaf)
        if self._accumulate is not None and key not in hooked_leaves:
            self._accumulate(leaf, dx, unshared)
        elif key in self._sums:
            self._sums[key] = leaf, self.add(self._sums[key][1], dx), True
        else:
            self._sums[key] = leaf, dx, unshared

    def leave(self):
        """Each leaf, its gradient, and whether nobody else keeps that array."""
        for leaf, dx, unshared in self._sums.values():
            new = seen_by_hooks_of(leaf, dx)
            yield leaf, new, unshared and new is dx


def _key(tensor):
    """The same for a tensor and for its `shadow`."""
    return id(tensor) if tensor._node is None else id(tensor._node)


def _needing(parents):
    return [p for p in parents if isinstance(p, Tensor) and p.requires_grad]
