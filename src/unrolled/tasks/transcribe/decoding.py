"""From log-probabilities to units, as the options say; the n-gram models are those of the training texts."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...core import CheckpointError, DataError, InputError
from ...models import CTCHypothesis, NGram, WordScorer, ctc_beam, ctc_greedy
from ...training.run_folder import RunFolder
from .options import DecodingOptions
from .speech import NGRAM_FILE, WORDS_FILE, Speech
from .units import Units


def count_ngrams(texts: Sequence[str], units: Units, order: int, word_order: int) -> dict[str, str]:
    """N-gram models of texts, of units and of words, as the files of a run folder."""
    of_units = NGram.count([units.encode(text) for text in texts], order, vocabulary=range(1, units.size))
    of_words = NGram.count([text.split() for text in texts], word_order)
    return {NGRAM_FILE: of_units.to_text(), WORDS_FILE: of_words.to_text()}


class Decoder:
    """Finds the units of a batch.

    Args:
        options: how.
        speech: what the model knows.
        folder: with the n-gram models.

    Raises:
        InputError: the options do not suit the units.
        CheckpointError: a model is damaged.
    """

    def __init__(self, options: DecodingOptions, speech: Speech, folder: RunFolder):
        self.options = options
        self.settings: dict[str, Any] = {}
        if options.lexicon and options.decoding != "beam":
            raise InputError("--lexicon: expected --decoding beam beside it.")
        if options.lexicon and speech.units.kind != "characters":
            raise InputError(
                f"--lexicon: expected a model that writes characters, got one of {speech.units.kind}; leave it out."
            )
        if options.decoding == "beam":
            self.settings = _of_words(options, speech, folder) if options.lexicon else _of_units(options, folder)

    def __call__(self, log_probabilities: Tensor, lengths: Tensor) -> list[CTCHypothesis]:
        """The best of each row."""
        if self.options.decoding == "greedy":
            return ctc_greedy(log_probabilities, lengths)
        found = ctc_beam(log_probabilities, lengths, beam_size=self.options.beam_size, **self.settings)
        return [best[0] for best in found]


def _of_units(options: DecodingOptions, folder: RunFolder) -> dict[str, Any]:
    if not options.ngram_weight:
        return {}
    return {"ngram": _read(folder, NGRAM_FILE), "ngram_weight": options.ngram_weight}


def _of_words(options: DecodingOptions, speech: Speech, folder: RunFolder) -> dict[str, Any]:
    symbols = ["", *speech.units.pieces(range(1, speech.units.size))]
    ngram = _read(folder, WORDS_FILE)
    scorer = WordScorer(ngram, symbols, weight=options.ngram_weight, bonus=options.word_bonus, lexicon=True)
    return {"words": scorer}


def _read(folder: RunFolder, name: str) -> NGram:
    try:
        return NGram.from_text(folder.read_checked(name))
    except DataError as error:
        raise CheckpointError(f"{folder.path / name}: {error}") from error
