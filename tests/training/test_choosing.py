"""Which weights are kept: by the loss or another criterion, with patience, and their moving average."""

import importlib.util
from pathlib import Path

import pytest
import torch

from unrolled.core import InputError
from unrolled.training.averaging import AveragedWeights
from unrolled.training.checkpoint import load_checkpoint
from unrolled.training.problem import Evaluation
from unrolled.training.run_folder import RunFolder

spec = importlib.util.spec_from_file_location("training_toy", Path(__file__).with_name("toy.py"))
toy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy)
Toy, StopAt, run, weights, same = toy.Toy, toy.StopAt, toy.run, toy.weights, toy.same


class Told(Toy):
    """Evaluations that are given."""

    def __init__(self, losses, criteria=None):
        super().__init__()
        self.evaluations = iter(
            Evaluation(loss, {"good": 1 - loss}, None if criteria is None else criteria[place])
            for place, loss in enumerate(losses)
        )

    def evaluate(self):
        return next(self.evaluations)


def test_the_criterion_chooses_and_the_loss_decides_between_equals(tmp_path):
    problem = Told([0.5, 0.9, 0.8, 0.1], [-0.6, -0.7, -0.7, -0.65])
    outcome = run(tmp_path / "run", problem, evaluate_every=3)
    assert outcome.best["step"] == 9
    assert outcome.best["good"] == pytest.approx(0.2)
    records = [r for r in RunFolder(tmp_path / "run").read_metrics() if "criterion" in r]
    assert [record["criterion"] for record in records] == [-0.6, -0.7, -0.7, -0.65]


def test_patience_ends_a_run_which_is_then_finished(tmp_path):
    losses = [0.5, 0.4, 0.45, 0.41, 0.3, 0.2]
    outcome = run(tmp_path / "run", Told(losses), evaluate_every=2, patience=2)
    assert (outcome.step, outcome.best["step"], outcome.stopped_early, outcome.finished) == (8, 4, True, True)
    outcome = run(tmp_path / "patient", Told(losses), evaluate_every=2, patience=3)
    assert (outcome.step, outcome.best["step"], outcome.stopped_early, outcome.finished) == (12, 12, False, True)


def test_patience_survives_a_stop(tmp_path):
    run(tmp_path / "run", Told([0.5, 0.4, 0.45]), [StopAt(6)], evaluate_every=2, patience=2)
    outcome = run(tmp_path / "run", Told([0.41, 0.3, 0.2]), evaluate_every=2, patience=2)
    assert (outcome.step, outcome.best["step"], outcome.stopped_early) == (8, 4, True)


def test_the_average_by_hand():
    model = torch.nn.Linear(2, 1)
    average = AveragedWeights(model, 0.5)
    expected = model.weight.detach().clone()
    for step, decay in [(1, 2 / 11), (2, 3 / 12), (30, 0.5)]:
        with torch.no_grad():
            model.weight.mul_(-1.5).add_(0.25)
        average.update(step)
        expected = decay * expected + (1 - decay) * model.weight.detach()
    own = model.weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(model.weight, expected)
    assert torch.equal(model.weight, own)


def test_the_averages_are_evaluated_and_kept_and_the_run_itself_is_the_same(tmp_path):
    outcome = run(tmp_path / "averaged", averaging=0.8, evaluate_every=4)
    plain = run(tmp_path / "plain", evaluate_every=4)
    assert same(weights(tmp_path / "averaged"), weights(tmp_path / "plain"))
    assert outcome.best["validation_loss"] != plain.best["validation_loss"]
    best = load_checkpoint(tmp_path / "averaged" / "model.safetensors")
    last = load_checkpoint(tmp_path / "averaged" / "last.safetensors").tensors
    assert best.info["figures"]["step"] == 12
    assert torch.equal(best.tensors["weight"], last["average.weight"])
    assert not torch.equal(best.tensors["weight"], last["model.weight"])


def test_a_run_that_is_over_is_not_gone_on_with(tmp_path):
    run(tmp_path / "run")
    with pytest.raises(InputError, match="expected more than the 12 steps that are done already, got 11"):
        run(tmp_path / "run", steps=11)
