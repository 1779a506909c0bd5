"""What a translator knows of its data: the tokens of both sides, and what their text is like."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...core import DataError
from ..records import recorded
from .options import DataOptions
from .pairs import Pair
from .tokens import SPECIAL, Tokens, learn_tokens, load_tokens

_FORMAT = 1
FILE = "vocabulary.json"
USUAL = 0.999  # share of the pairs whose lengths are taken for possible
SHORTEST = 4  # words; BLEU counts runs of so many
_MARKS = (".", "!", "?", "。", "！", "？")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of the two sides.

    Args:
        source: tokens of the source.
        target: tokens of the target; the same object where one vocabulary is for both.
        metric: what is measured: ``"bleu"`` or ``"errors"``.
        tokenize: how sacrebleu splits text; ``"none"``: it is split already.
        expansion: tokens of a target for each of its source's, in almost all pairs at most so many, one more counted on
            each side.
    """

    source: Tokens
    target: Tokens
    metric: str
    tokenize: str
    expansion: float

    def dump(self) -> str:
        """The text of a run's vocabulary.json."""
        sides = {"source": self.source} | ({} if self.source is self.target else {"target": self.target})
        saved = {name: {"kind": side.kind, "saved": side.save()} for name, side in sides.items()}
        more = {"metric": self.metric, "tokenize": self.tokenize, "expansion": self.expansion}
        record = {"format": _FORMAT, **saved, **more}
        return json.dumps(record, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, text: str, name: str) -> "Vocabulary":
        """From what :meth:`dump` wrote.

        Raises:
            CheckpointError: the text is something else; the file is named.
        """
        with recorded(text, name, _FORMAT) as record:
            source = load_tokens(**record["source"])
            target = load_tokens(**record["target"]) if "target" in record else source
            if record["metric"] not in ("bleu", "errors"):
                raise ValueError(f"unknown metric {record['metric']!r}")
            return cls(source, target, record["metric"], str(record["tokenize"]), float(record["expansion"]))


def learn_vocabulary(pairs: Sequence[Pair], options: DataOptions) -> Vocabulary:
    """The tokens of both sides, as the options say, and what is to be measured."""
    of_source, of_target = options.kinds
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    size, least = options.vocabulary_size, options.minimum_count
    if options.shared_vocabulary:
        source = target = learn_tokens(of_source, [*sources, *targets], size, least)
    else:
        source = learn_tokens(of_source, sources, size, least)
        target = learn_tokens(of_target, targets, size, least)
    for side, tokens in (("source", source), ("target", target)):
        if tokens.size == len(SPECIAL):
            raise DataError(
                f"expected {tokens.kind} that occur at least --minimum-count {least} times in the {side}s, got none; "
                "lower it, or take --tokens characters or bpe."
            )
    metric, tokenize = options.metric, options.bleu_tokenize
    if metric == "auto":
        short = sum(len(text.split()) for text in targets) < SHORTEST * len(targets)
        metric = "errors" if short or "characters" in (of_source, of_target) else "bleu"
    if tokenize == "auto":
        tokenize = "none" if looks_tokenised(targets) else "13a"
    ratios = [(len(target.encode(p.target)) + 1) / (len(source.encode(p.source)) + 1) for p in pairs]
    return Vocabulary(source, target, metric, tokenize, float(np.quantile(ratios, USUAL)))


def looks_tokenised(texts: Iterable[str]) -> bool:
    """Whether most of the sentences that end in a mark have a space before it; True where none ends in one.

    Example:
        >>> looks_tokenised(["a man walks .", "two men ."]), looks_tokenised(["A man walks."])
        (True, False)
    """
    ending = [text for text in texts if text.endswith(_MARKS) and len(text) > 1]
    return 2 * sum(text[-2].isspace() for text in ending) >= len(ending)
