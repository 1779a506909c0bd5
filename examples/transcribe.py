"""Teach a network to read Morse code by ear: sound goes in, letters come out.

    python examples/transcribe.py                  # messages of any speed and pitch in noise, one or two minutes
    python examples/transcribe.py --steps 100      # the same in short
    python examples/transcribe.py recordings.tsv   # your own: a manifest with the columns audio and text

The same without Python: unrolled train transcribe, unrolled transcribe RUN a.wav.
"""

import argparse
from pathlib import Path

from unrolled.tasks import Transcriber
from unrolled.tasks.audio import read_audio
from unrolled.tasks.transcribe.example import RATE, messages
from unrolled.tasks.transcribe.figures import measure
from unrolled.tasks.transcribe.utterances import Columns, read_utterances


def read(manifest):
    """Recordings to learn from with their texts, and others to measure with."""
    if manifest is None:
        made = list(messages(1000))
        sounds = [message.source.values for message in made]
    else:
        made = list(read_utterances(manifest, Columns()))
        sounds = [read_audio(recording.source, RATE).numpy() for recording in made]
    texts = [recording.text for recording in made]
    tenth = max(1, len(made) // 10)
    return sounds[tenth:], texts[tenth:], sounds[:tenth], texts[:tenth]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("manifest", nargs="?", type=Path, help="a table with the columns audio and text")
    arguments.add_argument("--steps", type=int, default=600)
    arguments.add_argument("--cell", default="lstm", help="any cell, also path.py:ClassName of your own")
    given = arguments.parse_args()

    X, y, X_test, y_test = read(given.manifest)

    # Nobody says which sound is which letter. CTC gives each step of 20 ms a letter or a blank, and sums over all ways
    # in which these can spell the text; in training it finds out by itself where the letters are.
    model = Transcriber(
        cell=given.cell, hidden_size=64, learning_rate=0.01, dropout=0.1, steps=given.steps, progress=True
    )
    model.fit(X, y, sample_rate=RATE)

    # Of the words that were sent, how many are wrong, left out or put in? And of the letters?
    errors = measure(y_test, model.predict(X_test))
    print(f"\nword error rate       {errors.wer:.3f}")
    print(f"character error rate  {errors.cer:.3f}\n")

    for sent, heard in zip(y_test[:5], model.transcribe(X_test[:5]), strict=False):
        times = ", ".join(f"{word.text} at {word.start:.1f} s" for word in heard.words)
        print(f"sent: {sent}\nread: {times}\n")


if __name__ == "__main__":
    main()
