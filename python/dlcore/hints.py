"""What to write instead of a name that is looked for in vain."""

# PyTorch's other names, and Keras's, for what is here.
_SAME = dict(
    pair.split("=")
    for pair in """
    absolute=abs arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan
    arctan2=atan2 arctanh=atanh concat=cat hstack=cat vstack=cat subtract=sub
    multiply=mul divide=div true_divide=div negative=neg greater=gt
    greater_equal=ge less=lt less_equal=le not_equal=ne moveaxis=movedim
    swapaxes=transpose mv=matmul tensordot=einsum upsample=interpolate
    Dense=Linear RReLU=LeakyReLU SyncBatchNorm=BatchNorm2d MFCC=mfcc
    """.split()
)
_BY_NUMPY = """
    median quantile unique bincount meshgrid histogram count_nonzero cross kron diff
""".split()
_CURES = {
    "ops run on the CPU: for GPUs see dl.cuda": "cuda device is_available",
    "dtypes are NumPy's: np.{0}": "float16 float32 float64 int64 int32 uint8",
    "write 'bfloat16'": "bfloat16 half",
    "write dl.autocast('bfloat16'); no GradScaler is needed": "amp GradScaler",
    "write dl.optimize(model), for inference": "compile jit",
    "write x @ y.mT": "inner",
    "write dl.io.save(path, model.state_dict())": "save",
    "write model.load_state_dict(dl.io.load(path))": "load",
    "there is one process: the module itself": "DataParallel",
}


def missing(owner, prefix, name, known):
    """The AttributeError of a name that is not among the `known` ones of `owner`."""
    line, known = f"{owner} has no attribute {name!r}", list(known)
    if name.startswith("_"):
        return AttributeError(line)
    cures = [c.format(name) for c, names in _CURES.items() if name in names.split()]
    if _SAME.get(name) in known:
        cures.append(f"write {prefix}{_SAME[name]}")
    elif name.startswith("Lazy") and name[4:] in known:
        cures.append(f"write {prefix}{name[4:]}, with the number of inputs")
    elif name in _BY_NUMPY:
        cures.append(f"NumPy has it: np.{name}, of x.detach().numpy()")
    elif not cures:
        import difflib

        lower = {k.lower(): k for k in sorted(known)}
        close = difflib.get_close_matches(name.lower(), lower, 1, 0.75)
        cures = [f"did you mean {prefix}{lower[k]}?" for k in close]
    return AttributeError(": ".join([line, *cures]))


def of_module(names, prefix):
    """A module's ``__getattr__``; `names` is its ``globals()``."""

    def __getattr__(name):
        known = (k for k in names if not k.startswith("_"))
        raise missing(f"module {names['__name__']!r}", prefix, name, known)

    return __getattr__


class Missing:
    """An attribute that answers what to write instead; for ``hasattr`` it is not there.

    The other way, ``__getattr__``, would slow every attribute down.
    """

    def __init__(self, name, known=()):
        self.name, self.known = name, known

    def __get__(self, instance, owner):
        line = f"{owner.__name__!r} object"
        raise missing(line, ".", self.name, self.known)


def answer_missing(owner):
    """Let `owner` answer for the methods that PyTorch has and it has not."""
    known = [k for k in dir(owner) if k[0] != "_"]
    names = {theirs for theirs, ours in _SAME.items() if ours in known}
    names = names.union(_BY_NUMPY, ("cuda", "inner")).difference(known)
    for name in names:
        setattr(owner, name, Missing(name, known))
    owner.__dir__ = lambda self: [k for k in object.__dir__(self) if k not in names]
