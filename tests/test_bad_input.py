"""Every public op against every kind of unfit input.

The answer is the right result, or one line that begins with the op's name: never a
crash, never a silent wrong answer, and the inputs are never modified. An op of
`dlcore.ops` that has no row in EXAMPLES fails.
"""

import inspect
import os
import random
import re

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from op_examples import ALIASES, EXAMPLES, ONE_BY_ONE

import dlcore as dl
from dlcore import ops

NAMES = list(EXAMPLES)
GIANT = 1 << 46  # floats: more than an address space holds


def test_every_op_has_an_example():
    assert set(ops.__all__) == set(EXAMPLES)


def call(name, arrays, changed=None):
    """Call an op with its example's parameters, some of them `changed`."""
    example = EXAMPLES[name]
    dl.manual_seed(0)
    return getattr(dl, name)(
        *example.first,
        *example.positional(arrays),
        *example.extra,
        **{**example.options, **(changed or {})},
    )


def parts(result):
    """The arrays of a result, whatever holds them."""
    if isinstance(result, tuple | list):
        return [array for part in result for array in parts(part)]
    if isinstance(result, dict):
        return parts(list(result.values()))
    return [np.asarray(getattr(result, "data", result))]


def same(got, want):
    got, want = parts(got), parts(want)
    return len(got) == len(want) and all(
        g.shape == w.shape
        and g.dtype.newbyteorder("=") == w.dtype
        and np.array_equal(g, w, equal_nan=True)
        for g, w in zip(got, want, strict=True)
        if g.dtype.kind != "O"
    )


UPDATED = {  # inputs that an op is documented to update
    "batch_norm": (1, 2),
    "embedding": (1,),
    "embedding_bag": (1,),
}


def refused_well(name, error):
    """Whether an exception is one that a user can read."""
    if isinstance(error, MemoryError):
        return "\n" not in str(error)
    kinds = (ValueError, TypeError, IndexError, NotImplementedError)
    names = (name, *ALIASES.get(name, ()))
    line = str(error)
    if line.startswith("The truth value of an array"):  # an array where a flag belongs
        return True
    return type(error) in kinds and re.match(rf"({'|'.join(names)})\b.*$", line)


def attempt(name, arrays, changed=None, what=""):
    """The result, or None when the op refused well; inputs must stay as they are."""
    kept = [i for i in range(len(arrays)) if i not in UPDATED.get(name, ())]
    arrays_kept = [arrays[i] for i in kept]
    before = [a.tobytes() if owns_little(a) else None for a in arrays_kept]
    try:
        result = call(name, arrays, changed)
    except Exception as error:
        result = None
        assert refused_well(name, error), f"{what}: {type(error).__name__}: {error}"
    for array, content in zip(arrays_kept, before, strict=True):
        assert content is None or array.tobytes() == content, f"{what}: input modified"
    return result


def owns_little(array):
    return isinstance(array, np.ndarray) and array.size < 1 << 20


# -- other layouts: the same result --


def layouts(array):
    """The same values laid out otherwise."""
    yield "Fortran", np.asfortranarray(array)
    yield "byte-swapped", array.astype(array.dtype.newbyteorder())
    wide = np.empty((*array.shape, 2), array.dtype)
    wide[..., 0] = array
    yield "strided", wide[..., 0]
    if array.ndim:
        yield "backwards", array[::-1].copy()[::-1]
    raw = np.empty(array.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(array.dtype).reshape(array.shape)
    misaligned[...] = array
    yield "misaligned", misaligned
    fixed = array.copy()
    fixed.flags.writeable = False
    yield "read-only", fixed
    yield "memmap-like subclass", array.copy().view(np.memmap)


@pytest.mark.parametrize("name", NAMES)
def test_layouts_give_the_same_bits(name):
    arrays = EXAMPLES[name].arrays()
    want = call(name, arrays)
    for i in range(len(arrays)):
        for layout, other in layouts(arrays[i]):
            got = attempt(name, [*arrays[:i], other, *arrays[i + 1 :]], what=layout)
            assert got is not None, f"input {i}: {layout} is refused"
            assert same(got, want), f"input {i}: {layout} gives another result"


# -- kinds, dtypes, shapes --


def unfit_objects(array):
    yield from (None, "text", b"bytes", object(), [], [[1.0]], {}, 1 + 2j, np.nan)
    for dtype in ("float16", "int8", "int64", "complex64", "bool", "longdouble", "U3"):
        yield np.zeros(array.shape, dtype)
    yield np.zeros(array.shape, "f,f")
    yield np.zeros(array.shape, "M8[s]")
    yield np.full(array.shape, None)
    yield np.ma.masked_array(array, array == array.flat[0] if array.size else False)
    yield dl.Tensor(np.zeros(array.shape, np.float64))


@pytest.mark.parametrize("name", NAMES)
def test_unfit_objects(name):
    arrays = EXAMPLES[name].arrays()
    for i in range(len(arrays)):
        for other in unfit_objects(arrays[i]):
            changed = [*arrays[:i], other, *arrays[i + 1 :]]
            attempt(name, changed, what=f"input {i}: {other!r:.60}")


@pytest.mark.parametrize("name", NAMES)
def test_masked_arrays_are_refused(name):
    """Their masked entries would be computed with, without a word."""
    arrays = EXAMPLES[name].arrays()
    for i in range(len(arrays)):
        masked = np.ma.masked_array(arrays[i], np.ones(arrays[i].shape, bool))
        result = attempt(name, [*arrays[:i], masked, *arrays[i + 1 :]])
        assert result is None or any(isinstance(p, np.ma.MaskedArray) for p in [result])


def other_shapes(shape):
    yield ()
    yield (0,)
    yield (*shape, 1)
    yield (1, *shape)
    yield (1,) * 40
    if shape:
        yield shape[1:]
        yield shape[:-1]
    for axis in range(len(shape)):
        for size in (0, 1, shape[axis] + 1):
            yield (*shape[:axis], size, *shape[axis + 1 :])


@pytest.mark.parametrize("name", NAMES)
def test_other_shapes(name):
    arrays = EXAMPLES[name].arrays()
    for i in range(len(arrays)):
        for shape in other_shapes(arrays[i].shape):
            other = np.ones(shape, arrays[i].dtype)
            attempt(name, [*arrays[:i], other, *arrays[i + 1 :]], what=f"{i}: {shape}")


@pytest.mark.parametrize("name", sorted(set(NAMES) - ONE_BY_ONE))
def test_giant_views_are_not_materialised(name):
    arrays = EXAMPLES[name].arrays()
    for i in range(len(arrays)):
        shape = arrays[i].shape
        for axis in range(len(shape)):
            size = (*shape[:axis], GIANT, *shape[axis + 1 :])
            giant = as_strided(np.ones((), arrays[i].dtype), size, (0,) * len(size))
            attempt(name, [*arrays[:i], giant, *arrays[i + 1 :]], what=f"{i}: {size}")


# -- parameters --

UNFIT_VALUES = [
    *(0, -1, -2, 1.5, -0.5, np.nan, np.inf, 1 << 31, 1 << 62, -(1 << 63), 1 << 80),
    *(None, "text", "", "\udcff", b"b", object(), [], (), (1,), (0, 1), (-1, 2), {}),
    (1, 2, 3),
    *((1 << 62, 1 << 62), (None, None), ("a", "b"), [1.5, 2], True, np.float32(2)),
    *(np.int64(1), np.arange(2), np.zeros(2, "f"), np.zeros((2, 2)), dl.Tensor(1.0)),
]


def parameters(name):
    """Those of an op that take no array."""
    every = list(inspect.signature(getattr(dl, name)).parameters.values())
    example = EXAMPLES[name]
    arrays = len(example.positional(example.arrays()))
    for parameter in every[arrays + len(EXAMPLES[name].extra) :]:
        if parameter.kind is not parameter.VAR_POSITIONAL and parameter.name != "out":
            yield parameter.name


@pytest.mark.parametrize("name", NAMES)
def test_unfit_parameters(name):
    arrays = EXAMPLES[name].arrays()
    for parameter in parameters(name):
        for value in UNFIT_VALUES:
            attempt(name, arrays, {parameter: value}, f"{parameter}={value!r:.40}")


@pytest.mark.parametrize("name", [n for n in NAMES if EXAMPLES[n].extra])
def test_unfit_positional_parameters(name):
    example = EXAMPLES[name]
    for i in range(len(example.extra)):
        for value in UNFIT_VALUES:
            extra = (*example.extra[:i], value, *example.extra[i + 1 :])
            function = getattr(dl, name)
            try:
                function(*example.arrays(), *extra, **example.options)
            except Exception as error:
                what = f"{value!r:.40}: {type(error).__name__}: {error}"
                assert refused_well(name, error), what


# -- out --


def with_out():
    return [n for n in NAMES if "out" in inspect.signature(getattr(dl, n)).parameters]


def unfit_outs(y):
    yield from ([], "text", 1.0, object())
    yield np.empty((*y.shape, 1), y.dtype)
    yield np.empty(y.shape, "int32")
    yield np.empty(y.shape, "float64" if y.dtype == "float32" else "float32")
    yield np.ma.masked_array(np.empty(y.shape, y.dtype))
    fixed = np.empty(y.shape, y.dtype)
    fixed.flags.writeable = False
    yield fixed


@pytest.mark.parametrize("name", with_out())
def test_out(name):
    arrays = EXAMPLES[name].arrays()
    want = call(name, arrays)
    for layout, out in layouts(np.zeros_like(want)):
        if out.flags.writeable:
            got = attempt(name, arrays, {"out": out}, layout)
            assert got is out, f"{layout}: returns another array"
            assert np.array_equal(out, want, equal_nan=True), layout
    for out in unfit_outs(want):
        got = attempt(name, arrays, {"out": out}, f"out={out!r:.40}")
        assert got is None, f"out={out!r:.40} is accepted"


@pytest.mark.parametrize("name", with_out())
def test_out_that_overlaps_an_input(name):
    example = EXAMPLES[name]
    want = call(name, example.arrays())
    for i in range(len(example.inputs)):
        for shift in (0, 1, 3):
            arrays = example.arrays()
            x = arrays[i]
            if x.dtype != want.dtype:
                continue
            memory = np.zeros(max(x.size, want.size) + 3, x.dtype)
            arrays[i] = memory[: x.size].reshape(x.shape)
            arrays[i][...] = x
            out = memory[shift : shift + want.size].reshape(want.shape)
            got = call(name, arrays, {"out": out})
            assert np.array_equal(got, want, equal_nan=True), f"input {i} + {shift}"


@pytest.mark.parametrize("name", with_out())
def test_out_is_refused_where_a_gradient_is_recorded(name):
    arrays = EXAMPLES[name].arrays()
    want = call(name, arrays)
    out = np.zeros_like(want)
    for i, x in enumerate(arrays):
        if x.dtype != want.dtype:
            continue
        one = list(arrays)
        one[i] = dl.Tensor(x, requires_grad=True)
        with pytest.raises(RuntimeError, match="out: must not be given where a gradi"):
            call(name, one, {"out": out})
        assert not out.any()
        with dl.no_grad():
            call(name, one, {"out": out})
        assert np.array_equal(out, want, equal_nan=True)
        out[...] = 0


# -- all at once --


@pytest.mark.parametrize("name", NAMES)
def test_random_shapes_and_parameters(name):
    """Short axes, many of which fit each other, and those of the example, changed."""
    draw = random.Random(name)
    example = EXAMPLES[name].arrays()

    def shape(fits):
        if draw.random() < 0.5:
            return tuple(draw.choices(range(5), k=draw.randrange(6)))
        return tuple(n if draw.random() < 0.8 else draw.randrange(5) for n in fits)

    def value():
        pair = draw.randint(-1, 3), draw.randint(-1, 3)
        return draw.choice([draw.randint(-3, 5), pair])

    known = list(parameters(name))
    for _ in range(40 if os.environ.get("DLCORE_SANITIZER") else 200):
        arrays = [np.ones(shape(a.shape), a.dtype) for a in example]
        changed = {p: value() for p in known if draw.random() < 0.3}
        shapes = [array.shape for array in arrays]
        attempt(name, arrays, changed, f"shapes {shapes}, {changed}")
