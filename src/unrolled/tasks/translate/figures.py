"""How good translations are: BLEU and chrF, as sacrebleu counts them, or errors of tokens and of whole lines."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...core import InputError


@dataclass(frozen=True)
class Figures:
    """The figures of a set of translations."""

    values: dict[str, float]
    criterion: float  # the less the better
    signatures: dict[str, str] = field(default_factory=dict)  # how sacrebleu has counted


def bleu(found: Sequence[str], true: Sequence[str], tokenize: str, lowercase: bool = False) -> Figures:
    """BLEU and chrF of a corpus, both from 0 to 100, with sacrebleu's signatures.

    Args:
        found: translations.
        true: one reference each.
        tokenize: how sacrebleu splits text for BLEU; ``"none"`` for text that is tokenised already.
        lowercase: whether the text is in small letters; it is noted in the signature.

    Reference:
        Papineni et al. 2002, doi:10.3115/1073083.1073135; Popović 2015, doi:10.18653/v1/W15-3049; Post 2018,
        arXiv:1804.08771.

    Example:
        >>> figures = bleu(["the cat sat on the mat"], ["the cat sat on a mat"], "none")
        >>> {name: round(value, 1) for name, value in figures.values.items()}
        {'bleu': 53.7, 'chrf': 72.1}
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    if len(found) != len(true) or not found:
        raise InputError(f"expected a reference for each translation, got {len(found)} and {len(true)}.")
    values, signatures = {}, {}
    counters = {
        "bleu": BLEU(tokenize=tokenize, lowercase=lowercase, force=True),  # text that is tokenised is no mistake
        "chrf": CHRF(lowercase=lowercase),
    }
    for name, counter in counters.items():
        values[name] = float(counter.corpus_score(list(found), [list(true)]).score)
        signatures[name] = str(counter.get_signature())
    return Figures(values, 1 - values["bleu"] / 100, signatures)


def errors(found: Sequence[Sequence[str]], true: Sequence[Sequence[Sequence[str]]]) -> Figures:
    """The share of lines that are not right in every token, and the edits a token of the references.

    Args:
        found: the tokens of each translation.
        true: of each one reference or several; the one that is nearest counts (of equals, the longest).

    Example:
        >>> figures = errors([["T", "AH"], ["K", "AE", "T"]], [[["T", "OW"], ["T", "AH"]], [["K", "AE", "T", "S"]]])
        >>> figures.values
        {'line_error_rate': 0.5, 'token_error_rate': 0.16666666666666666}
    """
    if len(found) != len(true) or not found:
        raise InputError(f"expected references for each translation, got {len(found)} and {len(true)}.")
    wrong = edits = tokens = 0
    for one, references in zip(found, true, strict=True):
        least, length = min((edit_distance(one, reference), -len(reference)) for reference in references)
        wrong += least > 0
        edits += least
        tokens -= length
    values = {"line_error_rate": wrong / len(found), "token_error_rate": edits / max(tokens, 1)}
    return Figures(values, values["line_error_rate"])


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """The least number of tokens to be put in, taken out or replaced to make the one into the other.

    Reference:
        Levenshtein 1966, Soviet Physics Doklady 10(8), 707-710.

    Example:
        >>> edit_distance("kitten", "sitting")
        3
    """
    places = {token: number for number, token in enumerate(other)}
    columns = np.array([places[token] for token in other], dtype=np.int64)
    steps = np.arange(len(other) + 1)
    row = steps.copy()  # distances of the empty sequence
    for number, token in enumerate(one, 1):
        straight = row[:-1] + (columns != places.get(token, -1))
        row = np.concatenate([[number], np.minimum(straight, row[1:] + 1)])
        row = np.minimum.accumulate(row - steps) + steps  # tokens of the other that are left out
    return int(row[-1])
