"""Models made of recurrent layers."""

from .echo_state_network import EchoStateNetwork
from .language_model import LanguageModel
from .ridge import RidgeReadout
from .sequence_to_sequence import SequenceToSequence
from .sequence_to_vector import SequenceToVector
from .subwords import word_numbers, word_parts
from .vector_to_sequence import VectorToSequence
from .word_embedding import WordEmbedding

__all__ = [
    "EchoStateNetwork",
    "LanguageModel",
    "RidgeReadout",
    "SequenceToSequence",
    "SequenceToVector",
    "VectorToSequence",
    "WordEmbedding",
    "word_numbers",
    "word_parts",
]
