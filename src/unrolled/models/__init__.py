"""Models made of recurrent layers."""

from .language_model import LanguageModel

__all__ = ["LanguageModel"]
