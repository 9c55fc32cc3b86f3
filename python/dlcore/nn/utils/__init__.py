"""What belongs to no layer."""

# ruff: noqa: F401
from . import rnn
from .convert_parameters import parameters_to_vector, vector_to_parameters
