"""Whole networks: inference and training."""

from ..networks import GPT, MULTIPLICATIONS, PARAMETERS
from .case import F32, Case


def networks():
    for name in ("resnet50", "resnet18", "mobilenet_v2"):
        for batch in (1, 32) if name == "resnet50" else (1,):
            yield Case(
                "infer",
                f"infer {name} b{batch}",
                "infer",
                f"{name} b{batch} 224x224",
                "one picture" if batch == 1 else "many pictures",
                sizes={"net": name, "batch": batch, "size": 224},
                peers=("torch", "torch-cl", "onnxruntime"),
                flops=2.0 * batch * MULTIPLICATIONS[name],
                reads=F32 * (PARAMETERS[name] + batch * 3 * 224**2),
                writes=F32 * batch * 1000,
                tolerance=1e-4,
            )
    for name, batch, size in (("resnet18 small", 64, 32), ("resnet18", 4, 224)):
        yield Case(
            "train",
            f"train {name}",
            "train_net",
            f"{name} b{batch} {size}x{size} SGD",
            "a training step of a convolutional network",
            "step",
            {"net": name, "batch": batch, "size": size},
            peers=("torch", "torch-cl"),
            flops=6.0 * batch * MULTIPLICATIONS[name],
            tolerance=1e-3,
        )


def training():
    tokens, width = 16 * GPT.length, GPT.width
    weights = 12 * GPT.layers * width**2 + GPT.words * width
    scores = GPT.layers * 2.0 * tokens * GPT.length * width * 0.5  # of one product
    yield Case(
        "train",
        "train gpt",
        "train_gpt",
        "GPT 4 layers d256 h8 T128 b16 Adam",
        "a language model: products, attention and normalization",
        "step",
        {"batch": 16},
        peers=("torch", "torch-fused"),
        flops=6.0 * tokens * weights + 7 * scores,
        tolerance=1e-3,
    )
    yield Case(
        "train",
        "train gpt bf16",
        "train_gpt_bf16",
        "GPT 4 layers d256 h8 T128 b16 Adam bf16",
        "mixed precision: the same with its products in bfloat16",
        "step",
        {"batch": 16},
        peers=("dlcore-f32", "torch"),
        flops=6.0 * tokens * weights + 7 * scores,
        tolerance=1e-2,
    )
    lenet = (
        2.0 * 64 * (6 * 25 * 28 * 28 + 16 * 150 * 100 + 400 * 120 + 120 * 84 + 84 * 10)
    )
    yield Case(
        "train",
        "train lenet5",
        "train_lenet5",
        "LeNet-5 b64 SGD",
        "a small network: kernels and overhead in equal parts",
        "step",
        {"batch": 64},
        flops=3 * lenet,
        tolerance=1e-4,
    )
    for peer, note in (("torch", ""), ("torch-fused", " fused")):
        yield Case(
            "train",
            "train mlp" + note,
            "train_mlp",
            f"MLP 16-32-4 b8 Adam{note}",
            "nothing but overhead; PyTorch's default Adam, and its fused one",
            "step",
            {"batch": 8},
            peers=(peer,),
            flops=6.0 * 8 * (16 * 32 + 32 * 4),
            tolerance=1e-4,
        )
