"""1,797 real handwritten digits, shipped with the wheel.

They are the test part of "Optical Recognition of Handwritten Digits", E. Alpaydin and
C. Kaynak, UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49,
licence CC BY 4.0, as scikit-learn distributes them (``sklearn.datasets.load_digits``).
``digits.npz`` holds the same numbers as bytes: images of 8x8 from 0 to 16, labels.
"""

from pathlib import Path

import numpy as np

from .split import Split

_HOLD_OUT_EVERY = 5  # 359 of 1,797; the order interleaves the classes and the writers


def digits(size=8, padding=0):
    """Load the digits; every fifth is held out.

    Parameters
    ----------
    size : int, optional
        Enlarge the 8x8 images to this many pixels a side, bilinearly.
    padding : int, optional
        Then add so many empty pixels at each side. MNIST's proportions are
        ``digits(20, 4)``: 28x28.

    Returns
    -------
    Split
        ``train_images`` of shape (1438, 1, side, side), ``train_labels``,
        ``test_images`` of shape (359, 1, side, side), ``test_labels``.

    Raises
    ------
    ValueError
        If `size` is below 8 or `padding` negative.

    Examples
    --------
    >>> import dlcore as dl
    >>> split = dl.data.digits()
    >>> split.train_images.shape, split.test_labels[:5]
    ((1438, 1, 8, 8), array([4, 9, 4, 9, 4]))
    """
    if size < 8 or padding < 0:
        raise ValueError(
            "digits: size must be at least 8 and padding at least 0, "
            f"got {size} and {padding}"
        )
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        images, labels = file["images"], file["labels"]
    images = images.astype(np.float32) / 16
    if size != 8:
        weights = _interpolation(8, size)
        images = weights @ images @ weights.T
    images = np.pad(images, ((0, 0), (padding, padding), (padding, padding)))[:, None]
    labels = labels.astype(np.int64)
    held_out = np.arange(len(labels)) % _HOLD_OUT_EVERY == _HOLD_OUT_EVERY - 1
    return Split(
        images[~held_out], labels[~held_out], images[held_out], labels[held_out]
    )


def _interpolation(n, size):
    """The matrix that samples n pixels at `size` centres between them."""
    at = ((np.arange(size) + 0.5) * n / size - 0.5).clip(0, n - 1)
    left = np.minimum(at.astype(int), n - 2)
    weights = np.zeros((size, n), np.float32)
    rows = np.arange(size)
    weights[rows, left] = 1 - (at - left)
    weights[rows, left + 1] = at - left
    return weights
