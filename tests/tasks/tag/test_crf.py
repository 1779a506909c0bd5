"""The conditional random field against the sum, and the maximum, over every sequence of tags."""

from itertools import pairwise, product

import pytest
import torch

from unrolled.tasks.tag.crf import CRF, viterbi

T, B, K = 5, 4, 3
LENGTHS = torch.tensor([5, 1, 0, 3])


@pytest.fixture
def case():
    torch.manual_seed(1)
    crf = CRF(K).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf, torch.randn(T, B, K, dtype=torch.double, requires_grad=True), torch.randint(K, (T, B))


def every_score(crf, emissions, length):
    """The score of each sequence of so many tags, one by one."""
    scores = {}
    for tags in product(range(K), repeat=length):
        steps = sum(crf.transition[a, b] for a, b in pairwise(tags))
        scores[tags] = crf.start[tags[0]] + crf.end[tags[-1]] + steps + sum(emissions[t, y] for t, y in enumerate(tags))
    return scores


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_against_every_sequence(case, backend):
    crf, emissions, tags = case
    crf.backend = backend
    loss = crf.loss(emissions, tags, LENGTHS)
    decoded = crf.decode(emissions, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        if length == 0:
            assert loss[row] == 0
            continue
        scores = every_score(crf, emissions[:, row], length)
        mine = scores[tuple(tags[:length, row].tolist())]
        expected = torch.logsumexp(torch.stack(list(scores.values())), 0) - mine
        torch.testing.assert_close(loss[row], expected)
        assert tuple(decoded[:length, row].tolist()) == max(scores, key=scores.get)


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_gradcheck(case, backend):
    crf, emissions, tags = case
    crf.backend = backend
    inputs = (emissions, *crf.parameters())
    assert torch.autograd.gradcheck(lambda emissions, *_: crf.loss(emissions, tags, LENGTHS), inputs)


def test_one_step_and_padding(case):
    crf, emissions, tags = case
    alone = crf.loss(emissions[:1], tags[:1], torch.tensor([1, 1, 0, 1]))
    torch.testing.assert_close(alone[1], crf.loss(emissions, tags, LENGTHS)[1])
    behind = emissions.detach().clone()
    behind[3:, 3] = float("nan")
    behind[1:, 1] = float("nan")
    behind[:, 2] = float("nan")
    behind.requires_grad_()
    loss = crf.loss(behind, tags, LENGTHS)
    torch.testing.assert_close(loss, crf.loss(emissions, tags, LENGTHS))
    gradients = torch.autograd.grad(loss.sum(), [behind, *crf.parameters()])
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert torch.equal(crf.decode(behind, LENGTHS)[:3, 3], crf.decode(emissions, LENGTHS)[:3, 3])


def test_what_is_not_allowed_has_no_probability(case):
    _, emissions, _ = case
    allowed = torch.ones(K + 1, K + 1, dtype=torch.bool)
    allowed[0, 1] = allowed[-1, 2] = allowed[1, -1] = False  # no 0 then 1, no 2 at the beginning, no 1 at the end
    crf = CRF(K, allowed).double()
    length = 4

    def right(tags):
        return tags[0] != 2 and tags[-1] != 1 and (0, 1) not in pairwise(tags)

    scores = {tags: s for tags, s in every_score(crf, emissions[:, 0], length).items() if right(tags)}
    total = crf.log_total(emissions, torch.tensor([length] * B))[0]
    torch.testing.assert_close(total, torch.logsumexp(torch.stack(list(scores.values())), 0))
    assert tuple(crf.decode(emissions, torch.tensor([length] * B))[:length, 0].tolist()) == max(scores, key=scores.get)


def test_far_apart_scores_stay_finite():
    crf = CRF(K)
    emissions = torch.zeros(6, 1, K)
    emissions[:, :, 1] = 300.0
    emissions[3, :, 1], emissions[3, :, 2] = 0.0, 500.0
    emissions.requires_grad_()
    lengths = torch.tensor([6])
    best = crf.decode(emissions, lengths)
    loss = crf.loss(emissions, best, lengths)
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.zeros(1), atol=1e-3, rtol=0)
    assert torch.isfinite(emissions.grad).all()


def test_the_rows_of_a_batch_are_apart():
    torch.manual_seed(2)
    emissions, lengths = torch.randn(7, 5, K), torch.tensor([7, 3, 6, 1, 4])
    scores = torch.randn(K, K), torch.randn(K), torch.randn(K)
    together = viterbi(emissions, lengths, *scores)
    for row, length in enumerate(lengths.tolist()):
        alone = viterbi(emissions[:length, row : row + 1], lengths[row : row + 1], *scores)
        assert torch.equal(together[:length, row], alone[:, 0])
