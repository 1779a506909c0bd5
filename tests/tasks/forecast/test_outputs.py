"""What is said of a step ahead: losses against PyTorch's distributions, quantiles against their definition."""

import numpy as np
import pytest
import torch

from unrolled.tasks.forecast.outputs import LEVELS, between, make_output, pinball

KINDS = ["quantiles", "normal", "student-t", "negative-binomial"]
SOME = (0.01, 0.1, 0.37, 0.5, 0.9, 0.999)


def drawn(output, steps=5, batch=3, seed=0):
    chance = torch.Generator().manual_seed(seed)
    raw = torch.randn(steps, batch, output.size, generator=chance, dtype=torch.float64)
    base = torch.randn(steps, batch, generator=chance, dtype=torch.float64)
    scale = torch.rand(batch, generator=chance, dtype=torch.float64) * 20 + 5
    counts = torch.randint(0, 60, (steps, batch), generator=chance).double()
    target = counts / scale if output.counts else torch.randn(steps, batch, generator=chance, dtype=torch.float64)
    return raw, base, target, scale


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_do_not_fall_and_hold_the_mean(kind):
    output = make_output(kind)
    raw, base, _, scale = drawn(output)
    found = output.quantiles(raw, base, scale, SOME)
    assert found.shape == (5, 3, len(SOME))
    assert (found.diff(dim=-1) >= 0).all()
    assert torch.isfinite(found).all()
    assert output.mean(raw, base, scale).shape == (5, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_the_loss(kind):
    output = make_output(kind)
    raw, base, target, scale = drawn(output)
    assert torch.autograd.gradcheck(
        lambda raw, base: output.loss(raw, base, target, scale), (raw.requires_grad_(), base.requires_grad_())
    )


def test_the_normal_distribution():
    output = make_output("normal")
    raw, base, target, scale = drawn(output)
    spread = torch.nn.functional.softplus(raw[..., 1] - 0.5) + 1e-4
    theirs = torch.distributions.Normal(base + raw[..., 0], spread)
    torch.testing.assert_close(output.loss(raw, base, target, scale), -theirs.log_prob(target))
    found = output.quantiles(raw, base, scale, SOME)
    expected = torch.stack([theirs.icdf(torch.full_like(base, level)) for level in SOME], -1)
    torch.testing.assert_close(found, expected)


def test_students_t_distribution():
    output = make_output("student-t")
    raw, base, target, scale = drawn(output)
    spread = torch.nn.functional.softplus(raw[..., 1] - 0.5) + 1e-4
    freedom = 2.1 + torch.nn.functional.softplus(raw[..., 2] + 3)
    theirs = torch.distributions.StudentT(freedom, base + raw[..., 0], spread)
    torch.testing.assert_close(output.loss(raw, base, target, scale), -theirs.log_prob(target))
    stats = pytest.importorskip("scipy.stats")
    expected = stats.t.ppf(np.array(SOME), freedom[..., None], (base + raw[..., 0])[..., None], spread[..., None])
    np.testing.assert_allclose(output.quantiles(raw, base, scale, SOME), expected, rtol=1e-8)


def test_the_negative_binomial_distribution():
    output = make_output("negative-binomial")
    raw, base, target, scale = drawn(output)
    mean = output.mean(raw, base, scale) * scale
    shape = torch.nn.functional.softplus(raw[..., 1] + 1) + 1e-4
    theirs = torch.distributions.NegativeBinomial(shape, probs=mean / (mean + shape))
    torch.testing.assert_close(output.loss(raw, base, target, scale), -theirs.log_prob((target * scale).round()))
    stats = pytest.importorskip("scipy.stats")
    expected = stats.nbinom.ppf(np.array(SOME), shape[..., None], (shape / (shape + mean))[..., None])
    np.testing.assert_allclose(output.quantiles(raw, base, scale, SOME) * scale[:, None], expected, rtol=1e-9)


def test_pinball_is_least_at_the_quantile():
    values = torch.arange(1, 101).double()
    said = torch.arange(0, 101).double()
    for level in (0.1, 0.5, 0.9):
        losses = pinball(said[:, None, None].expand(-1, 100, 1), torch.tensor([level]), values.expand(101, 100))
        best = float(said[losses.mean((1, 2)).argmin()])
        assert abs(best - 100 * level) <= 1


def test_quantiles_between_and_beyond_are_those_of_a_normal_distribution():
    known = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64)) * 3 + 2
    found = between(known, LEVELS, SOME)
    torch.testing.assert_close(found, torch.special.ndtri(torch.tensor(SOME, dtype=torch.float64)) * 3 + 2)
