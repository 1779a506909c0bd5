"""The worst small change of an input, and mixed rows."""

import pytest
import torch

from unrolled.cells import LSTM
from unrolled.models import SequenceToVector
from unrolled.tasks.classify.adversarial import worst_nearby
from unrolled.tasks.classify.mixup import Mix


def test_by_hand():
    read = torch.tensor([[[3.0, 0.0]], [[0.0, 4.0]], [[7.0, 7.0]]], requires_grad=True)  # the third step is padding
    loss = (read * torch.tensor([[[0.0, 1.0]], [[2.0, 0.0]], [[5.0, 5.0]]])).sum()
    (changed,) = worst_nearby([read], loss, torch.tensor([2]), 0.1)
    step = 0.1 * 5 / 5**0.5  # the row's norm is 5, the gradient's the root of 5
    expected = torch.tensor([[[3.0, step]], [[2 * step, 4.0]], [[7.0, 7.0]]])
    torch.testing.assert_close(changed, expected)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_worse_than_chance_changes_of_its_size_and_rows_do_not_mix(seed):
    torch.manual_seed(seed)
    model = SequenceToVector(3, lambda size: LSTM(size, 6), 4, pooling="max", bidirectional=True)
    x, lengths, targets = torch.randn(9, 5, 3, requires_grad=True), torch.tensor([9, 1, 4, 7, 2]), torch.arange(5) % 4

    def losses(read):
        return torch.nn.functional.cross_entropy(model(read, lengths=lengths), targets, reduction="none")

    before = losses(x)
    (changed,) = worst_nearby([x], before.mean(), lengths, 0.02)
    difference = (changed - x).detach()
    inside = (torch.arange(9)[:, None] < lengths)[..., None]
    assert not difference.masked_select(~inside).any()
    norms = [torch.linalg.vector_norm(part, dim=(0, 2)) for part in (difference, x.detach() * inside)]
    torch.testing.assert_close(norms[0], 0.02 * norms[1])
    with torch.no_grad():
        worst = losses(changed) - before
        for _ in range(20):
            other = torch.randn_like(x) * inside
            other *= (norms[0] / torch.linalg.vector_norm(other, dim=(0, 2)))[:, None]
            assert (worst >= losses(x + other) - before - 1e-5).all()
    assert (worst > 0).all()


def test_what_has_no_gradient_stays_as_it_is():
    read = torch.zeros(3, 2, 2, requires_grad=True)
    (changed,) = worst_nearby([read], (read * 0).sum(), torch.tensor([3, 0]), 0.5)
    assert torch.equal(changed, torch.zeros(3, 2, 2))


def test_mixed_rows_by_hand():
    mix = Mix(0.75, torch.tensor([1, 0]))
    torch.testing.assert_close(mix(torch.tensor([[4.0, 0.0], [0.0, 8.0]])), torch.tensor([[3.0, 2.0], [1.0, 6.0]]))
    logits, targets = torch.tensor([[1.0, 2.0], [0.5, 0.0]]), torch.tensor([0, 1])
    log = logits.log_softmax(1)
    expected = -(0.75 * (log[0, 0] + log[1, 1]) + 0.25 * (log[0, 1] + log[1, 0])) / 2
    torch.testing.assert_close(mix.cross_entropy(logits, targets, 0.0), expected)


def test_shares_are_those_of_the_beta_distribution():
    torch.manual_seed(0)
    draws = [Mix.draw(0.5, 9) for _ in range(4000)]
    shares = torch.tensor([draw.share for draw in draws])
    assert abs(float(shares.mean()) - 0.5) < 0.02
    assert abs(float(shares.var()) - 0.125) < 0.01  # 1 / (4 (2 alpha + 1))
    assert all(sorted(draw.partners.tolist()) == list(range(9)) for draw in draws[:20])
