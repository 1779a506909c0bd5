"""The n-gram model: its equation by hand, sums to 1, text and back, damage."""

import itertools
import math
import random

import pytest
import torch

from unrolled.core import DataError, InputError, InputTypeError
from unrolled.models import NGram

SENTENCES = ["a b", "a b", "a c", "b", ""]


def counted(order=2, **options):
    return NGram.count([line.split() for line in SENTENCES], order, **options)


def drawn(order, tokens=5, seed=0):
    rng = random.Random(seed)
    sequences = [[rng.randrange(tokens) ** 2 for _ in range(rng.randrange(7))] for _ in range(40)]
    return NGram.count(sequences, order), sequences


def test_probabilities_by_hand():
    model = counted()
    # pairs: (begin a) 3, (begin b) 1, (begin end) 1, (a b) 2, (a c) 1, (b end) 3, (c end) 1
    pairs = 4 / (4 + 2 * 1)  # D of pairs: four of them were seen once, one twice
    # before: a after 1 token, b after 2, c after 1, end after 3, so 7; D: two once, one twice
    single = 2 / (2 + 2 * 1)
    none = 1 / (3 + 2)
    after_nothing = {"a": 1, "b": 2, "c": 1, None: 3, "never": 0}
    after_a = {"a": 0, "b": 2, "c": 1, None: 0, "never": 0}
    for token, count in after_nothing.items():
        shorter = max(count - single, 0) / 7 + single * 4 / 7 * none
        assert math.isclose(math.exp(model.score(["never"], token)), shorter)
        expected = max(after_a[token] - pairs, 0) / 3 + pairs * 2 / 3 * shorter
        assert math.isclose(math.exp(model.score(["a"], token)), expected)
    begun = max(3 - pairs, 0) / 5 + pairs * 3 / 5 * ((1 - single) / 7 + single * 4 / 7 * none)
    assert math.isclose(math.exp(model.score([], "a")), begun)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_after_every_context_all_outcomes_sum_to_1(order):
    model, _ = drawn(order)
    for length in range(4):
        for context in itertools.product([*model.vocabulary, 7], repeat=length):  # 7 was never seen
            each = [model.score(context, token) for token in (*model.vocabulary, None, 7)]
            assert math.isclose(math.fsum(map(math.exp, each)), 1, rel_tol=1e-12)
            assert model.score(context, 7) == model.score(context, 8) > -math.inf


def test_a_vocabulary_that_is_given_is_known():
    model = counted(vocabulary=["z", "a"])
    assert model.vocabulary == ("z", "a", "b", "c")
    assert math.isclose(sum(math.exp(model.score(["a"], token)) for token in ("z", "a", "b", "c", None, "?")), 1)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_context_is_the_last_tokens_or_the_beginning(order):
    model, sequences = drawn(order)
    for sequence in sequences:
        state = model.start
        for place, token in enumerate(sequence):
            assert model.state(sequence[:place]) == state
            assert model.score(sequence[:place], token) == model.score(sequence[:place][-max(order, 1) :], token)
            row = model.log_probabilities(state)
            for outcome, number in ((token, model.number(token)), (None, 1), ("never", 2)):
                assert math.isclose(row[number - 1], model.score(sequence[:place], outcome), rel_tol=1e-13)
            assert len(row) == len(model.vocabulary) + 2
            state = model.next(state, model.number(token))
    if order > 1:
        assert model.score([], 4) != model.score([9, 7][:1], 4)  # the beginning is no token


def test_perplexity():
    model, sequences = drawn(3)
    nats = sum(-model.score(s[:t], s[t]) for s in sequences for t in range(len(s)))
    nats += sum(-model.score(s, None) for s in sequences)
    assert math.isclose(model.perplexity(sequences), math.exp(nats / sum(len(s) + 1 for s in sequences)))
    assert counted(1).perplexity([["never"]]) < math.inf
    with pytest.raises(InputError, match="sequences: expected at least one, got none"):
        model.perplexity([])


def test_longer_contexts_predict_what_depends_on_them():
    sequences = [[1, 2, 3, 4] * 5, [1, 3, 2, 4] * 5] * 3
    perplexities = [NGram.count(sequences, order).perplexity(sequences) for order in (1, 2, 3, 4)]
    assert perplexities == sorted(perplexities, reverse=True)
    assert perplexities[-1] < 1.3 < 3 < perplexities[0]


def test_a_string_is_its_characters():
    assert NGram.count(["abba"], 3) == NGram.count([list("abba")], 3)
    model = NGram.count(["abba", "ab"], 3)
    assert model.score("ab", "b") == model.score(["a", "b"], "b")


@pytest.mark.parametrize("order", [1, 3])
def test_text_and_back(order):
    for model in (drawn(order)[0], counted(order), NGram.count([], order), NGram.count(['ä"\n\u2028\\ '], order)):
        again = NGram.from_text(model.to_text())
        assert again == model
        assert again.to_text() == model.to_text()
        assert again.score([], "a") == model.score([], "a")
    assert counted(2) != counted(3)


TEXT = counted().to_text()
DAMAGED = {
    "empty": ("", "line 1: expected 'unrolled n-gram 1', got ''"),
    "another file": ('{"a": 1}', "line 1: expected 'unrolled n-gram 1'"),
    "only its head": ("unrolled n-gram 1", "line 1: expected 'end 0'"),
    "cut": (TEXT[: len(TEXT) // 2], "expected 'end"),
    "a line missing": (TEXT.replace("3 0 3\n", ""), "expected 'end 6'"),
    "order 0": (TEXT.replace("order 2", "order 0"), "line 2: expected 'order' and a whole number of at least 1"),
    "vocabulary": (TEXT.replace('["a", "b", "c"]', '["a", "b", "a"]'), "line 3: expected a list in JSON of different"),
    "vocabulary, mixed": (TEXT.replace('["a", "b", "c"]', '["a", "b", 3]'), "line 3: expected a list in JSON"),
    "vocabulary, nested": (TEXT.replace('["a", "b", "c"]', '["a", "b", ["c"]]'), "line 3: expected a list in JSON"),
    "vocabulary, no JSON": (TEXT.replace('["a", "b", "c"]', '["a", "b", "c"'), "line 3: expected a list in JSON"),
    "vocabulary, deep": (TEXT.replace('["a", "b", "c"]', "[" * 100_000), "line 3: expected a list in JSON"),
    "vocabulary, short": (TEXT.replace('["a", "b", "c"]', '["a", "b"]'), "expected a count and the numbers"),
    "no number": (TEXT.replace("3 0 3", "3 0 x"), "line 4: expected a count and the numbers of an n-gram"),
    "a count of 0": (TEXT.replace("3 0 3", "0 0 3"), "line 4: expected a count"),
    "twice": (TEXT.replace("1 0 4", "1 0 3"), "that was not there before"),
    "too long": (TEXT.replace("3 0 3", "3 0 3 3"), "line 4: expected a count"),
    "too short": (TEXT.replace("3 0 3", "3 3"), "line 4: expected a count"),
    "begins in its middle": (TEXT.replace("3 0 3", "3 3 0"), "line 4: expected a count"),
    "ends in its middle": (TEXT.replace("3 0 3", "3 1 3"), "line 4: expected a count"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_told(damage):
    text, message = DAMAGED[damage]
    assert text != TEXT
    with pytest.raises(DataError, match=message) as told:
        NGram.from_text(text)
    assert "count the model again" in str(told.value)


def test_wrong_arguments_are_told():
    model, _ = drawn(2)
    with pytest.raises(InputError, match="order: expected at least 1, got 0"):
        counted(0)
    with pytest.raises(InputTypeError, match="all str or all int, got int, str"):
        NGram.count([["a", 1]])
    with pytest.raises(InputTypeError, match="all str or all int, got float"):
        NGram.count([[0.5]])
    with pytest.raises(InputTypeError, match="all str or all int, got list"):
        NGram.count([[["a"]]])
    with pytest.raises(InputTypeError, match="sequences: expected sequences of tokens, got int"):
        NGram.count([1, 2])
    for wrong in (lambda token: model.score([token], 1), lambda token: model.score([], token)):
        with pytest.raises(InputTypeError, match="token: expected a string or a whole number, got Tensor"):
            wrong(torch.tensor(1))


def test_an_order_longer_than_any_sequence_takes_no_more_memory():
    longest, longer = NGram.count(["ab"], 4), NGram.count(["ab"], 10**15)
    assert longer.score("a", "b") == longest.score("a", "b")
    assert NGram.from_text(longer.to_text()) == longer


def test_a_token_that_no_file_can_hold_is_escaped():
    model = NGram.count([["\udc80", "ä"]], 2)
    assert NGram.from_text(model.to_text().encode("utf-8").decode("utf-8")) == model
