"""The loss of CTC by itself: its precision over many steps, and arguments that must not be taken as they are."""

import math

import pytest
import torch

from unrolled.cells import GRU
from unrolled.core import InputError, InputTypeError
from unrolled.models import CTC, ctc_loss

Y = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
TARGETS = torch.tensor([[1, 2], [3, 3]])


def gradient(scores, targets):
    scores = scores.clone().requires_grad_()
    (found,) = torch.autograd.grad(ctc_loss(scores.log_softmax(-1), None, targets), scores)
    return found.double()


@pytest.mark.parametrize("scale", [0.0, 1.0, 5.0])
def test_the_gradient_of_a_long_recording_is_that_of_float64(scale):
    rng = torch.Generator().manual_seed(1)
    scores, targets = scale * torch.randn(2000, 1, 30, generator=rng), torch.randint(1, 30, (1, 200), generator=rng)
    expected = gradient(scores.double(), targets)
    assert (gradient(scores, targets) - expected).norm() < 1e-6 * expected.norm()


def test_gradients_of_rows_with_and_without_symbols_are_those_of_all_paths():
    scores = torch.randn(5, 3, 3, dtype=torch.double, generator=torch.Generator().manual_seed(2)).requires_grad_()
    lengths, targets, counts = [5, 4, 0], torch.tensor([[2, 2], [7, 7], [7, 7]]), [2, 0, 0]
    assert torch.autograd.gradcheck(lambda z: ctc_loss(z.log_softmax(-1), lengths, targets, counts), scores)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_whole_numbers_of_any_kind_are_symbols(kind):
    assert ctc_loss(Y, [6, 4], TARGETS.to(kind)) == ctc_loss(Y, [6, 4], TARGETS)


def test_no_lengths_are_all():
    assert ctc_loss(Y, None, TARGETS) == ctc_loss(Y, [6, 6], TARGETS)
    model = CTC(3, lambda size: GRU(size, 4), 4)
    assert model.output_lengths([5, 0]).tolist() == [3, 0]


def test_minus_infinity_is_a_log_probability():
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).log().unsqueeze(1)
    assert ctc_loss(y, [2], torch.tensor([[1]])) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Y[:, 0], [6], TARGETS[:1]), r"log_probabilities: expected \(T, B, V\), got \(6, 4\)"),
        ((Y, [7, 4], TARGETS), "lengths: expected values from 0 to T = 6, got 4 to 7"),
        ((Y, [-1, 4], TARGETS), "lengths: expected values from 0 to T = 6, got -1 to 4"),
        ((Y, [6, 4, 3], TARGETS), r"lengths: expected shape \(B,\) = \(2,\), got \(3,\)"),
        ((Y, [6.0, 4.0], TARGETS), "lengths: expected whole numbers"),
        ((Y, None, TARGETS.bool()), r"targets: expected a tensor of whole numbers, got torch\.bool"),
        ((Y, None, TARGETS.tolist()), "targets: expected a tensor of whole numbers, got list"),
        ((Y, None, TARGETS, [1.0, 2.0]), "target_lengths: expected whole numbers"),
        ((Y.numpy(), None, TARGETS), "log_probabilities: expected a tensor, got ndarray"),
        ((Y + 3, None, TARGETS), "expected numbers of at most 0, got up to .* Take log_softmax of scores first"),
    ],
)
def test_wrong_arguments_are_told(arguments, message):
    with pytest.raises((InputError, InputTypeError), match=message):
        ctc_loss(*arguments)


def test_scores_in_the_padding_are_not_looked_at():
    padded = Y.clone()
    padded[4:, 1] = math.inf
    assert ctc_loss(padded, [6, 4], TARGETS) == ctc_loss(Y, [6, 4], TARGETS)


def test_features_that_are_no_tensor_are_told():
    model = CTC(3, lambda size: GRU(size, 4), 4, bidirectional=False)
    for run in (model, lambda x: model.chunk(x, model.start(2))):
        with pytest.raises(InputTypeError, match="features: expected a tensor, got ndarray"):
            run(torch.zeros(6, 2, 3).numpy())
