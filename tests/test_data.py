"""The digits of the wheel, and MNIST's files: written here, read back, damaged."""

import gzip

import numpy as np
import pytest

import dlcore as dl


def test_digits_are_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    want, labels = datasets.load_digits(return_X_y=True)
    split = dl.data.digits()
    held_out = np.arange(1797) % 5 == 4
    np.testing.assert_array_equal(
        split.train_images.reshape(-1, 64) * 16, want[~held_out]
    )
    np.testing.assert_array_equal(split.test_labels, labels[held_out])


def test_digits_enlarged(torch):
    small, split = dl.data.digits(), dl.data.digits(20, 4)
    assert split.train_images.shape == (1438, 1, 28, 28)
    assert split.test_images.shape == (359, 1, 28, 28)
    assert (
        split.train_images.dtype == np.float32 and split.train_labels.dtype == np.int64
    )
    assert not split.test_images[:, :, :4].any()
    want = torch.nn.functional.interpolate(
        torch.from_numpy(small.test_images), size=(20, 20), mode="bilinear"
    ).numpy()
    np.testing.assert_allclose(
        split.test_images[:, :, 4:-4, 4:-4], want, rtol=0, atol=1e-6
    )


def test_digits_bad_calls():
    for call in (lambda: dl.data.digits(7), lambda: dl.data.digits(8, -1)):
        with pytest.raises(ValueError, match="digits: size must be at least 8"):
            call()


def idx(array):
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path, rng):
    images, labels = rng.integers(0, 256, (7, 5, 4)), np.arange(7)
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path, images


def test_mnist(folder):
    path, images = folder
    split = dl.data.mnist(path)
    assert split.train_images.shape == (7, 1, 5, 4)
    np.testing.assert_array_equal(
        split.train_images, images[:, None].astype(np.float32) / 255
    )
    np.testing.assert_array_equal(split.test_labels, np.arange(7))


def test_mnist_gzipped_and_the_other_spelling(folder):
    path, images = folder
    for old in list(path.iterdir()):
        new = path / (old.name.replace("-idx", ".idx") + ".gz")
        new.write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
    np.testing.assert_array_equal(
        dl.data.mnist(str(path)).test_images * 255, images[:, None]
    )


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
DAMAGE = [
    (IMAGES, lambda b: b[:-1], "must hold 140 bytes .* truncated at 139"),
    (IMAGES, lambda b: b + b"x", "must hold 140 bytes .* too long"),
    (IMAGES, lambda b: b[:9], "truncated in its header"),
    (IMAGES, lambda b: b"", "must start with 00 00 08 03 .* got nothing"),
    (IMAGES, lambda b: b"\x89PNG" + b[4:], "must start with .* got 89 50 4e 47"),
    (LABELS, lambda b: b[:3] + b"\x03" + b[4:], "must start with 00 00 08 01"),
    (IMAGES, lambda b: b[:4] + b"\xff" * 12 + b[16:], "has a damaged header"),
    (LABELS, lambda b: idx(np.arange(6)), "has 7 images, but there are 6 labels"),
    (IMAGES, lambda b: idx(np.zeros((7, 4, 4))), "must have one size"),
]


@pytest.mark.parametrize("name, damage, match", DAMAGE)
def test_damaged_file(folder, name, damage, match):
    path, _ = folder
    (path / name).write_bytes(damage((path / name).read_bytes()))
    with pytest.raises(ValueError, match=match):
        dl.data.mnist(path)


def test_damaged_gzip(folder):
    path, _ = folder
    content = gzip.compress((path / IMAGES).read_bytes())
    (path / IMAGES).unlink()
    for damaged in (b"no gzip", content[:-12], content[:-8] + bytes(8)):
        (path / f"{IMAGES}.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged or no gzip file"):
            dl.data.mnist(path)


def test_missing_files(folder):
    path, _ = folder
    (path / LABELS).unlink()
    with pytest.raises(FileNotFoundError, match="there is no train-labels-idx1-ubyte"):
        dl.data.mnist(path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        dl.data.mnist(path / "nowhere")


def test_random_affine_is_scipys_interpolation(rng):
    ndimage = pytest.importorskip("scipy.ndimage")
    images = rng.uniform(0, 1, (3, 2, 9, 12)).astype("f")
    state = dl.get_rng_state()
    got = dl.data.random_affine(images, degrees=30, pixels=3, zoom=0.4)
    dl.set_rng_state(state)
    draws = dl.random.uniform(-1, 1, (4, 3), np.float64)
    middle = np.array([4, 5.5])
    for i, (turn, zoom, *move) in enumerate(draws.T):
        c, s = np.cos(turn * np.pi / 6), np.sin(turn * np.pi / 6)
        matrix = np.array([[c, -s], [s, c]]) / (1 + 0.4 * zoom)
        offset = middle - matrix @ middle + 3 * np.array(move)
        framed = np.pad(images[i], ((0, 0), (9, 9), (9, 9)))
        for channel in range(2):
            want = ndimage.affine_transform(
                framed[channel], matrix, offset + 9 - matrix @ [9, 9], order=1
            )[9:-9, 9:-9]
            np.testing.assert_allclose(got[i, channel], want, rtol=0, atol=1e-6)


def test_random_affine_of_nothing_and_by_nothing(rng):
    images = rng.uniform(0, 1, (2, 1, 5, 4))
    np.testing.assert_allclose(dl.data.random_affine(images), images, atol=1e-12)
    assert dl.data.random_affine(images[:0], degrees=5).shape == (0, 1, 5, 4)
    assert dl.data.random_affine(images.astype("f")).dtype == np.float32


def test_random_affine_bad_calls():
    with pytest.raises(
        ValueError, match=r"images must be \(n, channels, height, width"
    ):
        dl.data.random_affine(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="zoom must be from 0 to below 1, got 1"):
        dl.data.random_affine(np.zeros((1, 1, 3, 4)), zoom=1)
