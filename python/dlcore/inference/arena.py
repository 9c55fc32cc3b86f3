"""One block of memory for the results that a program makes on its way.

A result lies where an earlier one lay that nobody reads any more, so that all of them
stay in the caches: MobileNetV2 on one picture writes 27 MB on its way into 6.
"""

import numpy as np

from .._C import empty  # as it is: no kernel for those who watch

OUT = 10  # the place of `out` among a convolution's arguments
_PLACED = "conv1d_forward", "conv2d_forward", "conv3d_forward"
_LINE = 64
_APART = 17 * _LINE  # neighbours with equal low address bits would wait for one another


def plan(steps, dying):
    """The place of each slot that a convolution writes and a later step reads last.

    `dying` has for each step the slots that no later one needs. Returns the places, as
    offsets in bytes, and the size of the whole.
    """
    written = {s.result: i for i, s in enumerate(steps) if s.name in _PLACED}
    lives = [
        (_bytes(slot), written[slot], last, slot)
        for last, slots in enumerate(dying)
        for slot in slots
        if slot in written and last > written[slot]
    ]
    # The largest first, each as low as those that live at the same time allow.
    lives.sort(key=lambda life: (-life[0], life[1]))
    placed: list = []
    for size, first, last, slot in lives:
        rivals = [p for p in placed if p[2] <= last and first <= p[3]]
        placed.append((_gap(size, rivals), size, first, last, slot))
    offsets = {slot: at for at, _, _, _, slot in placed}
    return offsets, max((at + size for at, size, *_ in placed), default=0)


def _bytes(slot):
    size = int(np.prod(slot.shape)) * slot.dtype.itemsize
    return -(-size // _LINE) * _LINE + _APART


def _gap(size, rivals):
    at = 0
    for start, taken, *_ in sorted(rivals, key=lambda rival: rival[0]):
        if start - at >= size:
            break
        at = max(at, start + taken)
    return at


def make(size):
    """The block, from the cache of buffers: as threads run, each its own."""
    return empty(1, -(-size // 4), False)
