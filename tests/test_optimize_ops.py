"""optimize: every public op, written down or refused by name."""

import numpy as np
import pytest
from op_examples import EXAMPLES
from optimize_helpers import Own

import dlcore as dl
from dlcore import ops

RANDOM = "draws random numbers"
SHAPE = "depends on values"
NUMBER = "makes a number of a result"
REFUSED = {
    "dropout": RANDOM,
    "dropout1d": RANDOM,
    "dropout2d": RANDOM,
    "dropout3d": RANDOM,
    "alpha_dropout": RANDOM,
    "feature_alpha_dropout": RANDOM,
    "masked_select": SHAPE,
    "multi_margin_loss": SHAPE,
    "multilabel_margin_loss": SHAPE,
    "rpn_loss": SHAPE,
    "fast_rcnn_loss": SHAPE,
    "yolo_loss": SHAPE,
    "nms": SHAPE,
    "soft_nms": SHAPE,
    "nonzero": SHAPE,
    "allclose": NUMBER,
    "equal": NUMBER,
    "ctc_greedy_decode": NUMBER,
    "ctc_beam_search": NUMBER,
    "linear_cross_entropy": NUMBER,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_op(name):
    example, op = EXAMPLES[name], getattr(ops, name)

    def forward(_, *arrays):
        given = example.positional(arrays)
        return op(*example.first, *given, *example.extra, **example.options)

    arrays = example.arrays()
    want = flat(forward(None, *map(dl.Tensor, arrays)))
    if name in REFUSED:
        with pytest.raises(RuntimeError, match=REFUSED[name]):
            dl.optimize(Own(forward), *arrays)
        return
    fast = dl.optimize(Own(forward), *arrays)
    for _ in range(2):
        got = flat(fast(*arrays))
        assert len(got) == len(want)
        for one, other in zip(got, want):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-6)


def flat(result):
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in flat(part)]
    return [] if result is None else [np.asarray(getattr(result, "data", result))]
