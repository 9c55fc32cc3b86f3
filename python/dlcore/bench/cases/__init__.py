"""What is timed, and why each shape is there.

A case names a piece of work (`kind`, a function of that name in `with_dlcore`,
`with_numpy` and `with_torch`) and its sizes; a file holds those of one family.
"""

from .activation import activations
from .attention import attentions
from .conv import convs, other_convs
from .ctc import ctcs
from .detection import detections
from .elementwise import calls, elementwise
from .embedding import embeddings, orders
from .gemm import gemms, gemms_bf16, int8, linears
from .inference import inference
from .loss import losses
from .networks import networks, training
from .norm import norms
from .optim import optimizers
from .pool import pools
from .resize import resizes
from .rnn import rnns, training_of_rnns
from .signal import signals
from .softmax import softmaxes
from .tape import tapes

CASES = (
    *gemms(),
    *gemms_bf16(),
    *linears(),
    *int8(),
    *convs(),
    *other_convs(),
    *pools(),
    *resizes(),
    *elementwise(),
    *activations(),
    *norms(),
    *softmaxes(),
    *losses(),
    *attentions(),
    *rnns(),
    *ctcs(),
    *embeddings(),
    *orders(),
    *signals(),
    *detections(),
    *optimizers(),
    *training(),
    *training_of_rnns(),
    *networks(),
    *inference(),
    *tapes(),
    *calls(),
)
FAMILIES = tuple(dict.fromkeys(case.family for case in CASES))
