"""The last answers, by key: a cache of bounded size that several threads may use at once."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Recent(Generic[Answer]):
    """Keeps the ``size`` answers that were asked for last."""

    def __init__(self, size: int):
        self.size = size
        self.entries: OrderedDict[Hashable, Answer] = OrderedDict()
        self.lock = Lock()

    def get(self, key: Hashable) -> Answer | None:
        """The answer; None if there is none."""
        with self.lock:
            if key in self.entries:
                self.entries.move_to_end(key)
            return self.entries.get(key)

    def put(self, key: Hashable, answer: Answer) -> bool:
        """Keep an answer; whether there was none."""
        with self.lock:
            new = key not in self.entries
            self.entries[key] = answer
            self.entries.move_to_end(key)
            while len(self.entries) > self.size:
                self.entries.popitem(last=False)
            return new

    def drop(self, key: Hashable) -> None:
        """Forget an answer."""
        with self.lock:
            self.entries.pop(key, None)
