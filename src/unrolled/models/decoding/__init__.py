"""Sequences out of any step function, likeliest or drawn; and of the log-probabilities of CTC."""

from .beam import beam_search
from .ctc import CTCGreedyStream, CTCHypothesis, ctc_align, ctc_greedy
from .ctc_beam import ctc_beam
from .ctc_scorers import WordScorer
from .hypothesis import Hypothesis, Step, whole_token
from .walk import drawing, greedy, likeliest, probable, sample, walk

__all__ = [
    "CTCGreedyStream",
    "CTCHypothesis",
    "Hypothesis",
    "Step",
    "WordScorer",
    "beam_search",
    "ctc_align",
    "ctc_beam",
    "ctc_greedy",
    "drawing",
    "greedy",
    "likeliest",
    "probable",
    "sample",
    "walk",
    "whole_token",
]
