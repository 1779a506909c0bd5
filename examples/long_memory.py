"""Can a cell remember? ``python examples/long_memory.py adding --cell gru``, or ``copy``, or ``--all FILE``.

*adding* (Hochreiter and Schmidhuber 1997): each of T steps brings a number of [0, 1) and a mark; two steps are
marked, one in each half. After the last step the cell must tell the sum of the two numbers. Who remembers nothing
answers 1 and has a mean squared error of 1/6 = 0.167.

*copy* (as in Arjovsky et al. 2016, arXiv:1511.06464): ten symbols of eight, then T blanks, the last of which is
another sign, then ten blanks in which the ten symbols must be told, in order. Who remembers nothing has a
cross-entropy of 10 log(8) / (T + 20) nats a step, 0.173 for T = 100.

The network is a layer of the cell, or two, and a linear map of its output. Sequences are made as they are needed, from
a seed; every figure is of 2,000 sequences of their own that no update has seen. Training stops when the problem is
solved (adding: an error below 0.001; copy: 99 of 100 symbols right) or when the time is over. ``--all`` runs eight
cells with a recipe each, one JSON line a run in FILE, and goes on where it was stopped.
"""

import argparse
import ast
import json
import math
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from unrolled import Cell, Recurrent, cells

SYMBOLS, BLANK, SIGN = 10, 8, 9  # of the copy task: how many to remember; the numbers of the two other signs
LENGTHS = {"adding": 200, "copy": 100}
COMMON = {"hidden_size": 128, "layers": 1, "learning_rate": 1e-3, "clip": 1.0, "batch_size": 50, "options": {}}
RECIPES = {  # what a cell needs besides, for both problems; the option "T" is the number of steps
    "Elman": {},
    "GRU": {"gate_bias": "chrono", "learning_rate": 3e-3},
    "IRNN": {"learning_rate": 3e-4},
    "IndRNN": {"layers": 2, "options": {"steps": "T"}},  # one layer cannot add: no unit sees another
    "JANET": {"options": {"steps": "T"}},
    "LSTM": {"gate_bias": "chrono", "learning_rate": 3e-3},
    "MinGRU": {},
    "UGRNN": {"options": {"forget_bias": 3.0}},
}


def adding(steps, batch_size, chance):
    """Numbers and marks (T, B, 2), and the sums (B,)."""
    numbers = torch.rand(steps, batch_size, generator=chance)
    halves = (
        torch.rand(steps // 2, batch_size, generator=chance),
        torch.rand(steps - steps // 2, batch_size, generator=chance),
    )
    marks = torch.cat([F.one_hot(half.argmax(0), len(half)).T for half in halves]).float()
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(0)


def copy(steps, batch_size, chance):
    """Signs as one-hot (T + 20, B, 10), and what to answer at each step (T + 20, B)."""
    symbols = torch.randint(8, (SYMBOLS, batch_size), generator=chance)
    blanks = torch.full((steps + SYMBOLS, batch_size), BLANK)
    shown = torch.cat([symbols, blanks])
    shown[steps + SYMBOLS - 1] = SIGN
    return F.one_hot(shown, 10).float(), torch.cat([blanks, symbols])


class Network(nn.Module):
    """Layers of the cell, and a linear map of their output: at the last step, or at every one."""

    def __init__(self, problem, make, layers, input_size, output_size):
        super().__init__()
        self.problem, self.layers, size = problem, nn.ModuleList(), input_size
        for _ in range(layers):
            cell = make(size)
            self.layers.append(Recurrent(cell))
            size = cell.step(torch.zeros(1, size), cell.initial_state(1))[0].shape[-1]
        self.read_out = nn.Linear(size, output_size)

    def forward(self, x):
        """Sums (B,), or scores (T, B, 8 symbols and the blank)."""
        for layer in self.layers:
            x, _ = layer(x)
        return self.read_out(x[-1]).squeeze(-1) if self.problem == "adding" else self.read_out(x)


PROBLEMS = {  # sequences, features of the input and of the answer, loss of (answers, targets)
    "adding": (adding, 2, 1, F.mse_loss),
    "copy": (copy, 10, 9, lambda scores, target: F.cross_entropy(scores.flatten(0, 1), target.flatten())),
}


def without_memory(problem, steps):
    """The loss of who remembers nothing."""
    return 1 / 6 if problem == "adding" else SYMBOLS * math.log(8) / (steps + 2 * SYMBOLS)


@torch.no_grad()
def measure(network, problem, steps):
    """The loss, and of the copy task the share of the ten symbols that are right, of 2,000 sequences."""
    make, _, _, loss_of = PROBLEMS[problem]
    chance = torch.Generator().manual_seed(2**31)  # no training's
    losses, right = [], []
    for _ in range(8):
        x, target = make(steps, 250, chance)
        answers = network(x)
        losses.append(loss_of(answers, target).item())
        right.append((answers.argmax(-1) == target)[-SYMBOLS:].float().mean().item() if problem == "copy" else 0.0)
    return sum(losses) / 8, sum(right) / 8 if problem == "copy" else None


def is_solved(loss, accuracy):
    """An error that no guess has: of the sum, or one symbol of a hundred."""
    return loss < 1e-3 if accuracy is None else accuracy >= 0.99


def gate_biases(cell, choice, steps, chance):
    """What the gates of a cell with torch's names and order begin with: to forget little.

    A number is added to the bias of the forget gate (of a GRU: of the update gate, which keeps). "chrono" (Tallec
    and Ollivier 2018, arXiv:1804.11188): log of u, u drawn from [1, T), so that the units remember for times from one
    step to all of them; an input gate gets the opposite.
    """
    H, gates = cell.hidden_size, len(cell.bias_ih) // cell.hidden_size
    memory = torch.log(1 + (steps - 2) * torch.rand(H, generator=chance)) if choice == "chrono" else float(choice)
    with torch.no_grad():
        cell.bias_hh[H : 2 * H].zero_()
        cell.bias_ih[H : 2 * H] = memory
        if gates == 4 and choice == "chrono":
            cell.bias_hh[:H].zero_()
            cell.bias_ih[:H] = -memory


def maker(name, recipe, steps, chance):
    """A function that makes such a cell for a number of features."""
    options = {key: steps if value == "T" else value for key, value in recipe["options"].items()}

    def make(size):
        cell = CELLS[name](size, recipe["hidden_size"], **options)
        if recipe.get("gate_bias") is not None:
            gate_biases(cell, recipe["gate_bias"], steps, chance)
        return cell

    return make


def run(problem, name, recipe, *, steps, seed, minutes, updates, decay=False, to_the_end=False, every=100):
    """Train until it is solved, the updates are done or the time is over; what came of it, as one row."""
    make, input_size, output_size, loss_of = PROBLEMS[problem]
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    network = Network(problem, maker(name, recipe, steps, chance), recipe["layers"], input_size, output_size)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe["learning_rate"])
    began, done, solved = time.perf_counter(), 0, False
    loss, accuracy = measure(network, problem, steps)
    best = loss
    while done < updates and time.perf_counter() - began < 60 * minutes and (to_the_end or not solved):
        for group in optimizer.param_groups:
            group["lr"] = recipe["learning_rate"] * (1 - done / updates if decay else 1)
        x, target = make(steps, recipe["batch_size"], chance)
        training_loss = loss_of(network(x), target)
        optimizer.zero_grad()
        training_loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), recipe["clip"])
        optimizer.step()
        done += 1
        if done % every == 0 or done == updates:
            loss, accuracy = measure(network, problem, steps)
            best, solved = min(best, loss), is_solved(loss, accuracy)
            told = "" if accuracy is None else f", {100 * accuracy:.1f} % of the symbols right"
            minute = (time.perf_counter() - began) / 60
            print(f"{name} {problem} T={steps}: update {done}, {minute:.1f} min, loss {loss:.5f}{told}", flush=True)
    return {
        "problem": problem, "T": steps, "cell": name, "seed": seed, "solved": solved, "loss": loss, "best_loss": best,
        "accuracy": accuracy, "without_memory": without_memory(problem, steps), "updates": done,
        "minutes": (time.perf_counter() - began) / 60, "threads": torch.get_num_threads(),
        "decay": decay, "parameters": sum(p.numel() for p in network.layers.parameters()), "recipe": recipe,
    }  # fmt: skip


def report(row):
    """One row for people."""
    right = "" if row["accuracy"] is None else f", {100 * row['accuracy']:.1f} % of the symbols right"
    print(
        f"{row['cell']}, {row['problem']}, T = {row['T']}: {'solved' if row['solved'] else 'not solved'} after "
        f"{row['updates']} updates and {row['minutes']:.1f} minutes; loss {row['loss']:.3g} (without memory "
        f"{row['without_memory']:.3f}){right}"
    )


def table(rows):
    """All rows as a table in Markdown."""
    print("\n| cell | problem | T | solved | loss | without memory | symbols right | updates | minutes |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in sorted(rows, key=lambda row: (row["problem"], row["cell"], row["seed"])):
        right = "" if row["accuracy"] is None else f"{100 * row['accuracy']:.1f} %"
        values = (row["cell"], row["problem"], row["T"], "yes" if row["solved"] else "no", f"{row['loss']:.2g}")
        values += (f"{row['without_memory']:.3f}", right, row["updates"], f"{row['minutes']:.1f}")
        print(f"| {' | '.join(map(str, values))} |")


def run_all(path, problems, names, options):
    """Every cell on every problem, a line a run; what the file has already is not run again."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for problem in problems:
        steps = options.length or LENGTHS[problem]
        for name in names:
            known = {(row["problem"], row["T"], row["cell"], row["seed"]) for row in rows}
            if (problem, steps, name, options.seed) in known:
                continue
            row = run(problem, name, recipe_of(name, options), steps=steps, **budget(options))
            report(row)
            rows.append(row)
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
    table(rows)


def recipe_of(name, options):
    """The cell's own, with what was asked for in its place."""
    asked = {key: value for key in COMMON if (value := getattr(options, key, None)) is not None}
    recipe = COMMON | RECIPES.get(name, {}) | asked
    if options.gate_bias is not None:
        recipe["gate_bias"] = options.gate_bias
    return recipe | {"options": {**recipe["options"], **dict(options.option)}}


def budget(options):
    """When a run begins and ends."""
    ends = {"seed": options.seed, "minutes": options.minutes, "updates": options.updates}
    return ends | {"decay": options.decay, "to_the_end": options.to_the_end}


CELLS = {
    name: kind for name in cells.__all__ if isinstance(kind := getattr(cells, name), type) and issubclass(kind, Cell)
}


def a_cell(text):
    """The class of that name, in any case."""
    for name in CELLS:
        if name.lower() == text.lower():
            return name
    raise argparse.ArgumentTypeError(f"expected one of {', '.join(CELLS)}, got {text!r}")


def an_option(text):
    """``name=value`` for the cell; the value as Python writes it, or a plain word."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("problem", nargs="*", help="adding or copy; with --all both if none is named")
    parser.add_argument("--cell", type=a_cell, action="append", help="of unrolled.cells, any case; may be repeated")
    parser.add_argument("--all", type=Path, metavar="FILE", help="every cell that has a recipe, a JSON line a run")
    parser.add_argument("--length", type=int, help="T (adding 200, copy 100)")
    parser.add_argument("--hidden-size", type=int)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--clip", type=float, help="largest norm of the gradient")
    parser.add_argument("--gate-bias", help="a number for the forget gate, or chrono (cells with torch's gates)")
    parser.add_argument("--option", type=an_option, action="append", default=[], help="name=value for the cell")
    parser.add_argument("--updates", type=int, default=20_000, help="at most (20,000)")
    parser.add_argument("--decay", action="store_true", help="the learning rate falls to 0 over the updates")
    parser.add_argument("--to-the-end", action="store_true", help="all updates, solved or not")
    parser.add_argument("--minutes", type=float, default=15.0, help="at most, for each run (15)")
    parser.add_argument("--threads", type=int, help="of PyTorch and the kernels")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong = [problem for problem in options.problem if problem not in PROBLEMS]
    if wrong or not (options.problem or options.all):
        parser.error(f"expected adding or copy, got {wrong[0] if wrong else 'none'}")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.all is not None:
        run_all(options.all, options.problem or list(PROBLEMS), options.cell or list(RECIPES), options)
        return
    for problem in options.problem:
        for name in options.cell or ["GRU"]:
            steps = options.length or LENGTHS[problem]
            report(run(problem, name, recipe_of(name, options), steps=steps, **budget(options)))


if __name__ == "__main__":
    main()
