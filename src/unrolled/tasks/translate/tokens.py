"""What the tokens of a side are: words between spaces, characters, or byte-pair encoding."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from ..text.tokenizers import BPETokenizer
from .options import TokenKind

BEGIN, END, UNKNOWN = 0, 1, 2
SPECIAL = ("<s>", "</s>", "<unk>")
BPE_SIZE = 8000


class Tokens(Protocol):
    """The tokens of a side; the first three are those of ``SPECIAL``."""

    kind: TokenKind
    size: int

    def split(self, text: str) -> list[str]:
        """The pieces of a text, one a token."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without begin and end."""

    def decode(self, tokens: Sequence[int], instead: Sequence[str] = ()) -> str:
        """The text of tokens.

        Args:
            tokens: without begin and end.
            instead: of each token what stands in its place where it is unknown; by default ``<unk>``.
        """

    def save(self) -> object:
        """What :func:`load_tokens` makes it again from, as JSON takes it."""


class Listed:
    """Words between spaces, or characters, by a list of those that are known.

    Args:
        kind: ``"words"`` or ``"characters"``.
        names: of tokens 3 and so on.

    Raises:
        ValueError: a name is no token, or occurs twice.

    Example:
        >>> words = Listed.learn("words", ["a rose is a rose"], at_least=2)
        >>> words.encode("a red rose"), words.decode([3, 2, 4], ["", "red", ""])
        ([3, 2, 4], 'a red rose')
    """

    def __init__(self, kind: TokenKind, names: Sequence[str]):
        self.kind = kind
        self.names = [*SPECIAL, *names]
        self.size = len(self.names)
        self.places = {name: token for token, name in enumerate(self.names) if token >= len(SPECIAL)}
        right = all(isinstance(name, str) and self.split(name) == [name] for name in names)
        if not right or len(self.places) != len(names):
            raise ValueError(f"expected {kind} that differ")

    @classmethod
    def learn(cls, kind: TokenKind, texts: Iterable[str], size: int | None = None, at_least: int = 1) -> "Listed":
        """Those that occur so often, the most frequent first, among equals by the alphabet."""
        counts = Counter(name for text in texts for name in (text.split() if kind == "words" else text))
        kept = sorted((n for n, count in counts.items() if count >= at_least), key=lambda n: (-counts[n], n))
        return cls(kind, kept if size is None else kept[: size - len(SPECIAL)])

    def split(self, text: str) -> list[str]:
        """Words, or characters."""
        return text.split() if self.kind == "words" else list(text)

    def encode(self, text: str) -> list[int]:
        """The number of each, that of ``<unk>`` where it is not known."""
        return [self.places.get(name, UNKNOWN) for name in self.split(text)]

    def decode(self, tokens: Sequence[int], instead: Sequence[str] = ()) -> str:
        """Words with a space between them, or characters."""
        names = [self.names[token] for token in tokens]
        if instead:
            names = [other if token == UNKNOWN else n for token, n, other in zip(tokens, names, instead, strict=True)]
        return ("" if self.kind == "characters" else " ").join(names)

    def save(self) -> object:
        """The names."""
        return self.names[len(SPECIAL) :]


class Pieces:
    """Byte-pair encoding over bytes: any text can be read.

    Args:
        saved: the merges, in the tokenizers library's own JSON.

    Reference:
        Sennrich et al. 2016, arXiv:1508.07909.
    """

    kind: TokenKind = "bpe"

    def __init__(self, saved: str):
        self._bpe = BPETokenizer(saved)
        self.size = self._bpe.size + len(SPECIAL)

    @classmethod
    def learn(cls, texts: Iterable[str], size: int | None = None) -> "Pieces":
        """So many tokens, those of ``SPECIAL`` included."""
        lines = "".join(f" {text}\n" for text in texts)  # the first word is like any other: a space before it
        return cls(str(BPETokenizer.learn(lines, (size or BPE_SIZE) - len(SPECIAL)).save()))

    def split(self, text: str) -> list[str]:
        """The text of each token."""
        return [self.decode([token]) for token in self.encode(text)]

    def encode(self, text: str) -> list[int]:
        """At most as many as there are bytes."""
        found: list[int] = self._bpe.encode(f" {text}").tolist() if text else []
        return [token + len(SPECIAL) for token in found]

    def decode(self, tokens: Sequence[int], instead: Sequence[str] = ()) -> str:
        """The text, with U+FFFD for what is no UTF-8."""
        complete = self._bpe.stream()
        return "".join(complete(token - len(SPECIAL)) for token in tokens if token >= len(SPECIAL)).strip()

    def save(self) -> object:
        """The merges."""
        return self._bpe.save()


def learn_tokens(kind: TokenKind, texts: Iterable[str], size: int | None, at_least: int) -> Tokens:
    """The tokens of a side."""
    return Pieces.learn(texts, size) if kind == "bpe" else Listed.learn(kind, texts, size, at_least)


def load_tokens(kind: TokenKind, saved: object) -> Tokens:
    """From what ``save`` gave.

    Raises:
        Exception: of any kind, where it is something else.
    """
    if kind == "bpe":
        return Pieces(str(saved))
    if not isinstance(saved, list) or kind not in ("words", "characters"):
        raise ValueError(f"expected a list of words or characters, got {type(saved).__name__} of {kind!r}")
    return Listed(kind, saved)
