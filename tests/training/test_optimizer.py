"""The optimizers, the clipping, and the learning rate."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from unrolled.training.optimizer import learning_rate, make_optimizer
from unrolled.training.problem import Observer
from unrolled.training.run_folder import RunFolder

spec = importlib.util.spec_from_file_location("training_toy", Path(__file__).with_name("toy.py"))
toy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy)
Toy, run, options = toy.Toy, toy.run, toy.options


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
    assert [learning_rate(chosen, step, 14, 4) for step in range(6)] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 1.8])
    assert learning_rate(chosen, 13, 14, 4) == pytest.approx(0.2)
    chosen = options(learning_rate=2.0, warmup_steps=0, schedule="cosine")
    expected = [1 + math.cos(math.pi * step / 8) for step in range(8)]
    assert [learning_rate(chosen, step, 8, 4) for step in range(8)] == pytest.approx(expected)
    chosen = options(learning_rate=2.0, warmup_steps=100, schedule="constant")  # never more than half the run
    assert [learning_rate(chosen, step, 5, 4) for step in range(5)] == pytest.approx([1.0, 2.0, 2.0, 2.0, 2.0])
    assert learning_rate(chosen, 0, 1, 4) == 2.0


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


def test_the_learning_rate_that_decays_from_epoch_to_epoch():
    """As Zaremba et al.: four epochs at the full rate, the fifth with half of it, and so on."""
    chosen = options(learning_rate=8.0, warmup_steps=0, schedule="exponential", constant_epochs=4, decay=0.5)
    rates = [learning_rate(chosen, step, 30, 3) for step in range(21)]
    assert rates == [8.0] * 12 + [4.0] * 3 + [2.0] * 3 + [1.0] * 3
    chosen = options(learning_rate=8.0, warmup_steps=2, schedule="exponential", constant_epochs=0, decay=0.25)
    assert [learning_rate(chosen, step, 30, 3) for step in range(6)] == [4.0, 8.0, 2.0, 0.5, 0.5, 0.5]


def test_a_gradient_within_its_bound_is_not_touched(tmp_path):
    """The norm is measured either way; below the bound not a bit of the run changes."""
    for name, clipping in (("free", 0.0), ("bound", 1e6)):
        run(tmp_path / name, gradient_clipping=clipping)
    free, bound = (toy.weights(tmp_path / name) for name in ("free", "bound"))
    assert toy.same(free, bound)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_a_fused_optimizer_does_what_the_plain_one_does(name):
    torch.manual_seed(0)
    models = [nn.Linear(7, 5), nn.Linear(7, 5)]
    models[1].load_state_dict(models[0].state_dict())
    fused, plain = (make_optimizer(m, options(optimizer=name, weight_decay=0.1, learning_rate=0.1)) for m in models)
    assert fused.param_groups[0]["fused"] is True
    plain.param_groups[0]["fused"] = False
    for _ in range(5):
        for model, optimizer in zip(models, (fused, plain), strict=True):
            optimizer.zero_grad()
            model(torch.ones(3, 7)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(models[0].state_dict(), models[1].state_dict())


def test_parameters_that_cannot_be_fused_are_trained_all_the_same():
    model = nn.Linear(2, 2, dtype=torch.complex64)
    assert not make_optimizer(model, options(optimizer="adamw")).param_groups[0]["fused"]
