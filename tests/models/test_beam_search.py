"""Beam search, beside all sequences there are, greedy search, and numbers worked out by hand."""

import itertools
import math

import pytest
import torch

from unrolled.core import InputError, InputTypeError
from unrolled.models import beam_search, greedy

END, V, MOST = 0, 4, 4


def chain(seed, rows=1):
    """A Markov chain of order two, another for each row: the state is the row and the token before."""
    rng = torch.Generator().manual_seed(seed)
    table = (2 * torch.randn(rows, V, V, V, dtype=torch.double, generator=rng)).log_softmax(-1)

    def step(tokens, state):
        places, before = state
        return table[places, before, tokens], (places, tokens)

    return table, step, (torch.arange(rows), torch.full((rows,), 1))


def likely(table, tokens):
    """The log-probability of the tokens, which begin with 1, 2."""
    return sum(float(table[a, b, c]) for a, b, c in zip([1, 2, *tokens], [2, *tokens], tokens, strict=False))


def all_sequences(table, penalty=0.0):
    """What ends within the steps, best first: score and tokens without the end."""
    found = []
    for length in range(MOST):
        for tokens in itertools.product(range(1, V), repeat=length):
            found.append((likely(table, [*tokens, END]) / ((5 + length + 1) / 6) ** penalty, tokens))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.5, -0.5])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_best_of_all(seed, penalty):
    table, step, state = chain(seed)
    (found,) = beam_search(
        step, state, torch.tensor([2]), end=END, max_length=MOST, beam_size=V**MOST, n_best=10, length_penalty=penalty
    )
    expected = all_sequences(table[0], penalty)[:10]
    assert [one.tokens for one in found] == [tokens for _, tokens in expected]
    assert [one.score for one in found] == pytest.approx([score for score, _ in expected])


def test_what_is_cut_comes_after_what_ended():
    table, step, state = chain(0)
    (found,) = beam_search(step, state, torch.tensor([2]), end=END, max_length=2, beam_size=16, n_best=16)
    ended = [one for one in found if one.ended]
    assert [one.tokens for one in ended] == [t for _, t in all_sequences(table[0]) if len(t) < 2]
    cut = found[len(ended) :]
    assert sorted(one.tokens for one in cut) == list(itertools.product(range(1, V), repeat=2))
    assert [one.score for one in cut] == sorted((likely(table[0], one.tokens) for one in cut), reverse=True)
    assert not any(one.ended for one in cut)


def test_all_rows_at_once_are_each_alone():
    rows = 6
    _, step, state = chain(1, rows)
    begin, most = torch.full((rows,), 2), torch.tensor([7, 1, 3, 2, 7, 5])
    options = {"end": END, "beam_size": 3, "n_best": 2, "length_penalty": 0.6}
    whole = beam_search(step, state, begin, max_length=most, **options)
    for row in range(rows):
        one = tuple(part[row : row + 1] for part in state)
        assert beam_search(step, one, begin[:1], max_length=most[row : row + 1], **options) == [whole[row]]
    assert whole == beam_search(step, state, begin, max_length=most, **options)


@pytest.mark.parametrize("limits", [{}, {"no_repeat_ngram": 2}, {"forbidden": [3]}])
def test_a_beam_of_1_is_greedy_search(limits):
    rows = 20
    _, step, state = chain(2, rows)
    begin, options = torch.full((rows,), 2), {"end": END, "max_length": 8, **limits}
    found = [best for (best,) in beam_search(step, state, begin, beam_size=1, **options)]
    expected = greedy(step, state, begin, **options)
    assert [(one.tokens, one.ended) for one in found] == [(one.tokens, one.ended) for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected])
    assert {one.ended for one in found} == {True, False}


def markov(*rows):
    table = torch.tensor(rows, dtype=torch.double).log()
    return lambda tokens, state: (table[tokens], state)


def test_the_length_penalty_by_hand():
    """Of 1 either the end, with 0.5, or 2 with 0.5 and then the end with 0.9."""
    step = markov([1, 0, 0], [0.5, 0, 0.5], [0.9, 0, 0.1])
    short, longer = math.log(0.5), math.log(0.45)
    for penalty, first in ((0.0, ()), (0.5, ()), (1.5, (2,))):
        (found,) = beam_search(
            step, (), torch.tensor([1]), end=0, max_length=9, beam_size=2, n_best=2, length_penalty=penalty
        )
        scores = {(): short / (6 / 6) ** penalty, (2,): longer / (7 / 6) ** penalty}
        assert found[0].tokens == first == max(scores, key=scores.get)
        assert {one.tokens: one.score for one in found} == pytest.approx(scores)


@pytest.mark.parametrize(("penalty", "tokens"), [(0.0, ()), (1.0, (2, 3, 4)), (-1.0, ())])
def test_a_sequence_that_the_penalty_will_favour_is_waited_for(penalty, tokens):
    """That ends at once with 0.5, or is 2 3 4 with 0.49."""
    rows = [1, 0, 0, 0, 0], [0.5, 0, 0.49, 0.01, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]
    ((best,),) = beam_search(
        markov(*rows), (), torch.tensor([1]), end=0, max_length=9, beam_size=2, length_penalty=penalty
    )
    assert best.tokens == tokens


def test_the_best_is_found_though_more_sequences_than_beams_ended_before():
    """A model that is sure of 1 2 3: all that ends before is unlikely, but soon outnumbers two beams."""
    step = markov([1, 0, 0, 0], [0.02, 0, 0.97, 0.01], [0.02, 0.01, 0, 0.97], [0.97, 0.01, 0.02, 0])
    ((best,),) = beam_search(step, (), torch.tensor([1]), end=0, max_length=9, beam_size=2)
    assert best.tokens == (2, 3)


def test_no_step_is_made_once_no_live_sequence_can_win():
    calls = []

    def step(tokens, state):
        calls.append(len(tokens))
        return markov([1, 0], [0.6, 0.4])(tokens, state)

    beam_search(step, (), torch.tensor([1, 1]), end=0, max_length=50, beam_size=2)
    assert calls == [4]
    calls.clear()
    beam_search(step, (), torch.tensor([1, 1]), end=0, max_length=torch.tensor([3, 1]), beam_size=2, n_best=2)
    assert calls == [4, 2]  # a row that is over has left


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_run_of_n_tokens_comes_twice(n):
    step = markov([1, 0, 0, 0], [0.001, 0.5, 0.3, 0.199], [0.001, 0.6, 0.3, 0.099], [0.001, 0.4, 0.4, 0.199])
    options = {"end": 0, "beam_size": 4, "n_best": 4}
    (found,) = beam_search(step, (), torch.tensor([1]), max_length=12, no_repeat_ngram=n, **options)
    for one in found:
        runs = [one.tokens[i : i + n] for i in range(len(one.tokens) - n + 1)]
        assert len(set(runs)) == len(runs)
    assert any(len(one.tokens) >= n + 1 for one in found)
    if n == 1:
        assert max(len(one.tokens) for one in found) <= 3  # each of three tokens once, and then the end
    (free,) = beam_search(step, (), torch.tensor([1]), max_length=12, **options)
    assert any(one.tokens == (1,) * 12 for one in free)


def test_tokens_that_are_forbidden_never_come():
    for seed in range(5):
        _, step, state = chain(seed)
        (found,) = beam_search(
            step, state, torch.tensor([2]), end=END, max_length=6, beam_size=5, n_best=5, forbidden=[1, 3]
        )
        assert found
        assert all(set(one.tokens) <= {2} for one in found)


def test_fewer_than_n_best_come_where_there_are_no_more():
    (found,) = beam_search(markov([1, 0], [1, 0]), (), torch.tensor([1]), end=0, max_length=5, beam_size=4, n_best=4)
    assert [(one.tokens, one.score) for one in found] == [((), 0.0)]


def test_the_state_may_be_any_tree_and_the_attention_goes_along():
    """The state holds all that was read, and the attention shows it: both must be those of the sequence."""
    _, inner, _ = chain(3)

    def step(tokens, state):
        (read, (count,)), before = state
        read = read.clone()
        read[torch.arange(len(read)), count[0]] = tokens
        scores, before = inner(tokens, before)
        return scores, ((read, (count + 1,)), before), read.double()

    begun = torch.zeros(1, 9, dtype=torch.int64), (torch.zeros(1, dtype=torch.int64),)
    state = begun, (torch.zeros(1, dtype=torch.int64), torch.full((1,), 1))
    (found,) = beam_search(step, state, torch.tensor([2]), end=END, max_length=6, beam_size=4, n_best=4)
    assert len({one.tokens for one in found}) == 4
    for one in found:
        expected = [[2, *one.tokens[:t], *[0] * (8 - t)] for t in range(len(one.tokens))]
        assert one.attention.tolist() == expected


def test_wrong_options_are_told():
    _, step, state = chain(0)
    begin = torch.tensor([2])
    options = {"end": END, "max_length": 5}
    for wrong, words in (
        ({"beam_size": 0}, "beam_size: expected at least 1, got 0"),
        ({"n_best": 6}, "n_best: expected at most beam_size = 5, got 6"),
        ({"max_length": 0}, "max_length: expected at least 1, got 0"),
        ({"max_length": torch.tensor([0])}, "max_length: expected at least 1, got 0"),
        ({"max_length": torch.tensor([5, 5])}, r"max_length: expected whole numbers \(B,\) = \(1,\), got \(2,\)"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram: expected a whole number of at least 0, got -1"),
        ({"forbidden": [0]}, "forbidden: expected tokens other than the end, got 0 among them"),
        ({"forbidden": [-1]}, "forbidden: expected a token from 0 to 3, got -1"),
        ({"forbidden": [2, 4]}, "forbidden: expected a token from 0 to 3, got 4"),
        ({"end": 4}, "end: expected a token from 0 to 3, got 4"),
        ({"length_penalty": math.nan}, "length_penalty: expected a finite number, got nan"),
        ({"length_penalty": "1"}, "length_penalty: expected a finite number, got '1'"),
    ):
        with pytest.raises(InputError, match=words):
            beam_search(step, state, begin, **{**options, **wrong})
    for wrong, words in (
        ({"end": 1.5}, r"end: expected a token, a whole number, got 1\.5"),
        ({"forbidden": 3}, "forbidden: expected several tokens, got 3"),
        ({"forbidden": ["a"]}, "forbidden: expected a token, a whole number, got 'a'"),
    ):
        with pytest.raises(InputTypeError, match=words):
            beam_search(step, state, begin, **{**options, **wrong})
    for wrong in (2, torch.tensor(2), torch.tensor([2.0])):
        with pytest.raises(InputTypeError, match=r"begin: expected a tensor of tokens \(B,\), got"):
            beam_search(step, state, wrong, **options)


def test_a_step_of_a_wrong_shape_or_of_no_numbers_is_told():
    options = {"end": 0, "max_length": 5, "beam_size": 2}
    for search in (beam_search, lambda *a, beam_size, **options: greedy(*a, **options)):
        with pytest.raises(InputError, match=r"step: expected log-scores \(N, V\) with N = ., got \(1, ., 3\)"):
            search(lambda tokens, state: (torch.zeros(1, len(tokens), 3), state), (), torch.tensor([1]), **options)
        with pytest.raises(InputError, match="step: expected"):
            search(
                lambda tokens, state: (torch.full((len(tokens), 3), math.nan), state), (), torch.tensor([1]), **options
            )


def test_a_row_of_which_nothing_can_come_has_no_hypothesis():
    step = markov([1, 0, 0], [0, 0.5, 0.5], [0.5, 0.5, 0])
    found = beam_search(step, (), torch.tensor([1, 2]), end=0, max_length=5, beam_size=2, forbidden=[1, 2])
    assert [[one.tokens for one in row] for row in found] == [[], [()]]
