"""Which language is this surname from, and what other names could there be? ``python examples/names.py [FOLDER]``.

One model reads a name and tells its language (a sequence to a vector), the other is told a language and makes up
names (a vector to a sequence). Each letter is a token; token 0 begins a name and ends it. In the end the first model
judges the second: does it find the language that was asked for as often as it does for real names?

FOLDER has one UTF-8 file a language, ``Czech.txt``, with one name a line. Without it the names are those of three
made-up languages, each with syllables of its own.
"""

import argparse
import copy
import random
from collections import Counter
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot
from torch.nn.utils.rnn import pad_sequence

from unrolled.cells import GRU
from unrolled.models import SequenceToVector, VectorToSequence

MADE_UP = {"Highland": "kra tor un mek ga", "Island": "lo ana iti ku ila", "Marsh": "sel wy en thi or"}


def read(folder):
    """The languages, and of each different name of a language: (the language's number, the name)."""
    if folder is not None:
        files = [path for path in sorted(folder.glob("*.txt")) if path.stem != "SOURCE"]
        names = {path.stem: path.read_text(encoding="utf-8").split("\n") for path in files}
    else:
        rng = random.Random(0)
        make = lambda syllables: "".join(rng.choices(syllables, k=rng.randint(2, 4)))  # noqa: E731
        names = {language: [make(syllables.split()) for _ in range(300)] for language, syllables in MADE_UP.items()}
    different = [sorted({*map(str.strip, found)} - {""}) for found in names.values()]
    return list(names), [(i, name) for i, found in enumerate(different) for name in found]


def split(pairs, seed):
    """Parts for training, validation and the test: a name that two languages have is in one part only."""
    names = sorted({name for _, name in pairs})
    random.Random(seed).shuffle(names)
    tenth = {name: 10 * place // len(names) for place, name in enumerate(names)}
    return [[pair for pair in pairs if min(tenth[pair[1]], 2) == part] for part in (2, 1, 0)]


def batch(pairs, letters):
    """Tokens (T, B), zeros after the end of a name; lengths (B,); languages (B,)."""
    rows = [torch.tensor([1 + letters.index(letter) for letter in name]) for _, name in pairs]
    return pad_sequence(rows), torch.tensor([len(row) for row in rows]), torch.tensor([i for i, _ in pairs])


def judge_loss(judge, tokens, lengths, languages):
    """How surprised the judge is by the right languages."""
    return cross_entropy(judge(tokens, lengths=lengths), languages)


def inventor_loss(inventor, tokens, lengths, languages):
    """Each letter given those before it, and the end given all: a 0 goes in first, and comes out last."""
    zero = torch.zeros_like(tokens[:1])
    vector = one_hot(languages, inventor.vector_size).float()
    scores, _ = inventor(vector, torch.cat([zero, tokens]), lengths=lengths + 1)
    is_name = torch.arange(len(scores))[:, None] <= lengths
    return cross_entropy(scores[is_name], torch.cat([tokens, zero])[is_name])


def draw(scores):
    """A letter for each row of scores, a little more safely than the model would (0.8)."""
    return torch.multinomial((scores / 0.8).softmax(-1), 1).squeeze(1)


def train(model, loss_of, training, validation, letters, epochs):
    """Adam over the names in a new order each epoch; the weights of the epoch that was best on validation are kept."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    held_out, best = batch(validation, letters), (float("inf"), {}, 0)
    for epoch in range(1, epochs + 1):
        model.train()
        for chosen in torch.randperm(len(training)).split(64):
            loss = loss_of(model, *batch([training[i] for i in chosen.tolist()], letters))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        with torch.no_grad():
            found = loss_of(model, *held_out).item()
        if found < best[0]:
            best = found, copy.deepcopy(model.state_dict()), epoch
    model.load_state_dict(best[1])
    print(f"loss {best[0]:.3f} on validation, after epoch {best[2]} of {epochs}")


@torch.no_grad()
def report(judge, inventor, languages, training, test, letters):
    """The judge's accuracy on real names that it never saw, and on invented ones; and some of these to look at."""

    def accuracy(tokens, lengths):
        return float((judge(tokens, lengths=lengths).argmax(1) == asked).float().mean())

    tokens, lengths, asked = batch(test, letters)
    print(f"real names: accuracy {accuracy(tokens, lengths):.3f}")
    most = Counter(i for i, _ in training).most_common(1)[0][0]
    print(f"always answering {languages[most]}: {float((asked == most).float().mean()):.3f}")
    vector = one_hot(asked, inventor.vector_size).float()  # as many names of each language as there are real ones
    tokens, lengths = inventor.generate(vector, torch.zeros_like(asked), 25, pick=draw, end=0)
    print(f"invented names: accuracy {accuracy(tokens, lengths):.3f}")
    rows = zip(tokens.T.tolist(), lengths.tolist(), strict=True)
    made = ["".join(letters[token - 1] for token in row[:length]) for row, length in rows]
    known = {name for _, name in training}
    print(f"new among the invented: {sum(name not in known for name in made) / len(made):.3f}")
    for i, language in enumerate(languages):
        some = [name for name, of in zip(made, asked.tolist(), strict=True) if of == i and name not in known]
        print(f"{language:>12}: {', '.join(some[:5])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="one file of names a language")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    languages, pairs = read(options.folder)
    if not pairs:
        parser.error(f"{options.folder}: expected files of names, one a language, like Czech.txt, got none")
    letters = "".join(sorted({letter for _, name in pairs for letter in name}))
    training, validation, test = split(pairs, options.seed)
    print(f"{len(training)} names of {len(languages)} languages, {len(validation)} for validation, {len(test)} to test")

    count, tokens = len(languages), len(letters) + 1
    vectors = nn.Embedding(tokens, 32)
    judge = SequenceToVector(
        32, lambda size: GRU(size, 96), count, pooling="max", bidirectional=True, dropout=0.3, embedding=vectors
    )
    vectors = nn.Embedding(tokens, 32)
    inventor = VectorToSequence(count, lambda size: GRU(size, 160), tokens, mode="both", dropout=0.2, embedding=vectors)
    train(judge, judge_loss, training, validation, letters, options.epochs)
    train(inventor, inventor_loss, training, validation, letters, options.epochs)
    report(judge, inventor, languages, training, test, letters)


if __name__ == "__main__":
    main()
