"""Words as tokens: what stands between white space, and the end of a line."""

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

END = "<eos>"  # of a line; the names are those of the Penn Treebank's usual preparation
UNKNOWN = "<unk>"


class WordTokenizer:
    """Every word of the corpus is a token, and so is the end of a line; other words are read as ``<unk>``.

    Args:
        words: the word of each token, with ``<eos>`` and ``<unk>`` among them.

    Raises:
        ValueError: a word occurs twice, is not a word, or one of the two is missing.

    Reference:
        Mikolov et al. 2010, Recurrent neural network based language model.
    """

    kind = "words"

    def __init__(self, words: Sequence[str]):
        self.words = list(words)
        self.size = len(self.words)
        self._tokens = {word: token for token, word in enumerate(self.words)}
        if len(self._tokens) != self.size or not {END, UNKNOWN} <= self._tokens.keys():
            raise ValueError(f"expected words that differ, with {END} and {UNKNOWN} among them")
        if any(word.split() != [word] for word in self.words):
            raise ValueError("expected words without white space")
        self.unknown = self._tokens[UNKNOWN]

    @classmethod
    def learn(cls, text: str, size: int | None = None) -> "WordTokenizer":
        """The words of a text, or so many tokens with the most frequent; among equals by the alphabet."""
        counts = Counter(_words(text))
        counts[END] += 1  # both are there, whether the text has them or not
        counts[UNKNOWN] += 1
        by_frequency = sorted(counts, key=lambda word: (word not in (END, UNKNOWN), -counts[word], word))
        return cls(by_frequency[:size])

    def encode(self, text: str) -> Tensor:
        """One token a word, and one a line break."""
        find, unknown = self._tokens.get, self.unknown
        return torch.tensor([find(word, unknown) for word in _words(text)], dtype=torch.int32)

    def stream(self, after: str = "") -> Callable[[int], str]:
        """Words with a space between them, and line breaks."""
        apart = not after or after[-1].isspace()

        def complete(token: int) -> str:
            nonlocal apart
            word = self.words[token]
            text = "\n" if word == END else word if apart else f" {word}"
            apart = word == END
            return text

        return complete

    def save(self) -> object:
        """The words."""
        return self.words


def _words(text: str) -> list[str]:
    return text.replace("\n", f" {END} ").split()
