"""What is timed, and why each shape is there.

A case names a piece of work (`kind`, a function of that name in `with_dlcore`,
`with_numpy` and `with_torch`) and its sizes; a file holds those of one family.
"""

from .conv import convs, other_convs
from .ctc import ctcs
from .detection import detections
from .elementwise import calls, elementwise
from .gemm import gemms, linears
from .networks import networks, training
from .norm import norms
from .optim import optimizers
from .pool import pools
from .resize import resizes
from .signal import signals
from .softmax import softmaxes

CASES = (
    *gemms(),
    *linears(),
    *convs(),
    *other_convs(),
    *pools(),
    *resizes(),
    *elementwise(),
    *norms(),
    *softmaxes(),
    *ctcs(),
    *signals(),
    *detections(),
    *optimizers(),
    *training(),
    *networks(),
    *calls(),
)
FAMILIES = tuple(dict.fromkeys(case.family for case in CASES))
