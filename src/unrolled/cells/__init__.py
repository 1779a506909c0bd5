"""The recurrent cells of the literature, one equation a file."""

from . import wrappers
from .antisymmetric import AntisymmetricRNN
from .clockwork import ClockworkRNN, ClockworkState
from .echo_state import EchoState
from .elman import Elman
from .general import GeneralRNN
from .gru import GRU, GRUState
from .indrnn import IndRNN
from .irnn import IRNN
from .janet import JANET
from .jordan import Jordan
from .ligru import LiGRU
from .lmu import LMU, LMUState
from .lru import LRU, LRUState
from .lstm import LSTM, LSTMState
from .ltc import LTC
from .mgu import MGU
from .min_gru import MinGRU
from .min_lstm import MinLSTM
from .mlstm import MLSTM, MLSTMState
from .mlstm_chunks import mlstm_chunkwise
from .output_feedback import OutputFeedback
from .qrnn import QRNN, QRNNState
from .rnn import RNN
from .slstm import SLSTM, SLSTMState
from .sru import SRU
from .ugrnn import UGRNN

__all__ = [
    "GRU",
    "IRNN",
    "JANET",
    "LMU",
    "LRU",
    "LSTM",
    "LTC",
    "MGU",
    "MLSTM",
    "QRNN",
    "RNN",
    "SLSTM",
    "SRU",
    "UGRNN",
    "AntisymmetricRNN",
    "ClockworkRNN",
    "ClockworkState",
    "EchoState",
    "Elman",
    "GRUState",
    "GeneralRNN",
    "IndRNN",
    "Jordan",
    "LMUState",
    "LRUState",
    "LSTMState",
    "LiGRU",
    "MLSTMState",
    "MinGRU",
    "MinLSTM",
    "OutputFeedback",
    "QRNNState",
    "SLSTMState",
    "mlstm_chunkwise",
    "wrappers",
]
