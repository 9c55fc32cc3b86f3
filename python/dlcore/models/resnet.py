"""ResNet: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image
recognition", CVPR 2016. A bottleneck's stride is in its 3x3 convolution, as in the
weights that are published today, whose names are those of `ResNet.state_dict`.
"""

from .. import init, nn
from ..ops import flatten


def _conv(inside, outside, kernel_size, stride=1):
    padding = kernel_size // 2
    return nn.Conv2d(inside, outside, kernel_size, stride, padding, bias=False)


class _Block(nn.Module):
    """What both kinds of block share: the way around, cut to shape where need be."""

    expansion: int

    def __init__(self, inside, width, stride):
        self.downsample = None
        outside = width * self.expansion
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                _conv(inside, outside, 1, stride), nn.BatchNorm2d(outside)
            )

    def forward(self, x):
        around = x if self.downsample is None else self.downsample(x)
        return self.last_norm()(self.residual(x), "relu", around)


class BasicBlock(_Block):
    """Two convolutions of 3x3 and the input, added up.

    Parameters
    ----------
    inside, width : int
        Channels of the input and of the result.
    stride : int, optional
        Of the first convolution.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> block = dl.models.resnet.BasicBlock(8, 16, stride=2)
    >>> block(np.zeros((1, 8, 6, 6), "float32")).shape
    (1, 16, 3, 3)
    """

    expansion = 1

    def __init__(self, inside, width, stride=1):
        self.conv1 = _conv(inside, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        super().__init__(inside, width, stride)

    def residual(self, x):
        return self.conv2(self.bn1(self.conv1(x), "relu"))

    def last_norm(self):
        """The normalization whose weight scales the residual."""
        return self.bn2


class Bottleneck(_Block):
    """1x1 to `width` channels, 3x3, 1x1 to four times as many, and the input.

    Parameters
    ----------
    inside, width : int
        Channels of the input and of the 3x3 convolution.
    stride : int, optional
        Of the 3x3 convolution.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> block = dl.models.resnet.Bottleneck(8, 4, stride=2)
    >>> block(np.zeros((1, 8, 6, 6), "float32")).shape
    (1, 16, 3, 3)
    """

    expansion = 4

    def __init__(self, inside, width, stride=1):
        self.conv1 = _conv(inside, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        super().__init__(inside, width, stride)

    def residual(self, x):
        x = self.bn1(self.conv1(x), "relu")
        x = self.bn2(self.conv2(x), "relu")
        return self.conv3(x)

    def last_norm(self):
        """The normalization whose weight scales the residual."""
        return self.bn3


class ResNet(nn.Module):
    """Four stages of residual blocks; see `resnet18` and its sisters.

    Parameters
    ----------
    block : {BasicBlock, Bottleneck}
        What the stages are made of.
    layers : sequence of 4 int
        Blocks of each stage.
    num_classes : int, optional
        Length of the output.
    small_images : bool, optional
        For 32x32 pictures (CIFAR): the first convolution is 3x3 with stride 1 and no
        pooling follows it.
    zero_init_residual : bool, optional
        Let every block start as the identity: the last weight of its normalization
        is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> model = dl.models.resnet18(num_classes=10, small_images=True).eval()
    >>> model(np.zeros((2, 3, 32, 32), "float32")).shape
    (2, 10)
    """

    def __init__(
        self,
        block,
        layers,
        num_classes=1000,
        small_images=False,
        zero_init_residual=False,
    ):
        self.conv1 = _conv(3, 64, 3) if small_images else _conv(3, 64, 7, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, 2, 1)
        inside = 64
        for stage, blocks in enumerate(layers):
            width, stride = 64 << stage, 1 if stage == 0 else 2
            made = [block(inside, width, stride)]
            inside = width * block.expansion
            made += [block(inside, width) for _ in range(blocks - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inside, num_classes)
        self.reset_parameters(zero_init_residual)

    def reset_parameters(self, zero_init_residual=False):
        """Draw the convolutions' weights anew, by He's rule for the outputs."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, _Block) and zero_init_residual:
                init.zeros_(module.last_norm().weight)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x), "relu"))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(flatten(self.avgpool(x), 1))


def resnet18(num_classes=1000, small_images=False, zero_init_residual=False):
    """18 layers, 11,689,512 parameters for 1000 classes.

    Parameters
    ----------
    num_classes : int, optional
        Length of the output.
    small_images : bool, optional
        For 32x32 pictures; see `ResNet`.
    zero_init_residual : bool, optional
        Let every block start as the identity.
    """
    options = num_classes, small_images, zero_init_residual
    return ResNet(BasicBlock, (2, 2, 2, 2), *options)


def resnet34(num_classes=1000, small_images=False, zero_init_residual=False):
    """34 layers, 21,797,672 parameters for 1000 classes; see `resnet18`."""
    options = num_classes, small_images, zero_init_residual
    return ResNet(BasicBlock, (3, 4, 6, 3), *options)


def resnet50(num_classes=1000, small_images=False, zero_init_residual=False):
    """50 layers, 25,557,032 parameters for 1000 classes; see `resnet18`."""
    options = num_classes, small_images, zero_init_residual
    return ResNet(Bottleneck, (3, 4, 6, 3), *options)


def resnet101(num_classes=1000, small_images=False, zero_init_residual=False):
    """101 layers, 44,549,160 parameters for 1000 classes; see `resnet18`."""
    options = num_classes, small_images, zero_init_residual
    return ResNet(Bottleneck, (3, 4, 23, 3), *options)


def resnet152(num_classes=1000, small_images=False, zero_init_residual=False):
    """152 layers, 60,192,808 parameters for 1000 classes; see `resnet18`."""
    options = num_classes, small_images, zero_init_residual
    return ResNet(Bottleneck, (3, 8, 36, 3), *options)
