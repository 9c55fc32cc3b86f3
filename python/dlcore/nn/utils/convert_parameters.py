"""All parameters as one vector, and back."""

from ...ops import cat, reshape
from ...tensor import Tensor, changed, raw


def parameters_to_vector(parameters):
    """The parameters one after the other, in C order.

    Parameters
    ----------
    parameters : iterable of Tensor
        Of one dtype.

    Returns
    -------
    Tensor, shape (n,)
        With a gradient to each of them.

    Examples
    --------
    >>> import dlcore as dl
    >>> from dlcore.nn.utils import parameters_to_vector
    >>> parameters_to_vector(dl.nn.Linear(3, 2).parameters()).shape
    (8,)
    """
    return cat([reshape(parameter, -1) for parameter in parameters])


def vector_to_parameters(vec, parameters):
    """Copy a vector into the parameters, the way back of `parameters_to_vector`.

    Parameters
    ----------
    vec : Tensor or ndarray, shape (n,)
        As many numbers as the parameters have together.
    parameters : iterable of Tensor
        What to write.

    Raises
    ------
    TypeError
        If `vec` is no array.
    ValueError
        If it has another length; then nothing was written.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.Linear(1, 1)
    >>> vector = np.array([2.0, 3.0], "float32")
    >>> dl.nn.utils.vector_to_parameters(vector, layer.parameters())
    >>> layer(np.ones((1, 1), "float32")).item()
    5.0
    """
    parameters = list(parameters)
    values = Tensor(vec).data
    n = sum(parameter.numel() for parameter in parameters)
    if values.shape != (n,):
        raise ValueError(
            f"vector_to_parameters: vec must have shape ({n},), got {values.shape}"
        )
    at = 0
    for parameter in parameters:
        array = raw(parameter)
        array[...] = values[at : at + array.size].reshape(array.shape)
        at += array.size
    changed(parameters)
