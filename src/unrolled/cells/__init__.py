"""The recurrent cells of the literature, one equation a file."""

from . import wrappers
from .echo_state import EchoState
from .elman import Elman
from .general import GeneralRNN
from .gru import GRU, GRUState
from .jordan import Jordan
from .lstm import LSTM, LSTMState
from .output_feedback import OutputFeedback
from .rnn import RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "EchoState",
    "Elman",
    "GRUState",
    "GeneralRNN",
    "Jordan",
    "LSTMState",
    "OutputFeedback",
    "wrappers",
]
