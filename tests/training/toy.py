"""A problem that has nothing to do with text, and how the tests of the loop run it."""

import signal

import numpy as np
import torch
from torch import nn

from unrolled.training.checkpoint import load_checkpoint
from unrolled.training.loop import train
from unrolled.training.options import TrainingOptions
from unrolled.training.problem import Evaluation, Loss, Observer
from unrolled.training.randomness import seed_everything
from unrolled.training.run_folder import RunFolder


class Toy:
    """A running sum that is carried over; the data and the noise depend on the step and on chance."""

    def __init__(self, seed=0, scale=1.0):
        seed_everything(seed)
        self.model = nn.Linear(3, 2)
        self.scale = scale
        self.norms = []  # of the gradients that the optimizer met
        self.carries = []

    steps_per_epoch = 4

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
        return Evaluation(float(self.loss(999, self.start()).value))

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


class StopAt(Observer):
    """Ctrl-C at a step."""

    def __init__(self, step):
        self.step = step

    def stepped(self, record):
        if record["step"] == self.step:
            signal.raise_signal(signal.SIGINT)
