"""Steps as one call of a kernel: linear layers of one input, a sum and its norm."""

from dataclasses import replace

import numpy as np

from .plan import Slot, Step, View, like, like_dict, slots_of

_STRIDED = {"scaled_dot_product_attention_forward", "matmul"}  # read views in place
_NORMS = {"layer_norm_forward": 5, "rms_norm_forward": 4}  # arguments without residual
_L2 = 1 << 20  # bytes of weights that stay there from call to call


def add_and_norm(steps, uses):
    """Give the normalization of a sum of two results the sum to do."""
    sums = {s.result: i for i, s in enumerate(steps) if s.name == "add"}
    for j, norm in enumerate(steps):
        given = _NORMS.get(norm.name)
        x = norm.arguments[0]
        i = sums.get(x) if type(x) is Slot else None
        if given is None or i is None or len(norm.arguments) > given:
            continue
        a, b, *_ = steps[i].arguments
        alike = all(getattr(v, "shape", None) == x.shape for v in (a, b))
        if not alike or slots_of(norm.arguments[1:]):
            continue
        *others, _ = norm.result
        arguments = (a, *norm.arguments[1:], b)
        parts = steps[i].parts + norm.parts
        # Where the sum stood, which others may read before.
        steps[i] = Step(
            norm.name, arguments, (*others, x if uses[x] > 1 else None), parts
        )
        steps[j] = None
        del sums[x]
    return [step for step in steps if step is not None]


def columns(step, folded):
    """A linear layer of several rows whose weights lie as its product reads them.

    5 to 28 rows read them where they lie then, up to 1.9 times as fast; with more it
    spares a tenth, with fewer it would cost some. Weights that come from memory each
    time gain nothing.
    """
    if step.name != "linear_forward":
        return step
    x, weight, *others = step.arguments
    if not isinstance(weight, np.ndarray) or weight.nbytes > _L2:
        return step
    if not weight.flags.c_contiguous or np.prod(x.shape[:-1]) < 5:
        return step
    key = "columns", *_place(weight)
    if key not in folded:
        folded[key] = np.ascontiguousarray(weight.T).T, weight
    return replace(step, arguments=(x, folded[key][0], *others))


def linears(steps, output, folded):
    """Linear layers of one input as one product; returns steps and output."""
    groups: dict = {}
    for i, step in enumerate(steps):
        if step.name == "linear_forward" and _plain(step):
            groups.setdefault((step.arguments[0], *step.arguments[5:]), []).append(i)
    for (x, *rest), group in groups.items():
        if len(group) < 2 or len({steps[i].arguments[2] is None for i in group}) > 1:
            continue
        packed, places = _together(x, [steps[i].result[0] for i in group])
        if not _all_read(steps, output, places):
            continue
        weights, bias = (
            _joined([steps[i].arguments[k] for i in group], folded) for k in (1, 2)
        )
        parts = tuple(part for i in group for part in steps[i].parts)
        arguments = x, weights, bias, None, None, *rest
        first, *others = group
        steps[first] = Step("linear_forward", arguments, (packed, None), parts)
        for i in others:
            steps[i] = Step("", (), None, ())
        steps = [
            replace(s, arguments=_moved(s.arguments, places, packed)) for s in steps
        ]
        output = _moved(output, places, packed)
    return [step for step in steps if step.name != ""], output


def _plain(step):
    _, weight, bias, residual, activation, *_ = step.arguments
    constant = not isinstance(weight, Slot | View) and not isinstance(bias, Slot | View)
    return constant and residual is None and activation in (None, "none")


def _together(x, results):
    """The slot of all results side by side, and where each begins, in bytes."""
    item = results[0].dtype.itemsize
    widths = [y.shape[-1] for y in results]
    places = dict(zip(results, (item * np.cumsum([0, *widths])).tolist()))
    return Slot((*x.shape[:-1], sum(widths)), results[0].dtype), places


def _all_read(steps, output, places):
    """Whether all who read the results can read them side by side."""
    if places.keys() & set(slots_of(output)):
        return False
    for step in steps:
        if not places.keys() & set(step.reads()):
            continue
        if isinstance(step.name, str) and step.name not in _STRIDED:
            return False
        if _moved(step.arguments, places, Slot((0, 0), np.dtype("f"))) is None:
            return False
    return True


def _joined(arrays, folded):
    if arrays[0] is None:
        return None
    key = "joined", *(place for array in arrays for place in _place(array))
    if key not in folded:
        folded[key] = np.concatenate(arrays), arrays
    return folded[key][0]


def _place(array):
    return array.ctypes.data, array.shape, array.strides


def _moved(plan, places, packed):
    """The plan with views of `packed`; None where one cannot be."""
    if isinstance(plan, Slot):
        if plan not in places:
            return plan
        strides = [plan.dtype.itemsize]
        for n in plan.shape[:0:-1]:
            strides.insert(0, strides[0] * n)
        whole = View(plan, plan.shape, tuple(strides), 0, plan.dtype)
        return _view(whole, places, packed)
    if isinstance(plan, View):
        return _view(plan, places, packed) if plan.slot in places else plan
    if isinstance(plan, (tuple, list)):
        parts = [_moved(part, places, packed) for part in plan]
        lost = any(made is None is not part for made, part in zip(parts, plan))
        return None if lost else like(plan, parts)
    if isinstance(plan, dict):
        return like_dict(plan, [_moved(p, places, packed) for p in plan.values()])
    return plan


def _view(view, places, packed):
    """The same view of rows that lie further apart, or None."""
    item = view.dtype.itemsize
    row, wide = view.slot.shape[-1] * item, packed.shape[-1] * item
    first, column = divmod(view.offset, row)
    strides, end = [], column + item
    for n, stride in zip(view.shape, view.strides):
        if stride % row == 0 or n == 1:
            strides.append(stride // row * wide)
        elif 0 < stride < row:
            end += (n - 1) * stride
            strides.append(stride)
        else:
            return None
    if end > row or view.dtype != view.slot.dtype:
        return None
    offset = first * wide + places[view.slot] + column
    return View(packed, view.shape, tuple(strides), offset, view.dtype)
