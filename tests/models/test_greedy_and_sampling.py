"""One sequence a row: the likeliest token at each step, or one that is drawn."""

import itertools
import math

import pytest
import torch

from unrolled.core import InputError
from unrolled.models import greedy, sample

TABLE = torch.tensor(
    [[1, 0, 0, 0], [0.1, 0.2, 0.4, 0.3], [0.5, 0.2, 0.2, 0.1], [0.1, 0.6, 0.2, 0.1]], dtype=torch.double
)
ROWS = 4000


def step(tokens, state):
    return TABLE.log()[tokens], state + 1


def state(rows):
    return torch.zeros(rows)


def test_greedy_takes_the_likeliest_until_the_end():
    found = greedy(step, state(3), torch.tensor([1, 2, 3]), end=0, max_length=torch.tensor([9, 9, 2]))
    assert [one.tokens for one in found] == [(2,), (), (1, 2)]
    assert [one.ended for one in found] == [True, True, False]
    assert [one.score for one in found] == pytest.approx([math.log(p) for p in (0.4 * 0.5, 0.5, 0.6 * 0.4)])


def test_rows_that_are_over_leave():
    calls = []

    def counted(tokens, state):
        calls.append((tokens.tolist(), state.tolist()))
        return (*step(tokens, state), torch.stack([tokens, 10 * tokens], 1))

    found = greedy(counted, state(3), torch.tensor([1, 2, 3]), end=0, max_length=9)
    assert calls == [([1, 2, 3], [0, 0, 0]), ([2, 1], [1, 1]), ([2], [2])]
    assert found[1].attention.shape == (0, 2)
    assert found[2].attention.tolist() == [[3, 30], [1, 10]]


def drawn(step=step, **options):
    """How often each token is the first after 1."""
    begin = torch.ones(ROWS, dtype=torch.int64)
    found = sample(step, state(ROWS), begin, end=0, max_length=1, seed=3, **options)
    first = torch.tensor([one.tokens[0] if one.tokens else 0 for one in found])
    return torch.bincount(first, minlength=4) / ROWS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.1, 0.2, 0.4, 0.3]),
        ({"temperature": 0.5}, [1 / 30, 4 / 30, 16 / 30, 9 / 30]),
        ({"top_k": 2}, [0, 0, 4 / 7, 3 / 7]),
        ({"top_k": 9}, [0.1, 0.2, 0.4, 0.3]),
        ({"top_p": 0.65}, [0, 0, 4 / 7, 3 / 7]),
        ({"top_p": 0.75}, [0, 2 / 9, 4 / 9, 3 / 9]),
        ({"top_p": 0.01}, [0, 0, 1, 0]),
        ({"top_k": 3, "top_p": 0.6}, [0, 0, 4 / 7, 3 / 7]),
        ({"temperature": 1e-300}, [0, 0, 1, 0]),
        ({"temperature": 1e-300, "forbidden": [2]}, [0, 0, 0, 1]),
        ({"temperature": 1e300}, [1 / 4, 1 / 4, 1 / 4, 1 / 4]),
        ({"temperature": 1e300, "forbidden": [2]}, [1 / 3, 1 / 3, 0, 1 / 3]),
        ({"top_p": 1e-300}, [0, 0, 1, 0]),
        ({"forbidden": [2]}, [1 / 6, 2 / 6, 0, 3 / 6]),
    ],
)
def test_tokens_are_drawn_with_their_probabilities(options, expected):
    expected = torch.tensor(expected)
    for dtype in (torch.float64, torch.float32):
        scores = TABLE.log().to(dtype)
        found = drawn(lambda tokens, state, scores=scores: (scores[tokens], state), **options)
        assert_drawn_from(found, expected)


def test_of_equal_scores_no_more_than_top_k_are_drawn():
    found = drawn(lambda tokens, state: (torch.zeros(len(tokens), 4), state), top_k=2)
    assert_drawn_from(found, torch.tensor([0.5, 0.5, 0, 0]))


def assert_drawn_from(found, expected):
    assert (found[expected == 0] == 0).all()
    assert ((found - expected).abs() < 4 * (expected * (1 - expected) / ROWS).sqrt() + 1e-6).all()


def test_draws_follow_their_seed_and_leave_that_of_torch_alone():
    begin, options = torch.ones(50, dtype=torch.int64), {"end": 0, "max_length": 9}
    before = torch.get_rng_state()
    first = sample(step, state(50), begin, seed=1, **options)
    assert torch.equal(torch.get_rng_state(), before)
    assert sample(step, state(50), begin, seed=1, **options) == first
    assert sample(step, state(50), begin, seed=2, **options) != first
    torch.manual_seed(1)
    assert sample(step, state(50), begin, **options) == first


def test_the_score_is_the_models_whatever_the_draws():
    for one in sample(step, state(50), torch.ones(50, dtype=torch.int64), end=0, max_length=9, temperature=3.0, seed=0):
        path = [1, *one.tokens, *([0] if one.ended else [])]
        expected = sum(math.log(TABLE[a, b]) for a, b in itertools.pairwise(path))
        assert one.score == pytest.approx(expected)


def test_wrong_options_are_told():
    begin = torch.tensor([1])
    for wrong, words in (
        ({"temperature": 0.0}, "temperature: expected a number above 0, got 0.0"),
        ({"top_k": 0}, "top_k: expected a whole number of at least 1, got 0"),
        ({"temperature": math.inf}, "temperature: expected a number above 0, got inf"),
        ({"top_p": 0.0}, "top_p: expected a number above 0 and at most 1, got 0.0"),
        ({"top_p": 1.5}, "top_p: expected a number above 0 and at most 1, got 1.5"),
    ):
        with pytest.raises(InputError, match=words):
            sample(step, state(1), begin, end=0, max_length=3, **wrong)


def test_where_nothing_may_come_is_told():
    for search in (greedy, sample):
        with pytest.raises(InputError, match=r"step: expected in every row a token .* got none at step 2;"):
            search(step, state(1), torch.tensor([0]), end=3, max_length=3, no_repeat_ngram=1)
