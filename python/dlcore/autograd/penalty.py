"""What keeps a critic's slope near one."""

from .. import ops
from ..random import rand
from ..tensor import Tensor, raw
from .grad import grad


def gradient_penalty(critic, real, fake, center=1.0):
    r"""How far the slope of a critic is from `center`, between real and fake samples.

    Parameters
    ----------
    critic : callable
        Of samples, gives a score for each.
    real, fake : ndarray or Tensor, shape (N, ...)
        Samples of one shape and dtype, float32 or float64. Neither receives a gradient.
    center : float, optional
        The slope that costs nothing: 1 in WGAN-GP.

    Returns
    -------
    Tensor, shape ()
        With a gradient for the parameters of `critic`. WGAN-GP adds 10 times this to
        the critic's loss.

    Raises
    ------
    ValueError
        If the shapes differ or there are no samples.

    See Also
    --------
    dlcore.gan_discriminator_loss

    Notes
    -----
    Gulrajani et al. (2017), at one random point of each line, by `dlcore.rand`:

    .. math:: E_u \left( \| \nabla_{\hat x} D(\hat x) \|_2 - c \right)^2, \quad
        \hat x = u x + (1 - u) \tilde x

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> real, fake = np.ones((5, 2), "float32"), np.zeros((5, 2), "float32")
    >>> steep = np.array([3.0, 4.0], "float32")
    >>> dl.autograd.gradient_penalty(lambda x: x * steep, real, fake)
    tensor(16.)
    """
    real, fake = raw(real), raw(fake)
    if real.shape != fake.shape or real.ndim == 0 or len(real) == 0:
        raise ValueError(
            "gradient_penalty: real and fake must have one shape (N, ...), N > 0, got "
            f"{real.shape} and {fake.shape}"
        )
    share = rand(len(real), *(1,) * (real.ndim - 1), dtype=real.dtype)
    x = Tensor(fake + raw(share) * (real - fake), requires_grad=True)
    (slope,) = grad(ops.sum(critic(x)), x, create_graph=True)
    length = ops.norm(ops.reshape(slope, (len(real), -1)), 2, 1)
    return ops.mean(ops.square(length - center))
