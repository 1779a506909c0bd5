"""The language model."""

import copy

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


def tied(size=6, **options):
    torch.manual_seed(0)
    return LanguageModel(13, lambda inputs: LSTM(inputs, size), embedding_size=6, tie_weights=True, **options)


@pytest.mark.parametrize("size", [6, 4])
def test_tied_weights_are_one_parameter(size):
    model = tied(size)
    tokens = torch.randint(13, (7, 3))
    hidden, _ = model.layers(model.embedding.weight[tokens])
    if size != 6:
        hidden = hidden @ model.projection.weight.T
    logits, _ = model(tokens)
    torch.testing.assert_close(logits, hidden @ model.embedding.weight.T + model.output.bias)
    names = [name for name, _ in model.named_parameters()]
    assert sum(name.endswith(("embedding.weight", "output.weight")) for name in names) == 1
    assert set(names) == set(model.state_dict())
    assert ("projection.weight" in names) == (size != 6)


def test_the_loss_of_tied_weights_is_that_of_the_logits_with_its_gradients():
    model = tied(4).double()
    tokens, targets = torch.randint(13, (7, 3)), torch.randint(13, (7, 3))
    parameters = [*model.parameters()]
    expected = torch.nn.functional.cross_entropy(model(tokens)[0].flatten(0, 1), targets.flatten())
    found, _ = model.loss(tokens, targets)
    torch.testing.assert_close(found, expected)
    for a, b in zip(torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(model.losses(tokens, targets)[0].mean(), expected.detach())


def test_a_copy_of_a_tied_model_is_tied_to_itself():
    model = tied()
    copied = copy.deepcopy(model)
    assert copied.output.weight is copied.embedding.weight
    assert copied.output.weight is not model.output.weight
    loaded = tied()
    with torch.no_grad():
        model.embedding.weight.mul_(2)
    loaded.load_state_dict(model.state_dict())
    tokens = torch.randint(13, (7, 3))
    assert torch.equal(loaded(tokens)[0], model(tokens)[0])
    assert not torch.equal(copied(tokens)[0], model(tokens)[0])


def test_a_tied_model_begins_with_an_output_of_the_size_of_one_that_is_not():
    torch.manual_seed(0)
    tokens = torch.randint(500, (5, 20))
    model = LanguageModel(500, lambda size: LSTM(size, 64), embedding_size=64, tie_weights=True)
    assert model.loss(tokens, tokens)[0].item() == pytest.approx(torch.tensor(500.0).log().item(), abs=0.1)


def test_variational_dropout_has_one_mask_for_all_steps_of_a_row():
    model = LanguageModel(13, lambda size: GRU(size, 8), 8, num_layers=2, dropout=0.5, variational_dropout=True)
    model.double()
    seen = []
    for layer in model.layers.layers:
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    tokens = torch.full((20, 30), 3)
    read, _ = model.features(tokens)
    for x, scale in ((seen[0], 2.0), (seen[1], None), (read, None)):
        zero = x == 0
        assert torch.equal(zero, zero[:1].expand_as(zero))  # at every step the same
        rows = zero[0].double()
        assert 0.3 < float(rows.mean()) < 0.7
        assert len(rows.unique(dim=0)) > 20  # in every row another
        if scale is not None:
            vectors = model.embedding.weight[3].expand_as(x)
            torch.testing.assert_close(x[~zero], scale * vectors[~zero])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])


def test_the_usual_model_draws_and_computes_as_before():
    """The same numbers from the same seed as without the options: recorded runs go on bit for bit."""
    torch.manual_seed(3)
    model = LanguageModel(13, lambda size: LSTM(size, 6), 5, 2, 0.5)
    logits, _ = model(torch.arange(12).view(4, 3) % 13)
    torch.manual_seed(3)
    embedding = torch.nn.Embedding(13, 5)
    assert torch.equal(embedding.weight, model.embedding.weight)
    assert [name for name, _ in model.named_parameters()][-2:] == ["output.weight", "output.bias"]
    torch.manual_seed(3)
    again = LanguageModel(13, lambda size: LSTM(size, 6), 5, 2, 0.5, tie_weights=False, variational_dropout=False)
    assert torch.equal(again(torch.arange(12).view(4, 3) % 13)[0], logits)
