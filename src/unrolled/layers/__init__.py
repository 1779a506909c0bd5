"""A cell run over time: ``unroll``, ``Recurrent``, and what is composed of them."""

from .bidirectional import Bidirectional
from .recurrent import Recurrent
from .stack import Stack
from .unroll import unroll

__all__ = ["Bidirectional", "Recurrent", "Stack", "unroll"]
