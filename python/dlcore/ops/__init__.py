"""The public functions: arrays in, arrays out; Tensors in, Tensors out."""

# ruff: noqa: F401
from .activation import relu
from .indexing import cat, chunk, concatenate, pad, split, stack, where
from .shape import (
    clone,
    expand,
    flatten,
    permute,
    reshape,
    squeeze,
    to,
    transpose,
    unsqueeze,
)

from . import methods  # isort: skip

__all__ = [name for name, value in globals().items() if callable(value)]
