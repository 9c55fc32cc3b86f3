"""Models of the literature, one file per family."""

# ruff: noqa: F401
from .lenet import LeNet5
