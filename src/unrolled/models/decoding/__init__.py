"""From scores of each step to sequences of tokens."""

from .ctc import CTCHypothesis, ctc_greedy

__all__ = ["CTCHypothesis", "ctc_greedy"]
