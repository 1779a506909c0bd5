"""The figures of a text, against reading it token by token."""

import math

import pytest
import torch
from torch.nn import functional as F

from unrolled.cells import GRU, LSTM
from unrolled.core import DataError
from unrolled.models import LanguageModel
from unrolled.tasks import text
from unrolled.tasks.text import problem as problems
from unrolled.tasks.text.options import TextOptions
from unrolled.tasks.text.problem import mean_loss


def naive_loss(model, tokens, context=None, length=None):
    """One token at a time; with a context, each piece of so many tokens starts anew, so much earlier."""
    losses, count = [], len(tokens) - 1
    length = length or count
    for begin in range(0, count, length):
        state = None
        for at in range(max(0, begin - (context or 0)), min(begin + length, count)):
            logits, state = model(tokens[at].long().reshape(1, 1), state)
            if at >= begin:
                losses.append(F.cross_entropy(logits[0], tokens[at + 1].long().reshape(1)).double())
    return float(torch.stack(losses).mean())


@pytest.fixture
def model():
    torch.manual_seed(4)
    made = LanguageModel(11, lambda size: LSTM(size, 9), embedding_size=5, num_layers=2, dropout=0.3).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)  # so that the state matters
    return made


@pytest.mark.parametrize("n", [2, 3, 255, 256, 257, 600])
@torch.no_grad()
def test_the_loss_of_a_text_is_that_of_reading_it_token_by_token(model, n):
    tokens = torch.randint(11, (n,), dtype=torch.int32)
    assert mean_loss(model, tokens) == pytest.approx(naive_loss(model, tokens), rel=1e-6)


@pytest.mark.parametrize(("n", "pieces"), [(1200, 2), (1601, 3), (2048 + 5, 4)])
@torch.no_grad()
def test_a_long_text_is_read_in_pieces_each_with_what_came_before(model, n, pieces):
    tokens = torch.randint(11, (n,), dtype=torch.int32)
    length = math.ceil((n - 1) / pieces)
    assert (n - 1) // problems.SHORTEST == pieces
    expected = naive_loss(model, tokens, context=problems.CONTEXT, length=length)
    assert mean_loss(model, tokens) == pytest.approx(expected, rel=1e-6)
    assert mean_loss(model, tokens) != pytest.approx(naive_loss(model, tokens, 0, length), rel=1e-6)


def test_a_model_that_knows_nothing_has_the_loss_of_a_guess():
    model = LanguageModel(16, lambda size: GRU(size, 3), embedding_size=2).eval()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    assert mean_loss(model, torch.randint(16, (700,))) == pytest.approx(math.log(16), rel=1e-6)


TEXT = "Grüße aus Köln ☃ und 東京 😀!\nThe cat sat on the mat, and the cat was fat.\n" * 12


@pytest.mark.parametrize("kind", ["characters", "bytes", "bpe"])
def test_bits_per_character_are_all_bits_over_all_characters(kind, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    options = {
        "data": {"tokenizer": kind, "vocabulary_size": 300, "window": 8, "batch_size": 2, "validation_share": 0.3},
        "model": {"hidden_size": 6, "embedding_size": 4},
        "training": {"steps": 2},
    }
    run = text.train([file], tmp_path / "run", TextOptions.model_validate(options))
    loaded = text.load(run.folder)
    other = tmp_path / "other.txt"
    for written in ("über den Fluß\n", "東京 T\n", "the cat\n"):
        other.write_text(written, encoding="utf-8")
        if kind == "characters" and set(written) - set(TEXT):
            with pytest.raises(DataError, match="never seen"):
                loaded.evaluate([other])
            continue
        tokens = loaded.tokenizer.encode(written)
        with torch.no_grad():
            nats = naive_loss(loaded.model, tokens) * (len(tokens) - 1)
        given = loaded.tokenizer.stream()(int(tokens[0]))
        figures = loaded.evaluate([other])
        assert figures["bits_per_character"] == pytest.approx(
            nats / math.log(2) / (len(written) - len(given)), rel=1e-5
        )
        assert figures["perplexity"] == pytest.approx(math.exp(nats / (len(tokens) - 1)), rel=1e-5)
        assert figures["characters"] == len(written)
    held_out = tmp_path / "held-out.txt"
    border = len(TEXT) - round(len(TEXT) * 0.3)
    held_out.write_text(TEXT[border:], encoding="utf-8")
    assert loaded.evaluate([held_out])["bits_per_character"] == pytest.approx(
        run.outcome.best["bits_per_character"], rel=1e-6
    )
