"""Losses made of other ops: margins of classes, embeddings, pictures, boxes."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

TORCH = [  # name, shapes of float inputs, labels, options
    ("multi_margin_loss", [(4, 7)], "classes", {}),
    ("multi_margin_loss", [(4, 7)], "classes", {"p": 2, "margin": 0.5}),
    ("multi_margin_loss", [(4, 7)], "classes", {"weight": (7,)}),
    ("multilabel_margin_loss", [(4, 7)], "several", {}),
    ("cosine_embedding_loss", [(4, 7), (4, 7)], "signs", {"margin": 0.1}),
    ("cosine_embedding_loss", [(7,), (7,)], "sign", {}),
    ("triplet_margin_loss", [(4, 7)] * 3, None, {}),
    ("triplet_margin_loss", [(4, 7)] * 3, None, {"swap": True, "p": 3, "margin": 2}),
    ("triplet_margin_loss", [(7,)] * 3, None, {"p": 1, "margin": 9}),
    ("triplet_margin_with_distance_loss", [(4, 7)] * 3, None, {"swap": True}),
]
SEVERAL = np.array(
    [[2, 0, -1, 3, 3, 3, 3], [6, -1] + [0] * 5, [-1] * 7, [0, 1, 2, 3, 4, 5, 6]]
)
LABELS = {
    "classes": [np.array([3, 0, 6, 6])],
    "several": [SEVERAL],
    "signs": [np.array([1, -1, -1, 1])],
    "sign": [np.array(-1)],
    None: [],
}


def both(torch, f, g, inputs, labels, **options):
    """Results and gradients of dlcore's and of PyTorch's."""
    mine = [dl.Tensor(x, True) for x in inputs]
    theirs = [torch.tensor(x, requires_grad=True) for x in inputs]
    got = f(*mine, *labels, **options)
    changed = {
        key: torch.tensor(v) if isinstance(v, np.ndarray) else v
        for key, v in options.items()
    }
    want = g(*theirs, *map(torch.tensor, labels), **changed)
    assert got.shape == tuple(want.shape)
    got.backward(np.ones(got.shape))
    want.sum().backward()
    yield got.data, want.detach().numpy()
    for x, y in zip(mine, theirs):
        yield x.grad.data, y.grad.numpy()


@pytest.mark.parametrize(("name", "shapes", "labels", "options"), TORCH)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_beside_torch(torch, dtype, rng, name, shapes, labels, options, reduction):
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    options = dict(options, reduction=reduction)
    if "weight" in options:
        options["weight"] = rng.uniform(0.5, 2, options["weight"]).astype(dtype)
    f, g = getattr(dl, name), getattr(torch.nn.functional, name)
    for got, want in both(torch, f, g, inputs, LABELS[labels], **options):
        assert_close(got, want, ulp=32, scale=np.abs(want).max() + 1)


@pytest.mark.parametrize("options", [{}, {"p": 1}, {"p": 3.0, "keepdim": True}])
def test_pairwise_distance(torch, rng, options):
    inputs = [rng.standard_normal(s) for s in ((4, 7), (1, 7))]
    f, g = dl.pairwise_distance, torch.nn.functional.pairwise_distance
    for got, want in both(torch, f, g, inputs, [], **options):
        assert_close(got, want, ulp=32, scale=np.abs(want).max() + 1)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cosine_similarity(torch, rng, dim):
    inputs = [rng.standard_normal((4, 7)) for _ in range(2)]
    f, g = dl.cosine_similarity, torch.nn.functional.cosine_similarity
    for got, want in both(torch, f, g, inputs, [], dim=dim):
        assert_close(got, want, ulp=32, scale=np.abs(want).max() + 1)


def test_similarity_of_zeros():
    x = dl.Tensor(np.zeros((1, 3)), True)
    similarity = dl.cosine_similarity(x, np.ones((1, 3)))
    assert similarity.data == 0
    similarity.backward(np.ones(1))
    assert np.isfinite(x.grad.data).all()


def test_triplets_squared(rng):
    a, p, n = rng.standard_normal((3, 5, 4))
    got = dl.triplet_margin_loss(a, p, n, 0.5, eps=0, reduction="none", squared=True)
    gap = np.square(a - p).sum(1) - np.square(a - n).sum(1)
    assert_close(got, np.maximum(gap + 0.5, 0), ulp=16, scale=20)

    def loss(*xs):
        return dl.triplet_margin_loss(*xs, 9.0, squared=True)

    gradcheck(loss, a, p, n)


def test_triplets_with_a_distance_of_ones_own(rng):
    a, p, n = rng.standard_normal((3, 5, 4))

    def distance(x, y):
        return dl.amax(dl.abs(x - y), -1)

    got = dl.triplet_margin_with_distance_loss(
        a, p, n, distance_function=distance, reduction="sum"
    )
    gap = np.abs(a - p).max(1) - np.abs(a - n).max(1)
    assert_close(got, np.maximum(gap + 1, 0).sum(), ulp=16)


@pytest.mark.parametrize("target", [[1, 0, 1, 0], [1.0, 0.0, 0.0, 0.0]])
def test_contrastive_loss(rng, target):
    x, y, target = *rng.standard_normal((2, 4, 3)), np.array(target)
    d = np.sqrt(np.square(x - y).sum(1))
    want = np.where(target == 1, d**2, np.maximum(3 - d, 0) ** 2) / 2
    assert_close(dl.contrastive_loss(x, y, target, 3.0, "none"), want, ulp=16)
    assert_close(dl.contrastive_loss(x, y, target, 3.0), want.mean(), ulp=16)
    gradcheck(lambda x, y: dl.contrastive_loss(x, y, target, 3.0), x, y)


def test_contrastive_loss_of_equal_embeddings():
    x = dl.Tensor(np.ones((2, 3)), True)
    dl.contrastive_loss(x, np.ones((2, 3)), np.array([1, 0])).backward()
    np.testing.assert_array_equal(x.grad.data, 0)


# -- pictures --


def test_style_and_content(rng):
    a, b = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((1, 3, 2, 3))

    def gram(x):
        rows = x.reshape(len(x), x.shape[1], -1)
        return np.einsum("nki,nli->nkl", rows, rows)

    assert_close(dl.gram_matrix(a), gram(a), ulp=32, scale=20)
    gap = gram(a) / 60 - gram(b) / 18
    want = np.square(gap).sum((1, 2)) / 4
    assert_close(dl.style_loss(a, b, "none"), want, ulp=32, scale=1)
    assert_close(dl.style_loss(a, b), want.mean(), ulp=32, scale=1)
    gradcheck(lambda a, b: dl.style_loss(a, b), a, b)
    other = rng.standard_normal(a.shape)
    assert_close(dl.content_loss(a, other), np.square(a - other).sum() / 2, ulp=8)


def test_style_as_published():
    """Gatys' sum over squares of Gram matrices, over 4 C^2 M^2."""
    a, b = np.arange(12.0).reshape(1, 2, 6), np.ones((1, 2, 6))
    gap = np.square(dl.gram_matrix(a) - dl.gram_matrix(b)).sum()
    assert dl.style_loss(a, b) == pytest.approx(gap / (4 * 2**2 * 6**2))


def test_gaussian_kl_beside_torch(torch, rng):
    mean, log_var = rng.standard_normal((2, 4, 3))
    normal = torch.distributions.Normal
    spread = torch.tensor(log_var / 2).exp()
    want = torch.distributions.kl_divergence(
        normal(torch.tensor(mean), spread), normal(0.0, 1.0)
    ).sum(1)
    assert_close(dl.gaussian_kl_loss(mean, log_var, "none"), want.numpy(), ulp=32)
    assert_close(dl.gaussian_kl_loss(mean, log_var), want.mean().item(), ulp=32)


@pytest.mark.parametrize("likelihood", ["logits", "bernoulli", "gaussian"])
def test_vae_loss(torch, rng, likelihood):
    x, target = rng.uniform(0.1, 0.9, (2, 4, 3, 2))
    mean, log_var = rng.standard_normal((2, 4, 5))
    F = torch.nn.functional
    error = {
        "logits": F.binary_cross_entropy_with_logits,
        "bernoulli": F.binary_cross_entropy,
        "gaussian": lambda x, t, reduction: (x - t) ** 2 / 2,
    }[likelihood]
    error = error(torch.tensor(x), torch.tensor(target), reduction="none")
    kl = (mean**2 + np.exp(log_var) - 1 - log_var).sum(1) / 2
    want = error.numpy().sum((1, 2)) + 0.5 * kl
    got = dl.vae_loss(x, target, mean, log_var, likelihood, 0.5, "none")
    assert_close(got, want, ulp=32)
    gradcheck(
        lambda x, m, v: dl.vae_loss(x, target, m, v, likelihood), x, mean, log_var
    )


def softplus(x):
    return np.log1p(np.exp(x))


GAMES = {  # kind: discriminator's and generator's
    "minimax": (lambda r, f: (softplus(-r), softplus(f)), lambda f: -softplus(f)),
    "non_saturating": (
        lambda r, f: (softplus(-r), softplus(f)),
        lambda f: softplus(-f),
    ),
    "least_squares": (
        lambda r, f: ((r - 1) ** 2 / 2, f**2 / 2),
        lambda f: (f - 1) ** 2 / 2,
    ),
    "wasserstein": (lambda r, f: (-r, f), lambda f: -f),
}


@pytest.mark.parametrize("kind", GAMES)
def test_adversaries(rng, kind):
    real, fake = rng.standard_normal((5, 1)), rng.standard_normal((7, 1))
    discriminator, generator = GAMES[kind]
    want = sum(part.mean() for part in discriminator(real, fake))
    assert_close(dl.gan_discriminator_loss(real, fake, kind), want, ulp=16)
    assert_close(dl.gan_generator_loss(fake, kind), generator(fake).mean(), ulp=16)
    gradcheck(lambda r, f: dl.gan_discriminator_loss(r, f, kind), real, fake)
    gradcheck(lambda f: dl.gan_generator_loss(f, kind), fake)


# -- boxes --


def smooth(d, beta=1 / 9):
    d = np.abs(d)
    return np.where(d < beta, d * d / (2 * beta), d - beta / 2)


def test_rpn_loss(rng):
    scores, target = rng.standard_normal(6), np.array([1, 0, -1, 1, 0, -1])
    deltas, right = rng.standard_normal((2, 6, 4))
    right[target != 1] = np.nan  # of these there is none
    found, places = dl.rpn_loss(scores, deltas, target, right)
    signs = np.where(target == 1, -1, 1)
    assert_close(found, softplus(signs * scores)[target >= 0].mean(), ulp=16)
    assert_close(places, smooth(deltas - right)[target == 1].sum() / 4, ulp=16)
    gradcheck(lambda s: dl.rpn_loss(s, deltas, target, right)[0], scores)
    gradcheck(lambda d: dl.rpn_loss(scores, d, target, right)[1], deltas)


def test_fast_rcnn_loss(rng):
    logits, target = rng.standard_normal((4, 3)), np.array([2, 0, 1, 1])
    boxes, right = rng.standard_normal((4, 12)), rng.standard_normal((4, 4))
    right[1] = np.nan
    kinds, places = dl.fast_rcnn_loss(logits, boxes, target, right)
    assert_close(kinds, dl.cross_entropy(logits, target), ulp=4)
    rows = [0, 2, 3]
    chosen = boxes.reshape(4, 3, 4)[rows, target[rows]]
    assert_close(places, smooth(chosen - right[rows]).sum() / 4, ulp=16)
    gradcheck(lambda b: dl.fast_rcnn_loss(logits, b, target, right)[1], boxes)


def test_no_box_at_all():
    """A picture of background only: a loss of 0, and a gradient of 0."""
    boxes = dl.Tensor(np.ones((3, 4)), True)
    _, places = dl.rpn_loss(np.zeros(3), boxes, np.array([0, 0, -1]), np.zeros((3, 4)))
    places.backward()
    assert places.data == 0
    np.testing.assert_array_equal(boxes.grad.data, 0)


def overlap(found, right, cells):
    """Of (x, y, root of w, root of h) and (x, y, w, h)."""
    inside = 1.0
    for i in (0, 1):
        a, half = found[i] / cells, found[2 + i] ** 2 / 2
        b, other = right[i] / cells, right[2 + i] / 2
        inside *= max(0, min(a + half, b + other) - max(a - half, b - other))
    area = (found[2] * found[3]) ** 2 + right[2] * right[3]
    return inside / (area - inside)


def yolo_by_hand(x, t, boxes):
    """One cell at a time, from the paper."""
    loss, cells = 0.0, x.shape[1]
    for cell, right in zip(x.reshape(-1, x.shape[-1]), t.reshape(-1, t.shape[-1])):
        each = cell[: 5 * boxes].reshape(boxes, 5)
        best = None
        if right[4]:
            overlaps = [overlap(b, right, cells) for b in each]
            best = int(np.argmax(overlaps))
            wanted = np.r_[right[:2], np.sqrt(right[2:4])]
            loss += 5 * np.square(each[best, :4] - wanted).sum()
            loss += (each[best, 4] - overlaps[best]) ** 2
            loss += np.square(cell[5 * boxes :] - right[5:]).sum()
        loss += sum(0.5 * b[4] ** 2 for j, b in enumerate(each) if j != best)
    return loss


@pytest.mark.parametrize("boxes", [1, 2])
@pytest.mark.parametrize("classes", [0, 3])
def test_yolo_loss(rng, boxes, classes):
    x = rng.uniform(0.2, 0.9, (2, 3, 3, 5 * boxes + classes))
    t = rng.uniform(0.1, 0.6, (2, 3, 3, 5 + classes))
    t[..., 4] = rng.integers(0, 2, (2, 3, 3))
    want = yolo_by_hand(x, t, boxes)
    assert_close(dl.yolo_loss(x, t, boxes, reduction="sum"), want, ulp=32)
    assert_close(dl.yolo_loss(x, t, boxes), want / 2, ulp=32)
    leaf = dl.Tensor(x, True)
    dl.yolo_loss(leaf, t, boxes).backward()
    step = 1e-6 * np.sign(leaf.grad.data)
    assert dl.yolo_loss(x - step, t, boxes) < dl.yolo_loss(x, t, boxes)


def test_yolo_loss_of_empty_pictures():
    x = dl.Tensor(np.ones((2, 3, 3, 10)), True)
    loss = dl.yolo_loss(x, np.zeros((2, 3, 3, 5)))
    assert loss.item() == pytest.approx(0.5 * 9 * 2)
    loss.backward()
    assert (x.grad.data[..., 4::5] == 0.5).all()


x, t = np.ones((2, 3)), np.array([0, 1])
four = np.ones((2, 4))
BAD = [
    (lambda: dl.multi_margin_loss(x, t + 2), IndexError, "from 0 to 2, got 3"),
    (lambda: dl.multi_margin_loss(x, t, p=3), ValueError, "p must be 1 or 2, got 3"),
    (lambda: dl.multi_margin_loss(x, t.astype("d")), TypeError, "int64 or int32"),
    (lambda: dl.multi_margin_loss(x, t, weight=x[0, :2]), ValueError, "weight must"),
    (
        lambda: dl.multilabel_margin_loss(x, np.full((2, 3), 3)),
        IndexError,
        "from 0 to 2, got 3",
    ),
    (lambda: dl.pairwise_distance(x, x[:, :2]), ValueError, "x1 and x2 must broadcast"),
    (lambda: dl.pairwise_distance(x, x, p=0), ValueError, "p must not be 0"),
    (lambda: dl.cosine_similarity(x, x, dim=2), IndexError, "dim must be from -2 to 1"),
    (lambda: dl.cosine_embedding_loss(x, x, t[:1]), ValueError, "for each pair, shape"),
    (lambda: dl.contrastive_loss(x, x, x > 0), ValueError, "for each pair, shape"),
    (lambda: dl.triplet_margin_loss(x, x, x, -1), ValueError, "margin must be above 0"),
    (lambda: dl.triplet_margin_loss(x, x, x[0]), ValueError, "must have as many axes"),
    (
        lambda: dl.triplet_margin_with_distance_loss(x, x, x, distance_function=1),
        TypeError,
        "must be callable, got int",
    ),
    (lambda: dl.triplet_margin_loss(x, x, x, reduction="avg"), ValueError, "reduction"),
    (lambda: dl.gram_matrix(x), ValueError, r"must have shape \(N, C, ...\)"),
    (lambda: dl.vae_loss(x, x, x, x, "laplace"), ValueError, "likelihood must be"),
    (lambda: dl.vae_loss(x, x, x[:1], x[:1]), ValueError, "as many samples"),
    (lambda: dl.gan_generator_loss(x, "zero-sum"), ValueError, "kind must be one of"),
    (
        lambda: dl.rpn_loss(x[:, 0], four, t + 1, four),
        IndexError,
        "from -1 to 1, got 2",
    ),
    (lambda: dl.rpn_loss(x, four, t, four), ValueError, "must have shapes"),
    (lambda: dl.fast_rcnn_loss(x, four, t, four), ValueError, "must have shapes"),
    (lambda: dl.yolo_loss(x, x), ValueError, "must have shapes"),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
