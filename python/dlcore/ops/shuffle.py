"""Channels moved into pixels, pixels into channels, channels among themselves."""

from .. import _C
from ..tensor import raw, record


def pixel_shuffle(input, upscale_factor):
    r"""Channels become pixels: a picture `upscale_factor` times as high and wide.

    Parameters
    ----------
    input : ndarray or Tensor, shape (..., C r^2, H, W)
        float32 or float64.
    upscale_factor : int
        r; its square must divide the channels.

    Returns
    -------
    ndarray or Tensor, shape (..., C, H r, W r)

    Raises
    ------
    ValueError
        If the channels do not divide, or `upscale_factor` is below 1.

    See Also
    --------
    pixel_unshuffle, dlcore.nn.PixelShuffle

    Notes
    -----
    :math:`y[c, r h + i, r w + j] = x[c r^2 + i r + j, h, w]`. W. Shi et al., `Real-Time
    Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network <https://arxiv.org/abs/1609.05158>`_, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    array([[[0., 1.],
            [2., 3.]]])
    """
    y = _C.pixel_shuffle(raw(input), upscale_factor)
    return record(y, (input,), lambda dy: (_C.pixel_unshuffle(dy, upscale_factor),))


def pixel_unshuffle(input, downscale_factor):
    r"""Pixels become channels: the inverse of `pixel_shuffle`.

    Parameters
    ----------
    input : ndarray or Tensor, shape (..., C, H r, W r)
        float32 or float64.
    downscale_factor : int
        r; it must divide height and width.

    Returns
    -------
    ndarray or Tensor, shape (..., C r^2, H, W)

    Raises
    ------
    ValueError
        If height or width do not divide, or `downscale_factor` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2), 2).ravel()
    array([0., 1., 2., 3.])
    """
    y = _C.pixel_unshuffle(raw(input), downscale_factor)
    return record(y, (input,), lambda dy: (_C.pixel_shuffle(dy, downscale_factor),))


def channel_shuffle(input, groups):
    """Deal the channels of each group out over all groups.

    Parameters
    ----------
    input : ndarray or Tensor, shape (N, C, ...)
        float32 or float64, of at least three axes.
    groups : int
        It must divide the channels.

    Returns
    -------
    ndarray or Tensor
        The channels, seen as (groups, C / groups), in the order of (C / groups,
        groups).

    Raises
    ------
    ValueError
        If the channels do not divide, or `groups` is below 1.

    Notes
    -----
    X. Zhang et al., `ShuffleNet <https://arxiv.org/abs/1707.01083>`_, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.channel_shuffle(np.arange(6.0).reshape(1, 6, 1), 2).ravel()
    array([0., 3., 1., 4., 2., 5.])
    """
    x = raw(input)
    y = _C.channel_shuffle(x, groups)
    return record(
        y, (input,), lambda dy: (_C.channel_shuffle(dy, x.shape[1] // groups),)
    )
