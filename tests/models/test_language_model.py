"""The language model."""

import pytest
import torch

from unrolled.cells import GRU, LSTM
from unrolled.models import LanguageModel


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LanguageModel(13, lambda size: LSTM(size, 6), embedding_size=6, num_layers=2, dropout=0.5, residual=True)


def test_the_logits_are_those_of_torch_with_the_same_weights():
    torch.manual_seed(0)
    model = LanguageModel(13, lambda size: GRU(size, 6), embedding_size=5, num_layers=1)
    tokens = torch.randint(13, (7, 3))
    logits, _ = model(tokens)
    hidden, _ = model.layers(model.embedding.weight[tokens])
    torch.testing.assert_close(logits, hidden @ model.output.weight.T + model.output.bias)


def test_a_text_in_two_parts_is_the_whole_text(model):
    model.eval()
    tokens = torch.randint(13, (9, 3))
    whole, end = model(tokens)
    first, state = model(tokens[:4], model.initial_state(3))
    second, state = model(tokens[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(state, end)


def test_no_output_knows_what_comes_later(model):
    model.eval()
    tokens = torch.randint(13, (9, 3))
    changed = tokens.clone()
    changed[5:] = (changed[5:] + 1) % 13
    a, b = model(tokens)[0], model(changed)[0]
    assert torch.equal(a[:5], b[:5])
    assert not torch.equal(a[5:], b[5:])


def test_a_masked_step_holds_the_state(model):
    model.eval()
    tokens = torch.randint(13, (4, 2))
    mask = torch.tensor([[False, True], [True, True], [True, True], [True, False]])
    logits, state = model(tokens, mask=mask)
    expected, end = model(tokens[1:, :1])
    torch.testing.assert_close(logits[1:, :1], expected)
    shorter = model(tokens[:3, 1:])[1]
    for found, first, second in zip(state, end, shorter, strict=True):
        for part, a, b in zip(found, first, second, strict=True):
            torch.testing.assert_close(part, torch.cat([a, b]))


def test_dropout_acts_on_embedding_layers_and_output_and_only_in_training(model):
    tokens = torch.randint(13, (4, 2))
    assert not torch.equal(model(tokens)[0], model(tokens)[0])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])
    met = []
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            assert module.p == 0.5
            module.register_forward_hook(lambda m, inputs, output: met.append(tuple(output.shape)))
    model(tokens)
    assert met == [(4, 2, 6), (4, 2, 6), (4, 2, 6)]  # the embedding, between the two layers, before the output


def test_every_parameter_learns(model):
    logits, _ = model(torch.randint(13, (4, 40)))
    logits.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_the_loss_is_the_cross_entropy_of_the_logits(model):
    model.eval()
    tokens, targets = torch.randint(13, (9, 3)), torch.randint(13, (9, 3))
    mask = torch.ones(9, 3, dtype=torch.bool)
    mask[7:, 1] = False
    logits, end = model(tokens)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss, state = model.loss(tokens, targets)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(state, end)
    for found, wanted in zip(
        torch.autograd.grad(loss, list(model.parameters())),
        torch.autograd.grad(expected, list(model.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)
    losses, state = model.losses(tokens, targets, model.initial_state(3), mask=mask)
    masked, end = model(tokens, mask=mask)
    each = torch.nn.functional.cross_entropy(masked.flatten(0, 1), targets.flatten(), reduction="none").view(9, 3)
    torch.testing.assert_close(losses[mask], each[mask].detach())
    torch.testing.assert_close(state, tuple(type(layer)(*(part.detach() for part in layer)) for layer in end))
