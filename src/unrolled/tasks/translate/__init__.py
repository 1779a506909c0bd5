"""Translate: one sequence of tokens into another, such as German into English or letters into phonemes.

``train``, ``resume`` and ``load`` are imported when they are first used, so that the command line can read
``tasks.translate.options`` without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .task import TranslateRun, load, resume, train

__all__ = ["TranslateRun", "load", "resume", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(".task", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
