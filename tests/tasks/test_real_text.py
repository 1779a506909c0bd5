"""The text task on real text: Shakespeare, where it is there, and Python's own library, which always is."""

import math
from collections import Counter

import pytest

from unrolled.tasks import text
from unrolled.tasks.text.corpus import read_corpus
from unrolled.tasks.text.options import TextOptions
from unrolled.tasks.text.problem import mean_loss

OPTIONS = {
    "model": {"hidden_size": 96, "embedding_size": 32, "dropout": 0.0},
    "data": {"window": 32, "batch_size": 32},
    "training": {"steps": 150, "learning_rate": 0.01, "evaluate_every": 75, "threads": 1},
}


def entropy_of_characters(characters):
    """Bits a character of a model that knows only how often each character occurs."""
    counts = Counter(characters)
    return -sum(n / len(characters) * math.log2(n / len(characters)) for n in counts.values())


@pytest.mark.slow
def test_shakespeare(real_data, tmp_path):
    corpus = real_data("tinyshakespeare/input.txt")
    held_out = tmp_path / "held-out.txt"
    whole = corpus.read_text()
    held_out.write_text(whole[-round(len(whole) / 10) :])

    run = text.train([corpus], tmp_path / "run", TextOptions.model_validate(OPTIONS))

    bits = run.outcome.best["bits_per_character"]
    assert entropy_of_characters(whole) == pytest.approx(4.78, abs=0.02)
    assert 2.0 < bits < 3.6
    loaded = text.load(run.folder)
    tokens = loaded.tokenizer.encode(held_out.read_text())
    in_pieces = mean_loss(loaded.model, tokens)
    as_one = loaded.evaluate([held_out])
    assert in_pieces / math.log(2) == pytest.approx(bits, rel=1e-6)
    assert as_one["loss"] == pytest.approx(in_pieces, rel=2e-3)  # pieces read only the 128 characters before them


@pytest.mark.slow
def test_the_standard_library_needs_no_path(tmp_path):
    run = text.train([], tmp_path / "run", TextOptions.model_validate(OPTIONS))
    assert run.outcome.best["bits_per_character"] < 0.85 * entropy_of_characters(read_corpus([]).text)
    written = "".join(text.load(run.folder).write("def ", length=80, seed=1))
    assert len(written) == 80
