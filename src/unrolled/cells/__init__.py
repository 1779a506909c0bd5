"""The recurrent cells of the literature, one equation a file."""

from .antisymmetric import AntisymmetricRNN
from .clockwork import ClockworkRNN, ClockworkState
from .elman import Elman
from .general import GeneralRNN
from .gru import GRU, GRUState
from .indrnn import IndRNN
from .irnn import IRNN
from .janet import JANET
from .jordan import Jordan
from .ligru import LiGRU
from .lstm import LSTM, LSTMState
from .mgu import MGU
from .output_feedback import OutputFeedback
from .rnn import RNN
from .ugrnn import UGRNN

__all__ = [
    "GRU",
    "IRNN",
    "JANET",
    "LSTM",
    "MGU",
    "RNN",
    "UGRNN",
    "AntisymmetricRNN",
    "ClockworkRNN",
    "ClockworkState",
    "Elman",
    "GRUState",
    "GeneralRNN",
    "IndRNN",
    "Jordan",
    "LSTMState",
    "LiGRU",
    "OutputFeedback",
]
