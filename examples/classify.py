"""Classify sequences: handwritten digits read row by row, and sentences whose words alone do not tell what they mean.

Run it as it is (a minute), or with a number of training steps: python examples/classify.py 400
"""

import random
import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from unrolled.tasks import Classifier

THINGS = ["film", "book", "song", "play", "story"]
GOOD = ["good", "fine", "lovely", "bright", "clever"]
BAD = ["bad", "dull", "grey", "poor", "flat"]


def digits(steps):
    """Images of 8 x 8 pixels as sequences of 8 rows; the last 397 of 1797 are for the test."""
    bunch = load_digits()
    X, y, border = bunch.images, bunch.target, 1400
    model = Classifier(hidden_size=64, steps=steps, learning_rate=0.01, dropout=0.2, stretch=0.1, noise=0.1)
    model.fit(X[:border], y[:border])
    pixels = X.reshape(len(X), -1) / 16
    flat = LogisticRegression(max_iter=1000).fit(pixels[:border], y[:border]).score(pixels[border:], y[border:])
    print(f"digits      LSTM {model.score(X[border:], y[border:]):.3f}, regression on all pixels {flat:.3f}")
    show_errors(model, X[border:], y[border:])
    return model


def show_errors(model, images, truth, most=5):
    """Draw some digits that were taken for others."""
    wrong = np.flatnonzero(model.predict(images) != truth)[:most]
    if not len(wrong):
        return
    for row in range(8):
        print("    " + "    ".join("".join(" .:*#"[min(4, int(v // 4))] * 2 for v in images[at, row]) for at in wrong))
    guesses = model.predict(images[wrong])
    captions = [f"a {truth[at]}, taken for a {guess}" for at, guess in zip(wrong, guesses, strict=True)]
    print("    " + "    ".join(caption.ljust(16) for caption in captions))


def sentences(count, seed):
    """A good word and a bad one in each: which of them is denied decides, and that stands some words before it."""
    draw = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        good, bad, praise = draw.choice(GOOD), draw.choice(BAD), draw.random() < 0.5
        denied, meant = (bad, good) if praise else (good, bad)
        filler = draw.choice(["by any means", "in any way at all", "as they had all said"])
        parts = [f"it is not {filler} {denied}", f"it is {filler} {meant}"]
        draw.shuffle(parts)
        texts.append(f"about the {draw.choice(THINGS)} : " + " , ".join(parts))
        labels.append("praise" if praise else "blame")
    return texts, labels


def words(steps):
    """A network that reads in order beside a regression that counts words."""
    (X, y), (new_X, new_y) = sentences(600, 0), sentences(300, 1)
    counted = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000)).fit(X, y)
    model = Classifier(cell="gru", hidden_size=32, embedding_size=32, subwords=0, dropout=0.0, steps=steps,
                       learning_rate=0.01, word_dropout=0.0)  # fmt: skip
    model.fit(X, y)
    print(f"sentences   GRU {model.score(new_X, new_y):.3f}, counted words {counted.score(new_X, new_y):.3f}")
    explain(model, new_X[:3])


def explain(model, texts):
    """Which words spoke for the predicted class (+) and which against it (-)."""
    examples = model.run_.examples(list(texts))
    for row in range(len(texts)):
        found = model.run_.explain(examples, row)
        largest = float(found.weights.abs().max())
        marks = ["+" if w > largest / 3 else "-" if w < -largest / 3 else "" for w in found.weights]
        text = " ".join(word + mark for word, mark in zip(found.words, marks, strict=True))
        print(f"    {found.label} {100 * found.probability:.0f} %: {text}")


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 800
    digits(steps)
    words(steps)


if __name__ == "__main__":
    main()
