"""The recurrent cells of the literature, one equation a file."""

from .elman import Elman
from .general import GeneralRNN
from .gru import GRU, GRUState
from .jordan import Jordan
from .lstm import LSTM, LSTMState
from .mlstm import MLSTM, MLSTMState
from .mlstm_chunks import mlstm_chunkwise
from .output_feedback import OutputFeedback
from .rnn import RNN
from .slstm import SLSTM, SLSTMState

__all__ = [
    "GRU",
    "LSTM",
    "MLSTM",
    "RNN",
    "SLSTM",
    "Elman",
    "GRUState",
    "GeneralRNN",
    "Jordan",
    "LSTMState",
    "MLSTMState",
    "OutputFeedback",
    "SLSTMState",
    "mlstm_chunkwise",
]
