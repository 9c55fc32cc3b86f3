"""Recurrent layers over whole sequences, and their cells: see csrc/cpu/rnn.cpp."""

from .rnn_layers import Form, cell, gru_mode, pair


def lstm(
    x,
    hx,
    params,
    has_biases=True,
    num_layers=1,
    dropout=0.0,
    train=False,
    bidirectional=False,
    batch_first=False,
    lengths=None,
    peephole=False,
):
    """Long short-term memory over whole sequences, `torch.lstm` with defaults.

    Parameters
    ----------
    x : ndarray or Tensor, shape (steps, batch, inputs)
        float32 or float64; (batch, steps, inputs) with `batch_first`.
    hx : tuple of two, or None
        First h, shape (layers * directions, batch, outputs), and c, (layers *
        directions, batch, hidden). None stands for zeros.
    params : list of ndarray or Tensor
        For each layer, and in it each direction: w_ih (4 * hidden, inputs), w_hh
        (4 * hidden, outputs), with biases b_ih and b_hh (4 * hidden), for a projection
        w_hr (outputs, hidden), with peepholes p (3 * hidden). Gates are in the order i,
        f, g, o, peepholes i, f, o. Layers after the first take the outputs of all
        directions.
    has_biases : bool, optional
        Whether `params` hold biases.
    num_layers : int, optional
    dropout : float, optional
        Probability of dropping an output of a layer but the last, in training.
    train : bool, optional
        Whether this is training.
    bidirectional : bool, optional
        Whether a second direction reads each sequence from its end.
    batch_first : bool, optional
        Whether the batch is the first axis of `x` and of the output.
    lengths : array_like of int, shape (batch,), optional
        How many steps each sequence has, in any order, 0 included. What `x` holds after
        them is not read, not even NaN; the output there is 0.
    peephole : bool, optional
        Whether `params` hold peepholes.

    Returns
    -------
    output : ndarray or Tensor, shape (steps, batch, directions * outputs)
        h of the last layer at every step.
    h_n, c_n : ndarray or Tensor
        h and c after the last step of each sequence, of the shapes of `hx`; of a
        sequence without steps, those of `hx`.

    Raises
    ------
    ValueError
        If a shape, a length or the number of `params` does not fit.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    See Also
    --------
    lstm_cell, gru, dlcore.nn.LSTM

    Notes
    -----
    With s the logistic sigmoid and * elementwise,

    ``i, f = s(W x + b + V h + b' + p * c)``, ``g = tanh(W x + b + V h + b')``,
    ``c = f * c + i * g``, ``o = s(W x + b + V h + b' + p * c)`` with the new c,
    ``h = o * tanh(c)``, or ``w_hr @ (o * tanh(c))``, each gate with rows of its own
    (Hochreiter and Schmidhuber 1997; Gers et al. 2000; Sak et al. 2014). NaN in a
    sequence goes on to all its later outputs and to no other sequence. Backward keeps
    the gates and c. For truncated backpropagation pass on ``h.detach()`` and
    ``c.detach()``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.ones((2, 1, 3))
    >>> params = [np.zeros((4, 3)), np.zeros((4, 1)), np.ones(4), np.zeros(4)]
    >>> output, h, c = dl.lstm(x, None, params)
    >>> output.round(3).ravel(), c.round(3).ravel()
    (array([0.37 , 0.545]), array([0.964]))
    """
    states = pair("lstm", hx)
    form = Form("lstm", "lstm", has_biases, num_layers, bidirectional, peephole)
    return form.run(x, *states, params, dropout, train, batch_first, lengths)


def gru(
    x,
    hx,
    params,
    has_biases=True,
    num_layers=1,
    dropout=0.0,
    train=False,
    bidirectional=False,
    batch_first=False,
    lengths=None,
    convention="pytorch",
):
    """Gated recurrent units over whole sequences, `torch.gru` with defaults.

    Parameters
    ----------
    x : ndarray or Tensor, shape (steps, batch, inputs)
        float32 or float64; (batch, steps, inputs) with `batch_first`.
    hx : ndarray or Tensor, shape (layers * directions, batch, hidden), or None
        First h; None stands for zeros.
    params : list of ndarray or Tensor
        For each layer, and in it each direction: w_ih (3 * hidden, inputs), w_hh
        (3 * hidden, hidden), with biases b_ih and b_hh (3 * hidden). Gates are in the
        order r, z, n.
    has_biases, num_layers, dropout, train, bidirectional, batch_first, lengths
        As for `lstm`.
    convention : str, optional
        "pytorch", "cho" or "chung": see Notes.

    Returns
    -------
    output : ndarray or Tensor, shape (steps, batch, directions * hidden)
    h_n : ndarray or Tensor, shape (layers * directions, batch, hidden)

    Raises
    ------
    ValueError
        If a shape, a length or the number of `params` does not fit.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    See Also
    --------
    gru_cell, lstm, dlcore.nn.GRU

    Notes
    -----
    ``r, z = s(W x + b + V h + b')``; then

    - "pytorch": ``n = tanh(W x + b + r * (V h + b'))``, ``h = (1 - z) * n + z * h``
    - "cho" (Cho et al. 2014; ONNX's and Keras' default): ``n = tanh(W x + b + V (r * h)
      + b')``, ``h = (1 - z) * n + z * h``
    - "chung" (Chung et al. 2014): the same n, ``h = z * n + (1 - z) * h``

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.ones((2, 1, 3))
    >>> params = [np.zeros((3, 3)), np.zeros((3, 1)), np.ones(3), np.zeros(3)]
    >>> output, h = dl.gru(x, None, params)
    >>> output.round(3).ravel()
    array([0.205, 0.355])
    """
    mode = gru_mode("gru", convention)
    form = Form("gru", mode, has_biases, num_layers, bidirectional, False)
    args = dropout, train, batch_first, lengths
    return form.run(x, hx, None, params, *args)[:2]


def rnn_tanh(
    x,
    hx,
    params,
    has_biases=True,
    num_layers=1,
    dropout=0.0,
    train=False,
    bidirectional=False,
    batch_first=False,
    lengths=None,
):
    """Elman's network, ``h = tanh(W x + b + V h + b')``, over whole sequences.

    Parameters
    ----------
    x : ndarray or Tensor, shape (steps, batch, inputs)
        float32 or float64; (batch, steps, inputs) with `batch_first`.
    hx : ndarray or Tensor, shape (layers * directions, batch, hidden), or None
        First h; None stands for zeros.
    params : list of ndarray or Tensor
        For each layer, and in it each direction: w_ih (hidden, inputs), w_hh (hidden,
        hidden), with biases b_ih and b_hh (hidden).
    has_biases, num_layers, dropout, train, bidirectional, batch_first, lengths
        As for `lstm`.

    Returns
    -------
    output : ndarray or Tensor, shape (steps, batch, directions * hidden)
    h_n : ndarray or Tensor, shape (layers * directions, batch, hidden)

    Raises
    ------
    ValueError
        If a shape, a length or the number of `params` does not fit.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> one = np.ones((1, 1))
    >>> dl.rnn_tanh(np.ones((2, 1, 1)), None, [one, one], has_biases=False)[0].ravel()
    array([0.76159416, 0.94268079])
    """
    form = Form("rnn_tanh", "rnn_tanh", has_biases, num_layers, bidirectional, False)
    args = dropout, train, batch_first, lengths
    return form.run(x, hx, None, params, *args)[:2]


def rnn_relu(
    x,
    hx,
    params,
    has_biases=True,
    num_layers=1,
    dropout=0.0,
    train=False,
    bidirectional=False,
    batch_first=False,
    lengths=None,
):
    """Elman's network with ``h = max(W x + b + V h + b', 0)``; see `rnn_tanh`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> one = np.ones((1, 1))
    >>> dl.rnn_relu(np.ones((2, 1, 1)), None, [one, one], has_biases=False)[0].ravel()
    array([1., 2.])
    """
    form = Form("rnn_relu", "rnn_relu", has_biases, num_layers, bidirectional, False)
    args = dropout, train, batch_first, lengths
    return form.run(x, hx, None, params, *args)[:2]


def lstm_cell(x, hx, w_ih, w_hh, b_ih=None, b_hh=None, peephole=None):
    """One step of `lstm`.

    Parameters
    ----------
    x : ndarray or Tensor, shape (batch, inputs)
    hx : tuple of two, or None
        h and c, shape (batch, hidden) each; None stands for zeros.
    w_ih, w_hh : ndarray or Tensor, shape (4 * hidden, inputs) and (4 * hidden, hidden)
    b_ih, b_hh : ndarray or Tensor, shape (4 * hidden,), optional
        Both or neither.
    peephole : ndarray or Tensor, shape (3 * hidden,), optional

    Returns
    -------
    h, c : ndarray or Tensor, shape (batch, hidden)

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> h, c = dl.lstm_cell(np.ones((1, 3)), None, np.ones((8, 3)), np.ones((8, 2)))
    >>> h.round(3)
    array([[0.704, 0.704]])
    """
    h, c = pair("lstm_cell", hx)
    weights = w_ih, w_hh, b_ih, b_hh, None, peephole
    return cell("lstm_cell", "lstm", x, h, c, weights)


def gru_cell(x, hx, w_ih, w_hh, b_ih=None, b_hh=None, convention="pytorch"):
    """One step of `gru`.

    Parameters
    ----------
    x : ndarray or Tensor, shape (batch, inputs)
    hx : ndarray or Tensor, shape (batch, hidden), or None
        None stands for zeros.
    w_ih, w_hh : ndarray or Tensor, shape (3 * hidden, inputs) and (3 * hidden, hidden)
    b_ih, b_hh : ndarray or Tensor, shape (3 * hidden,), optional
        Both or neither.
    convention : str, optional
        See `gru`.

    Returns
    -------
    ndarray or Tensor, shape (batch, hidden)

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.gru_cell(np.ones((1, 3)), None, np.zeros((6, 3)), np.zeros((6, 2)))
    array([[0., 0.]])
    """
    mode = gru_mode("gru_cell", convention)
    weights = w_ih, w_hh, b_ih, b_hh, None, None
    return cell("gru_cell", mode, x, hx, None, weights)[0]


def rnn_tanh_cell(x, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of `rnn_tanh`.

    Parameters
    ----------
    x : ndarray or Tensor, shape (batch, inputs)
    hx : ndarray or Tensor, shape (batch, hidden), or None
        None stands for zeros.
    w_ih, w_hh : ndarray or Tensor, shape (hidden, inputs) and (hidden, hidden)
    b_ih, b_hh : ndarray or Tensor, shape (hidden,), optional
        Both or neither.

    Returns
    -------
    ndarray or Tensor, shape (batch, hidden)

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.rnn_tanh_cell(np.ones((1, 3)), None, np.ones((1, 3)), np.ones((1, 1)))
    array([[0.99505475]])
    """
    weights = w_ih, w_hh, b_ih, b_hh, None, None
    return cell("rnn_tanh_cell", "rnn_tanh", x, hx, None, weights)[0]


def rnn_relu_cell(x, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of `rnn_relu`; see `rnn_tanh_cell`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.rnn_relu_cell(np.ones((1, 3)), None, np.ones((1, 3)), np.ones((1, 1)))
    array([[3.]])
    """
    weights = w_ih, w_hh, b_ih, b_hh, None, None
    return cell("rnn_relu_cell", "rnn_relu", x, hx, None, weights)[0]
