"""LeNet-5: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied
to document recognition", Proceedings of the IEEE 86, 1998.
"""

from .. import nn
from ..ops import flatten, linear, max_pool2d, relu


class LeNet5(nn.Module):
    """Two convolutions of 5x5 and three full layers, for images of 28x28.

    The published layout as it is built today: every filter of the second layer sees
    all six maps, max-pooling and ReLU in place of scaled means and tanh, class scores
    in place of radial basis functions. 61,706 parameters for ten classes.

    Parameters
    ----------
    num_classes : int, optional
        Length of the output.
    in_channels : int, optional
        1 for grey images.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.models.LeNet5()(np.zeros((2, 1, 28, 28), "float32")).shape
    (2, 10)
    """

    def __init__(self, num_classes=10, in_channels=1):
        self.conv1 = nn.Conv2d(in_channels, 6, 5, padding=2)  # 28x28, pooled to 14x14
        self.conv2 = nn.Conv2d(6, 16, 5)  # 10x10, pooled to 5x5
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x):
        x = relu(max_pool2d(self.conv1(x), 2))
        x = relu(max_pool2d(self.conv2(x), 2))
        x = flatten(x, 1)
        x = linear(x, self.fc1.weight, self.fc1.bias, activation="relu")
        x = linear(x, self.fc2.weight, self.fc2.bias, activation="relu")
        return self.fc3(x)
