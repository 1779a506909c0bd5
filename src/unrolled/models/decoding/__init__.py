"""Sequences out of any step function: the likeliest, by greedy or beam search, or drawn."""

from .beam import beam_search
from .hypothesis import Hypothesis, Step
from .walk import greedy, sample, walk

__all__ = ["Hypothesis", "Step", "beam_search", "greedy", "sample", "walk"]
