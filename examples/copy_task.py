"""The copy task: where a plain recurrent network loses the gradient, and what gates change.

A network reads some symbols, then only blanks, then at a signal it has to say the symbols again in their order. What
it says at the very last step it has read `delay + symbols` steps before, so it can learn it only if the gradient of the
last step's loss arrives there. `unrolled.diagnose` shows whether it does.

    python examples/copy_task.py
    python examples/copy_task.py --steps 4000 --delay 100 --plot copy.svg
"""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

from unrolled import Recurrent, cells, diagnose

KINDS = 8  # of symbols; then come blank and signal
BLANK, SIGNAL = KINDS, KINDS + 1


class Copier(nn.Module):
    """A layer of any cell, and the scores of the symbols at each step."""

    def __init__(self, cell):
        super().__init__()
        self.layer = Recurrent(cell)
        self.output = nn.Linear(cell.hidden_size, KINDS)

    def forward(self, tokens):
        """From tokens (T, B) to scores (T, B, symbols)."""
        hidden, _ = self.layer(F.one_hot(tokens, KINDS + 2).float())
        return self.output(hidden)


def draw(batch_size, symbols, delay):
    """Tokens (T, B), T = 2 symbols + delay, and what is to be said in the last steps (symbols, B)."""
    said = torch.randint(KINDS, (symbols, batch_size))
    wait = torch.full((delay, batch_size), BLANK)
    wait[-1] = SIGNAL
    return torch.cat([said, wait, torch.full((symbols, batch_size), BLANK)]), said


def make(name, hidden_size):
    torch.manual_seed(0)
    if name == "Elman":
        return Copier(cells.Elman(KINDS + 2, hidden_size))
    if name == "GRU":
        return Copier(cells.GRU(KINDS + 2, hidden_size))
    bias = 4.0 if name == "LSTM, open" else None  # with 4 the forget gate begins near 1
    return Copier(cells.LSTM(KINDS + 2, hidden_size, forget_bias=bias))


def train(model, steps, symbols, delay, batch_size=64):
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        tokens, said = draw(batch_size, symbols, delay)
        loss = F.cross_entropy(model(tokens)[-symbols:].flatten(0, 1), said.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def look(model, symbols, delay):
    """What is diagnosed, for the loss of the last symbol; and how many of all symbols are right."""
    torch.manual_seed(1)
    tokens, said = draw(64, symbols, delay)
    found = diagnose(model, tokens, loss=lambda scores: F.cross_entropy(scores[-1], said[-1], reduction="sum"))
    with torch.no_grad():
        right = (model(tokens)[-symbols:].argmax(-1) == said).float().mean().item()
    return found, right


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000, help="updates of the parameters (default 2000)")
    parser.add_argument("--symbols", type=int, default=3)
    parser.add_argument("--delay", type=int, default=50)
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument("--plot", help="a picture of the trained LSTM whose forget gate began open")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = options.symbols, options.delay
    lag = sum(task)  # from the last step back to where its symbol was read
    print(f"{'cell':<12}{'steps':>7}{'right':>8}{f'lag {lag}':>10}{'1 % in':>9}{'exponent':>11}")
    for name in ("Elman", "LSTM", "LSTM, open", "GRU"):
        model = make(name, options.hidden_size)
        done = 0
        for steps in (0, options.steps // 4, options.steps):
            train(model, steps - done, *task)
            done = steps
            found, right = look(model, *task)
            layer = found.layers[0]
            left, memory = layer.state.mean[lag] / layer.state.mean[0], layer.state.memory or f"> {layer.steps - 1}"
            print(f"{name:<12}{steps:>7}{right:>8.2f}{left:>10.0e}{memory:>9}{layer.exponents[0]:>11.3f}", flush=True)
        if options.plot and name == "LSTM, open":
            found.plot(options.plot)


if __name__ == "__main__":
    main()
