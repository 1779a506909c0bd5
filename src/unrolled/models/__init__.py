"""Models made of recurrent layers."""

from .attention import Attention
from .causal_convolution import CausalConvolution
from .decoding import Hypothesis, beam_search, greedy, sample
from .echo_state_network import EchoStateNetwork
from .encoded import Encoded
from .encoder_decoder import EncoderDecoder
from .language_model import LanguageModel
from .mlstm_block import MLSTMBlock, MLSTMBlockState
from .ridge import RidgeReadout
from .sequence_to_sequence import SequenceToSequence
from .sequence_to_vector import SequenceToVector
from .slstm_block import SLSTMBlock, SLSTMBlockState
from .subwords import word_numbers, word_parts
from .vector_to_sequence import VectorToSequence
from .word_embedding import WordEmbedding
from .xlstm import XLSTM

__all__ = [
    "XLSTM",
    "Attention",
    "CausalConvolution",
    "EchoStateNetwork",
    "Encoded",
    "EncoderDecoder",
    "Hypothesis",
    "LanguageModel",
    "MLSTMBlock",
    "MLSTMBlockState",
    "RidgeReadout",
    "SLSTMBlock",
    "SLSTMBlockState",
    "SequenceToSequence",
    "SequenceToVector",
    "VectorToSequence",
    "WordEmbedding",
    "beam_search",
    "greedy",
    "sample",
    "word_numbers",
    "word_parts",
]
