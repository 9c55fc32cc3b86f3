"""A training run in one file: model, optimizer, schedules, random numbers, counts.

Safetensors has no checksums; a checkpoint has one of each array, with its dtype and
shape, in the list of its parts, and one of the list.
"""

import copy
import json
import zlib

import numpy as np

from ..random import get_rng_state, set_rng_state
from . import safetensors
from .dtypes import contents, saved
from .files import Fault, Source, naming
from .tree import flatten, unflatten

_KEY, _SUM = "dlcore.checkpoint", "dlcore.checkpoint.crc32"
_RNG = "rng"


def save_checkpoint(path, /, *unnamed, rng=True, **parts):
    """Save everything that a training run needs to go on, all or nothing.

    Parameters
    ----------
    path : path_like
        A safetensors file: the weights are in it as ``model.conv1.weight`` and so on.
    rng : bool, optional
        Whether the state of the random numbers is kept.
    **parts
        By names of your choice: what has a ``state_dict`` (model, optimizer, schedule),
        and numbers, texts, arrays, or lists, tuples and dicts of them.

    Raises
    ------
    TypeError
        If a part is none of these, or has no name.
    ValueError
        If `path` ends as the files of PyTorch or NumPy do.

    Examples
    --------
    >>> import dlcore as dl, tempfile
    >>> model = dl.nn.Linear(2, 3)
    >>> optimizer = dl.optim.Adam(model.parameters())
    >>> path = tempfile.mkdtemp() + "/run.safetensors"
    >>> dl.io.save_checkpoint(path, model=model, optimizer=optimizer, step=100)
    >>> dl.io.load_checkpoint(path, model=model, optimizer=optimizer)
    {'step': 100}
    """
    if unnamed:
        raise TypeError(
            "save_checkpoint: each part must have a name: "
            "save_checkpoint(path, model=model, optimizer=optimizer)"
        )
    if str(path).endswith((".pt", ".pth", ".bin", ".npz")):
        raise ValueError(
            "save_checkpoint: path must not end as another format's does, got "
            f"{str(path)!r}: end it in .safetensors"
        )
    if _RNG in parts:
        raise TypeError("save_checkpoint: rng must be True or False")
    state = {
        name: part.state_dict() if hasattr(part, "state_dict") else part
        for name, part in parts.items()
    }
    if rng:
        state[_RNG] = get_rng_state()
    op, arrays = "save_checkpoint", {}
    parts = {name: flatten(op, part, name, arrays) for name, part in state.items()}
    sums = {
        name: _checksum(contents(array, kind), kind, array.shape)
        for name, (array, kind) in saved(op, arrays).items()
    }
    text = json.dumps({"parts": parts, "crc32": sums})
    metadata = {_KEY: text, _SUM: str(zlib.crc32(text.encode()))}
    safetensors.write(arrays, path, metadata, op)


def _checksum(raw, kind, shape):
    return zlib.crc32(raw, zlib.crc32(f"{kind} {list(shape)}".encode()))


def load_checkpoint(path, /, *, rng=True, **parts):
    """Go on from `save_checkpoint`, to the bit.

    Parameters
    ----------
    path : path_like
        From `save_checkpoint`.
    rng : bool, optional
        Whether the random numbers go on from where they were, if that was kept.
    **parts
        What to load, by the names it was saved by; each must have ``load_state_dict``.

    Returns
    -------
    dict
        The other parts of the file, as they were saved; states of what was not asked
        for among them.

    Raises
    ------
    ValueError
        If the file is no checkpoint, is damaged, or lacks a part.
    RuntimeError, ValueError
        If a state does not fit what it is loaded into. Then everything is as before.
    """
    for name, part in parts.items():
        if not hasattr(part, "load_state_dict"):
            raise TypeError(
                f"load_checkpoint: {name} must have load_state_dict, got "
                f"{type(part).__name__}"
            )
    with naming("load_checkpoint", path), Source(path) as source:
        state = _read(source)
        if lacking := [name for name in parts if name not in state]:
            raise Fault(f"has no {', '.join(lacking)}: it has {', '.join(state)}")
        numbers = state.pop(_RNG, None)
        if numbers is not None and (
            not isinstance(numbers, np.ndarray)
            or (numbers.shape, numbers.dtype) != ((2,), np.uint64)
        ):
            raise Fault("is damaged: the state of its random numbers")
    _load({name: (part, state.pop(name)) for name, part in parts.items()})
    if rng and numbers is not None:
        set_rng_state(numbers)
    return state


def _read(source):
    entries, metadata = safetensors.read_header(source)
    if _KEY not in metadata:
        raise Fault("is no checkpoint of save_checkpoint's: use load")
    text = metadata[_KEY]
    if metadata.get(_SUM) != str(zlib.crc32(text.encode(errors="replace"))):
        raise Fault("is damaged: the checksum of the list of its parts is wrong")

    def array(name):
        if name not in entries or name not in sums:
            raise Fault(f"is damaged: its array {name!a:.80} is missing")
        entry = entries[name]
        array = safetensors.read_array(source, entry)
        raw = contents(array, entry.dtype)
        if _checksum(raw, entry.dtype, entry.shape) != sums[name]:
            raise Fault(f"is damaged: the checksum of {name!a:.80} is wrong")
        return array

    try:
        tree = json.loads(text)
        parts, sums = tree["parts"], dict(tree["crc32"])
        return dict(unflatten(parts, array))
    except Fault:
        raise
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Fault("is damaged: the list of its parts") from None


def _load(parts):
    """Load each part; when one refuses, those before it get back what they had."""
    before = []
    try:
        for part, state in parts.values():
            if len(parts) > 1:
                before.append((part, copy.deepcopy(part.state_dict())))
            part.load_state_dict(state)
    except BaseException:
        for part, state in before:
            part.load_state_dict(state)
        raise
