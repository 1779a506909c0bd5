"""Teach a network to fill the slots of a request: which words name the city, the day, the dish.

    python examples/tag.py                  # requests that a small grammar makes, about a minute
    python examples/tag.py --steps 100      # the same in short
    python examples/tag.py atis/            # a folder with train, valid and test, each with seq.in, seq.out, label

The same without Python: unrolled train tag, unrolled tag RUN --text "...".
"""

import argparse
from pathlib import Path

from unrolled.tasks import Tagger
from unrolled.tasks.tag.baseline import MostFrequent
from unrolled.tasks.tag.example import requests
from unrolled.tasks.tag.figures import measure
from unrolled.tasks.tag.sentences import read_sentences


def read(folder):
    """Sentences to learn from, and others to measure with: each has tokens, tags and a label."""
    if folder is None:
        return requests(1200), requests(300, seed=1)
    return list(read_sentences(folder / "train")), list(read_sentences(folder / "test"))


def show(tokens, tags):
    """A sentence with its spans in brackets."""
    words = []
    for token, tag in zip(tokens, tags, strict=True):
        if tag.startswith("I-"):  # the span goes on
            words[-1] = f"{words[-1][:-1]} {token}]"
        else:
            words.append(token if tag == "O" else f"[{tag[2:]}: {token}]")
    return " ".join(words)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", nargs="?", type=Path, help="a folder with train and test")
    arguments.add_argument("--steps", type=int, default=400)
    arguments.add_argument("--cell", default="gru", help="any cell, also path.py:ClassName of your own")
    given = arguments.parse_args()

    training, test = read(given.folder)
    X, y = [s.tokens for s in training], [s.tags for s in training]
    X_test, y_test = [s.tokens for s in test], [s.tags for s in test]

    # Two networks read each sentence, one from each end, so that every word is seen with what stands around it.
    # Of ten sentences one is held out: it says which weights are the best.
    tagger = Tagger(cell=given.cell, hidden_size=64, dropout=0.3, steps=given.steps, learning_rate=0.01, progress=True)
    tagger.fit(X, y, intents=[s.label for s in training])

    # A span counts when its first word, its last word and its kind are right. The baseline knows of each word how
    # it is tagged most often, and nothing of what stands around it.
    naive = MostFrequent.learn(training)
    guessed = [naive.predict(tokens) for tokens in X_test]
    print(f"\nF1 of spans, baseline  {measure(y_test, guessed, 'iob2').spans.f1:.3f}")
    print(f"F1 of spans, network   {tagger.score(X_test, y_test):.3f}")
    intents = tagger.predict_intents(X_test)
    right = sum(intent == s.label for intent, s in zip(intents, test, strict=True))
    print(f"right intents          {right / len(test):.3f}\n")

    for tokens, tags, intent in zip(X_test[:5], tagger.predict(X_test[:5]), intents, strict=False):
        print(f"{intent}: {show(tokens, tags)}")


if __name__ == "__main__":
    main()
