"""What the groups of cases should reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What a group of cases should reach."""

    group: str
    measure: str  # ratio (to the best peer), of_limit or microseconds
    statistic: str  # geometric mean, worst
    value: float

    @property
    def text(self):
        """As a reader would say it."""
        unit = {
            "ratio": "x the best peer",
            "of_limit": " of the limit",
            "microseconds": " us",
        }
        most = "at most " if self.measure == "microseconds" else ""
        return f"{self.statistic} {most}{self.value:g}{unit[self.measure]}"


GOALS = (
    Goal("gemm large", "of_limit", "mean", 0.93),
    Goal("gemm large", "ratio", "mean", 1.05),
    Goal("gemm small", "ratio", "mean", 1.15),
    Goal("gemm skinny", "ratio", "mean", 2.0),
    Goal("gemm bf16", "ratio", "mean", 1.05),
    Goal("linear int8", "ratio", "worst", 1.0),
    Goal("lstm int8", "ratio", "worst", 1.0),
    Goal("linear fwd+bwd", "ratio", "mean", 1.08),
    Goal("conv2d fwd", "ratio", "mean", 1.3),
    Goal("conv2d fwd", "ratio", "worst", 0.97),
    Goal("conv2d fwd+bwd", "ratio", "mean", 1.3),
    Goal("depthwise fwd", "ratio", "mean", 1.5),
    Goal("depthwise fwd+bwd", "ratio", "mean", 3.0),
    Goal("conv1d fwd", "ratio", "mean", 1.3),
    Goal("conv3d fwd", "ratio", "mean", 1.2),
    Goal("conv_transpose fwd", "ratio", "mean", 1.1),
    Goal("conv_transpose fwd+bwd", "ratio", "mean", 1.5),
    Goal("pool fwd", "ratio", "mean", 1.5),
    Goal("pool fwd+bwd", "ratio", "mean", 2.0),
    Goal("elementwise 1e5 fwd", "ratio", "mean", 1.5),
    Goal("elementwise 1e7 fwd", "ratio", "mean", 2.5),
    Goal("elementwise 1e7 out=", "of_limit", "mean", 0.9),
    Goal("layer_norm fwd+bwd", "ratio", "mean", 3.0),
    Goal("batch_norm fwd+bwd", "ratio", "mean", 1.4),
    Goal("batch_norm_add_relu fwd+bwd", "ratio", "mean", 1.8),
    Goal("attention fwd", "ratio", "worst", 1.3),
    Goal("attention causal fwd", "ratio", "worst", 1.3),
    Goal("attention fwd+bwd", "ratio", "worst", 1.5),
    Goal("attention causal fwd+bwd", "ratio", "worst", 1.5),
    Goal("attention decode", "ratio", "worst", 1.5),
    Goal("attention decode", "of_limit", "worst", 0.85),
    Goal("train gpt", "ratio", "mean", 1.35),
    Goal("train gpt bf16", "ratio", "mean", 1.4),
    Goal("softmax fwd", "ratio", "mean", 1.3),
    Goal("softmax fwd+bwd", "ratio", "mean", 2.0),
    Goal("ctc fwd+bwd", "ratio", "worst", 3.0),
    Goal("lstm B32 fwd", "ratio", "worst", 1.05),
    Goal("lstm B32 fwd+bwd", "ratio", "worst", 1.1),
    Goal("lstm B1 fwd", "ratio", "worst", 1.4),
    Goal("lstm B1 fwd+bwd", "ratio", "worst", 1.6),
    Goal("lstm deep fwd", "ratio", "worst", 1.15),
    Goal("lstm deep fwd+bwd", "ratio", "worst", 1.15),
    Goal("gru B32 fwd", "ratio", "worst", 1.15),
    Goal("gru B1 fwd", "ratio", "worst", 1.4),
    Goal("gru B32 fwd+bwd", "ratio", "worst", 1.5),
    Goal("gru B1 fwd+bwd", "ratio", "worst", 1.5),
    Goal("train lstm", "ratio", "worst", 1.15),
    Goal("embedding fwd", "ratio", "mean", 1.3),
    Goal("embedding fwd+bwd", "ratio", "mean", 3.0),
    Goal("linear_cross_entropy fwd+bwd", "ratio", "mean", 2.0),
    Goal("nms", "ratio", "worst", 4.0),
    Goal("roi_align fwd", "ratio", "mean", 3.0),
    Goal("optim", "ratio", "mean", 1.0),
    Goal("tape of one row", "microseconds", "worst", 15),
    Goal("tape of gradients", "ratio", "worst", 1.1),
    Goal("train lenet5", "ratio", "mean", 3.0),
    Goal("train mlp", "ratio", "mean", 4.0),
    Goal("infer resnet50 b1", "ratio", "mean", 1.2),
    Goal("infer mobilenet_v2 b1", "ratio", "mean", 1.2),
    Goal("train resnet18 small", "ratio", "mean", 1.25),
    Goal("train resnet18", "ratio", "mean", 1.25),
    Goal("call", "microseconds", "worst", 0.30),
)
