"""The public functions: arrays in, arrays out; Tensors in, Tensors out."""

# ruff: noqa: F401
from .activation import relu

__all__ = [name for name, value in globals().items() if callable(value)]
