"""A data set cut into a part to learn from and a part held out."""

from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Images as float32 in [0, 1], shape (n, 1, height, width), with int64 labels."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
