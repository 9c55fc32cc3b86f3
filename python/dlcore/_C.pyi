# The compiled module, private: the functions of dlcore/ops check nothing, these do.
# tests/test_package.py compares names and parameters with the module.

from collections.abc import Callable, Sequence
from typing import Any

from numpy import ndarray

__version__: str
compiler: str

class ShortWay:
    def __init__(self, binding: Callable[..., Any], function: Callable[..., Any]): ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

def open_short_ways(yes: bool) -> None: ...
def isa() -> str: ...
def has_bf16() -> bool: ...
def has_int8() -> bool: ...
def isas() -> list[str]: ...
def built_isas() -> list[str]: ...
def set_isa(name: str) -> None: ...
def add_target(name: int, fill: int, bytes: int) -> None: ...
def num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def usable_cpus() -> int: ...
def usable_memory() -> int: ...
def cgroup_quota(groups: str, root: str) -> tuple[float, float]: ...
def cpu_name() -> str: ...
def cache_bytes(level: int) -> int: ...
def cached_bytes() -> int: ...
def cache_limit() -> int: ...
def set_cache_limit(nbytes: int) -> None: ...
def winograd() -> bool: ...
def set_winograd(enabled: bool) -> None: ...
def empty_cache() -> None: ...
def relu_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def sigmoid_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def tanh_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def gelu_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def gelu_tanh_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def silu_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def relu6_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def relu6_backward(y: ndarray, dy: ndarray) -> ndarray: ...
def leaky_relu_forward(
    x: ndarray, negative_slope: float, out: ndarray | None = None
) -> ndarray: ...
def relu_backward(y: ndarray, dy: ndarray) -> ndarray: ...
def sigmoid_backward(y: ndarray, dy: ndarray) -> ndarray: ...
def tanh_backward(y: ndarray, dy: ndarray) -> ndarray: ...
def gelu_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def gelu_tanh_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def silu_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def leaky_relu_backward(x: ndarray, dy: ndarray, negative_slope: float) -> ndarray: ...
def selu_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def selu_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def logsigmoid_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def logsigmoid_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def mish_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def mish_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def hardsigmoid_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def hardsigmoid_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def hardswish_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def hardswish_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def softsign_forward(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def softsign_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def elu_forward(
    x: ndarray, alpha: float = 1.0, out: ndarray | None = None
) -> ndarray: ...
def elu_backward(x: ndarray, dy: ndarray, alpha: float = 1.0) -> ndarray: ...
def celu_forward(
    x: ndarray, alpha: float = 1.0, out: ndarray | None = None
) -> ndarray: ...
def celu_backward(x: ndarray, dy: ndarray, alpha: float = 1.0) -> ndarray: ...
def softshrink_forward(
    x: ndarray, lambd: float = 0.5, out: ndarray | None = None
) -> ndarray: ...
def softshrink_backward(x: ndarray, dy: ndarray, lambd: float = 0.5) -> ndarray: ...
def hardshrink_forward(
    x: ndarray, lambd: float = 0.5, out: ndarray | None = None
) -> ndarray: ...
def hardshrink_backward(x: ndarray, dy: ndarray, lambd: float = 0.5) -> ndarray: ...
def step_forward(
    x: ndarray, threshold: float = 0.0, out: ndarray | None = None
) -> ndarray: ...
def step_backward(x: ndarray, dy: ndarray, threshold: float = 0.0) -> ndarray: ...
def softplus_forward(
    x: ndarray, beta: float = 1.0, threshold: float = 20.0, out: ndarray | None = None
) -> ndarray: ...
def softplus_backward(
    x: ndarray, dy: ndarray, beta: float = 1.0, threshold: float = 20.0
) -> ndarray: ...
def threshold_forward(
    x: ndarray, threshold: float = 0.0, value: float = 0.0, out: ndarray | None = None
) -> ndarray: ...
def threshold_backward(
    x: ndarray, dy: ndarray, threshold: float = 0.0, value: float = 0.0
) -> ndarray: ...
def hardtanh_forward(
    x: ndarray, min_val: float = -1.0, max_val: float = 1.0, out: ndarray | None = None
) -> ndarray: ...
def hardtanh_backward(
    x: ndarray, dy: ndarray, min_val: float = -1.0, max_val: float = 1.0
) -> ndarray: ...
def glu_forward(x: ndarray, dim: int = -1, out: ndarray | None = None) -> ndarray: ...
def glu_backward(x: ndarray, dy: ndarray, dim: int = -1) -> ndarray: ...
def geglu_forward(x: ndarray, dim: int = -1, out: ndarray | None = None) -> ndarray: ...
def geglu_backward(x: ndarray, dy: ndarray, dim: int = -1) -> ndarray: ...
def geglu_tanh_forward(
    x: ndarray, dim: int = -1, out: ndarray | None = None
) -> ndarray: ...
def geglu_tanh_backward(x: ndarray, dy: ndarray, dim: int = -1) -> ndarray: ...
def swiglu_forward(
    x: ndarray, dim: int = -1, out: ndarray | None = None
) -> ndarray: ...
def swiglu_backward(x: ndarray, dy: ndarray, dim: int = -1) -> ndarray: ...
def reglu_forward(x: ndarray, dim: int = -1, out: ndarray | None = None) -> ndarray: ...
def reglu_backward(x: ndarray, dy: ndarray, dim: int = -1) -> ndarray: ...
def prelu_forward(
    x: ndarray, weight: ndarray, out: ndarray | None = None
) -> ndarray: ...
def prelu_backward(
    x: ndarray, weight: ndarray, dy: ndarray
) -> tuple[ndarray, ndarray]: ...
def scaled_dot_product_attention_forward(
    query: ndarray,
    key: ndarray,
    value: ndarray,
    attn_mask: ndarray | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
) -> tuple[ndarray, ndarray, int, int]: ...
def scaled_dot_product_attention_backward(
    query: ndarray,
    key: ndarray,
    value: ndarray,
    attn_mask: ndarray | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
    y: ndarray,
    lse: ndarray,
    seed: int,
    offset: int,
    dy: ndarray,
    wants_mask: bool,
    packed: bool,
) -> tuple[ndarray, ndarray | None, ndarray | None, ndarray | None]: ...
def additive_scores_forward(
    query: ndarray, key: ndarray, weight: ndarray
) -> ndarray: ...
def additive_scores_backward(
    query: ndarray, key: ndarray, weight: ndarray, ds: ndarray
) -> tuple[ndarray, ndarray, ndarray]: ...
def rotary_embedding(
    x: ndarray, cos: ndarray, sin: ndarray, interleaved: bool, back: bool
) -> ndarray: ...
def layer_norm_forward(
    x: ndarray,
    normalized_shape: int | tuple[int, ...],
    weight: ndarray | None,
    bias: ndarray | None,
    eps: float,
    residual: ndarray | None = None,
) -> tuple[ndarray, ndarray, ndarray, ndarray | None]: ...
def rms_norm_forward(
    x: ndarray,
    normalized_shape: int | tuple[int, ...],
    weight: ndarray | None,
    eps: float | None,
    residual: ndarray | None = None,
) -> tuple[ndarray, ndarray, ndarray | None]: ...
def layer_norm_backward(
    x: ndarray,
    dy: ndarray,
    normalized_shape: int | tuple[int, ...],
    weight: ndarray | None,
    mean: ndarray | None,
    rstd: ndarray,
    has_bias: bool,
) -> tuple[ndarray, ndarray | None, ndarray | None]: ...
def batch_norm_forward(
    x: ndarray,
    running_mean: ndarray | None,
    running_var: ndarray | None,
    weight: ndarray | None,
    bias: ndarray | None,
    training: bool,
    momentum: float,
    eps: float,
    residual: ndarray | None,
    activation: str | None,
) -> tuple[ndarray, ndarray, ndarray]: ...
def batch_norm_backward(
    x: ndarray,
    dy: ndarray,
    weight: ndarray | None,
    bias: ndarray | None,
    mean: ndarray,
    rstd: ndarray,
    training: bool,
    activation: str | None,
    y: ndarray | None,
    want_dresidual: bool,
) -> tuple[ndarray, ndarray | None, ndarray | None, ndarray | None]: ...
def instance_norm_forward(
    x: ndarray,
    running_mean: ndarray | None,
    running_var: ndarray | None,
    weight: ndarray | None,
    bias: ndarray | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
) -> tuple[ndarray, ndarray, ndarray]: ...
def group_norm_forward(
    x: ndarray,
    num_groups: int,
    weight: ndarray | None,
    bias: ndarray | None,
    eps: float,
) -> tuple[ndarray, ndarray, ndarray]: ...
def group_norm_backward(
    x: ndarray,
    dy: ndarray,
    num_groups: int,
    weight: ndarray | None,
    bias: ndarray | None,
    mean: ndarray,
    rstd: ndarray,
) -> tuple[ndarray, ndarray | None, ndarray | None, None]: ...
def local_norm_forward(
    x: ndarray,
    size: int,
    alpha: float,
    beta: float,
    k: float,
    out: ndarray | None = None,
) -> ndarray: ...
def local_norm_backward(
    x: ndarray, dy: ndarray, size: int, alpha: float, beta: float, k: float
) -> ndarray: ...
def dropout_forward(x: ndarray, p: float, out: ndarray | None = None) -> ndarray: ...
def dropout_backward(dy: ndarray, p: float, seed: int, offset: int) -> ndarray: ...
def alpha_dropout_forward(
    x: ndarray, p: float, out: ndarray | None = None
) -> ndarray: ...
def alpha_dropout_backward(
    dy: ndarray, p: float, seed: int, offset: int
) -> ndarray: ...
def add(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray: ...
def sub(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray: ...
def mul(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray: ...
def div(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray: ...
def maximum(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray: ...
def minimum(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray: ...
def maximum_slope(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray: ...
def pow(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray: ...
def exp(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def expm1(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def log(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def log1p(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def erf(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def sqrt(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def rsqrt(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def reciprocal(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def square(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def abs(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def neg(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def sign(x: ndarray, out: ndarray | None = None) -> ndarray: ...
def clip(x: ndarray, min: float, max: float, out: ndarray | None = None) -> ndarray: ...
def expm1_backward(y: ndarray, dy: ndarray) -> ndarray: ...
def log1p_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def eq(a: ndarray | float, b: ndarray | float) -> ndarray: ...
def ne(a: ndarray | float, b: ndarray | float) -> ndarray: ...
def lt(a: ndarray | float, b: ndarray | float) -> ndarray: ...
def le(a: ndarray | float, b: ndarray | float) -> ndarray: ...
def gt(a: ndarray | float, b: ndarray | float) -> ndarray: ...
def ge(a: ndarray | float, b: ndarray | float) -> ndarray: ...
def isnan(x: ndarray) -> ndarray: ...
def isinf(x: ndarray) -> ndarray: ...
def isfinite(x: ndarray) -> ndarray: ...
def where(condition: ndarray, x: ndarray | float, y: ndarray | float) -> ndarray: ...
def erf_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def sqrt_backward(y: ndarray, dy: ndarray) -> ndarray: ...
def rsqrt_backward(y: ndarray, dy: ndarray) -> ndarray: ...
def reciprocal_backward(y: ndarray, dy: ndarray) -> ndarray: ...
def square_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def abs_backward(x: ndarray, dy: ndarray) -> ndarray: ...
def clip_backward(x: ndarray, dy: ndarray, min: float, max: float) -> ndarray: ...
def probe_fma(chunks: int, wide: bool = False) -> float: ...
def probe_read(x: ndarray) -> None: ...
def probe_copy(x: ndarray, out: ndarray, past_caches: bool) -> ndarray: ...
def random_state() -> tuple[int, int]: ...
def set_random_state(seed: int, offset: int) -> None: ...
def uniform(
    low: float, high: float, size: int | tuple[int, ...], is_double: bool
) -> ndarray: ...
def normal(
    mean: float, std: float, size: int | tuple[int, ...], is_double: bool
) -> ndarray: ...
def bernoulli(p: ndarray, size: int | tuple[int, ...]) -> ndarray: ...
def randint(low: int, high: int, size: int | tuple[int, ...]) -> ndarray: ...
def randperm(n: int) -> ndarray: ...
def random_bits(n: int, seed: int, offset: int, stream: int) -> ndarray: ...
def conv1d_forward(
    x: ndarray,
    weight: ndarray,
    bias: ndarray | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]] | str,
    dilation: int | Sequence[int],
    groups: int,
    activation: str | None,
    residual: ndarray | None,
    negative_slope: float,
    out: ndarray | None = None,
    packed: ndarray | None = None,
    low: bool = False,
) -> ndarray: ...
def conv1d_backward(
    dy: ndarray,
    x: ndarray,
    weight: ndarray,
    need_dx: bool,
    need_dw: bool,
    need_db: bool,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]] | str,
    dilation: int | Sequence[int],
    groups: int,
    low: bool = False,
) -> tuple[ndarray | None, ndarray | None, ndarray | None]: ...
def conv2d_forward(
    x: ndarray,
    weight: ndarray,
    bias: ndarray | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]] | str,
    dilation: int | Sequence[int],
    groups: int,
    activation: str | None,
    residual: ndarray | None,
    negative_slope: float,
    out: ndarray | None = None,
    packed: ndarray | None = None,
    low: bool = False,
) -> ndarray: ...
def conv2d_pack(
    x: ndarray,
    weight: ndarray,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]] | str,
    dilation: int | Sequence[int],
    groups: int,
) -> ndarray | None: ...
def conv2d_backward(
    dy: ndarray,
    x: ndarray,
    weight: ndarray,
    need_dx: bool,
    need_dw: bool,
    need_db: bool,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]] | str,
    dilation: int | Sequence[int],
    groups: int,
    low: bool = False,
) -> tuple[ndarray | None, ndarray | None, ndarray | None]: ...
def conv3d_forward(
    x: ndarray,
    weight: ndarray,
    bias: ndarray | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]] | str,
    dilation: int | Sequence[int],
    groups: int,
    activation: str | None,
    residual: ndarray | None,
    negative_slope: float,
    out: ndarray | None = None,
    packed: ndarray | None = None,
    low: bool = False,
) -> ndarray: ...
def conv3d_backward(
    dy: ndarray,
    x: ndarray,
    weight: ndarray,
    need_dx: bool,
    need_dw: bool,
    need_db: bool,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]] | str,
    dilation: int | Sequence[int],
    groups: int,
    low: bool = False,
) -> tuple[ndarray | None, ndarray | None, ndarray | None]: ...
def conv_transpose1d_forward(
    x: ndarray,
    weight: ndarray,
    bias: ndarray | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]],
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    out: ndarray | None = None,
) -> ndarray: ...
def conv_transpose1d_backward(
    dy: ndarray,
    x: ndarray,
    weight: ndarray,
    need_dx: bool,
    need_dw: bool,
    need_db: bool,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]],
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> tuple[ndarray | None, ndarray | None, ndarray | None]: ...
def conv_transpose2d_forward(
    x: ndarray,
    weight: ndarray,
    bias: ndarray | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]],
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    out: ndarray | None = None,
) -> ndarray: ...
def conv_transpose2d_backward(
    dy: ndarray,
    x: ndarray,
    weight: ndarray,
    need_dx: bool,
    need_dw: bool,
    need_db: bool,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]],
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> tuple[ndarray | None, ndarray | None, ndarray | None]: ...
def conv_transpose3d_forward(
    x: ndarray,
    weight: ndarray,
    bias: ndarray | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]],
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    out: ndarray | None = None,
) -> ndarray: ...
def conv_transpose3d_backward(
    dy: ndarray,
    x: ndarray,
    weight: ndarray,
    need_dx: bool,
    need_dw: bool,
    need_db: bool,
    stride: int | Sequence[int],
    padding: int | Sequence[int | Sequence[int]],
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> tuple[ndarray | None, ndarray | None, ndarray | None]: ...
def im2col(
    x: ndarray,
    kernel_size: int | tuple[int, int],
    dilation: int | tuple[int, int],
    padding: ndarray,
    stride: int | tuple[int, int],
    out: ndarray | None = None,
) -> ndarray: ...
def col2im(
    cols: ndarray,
    output_size: int | tuple[int, int],
    kernel_size: int | tuple[int, int],
    dilation: int | tuple[int, int],
    padding: ndarray,
    stride: int | tuple[int, int],
    out: ndarray | None = None,
) -> ndarray: ...
def max_pool_forward(
    op: str,
    dims: int,
    x: ndarray,
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: bool,
    lowest: bool,
    keep_taps: bool,
    return_indices: bool,
) -> tuple[ndarray, ndarray | None, ndarray | None]: ...
def max_pool_backward(
    op: str,
    dims: int,
    dy: ndarray,
    taps: ndarray,
    x: ndarray,
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: bool,
) -> ndarray: ...
def adaptive_max_pool_forward(
    op: str,
    dims: int,
    x: ndarray,
    output_size: object,
    keep_taps: bool,
    return_indices: bool,
) -> tuple[ndarray, ndarray | None, ndarray | None]: ...
def adaptive_max_pool_backward(
    op: str, dims: int, dy: ndarray, taps: ndarray, x: ndarray, output_size: object
) -> ndarray: ...
def max_unpool_forward(
    op: str, dims: int, x: ndarray, indices: ndarray, output_size: Sequence[int]
) -> tuple[ndarray, ndarray]: ...
def max_unpool_backward(
    op: str,
    dims: int,
    dy: ndarray,
    indices: ndarray,
    x: ndarray,
    output_size: Sequence[int],
) -> ndarray: ...
def avg_pool_forward(
    op: str,
    dims: int,
    x: ndarray,
    kernel_size: object,
    stride: object,
    padding: object,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    out: ndarray | None = None,
) -> ndarray: ...
def avg_pool_backward(
    op: str,
    dims: int,
    dy: ndarray,
    x: ndarray,
    kernel_size: object,
    stride: object,
    padding: object,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> ndarray: ...
def adaptive_avg_pool_forward(
    op: str,
    dims: int,
    x: ndarray,
    output_size: object,
    out: ndarray | None = None,
) -> ndarray: ...
def adaptive_avg_pool_backward(
    op: str, dims: int, dy: ndarray, x: ndarray, output_size: object
) -> ndarray: ...
def lp_pool_forward(
    op: str,
    dims: int,
    x: ndarray,
    norm_type: float,
    kernel_size: object,
    stride: object,
    ceil_mode: bool,
) -> ndarray: ...
def lp_pool_backward(
    op: str,
    dims: int,
    dy: ndarray,
    y: ndarray,
    x: ndarray,
    norm_type: float,
    kernel_size: object,
    stride: object,
    ceil_mode: bool,
) -> ndarray: ...
def pad_forward(x: ndarray, pad: Sequence[int], mode: str, value: float) -> ndarray: ...
def pad_backward(
    dy: ndarray, shape: Sequence[int], pad: Sequence[int], mode: str
) -> ndarray: ...
def resize_forward(
    x: ndarray,
    size: Sequence[int],
    scales: Sequence[float],
    mode: str,
    align_corners: bool,
    antialias: bool,
) -> ndarray: ...
def resize_backward(
    dy: ndarray,
    shape: Sequence[int],
    size: Sequence[int],
    scales: Sequence[float],
    mode: str,
    align_corners: bool,
    antialias: bool,
) -> ndarray: ...
def pixel_shuffle(x: ndarray, upscale_factor: int) -> ndarray: ...
def pixel_unshuffle(x: ndarray, downscale_factor: int) -> ndarray: ...
def channel_shuffle(x: ndarray, groups: int) -> ndarray: ...
def grid_sample_forward(
    x: ndarray, grid: ndarray, mode: str, padding_mode: str, align_corners: bool
) -> ndarray: ...
def grid_sample_backward(
    dy: ndarray,
    x: ndarray,
    grid: ndarray,
    need_dx: bool,
    need_dgrid: bool,
    mode: str,
    padding_mode: str,
    align_corners: bool,
) -> tuple[ndarray | None, ndarray | None]: ...
def expand(a: ndarray, shape: Sequence[int]) -> ndarray: ...
def sum(
    x: ndarray, dim: object = None, keepdim: bool = False, out: ndarray | None = None
) -> ndarray: ...
def mean(
    x: ndarray, dim: object = None, keepdim: bool = False, out: ndarray | None = None
) -> ndarray: ...
def prod(
    x: ndarray, dim: object = None, keepdim: bool = False, out: ndarray | None = None
) -> ndarray: ...
def amax(
    x: ndarray, dim: object = None, keepdim: bool = False, out: ndarray | None = None
) -> ndarray: ...
def amin(
    x: ndarray, dim: object = None, keepdim: bool = False, out: ndarray | None = None
) -> ndarray: ...
def sum_abs(x: ndarray, dim: object, keepdim: bool) -> ndarray: ...
def sum_squares(x: ndarray, dim: object, keepdim: bool) -> ndarray: ...
def var(x: ndarray, dim: object, correction: float, keepdim: bool) -> ndarray: ...
def argmax(x: ndarray, dim: object = None, keepdim: bool = False) -> ndarray: ...
def argmin(x: ndarray, dim: object = None, keepdim: bool = False) -> ndarray: ...
def matmul(
    a: ndarray, b: ndarray, out: ndarray | None = None, low: bool = False
) -> ndarray: ...
def addmm(
    op: str,
    ndim: int,
    input: ndarray | None,
    a: ndarray,
    b: ndarray,
    beta: float,
    alpha: float,
    out: ndarray | None = None,
    low: bool = False,
) -> ndarray: ...
def linear_forward(
    x: ndarray,
    weight: ndarray,
    bias: ndarray | None,
    residual: ndarray | None,
    activation: str | None,
    negative_slope: float,
    keep: bool,
    low: bool = False,
) -> tuple[ndarray, ndarray | None]: ...
def linear_backward(
    x: ndarray,
    weight: ndarray,
    kept: ndarray | None,
    dy: ndarray,
    activation: str | None,
    want_dx: bool,
    want_dw: bool,
    want_db: bool,
    low: bool = False,
) -> tuple[ndarray | None, ndarray | None, ndarray | None, ndarray]: ...
def linear_int8(
    x: ndarray, panels: ndarray, scale: ndarray, sum: ndarray, bias: ndarray | None
) -> ndarray: ...
def lstm_int8(
    gates: ndarray,
    panels: ndarray,
    scale: ndarray,
    sum: ndarray,
    h: ndarray,
    c: ndarray,
    first: list[int],
    reverse: bool,
) -> tuple[ndarray, ndarray, ndarray]: ...
def take_rows(
    op: str, x_name: str, index_name: str, x: ndarray, dim: int, index: ndarray
) -> tuple[ndarray, ndarray]: ...
def add_rows(
    op: str,
    source: ndarray,
    dim: int,
    index: ndarray,
    input: ndarray | int,
    alpha: float = 1.0,
    padding: int = -1,
    mean: bool = False,
) -> ndarray: ...
def sum_rows(
    op: str, source: ndarray, index: ndarray, rows: int, padding: int, mean: bool
) -> tuple[ndarray, ndarray]: ...
def put_rows(
    op: str, name: str, table: ndarray, index: ndarray, rows: ndarray
) -> None: ...
def gather(
    op: str, input: ndarray, dim: int, index: ndarray
) -> tuple[ndarray, ndarray]: ...
def scatter(
    op: str,
    input: ndarray | int,
    dim: int,
    index: ndarray,
    src: ndarray | float,
    add: bool,
    may_skip: bool = False,
) -> ndarray: ...
def sort(
    op: str, x: ndarray, dim: int, descending: bool, values: bool
) -> tuple[ndarray | None, ndarray]: ...
def topk(x: ndarray, k: int, dim: int, largest: bool) -> tuple[ndarray, ndarray]: ...
def cumsum(x: ndarray, dim: int, reversed: bool) -> ndarray: ...
def cumprod_forward(x: ndarray, dim: int) -> ndarray: ...
def cumprod_backward(x: ndarray, y: ndarray, dy: ndarray, dim: int) -> ndarray: ...
def one_hot(x: ndarray, num_classes: int) -> ndarray: ...
def embedding_bag_forward(
    weight: ndarray,
    input: ndarray,
    offsets: ndarray | None,
    mode: str,
    per_sample_weights: ndarray | None,
    include_last_offset: bool,
    padding_idx: int,
) -> tuple[ndarray, ndarray | None]: ...
def embedding_bag_backward(
    dy: ndarray,
    rows: int,
    input: ndarray,
    offsets: ndarray | None,
    mode: str,
    per_sample_weights: ndarray | None,
    include_last_offset: bool,
    padding_idx: int,
    sparse: bool,
) -> ndarray | tuple[ndarray, ndarray]: ...
def embedding_bag_backward_scale(
    weight: ndarray,
    dy: ndarray,
    input: ndarray,
    offsets: ndarray | None,
    include_last_offset: bool,
    padding_idx: int,
) -> ndarray: ...
def softmax_forward(
    x: ndarray, dim: int = -1, out: ndarray | None = None
) -> ndarray: ...
def softmax_backward(y: ndarray, dy: ndarray, dim: int) -> ndarray: ...
def log_softmax_forward(
    x: ndarray, dim: int = -1, out: ndarray | None = None
) -> ndarray: ...
def log_softmax_backward(y: ndarray, dy: ndarray, dim: int) -> ndarray: ...
def cross_entropy_forward(
    input: ndarray,
    target: ndarray,
    weight: ndarray | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    gradient: bool,
) -> tuple[ndarray, ndarray, float, ndarray | None]: ...
def cross_entropy_backward(
    input: ndarray,
    target: ndarray,
    weight: ndarray | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    normalizer: ndarray,
    denominator: float,
    dy: ndarray,
) -> ndarray: ...
def nll_loss_forward(
    input: ndarray,
    target: ndarray,
    weight: ndarray | None,
    ignore_index: int,
    reduction: str,
) -> tuple[ndarray, float]: ...
def nll_loss_backward(
    input: ndarray,
    target: ndarray,
    weight: ndarray | None,
    ignore_index: int,
    reduction: str,
    denominator: float,
    dy: ndarray,
) -> ndarray: ...
def mse_loss(input: ndarray, target: ndarray, reduction: str = ...) -> ndarray: ...
def half_mse_loss(input: ndarray, target: ndarray, reduction: str = ...) -> ndarray: ...
def l1_loss(input: ndarray, target: ndarray, reduction: str = ...) -> ndarray: ...
def msle_loss(input: ndarray, target: ndarray, reduction: str = ...) -> ndarray: ...
def log_cosh_loss(input: ndarray, target: ndarray, reduction: str = ...) -> ndarray: ...
def element_loss_forward(
    op: str,
    input: ndarray,
    target: ndarray,
    other: ndarray | None,
    weight: ndarray | None,
    numbers: Sequence[float],
    reduction: str,
    count: float | None,
    wanted: Sequence[bool],
) -> tuple[ndarray, tuple[ndarray | None, ndarray | None, ndarray | None]]: ...
def element_loss_backward(
    op: str,
    input: ndarray,
    target: ndarray,
    other: ndarray | None,
    weight: ndarray | None,
    numbers: Sequence[float],
    reduction: str,
    count: float | None,
    wanted: Sequence[bool],
    dy: ndarray,
) -> tuple[ndarray | None, ndarray | None, ndarray | None]: ...
def frame(x: ndarray, window: ndarray, hop_length: int) -> ndarray: ...
def overlap_add(
    frames: ndarray, window: ndarray, hop_length: int, length: int
) -> ndarray: ...
def window_sum(
    window: ndarray, hop_length: int, frames: int, length: int
) -> ndarray: ...
def empty(rows: int, columns: int, is_double: bool) -> ndarray: ...
def pair_power_forward(x: ndarray, root: bool) -> ndarray: ...
def pair_power_backward(x: ndarray, y: ndarray, dy: ndarray, root: bool) -> ndarray: ...
def ctc_loss(
    log_probs: ndarray,
    targets: ndarray,
    input_lengths: ndarray | Sequence[int],
    target_lengths: ndarray | Sequence[int],
    blank: int,
    reduction: str,
    zero_infinity: bool,
    gradient: bool,
) -> tuple[ndarray, ndarray | None]: ...
def ctc_greedy_decode(
    log_probs: ndarray, input_lengths: ndarray | Sequence[int] | None, blank: int
) -> tuple[ndarray, ndarray, ndarray]: ...
def ctc_beam_search(
    log_probs: ndarray,
    input_lengths: ndarray | Sequence[int] | None,
    beam_width: int,
    blank: int,
    nbest: int,
) -> tuple[ndarray, ndarray, ndarray]: ...
def sgd_step(
    params: list[ndarray],
    grads: list[ndarray],
    buffers: list[ndarray] | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> None: ...
def adam_step(
    params: list[ndarray],
    grads: list[ndarray],
    exp_avg: list[ndarray],
    exp_avg_sq: list[ndarray],
    max_exp_avg_sq: list[ndarray] | None,
    step: list[ndarray],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None: ...
def adaptive_step(
    rule: str,
    params: list[ndarray],
    grads: list[ndarray],
    state0: list[ndarray] | None,
    state1: list[ndarray] | None,
    state2: list[ndarray] | None,
    step: list[ndarray] | None,
    mu_product: list[ndarray] | None,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    rate: float,
    decoupled: bool,
    maximize: bool,
) -> None: ...
def tensor_norms(tensors: list[ndarray], norm_type: float) -> ndarray: ...
def clip_tensors(
    op: str, grads: list[ndarray], factor: float, limit: float
) -> None: ...
def box_convert(boxes: ndarray, in_fmt: str, out_fmt: str) -> ndarray: ...
def box_convert_backward(dy: ndarray, in_fmt: str, out_fmt: str) -> ndarray: ...
def box_area_forward(boxes: ndarray) -> ndarray: ...
def box_area_backward(boxes: ndarray, dy: ndarray) -> ndarray: ...
def clip_boxes_forward(boxes: ndarray, size: tuple[float, float]) -> ndarray: ...
def clip_boxes_backward(
    boxes: ndarray, dy: ndarray, size: tuple[float, float]
) -> ndarray: ...
def remove_small_boxes(boxes: ndarray, min_size: float) -> ndarray: ...
def box_iou_forward(
    name: str, boxes1: ndarray, boxes2: ndarray, eps: float
) -> ndarray: ...
def box_iou_backward(
    name: str, boxes1: ndarray, boxes2: ndarray, dy: ndarray, eps: float
) -> ndarray: ...
def box_loss_forward(
    name: str, boxes1: ndarray, boxes2: ndarray, reduction: str, eps: float
) -> ndarray: ...
def box_loss_backward(
    name: str,
    boxes1: ndarray,
    boxes2: ndarray,
    reduction: str,
    eps: float,
    dy: ndarray,
) -> ndarray: ...
def encode_boxes_forward(
    reference_boxes: ndarray, proposals: ndarray, weights: Sequence[float]
) -> ndarray: ...
def encode_boxes_backward(
    reference_boxes: ndarray,
    proposals: ndarray,
    dy: ndarray,
    weights: Sequence[float],
) -> tuple[ndarray, ndarray]: ...
def decode_boxes_forward(
    rel_codes: ndarray,
    boxes: ndarray,
    weights: Sequence[float],
    bbox_xform_clip: float,
) -> ndarray: ...
def decode_boxes_backward(
    rel_codes: ndarray,
    boxes: ndarray,
    dy: ndarray,
    weights: Sequence[float],
    bbox_xform_clip: float,
) -> tuple[ndarray, ndarray]: ...
def grid_anchors(
    cell_anchors: ndarray,
    grid_size: int | tuple[int, int],
    stride: tuple[float, float],
    offset: float,
) -> ndarray: ...
def nms(
    boxes: ndarray, scores: ndarray, idxs: ndarray | None, iou_threshold: float
) -> ndarray: ...
def soft_nms(
    boxes: ndarray,
    scores: ndarray,
    method: str,
    iou_threshold: float,
    sigma: float,
    score_threshold: float,
) -> tuple[ndarray, ndarray]: ...
def roi_align_forward(
    input: ndarray,
    boxes: ndarray,
    output_size: int | tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> ndarray: ...
def roi_align_backward(
    dy: ndarray,
    input: ndarray,
    boxes: ndarray,
    output_size: int | tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> ndarray: ...
def roi_pool_forward(
    input: ndarray,
    boxes: ndarray,
    output_size: int | tuple[int, int],
    spatial_scale: float,
    keep_places: bool,
) -> tuple[ndarray, ndarray | None]: ...
def roi_pool_backward(
    dy: ndarray,
    places: ndarray,
    input: ndarray,
    boxes: ndarray,
    output_size: int | tuple[int, int],
    spatial_scale: float,
) -> ndarray: ...
def rnn_forward(
    op: str,
    mode: str,
    x: ndarray,
    h0: ndarray | None,
    c0: ndarray | None,
    weights: Sequence[Sequence[ndarray | None]],
    batch_sizes: Sequence[int] | None,
    batch: int,
    layer: int,
    keep: bool,
    low: bool = False,
) -> tuple[ndarray, ndarray, ndarray | None, ndarray | None, ndarray | None]: ...
def rnn_backward(
    op: str,
    mode: str,
    x: ndarray,
    h0: ndarray | None,
    c0: ndarray | None,
    weights: Sequence[Sequence[ndarray | None]],
    batch_sizes: Sequence[int] | None,
    batch: int,
    y: ndarray,
    gates: ndarray | None,
    cells: ndarray | None,
    dy: ndarray | None,
    dh_n: ndarray | None,
    dc_n: ndarray | None,
    want_dx: bool,
    want_weights: Sequence[bool],
    low: bool = False,
) -> tuple[
    ndarray | None,
    ndarray,
    ndarray | None,
    tuple[tuple[ndarray | None, ...], ...],
]: ...
def place_rows(op: str, x: ndarray, index: ndarray, fill: float) -> ndarray: ...
