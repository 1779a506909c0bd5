"""What comes next in a chorale? ``python examples/music.py [JSB_Chorales.npz]``: an answer at every step.

A chorale is a piano roll: for each step (a quarter note) which of 88 keys sound. The model reads the roll step by step
and tells for each key how probable it is in the next step. It is measured as in the literature, in nats a step: minus
the logarithm of the probability of what came, summed over the 88 keys, and the mean over all steps of all pieces but
their first, which nothing tells (Boulanger-Lewandowski et al. 2012, arXiv:1206.6392; Bai et al. 2018,
arXiv:1803.01271). The weights of the epoch that is best on the validation pieces are measured on the test pieces, once.

The file has for train, valid and test the rolls of all pieces as bits, ``train`` (steps, 11), and their lengths,
``train_len``. Without it the chorales are made up: four voices that wander over the chords of C major.
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pad_sequence

from unrolled.cells import GRU, LSTM, RNN
from unrolled.models import SequenceToSequence

KEYS, LOWEST = 88, 21  # of a piano, the first of which has this MIDI number
NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
TRIADS = [{0, 4, 7}, {2, 5, 9}, {4, 7, 11}, {5, 9, 0}, {7, 11, 2}, {9, 0, 4}]  # of C major: C Dm Em F G Am


def read(path):
    """The pieces of each part: rolls (T, 88) of zeros and ones."""
    with np.load(path, allow_pickle=False) as file:
        parts = {}
        for part in ("train", "valid", "test"):
            roll = np.unpackbits(file[part], axis=1)[:, :KEYS].astype(np.float32)
            parts[part] = list(torch.from_numpy(roll).split(file[f"{part}_len"].tolist()))
    return parts


def make_up(rng, steps=24):
    """A piece: each chord leads to one of two others, and each voice goes to the nearest key of the new chord."""
    chord, voices, roll = 0, np.array([48, 55, 60, 64]), torch.zeros(steps, KEYS)
    for t in range(steps):
        chord = (chord + int(rng.choice([1, 3]))) % len(TRIADS)
        for i, voice in enumerate(voices):
            voices[i] = min(
                range(voice - 3, voice + 4), key=lambda key: (key % 12 not in TRIADS[chord], abs(key - voice))
            )
        roll[t, voices - LOWEST] = 1
    return roll


def nats(model, pieces):
    """The sum over the steps of these pieces but the first of each, and how many they are."""
    lengths = torch.tensor([len(piece) - 1 for piece in pieces])
    rolls = pad_sequence(pieces)
    scores, _ = model(rolls[:-1], lengths=lengths)
    losses = binary_cross_entropy_with_logits(scores, rolls[1:], reduction="none").sum(-1)  # (T, B)
    return losses[torch.arange(len(losses))[:, None] < lengths].sum(), int(lengths.sum())


@torch.no_grad()
def measure(model, pieces):
    """Nats a step."""
    model.eval()
    total, steps = nats(model, pieces)
    model.train()
    return float(total) / steps


def train(model, parts, options):
    """Adam with a learning rate that rises and falls; the weights of the best epoch on validation are kept."""
    pieces, best = parts["train"], (float("inf"), {}, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    steps = options.epochs * -(-len(pieces) // options.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, steps, pct_start=0.05)
    for epoch in range(1, options.epochs + 1):
        for chosen in torch.randperm(len(pieces)).split(options.batch_size):
            total, count = nats(model, [pieces[i] for i in chosen])
            optimizer.zero_grad()
            (total / count).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        found = measure(model, parts["valid"])
        if found < best[0]:
            best = found, copy.deepcopy(model.state_dict()), epoch
        if epoch % max(1, options.epochs // 10) == 0:
            print(f"epoch {epoch:3d}: {found:.3f} nats a step on validation")
    model.load_state_dict(best[1])
    print(f"epoch {best[2]} was the best")


@torch.no_grad()
def go_on(model, piece, steps):
    """The piece's beginning, and what the model draws after it, step by step: the keys' names."""
    model.eval()
    scores, state = model(piece[:, None])
    chord, lines = scores[-1], []
    for _ in range(steps):
        sounding = torch.bernoulli(chord.sigmoid())
        lines.append(" ".join(NAMES[(int(key) + LOWEST) % 12] for key in sounding[0].nonzero()))
        chord, state = model.step(sounding, state)
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", help="chorales as npz")
    parser.add_argument("--cell", choices=["gru", "lstm", "rnn"], default="lstm")
    parser.add_argument("--hidden-size", type=int, default=200)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(0)
    made_up = {
        part: [make_up(rng) for _ in range(count)] for part, count in (("train", 120), ("valid", 20), ("test", 20))
    }
    parts = made_up if options.file is None else read(options.file)
    print("pieces:", ", ".join(f"{len(pieces)} {part}" for part, pieces in parts.items()))

    cell, chords = (
        {"gru": GRU, "lstm": LSTM, "rnn": RNN}[options.cell],
        nn.Linear(KEYS, 100),
    )  # a chord to what the layer reads
    model = SequenceToSequence(
        100, lambda size: cell(size, options.hidden_size), KEYS, dropout=options.dropout, embedding=chords
    )
    train(model, parts, options)
    share = torch.cat(parts["train"]).mean(0).clamp(1e-4, 1 - 1e-4)  # of the steps in which a key sounds
    always = torch.cat([piece[1:] for piece in parts["test"]]).sub(1 - share).abs().log().sum(1).mean()
    print(f"each key as often as in training: {-always:.3f} nats a step on test")
    print(f"the model: {measure(model, parts['test']):.3f} nats a step on test")
    print("it goes on: " + ", ".join(go_on(model, parts["test"][0][:8], 6)))


if __name__ == "__main__":
    main()
