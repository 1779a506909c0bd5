"""The recurrent cells of the literature, one equation a file."""

from .elman import Elman
from .general import GeneralRNN
from .gru import GRU
from .jordan import Jordan
from .lstm import LSTM, LSTMState
from .output_feedback import OutputFeedback

__all__ = ["GRU", "LSTM", "Elman", "GeneralRNN", "Jordan", "LSTMState", "OutputFeedback"]
