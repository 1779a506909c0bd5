"""What a recogniser knows besides its weights: its units, what it hears, and what texts are like."""

import json
from dataclasses import dataclass
from typing import Any

from ...core import CheckpointError
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
        try:
            record: dict[str, Any] = json.loads(text)
            if record["format"] > _FORMAT:
                raise CheckpointError(f"{name}: made by a newer version; upgrade unrolled.")
            units = load_units(**record["units"])
            front = FrontEnd.from_dict(record["front"])
            return cls(units, front, bool(record["lower"]), str(record["usual"]))
        except CheckpointError:
            raise
        except Exception as error:
            raise CheckpointError(f"{name}: damaged ({error}); restore the file from a copy.") from error
