"""Bad calls of recurrent layers and their messages."""

import numpy as np
import pytest

import dlcore as dl

BAD = [
    (
        lambda a: dl.lstm(a["x"][0], None, a["p"]),
        ValueError,
        "lstm: x must have 3 axes",
    ),
    (lambda a: dl.lstm(a["x"], a["h"], a["p"]), TypeError, "lstm: hx must be a tuple"),
    (
        lambda a: dl.lstm(a["x"], (a["h"], a["h"][:, :1]), a["p"]),
        ValueError,
        r"lstm: c0 must have shape \(directions, batch, hidden\) = \(1, 2, 2\)",
    ),
    (
        lambda a: dl.lstm(a["x"], (a["h"][[0, 0]], a["h"]), a["p"]),
        ValueError,
        r"lstm: hx must have shape \(layers \* directions, batch, hidden\)",
    ),
    (
        lambda a: dl.lstm(a["x"], None, a["p"][:3]),
        ValueError,
        "lstm: params must be 4 arrays for each of 1",
    ),
    (
        lambda a: dl.lstm(a["x"], None, a["p"], num_layers=0),
        ValueError,
        "lstm: num_layers must be at least 1",
    ),
    (
        lambda a: dl.lstm(a["x"], None, a["p"], dropout=2.0),
        ValueError,
        "lstm: dropout must be from 0 to 1",
    ),
    (
        lambda a: dl.lstm(a["x"][..., :2], None, a["p"]),
        ValueError,
        r"lstm: weight_ih_l0 must have shape \(8, 2\), got weight_ih_l0.shape = \(8, 3",
    ),
    (
        lambda a: dl.lstm(a["x"], None, [a["p"][0], a["p"][1][:7], *a["p"][2:]]),
        ValueError,
        r"lstm: weight_hh_l0 must have 4 \* hidden rows",
    ),
    (
        lambda a: dl.lstm(a["x"], None, [*a["p"][:3], a["p"][3][:1]]),
        ValueError,
        r"lstm: bias_hh_l0 must have shape \(8\)|lstm: bias_hh_l0 must have shape \(8,",
    ),
    (
        lambda a: dl.lstm(a["x"].astype("f"), None, a["p"]),
        TypeError,
        "lstm: x and weight_ih_l0 must have one dtype",
    ),
    (
        lambda a: dl.lstm(a["x"], None, a["p"], lengths=[1]),
        ValueError,
        "lstm: lengths must have one number for each sequence",
    ),
    (
        lambda a: dl.lstm(a["x"], None, a["p"], lengths=[1, 4]),
        ValueError,
        "lstm: lengths must be from 0 to the steps of x, 3, got 1 to 4",
    ),
    (
        lambda a: dl.lstm(a["x"], None, a["p"], lengths=[1.0, 2.0]),
        TypeError,
        "lstm: lengths must be integers",
    ),
    (
        lambda a: dl.gru(a["x"], None, a["p"], convention="keras"),
        ValueError,
        "gru: convention must be 'pytorch', 'cho' or 'chung'",
    ),
    (
        lambda a: dl.lstm_cell(a["x"], None, *a["p"]),
        ValueError,
        r"lstm_cell: x must have shape \(batch, inputs\)",
    ),
    (
        lambda a: dl.lstm_cell(a["x"][0], None, *a["p"][:3]),
        ValueError,
        "lstm_cell: bias_ih and bias_hh must be given together",
    ),
]


@pytest.mark.parametrize("call, kind, message", BAD)
def test_bad_calls(call, kind, message):
    arrays = {
        "x": np.ones((3, 2, 3)),
        "h": np.ones((1, 2, 2)),
        "p": [np.ones((8, 3)), np.ones((8, 2)), np.ones(8), np.ones(8)],
    }
    with pytest.raises(kind, match=message):
        call(arrays)
