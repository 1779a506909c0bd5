"""The recurrent cells of the literature, one equation a file."""

from .elman import Elman
from .general import GeneralRNN
from .gru import GRU, GRUState
from .jordan import Jordan
from .lmu import LMU, LMUState
from .lru import LRU, LRUState
from .lstm import LSTM, LSTMState
from .ltc import LTC
from .min_gru import MinGRU
from .min_lstm import MinLSTM
from .output_feedback import OutputFeedback
from .qrnn import QRNN, QRNNState
from .rnn import RNN
from .sru import SRU

__all__ = [
    "GRU",
    "LMU",
    "LRU",
    "LSTM",
    "LTC",
    "QRNN",
    "RNN",
    "SRU",
    "Elman",
    "GRUState",
    "GeneralRNN",
    "Jordan",
    "LMUState",
    "LRUState",
    "LSTMState",
    "MinGRU",
    "MinLSTM",
    "OutputFeedback",
    "QRNNState",
]
