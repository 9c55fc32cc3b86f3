"""What a newcomer tries: mistakes are answered in one line with the cure."""

import numpy as np
import pytest

import dlcore as dl

ONES = np.ones(3, np.float32)
IMAGE = np.ones((1, 1, 3, 3), np.float32)
TENSOR = dl.Tensor(ONES)
COLOURS_LAST = np.ones((1, 5, 5, 3), np.float32)
SCORES, CLASSES = np.ones((2, 3), np.float32), np.array([0, 1])
MODEL = dl.nn.Linear(3, 2)
Adam, SGD = dl.optim.Adam, dl.optim.SGD


def add_in_place(array):
    array += TENSOR


@pytest.mark.parametrize(
    "call, exception, message",
    [
        (lambda: dl.Tensor(np.ones(2, np.longdouble)), TypeError, "astype.np.float32"),
        (lambda: dl.Tensor([[1], [2, 3]]), ValueError, "lists of one length"),
        (lambda: dl.sum(ONES, 0, axis=0), ValueError, "not both be given"),
        (lambda: dl.cat([ONES], dim=1, axis=0), ValueError, "not both be given"),
        (lambda: dl.manual_seed("a"), TypeError, "must be a whole number, got str"),
        (lambda: dl.manual_seed(1.5), TypeError, "must be a whole number, got float"),
        (lambda: dl.no_grad(3), TypeError, "must be callable, got int"),
        (lambda: dl.conv2d(IMAGE, IMAGE, stride=True), TypeError, "stride must be an"),
        (lambda: dl.conv2d(IMAGE, IMAGE, 1), TypeError, "is bias, write stride=1"),
        (
            lambda: dl.nn.Conv2d(3, 4, 3)(COLOURS_LAST),
            ValueError,
            r"x must have 3 channels for weight.shape = \(4, 3, 3, 3\) and groups = 1, "
            r"got x.shape = \(1, 5, 5, 3\): the channels come before the other axes",
        ),
        (
            lambda: dl.nn.ConvTranspose2d(5, 4, 3)(IMAGE),
            ValueError,
            "conv_transpose2d: x must have 5 channels",
        ),
        (
            lambda: dl.nn.BatchNorm2d(5)(IMAGE),
            ValueError,
            r"BatchNorm2d: x must have 5 channels, got x.shape = \(1, 1, 3, 3\)",
        ),
        (
            lambda: dl.nn.InstanceNorm2d(5, affine=True)(IMAGE[0]),
            ValueError,
            "InstanceNorm2d: x must have 5 channels",
        ),
        (lambda: dl.nn.GroupNorm(2, 4)(IMAGE), ValueError, "GroupNorm: x must have 4"),
        (
            lambda: dl.interpolate(IMAGE, size=4, scale_factor=2),
            ValueError,
            "size and scale_factor must not both be given",
        ),
        (lambda: dl.interpolate([1.0], 4), TypeError, "input must be a NumPy array"),
        (lambda: dl.interpolate(IMAGE > 0, 4), TypeError, "input must be float32 or"),
        (lambda: dl.grid_sample(IMAGE > 0, ONES), TypeError, "input must be float32"),
        (
            lambda: dl.cross_entropy(SCORES, np.eye(3)[CLASSES]),
            TypeError,
            r"input and target must have one dtype, .* target.astype\('float32'\)",
        ),
        (
            lambda: dl.cross_entropy(SCORES, np.eye(3, dtype=int)[CLASSES]),
            ValueError,
            r"probabilities must be floats, target.astype\(input.dtype\)",
        ),
        (
            lambda: dl.cross_entropy(SCORES, CLASSES.astype("f4")),
            TypeError,
            r"of class numbers must be int64 or int32, .* target.astype\('int64'\)",
        ),
        (lambda: Adam(MODEL), TypeError, r"got Linear: pass model.parameters\(\)"),
        (lambda: Adam([MODEL]), TypeError, r"got Linear: pass model.parameters\(\)"),
        (lambda: Adam(MODEL.parameters), TypeError, "got method: call it"),
        (lambda: Adam(MODEL.named_parameters()), TypeError, "pass model.parameters"),
        (lambda: Adam(None), TypeError, "must be a list of Tensors, got NoneType"),
        (lambda: Adam([TENSOR], lr="a"), TypeError, "lr must be a number, got str"),
        (lambda: Adam([TENSOR], betas=0.9), TypeError, "two numbers, got 0.9"),
        (
            lambda: Adam([TENSOR], betas="ab"),
            TypeError,
            "betas must be a number",
        ),
        (
            lambda: SGD([TENSOR], 0.1, "a"),
            TypeError,
            "momentum must be a number",
        ),
        (lambda: MODEL.to("cuda"), TypeError, "'cpu', the only device, got 'cuda'"),
        (lambda: MODEL.to(3), TypeError, "must be a dtype or 'cpu'"),
        (lambda: TENSOR.to("cuda"), TypeError, "'cpu', the only device, got 'cuda'"),
        (
            lambda: dl.count_flops(MODEL),
            TypeError,
            r"count_flops: .* got 0 \(missing .* 'x'\): count_flops\(model, x\)",
        ),
        (lambda: dl.count_flops(3), TypeError, "must be a Module or callable, got int"),
        (lambda: dl.models.resnet18(small=1), TypeError, "resnet18.* argument 'small'"),
        (lambda: np.cbrt(TENSOR), TypeError, r"np.cbrt: .* x.detach\(\).numpy\(\)"),
        (lambda: np.add.reduce(TENSOR), TypeError, "np.add.reduce: must not be given"),
        (lambda: add_in_place(ONES), TypeError, "write array = array . tensor"),
        (
            lambda: dl.float32,
            AttributeError,
            "'float32': dtypes are NumPy's",
        ),
        (lambda: dl.device, AttributeError, "ops run on the CPU: for GPUs see dl.cuda"),
        (lambda: MODEL.cuda(), AttributeError, "'Linear' object .* ops run on the CPU"),
        (lambda: TENSOR.cuda(), AttributeError, "ops run on the CPU"),
        (lambda: dl.concat, AttributeError, "'concat': write dl.cat$"),
        (lambda: TENSOR.absolute(), AttributeError, "'absolute': write .abs$"),
        (lambda: dl.amp, AttributeError, r"write dl.autocast\('bfloat16'\); no GradSc"),
        (lambda: TENSOR.inner, AttributeError, "'inner': write x @ y.mT$"),
        (lambda: dl.compile, AttributeError, r"write dl.optimize\(model\)"),
        (lambda: dl.jit, AttributeError, r"write dl.optimize\(model\)"),
        (lambda: dl.bfloat16, AttributeError, "write 'bfloat16'$"),
        (lambda: dl.half, AttributeError, "write 'bfloat16'$"),
        (lambda: TENSOR.to("cpu", "cuda"), TypeError, "'cpu', the only device, got"),
        (lambda: dl.Relu, AttributeError, "'Relu': did you mean dl.relu.$"),
        (lambda: dl.nn.Relu, AttributeError, "'Relu': did you mean nn.ReLU.$"),
        (lambda: dl.nn.Dense, AttributeError, "'Dense': write nn.Linear$"),
        (lambda: dl.nn.LazyLinear, AttributeError, "nn.Linear, with the number of in"),
        (lambda: dl.init.normal, AttributeError, "did you mean init.normal_.$"),
        (lambda: dl.optim.adamw, AttributeError, "did you mean optim.AdamW.$"),
        (lambda: dl.nn.functional.upsample, AttributeError, "functional.interpolate$"),
        (lambda: dl.nn.Parameter(ONES).multiply, AttributeError, "write .mul$"),
        (lambda: TENSOR.median(), AttributeError, "NumPy has it: np.median, of x.deta"),
        (lambda: TENSOR.qwertyuiop, AttributeError, "no attribute 'qwertyuiop'$"),
        (
            lambda: dl.stft(np.zeros(99, np.int16), 8),
            TypeError,
            r"got int16: pass \(input / 2\*\*15\).astype\('float32'\)",
        ),
        (
            lambda: dl.io.save_checkpoint("run.pt", model=MODEL),
            ValueError,
            "path must not end as another format's does, .* end it in .safetensors",
        ),
        (
            lambda: dl.io.save_checkpoint("run.safetensors", MODEL),
            TypeError,
            "each part must have a name: save_checkpoint.path, model=model",
        ),
        (
            lambda: np.linalg.norm(dl.Tensor(ONES, requires_grad=True)),
            RuntimeError,
            r"np.norm: .* call dl.norm, or pass x.detach\(\)",
        ),
        (lambda: dl.save(MODEL), AttributeError, r"dl.io.save\(path, model.state_dict"),
        (
            lambda: dl.nn.BatchNorm2d(3)([[1.0]]),
            TypeError,
            "BatchNorm2d: x must be a",
        ),
        (
            lambda: dl.cross_entropy(SCORES, SCORES, weight=[1, 1, 1]),
            TypeError,
            "cross_entropy: weight must be a NumPy array or a Tensor, got list",
        ),
        (
            lambda: dl.cross_entropy(SCORES, SCORES, weight=np.ones(3)),
            TypeError,
            "cross_entropy: input and weight must have one dtype",
        ),
        (
            lambda: dl.cross_entropy(SCORES, SCORES, label_smoothing=2),
            ValueError,
            "label_smoothing must be from 0 to 1, got 2",
        ),
        (
            lambda: dl.testing.gradcheck(dl.add, (ONES, ONES)),
            TypeError,
            "pass them one by one",
        ),
        (
            lambda: dl.testing.gradcheck(lambda x: (x, x), ONES),
            TypeError,
            "must return a Tensor, got tuple",
        ),
        (
            lambda: dl.testing.gradcheck(lambda x: 1.0, ONES),
            TypeError,
            "must return a Tensor, got float",
        ),
        (
            lambda: dl.testing.gradcheck(lambda x: x * x.detach(), ONES),
            AssertionError,
            r"at \(2,\): got 0",
        ),
    ],
)
def test_answers(call, exception, message):
    with pytest.raises(exception, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_losses_are_arrays_that_ops_take():
    scores, target = np.ones((2, 3), np.float32), np.array([0, 1])
    losses = (
        dl.cross_entropy(scores, target),
        dl.nll_loss(scores, target),
        dl.mse_loss(scores, scores),
    )
    for loss in (*losses, dl.sum(scores), dl.mean(scores)):
        assert type(loss) is np.ndarray and loss.shape == ()
        assert abs(dl.exp(loss) - np.exp(loss)) < 1e-3


def test_scalars_of_numpy_are_arrays_without_axes():
    for kind in (np.float32, np.float64):
        y = dl.relu(kind(2))
        assert type(y) is np.ndarray and y.shape == () and y.dtype == kind and y == 2
    assert dl.reshape(np.float32(1), (1, 1)).shape == (1, 1)
    with pytest.raises(TypeError, match="must be float32 or float64, got float16"):
        dl.relu(np.float16(1))


def test_astype_is_to():
    assert TENSOR.astype("float64").dtype == np.float64


def test_everything_is_on_the_cpu():
    assert TENSOR.to("cpu") is TENSOR and MODEL.to("cpu") is MODEL


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.exp(x),
        lambda x: np.abs(x),
        lambda x: np.power(x, 3.0),
        lambda x: np.maximum(np.ones(3), x),
        lambda x: np.matmul(x, np.ones(3)),
        lambda x: np.ones(3) - x,
        lambda x: np.float64(2) / x,
    ],
)
def test_functions_of_numpy_record_a_gradient(call):
    x = np.array([0.5, 2.0, -3.0])
    assert dl.testing.gradcheck(call, x)
    y = call(dl.Tensor(x))
    assert type(y) is dl.Tensor
    dl.testing.assert_close(y.data, call(x))


def test_comparisons_with_an_array_give_tensors():
    for y in (ONES == TENSOR, ONES < TENSOR, np.isnan(TENSOR)):
        assert type(y) is dl.Tensor and y.dtype == bool


def test_capitals_of_an_instruction_set():
    before = dl.get_isa()
    try:
        dl.set_isa("BASELINE")
        assert dl.get_isa() == "baseline"
    finally:
        dl.set_isa(before)


def test_repr_after_backward_names_the_op():
    loss = dl.relu(dl.Tensor(ONES, requires_grad=True)).sum()
    before = repr(loss)
    loss.backward()
    assert repr(loss) == before == "tensor(3., grad_fn=<sum>)"


def test_names_of_the_package():
    names = dir(dl)
    assert names == sorted(dl.__all__) and all(hasattr(dl, name) for name in names)
    assert {"relu", "Tensor", "no_grad", "nn", "data", "optim", "testing"} < set(names)
    assert not {"ops", "convert", "grad_mode", "runtime"} & set(names)
    assert dir(dl.testing) == ["assert_close", "gradcheck", "gradgradcheck"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, KeyError])
def test_what_an_argument_raises_goes_on(error):
    class Odd:
        def __index__(self):
            raise error

        __bool__ = __float__ = __index__

    for call in (
        lambda: dl.sum(np.ones(3), Odd()),
        lambda: dl.sum(np.ones(3), 0, Odd()),
        lambda: dl.leaky_relu(np.ones(3), Odd()),
    ):
        with pytest.raises(error):
            call()


def test_tensors_of_pytorch_are_answered(torch):
    for call in (lambda x: dl.relu(x), MODEL):
        with pytest.raises(TypeError, match=r"got Tensor: pass x.numpy\(\)$"):
            call(torch.ones(3))
    for thing in (MODEL, TENSOR):
        assert thing.to(torch.float32) is thing
        with pytest.raises(TypeError, match=r"must be .*, got (torch\.)?complex64"):
            thing.to(torch.complex64)
    dl.autocast("cpu", torch.bfloat16)
