"""Every op once more in float64 NumPy, slow and written to be read."""


import numpy as np

# -- gemm --


# -- conv --


# -- pool --


# -- elementwise --


# -- activation --


def relu(x):
    return np.maximum(x, 0.0)


# -- reduction --


# -- softmax --


# -- loss --


# -- dropout --


# -- optim --
