"""Tensors given to NumPy and by DLPack to others, and back: one memory, no copies."""

import numpy as np
import pytest

import dlcore as dl

SIX = np.arange(6, dtype="float32").reshape(2, 3)
NUMPY = np.lib.NumpyVersion(np.__version__)
WRITABLE = pytest.mark.skipif(
    NUMPY < "2.1.0", reason="NumPy before 2.1 makes read-only arrays of DLPack's"
)
KINDS = ("float32", "float64", "int8", "uint8", "int32", "int64", "bool")


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


# -- NumPy --


def test_asarray_shares_the_memory():
    x = dl.Tensor(SIX.copy())
    assert np.asarray(x) is x.data
    assert np.asarray(x, "float32") is x.data
    assert np.asarray(x, "float64").dtype == np.float64
    copied = np.array(x)
    assert not np.shares_memory(copied, x.data)
    np.testing.assert_array_equal(copied, SIX)
    turned = np.array(dl.Tensor(SIX.T))
    assert turned.strides == SIX.T.strides  # the order stays


@pytest.mark.skipif(NUMPY < "2.0.0", reason="NumPy 2")
def test_copy_as_numpy_2_means_it():
    x = dl.Tensor(SIX.copy())
    assert np.asarray(x, copy=False) is x.data
    assert np.asarray(x, copy=None) is x.data
    assert not np.shares_memory(np.asarray(x, copy=True), x.data)
    with pytest.raises(ValueError, match="copy must not be False to cast a Tensor"):
        np.asarray(x, "float64", copy=False)


def test_a_gradient_is_not_lost_silently():
    x = dl.Tensor(SIX, requires_grad=True)
    for call in (np.asarray, np.array, np.sort, np.flip, lambda x: np.trace(x, 1)):
        with pytest.raises(RuntimeError, match=r"requires a gradient"):
            call(x)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_questions_without_a_gradient_are_answered(requires_grad):
    x = dl.Tensor(SIX, requires_grad=requires_grad)
    y = x * 1.0
    assert np.array_equal(x, y) and np.array_equal(y, SIX) and np.array_equal(SIX, x)
    assert not np.array_equal(x, SIX + 1) and not np.array_equal(x, SIX[0])
    assert np.array_equiv(x, [SIX]) and np.allclose(x, y) and np.isclose(x, SIX).all()
    assert np.shape(x) == (2, 3) and np.ndim(x) == 2 and np.size(x) == 6
    assert np.count_nonzero(x) == 5
    assert np.zeros_like(x).shape == (2, 3) and np.shares_memory(x, SIX)


def test_functions_that_write_are_refused():
    x = dl.Tensor(SIX.copy())
    for call in (
        lambda: np.copyto(x, 0),
        lambda: np.put(x, 0, 1),
        lambda: np.fill_diagonal(x, 1),
    ):
        with pytest.raises(TypeError, match=r"^np\.\w+: must not write to a Tensor"):
            call()
    np.testing.assert_array_equal(x.data, SIX)
    to = np.zeros((2, 3), "float32")
    np.copyto(to, x)
    np.testing.assert_array_equal(to, SIX)


def test_read_only_stays_so():
    x = dl.Tensor(read_only(SIX))
    assert not np.asarray(x).flags.writeable and np.array(x).flags.writeable
    np.testing.assert_array_equal(dl.relu(x).data, SIX)
    with pytest.raises(ValueError, match=r"read-only|writ"):
        x[0, 0] = 1.0


# -- DLPack --


@WRITABLE
@pytest.mark.parametrize("kind", KINDS)
def test_numpy_by_dlpack(kind):
    array = SIX.astype(kind)
    x = dl.from_dlpack(array)
    assert isinstance(x, dl.Tensor) and x.dtype == kind
    assert np.shares_memory(x.data, array) and x.__dlpack_device__() == (1, 0)
    back = np.from_dlpack(x)
    assert np.shares_memory(back, array)
    np.testing.assert_array_equal(back, array)
    assert not np.shares_memory(dl.from_dlpack(array, copy=True).data, array)


@WRITABLE
@pytest.mark.parametrize(
    "array", [SIX.T, SIX[:, ::2], SIX[::-1], np.float32(3), np.zeros((0, 2))]
)
def test_layouts(array):
    array = np.asarray(array)
    for x in (dl.from_dlpack(array), dl.from_dlpack(dl.Tensor(array))):
        assert x.data.strides == array.strides or array.size < 2
        np.testing.assert_array_equal(x.data, array)


@WRITABLE
def test_any_array_passes_both_ways():
    pytest.importorskip("hypothesis", reason="needs hypothesis")
    from hypothesis import given, settings
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as arrays

    shapes = arrays.array_shapes(min_dims=0, max_dims=5, min_side=0)
    array = st.sampled_from(KINDS).flatmap(lambda kind: arrays.arrays(kind, shapes))

    @settings(max_examples=100, deadline=None)
    @given(array)
    def passes(array):
        back = np.from_dlpack(dl.from_dlpack(array))
        assert back.tobytes() == array.tobytes() and back.dtype == array.dtype
        assert back.shape == array.shape
        assert array.size == 0 or np.shares_memory(back, array)

    passes()


@WRITABLE
def test_torch_by_dlpack(torch):
    theirs = torch.arange(6.0).reshape(2, 3).t()
    ours = dl.from_dlpack(theirs)
    ours[0, 1] = 9.0
    assert theirs[0, 1] == 9 and ours.shape == (3, 2)
    back = torch.from_dlpack(ours)
    assert back.data_ptr() == theirs.data_ptr() and back.stride() == theirs.stride()
    kept = dl.from_dlpack(torch.ones(100_000))  # its memory outlives the tensor
    assert kept.sum().item() == 100_000
    with pytest.raises(BufferError, match=r"^from_dlpack: .*Can't export tensors that"):
        dl.from_dlpack(torch.ones(2, requires_grad=True))
    with pytest.raises(TypeError, match=r"^from_dlpack: .*[dD]type"):
        dl.from_dlpack(torch.ones(2).bfloat16())
    assert dl.from_dlpack(torch.ones(2).half()).dtype == np.float16
    with pytest.raises(BufferError, match=r"^from_dlpack: x must be .* on the CPU"):
        dl.from_dlpack(torch.ones(2, device="meta"))


def test_bad_calls():
    x = dl.Tensor(SIX, requires_grad=True)
    for take in (np.from_dlpack, dl.from_dlpack):
        with pytest.raises(BufferError, match="this tensor requires a gradient"):
            take(x)
    assert np.shares_memory(np.from_dlpack(x.detach()), SIX)
    with pytest.raises(TypeError, match="x must have __dlpack__, got list"):
        dl.from_dlpack([1.0])
    with pytest.raises((BufferError, TypeError), match="from_dlpack"):
        dl.from_dlpack(np.array(["text"]))
