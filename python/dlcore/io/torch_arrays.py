"""Arrays of a PyTorch that runs in this process, and back."""

import sys
from collections.abc import Mapping

import numpy as np

from ..tensor import Tensor
from .dtypes import little
from .files import Fault


def from_torch(module_or_state_dict):
    """The weights of a PyTorch module as arrays by name.

    Parameters
    ----------
    module_or_state_dict : torch.nn.Module or mapping of str to torch.Tensor

    Returns
    -------
    dict of str to ndarray
        For `Module.load_state_dict`. Arrays share the memory of dense tensors on the
        CPU. Bfloat16 is that of ml_dtypes.

    Raises
    ------
    TypeError
        If a value is no tensor.

    Examples
    --------
    ``model.load_state_dict(dl.io.from_torch(torch_model))``; of a dict of arrays it
    makes a dict of the same arrays:

    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.io.from_torch({"weight": np.ones(2)})
    {'weight': array([1., 1.])}
    """
    state = module_or_state_dict
    if hasattr(state, "state_dict"):
        state = state.state_dict()
    if not isinstance(state, Mapping):
        raise TypeError(
            "from_torch: module_or_state_dict must be a module or a mapping of "
            f"names to tensors, got {type(state).__name__}"
        )
    return {name: _array(name, value) for name, value in state.items()}


def _array(name, value):
    if isinstance(value, np.ndarray):
        return value
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        raise TypeError(
            f"from_torch: {name} must be a tensor, got {type(value).__name__}"
        )
    value = value.detach().cpu().resolve_conj().resolve_neg()
    if value.layout is not torch.strided:
        value = value.to_dense()
    kind = str(value.dtype).removeprefix("torch.")
    try:
        return value.numpy()
    except TypeError:  # what NumPy lacks passes as integers of its size
        pass
    try:
        dtype = little(kind)
    except (Fault, TypeError) as error:
        raise TypeError(f"from_torch: {name} {error}") from None
    integers = {1: torch.uint8, 2: torch.int16}[dtype.itemsize]
    return value.view(integers).numpy().view(dtype)


def to_torch(state_dict):
    """Tensors of PyTorch that share the memory of arrays, by name.

    Parameters
    ----------
    state_dict : mapping of str to ndarray
        Such as ``model.state_dict()``. What PyTorch cannot share is copied: a
        read-only array, one that runs backwards.

    Returns
    -------
    dict of str to torch.Tensor
        For the ``load_state_dict`` of a PyTorch module.

    Raises
    ------
    ModuleNotFoundError
        If PyTorch is not installed.
    """
    import torch

    def tensor(array):
        array = array.data if isinstance(array, Tensor) else np.asarray(array)
        if not array.flags.writeable or min(array.strides, default=0) < 0:
            array = array.copy()
        if array.dtype.kind != "V":
            return torch.from_numpy(array)
        integers = {1: np.uint8, 2: np.int16}[array.dtype.itemsize]
        kind = getattr(torch, array.dtype.name)
        return torch.from_numpy(array.view(integers)).view(kind)

    return {name: tensor(value) for name, value in state_dict.items()}
