"""Decoding of CTC: arguments that must not be taken as they are, and what is kept."""

import math

import pytest
import torch

from unrolled.core import InputError, InputTypeError
from unrolled.models import NGram, WordScorer, ctc_align, ctc_beam, ctc_greedy
from unrolled.models import ngram as ngram_module
from unrolled.models.decoding import ctc_scorers as scorers_module

B, LENGTHS, LETTERS = 4, [5, 3, 0, 1], ["", " ", "a", "b"]


def drawn(steps=5, rows=B):
    rng = torch.Generator().manual_seed(0)
    return torch.randn(steps, rows, 4, dtype=torch.float64, generator=rng).log_softmax(-1)


def numbers_ngram():
    return NGram.count([[1, 2, 2, 3], [1, 1, 2], []], 3)


def words_ngram():
    return NGram.count([["a", "ab"], ["bb", "ab"]], 2)


def test_wrong_arguments_are_told():
    y = drawn()
    with pytest.raises(InputError, match=r"log_probabilities: expected \(T, B, V\), got \(5, 4\)"):
        ctc_greedy(y[:, 0])
    with pytest.raises(InputError, match="lengths: expected values from 0 to T = 5"):
        ctc_beam(y, [6, 0, 0, 0])
    with pytest.raises(InputError, match="n_best: expected at most beam_size = 2, got 3"):
        ctc_beam(y, beam_size=2, n_best=3)
    with pytest.raises(InputError, match=r"least: expected a probability below 1, got 1\.0"):
        ctc_beam(y, least=1.0)
    with pytest.raises(InputError, match="ngram: expected an n-gram model of numbers of symbols, got one of strings"):
        ctc_beam(y, ngram=words_ngram())
    with pytest.raises(InputError, match="ngram: expected an n-gram model of words, got one of numbers"):
        WordScorer(numbers_ngram(), LETTERS)
    with pytest.raises(InputError, match=r"separator: expected one of the symbols, got '\|'"):
        WordScorer(words_ngram(), LETTERS, separator="|")
    with pytest.raises(InputError, match="words: expected a scorer of V = 4 symbols, got one of 5"):
        ctc_beam(y, words=WordScorer(words_ngram(), [*LETTERS, "c"]))
    with pytest.raises(InputError, match=r"targets, row 1: expected at most as many symbols as 3 frames .* need 4"):
        ctc_align(y, [[1], [1, 1, 2], [], []], LENGTHS)
    with pytest.raises(InputError, match=r"targets, row 0: expected symbols from 1 to 3 .* got 4 at place 1"):
        ctc_align(y, [[1, 4], [], [], []])
    with pytest.raises(InputTypeError, match=r"targets: expected a tensor of whole numbers, got torch\.float32"):
        ctc_align(y, [[1.7], [], [], []])
    for wrong in ([1, 2, 3, 1], [["a"], [], [], []], None):
        with pytest.raises(InputTypeError, match=r"targets: expected a tensor .* or a list of lists of symbols"):
            ctc_align(y, wrong)
    with pytest.raises(InputError, match="target_lengths: expected None where targets are a list"):
        ctc_align(y, [[1, 2], [], [], []], LENGTHS, [1, 0, 0, 0])
    with pytest.raises(InputTypeError, match="words: expected a WordScorer, got NGram"):
        ctc_beam(y, words=words_ngram())
    with pytest.raises(InputTypeError, match="ngram: expected an NGram, got WordScorer"):
        ctc_beam(y, ngram=WordScorer(words_ngram(), LETTERS))


@pytest.mark.parametrize("decode", [ctc_greedy, ctc_beam, lambda y, lengths: ctc_align(y, [[1], [], [], []], lengths)])
def test_nan_is_told_but_in_the_padding(decode):
    y = drawn()
    y[3:, 1] = math.nan
    assert len(decode(y, LENGTHS)) == B
    y[2, 1, 0] = math.nan
    with pytest.raises(InputError, match="log_probabilities, row 1: expected numbers, got NaN at step 2"):
        decode(y, LENGTHS)


def test_what_is_kept_of_an_ngram_model_is_bounded(monkeypatch):
    y, scorer, model = drawn(20, 2), WordScorer(words_ngram(), LETTERS), numbers_ngram()
    expected = ctc_beam(y, words=scorer, ngram=model)
    for module in (ngram_module, scorers_module):
        monkeypatch.setattr(module, "NUMBERS_KEPT", 40)
    scorer, model = WordScorer(words_ngram(), LETTERS), numbers_ngram()
    assert ctc_beam(y, words=scorer, ngram=model) == expected
    assert len(scorer._rows) <= 40 // 4
    assert len(model._rows) <= 40 // 5
    assert len(scorer.ngram._known) <= 40
