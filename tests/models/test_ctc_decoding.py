"""Decoding of CTC against an enumeration of all paths and all sequences of symbols."""

import itertools
import math
from collections import defaultdict

import pytest
import torch

from unrolled.core import InputError
from unrolled.models import CTCGreedyStream, NGram, WordScorer, ctc_align, ctc_beam, ctc_greedy

T, B, V = 5, 4, 4
LENGTHS = [5, 3, 0, 1]
LETTERS = ["", " ", "a", "b"]  # as symbols of words


def drawn(steps=T, rows=B, symbols=V, seed=0, peaky=1.0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(steps, rows, symbols, dtype=torch.float64, generator=rng).mul(peaky).log_softmax(-1)


def collapse(path):
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def paths(y):
    """Every path through (T, V) with its log-probability."""
    for path in itertools.product(range(y.shape[1]), repeat=len(y)):
        yield path, math.fsum(float(y[t, symbol]) for t, symbol in enumerate(path))


def sums(y):
    """The log-probability of every sequence of symbols that has a path."""
    total = defaultdict(float)
    for path, score in paths(y):
        total[collapse(path)] += math.exp(score)
    return {symbols: math.log(p) for symbols, p in total.items()}


def rows(y, lengths=LENGTHS):
    return [y[:length, row] for row, length in enumerate(lengths)]


def starts(path):
    """The frames of each symbol of a path."""
    found, done = [], 0
    for symbol, run in itertools.groupby(path):
        end = done + len(list(run))
        found += [(done, end)] if symbol else []
        done = end
    return found


def numbers_ngram(order=3):
    return NGram.count([[1, 2, 2, 3], [1, 1, 2], [3, 1], [2, 1, 2, 1], []], order)


def words_ngram(order=2):
    return NGram.count([["a", "ab"], ["ab", "a", "a"], ["bb", "ab"], ["a"]], order)


def check(found, expected, n_best):
    """The n best are those of an enumeration, {symbols: score}, in the same order."""
    best = sorted(expected.items(), key=lambda item: -item[1])[:n_best]
    assert [tuple(hypothesis.tokens) for hypothesis in found] == [symbols for symbols, _ in best]
    torch.testing.assert_close(
        torch.tensor([hypothesis.score for hypothesis in found], dtype=torch.float64),
        torch.tensor([score for _, score in best], dtype=torch.float64),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_the_likeliest_path(seed):
    y = drawn(seed=seed)
    for found, row in zip(ctc_greedy(y, LENGTHS), rows(y), strict=True):
        path, score = max(paths(row), key=lambda item: item[1])
        assert tuple(found.tokens) == collapse(path)
        assert found.frames == starts(path)
        assert math.isclose(found.score, score, abs_tol=1e-12)


def test_greedy_of_a_long_matrix_in_parts_is_the_whole():
    y = drawn(61, 3, seed=1)
    whole = [list(zip(best.tokens, [first for first, _ in best.frames], strict=True)) for best in ctc_greedy(y)]
    stream, found = CTCGreedyStream(3), [[], [], []]
    for part in y.split([0, 1, 7, 1, 0, 20, 2, 30, 0]):
        for row, new in zip(found, stream.feed(part), strict=True):
            row += new
    assert found == whole
    with pytest.raises(InputError, match=r"log_probabilities: expected \(K, B, V\) with B = 3, got \(61, 2, 4\)"):
        stream.feed(y[:, :2])


def everything(y, **options):
    """A beam that keeps every prefix."""
    return ctc_beam(y, LENGTHS, beam_size=2000, n_best=7, least=0, **options)


@pytest.mark.parametrize("seed", range(3))
def test_a_beam_that_holds_all_prefixes_finds_the_best_sums(seed):
    y = drawn(seed=seed)
    for found, row in zip(everything(y), rows(y), strict=True):
        check(found, sums(row), 7)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("bonus", [0.0, 0.7])
def test_with_an_ngram_model_of_symbols(order, bonus):
    y, model = drawn(seed=3), numbers_ngram(order)
    for found, row in zip(everything(y, ngram=model, ngram_weight=0.8, token_bonus=bonus), rows(y), strict=True):
        expected = {
            symbols: score
            + 0.8 * sum(model.score(symbols[:k], symbol) for k, symbol in enumerate([*symbols, None]))
            + bonus * len(symbols)
            for symbols, score in sums(row).items()
        }
        check(found, expected, 7)


def test_with_a_bonus_alone():
    y = drawn(seed=4)
    for found, row in zip(everything(y, token_bonus=1.5), rows(y), strict=True):
        check(found, {symbols: score + 1.5 * len(symbols) for symbols, score in sums(row).items()}, 7)


def word_score(symbols, model, weight, bonus, unknown):
    """Of a text its words' scores, minus infinity of what is none."""
    text = "".join(LETTERS[symbol] for symbol in symbols)
    words = text.split()
    if text.startswith(" ") or "  " in text:
        return -math.inf
    each = sum(model.score(words[:k], word) for k, word in enumerate([*words, None]))
    new = sum(word not in model.vocabulary for word in words)
    return weight * each + bonus * len(words) + (unknown * new if new else 0)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("options", "unknown"), [({}, -10), ({"unknown": -1.5}, -1.5), ({"lexicon": True}, -math.inf)])
def test_with_an_ngram_model_of_words(order, options, unknown):
    model = words_ngram(order)
    y = drawn(6, 2, seed=order)
    scorer = WordScorer(model, LETTERS, weight=0.9, bonus=0.4, **options)
    for found, row in zip(ctc_beam(y, beam_size=5000, n_best=9, least=0, words=scorer), y.unbind(1), strict=True):
        expected = {s: score + word_score(s, model, 0.9, 0.4, unknown) for s, score in sums(row).items()}
        check(found, {s: score for s, score in expected.items() if score > -math.inf}, 9)


def test_with_both_models():
    y, words, symbols = drawn(seed=9), words_ngram(), numbers_ngram()
    scorer = WordScorer(words, LETTERS, weight=0.5)
    both = everything(y, words=scorer, ngram=symbols, ngram_weight=0.3)
    for found, row in zip(both, rows(y), strict=True):
        expected = {
            s: score
            + word_score(s, words, 0.5, 0, -10)
            + 0.3 * sum(symbols.score(s[:k], symbol) for k, symbol in enumerate([*s, None]))
            for s, score in sums(row).items()
        }
        expected = {s: score for s, score in expected.items() if score > -math.inf}
        check(found, expected, min(7, len(found)))


def test_only_words_of_the_lexicon_are_found_whatever_is_heard():
    words = NGram.count([["one", "two"], ["two", "ten"]], 2)
    letters = ["", " ", *sorted(set("onetwo"))]
    scorer = WordScorer(words, letters, weight=0.1, lexicon=True)
    y = torch.full((30, 6, len(letters)), 0.0, dtype=torch.float64) + 3 * drawn(30, 6, len(letters), seed=2)
    for [best] in ctc_beam(y.log_softmax(-1), beam_size=50, words=scorer):
        text = "".join(letters[symbol] for symbol in best.tokens)
        assert best.score > -math.inf
        assert set(text.split()) <= {"one", "two", "ten"}


def test_a_known_word_is_found_in_noise_and_a_new_one_where_it_is_clear():
    letters = ["", " ", *"abcdefghijklmnopqrstuvwxyz"]
    scorer = WordScorer(NGram.count([["call", "me"], ["tell", "me", "a", "tale"]], 2), letters, weight=0.5)
    for noise, said in ((2.5, "tell me a tale"), (0.3, "call him a tale")):
        path = [symbol for letter in said for symbol in (0, letters.index(letter), letters.index(letter))]
        y = torch.randn(len(path), 1, len(letters), generator=torch.Generator().manual_seed(2)) * noise
        y[torch.arange(len(path)), 0, path] += 7
        [[best]] = ctc_beam(y.log_softmax(-1), beam_size=32, words=scorer)
        assert "".join(letters[symbol] for symbol in best.tokens) == said


def test_where_no_word_is_complete_the_likeliest_is_given_with_no_score():
    scorer = WordScorer(NGram.count([["ab"]], 1), LETTERS, lexicon=True)
    y = torch.tensor([[0.1, 0.1, 0.7, 0.1], [0.97, 0.01, 0.01, 0.01]]).log().unsqueeze(1)
    [[best]] = ctc_beam(y, beam_size=1, words=scorer)
    assert best.tokens == [2]
    assert best.score == -math.inf
    [[best, *_]] = ctc_beam(y, beam_size=5, n_best=5, least=0, words=scorer)
    assert "".join(LETTERS[symbol] for symbol in best.tokens) in ("", "ab")
    assert best.score > -math.inf


def test_a_narrow_beam_comes_near_and_a_wider_one_nearer():
    y = drawn(40, 8, 12, seed=5, peaky=4.0)
    model = NGram.count(torch.randint(1, 12, (50, 9), generator=torch.Generator().manual_seed(0)).tolist(), 2)
    found = [ctc_beam(y, beam_size=size, ngram=model, least=0) for size in (1, 4, 16, 64)]
    scores = [sum(best.score for [best] in rows) for rows in found]
    gains = [wider - narrow for narrow, wider in itertools.pairwise(scores)]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 10 > 2 > gains[-1] > 0


def plain_beam(y, size):
    """Prefix beam search as it is told in words: prefixes as tuples, [paths to a blank, paths to the last symbol]."""
    beam = {(): [1.0, 0.0]}
    for now in y.exp().tolist():
        after = defaultdict(lambda: [0.0, 0.0])
        for prefix, (blank, other) in beam.items():
            after[prefix][0] += (blank + other) * now[0]
            for symbol in range(1, len(now)):
                if prefix[-1:] == (symbol,):
                    after[prefix][1] += other * now[symbol]
                    after[(*prefix, symbol)][1] += blank * now[symbol]
                else:
                    after[(*prefix, symbol)][1] += (blank + other) * now[symbol]
        beam = dict(sorted(after.items(), key=lambda item: -sum(item[1]))[:size])
    return {prefix: math.log(sum(ways)) for prefix, ways in beam.items()}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9, 20])
def test_a_narrow_beam_is_that_of_a_plain_search(size):
    y = drawn(40, 6, 4, seed=size, peaky=1.5)
    for found, row in zip(ctc_beam(y, beam_size=size, n_best=size, least=0), y.unbind(1), strict=True):
        check(found, plain_beam(row, size), size)


def test_improbable_symbols_may_be_left_out():
    y = drawn(60, 4, 30, seed=6, peaky=4.0)
    for [found], [other] in zip(ctc_beam(y, least=0), ctc_beam(y), strict=True):
        assert found.tokens == other.tokens
        assert found.score - other.score < 0.02


def test_n_best_are_different_and_in_order():
    for found in ctc_beam(drawn(30, 3, 6), n_best=16):
        assert len({tuple(hypothesis.tokens) for hypothesis in found}) == 16
        scores = [hypothesis.score for hypothesis in found]
        assert scores == sorted(scores, reverse=True)
        assert all(len(hypothesis.frames) == len(hypothesis.tokens) for hypothesis in found)


@pytest.mark.parametrize("target", [(), (1,), (2, 2), (1, 2, 1), (3, 3, 3), (1, 3, 2, 1, 2)])
def test_an_alignment_is_the_likeliest_path_of_its_symbols(target):
    y = drawn(rows=2, seed=7)
    for row, found in enumerate(ctc_align(y, [target, target])):
        path, score = max((item for item in paths(y[:, row]) if collapse(item[0]) == target), key=lambda item: item[1])
        assert tuple(found.tokens) == target
        assert found.frames == starts(path)
        assert math.isclose(found.score, score, rel_tol=1e-12)


def test_alignments_of_rows_of_different_lengths():
    y, targets = drawn(seed=8), torch.tensor([[1, 2, 2], [3, -5, 99], [7, 7, 7], [2, 0, 0]])
    found = ctc_align(y, targets, LENGTHS, [3, 1, 0, 1])
    assert found == ctc_align(y, [[1, 2, 2], [3], [], [2]], LENGTHS)
    for row, length in enumerate(LENGTHS):
        assert found[row] == ctc_align(y[:length, row : row + 1], [found[row].tokens])[0]
    assert found[2].frames == []


def test_what_is_impossible_is_still_aligned():
    y = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]).log().unsqueeze(1)
    [found] = ctc_align(y, [[1, 1]])
    assert found.frames[0] == (0, 1)
    assert len(found.frames) == 2
    [[best]] = ctc_beam(y)
    assert best.tokens == [1]
    assert math.isclose(best.score, 0, abs_tol=1e-12)


def test_decoding_of_nothing():
    empty = torch.zeros(0, 2, 3)
    for found in (ctc_greedy(empty), [best for [best] in ctc_beam(empty)], ctc_align(empty, [[], []])):
        assert [(best.tokens, best.frames, best.score) for best in found] == [([], [], 0.0)] * 2
    assert ctc_greedy(torch.zeros(3, 0, 2)) == ctc_beam(torch.zeros(3, 0, 2)) == []
    assert ctc_align(torch.zeros(3, 0, 2), []) == []
