"""Models of the literature, one file per family."""

# ruff: noqa: F401
from .lenet import LeNet5
from .mobilenet import MobileNetV1, MobileNetV2, mobilenet_v1, mobilenet_v2
from .resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152
