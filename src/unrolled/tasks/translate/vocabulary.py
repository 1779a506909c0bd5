"""What a translator knows of its data: the tokens of both sides, and what their text is like."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...core import CheckpointError
from .options import DataOptions
from .pairs import Pair
from .tokens import Tokens, learn_tokens, load_tokens

_FORMAT = 1
FILE = "vocabulary.json"
_MARKS = (".", "!", "?", "。", "！", "？")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of the two sides.

    Args:
        source: tokens of the source.
        target: tokens of the target; the same object where one vocabulary is for both.
        tokenised: whether the targets' sentences have a space before their last mark.
        expansion: the most tokens of a target for each of its source's, one more counted on each side.
    """

    source: Tokens
    target: Tokens
    tokenised: bool
    expansion: float

    def dump(self) -> str:
        """The text of a run's vocabulary.json."""
        sides = {"source": self.source} if self.source is self.target else vars(self)
        saved = {
            name: {"kind": sides[name].kind, "saved": sides[name].save()}
            for name in ("source", "target")
            if name in sides
        }
        record = {"format": _FORMAT, **saved, "tokenised": self.tokenised, "expansion": self.expansion}
        return json.dumps(record, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, text: str, name: str) -> "Vocabulary":
        """From what :meth:`dump` wrote.

        Raises:
            CheckpointError: the text is something else; the file is named.
        """
        try:
            record: dict[str, Any] = json.loads(text)
            if record["format"] > _FORMAT:
                raise CheckpointError(f"{name}: made by a newer version; upgrade unrolled.")
            source = load_tokens(**record["source"])
            target = load_tokens(**record["target"]) if "target" in record else source
            return cls(source, target, bool(record["tokenised"]), float(record["expansion"]))
        except CheckpointError:
            raise
        except Exception as error:
            raise CheckpointError(f"{name}: damaged ({error}); restore the file from a copy.") from error


def learn_sides(pairs: Sequence[Pair], options: DataOptions) -> tuple[Tokens, Tokens]:
    """The tokens of both sides, as the options say."""
    of_source = options.source_tokens or options.tokens
    of_target = options.target_tokens or options.tokens
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    size, least = options.vocabulary_size, options.minimum_count
    if options.shared_vocabulary:
        both = learn_tokens(of_source, [*sources, *targets], size, least)
        return both, both
    return learn_tokens(of_source, sources, size, least), learn_tokens(of_target, targets, size, least)


def looks_tokenised(texts: Iterable[str]) -> bool:
    """Whether most of the sentences that end in a mark have a space before it; True where none ends in one.

    Example:
        >>> looks_tokenised(["a man walks .", "two men ."]), looks_tokenised(["A man walks."])
        (True, False)
    """
    ending = [text for text in texts if text.endswith(_MARKS) and len(text) > 1]
    return 2 * sum(text[-2].isspace() for text in ending) >= len(ending)
