"""MobileNets: networks whose 3x3 convolutions see one channel each.

V1: A. Howard et al., "MobileNets: efficient convolutional neural networks for mobile
vision applications", 2017. V2: M. Sandler et al., "MobileNetV2: inverted residuals and
linear bottlenecks", CVPR 2018; the names of its `state_dict` are those of the published
weights.
"""

from .. import init, nn
from ..ops import flatten


def _round_to_8(channels):
    """The nearest multiple of 8, at least 8 and not below nine tenths."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _layer(inside, outside, kernel_size, stride=1, groups=1, activation=nn.ReLU6):
    """Convolution, normalization, activation."""
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(
            inside, outside, kernel_size, stride, padding, groups=groups, bias=False
        ),
        nn.BatchNorm2d(outside),
        activation(),
    )


class InvertedResidual(nn.Module):
    """1x1 to `expand_ratio` times the channels, 3x3 in each of them, 1x1 back.

    The input is added where its shape is the result's.

    Parameters
    ----------
    inside, outside : int
        Channels of the input and of the result.
    stride : int
        Of the 3x3 convolution.
    expand_ratio : int
        With 1 the first convolution is left out.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> block = dl.models.mobilenet.InvertedResidual(8, 16, 2, 6)
    >>> block(np.zeros((1, 8, 6, 6), "float32")).shape
    (1, 16, 3, 3)
    """

    def __init__(self, inside, outside, stride, expand_ratio):
        self.use_res_connect = stride == 1 and inside == outside
        width = inside * expand_ratio
        layers = [] if expand_ratio == 1 else [_layer(inside, width, 1)]
        layers.append(_layer(width, width, 3, stride, groups=width))
        layers.append(nn.Conv2d(width, outside, 1, bias=False))
        layers.append(nn.BatchNorm2d(outside))
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class _MobileNet(nn.Module):
    def reset_parameters(self):
        """Draw the weights anew: He's rule for the outputs, 0.01 in the last layer."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                init.normal_(module.weight, 0.0, 0.01)
                init.zeros_(module.bias)

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(flatten(x, 1))


class MobileNetV2(_MobileNet):
    """Seventeen inverted residuals; see `mobilenet_v2`.

    Parameters
    ----------
    num_classes : int, optional
        Length of the output.
    width_mult : float, optional
        Times so many channels everywhere.
    dropout : float, optional
        Before the last layer.
    """

    # expand_ratio, channels, blocks, stride of the first
    settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, num_classes=1000, width_mult=1.0, dropout=0.2):
        inside = _round_to_8(32 * width_mult)
        layers = [_layer(3, inside, 3, 2)]
        for expand_ratio, channels, blocks, stride in self.settings:
            outside = _round_to_8(channels * width_mult)
            for i in range(blocks):
                step = stride if i == 0 else 1
                layers.append(InvertedResidual(inside, outside, step, expand_ratio))
                inside = outside
        last = _round_to_8(1280 * max(1.0, width_mult))
        layers.append(_layer(inside, last, 1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(last, num_classes)
        )
        self.reset_parameters()


class MobileNetV1(_MobileNet):
    """Thirteen separable convolutions; see `mobilenet_v1`.

    Parameters
    ----------
    num_classes : int, optional
        Length of the output.
    width_mult : float, optional
        Times so many channels everywhere.
    dropout : float, optional
        Before the last layer.
    """

    # channels, stride
    settings = (
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *((512, 1),) * 5,
        (1024, 2),
        (1024, 1),
    )

    def __init__(self, num_classes=1000, width_mult=1.0, dropout=0.001):
        inside = _round_to_8(32 * width_mult)
        layers = [_layer(3, inside, 3, 2, activation=nn.ReLU)]
        for channels, stride in self.settings:
            outside = _round_to_8(channels * width_mult)
            layers.append(
                nn.Sequential(
                    _layer(inside, inside, 3, stride, inside, nn.ReLU),
                    _layer(inside, outside, 1, activation=nn.ReLU),
                )
            )
            inside = outside
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(inside, num_classes)
        )
        self.reset_parameters()


def mobilenet_v2(num_classes=1000, width_mult=1.0, dropout=0.2):
    """MobileNetV2, 3,504,872 parameters for 1000 classes.

    Parameters
    ----------
    num_classes : int, optional
        Length of the output.
    width_mult : float, optional
        Times so many channels everywhere.
    dropout : float, optional
        Before the last layer.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> model = dl.models.mobilenet_v2(num_classes=10, width_mult=0.25).eval()
    >>> model(np.zeros((1, 3, 64, 64), "float32")).shape
    (1, 10)
    """
    return MobileNetV2(num_classes, width_mult, dropout)


def mobilenet_v1(num_classes=1000, width_mult=1.0, dropout=0.001):
    """MobileNet, 4,231,976 parameters for 1000 classes; see `mobilenet_v2`."""
    return MobileNetV1(num_classes, width_mult, dropout)
