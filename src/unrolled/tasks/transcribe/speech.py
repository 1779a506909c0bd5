"""What a recogniser knows besides its weights: its units, what it hears, and what texts are like."""

import json
from dataclasses import dataclass

from ..records import recorded
from .front import FrontEnd
from .units import Units, load_units

_FORMAT = 1
FILE, NGRAM_FILE, WORDS_FILE = "speech.json", "ngram.txt", "ngram-words.txt"


@dataclass(frozen=True)
class Speech:
    """What a run folder keeps in speech.json.

    Args:
        units: what is written.
        front: what is heard.
        lower: whether texts are in small letters.
        usual: the most frequent text of the training data, which is the baseline's answer.
    """

    units: Units
    front: FrontEnd
    lower: bool
    usual: str

    def dump(self) -> str:
        """The text of a run's speech.json."""
        units = {"kind": self.units.kind, "saved": self.units.save()}
        known = {"units": units, "front": self.front.to_dict(), "lower": self.lower, "usual": self.usual}
        return json.dumps({"format": _FORMAT, **known}, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, text: str, name: str) -> "Speech":
        """From what :meth:`dump` wrote.

        Raises:
            CheckpointError: the text is something else; the file is named.
        """
        with recorded(text, name, _FORMAT) as record:
            units = load_units(**record["units"])
            front = FrontEnd.from_dict(record["front"])
            return cls(units, front, bool(record["lower"]), str(record["usual"]))
