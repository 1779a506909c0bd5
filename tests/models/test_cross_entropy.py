"""The output layer and its loss in one, against the two of PyTorch."""

import pytest
import torch
from torch.nn import functional as F

from unrolled.models import cross_entropy
from unrolled.models.cross_entropy import linear_cross_entropies, linear_cross_entropy
from unrolled.models.initialization import uniform_


def numbers(n, h, v, dtype=torch.float32, scale=1.0):
    torch.manual_seed(n + v)
    made = [scale * torch.randn(*shape, dtype=dtype) for shape in ((n, h), (v, h), (v,))]
    return [part.requires_grad_() for part in made], torch.randint(v, (n,))


def gradients(loss, tensors):
    return torch.autograd.grad(loss, tensors)


@pytest.mark.parametrize(("n", "h", "v"), [(1, 1, 1), (5, 3, 7), (33, 20, 65), (300, 60, 1001)])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_loss_and_its_gradients_are_those_of_torch(n, h, v, scale):
    """Against float64, as exact as PyTorch's own."""
    tensors, targets = numbers(n, h, v, scale=scale)
    exact = [t.detach().double().requires_grad_() for t in tensors]
    truth = F.cross_entropy(F.linear(*exact), targets)
    plain = F.cross_entropy(F.linear(*tensors), targets)
    ours = linear_cross_entropy(*tensors, targets)
    assert ours.item() == pytest.approx(truth.item(), rel=1e-5, abs=1e-6)
    for true, theirs, made in zip(
        gradients(truth, exact), gradients(plain, tensors), gradients(ours, tensors), strict=True
    ):
        error, allowed = (float((part - true).abs().max()) for part in (made, theirs))
        assert error <= 4 * allowed + 1e-6 * float(true.abs().max()) + 1e-7


def test_gradcheck():
    tensors, targets = numbers(4, 3, 5, torch.float64)
    assert torch.autograd.gradcheck(lambda *given: 3 * linear_cross_entropy(*given, targets), tensors)


@pytest.mark.parametrize(("n", "h", "v"), [(1, 1, 1), (5, 3, 7), (33, 20, 65)])
@pytest.mark.parametrize("smoothing", [0.1, 0.7])
def test_label_smoothing_is_that_of_torch(n, h, v, smoothing):
    tensors, targets = numbers(n, h, v, torch.float64, scale=3.0)
    truth = F.cross_entropy(F.linear(*tensors), targets, label_smoothing=smoothing)
    ours = linear_cross_entropy(*tensors, targets, label_smoothing=smoothing)
    assert ours.item() == pytest.approx(truth.item(), rel=1e-12, abs=1e-12)
    for true, made in zip(gradients(truth, tensors), gradients(ours, tensors), strict=True):
        torch.testing.assert_close(made, true, rtol=1e-10, atol=1e-12)


def test_label_smoothing_where_the_target_is_too_rare_for_single_precision():
    hidden, weight = torch.ones(1, 1), torch.tensor([[0.0], [500.0]])
    given = (hidden, weight, torch.zeros(2))
    smoothed = linear_cross_entropy(*given, torch.tensor([0]), label_smoothing=0.2)
    assert smoothed.item() == pytest.approx(450.0)  # 0.9 of the 500 of the target, 0.1 of the other's 0


def test_a_loss_that_is_scaled_or_differentiated_again_has_the_same_gradient():
    tensors, targets = numbers(6, 3, 9)
    loss = linear_cross_entropy(*tensors, targets)
    first = torch.autograd.grad(loss, tensors, retain_graph=True)
    again = torch.autograd.grad(loss, tensors, retain_graph=True)
    scaled = torch.autograd.grad(loss * 2.5, tensors)
    for a, b, c in zip(first, again, scaled, strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(c, 2.5 * a)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_only_the_gradients_that_are_wanted_are_made(wanted):
    tensors, targets = numbers(6, 3, 9)
    expected = gradients(linear_cross_entropy(*tensors, targets), tensors)[wanted]
    frozen = [t if place == wanted else t.detach() for place, t in enumerate(tensors)]
    assert torch.equal(torch.autograd.grad(linear_cross_entropy(*frozen, targets), tensors[wanted])[0], expected)


def test_losses_one_by_one_whatever_the_size_of_a_part(monkeypatch):
    tensors, targets = numbers(37, 5, 11)
    expected = F.cross_entropy(F.linear(*tensors), targets, reduction="none")
    for part in (2**22, 50, 1):
        monkeypatch.setattr(cross_entropy, "_PART", part)
        found = linear_cross_entropies(*tensors, targets)
        torch.testing.assert_close(found, expected.detach())
        assert not found.requires_grad


def test_an_improbable_target_has_a_finite_loss():
    hidden, weight, bias = torch.ones(1, 1), torch.tensor([[0.0], [500.0]]), torch.zeros(2)
    assert linear_cross_entropy(hidden, weight, bias, torch.tensor([0])).item() == 500.0


@pytest.mark.parametrize("wrong", [-1, -100, 9])
def test_what_is_no_class_is_refused(wrong):
    tensors, targets = numbers(6, 3, 9)
    targets[2] = wrong
    with pytest.raises((IndexError, RuntimeError)):
        linear_cross_entropy(*tensors, targets)


def test_small_probabilities_in_half_precision():
    (hidden, weight, bias), targets = numbers(64, 32, 50, torch.float16, scale=2.0)
    expected = F.cross_entropy(F.linear(hidden, weight, bias), targets)
    torch.testing.assert_close(linear_cross_entropy(hidden, weight, bias, targets), expected, rtol=1e-2, atol=1e-2)


def test_uniform_weights_fill_their_range_and_follow_the_seed():
    model = torch.nn.Sequential(torch.nn.Embedding(50, 20), torch.nn.Linear(20, 30))
    torch.manual_seed(3)
    uniform_(model, 0.1)
    first = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert 0.099 < float(first.abs().max()) <= 0.1
    assert float(first.std()) == pytest.approx(0.1 / 3**0.5, rel=0.05)
    torch.manual_seed(3)
    uniform_(model, 0.1)
    assert torch.equal(first, torch.cat([p.detach().flatten() for p in model.parameters()]))
