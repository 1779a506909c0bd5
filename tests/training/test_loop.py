"""The loop, on a problem that has nothing to do with text."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from unrolled.core import CheckpointError, InputError, NonFiniteError
from unrolled.training.checkpoint import load_checkpoint, save_checkpoint
from unrolled.training.loop import measure_steps, train
from unrolled.training.optimizer import learning_rate, make_optimizer
from unrolled.training.options import TrainingOptions
from unrolled.training.problem import Loss, Observer
from unrolled.training.randomness import RandomState, seed_everything
from unrolled.training.run_folder import RunFolder


class Toy:
    """A running sum that is carried over; the data and the noise depend on the step and on chance."""

    def __init__(self, seed=0, scale=1.0):
        seed_everything(seed)
        self.model = nn.Linear(3, 2)
        self.scale = scale
        self.norms = []  # of the gradients that the optimizer met
        self.carries = []

    def start(self):
        return (torch.zeros(4, 2),)

    def loss(self, step, carry):
        self.carries.append(carry[0])
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        noise = torch.randn(4, 2) if self.model.training else torch.zeros(4, 2)
        state = 0.5 * carry[0] + self.model(x) + 0.1 * noise
        return Loss(self.scale * ((state - x.sum(-1, keepdim=True)) ** 2).mean(), (state,), 4)

    def figures(self, loss):
        return {"twice": 2 * loss}

    def evaluate(self):
        torch.randn(17), np.random.randn(3)  # an evaluation may draw too
        return float(self.loss(999, self.start()).value)

    def sample(self):
        return f"a sample {torch.rand(()):.3f}"


def options(**changes):
    return TrainingOptions(**{"steps": 12, "minutes": None, "learning_rate": 0.05, "warmup_steps": 2, **changes})


def run(path, problem=None, observers=(), **changes):
    chosen = options(**changes)
    config = {"options": {"training": chosen.model_dump()}}
    folder = RunFolder(path) if path.exists() else RunFolder.create(path, config)
    return train(problem or Toy(), chosen, folder, observers)


def weights(path, name="last"):
    tensors = load_checkpoint(path / f"{name}.safetensors").tensors
    return {key: tensor for key, tensor in tensors.items() if key.split(".")[0] in ("model", "weight", "bias")}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_an_outcome_and_its_files(tmp_path):
    outcome = run(tmp_path / "run", evaluate_every=5)
    assert (outcome.step, outcome.steps, outcome.finished) == (12, 12, True)
    records = RunFolder(tmp_path / "run").read_metrics()
    evaluated = [record for record in records if "validation_loss" in record]
    assert [record["step"] for record in evaluated] == [5, 10, 12]
    assert [record["step"] for record in records if "loss" in record] == list(range(1, 13))
    assert outcome.best == min(evaluated, key=lambda record: record["validation_loss"])
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
        assert problem.evaluate() == outcome.best["validation_loss"]
    assert load_checkpoint(tmp_path / "run" / "model.safetensors").info["figures"] == outcome.best


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("stop", [0, 1, 6, 11])
def test_an_exception_anywhere_and_on_it_goes(optimizer, stop, tmp_path):
    class Crash(Observer):
        def stepped(self, record):
            if record["step"] == stop + 1:
                raise KeyboardInterrupt

    settings = {"optimizer": optimizer, "evaluate_every": 4, "save_every": 1e-9}
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


def test_gradients_are_clipped_to_the_norm(tmp_path, monkeypatch):
    """With plain sgd and a learning rate of 1, the weights move by exactly the clipped gradient."""
    settings = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "learning_rate": 1.0}
    settings |= {"schedule": "constant", "warmup_steps": 0, "steps": 1}

    def moved(name, scale, clipping):
        problem = Toy(scale=scale)
        before = torch.cat([p.detach().flatten().clone() for p in problem.model.parameters()])
        run(tmp_path / name, problem, gradient_clipping=clipping, **settings)
        record = RunFolder(tmp_path / name).read_metrics()[0]
        after = torch.cat([p.detach().flatten() for p in problem.model.parameters()])
        return float((after - before).norm()), record["gradient_norm"]

    length, norm = moved("clipped", 100.0, 0.25)
    assert norm > 10
    assert length == pytest.approx(0.25, rel=1e-4)
    length, norm = moved("free", 100.0, 0.0)
    assert length == pytest.approx(norm, rel=1e-4)
    length, norm = moved("small", 1e-3, 0.25)
    assert norm < 0.1
    assert length == pytest.approx(norm, rel=1e-3)


def test_the_learning_rate():
    chosen = options(learning_rate=2.0, warmup_steps=4, schedule="linear")
    assert [learning_rate(chosen, step, 14) for step in range(6)] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 1.8])
    assert learning_rate(chosen, 13, 14) == pytest.approx(0.2)
    chosen = options(learning_rate=2.0, warmup_steps=0, schedule="cosine")
    expected = [1 + math.cos(math.pi * step / 8) for step in range(8)]
    assert [learning_rate(chosen, step, 8) for step in range(8)] == pytest.approx(expected)
    chosen = options(learning_rate=2.0, warmup_steps=100, schedule="constant")  # never more than half the run
    assert [learning_rate(chosen, step, 5) for step in range(5)] == pytest.approx([1.0, 2.0, 2.0, 2.0, 2.0])
    assert learning_rate(chosen, 0, 1) == 2.0


def test_the_learning_rate_is_the_one_that_the_optimizer_uses(tmp_path):
    """Sgd without momentum moves by rate times gradient."""
    settings = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "gradient_clipping": 0.0, "steps": 6}

    class Watch(Observer):
        def __init__(self, problem):
            self.problem, self.before, self.ratios = problem, None, []

        def started(self, step, steps, folder):
            self.before = self.problem.model.weight.detach().clone()

        def stepped(self, record):
            model = self.problem.model
            gap = self.before - model.weight.detach()
            self.ratios.append((float(gap.norm() / model.weight.grad.norm()), record["learning_rate"]))
            self.before = model.weight.detach().clone()

    problem = Toy()
    watch = Watch(problem)
    run(tmp_path / "run", problem, [watch], **settings)
    for found, stated in watch.ratios:
        assert found == pytest.approx(stated, rel=1e-3)
    assert len({stated for _, stated in watch.ratios}) >= 5


def test_the_optimizers_are_the_ones_that_are_named():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
    for name, kind in {**kinds, "sgd": torch.optim.SGD}.items():
        made = make_optimizer(model, options(optimizer=name, weight_decay=0.25, momentum=0.5, learning_rate=0.125))
        assert type(made) is kind
        (group,) = made.param_groups
        assert (group["lr"], group["weight_decay"]) == (0.125, 0.25)
        assert [p is model.weight for p in group["params"]] == [True]
        assert group.get("momentum", 0.5) in ((0.5,) if name == "sgd" else (0, 0.5))


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
    run(tmp_path / "until 7", Toy(), [_StopAt(7, tmp_path)], evaluate_every=3)
    assert same(weights(tmp_path / "until 7"), after_seven)  # the bad step itself was not done


class _StopAt(Observer):
    """Ctrl-C at a step."""

    def __init__(self, step, _):
        self.step = step

    def stepped(self, record):
        if record["step"] == self.step:
            import signal

            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_saves_and_returns(tmp_path):
    outcome = run(tmp_path / "run", observers=[_StopAt(5, None)], evaluate_every=100)
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


def test_observers_are_told_that_it_is_over_whatever_happens(tmp_path):
    class Fragile(Observer):
        def started(self, step, steps, folder):
            raise OSError(28, "No space left on device")

    class Witness(Observer):
        over = False

        def stopped(self):
            self.over = True

    witness = Witness()
    with pytest.raises(OSError, match="No space"):
        run(tmp_path / "run", observers=[Fragile(), witness])
    assert witness.over


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


def test_minutes_become_steps():
    class Slow(Toy):
        def loss(self, step, carry):
            import time

            time.sleep(0.05)
            return super().loss(step, carry)

    assert measure_steps(Slow(), options(), 0.1) == pytest.approx((6 - 10 * 0.05) / 0.051, rel=0.2)
    assert measure_steps(Slow(), options(evaluate_every=1), 0.1) == pytest.approx(6 / 0.102, rel=0.2)


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


def test_tensorboard_reads_what_is_written(tmp_path):
    import warnings

    with warnings.catch_warnings():  # TensorBoard's own, on import
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        from unrolled.training.tensorboard import TensorBoard

        outcome = run(tmp_path / "run", observers=[TensorBoard(), _StopAt(7, None)], evaluate_every=5)
        assert not outcome.finished
        run(tmp_path / "run", observers=[TensorBoard()], evaluate_every=5)
        events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    records = RunFolder(tmp_path / "run").read_metrics()
    for name in ("loss", "gradient_norm", "learning_rate", "validation_loss", "twice"):
        written = [(event.step, event.value) for event in events.Scalars(name)]
        expected = [(record["step"], record[name]) for record in records if name in record]
        assert [step for step, _ in written] == [step for step, _ in expected]
        assert [value for _, value in written] == pytest.approx([value for _, value in expected], rel=1e-6)
    assert "text_summary" in next(tag for tag in events.Tags()["tensors"])


def test_tensorboard_that_is_missing_is_named(monkeypatch):
    import sys

    from unrolled.training.tensorboard import TensorBoard

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"--tensorboard: .*pip install 'unrolled\[tensorboard\]'"):
        TensorBoard()


def test_the_plot_shows_both_losses_and_the_best(tmp_path):
    run(tmp_path / "run", evaluate_every=4)
    records = RunFolder(tmp_path / "run").read_metrics()
    best = min(record["validation_loss"] for record in records if "validation_loss" in record)
    drawn = (tmp_path / "run" / "loss.svg").read_text()
    for words in ("training (smoothed)", "validation", f"best {best:.3f}", "step", "loss (nats)"):
        assert f"<!-- {words} -->" in drawn
