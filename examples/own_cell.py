"""A cell of one's own, from a paper's equation: ``python examples/own_cell.py [--updates N]``.

docs/own-cell.md goes through this file piece by piece. It runs the cell with lengths and a reset, checks its gradients
and trains it on the adding problem: of 30 random numbers two are marked, and their sum is asked for at the end.
Always answering 1 gives a loss (mean squared error) of 0.167.
"""

import argparse
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from unrolled import Cell, Recurrent


class CoRNNState(NamedTuple):
    """What is carried from step to step."""

    y: Tensor  # (B, H), where the oscillators are
    z: Tensor  # (B, H), how fast they move


class CoRNN(Cell):
    """Coupled oscillators, driven by the input (Rusch and Mishra 2021, arXiv:2010.00951)."""

    def __init__(self, input_size, hidden_size, dt=0.2, gamma=5.0, epsilon=2.0):
        super().__init__()
        self.input_size = input_size  # the input of a call is checked against it
        self.state_size = CoRNNState(y=hidden_size, z=hidden_size)
        self.dt, self.gamma, self.epsilon = dt, gamma, epsilon
        self.u = nn.Linear(input_size, hidden_size)  # V and b
        self.y = nn.Linear(hidden_size, hidden_size, bias=False)  # W
        self.z = nn.Linear(hidden_size, hidden_size, bias=False)  # 𝒲

    def step(self, u, state):
        """One step: the output y(t), and (y(t), z(t))."""
        y, z = state
        force = torch.tanh(self.y(y) + self.z(z) + self.u(u))
        z = z + self.dt * (force - self.gamma * y - self.epsilon * z)
        y = y + self.dt * z
        return y, CoRNNState(y, z)


def run_it():
    layer = Recurrent(CoRNN(2, 32), backend="compiled")
    x = torch.randn(50, 4, 2)  # 50 steps, 4 rows, 2 features
    reset = torch.zeros(50, 4, dtype=torch.bool)
    reset[20, 0] = True  # here something new begins in the first row
    outputs, state = layer(x, lengths=[50, 20, 3, 0], reset=reset)
    print("outputs", tuple(outputs.shape), "y", tuple(state.y.shape), "z", tuple(state.z.shape))


def check_it():
    layer, x = Recurrent(CoRNN(2, 3)).double(), torch.randn(5, 4, 2, dtype=torch.float64)
    weights = dict(layer.named_parameters())
    outputs = lambda *values: functional_call(layer, dict(zip(weights, values, strict=True)), x)[0]  # noqa: E731
    print("gradients are right:", torch.autograd.gradcheck(outputs, tuple(weights.values())))


def adding_problem(batch_size, steps=30):
    numbers = torch.rand(steps, batch_size)
    marked = torch.rand(steps, batch_size).topk(2, dim=0).indices  # two different steps of each sequence
    marks = torch.zeros(steps, batch_size).scatter_(0, marked, 1.0)
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(0)  # (T, B, 2), (B,)


def train_it(updates):
    layer, read_out = Recurrent(CoRNN(2, 32)), nn.Linear(32, 1)
    parameters = [*layer.parameters(), *read_out.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=2e-2)
    for done in range(1, updates + 1):
        x, target = adding_problem(batch_size=64)
        outputs, _ = layer(x)
        loss = nn.functional.mse_loss(read_out(outputs[-1]).squeeze(-1), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if done % 100 == 0 or done in (1, updates):
            print(f"update {done:4d}  loss {loss.item():.4f}")


def main():
    parser = argparse.ArgumentParser(description="A cell of one's own, trained on the adding problem.")
    parser.add_argument("--updates", type=int, default=800, help="of the parameters (default 800)")
    updates = parser.parse_args().updates
    torch.manual_seed(0)
    run_it()
    check_it()
    train_it(updates)


if __name__ == "__main__":
    main()
