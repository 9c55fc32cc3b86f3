"""What belongs to no layer."""

# ruff: noqa: F401
from . import rnn
