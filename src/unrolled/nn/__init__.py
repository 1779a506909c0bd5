"""``torch.nn``'s recurrent modules to the letter, run by generated kernels, and able to do more."""

from .cells import GRUCell, LSTMCell, RNNCell
from .conversion import Conversion, convert, restore
from .dynamo import accept
from .layers import GRU, LSTM, RNN

accept(RNN, LSTM, GRU)  # torch.compile may trace them

__all__ = ["GRU", "LSTM", "RNN", "Conversion", "GRUCell", "LSTMCell", "RNNCell", "convert", "restore"]
