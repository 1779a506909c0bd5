"""Models made of recurrent layers."""

from .attention import Attention
from .causal_convolution import CausalConvolution
from .ctc import CTC, CTCState
from .ctc_loss import ctc_loss, needed_frames
from .decoding import (
    CTCGreedyStream,
    CTCHypothesis,
    Hypothesis,
    WordScorer,
    beam_search,
    ctc_align,
    ctc_beam,
    ctc_greedy,
    greedy,
    sample,
)
from .echo_state_network import EchoStateNetwork
from .encoded import Encoded
from .encoder_decoder import EncoderDecoder
from .language_model import LanguageModel
from .mlstm_block import MLSTMBlock, MLSTMBlockState
from .ngram import NGram
from .ridge import RidgeReadout
from .sequence_to_sequence import SequenceToSequence
from .sequence_to_vector import SequenceToVector
from .slstm_block import SLSTMBlock, SLSTMBlockState
from .subwords import word_numbers, word_parts
from .vector_to_sequence import VectorToSequence
from .word_embedding import WordEmbedding
from .xlstm import XLSTM

__all__ = [
    "CTC",
    "XLSTM",
    "Attention",
    "CTCGreedyStream",
    "CTCHypothesis",
    "CTCState",
    "CausalConvolution",
    "EchoStateNetwork",
    "Encoded",
    "EncoderDecoder",
    "Hypothesis",
    "LanguageModel",
    "MLSTMBlock",
    "MLSTMBlockState",
    "NGram",
    "RidgeReadout",
    "SLSTMBlock",
    "SLSTMBlockState",
    "SequenceToSequence",
    "SequenceToVector",
    "VectorToSequence",
    "WordEmbedding",
    "WordScorer",
    "beam_search",
    "ctc_align",
    "ctc_beam",
    "ctc_greedy",
    "ctc_loss",
    "greedy",
    "needed_frames",
    "sample",
    "word_numbers",
    "word_parts",
]
