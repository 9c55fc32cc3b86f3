"""Images changed a little at random: the label stays, the network sees more variety."""

import math

import numpy as np

from .. import random


def random_affine(images, degrees=0.0, pixels=0.0, zoom=0.0):
    """Turn, enlarge and move each image by amounts of its own, drawn evenly.

    Parameters
    ----------
    images : ndarray of shape (n, channels, height, width)
        float32 or float64.
    degrees : float, optional
        Turn by up to this angle, either way, about the middle.
    pixels : float, optional
        Move by up to this much down or up, and right or left.
    zoom : float, optional
        Enlarge by a factor from ``1 - zoom`` to ``1 + zoom``.

    Returns
    -------
    ndarray
        Shape and dtype of `images`; bilinear, 0 from beyond the edges.

    Raises
    ------
    ValueError
        If `images` has another number of axes, or `zoom` is not below 1.

    Examples
    --------
    >>> import dlcore as dl
    >>> digits = dl.data.digits(20, padding=4).train_images[:2]
    >>> dl.data.random_affine(digits, degrees=10, pixels=2, zoom=0.1).shape
    (2, 1, 28, 28)
    """
    if images.ndim != 4:
        raise ValueError(
            "random_affine: images must be (n, channels, height, width), "
            f"got images.shape = {images.shape}"
        )
    if not 0 <= zoom < 1:
        raise ValueError(f"random_affine: zoom must be from 0 to below 1, got {zoom}")
    n, _, height, width = images.shape
    turn, enlarge, down, right = random.uniform(-1, 1, (4, n, 1, 1), np.float64)
    turn *= math.radians(degrees)
    enlarge = 1 + zoom * enlarge
    along, across = np.cos(turn) / enlarge, np.sin(turn) / enlarge
    y = np.arange(height)[:, None] - (height - 1) / 2
    x = np.arange(width) - (width - 1) / 2
    rows = along * y - across * x + (height - 1) / 2 + pixels * down
    cols = across * y + along * x + (width - 1) / 2 + pixels * right
    return _sampled(images, rows, cols)


def _sampled(images, rows, cols):
    """The images at fractional places (n, height, width), all channels alike."""
    n, channels, height, width = images.shape
    # A frame of zeros, where every place further out is taken to lie.
    flat = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1))).reshape(-1)
    rows = (rows + 1).clip(0, height + 1)[:, None]
    cols = (cols + 1).clip(0, width + 1)[:, None]
    top = np.minimum(rows.astype(np.int64), height)
    left = np.minimum(cols.astype(np.int64), width)
    down, right = (rows - top).astype(images.dtype), (cols - left).astype(images.dtype)
    pitch = width + 2
    plane = np.arange(n * channels).reshape(n, channels, 1, 1) * ((height + 2) * pitch)
    at = plane + top * pitch + left
    above = flat[at] * (1 - right) + flat[at + 1] * right
    below = flat[at + pitch] * (1 - right) + flat[at + pitch + 1] * right
    return above * (1 - down) + below * down
