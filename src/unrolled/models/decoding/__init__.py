"""Sequences out of any step function: the likeliest, by greedy or beam search, or drawn."""

from .beam import beam_search
from .hypothesis import Hypothesis, Step
from .walk import drawing, greedy, likeliest, sample, walk

__all__ = ["Hypothesis", "Step", "beam_search", "drawing", "greedy", "likeliest", "sample", "walk"]
