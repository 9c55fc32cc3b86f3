"""Data of the wheel, readers of the user's own files, variations for training."""

# ruff: noqa: F401
from .augment import random_affine
from .digits import digits
from .mnist import mnist
from .split import Split
