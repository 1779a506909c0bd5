"""Measuring translations of pairs, by the metric that fits what their tokens are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .figures import Figures, bleu, errors
from .options import DataOptions
from .pairs import Pair
from .tokens import Tokens
from .vocabulary import Vocabulary

Translate = Callable[[list[str]], list[str]]


@dataclass(frozen=True)
class Measure:
    """What is measured of translations.

    Args:
        metric: ``"bleu"``: pair by pair; ``"errors"``: source by source, any target of it may be given.
        tokenize: how sacrebleu splits text.
        lowercase: whether the text is in small letters.
        target: the tokens that errors are counted in.
    """

    metric: str
    tokenize: str
    lowercase: bool
    target: Tokens

    @classmethod
    def of_options(
        cls, data: DataOptions, vocabulary: Vocabulary, metric: str | None = None, tokenize: str | None = None
    ) -> "Measure":
        """As it was settled in training, or by the metric and the tokenize that are given."""
        return cls(metric or vocabulary.metric, tokenize or vocabulary.tokenize, data.lowercase, vocabulary.target)

    def sources(self, pairs: Sequence[Pair]) -> list[str]:
        """What is to be translated."""
        found = [pair.source for pair in pairs]
        return found if self.metric == "bleu" else list(dict.fromkeys(found))

    def __call__(self, pairs: Sequence[Pair], translate: Translate) -> Figures:
        """The figures of the translations of these pairs."""
        sources = self.sources(pairs)
        found = translate(sources)
        if self.metric == "bleu":
            return bleu(found, [pair.target for pair in pairs], self.tokenize, self.lowercase)
        true: dict[str, list[list[str]]] = {source: [] for source in sources}
        for pair in pairs:
            true[pair.source].append(self.target.split(pair.target))
        return errors([self.target.split(text) for text in found], list(true.values()))


def copy_of(vocabulary: Vocabulary) -> Translate:
    """The baseline: the source itself, its characters as words where the targets are words."""
    apart = vocabulary.source.kind == "characters" and vocabulary.target.kind == "words"
    return lambda sources: [" ".join(source) if apart else source for source in sources]
