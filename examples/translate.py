"""Teach a network to write dates and times, given in words, as numbers; and see where it looks while it writes.

    python examples/translate.py                  # dates that a small grammar makes, about a minute
    python examples/translate.py --steps 100      # the same in short
    python examples/translate.py --cell lstm      # or any cell of your own: --cell path.py:ClassName

The same without Python: unrolled train translate, unrolled translate RUN --text "...".
"""

import argparse

from unrolled.tasks import Translator
from unrolled.tasks.translate.example import dates
from unrolled.tasks.translate.writing import picture


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--steps", type=int, default=600)
    arguments.add_argument("--cell", default="gru", help="any cell, also path.py:ClassName of your own")
    given = arguments.parse_args()

    pairs = dates(4000)
    X, y = [pair.source for pair in pairs], [pair.target for pair in pairs]
    X, X_test, y, y_test = X[:3600], X[3600:], y[:3600], y[3600:]

    # An encoder reads the words in both directions. A decoder writes one digit after another; at each it looks at all
    # words and takes the weighted mean of what the encoder knows of them. Of ten dates one is held out: it says which
    # weights are the best.
    translator = Translator(
        cell=given.cell, hidden_size=64, embedding_size=32, dropout=0.1, metric="errors",
        tie="none", steps=given.steps, learning_rate=0.01, warmup_steps=50, averaging=0.99, progress=True,
    )  # fmt: skip
    translator.fit(X, y)

    # A date is right when every digit is.
    print(f"\nright, copying the source  {sum(x == target for x, target in zip(X_test, y_test, strict=True)):.3f}")
    print(f"right, network             {translator.score(X_test, y_test):.3f}\n")

    # Each row is a digit that was written, each column a word: the darker, the more the network looked there.
    for (best,) in translator.translate(X_test[:2]):
        print(f"{picture(best)}\n")


if __name__ == "__main__":
    main()
