"""Dropout by masks of 16 bits a number."""

import pytest
import torch

from unrolled.models.dropout import Dropout, VariationalDropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_as_many_are_zeroed_and_the_rest_is_scaled(p, dtype):
    torch.manual_seed(0)
    n = 200_003
    x = torch.ones(n, dtype=dtype, requires_grad=True)
    y = Dropout(p)(x)
    zeroed = int((y == 0).sum())
    assert abs(zeroed - p * n) < 5 * (p * (1 - p) * n) ** 0.5
    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=2e-4, atol=0)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_neighbours_and_draws_are_independent():
    """Four numbers come of one draw: pairs of them are zeroed together as often as chance has it."""
    torch.manual_seed(1)
    n = 400_000
    zeroed = (Dropout(0.3)(torch.ones(n)) == 0).view(-1, 4).double()
    expected = 0.3 * torch.eye(4, dtype=torch.double) + 0.09 * (1 - torch.eye(4, dtype=torch.double))
    torch.testing.assert_close(zeroed.T @ zeroed / len(zeroed), expected, atol=5e-3, rtol=0)
    assert not torch.equal(Dropout(0.3)(torch.ones(50)), Dropout(0.3)(torch.ones(50)))


def test_the_seed_decides_and_evaluation_draws_nothing():
    torch.manual_seed(2)
    first = Dropout(0.4)(torch.ones(7, 9))
    torch.manual_seed(2)
    assert torch.equal(Dropout(0.4)(torch.ones(7, 9)), first)
    before = torch.get_rng_state()
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Dropout(0.4).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("p", [1e-9, 1 - 1e-9])
def test_the_ends_of_the_range_stay_finite(p):
    assert Dropout(p)(torch.ones(1000)).isfinite().all()


def test_nothing_in_nothing_out():
    assert Dropout(0.5)(torch.ones(0, 3)).shape == (0, 3)


def test_one_mask_for_a_sequence():
    torch.manual_seed(0)
    y = VariationalDropout(0.3)(torch.ones(5, 100, 40))
    assert torch.equal(y, y[:1].expand_as(y))
    assert abs(float((y == 0).double().mean()) - 0.3) < 0.03
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / 0.7))
    x = torch.randn(5, 3, 4)
    assert VariationalDropout(0.3).eval()(x) is x
    assert VariationalDropout(0.0)(x) is x


def test_a_single_step_has_a_mask_for_each_row():
    y = VariationalDropout(0.5)(torch.ones(50, 40))
    assert len((y == 0).unique(dim=0)) > 40
