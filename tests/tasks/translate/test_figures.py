"""BLEU and chrF are sacrebleu's, errors are jiwer's; several references; what is measured of whom."""

import random

import jiwer
import pytest
import sacrebleu

from unrolled.core import InputError
from unrolled.tasks.translate.figures import bleu, edit_distance, errors
from unrolled.tasks.translate.measuring import Measure, copy_of
from unrolled.tasks.translate.options import DataOptions
from unrolled.tasks.translate.pairs import Pair
from unrolled.tasks.translate.vocabulary import learn_vocabulary


def sentences(count, seed):
    chance = random.Random(seed)
    return [" ".join(chance.choices("abcdefg,.", k=chance.randint(1, 12))) for _ in range(count)]


def test_bleu_is_that_of_sacrebleu():
    found, true = sentences(50, 1), sentences(50, 2)
    figures = bleu(found, true, "none")
    assert figures.values["bleu"] == sacrebleu.corpus_bleu(found, [true], tokenize="none", force=True).score
    assert figures.values["chrf"] == sacrebleu.corpus_chrf(found, [true]).score
    assert "tok:none" in figures.signatures["bleu"]
    assert figures.criterion == 1 - figures.values["bleu"] / 100
    assert bleu(true, true, "13a").values["bleu"] == pytest.approx(100)
    assert "case:lc" in bleu(true, true, "13a", lowercase=True).signatures["bleu"]
    assert bleu(["", ""], true[:2], "none").values["bleu"] == 0  # nothing was found
    with pytest.raises(InputError, match="expected a reference for each translation, got 1 and 2"):
        bleu(["a"], ["a", "b"], "none")


def test_edit_distance_is_that_of_jiwer():
    for one, other in zip(sentences(60, 3), sentences(60, 4), strict=True):
        counted = jiwer.process_words(other, one)
        edits = counted.substitutions + counted.deletions + counted.insertions
        assert edit_distance(one.split(), other.split()) == edits
    assert edit_distance([], list("abc")) == edit_distance(list("abc"), []) == 3
    assert edit_distance([], []) == 0


def test_the_nearest_reference_counts():
    found = [["t", "ah"], ["k", "ae", "t"]]
    true = [[["t", "ow"], ["t", "ah"]], [["k", "ae", "t", "s"], ["d", "ao", "g"]]]
    assert errors(found, true).values == {"line_error_rate": 0.5, "token_error_rate": 1 / 6}
    assert errors(found[:1], [[["t", "ah"]]]).criterion == 0
    with pytest.raises(InputError, match="expected references for each translation"):
        errors([], [])


def measure(pairs, **options):
    data = DataOptions(minimum_count=1, **options)
    known = learn_vocabulary(pairs, data)
    return Measure.of_options(data, known), known


def test_errors_ask_for_each_source_once():
    pairs = [Pair("to", "T UW"), Pair("cat", "K AE T"), Pair("to", "T AH")]
    of, known = measure(pairs, source_tokens="characters")
    asked = []

    def translate(sources):
        asked.extend(sources)
        return ["T AH", "K AE"]

    assert of(pairs, translate).values == {"line_error_rate": 0.5, "token_error_rate": 0.2}
    assert asked == ["to", "cat"]
    assert copy_of(known)(["to"]) == ["t o"]  # the letters as words


def test_bleu_asks_for_each_pair():
    pairs = [Pair("ein mann geht da", "a man walks there"), Pair("ein mann geht da", "a man is walking")]
    of, known = measure(pairs)
    figures = of(pairs, lambda sources: ["a man walks there" for _ in sources])
    assert len(of.sources(pairs)) == 2
    assert 0 < figures.values["bleu"] < 100
    assert copy_of(known)(["ein mann"]) == ["ein mann"]
