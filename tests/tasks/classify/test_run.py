"""A run of classification: it learns, goes on exactly, and explains what it says."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from unrolled.core import CheckpointError, DataError
from unrolled.tasks import classify
from unrolled.tasks.classify.options import ClassifyOptions
from unrolled.training.checkpoint import load_checkpoint
from unrolled.training.problem import Observer

GOOD, BAD = ("fine", "lovely", "bright"), ("grey", "dull", "poor")


def reviews(path, count=60):
    draw = np.random.default_rng(0)
    rows = ["text,label"]
    for row in range(count):
        words = ["the", "film", "was", "so", draw.choice((GOOD, BAD)[row % 2]), "and", "long"]
        rows.append(f"{' '.join(words)},{('good', 'bad')[row % 2]}")
    path.write_text("\n".join(rows) + "\n")
    return path


def options(**groups):
    given = {
        "model": {"hidden_size": 8, "embedding_size": 8, "subwords": 50, "dropout": 0.3, **groups.get("model", {})},
        "training": {"steps": 40, "learning_rate": 0.02, "threads": 1, "evaluate_every": 8}
        | groups.get("training", {}),
        "data": {"batch_size": 8, **groups.get("data", {})},
        "augment": groups.get("augment", {}),
    }  # fmt: skip
    return ClassifyOptions.model_validate(given)


def test_texts_are_learnt_beside_the_baselines(tmp_path):
    table = reviews(tmp_path / "train.csv")
    run = classify.train([table], tmp_path / "run", options())
    assert run.outcome.best["accuracy"] == 1.0
    loaded = classify.load(run.folder)
    scores = loaded.evaluate([table])
    assert list(scores.figures) == ["model", "bag of words", "most frequent class"]
    assert scores.figures["bag of words"]["accuracy"] == 1.0
    assert scores.figures["most frequent class"]["accuracy"] == 0.5
    assert np.sum(scores.details["confusion"]) == scores.count == 60
    assert loaded.predict(["a lovely thing", "poor and dull"]).labels == ["good", "bad"]


def test_a_word_never_seen_is_read_by_its_parts(tmp_path):
    wanted = options(model={"subwords": 500, "dropout": 0.0}, training={"steps": 120}, augment={"word_dropout": 0.4})
    loaded = classify.load(classify.train([reviews(tmp_path / "train.csv")], tmp_path / "run", wanted).folder)
    said = loaded.predict([f"the film was so {word} and long" for word in ("lovelyy", "dulll")])
    assert said.labels == ["good", "bad"]
    assert not {"lovelyy", "dulll"} & set(loaded.encoder.vocabulary.words)


def test_the_explanation_finds_the_word_that_decides(tmp_path):
    wanted = options(model={"subwords": 0, "dropout": 0.0}, training={"steps": 120})
    loaded = classify.load(classify.train([reviews(tmp_path / "train.csv")], tmp_path / "run", wanted).folder)
    examples = loaded.examples([f"the film was so {word} and long" for word in GOOD + BAD])
    found = [loaded.explain(examples, row) for row in range(6)]
    assert [one.label for one in found] == ["good"] * 3 + ["bad"] * 3
    assert [one.words[4] for one in found] == [*GOOD, *BAD]
    assert int(torch.stack([one.weights for one in found]).mean(0).argmax()) == 4


def test_the_contributions_are_the_gradient_times_the_input(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40, 9, 2)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 2)
    run = classify.train([tmp_path / "a.npz"], tmp_path / "run", options(model={"ensemble": 2}))
    loaded = classify.load(run.folder)
    examples = loaded.examples([x[5]])
    found = loaded.explain(examples, 0)
    read, lengths = loaded.encoder.series([x[5]])
    best = loaded.classes.index(found.label)

    def score(values):
        with torch.no_grad():
            return float(loaded.network(values, lengths).mean(0)[0, best])

    for step, feature in ((0, 0), (4, 1), (8, 0)):
        nudged = read.clone()
        nudged[step, 0, feature] *= 1.01
        change = 100 * (score(nudged) - score(read))
        assert float(found.features[step, feature]) == pytest.approx(change, abs=2e-3)
    torch.testing.assert_close(found.weights, found.features.sum(1))


class Stop(Observer):
    """Ends training at a step: as Ctrl-C does, or at once as a crash does."""

    def __init__(self, at, crash):
        self.at, self.crash = at, crash

    def stepped(self, record):
        if record["step"] == self.at:
            if self.crash:
                raise RuntimeError("crashed")
            os.kill(os.getpid(), signal.SIGINT)


def state_of(folder):
    found = {}
    for name in ("model", "last"):
        found |= {
            f"{name}.{key}": value for key, value in load_checkpoint(folder / f"{name}.safetensors").tensors.items()
        }
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return found, [{k: v for k, v in r.items() if k != "tokens_per_second"} for r in records]


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("kind", ["text", "series"])
def test_a_run_that_stopped_ends_as_one_that_never_did(kind, crash, tmp_path):
    if kind == "text":
        path = reviews(tmp_path / "train.csv")
    else:
        path = tmp_path / "train.npz"
        draw = np.random.default_rng(0)
        lengths = draw.integers(3, 12, 50)
        np.savez(path, x=draw.normal(size=(50, 12, 3)), y=np.arange(50) % 3, lengths=lengths)
    wanted = options(
        model={"ensemble": 2, "pooling": "attention"},
        training={"label_smoothing": 0.1, "averaging": 0.9},
        augment={"word_dropout": 0.3, "noise": 0.2, "scale": 0.1, "offset": 0.1, "stretch": 0.3, "crop": 0.2,
                 "roll": 0.5, "mask_time": 0.2, "mask_features": 0.3, "adversarial": 0.1, "mixup": 0.5},
    )  # fmt: skip
    whole = classify.train([path], tmp_path / "whole", wanted)
    if crash:
        with pytest.raises(RuntimeError, match="crashed"):
            classify.train([path], tmp_path / "cut", wanted, [Stop(21, crash)])
    else:
        assert not classify.train([path], tmp_path / "cut", wanted, [Stop(21, crash)]).outcome.finished
    assert classify.resume(tmp_path / "cut").outcome.finished
    (expected, records), (found, again) = state_of(whole.folder), state_of(tmp_path / "cut")
    assert records == again
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_a_run_goes_on_only_with_the_data_that_it_began_with(tmp_path):
    table = reviews(tmp_path / "train.csv")
    held_out = reviews(tmp_path / "held-out.csv", 10)
    wanted = options(data={"validation": str(held_out)})
    run = classify.train([table], tmp_path / "run", wanted, [Stop(5, crash=False)])
    reviews(held_out, 12)
    with pytest.raises(DataError, match=r"the validation data .*held-out.csv have changed since"):
        classify.resume(run.folder)
    reviews(held_out, 10)
    reviews(table, 62)
    with pytest.raises(DataError, match=r"train.csv has changed since"):
        classify.resume(run.folder)
    reviews(table, 60)
    assert classify.resume(run.folder).outcome.finished


def test_another_run_can_begin_from_its_weights_words_and_classes(tmp_path):
    first = classify.train([reviews(tmp_path / "a.csv")], tmp_path / "first", options())
    (tmp_path / "b.csv").write_text("text,label\n" + "what a lovely one,good\nrather grey it is,bad\n" * 10)
    second = classify.train([tmp_path / "b.csv"], tmp_path / "second", options(), begin_from=first.folder)
    files = [(run.folder / "encoder.json").read_text() for run in (first, second)]
    assert files[0] == files[1]
    assert second.outcome.best["accuracy"] == 1.0
    (tmp_path / "c.csv").write_text("text,label\na b,good\nc d,bad\ne f,new\n" * 10)
    with pytest.raises(DataError, match=r"c.csv:4: expected one of the 2 classes .* got 'new'"):
        classify.train([tmp_path / "c.csv"], tmp_path / "third", options(), begin_from=first.folder)


def test_the_run_of_another_task_is_refused(tmp_path):
    run = classify.train([reviews(tmp_path / "a.csv")], tmp_path / "run", options(training={"steps": 2}))
    config = json.loads((run.folder / "config.json").read_text())
    (run.folder / "config.json").write_text(json.dumps({**config, "task": "text"}))
    with pytest.raises(CheckpointError, match="expected a run of classify, got one of 'text'"):
        classify.load(run.folder)


def test_no_path_learns_the_digits(tmp_path):
    run = classify.train([], tmp_path / "run", options(training={"steps": 400}, data={"batch_size": 32},
                                                       model={"hidden_size": 32}))  # fmt: skip
    assert run.outcome.best["accuracy"] > 0.85
    assert len(run.data.training.rows) + len(run.data.validation.rows) == 1797
    assert run.data.encoder.classes == tuple("0123456789")
