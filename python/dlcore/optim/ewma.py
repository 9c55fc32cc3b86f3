"""Exponentially weighted moving averages."""

import numpy as np

from ..tensor import raw


class EWMA:
    r"""The exponentially weighted moving average of what it is shown.

    Parameters
    ----------
    beta : float, optional
        Share of the average that stays with each new value: it covers about
        ``1 / (1 - beta)`` values.
    bias_correction : bool, optional
        Divide by what the weights have added up to: without it the average begins
        near 0.

    Attributes
    ----------
    value : float, ndarray or None
        The average; None before the first value.
    steps : int
        How many values there were.

    Raises
    ------
    TypeError, ValueError
        If `beta` is no number of [0, 1).

    Notes
    -----
    .. math:: W_0 = 0, \qquad W_t = \beta W_{t-1} + (1 - \beta) \theta_t

    and, corrected, :math:`W_t / (1 - \beta^t)`. Computed in float64.

    Examples
    --------
    >>> import dlcore as dl
    >>> plain, corrected = dl.optim.EWMA(0.5), dl.optim.EWMA(0.5, bias_correction=True)
    >>> for value in (4.0, 4.0, 8.0):
    ...     print(plain.update(value), corrected.update(value))
    2.0 4.0
    3.0 4.0
    5.5 6.285714285714286
    """

    def __init__(self, beta=0.9, bias_correction=False):
        try:
            self.beta = float(beta)
        except (TypeError, ValueError):
            raise TypeError(
                f"EWMA: beta must be a number, got {type(beta).__name__}"
            ) from None
        if not 0 <= self.beta < 1:
            raise ValueError(f"EWMA: beta must be of [0, 1), got {beta}")
        self.bias_correction = bool(bias_correction)
        self.steps = 0
        self._sum = None

    def __repr__(self):
        return (
            f"EWMA(beta={self.beta}, bias_correction={self.bias_correction}, "
            f"steps={self.steps}, value={self.value})"
        )

    @property
    def value(self):
        if self._sum is None or not self.bias_correction:
            return self._sum
        return self._sum / (1 - self.beta**self.steps)

    def update(self, value):
        """Take a value in.

        Parameters
        ----------
        value : float, ndarray or Tensor
            A number, or numbers of one shape every time.

        Returns
        -------
        float or ndarray
            The average now, `value`.

        Raises
        ------
        TypeError, ValueError
            If `value` is no number, or of another shape than before.
        """
        new = np.asarray(raw(value))
        if new.dtype.kind not in "fiub":
            raise TypeError(
                f"EWMA: value must be real numbers, got {type(value).__name__}"
            )
        new = new.astype(np.float64)
        if self._sum is not None and np.shape(self._sum) != new.shape:
            raise ValueError(
                f"EWMA: value must have shape {np.shape(self._sum)} as before, "
                f"got {new.shape}"
            )
        before = 0.0 if self._sum is None else self._sum
        now = self.beta * before + (1 - self.beta) * new
        self._sum = float(now) if new.ndim == 0 else now
        self.steps += 1
        return self.value

    def state_dict(self):
        """Where it is, for `load_state_dict`."""
        return {"sum": np.copy(self._sum).tolist(), "steps": self.steps}

    def load_state_dict(self, state_dict):
        """Go on from a snapshot, to the bit."""
        total = state_dict["sum"]
        self._sum = np.array(total) if isinstance(total, list) else total
        self.steps = state_dict["steps"]


def ewma(values, beta=0.9, bias_correction=False):
    """The averages of `EWMA` after each of some values.

    Parameters
    ----------
    values : array_like, shape (n, ...)
        The values, oldest first.
    beta, bias_correction
        See `EWMA`.

    Returns
    -------
    ndarray of float64, shape (n, ...)

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.optim.ewma([4.0, 4.0, 8.0], beta=0.5)
    array([2. , 3. , 5.5])
    """
    average = EWMA(beta, bias_correction)
    rows = [average.update(value) for value in raw(values)]
    return np.array(rows) if rows else np.zeros(np.shape(raw(values)))
