"""Data that comes with the wheel, and readers of the user's own files."""

# ruff: noqa: F401
from .digits import digits
from .mnist import mnist
from .split import Split
