"""The loop, on a problem that has nothing to do with text."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from unrolled.core import CheckpointError, InputError, NonFiniteError
from unrolled.training.checkpoint import load_checkpoint, save_checkpoint
from unrolled.training.problem import Loss, Observer
from unrolled.training.randomness import RandomState, seed_everything
from unrolled.training.run_folder import RunFolder

spec = importlib.util.spec_from_file_location("training_toy", Path(__file__).with_name("toy.py"))
toy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy)
Toy, StopAt, run, weights, same = toy.Toy, toy.StopAt, toy.run, toy.weights, toy.same


def test_an_outcome_and_its_files(tmp_path):
    outcome = run(tmp_path / "run", evaluate_every=5)
    assert (outcome.step, outcome.steps, outcome.finished) == (12, 12, True)
    records = RunFolder(tmp_path / "run").read_metrics()
    evaluated = [record for record in records if "validation_loss" in record]
    assert [record["step"] for record in evaluated] == [5, 10, 12]
    assert [record["step"] for record in records if "loss" in record] == list(range(1, 13))
    best = min(evaluated, key=lambda record: record["validation_loss"])
    assert outcome.best == {name: value for name, value in best.items() if name != "tokens_per_second"}
    assert all(record["twice"] == 2 * record["validation_loss"] for record in evaluated)
    assert "<svg" in (tmp_path / "run" / "loss.svg").read_text()


def test_the_best_weights_are_those_of_the_best_evaluation(tmp_path):
    """A learning rate that is far too high at the end of the warm-up: the best is an early step."""
    problem = Toy()
    outcome = run(tmp_path / "run", problem, evaluate_every=1, learning_rate=3.0, optimizer="sgd", warmup_steps=6)
    assert outcome.best["step"] < 12
    problem.model.load_state_dict(weights(tmp_path / "run", "model"))
    problem.model.eval()
    with torch.no_grad():
        assert problem.evaluate().loss == outcome.best["validation_loss"]
    assert load_checkpoint(tmp_path / "run" / "model.safetensors").info["figures"] == outcome.best


@pytest.mark.parametrize(("optimizer", "averaging"), [("adamw", 0.0), ("adam", 0.9), ("rmsprop", 0.0), ("sgd", 0.0)])
@pytest.mark.parametrize("stop", [0, 1, 6, 11])
def test_an_exception_anywhere_and_on_it_goes(optimizer, averaging, stop, tmp_path):
    class Crash(Observer):
        def stepped(self, record):
            if record["step"] == stop + 1:
                raise KeyboardInterrupt

    settings = {"optimizer": optimizer, "averaging": averaging, "evaluate_every": 4, "save_every": 1e-9}
    run(tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", observers=[Crash()], **settings)
    assert load_checkpoint(tmp_path / "run" / "last.safetensors").info["step"] == stop
    problem = Toy(seed=77)  # what the new process has before it loads must not matter
    run(tmp_path / "run", problem, **settings)
    for name in ("last", "model"):
        found, expected = (load_checkpoint(tmp_path / f / f"{name}.safetensors") for f in ("run", "whole"))
        assert found.tensors.keys() == expected.tensors.keys()
        assert all(torch.equal(found.tensors[key], tensor) for key, tensor in expected.tensors.items())


def test_the_carry_is_carried_and_cut_off_from_its_history(tmp_path):
    problem = Toy()
    run(tmp_path / "run", problem, steps=4, evaluate_every=4)
    assert torch.equal(problem.carries[0], torch.zeros(4, 2))
    assert all(float(carry.abs().sum()) > 0 for carry in problem.carries[1:4])
    assert not any(carry.requires_grad for carry in problem.carries)


def test_a_start_that_could_learn_is_cut_off_too_so_that_a_resumed_run_agrees(tmp_path):
    class Learnable(Toy):
        def __init__(self, seed=0):
            super().__init__(seed)
            self.model.register_parameter("begin", nn.Parameter(torch.ones(2)))

        def start(self):
            return (self.model.begin.expand(4, -1),)

    class Crash(Observer):
        def started(self, step, steps, folder):
            raise KeyboardInterrupt

    run(tmp_path / "whole", Learnable())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", Learnable(), [Crash()])
    run(tmp_path / "run", Learnable(5))
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_how_often_one_evaluates_and_saves_changes_no_weight(tmp_path):
    run(tmp_path / "a", evaluate_every=12)
    run(tmp_path / "b", evaluate_every=1, save_every=1e-9)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_the_seed_decides(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(tmp_path / name, Toy(seed))
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_bad_numbers_stop_before_the_step_and_leave_the_last_good_checkpoint(tmp_path):
    class Bad(Toy):
        def loss(self, step, carry):
            loss = super().loss(step, carry)
            bad = loss.value / 0 if step == 7 else loss.value
            return Loss(bad, loss.carry, loss.count)

    problem = Bad()
    with pytest.raises(NonFiniteError, match=r"the loss is not finite at step 8 \(inf\): first infinity made by div "):
        run(tmp_path / "run", problem, evaluate_every=3)
    checkpoint = load_checkpoint(tmp_path / "run" / "last.safetensors")
    assert checkpoint.info["step"] == 6
    assert all(tensor.isfinite().all() for tensor in checkpoint.tensors.values())
    after_seven = {f"model.{name}": tensor.clone() for name, tensor in problem.model.state_dict().items()}
    run(tmp_path / "until 7", Toy(), [StopAt(7)], evaluate_every=3)
    assert same(weights(tmp_path / "until 7"), after_seven)  # the bad step itself was not done


def test_ctrl_c_saves_and_returns(tmp_path):
    outcome = run(tmp_path / "run", observers=[StopAt(5)], evaluate_every=100)
    assert (outcome.step, outcome.finished, outcome.best) == (5, False, None)
    assert load_checkpoint(tmp_path / "run" / "last.safetensors").info["step"] == 5
    assert run(tmp_path / "run", evaluate_every=100).finished
    run(tmp_path / "whole", evaluate_every=100)
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_a_second_ctrl_c_acts_as_usual(tmp_path):
    class Twice(Observer):
        def stepped(self, record):
            import signal

            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", observers=[Twice()])


def test_weights_that_leave_the_finite_numbers_are_not_saved(tmp_path):
    settings = {"optimizer": "sgd", "learning_rate": 1e30, "warmup_steps": 0, "save_every": 1e-9}
    settings |= {"gradient_clipping": 0}
    with pytest.raises(NonFiniteError, match="the parameter weight is not finite after step 1"):
        run(tmp_path / "run", Toy(scale=1e12), evaluate_every=100, **settings)
    assert load_checkpoint(tmp_path / "run" / "last.safetensors").info["step"] == 0
    with pytest.raises(NonFiniteError, match="step 1"):
        run(tmp_path / "other", Toy(scale=1e12), evaluate_every=1, **settings)
    assert not (tmp_path / "other" / "model.safetensors").exists()
    assert load_checkpoint(tmp_path / "other" / "last.safetensors").info["step"] == 0


def test_more_steps_must_leave_something_to_do(tmp_path):
    run(tmp_path / "run")
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(InputError, match="expected more than the 12 steps that are done already, got 11"):
        run(tmp_path / "run", steps=11)
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    assert run(tmp_path / "run", steps=15).step == 15
    assert json.loads((tmp_path / "run" / "config.json").read_text())["options"]["training"]["steps"] == 15


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    run(tmp_path / "run")
    problem = Toy()
    problem.model = nn.Linear(3, 5)
    with pytest.raises(CheckpointError, match=r"last\.safetensors: does not fit"):
        run(tmp_path / "run", problem)
    checkpoint = load_checkpoint(tmp_path / "run" / "last.safetensors")
    for missing in ("step", "best", "random"):
        checkpoint.info.pop(missing)
        save_checkpoint(tmp_path / "run" / "last.safetensors", checkpoint)
        with pytest.raises(CheckpointError, match=r"last\.safetensors: does not fit"):
            run(tmp_path / "run")
    (tmp_path / "run" / "last.safetensors").write_bytes((tmp_path / "run" / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"last\.safetensors: does not fit"):
        run(tmp_path / "run")


def test_random_states_are_put_back(tmp_path):
    seed_everything(5)
    np.random.randn()  # leaves half of a pair behind
    import random

    random.gauss(0, 1)
    state = RandomState.capture()
    info = json.loads(json.dumps(state.info()))

    def draws():
        return [*torch.randn(3).tolist(), *np.random.randn(3), random.gauss(0, 1), random.random()]

    first = draws()
    RandomState.from_saved({name: tensor.clone() for name, tensor in state.torch.items()}, info).restore()
    assert draws() == first
