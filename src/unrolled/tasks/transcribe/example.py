"""The built-in example: Morse code as a radio gives it, of any speed and pitch, with noise."""

from collections.abc import Iterator

import numpy as np

from .utterances import Samples, Utterance

RATE = 8000
CODE = {
    "A": ".-", "B": "-...", "C": "-.-.", "D": "-..", "E": ".", "F": "..-.", "G": "--.", "H": "....", "I": "..",
    "J": ".---", "K": "-.-", "L": ".-..", "M": "--", "N": "-.", "O": "---", "P": ".--.", "Q": "--.-", "R": ".-.",
    "S": "...", "T": "-", "U": "..-", "V": "...-", "W": ".--", "X": "-..-", "Y": "-.--", "Z": "--..",
}  # fmt: skip
WORDS = (
    "SHIP", "LIGHT", "STORM", "NORTH", "SOUTH", "EAST", "WEST", "WIND", "CALM", "FOG", "PORT", "RADIO", "TEST", "HELP",
    "QUICK", "JAZZ", "VEX", "BOX", "YES", "NO", "HARBOUR", "MOON", "KING", "FIVE", "DAWN", "GULL", "PILOT", "ZERO",
)  # fmt: skip


def messages(count: int, seed: int = 0) -> Iterator[Utterance]:
    """Messages of one to three words and what they sound like.

    Example:
        >>> first = next(messages(1))
        >>> first.text, first.source.rate
        ('JAZZ', 8000)
    """
    draw = np.random.default_rng([seed, 1])
    for number in range(count):
        text = " ".join(draw.choice(WORDS, draw.integers(1, 4)))
        sound = morse(text, draw)
        yield Utterance(Samples(sound, RATE), f"message {number}", text)


def morse(text: str, draw: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """What a text sounds like: a dot lasts 35 to 60 ms, a dash three dots, the pitch is 400 to 900 Hz.

    Between the marks of a letter is one dot of silence, between letters are three, between words seven.
    """
    dot = draw.uniform(0.035, 0.06)
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
    pitch = draw.uniform(400, 900)
    tone = np.sin(2 * np.pi * pitch / RATE * np.arange(len(envelope)))
    noise = draw.normal(0, draw.uniform(0.02, 0.3), len(envelope))
    return (0.5 * (envelope * tone + noise) * draw.uniform(0.2, 1)).clip(-1, 1).astype(np.float32)
