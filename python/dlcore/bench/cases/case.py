"""One row of the benchmark.

Flops and bytes are the least the work needs: every input read once, every output
written once, padding counted as work.
"""

from dataclasses import dataclass, field

F32 = 4


@dataclass(frozen=True)
class Case:
    """One row of the benchmark."""

    family: str
    group: str  # the cases a goal speaks of
    kind: str
    name: str
    why: str
    mode: str = "fwd"
    sizes: dict = field(default_factory=dict)
    peers: tuple = ("torch",)
    flops: float = 0.0
    reads: float = 0.0  # bytes
    writes: float = 0.0
    tolerance: float = 1e-5  # of the largest value of the peer's result

    @property
    def id(self):
        """The name by which a user selects the case."""
        return f"{self.family} {self.name} {self.mode}"
