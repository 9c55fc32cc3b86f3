"""Boxes and regions."""

from .case import F32, Case


def _peers_of_nms(n):
    """NumPy takes 3 s for 50,000 boxes, onnxruntime more than 5 s for 100,000."""
    if n > 50_000:
        return ()
    return ("numpy", "onnxruntime") if n <= 10_000 else ("onnxruntime",)


def detections():
    for n, side, why in (
        (1_000, 1000, "one picture's proposals after their best are chosen"),
        (10_000, 1000, "one picture's anchors, ten deep"),
        (50_000, 1000, "all anchors of a picture: fifty deep, most are suppressed"),
        (10_000, 10_000, "sparse: a tile of an aerial picture, nearly all are kept"),
        (100_000, 31_623, "sparse, ten times as many: time should grow ten times"),
    ):
        crowded = side == 1000
        yield Case(
            "detection",
            "nms" if crowded else "nms sparse",
            "nms",
            f"nms {n} boxes in {side}x{side}",
            why,
            sizes={"n": n, "side": side, "threshold": 0.5},
            peers=_peers_of_nms(n),
            reads=F32 * 5 * n,
            tolerance=0,
        )
    for channels, size, rois, out, why in (
        (256, 50, 512, 7, "Faster R-CNN's head with a feature pyramid, its third map"),
        (1024, 38, 300, 14, "Faster R-CNN's head on ResNet-50's fourth block"),
        (256, 200, 100, 14, "Mask R-CNN's head: few regions of the largest map"),
    ):
        n = rois * channels * out**2
        x = channels * size**2
        for kind in ("roi_align", "roi_pool"):
            for mode in ("fwd", "fwd+bwd"):
                both = mode != "fwd"
                yield Case(
                    "detection",
                    f"{kind} {mode}",
                    kind,
                    f"{kind} {rois} of {channels}x{size}x{size} to {out}x{out}",
                    why,
                    mode,
                    {
                        "shape": (1, channels, size, size),
                        "rois": rois,
                        "out": out,
                        "scale": 1 / 16,
                        "sampling_ratio": 2,
                    },
                    # onnxruntime's MaxRoiPool rounds bins up where float32 does
                    peers=("torch", "onnxruntime")
                    if kind == "roi_align" and not both
                    else ("torch",),
                    reads=F32 * (x + n * both),
                    writes=F32 * (n + x * both),
                    tolerance=1e-4,
                )
