"""Optimizers."""

from math import prod

from .case import F32, Case


def resnet50_parameters():
    """The 161 shapes of ResNet-50's parameters, 25.6 million values."""
    shapes = [(64, 3, 7, 7), (64,), (64,)]
    inside = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            convs = [
                (width, inside, 1, 1),
                (width, width, 3, 3),
                (4 * width, width, 1, 1),
            ]
            if block == 0:
                convs.append((4 * width, inside, 1, 1))
            inside = 4 * width
            for conv in convs:
                shapes += [conv, (conv[0],), (conv[0],)]
    return [*shapes, (1000, 2048), (1000,)]


def optimizers():
    n = F32 * sum(prod(shape) for shape in resnet50_parameters())
    for op, reads, writes, why in (
        ("sgd", 3, 2, "PyTorch's fused step"),
        ("adam", 4, 3, "PyTorch's fused step"),
        ("adagrad", 3, 2, "PyTorch's fused step"),
        ("rmsprop", 3, 2, "for which PyTorch has no fused step"),
    ):
        yield Case(
            "optim",
            "optim",
            op,
            f"{op} 25.6M/161 tensors",
            f"ResNet-50's parameters, large and tiny; {why}",
            "step",
            reads=reads * n,
            writes=writes * n,
        )
