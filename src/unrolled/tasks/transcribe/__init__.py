"""Transcribe: what is said in a recording, as text, with the time of each word.

``train``, ``resume`` and ``load`` are imported when they are first used, so that the command line can read
``tasks.transcribe.options`` without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .task import TranscribeRun, load, resume, train

__all__ = ["TranscribeRun", "load", "resume", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(".task", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
