"""A cell of one's own, trained on the adding problem: ``python examples/own_cell.py [--steps N]``.

Each sequence has 30 random numbers, two of them marked. The target is the sum of the two, so the cell must
remember the first until it meets the second. Always answering 1 gives a loss (mean squared error) of 0.167.
"""

import argparse

import torch
from torch import nn

from unrolled import Cell, Recurrent


class MinimalGatedUnit(Cell):
    """f = sigmoid(W_f [x, h] + b_f);  h' = (1 - f) h + f tanh(W_h [x, f h] + b_h)  (arXiv:1603.09420)."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size  # the size of the state, which starts at zeros
        self.forget = nn.Linear(input_size + hidden_size, hidden_size)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)
        nn.init.constant_(self.forget.bias, -1.0)  # keep most of the state at first

    def step(self, x, h):
        """One step: the output and the next state, both the new h."""
        f = torch.sigmoid(self.forget(torch.cat([x, h], -1)))
        h = (1 - f) * h + f * torch.tanh(self.candidate(torch.cat([x, f * h], -1)))
        return h, h


def adding_problem(batch_size, steps=30):
    numbers = torch.rand(steps, batch_size)
    marked = torch.rand(steps, batch_size).topk(2, dim=0).indices  # two different steps a sequence
    markers = torch.zeros(steps, batch_size).scatter_(0, marked, 1.0)
    return torch.stack([numbers, markers], -1), (numbers * markers).sum(0)  # (T, B, 2), (B,)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=600, help="updates of the parameters (default 600)")
    steps = parser.parse_args().steps
    torch.manual_seed(0)
    layer, read_out = Recurrent(MinimalGatedUnit(2, 32)), nn.Linear(32, 1)
    parameters = [*layer.parameters(), *read_out.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    for done in range(1, steps + 1):
        x, target = adding_problem(batch_size=64)
        _, h = layer(x)  # the state after the last step, (B, 32)
        loss = nn.functional.mse_loss(read_out(h).squeeze(-1), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if done % 50 == 0 or done in (1, steps):
            print(f"update {done:4d}  loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
