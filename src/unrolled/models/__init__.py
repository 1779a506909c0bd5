"""Models made of recurrent layers."""

from .language_model import LanguageModel
from .sequence_to_sequence import SequenceToSequence
from .sequence_to_vector import SequenceToVector
from .vector_to_sequence import VectorToSequence

__all__ = ["LanguageModel", "SequenceToSequence", "SequenceToVector", "VectorToSequence"]
