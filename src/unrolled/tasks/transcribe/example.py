"""The built-in example: Morse code as a radio gives it, of any speed and pitch, with noise."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .utterances import Samples, Utterance

RATE = 8000
CODE = {
    "A": ".-", "B": "-...", "C": "-.-.", "D": "-..", "E": ".", "F": "..-.", "G": "--.", "H": "....", "I": "..",
    "J": ".---", "K": "-.-", "L": ".-..", "M": "--", "N": "-.", "O": "---", "P": ".--.", "Q": "--.-", "R": ".-.",
    "S": "...", "T": "-", "U": "..-", "V": "...-", "W": ".--", "X": "-..-", "Y": "-.--", "Z": "--..",
}  # fmt: skip
WORDS = (
    "SHIP", "LIGHT", "STORM", "NORTH", "EAST", "WEST", "WIND", "CALM", "FOG", "PORT", "RADIO", "HELP", "QUICK", "JAZZ",
    "VEX", "BOX", "YES", "NO", "MOON", "KING", "FIVE", "DAWN", "GULL", "PILOT", "ZERO", "TEN", "SEA", "TIDE",
)  # fmt: skip


def messages(count: int, seed: int = 0) -> Iterator[Utterance]:
    """Messages of one or two words and what they sound like.

    Example:
        >>> first = next(messages(1))
        >>> first.text, first.source.rate
        ('ZERO TIDE', 8000)
    """
    draw = np.random.default_rng([seed, 1])
    for number in range(count):
        text = " ".join(draw.choice(WORDS, draw.integers(1, 3)))
        sound = morse(text, draw)
        yield Utterance(Samples(sound, RATE), f"message {number}", text)


def morse(text: str, draw: np.random.Generator) -> NDArray[np.float32]:
    """What a text sounds like: a dot lasts 30 to 40 ms, a dash three dots, the pitch is 150 to 450 Hz.

    Between the marks of a letter is one dot of silence, between letters are three, between words seven.
    """
    dot = draw.uniform(0.03, 0.04)
    keyed: list[float] = [0.0] * 2
    for word in text.split():
        for letter in word:
            for mark in CODE[letter]:
                keyed += [1.0] * (3 if mark == "-" else 1) + [0.0]
            keyed += [0.0] * 2
        keyed += [0.0] * 4
    lasting = dot * draw.uniform(0.85, 1.15, len(keyed))  # a hand is no machine
    envelope = np.repeat(keyed, np.round(lasting * RATE).astype(int))
    ramp = np.hanning(RATE // 200)
    envelope = np.convolve(envelope, ramp / ramp.sum(), "same")
    tone = 2 * (draw.uniform(150, 450) / RATE * np.arange(len(envelope)) % 1) - 1  # a buzzer, rich in overtones
    noise = draw.normal(0, draw.uniform(0.01, 0.05), len(envelope))
    sound = 0.5 * (envelope * tone + noise) * draw.uniform(0.2, 1)
    made: NDArray[np.float32] = np.clip(sound, -1, 1).astype(np.float32)
    return made
