"""The calls that a normalization with a residual and an activation stands for."""

from .plan import Slot, Step


def split(step):
    """The same in steps of one part each, which `fuse` gives to the layer before."""
    if step.name != "batch_norm_forward":
        return [step]
    *plain, residual, activation = step.arguments
    y, *statistics = step.result
    after = []  # kernel and what it is given beside the result so far
    if residual is not None:
        after.append(("add", (residual, None)))
    if activation not in (None, "none"):
        after.append((f"{activation}_forward", (None,)))
    training = plain[5]
    if training or not after:
        return [step]
    made = [*(Slot(y.shape, y.dtype) for _ in after), y]
    first = (*plain, None, None), (made[0], *statistics)
    steps = [Step(step.name, *first, step.parts)]
    for (kernel, others), x, result in zip(after, made, made[1:], strict=False):
        part = (kernel.removesuffix("_forward"),)
        steps.append(Step(kernel, (x, *others), result, part))
    return steps
