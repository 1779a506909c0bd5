"""From scores of each step to sequences of tokens."""

from .ctc import CTCGreedyStream, CTCHypothesis, ctc_align, ctc_greedy
from .ctc_beam import ctc_beam
from .ctc_scorers import WordScorer

__all__ = ["CTCGreedyStream", "CTCHypothesis", "WordScorer", "ctc_align", "ctc_beam", "ctc_greedy"]
