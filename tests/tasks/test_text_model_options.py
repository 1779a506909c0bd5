"""Tied weights and variational dropout of a language model that is trained from options."""

import json

import pytest
import torch

from unrolled.tasks import text
from unrolled.tasks.text.options import TextOptions

MODEL = {"hidden_size": 8, "embedding_size": 6, "dropout": 0.3}


def trained(tmp_path, name, steps, **model):
    (tmp_path / "rhyme.txt").write_text("one two three four five, once I caught a fish alive. " * 9)
    options = {
        "model": {**MODEL, **model},
        "data": {"window": 8, "batch_size": 2},
        "training": {"steps": steps, "threads": 1, "schedule": "constant", "warmup_steps": 0},
    }
    return text.train([tmp_path / "rhyme.txt"], tmp_path / name, TextOptions.model_validate(options)).folder


@pytest.mark.parametrize(
    "model", [{"tie_weights": True}, {"variational_dropout": True}], ids=lambda model: next(iter(model))
)
def test_a_run_is_recorded_and_goes_on_as_if_it_had_not_stopped(tmp_path, model):
    whole, parts = trained(tmp_path, "whole", 15, **model), trained(tmp_path, "parts", 9, **model)
    assert model.items() <= json.loads((whole / "config.json").read_text())["options"]["model"].items()
    text.resume(parts, steps=15)
    a, b = (text.load(folder, weights="last").model.state_dict() for folder in (whole, parts))
    assert all(torch.equal(a[name], b[name]) for name in a)
    plain = text.load(trained(tmp_path, "plain", 15), weights="last").model.state_dict()
    assert any(name not in a or not torch.equal(a[name], plain[name]) for name in plain)
    assert "".join(text.load(whole).write("one ", length=5, seed=0))


def test_a_tied_model_has_fewer_parameters(tmp_path):
    tied = text.load(trained(tmp_path, "tied", 1, tie_weights=True)).model
    plain = text.load(trained(tmp_path, "plain", 1)).model
    assert tied.output.weight is tied.embedding.weight
    vocabulary = len(tied.embedding.weight)
    count = [sum(p.numel() for p in model.parameters()) for model in (tied, plain)]
    assert count[1] - count[0] == vocabulary * 8 - 8 * 6  # the output's weight, less the projection
