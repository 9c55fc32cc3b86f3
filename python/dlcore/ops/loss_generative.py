"""Losses of pictures that are made: style, content, autoencoders, adversaries."""

from math import prod

import numpy as np

from .arithmetic import add, div, mul, sub
from .elementwise import exp, neg, square
from .gemm import bmm
from .loss_binary import binary_cross_entropy, binary_cross_entropy_with_logits
from .loss_element import alike, floats, real, reduced
from .loss_regression import half_mse_loss
from .reduction import mean, sum
from .shape import as_array, clone, flatten, one_line, transpose


def gram_matrix(x):
    r"""How much channels go together: the sums of their products over all places.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, ...)
        Features, float32 or float64.

    Returns
    -------
    ndarray or Tensor, shape (N, C, C)

    Raises
    ------
    ValueError
        If `x` has fewer than three axes.

    See Also
    --------
    style_loss

    Notes
    -----
    .. math:: G_{kl} = \sum_i a_{ki} a_{li}

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.gram_matrix(np.array([[[1.0, 2.0], [0.0, 3.0]]]))
    array([[[5., 6.],
            [6., 9.]]])
    """
    return _gram("gram_matrix", "x", x)


def style_loss(input, target, reduction="mean"):
    r"""How far the Gram matrices of two pictures' features are from each other.

    Parameters
    ----------
    input : ndarray or Tensor, shape (N, C, ...)
        Features of the generated pictures, float32 or float64.
    target : ndarray or Tensor, shape (N, C, ...) or (1, C, ...)
        Those of the pictures whose style is wanted, which may have another size.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the pictures' losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or (N,) for ``'none'``.

    Raises
    ------
    ValueError
        If the shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    gram_matrix, content_loss

    Notes
    -----
    With M places of each of C channels (each picture's own):

    .. math::
        \frac{1}{4} \sum_{kl} \left(\frac{G_{kl}}{C M} - \frac{A_{kl}}{C M'}\right)^2

    L. Gatys et al., `A Neural Algorithm of Artistic Style
    <https://arxiv.org/abs/1508.06576>`_, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.style_loss(np.ones((1, 2, 3)), np.zeros((1, 2, 5))).item()
    0.25
    """
    op = "style_loss"
    floats(op, ("input", "target"), input, target)
    pair = [_gram(op, n, x) for n, x in (("input", input), ("target", target))]
    for i, x in enumerate((input, target)):
        size = prod(as_array(op, x).shape[1:])
        pair[i] = div(pair[i], float(max(size, 1)))
    squares = square(sub(*alike(op, ("input", "target"), *pair)))
    return reduced(op, mul(sum(squares, (1, 2)), 0.25), reduction)


def content_loss(input, target, reduction="sum"):
    r"""How far features are from those of the content: half the squared error.

    As `half_mse_loss`, whose other name it is.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.content_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    2.0
    """
    return half_mse_loss(input, target, reduction)


def gaussian_kl_loss(mean, log_var, reduction="mean"):
    r"""Divergence of a normal distribution from the standard one.

    Parameters
    ----------
    mean, log_var : ndarray or Tensor, shape (N, ...)
        Means and logarithms of variances, float32 or float64.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the samples' divergences.

    Returns
    -------
    ndarray or Tensor
        Shape (), or (N,) for ``'none'``: the sums over all but the first axis.

    Raises
    ------
    ValueError
        If shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    vae_loss, kl_div

    Notes
    -----
    .. math:: -\frac{1}{2} \sum_j (1 + \log \sigma_j^2 - \mu_j^2 - \sigma_j^2)

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.gaussian_kl_loss(np.array([[1.0, 2.0]]), np.zeros((1, 2))).item()
    2.5
    """
    op = "gaussian_kl_loss"
    return reduced(op, _divergences(op, mean, log_var), reduction)


def vae_loss(
    reconstruction,
    target,
    mean,
    log_var,
    likelihood="logits",
    beta=1.0,
    reduction="mean",
):
    r"""Loss of a variational autoencoder: reconstruction and divergence.

    Parameters
    ----------
    reconstruction, target : ndarray or Tensor, shape (N, ...)
        What the decoder made, and what it should have, float32 or float64.
    mean, log_var : ndarray or Tensor, shape (N, ...)
        What the encoder made: means and logarithms of variances.
    likelihood : {'logits', 'bernoulli', 'gaussian'}, optional
        What a reconstruction is: scores of ones, their probabilities, or the means of
        normal numbers of variance 1.
    beta : float, optional
        What the divergence counts.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the samples' losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or (N,) for ``'none'``.

    Raises
    ------
    ValueError
        If shapes do not fit, or `likelihood` or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    gaussian_kl_loss, binary_cross_entropy_with_logits

    Notes
    -----
    The negative lower bound of the evidence, but for a constant:

    .. math:: -\mathbb{E} \log p(x | z) + \beta D_{KL}(q(z | x) \| N(0, 1))

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x, zero = np.array([[1.0, 0.0]]), np.zeros((1, 3))
    >>> dl.vae_loss(np.zeros((1, 2)), x, zero, zero).round(4)
    np.float64(1.3863)
    """
    op = "vae_loss"
    names = "reconstruction", "target", "mean", "log_var"
    made, wanted, *_ = floats(op, names, reconstruction, target, mean, log_var)
    if made.shape != wanted.shape or made.ndim == 0:
        raise ValueError(
            f"{op}: target must have reconstruction.shape = {made.shape}, "
            f"got target.shape = {wanted.shape}"
        )
    kinds = {
        "logits": lambda x, t: binary_cross_entropy_with_logits(x, t, reduction="none"),
        "bernoulli": lambda x, t: binary_cross_entropy(x, t, reduction="none"),
        "gaussian": lambda x, t: half_mse_loss(x, t, "none"),
    }
    if not isinstance(likelihood, str) or likelihood not in kinds:
        raise ValueError(
            f"{op}: likelihood must be 'logits', 'bernoulli' or 'gaussian', "
            f"got {one_line(likelihood)}"
        )
    errors = _per_sample(kinds[likelihood](reconstruction, target))
    divergences = _divergences(op, mean, log_var)
    if as_array(op, divergences).shape != as_array(op, errors).shape:
        raise ValueError(f"{op}: mean must have as many samples as reconstruction")
    beta = real(op, "beta", beta)
    return reduced(op, add(errors, mul(divergences, beta)), reduction)


def gan_discriminator_loss(real, fake, kind="non_saturating"):
    r"""What the discriminator of an adversarial pair makes small.

    Parameters
    ----------
    real, fake : ndarray or Tensor, any shape
        Its scores (logits) of real samples and of generated ones, float32 or float64.
    kind : {'minimax', 'non_saturating', 'least_squares', 'wasserstein'}, optional
        The game.

    Returns
    -------
    ndarray or Tensor, shape ()

    Raises
    ------
    ValueError
        If `kind` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    gan_generator_loss

    Notes
    -----
    Means of, with :math:`D = \sigma(s)` for scores s:

    - minimax and non-saturating: :math:`-\log D(x)` and :math:`-\log(1 - D(G(z)))`
    - least squares: :math:`(s(x) - 1)^2 / 2` and :math:`s(G(z))^2 / 2`
    - Wasserstein: :math:`-s(x)` and :math:`s(G(z))`

    I. Goodfellow et al., `Generative Adversarial Networks
    <https://arxiv.org/abs/1406.2661>`_, 2014; X. Mao et al., `Least Squares GAN
    <https://arxiv.org/abs/1611.04076>`_, 2016; M. Arjovsky et al., `Wasserstein GAN
    <https://arxiv.org/abs/1701.07875>`_, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.gan_discriminator_loss(np.zeros(2), np.zeros(2)).round(4)
    np.float64(1.3863)
    """
    op = "gan_discriminator_loss"
    floats(op, ("real", "fake"), real, fake)
    kind = _kind(op, kind)
    if kind == "wasserstein":
        return sub(mean(fake), mean(real))
    if kind == "least_squares":
        parts = [_towards(op, x, t, half_mse_loss) for x, t in ((real, 1), (fake, 0))]
        return add(*parts)
    return add(_towards(op, real, 1), _towards(op, fake, 0))


def gan_generator_loss(fake, kind="non_saturating"):
    r"""What the generator of an adversarial pair makes small.

    Parameters
    ----------
    fake : ndarray or Tensor, any shape
        The discriminator's scores (logits) of generated samples, float32 or float64.
    kind : {'minimax', 'non_saturating', 'least_squares', 'wasserstein'}, optional
        The game.

    Returns
    -------
    ndarray or Tensor, shape ()

    Raises
    ------
    ValueError
        If `kind` is not known.

    See Also
    --------
    gan_discriminator_loss

    Notes
    -----
    Means of, with :math:`D = \sigma(s)` for scores s of :math:`G(z)`:

    - minimax: :math:`\log(1 - D)`, whose gradient vanishes where D is sure
    - non-saturating: :math:`-\log D`
    - least squares: :math:`(s - 1)^2 / 2`
    - Wasserstein: :math:`-s`

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.gan_generator_loss(np.zeros(2), "minimax").round(4)
    np.float64(-0.6931)
    """
    op = "gan_generator_loss"
    floats(op, ["fake"], fake)
    kind = _kind(op, kind)
    if kind == "wasserstein":
        return neg(mean(fake))
    if kind == "least_squares":
        return _towards(op, fake, 1, half_mse_loss)
    if kind == "minimax":
        return neg(_towards(op, fake, 0))
    return _towards(op, fake, 1)


def _towards(op, scores, value, loss=binary_cross_entropy_with_logits):
    """The mean loss with one target for all."""
    return loss(scores, np.full_like(as_array(op, scores), value), reduction="mean")


def _kind(op, kind):
    kinds = "minimax", "non_saturating", "least_squares", "wasserstein"
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"{op}: kind must be one of {kinds}, got {one_line(kind)}")
    return kind


def _gram(op, name, x):
    (a,) = floats(op, [name], x)
    if a.ndim < 3:
        raise ValueError(
            f"{op}: {name} must have shape (N, C, ...), got {name}.shape = {a.shape}"
        )
    ready = a.flags.c_contiguous and a.flags.aligned  # else other kernels would serve
    rows = flatten(x if ready else clone(x), 2)
    return bmm(rows, transpose(rows, 1, 2))


def _divergences(op, mean, log_var):
    mean, log_var = alike(op, ("mean", "log_var"), mean, log_var)
    if as_array(op, mean, "mean").ndim == 0:
        raise ValueError(f"{op}: mean must have shape (N, ...), got mean.shape = ()")
    terms = sub(add(square(mean), exp(log_var)), add(log_var, 1.0))
    return mul(_per_sample(terms), 0.5)


def _per_sample(terms):
    ndim = as_array("sum", terms).ndim
    return sum(terms, tuple(range(1, ndim))) if ndim > 1 else terms
