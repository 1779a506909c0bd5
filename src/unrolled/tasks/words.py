"""Text as words: how a text is split, and the vocabulary that is learnt from the training texts."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PADDING, UNKNOWN = "<pad>", "<unk>"
LONGEST_WORD = 64  # characters; what is longer (a DNA string, base64) is cut

# an ending such as 's or 'll; a letter of a script without spaces; a word with inner ' or -; any other sign
_WORD = re.compile(
    r"['’]\w{1,2}\b"
    r"|[぀-ヿ㐀-鿿豈-﫿]"
    r"|[^\W぀-ヿ㐀-鿿豈-﫿]+(?:['’-][^\W぀-ヿ㐀-鿿豈-﫿]+)*"
    r"|[^\w\s]"
)


def split_words(text: str, *, lower: bool = True, limit: int | None = None) -> list[str]:
    """The words and signs of a text, in their order.

    White space separates, and so does punctuation, except an apostrophe or a hyphen inside a word. A character of
    Chinese or Japanese is a word by itself. Text that is split already stays as it is split, as far as that goes.

    Args:
        text: any text.
        lower: in small letters.
        limit: at most so many words, the first ones.

    Example:
        >>> split_words("It wasn't re-made; John's 3.5 stars!")
        ['it', "wasn't", 're-made', ';', "john's", '3', '.', '5', 'stars', '!']
    """
    words: list[str] = []
    for found in _WORD.finditer(text):
        if limit is not None and len(words) == limit:
            break
        word = found.group()[:LONGEST_WORD]
        words.append(word.lower() if lower else word)
    return words


@dataclass(frozen=True)
class Vocabulary:
    """The words that a model knows, most frequent first; word 0 is padding, word 1 stands for every other.

    Args:
        words: of position 0 and so on; the first two are ``<pad>`` and ``<unk>``.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_positions", {word: position for position, word in enumerate(self.words)})

    @classmethod
    def learn(cls, texts: Iterable[Sequence[str]], *, size: int | None = None, at_least: int = 1) -> "Vocabulary":
        """The words of these texts, words of equal count in the order of their letters.

        Args:
            texts: each a list of words.
            size: at most so many words, with the two of no text.
            at_least: leave out words that occur less often.

        Example:
            >>> Vocabulary.learn([["a", "rose"], ["is", "a", "rose"]], at_least=2).words
            ('<pad>', '<unk>', 'a', 'rose')
        """
        counts = Counter(word for text in texts for word in text)
        kept = sorted((word for word, count in counts.items() if count >= at_least), key=lambda w: (-counts[w], w))
        kept = [word for word in kept if word not in (PADDING, UNKNOWN)]
        return cls((PADDING, UNKNOWN, *(kept if size is None else kept[: max(0, size - 2)])))

    @property
    def positions(self) -> dict[str, int]:
        """The position of each word."""
        found: dict[str, int] = self._positions  # type: ignore[attr-defined]
        return found

    @property
    def unknown(self) -> int:
        """The position of what stands for every other word."""
        return self.words.index(UNKNOWN)

    def encode(self, words: Sequence[str]) -> list[int]:
        """The position of each word, 1 where it is not known.

        Example:
            >>> Vocabulary(("<pad>", "<unk>", "a", "rose")).encode(["a", "red", "rose"])
            [2, 1, 3]
        """
        return [self.positions.get(word, self.unknown) for word in words]

    def __len__(self) -> int:
        return len(self.words)
