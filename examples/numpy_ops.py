"""Ops on NumPy arrays: an edge detector, windows as columns, class scores.

Run: python examples/numpy_ops.py
"""

import numpy as np

import dlcore as dl

# A bright left half beside a dark right half; a kernel that compares left with right.
image = np.repeat(np.array([[10, 10, 10, 0, 0, 0]], "float32"), 6, axis=0)
kernel = np.repeat(np.array([[1, 0, -1]], "float32"), 3, axis=0)
edges = dl.conv2d(image[None, None], kernel[None, None])
print("vertical edges:\n", edges[0, 0])

# The same by hand: every 3x3 window as a column, then a product of matrices.
columns = dl.im2col(image[None, None], kernel_size=3)[0]
print("windows:", columns.shape, "->", dl.matmul(kernel.reshape(-1), columns)[:4])

# Scores to probabilities, in memory of our own.
scores = np.array([[5.0, 2.0, -1.0, 3.0]], "float32")
probabilities = np.empty_like(scores)
dl.softmax(scores, dim=1, out=probabilities)
print("probabilities:", probabilities.round(3))
