"""A run of the text task, from Python."""

import pytest
import torch

from unrolled.core import DataError, InputError
from unrolled.tasks import text
from unrolled.tasks.text.options import TextOptions
from unrolled.tasks.text.problem import SHORTEST
from unrolled.training.checkpoint import load_checkpoint
from unrolled.training.run_folder import RunFolder


def test_a_run_from_python_says_what_it_holds(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("a rose is a rose is a rose\n" * 20)
    options = {"model": {"hidden_size": 5}, "data": {"window": 8, "batch_size": 2}, "training": {"steps": 3}}
    run = text.train([file], tmp_path / "run", TextOptions.model_validate(options))
    loaded = text.load(run.folder)
    with pytest.raises(InputError, match="temperature"):
        loaded.write(temperature=-1)
    with pytest.raises(DataError, match=r"the prompt: .*'X'"):
        loaded.write("X")
    assert len("".join(loaded.write("a ro", length=9))) == 9
    config = RunFolder(run.folder).config
    assert config["corpus"]["sha256"] == run.data.corpus.sha256
    assert config["corpus"]["paths"] == [str(file)]
    last = text.load(run.folder, weights="last")
    assert last.model.state_dict().keys() == loaded.model.state_dict().keys()


def small(**changes):
    options = {"model": {"hidden_size": 5}, "data": {"window": 8, "batch_size": 2}, "training": {"steps": 3}}
    return TextOptions.model_validate({name: {**options[name], **changes.get(name, {})} for name in options})


def test_a_file_for_validation_takes_the_place_of_the_share(tmp_path):
    (tmp_path / "train").write_text("a rose is a rose is a rose\n" * 20)
    (tmp_path / "valid").write_text("is a rose a rose? zero\n" * 4)
    chosen = small(data={"validation": str(tmp_path / "valid")})
    run = text.train([tmp_path / "train"], tmp_path / "run", chosen)
    loaded = text.load(run.folder)
    found = loaded.evaluate([tmp_path / "valid"])  # its characters have tokens too
    assert found["loss"] == pytest.approx(run.outcome.best["validation_loss"], rel=1e-6)
    assert loaded.evaluate([tmp_path / "train"])["loss"] != pytest.approx(found["loss"], rel=1e-3)
    assert text.resume(run.folder, steps=5).outcome.step == 5
    (tmp_path / "valid").write_text("is a rose a rose?\n" * 5)
    with pytest.raises(
        DataError, match=r"expected the data that the run began with, but the validation text .*valid has"
    ):
        text.resume(run.folder, steps=7)


def test_epochs_become_steps_with_an_evaluation_after_each(tmp_path):
    (tmp_path / "train").write_text("a rose is a rose is a rose\n" * 20)
    chosen = small(training={"steps": None, "epochs": 3})
    run = text.train([tmp_path / "train"], tmp_path / "run", chosen)
    folder = RunFolder(run.folder)
    per_epoch = (486 - 1) // 2 // 8 - 1  # of two streams of what is not held out, windows of 8
    assert (run.outcome.steps, run.outcome.finished) == (3 * per_epoch, True)
    evaluated = [record["step"] for record in folder.read_metrics() if "validation_loss" in record]
    assert evaluated == [per_epoch, 2 * per_epoch, 3 * per_epoch]
    assert {name: folder.training[name] for name in ("steps", "epochs", "minutes")} == {
        "steps": 3 * per_epoch, "epochs": 3, "minutes": None
    }  # fmt: skip


def test_how_many_tokens_a_second_are_read_is_recorded(tmp_path):
    (tmp_path / "train").write_text("a rose is a rose is a rose\n" * 20)
    run = text.train([tmp_path / "train"], tmp_path / "run", small())
    steps = [r["tokens_per_second"] for r in RunFolder(run.folder).read_metrics() if "loss" in r]
    last = RunFolder(run.folder).read_metrics()[-1]
    assert min(steps) <= run.outcome.tokens_per_second <= max(steps)
    assert last["tokens_per_second"] == run.outcome.tokens_per_second
    assert text.resume(run.folder).outcome.tokens_per_second is None  # nothing was left to do


def test_uniform_weights_are_those_that_training_begins_with(tmp_path):
    (tmp_path / "train").write_text("a rose is a rose is a rose\n" * 20)
    for name, model in (("plain", {}), ("uniform", {"initialization": "uniform", "initialization_range": 0.01})):
        chosen = small(model=model, training={"steps": 1, "learning_rate": 1e-9, "optimizer": "sgd"})
        run = text.train([tmp_path / "train"], tmp_path / name, chosen)
        weights = load_checkpoint(run.folder / "model.safetensors").tensors.values()
        largest = [float(weight.abs().max()) for weight in weights]
        assert all(value < 0.0101 for value in largest) == (name == "uniform")


def test_evaluation_reads_a_long_text_as_one_stream(tmp_path):
    (tmp_path / "train").write_text("a rose is a rose is a rose\n" * 100)
    run = text.train([tmp_path / "train"], tmp_path / "run", small())
    loaded = text.load(run.folder)
    tokens = loaded.tokenizer.encode((tmp_path / "train").read_text())
    assert len(tokens) > 4 * SHORTEST
    found = loaded.evaluate([tmp_path / "train"])["loss"]
    logits, _ = loaded.model(tokens[:-1, None].long())
    whole = torch.nn.functional.cross_entropy(logits[:, 0].double(), tokens[1:].long())
    assert found == pytest.approx(whole.item(), rel=1e-6)
